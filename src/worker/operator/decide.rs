//! Branches and short circuits by expression (SCHEDULING §10): evaluated in the slot, without a process.
//! What they mean for the graph, the scheduler says.

use serde_json::{Value, json};

use super::{Prepared, RETURN_VALUE, Unstartable};
use crate::domain::operator::Decide;
use crate::domain::skip::SKIP_KEY;
use crate::domain::template::is_truthy;
use crate::protocol::work::TaskMessage;
use crate::worker::render::Templates;

/// What was decided: the values to store, and a sentence for the log.
#[derive(Debug)]
pub struct Decided {
    pub xcoms: Vec<(String, Value)>,
    pub said: String,
}

pub fn prepare(wish: &Decide, task: &TaskMessage, templates: &Templates<'_>) -> Result<Prepared, Unstartable> {
    let (result, decision, said) = match wish {
        Decide::Branch { choose } => {
            let chosen = task_ids(templates.evaluate("branch", choose)?);
            let said = format!("Branch into {chosen}");
            (chosen.clone(), Some(json!({ "branch": chosen })), said)
        }
        Decide::ShortCircuit { condition, ignore_downstream_trigger_rules } => {
            let value = templates.evaluate("short_circuit", condition)?;
            let (decision, follows) = match (is_truthy(&value), ignore_downstream_trigger_rules) {
                (true, _) => (None, "what is downstream goes on"),
                (false, true) => (Some(json!({ "short_circuit": "all" })), "everything downstream is skipped"),
                (false, false) => {
                    (Some(json!({ "short_circuit": "direct" })), "the tasks directly after it are skipped")
                }
            };
            let said = format!("The condition is {value}: {follows}");
            (value, decision, said)
        }
        // The scheduler passes it without an attempt.
        Decide::LatestOnly => return Ok(Prepared::Nothing),
    };
    let result = (task.do_xcom_push && !result.is_null()).then(|| (RETURN_VALUE.to_owned(), result));
    let decision = decision.map(|decision| (SKIP_KEY.to_owned(), decision));
    Ok(Prepared::Decided(Decided { xcoms: result.into_iter().chain(decision).collect(), said }))
}

/// A template's text may name several tasks, with commas or blanks between them, or none.
fn task_ids(value: Value) -> Value {
    let Value::String(text) = &value else { return value };
    let mut ids: Vec<&str> = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|id| !id.is_empty()).collect();
    match (ids.len(), ids.pop()) {
        (_, None) => Value::Null,
        (1, Some(id)) => json!(id),
        (_, Some(last)) => ids.into_iter().chain([last]).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_names_one_task_several_or_none() {
        assert_eq!(task_ids(json!(" a ")), json!("a"));
        assert_eq!(task_ids(json!("a, b\nc")), json!(["a", "b", "c"]));
        assert_eq!(task_ids(json!("")), Value::Null);
        assert_eq!(task_ids(json!(["a"])), json!(["a"]));
    }
}
