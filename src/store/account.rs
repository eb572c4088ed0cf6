//! Users and their roles. What a role means is not known here.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
};

use crate::domain::time::Time;

use super::convert::{Reading, Unreadable, maybe_micros, micros, text};
use super::entity::{account, account_role, api_token, session};
use super::error::StoreError;
use super::open::Store;
use super::upsert::{Existing, Statements};

/// A user. Key: `username`.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountRow {
    pub username: String,
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    /// The hash; empty: nobody signs in with a password.
    pub password: String,
    /// A user who is not cannot sign in.
    pub is_active: bool,
    /// Sorted.
    pub roles: Vec<String>,
    pub created_at: Time,
    /// What proved who they are before this instant proves it no more.
    pub credentials_at: Time,
    pub signed_in_at: Option<Time>,
}

/// Without the hash.
impl std::fmt::Debug for AccountRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountRow")
            .field("username", &self.username)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// All users, by name.
    pub async fn accounts(&self) -> Result<Vec<AccountRow>, StoreError> {
        let read = async {
            let models = account::Entity::find().order_by_asc(account::Column::Username).all(&self.read).await?;
            let roles = account_role::Entity::find().order_by_asc(account_role::Column::Role).all(&self.read).await?;
            Ok::<_, DbErr>((models, roles))
        };
        let (models, roles) = read.await.map_err(|error| self.location.explain(&error))?;
        let with_roles = |model: account::Model| {
            let own =
                roles.iter().filter(|role| role.username == model.username).map(|role| role.role.clone()).collect();
            row(model, own).map_err(|row| self.location.unreadable(row))
        };
        models.into_iter().map(with_roles).collect()
    }

    pub async fn account(&self, username: &str) -> Result<Option<AccountRow>, StoreError> {
        let read = async {
            let Some(model) = account::Entity::find_by_id(username).one(&self.read).await? else { return Ok(None) };
            let roles = account_role::Entity::find()
                .filter(account_role::Column::Username.eq(username))
                .order_by_asc(account_role::Column::Role)
                .all(&self.read)
                .await?;
            Ok::<_, DbErr>(Some((model, roles)))
        };
        let found = read.await.map_err(|error| self.location.explain(&error))?;
        let found = found.map(|(model, roles)| row(model, roles.into_iter().map(|role| role.role).collect()));
        found.transpose().map_err(|row| self.location.unreadable(row))
    }

    /// Makes a user; `false`, and nothing is changed, when the name is taken.
    pub async fn add_account(&self, row: &AccountRow) -> Result<bool, StoreError> {
        let (model, roles) = models(row);
        self.change(async |tx| {
            let added = Statements::default().upsert::<account::Entity, _>(tx, Existing::Keep, [model]).await? > 0;
            if added {
                Statements::default().upsert::<account_role::Entity, _>(tx, Existing::Keep, roles).await?;
            }
            Ok(added)
        })
        .await
    }

    /// Replaces everything that is known of a user, the roles included.
    pub async fn replace_account(&self, row: &AccountRow) -> Result<(), StoreError> {
        let (model, roles) = models(row);
        self.change(async |tx| {
            Statements::default().upsert::<account::Entity, _>(tx, Existing::Replace, [model]).await?;
            forget_roles(tx, &row.username).await?;
            Statements::default().upsert::<account_role::Entity, _>(tx, Existing::Keep, roles).await?;
            Ok(())
        })
        .await
    }

    /// Whether there was such a user; now there is none, nor anything that proves somebody to be them.
    pub async fn delete_account(&self, username: &str) -> Result<bool, StoreError> {
        self.change(async |tx| {
            forget_roles(tx, username).await?;
            forget_proofs(tx, username).await?;
            Ok(account::Entity::delete_by_id(username).exec(tx).await?.rows_affected > 0)
        })
        .await
    }

    /// Gives a user another password, and ends every session of theirs. `false`: there is no such user.
    pub async fn set_password(&self, username: &str, hash: &str, at: Time) -> Result<bool, StoreError> {
        self.change(async |tx| {
            forget_sessions(tx, username).await?;
            let update = account::Entity::update_many()
                .col_expr(account::Column::Password, Expr::value(hash))
                .col_expr(account::Column::CredentialsAt, Expr::value(micros(at)))
                .filter(account::Column::Username.eq(username));
            Ok(update.exec(tx).await?.rows_affected > 0)
        })
        .await
    }

    /// Whether the user did not have the role before.
    pub async fn add_role(&self, username: &str, role: &str) -> Result<bool, StoreError> {
        let model = account_role::Model { username: text(username.to_owned()), role: role.to_owned() };
        self.change(async |tx| {
            Ok(Statements::default().upsert::<account_role::Entity, _>(tx, Existing::Keep, [model]).await? > 0)
        })
        .await
    }

    /// Whether the user had the role.
    pub async fn remove_role(&self, username: &str, role: &str) -> Result<bool, StoreError> {
        self.change(async |tx| {
            let gone = account_role::Entity::delete_by_id((username.to_owned(), role.to_owned())).exec(tx).await?;
            Ok(gone.rows_affected > 0)
        })
        .await
    }

    /// A user has signed in.
    pub async fn note_sign_in(&self, username: &str, at: Time) -> Result<(), StoreError> {
        self.change(async |tx| {
            let update = account::Entity::update_many()
                .col_expr(account::Column::SignedInAt, Expr::value(micros(at)))
                .filter(account::Column::Username.eq(username));
            update.exec(tx).await.map(|_| ())
        })
        .await
    }

    /// One transaction that writes from its first statement on, so that SQLite waits for its lock instead of failing.
    pub(super) async fn change<T>(
        &self,
        write: impl AsyncFnOnce(&DatabaseTransaction) -> Result<T, DbErr>,
    ) -> Result<T, StoreError> {
        let changed = async {
            let tx = self.begin().await?;
            let done = write(&tx).await?;
            tx.commit().await?;
            Ok(done)
        };
        changed.await.map_err(|error: DbErr| self.location.explain(&error))
    }

    /// A new row that the database numbers.
    pub(super) async fn insert<A>(&self, row: A) -> Result<(), StoreError>
    where
        A: ActiveModelTrait + sea_orm::ActiveModelBehavior + Send,
        <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
    {
        self.change(async |tx| row.insert(tx).await.map(|_| ())).await
    }
}

async fn forget_roles(tx: &DatabaseTransaction, username: &str) -> Result<(), DbErr> {
    account_role::Entity::delete_many().filter(account_role::Column::Username.eq(username)).exec(tx).await.map(|_| ())
}

async fn forget_sessions(tx: &DatabaseTransaction, username: &str) -> Result<(), DbErr> {
    session::Entity::delete_many().filter(session::Column::Username.eq(username)).exec(tx).await.map(|_| ())
}

async fn forget_proofs(tx: &DatabaseTransaction, username: &str) -> Result<(), DbErr> {
    forget_sessions(tx, username).await?;
    api_token::Entity::delete_many().filter(api_token::Column::Username.eq(username)).exec(tx).await.map(|_| ())
}

fn row(model: account::Model, roles: Vec<String>) -> Result<AccountRow, Unreadable> {
    let reading = Reading::new("account", &model.username);
    Ok(AccountRow {
        created_at: reading.time(model.created_at)?,
        credentials_at: reading.time(model.credentials_at)?,
        signed_in_at: reading.maybe_time(model.signed_in_at)?,
        username: model.username.clone(),
        email: model.email,
        first_name: model.first_name,
        last_name: model.last_name,
        password: model.password,
        is_active: model.is_active,
        roles,
    })
}

fn models(row: &AccountRow) -> (account::Model, Vec<account_role::Model>) {
    let username = text(row.username.clone());
    let role = |role: &String| account_role::Model { username: username.clone(), role: role.clone() };
    let roles = row.roles.iter().map(role).collect();
    let model = account::Model {
        username: username.clone(),
        email: text(row.email.clone()),
        first_name: text(row.first_name.clone()),
        last_name: text(row.last_name.clone()),
        password: row.password.clone(),
        is_active: row.is_active,
        created_at: micros(row.created_at),
        credentials_at: micros(row.credentials_at),
        signed_in_at: maybe_micros(row.signed_in_at),
    };
    (model, roles)
}
