//! What proves that somebody has signed in: sessions of browsers and tokens of programs. Only hashes are kept, so a
//! copy of the database lets nobody in.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::domain::time::Time;

use super::convert::{Reading, Unreadable, maybe_micros, micros, text};
use super::entity::{api_token, session};
use super::error::StoreError;
use super::open::Store;
use super::upsert::{Existing, Statements};

/// A session. Key: `token`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// The hash of what the cookie holds.
    pub token: String,
    pub username: String,
    pub created_at: Time,
    /// Of the newest request, now and then.
    pub seen_at: Time,
    pub address: String,
}

/// A token that a user made for a program. Key: `token`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiTokenRow {
    /// The hash of what the program sends.
    pub token: String,
    pub username: String,
    /// What the user calls it.
    pub name: String,
    pub created_at: Time,
    /// `None`: it holds until it is deleted.
    pub expires_at: Option<Time>,
}

impl Store {
    /// Keeps a session, and forgets all that nobody was seen in since `before`.
    pub async fn add_session(&self, row: &SessionRow, before: Time) -> Result<(), StoreError> {
        let model = session::Model {
            token: row.token.clone(),
            username: text(row.username.clone()),
            created_at: micros(row.created_at),
            seen_at: micros(row.seen_at),
            address: text(row.address.clone()),
        };
        self.change(async |tx| {
            session::Entity::delete_many().filter(session::Column::SeenAt.lt(micros(before))).exec(tx).await?;
            Statements::default().upsert::<session::Entity, _>(tx, Existing::Replace, [model]).await.map(|_| ())
        })
        .await
    }

    pub async fn session(&self, token: &str) -> Result<Option<SessionRow>, StoreError> {
        self.read_one(session::Entity::find_by_id(token).one(&self.read).await)
    }

    pub async fn see_session(&self, token: &str, at: Time) -> Result<(), StoreError> {
        self.change(async |tx| {
            let update = session::Entity::update_many()
                .col_expr(session::Column::SeenAt, Expr::value(micros(at)))
                .filter(session::Column::Token.eq(token));
            update.exec(tx).await.map(|_| ())
        })
        .await
    }

    pub async fn end_session(&self, token: &str) -> Result<(), StoreError> {
        self.change(async |tx| session::Entity::delete_by_id(token).exec(tx).await.map(|_| ())).await
    }

    pub async fn add_api_token(&self, row: &ApiTokenRow) -> Result<(), StoreError> {
        let model = api_token::Model {
            token: row.token.clone(),
            username: text(row.username.clone()),
            name: text(row.name.clone()),
            created_at: micros(row.created_at),
            expires_at: maybe_micros(row.expires_at),
        };
        self.change(async |tx| {
            Statements::default().upsert::<api_token::Entity, _>(tx, Existing::Replace, [model]).await.map(|_| ())
        })
        .await
    }

    pub async fn api_token(&self, token: &str) -> Result<Option<ApiTokenRow>, StoreError> {
        self.read_one(api_token::Entity::find_by_id(token).one(&self.read).await)
    }

    /// The tokens of a user, the newest first.
    pub async fn api_tokens(&self, username: &str) -> Result<Vec<ApiTokenRow>, StoreError> {
        let query = api_token::Entity::find()
            .filter(api_token::Column::Username.eq(username))
            .order_by_desc(api_token::Column::CreatedAt);
        self.read_all(query.all(&self.read).await)
    }

    /// Whether the user had such a token.
    pub async fn delete_api_token(&self, username: &str, token: &str) -> Result<bool, StoreError> {
        self.change(async |tx| {
            let gone = api_token::Entity::delete_many()
                .filter(api_token::Column::Username.eq(username))
                .filter(api_token::Column::Token.eq(token));
            Ok(gone.exec(tx).await?.rows_affected > 0)
        })
        .await
    }
}

impl TryFrom<session::Model> for SessionRow {
    type Error = Unreadable;

    fn try_from(model: session::Model) -> Result<Self, Unreadable> {
        let reading = Reading::new("session", &model.username);
        let (created_at, seen_at) = (reading.time(model.created_at)?, reading.time(model.seen_at)?);
        Ok(Self { created_at, seen_at, token: model.token, username: model.username, address: model.address })
    }
}

impl TryFrom<api_token::Model> for ApiTokenRow {
    type Error = Unreadable;

    fn try_from(model: api_token::Model) -> Result<Self, Unreadable> {
        let reading = Reading::new("api_token", &model.username);
        let (created_at, expires_at) = (reading.time(model.created_at)?, reading.maybe_time(model.expires_at)?);
        Ok(Self { created_at, expires_at, token: model.token, username: model.username, name: model.name })
    }
}
