//! The rows without a story: pools, problems of DAG files.

use sea_orm::ActiveValue::{NotSet, Set};

use crate::domain::problem::{Place, Problem, Severity};
use crate::domain::time::Time;
use crate::store::entity::{import_error, pool};
use crate::store::write::PoolRow;

use super::{Reading, Unreadable, maybe_text, micros, text};

impl From<PoolRow> for pool::Model {
    fn from(row: PoolRow) -> Self {
        Self {
            name: row.name.as_str().to_owned(),
            slots: row.slots,
            description: text(row.description),
            include_deferred: row.include_deferred,
        }
    }
}

impl TryFrom<pool::Model> for PoolRow {
    type Error = Unreadable;

    fn try_from(model: pool::Model) -> Result<Self, Unreadable> {
        let reading = Reading::new("pool", &model.name);
        Ok(Self {
            name: reading.word(&model.name)?,
            slots: model.slots,
            include_deferred: model.include_deferred,
            description: model.description,
        })
    }
}

/// A problem as a new row; the database numbers it.
pub fn import_error(file: &str, problem: Problem, at: Time) -> import_error::ActiveModel {
    let severity = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    import_error::ActiveModel {
        id: NotSet,
        file: Set(text(file.to_owned())),
        severity: Set(severity.to_owned()),
        place: Set(text(problem.place.file)),
        line: Set(problem.place.line.map(Into::into)),
        column: Set(problem.place.column.map(Into::into)),
        message: Set(text(problem.message)),
        hint: Set(maybe_text(problem.hint)),
        detail: Set(maybe_text(problem.detail)),
        at: Set(micros(at)),
    }
}

impl TryFrom<import_error::Model> for Problem {
    type Error = Unreadable;

    fn try_from(model: import_error::Model) -> Result<Self, Unreadable> {
        let reading = Reading::new("import_error", &model.id);
        let severity = match model.severity.as_str() {
            "error" => Some(Severity::Error),
            "warning" => Some(Severity::Warning),
            _ => None,
        };
        Ok(Self {
            severity: reading.known("severity", &model.severity, severity)?,
            place: Place {
                file: model.place,
                line: model.line.map(|line| reading.small("line", line)).transpose()?,
                column: model.column.map(|column| reading.small("column", column)).transpose()?,
            },
            message: model.message,
            hint: model.hint,
            detail: model.detail,
        })
    }
}
