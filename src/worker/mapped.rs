//! What one instance of a mapped task gets: the pieces are looked up, and given to its operator.
//!
//! Values that another task left are never templates: what a task prints cannot make another
//! one run something. Nothing is sent here; the slot asks.

use serde_json::Value;

use super::operator::Unstartable;
use crate::domain::expand::{Given, Piece};
use crate::domain::operator::{Operator, Python, PythonCode};
use crate::protocol::work::{Answer, Question, TaskMessage};

/// What has to be asked for before the instance can start, in the order of its pieces.
pub fn questions(task: &mut TaskMessage) -> Vec<Question> {
    let mut questions = Vec::new();
    if let Some(pieces) = task.mapped.as_mut().and_then(|mapped| mapped.pieces.as_mut()) {
        let note = |piece: &mut Piece| -> Result<(), std::convert::Infallible> {
            if let Piece::Wanted { task_id, key, index } = piece {
                let (task_id, key, index) = (task_id.to_string(), key.clone(), *index);
                questions.push(Question::GetMapped { task_id, key, index });
            }
            Ok(())
        };
        let Ok(()) = pieces.each_mut(note);
    }
    questions
}

/// Puts the answers, in the order of the questions, into their places and gives the operator its arguments.
pub fn settle(task: &mut TaskMessage, answers: Vec<Answer>) -> Result<(), Unstartable> {
    let Some(mapped) = &mut task.mapped else { return Ok(()) };
    let Some(pieces) = &mut mapped.pieces else {
        let why = "the values over which this task is expanded are no longer there: clear the task that made them";
        return Err(Unstartable(why.to_owned()));
    };
    let mut answers = answers.into_iter();
    pieces.each_mut(|piece| match piece {
        Piece::Wanted { task_id, key, index } => {
            *piece = match answers.next() {
                Some(Answer::Mapped { piece: Some(found) }) => found,
                Some(Answer::Refused { why }) => return Err(Unstartable(why)),
                Some(
                    Answer::Mapped { piece: None }
                    | Answer::XCom { .. }
                    | Answer::Variable { .. }
                    | Answer::Connection { .. }
                    | Answer::AssetEvents { .. }
                    | Answer::Deleted { .. }
                    | Answer::Triggered { .. }
                    | Answer::RunExists { .. }
                    | Answer::RunState { .. }
                    | Answer::Seen { .. }
                    | Answer::Runs { .. }
                    | Answer::Tasks { .. }
                    | Answer::XComs { .. }
                    | Answer::Stored,
                )
                | None => {
                    return Err(Unstartable(format!(
                        "XCom `{key}` of task `{task_id}` has no element {index} any more: clear this task to expand it anew"
                    )));
                }
            };
            Ok(())
        }
        Piece::Literal { .. }
        | Piece::LiteralPair { .. }
        | Piece::Found { .. }
        | Piece::FoundPair { .. }
        | Piece::Zip { .. }
        | Piece::Concat { .. }
        | Piece::Map { .. } => Ok(()),
    })?;
    // The DAG file's own objects take their pieces themselves.
    if mapped.of_group || in_dag_file(&task.operator) {
        return Ok(());
    }
    for Given { name, value, .. } in pieces.given().map_err(Unstartable)? {
        task.operator.give(&name, value).map_err(Unstartable)?;
    }
    Ok(())
}

/// The fields that hold what other tasks left.
pub fn verbatim(task: &TaskMessage) -> Vec<String> {
    let Some(mapped) = task.mapped.as_ref().filter(|mapped| !mapped.of_group) else { return Vec::new() };
    let given = mapped.pieces.as_ref().and_then(|pieces| pieces.given().ok()).unwrap_or_default();
    given
        .iter()
        .filter(|given| !given.is_literal)
        .flat_map(|given| task.operator.fields_of(&given.name, &given.value))
        .collect()
}

/// The values by name, for templates.
pub fn names(task: &TaskMessage) -> serde_json::Map<String, Value> {
    let pieces = task.mapped.as_ref().and_then(|mapped| mapped.pieces.as_ref());
    let given = pieces.and_then(|pieces| pieces.given().ok()).unwrap_or_default();
    given.into_iter().map(|given| (given.name, given.value)).collect()
}

/// Those of them that other tasks left.
pub fn found_names(task: &TaskMessage) -> Vec<String> {
    let pieces = task.mapped.as_ref().and_then(|mapped| mapped.pieces.as_ref());
    let given = pieces.and_then(|pieces| pieces.given().ok()).unwrap_or_default();
    given.into_iter().filter(|given| !given.is_literal).map(|given| given.name).collect()
}

/// Whether the operator is an object of a Python DAG file, which takes its pieces itself.
pub fn in_dag_file(operator: &Operator) -> bool {
    matches!(operator, Operator::Python(Python { code: PythonCode::DagFile { .. }, .. }))
}
