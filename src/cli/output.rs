//! Rows as `-o table|json|yaml|plain` shows them, in Airflow's shapes, so that scripts that read them go on working.
//! Nothing here knows what the rows mean.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, ContentLineStyle, LineStyle, Table, TableStyle};
use serde_json::{Map, Value};

use crate::domain::run::iso;
use crate::domain::time::Time;

/// The option `-o`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum OutputFormat {
    #[default]
    Table,
    Json,
    Yaml,
    Plain,
}

/// One field of a row. Airflow shows every scalar as the text that Python prints, in JSON too.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Text(String),
    /// Joined by commas in a table.
    List(Vec<String>),
    /// A nested value, such as the conf of a run.
    Nested(Value),
    /// `None` in a table, `null` in JSON and YAML.
    Nothing,
}

impl Cell {
    fn for_people(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::List(items) => items.join(","),
            Self::Nested(value) => value.to_string(),
            Self::Nothing => "None".to_owned(),
        }
    }

    fn for_programs(&self) -> Value {
        match self {
            Self::Text(text) => Value::String(text.clone()),
            Self::List(items) => Value::from(items.clone()),
            Self::Nested(value) => value.clone(),
            Self::Nothing => Value::Null,
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Cell {
    fn from(flag: bool) -> Self {
        Self::Text(if flag { "True" } else { "False" }.to_owned())
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Text(number.to_string())
    }
}

impl From<Time> for Cell {
    fn from(time: Time) -> Self {
        Self::Text(iso(time))
    }
}

impl From<Vec<String>> for Cell {
    fn from(items: Vec<String>) -> Self {
        Self::List(items)
    }
}

impl From<Value> for Cell {
    fn from(value: Value) -> Self {
        Self::Nested(value)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nothing, Into::into)
    }
}

/// Rows under named columns.
#[derive(Clone, Debug)]
pub struct Rows<const N: usize> {
    columns: [&'static str; N],
    rows: Vec<[Cell; N]>,
}

impl<const N: usize> Rows<N> {
    pub fn new(columns: [&'static str; N]) -> Self {
        Self { columns, rows: Vec::new() }
    }

    pub fn push(&mut self, row: [Cell; N]) {
        self.rows.push(row);
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes all rows.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write(&self, format: OutputFormat, out: &mut dyn Write) -> io::Result<()> {
        self.write_columns(&self.columns, format, out)
    }

    /// Writes all rows, but only the columns of these names, in this order. A name that is no column is left out.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write_columns(&self, names: &[&str], format: OutputFormat, out: &mut dyn Write) -> io::Result<()> {
        let find = |name: &&str| self.columns.iter().position(|column| column == name);
        let picked: Vec<usize> = names.iter().filter_map(find).collect();
        match format {
            OutputFormat::Table | OutputFormat::Plain if self.is_empty() => writeln!(out, "No data found"),
            OutputFormat::Table => writeln!(out, "{}\n", self.lines(&picked, TABLE, (1, 1))),
            OutputFormat::Plain => writeln!(out, "{}", self.lines(&picked, TableStyle::new(), (0, 2))),
            OutputFormat::Json => writeln!(out, "{}", Value::Array(self.objects(&picked))),
            OutputFormat::Yaml => {
                let yaml = serde_saphyr::to_string(&self.objects(&picked)).map_err(io::Error::other)?;
                writeln!(out, "{}", yaml.trim_end())
            }
        }
    }

    fn lines(&self, picked: &[usize], style: TableStyle, padding: (u16, u16)) -> String {
        let mut table = Table::new();
        // A row stays one line however narrow the terminal is: programs read these tables too.
        table.load_style(style).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(picked.iter().map(|at| self.columns[*at]));
        for row in &self.rows {
            table.add_row(picked.iter().map(|at| row[*at].for_people()));
        }
        for (n, column) in table.column_iter_mut().enumerate() {
            let left = if n == 0 { 0 } else { padding.0 };
            let right = if n + 1 == picked.len() { 0 } else { padding.1 };
            column.set_padding((left, right));
        }
        table.trim_fmt()
    }

    fn objects(&self, picked: &[usize]) -> Vec<Value> {
        let object = |row: &[Cell; N]| {
            let fields = picked.iter().map(|at| (self.columns[*at].to_owned(), row[*at].for_programs()));
            Value::Object(fields.collect::<Map<_, _>>())
        };
        self.rows.iter().map(object).collect()
    }
}

/// Airflow's table: a double rule below the header, and no frame.
const TABLE: TableStyle = TableStyle::new()
    .header_lines(ContentLineStyle::none().junction('|'))
    .header_separator(LineStyle::none().fill('=').junction('+'))
    .content_lines(ContentLineStyle::none().junction('|'));

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(rows: &Rows<4>, format: OutputFormat) -> String {
        let mut out = Vec::new();
        rows.write(format, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn dags() -> Rows<4> {
        let mut rows = Rows::new(["dag_id", "owners", "is_paused", "note"]);
        rows.push(["parallel_dag".into(), vec!["ann".to_owned(), "bob".to_owned()].into(), true.into(), Cell::Nothing]);
        rows.push(["größe".into(), Vec::new().into(), false.into(), serde_json::json!({"a": 1}).into()]);
        rows
    }

    #[test]
    fn a_table_has_a_header_a_rule_and_a_blank_line_at_its_end() {
        let expected = "\
dag_id       | owners  | is_paused | note
=============+=========+===========+========
parallel_dag | ann,bob | True      | None
größe        |         | False     | {\"a\":1}

";
        assert_eq!(shown(&dags(), OutputFormat::Table), expected);
    }

    #[test]
    fn a_plain_table_has_two_spaces_between_its_columns() {
        let expected = "\
dag_id        owners   is_paused  note
parallel_dag  ann,bob  True       None
größe                  False      {\"a\":1}
";
        assert_eq!(shown(&dags(), OutputFormat::Plain), expected);
    }

    #[test]
    fn json_and_yaml_hold_texts_lists_and_nested_values() {
        let json = shown(&dags(), OutputFormat::Json);
        assert_eq!(
            json,
            "[{\"dag_id\":\"parallel_dag\",\"owners\":[\"ann\",\"bob\"],\"is_paused\":\"True\",\"note\":null},\
             {\"dag_id\":\"größe\",\"owners\":[],\"is_paused\":\"False\",\"note\":{\"a\":1}}]\n"
        );
        let yaml: Value = serde_saphyr::from_str(&shown(&dags(), OutputFormat::Yaml)).unwrap();
        assert_eq!(yaml, serde_json::from_str::<Value>(&json).unwrap());
    }

    #[test]
    fn no_rows_are_said_to_people_and_an_empty_list_to_programs() {
        let none = Rows::new(["dag_id", "owners", "is_paused", "note"]);
        assert_eq!(shown(&none, OutputFormat::Table), "No data found\n");
        assert_eq!(shown(&none, OutputFormat::Plain), "No data found\n");
        assert_eq!(shown(&none, OutputFormat::Json), "[]\n");
        assert_eq!(shown(&none, OutputFormat::Yaml), "[]\n");
    }

    #[test]
    fn a_long_row_stays_one_line() {
        let mut rows = Rows::new(["a", "b", "c", "d"]);
        rows.push(["x".repeat(300).as_str().into(), "1".into(), 2.into(), None::<String>.into()]);
        assert_eq!(shown(&rows, OutputFormat::Table).lines().count(), 4);
    }
}
