//! What users ask for from another process: durable rows, applied by the leader (DESIGN §5).
//!
//! A command is written without the guard, because it changes nothing by
//! itself; its answer is part of a guarded commit ([`Write::CommandDone`]).
//!
//! [`Write::CommandDone`]: super::write::Write::CommandDone

use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ActiveModelTrait, DbErr, EntityTrait, QueryFilter, QueryOrder};

use crate::domain::ids::CommandId;
use crate::domain::time::Time;
use crate::protocol::control::{Control, Refused, Reply};

use super::convert::{Reading, json, maybe_text, micros};
use super::entity::command;
use super::error::StoreError;
use super::open::Store;

/// A command that nobody has answered yet.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingCommand {
    pub id: CommandId,
    pub user: Option<String>,
    /// A row that this version cannot read is to be answered with this refusal.
    pub control: Result<Control, Refused>,
}

impl Store {
    /// Accepts a command: once this returns, it survives everything that the database survives.
    pub async fn submit(&self, control: &Control, user: Option<&str>, at: Time) -> Result<CommandId, StoreError> {
        let row = command::ActiveModel {
            id: NotSet,
            control: Set(json(control)),
            user: Set(maybe_text(user.map(ToOwned::to_owned))),
            created_at: Set(micros(at)),
            reply: Set(None),
            done_at: Set(None),
        };
        let accepted = async {
            // Writing from the first statement on, so that SQLite waits for its lock instead of failing.
            let tx = self.begin().await?;
            let row = row.insert(&tx).await?;
            tx.commit().await?;
            Ok::<_, DbErr>(CommandId(row.id))
        };
        accepted.await.map_err(|error| self.location.explain(&error))
    }

    /// All commands without an answer, oldest first.
    pub async fn pending_commands(&self) -> Result<Vec<PendingCommand>, StoreError> {
        let rows = command::Entity::find()
            .filter(Expr::col(command::Column::DoneAt).is_null())
            .order_by_asc(command::Column::Id)
            .all(&self.read)
            .await
            .map_err(|error| self.location.explain(&error))?;
        Ok(rows.into_iter().map(pending).collect())
    }

    /// The answer to a command; `None` while there is none.
    pub async fn reply(&self, id: CommandId) -> Result<Option<Reply>, StoreError> {
        let row =
            command::Entity::find_by_id(id.0).one(&self.read).await.map_err(|error| self.location.explain(&error))?;
        let Some(text) = row.and_then(|row| row.reply) else { return Ok(None) };
        let reply = Reading::new("command", &id).json("reply", &text);
        reply.map(Some).map_err(|row| self.location.unreadable(row))
    }
}

fn pending(row: command::Model) -> PendingCommand {
    let control = serde_json::from_str(&row.control).map_err(|error| Refused::Invalid {
        message: format!("command {} cannot be understood by the scheduler's version: {error}", row.id),
    });
    PendingCommand { id: CommandId(row.id), user: row.user, control }
}
