//! `assets …` and `datasets …`, with no node.

use super::Home;

const MAKER: &str = "\
dag_id: maker
tasks:
  make: {bash: 'true', outlets: [{name: orders, uri: S3://bucket/orders/, extra: {rows: 3}}, counts]}
---
dag_id: reader
schedule: [orders, counts]
tasks: {read: {bash: 'true'}}
---
dag_id: second
params: {rows: {default: 3, type: integer, minimum: 1}}
tasks: {make: {bash: 'true', outlets: counts}}
";

#[test]
fn assets_are_listed_described_and_made() {
    let home = Home::new();
    home.write("assets.yaml", MAKER);
    let row = serde_json::json!({
        "name": "orders", "uri": "s3://bucket/orders", "group": "asset", "extra": {"rows": 3}
    });
    let listed = home.json(&["assets", "list"]);
    assert_eq!(listed.as_array().map(Vec::len), Some(2));
    assert_eq!(listed[1]["name"], row["name"]);
    assert_eq!(listed[1]["uri"], row["uri"]);
    assert_eq!(home.json(&["datasets", "list"]), listed, "Airflow 2's word");
    let uses = home.json(&["assets", "list", "--columns", "name,producers,consumers"]);
    assert!(uses[0]["producers"].to_string().contains("second.make"), "{uses}");
    assert!(uses[0]["consumers"].to_string().contains("reader"), "{uses}");
    let details = home.out(&["assets", "details", "--uri", "s3://bucket/orders"]);
    assert!(details.contains("maker.make") && details.contains("reader"), "{details}");
    let run = home.json(&["assets", "materialize", "orders"]);
    assert_eq!((&run[0]["dag_id"], &run[0]["run_type"]), (&"maker".into(), &"asset_materialization".into()));
    let several = home.failure(1, &["assets", "materialize", "--name", "counts"]);
    assert!(several.contains("`maker`, `second`"), "{several}");
    let unknown = home.failure(1, &["assets", "materialize", "order"]);
    assert!(unknown.contains("did you mean `orders`?"), "{unknown}");
    assert!(home.failure(1, &["assets", "details", "order"]).contains("did you mean `orders`?"));
}

#[test]
fn a_trigger_whose_conf_does_not_fit_is_refused() {
    let home = Home::new();
    home.write("assets.yaml", MAKER);
    let said = home.failure(1, &["dags", "trigger", "second", "--conf", "{\"rows\": 0}"]);
    assert!(said.contains("the parameter `rows` (in conf): 0 is less than the minimum of 1"), "{said}");
    home.out(&["dags", "trigger", "second", "--conf", "{\"rows\": 1}"]);
}
