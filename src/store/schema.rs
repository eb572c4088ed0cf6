//! Whether the tables are there and fit this program, and making it so.

use sea_orm::sqlx::ConnectOptions as _;
use sea_orm::sqlx::postgres::PgPoolOptions;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr};
use sea_orm_migration::MigratorTrait;

use super::error::StoreError;
use super::location::Location;
use super::migration::Migrator;
use super::mysql;
use super::open::Store;

/// One step of the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationStep {
    pub name: String,
    pub applied: bool,
}

impl Store {
    /// Proves that the database answers and that its tables fit this program.
    pub async fn check(&self) -> Result<(), StoreError> {
        let database = || self.describe();
        let steps = self.migration_status().await?;
        let missing = steps.iter().filter(|step| !step.applied).count();
        if missing == steps.len() {
            return Err(StoreError::SchemaMissing { database: database() });
        }
        if missing > 0 {
            return Err(StoreError::SchemaOld { database: database(), missing });
        }
        Ok(())
    }

    /// Every step that this program knows, in order. A database with further ones is newer than the program.
    pub async fn migration_status(&self) -> Result<Vec<MigrationStep>, StoreError> {
        let applied = match Migrator::get_migration_models(&self.write).await {
            Ok(models) => models.into_iter().map(|model| model.version).collect(),
            Err(error) => match self.location.explain(&error) {
                StoreError::SchemaMissing { .. } => Vec::new(),
                other => return Err(other),
            },
        };
        let known: Vec<String> = Migrator::migrations().iter().map(|step| step.name().to_owned()).collect();
        if let Some(step) = applied.iter().find(|step| !known.contains(step)) {
            return Err(StoreError::SchemaNewer { database: self.describe(), step: step.clone() });
        }
        Ok(known.into_iter().map(|name| MigrationStep { applied: applied.contains(&name), name }).collect())
    }

    /// Brings the tables to this program's shape; harmless when they have it. A newer schema is left alone.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        if self.migration_status().await?.iter().all(|step| step.applied) {
            return Ok(());
        }
        match self.with_patience(async |db| Migrator::up(db, None).await).await {
            Ok(()) => Ok(()),
            // Two nodes that start together both try; for the slower one it is done.
            Err(error) => match self.check().await {
                Ok(()) => Ok(()),
                Err(_) => Err(error),
            },
        }
    }

    /// Removes our tables with all they hold, and makes them anew. Tables of others stay.
    pub async fn reset(&self) -> Result<(), StoreError> {
        self.migration_status().await?;
        self.with_patience(async |db| {
            Migrator::reset(db).await?;
            Migrator::up(db, None).await
        })
        .await
    }

    /// The writer's session on a server ends what takes longer than a commit may; changing tables may.
    async fn with_patience(
        &self,
        change: impl AsyncFnOnce(&DatabaseConnection) -> Result<(), DbErr>,
    ) -> Result<(), StoreError> {
        let explain = |error: DbErr| self.location.explain(&error);
        match &*self.location {
            Location::Sqlite(_) => change(&self.write).await.map_err(explain),
            Location::Postgres(connect) => {
                let connect = connect.as_ref().clone().disable_statement_logging();
                let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(connect);
                let db = DatabaseConnection::from(pool);
                // `IF NOT EXISTS` answers with a notice, which is nothing to tell a user.
                let changed = match db.execute_unprepared("SET client_min_messages = warning").await {
                    Ok(_) => change(&db).await,
                    Err(error) => Err(error),
                };
                let closed = db.close().await;
                changed.and(closed).map_err(explain)
            }
            Location::Mysql(connect) => {
                let db = DatabaseConnection::from(mysql::for_changing_tables(connect));
                let changed = change(&db).await;
                let closed = db.close().await;
                changed.and(closed).map_err(explain)
            }
        }
    }
}
