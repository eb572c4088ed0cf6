//! Who may sign in, who has, and who did what.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, boolean, integer_null, string_len, string_len_null, text, text_null,
};

use super::change::{NewIndex, create_table};

/// What `domain::ids` allows, in characters; a user's name is as long at most.
const ID: u32 = 250;
/// SHA-256, in hex.
const HASH: u32 = 64;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let account = Table::create()
            .table("account")
            .col(string_len("username", ID).primary_key())
            .col(text("email"))
            .col(text("first_name"))
            .col(text("last_name"))
            .col(text("password"))
            .col(boolean("is_active"))
            .col(big_integer("created_at"))
            .col(big_integer("credentials_at"))
            .col(big_integer_null("signed_in_at"))
            .to_owned();
        let role = Table::create()
            .table("account_role")
            .col(string_len("username", ID))
            .col(string_len("role", 32))
            .primary_key(Index::create().col("username").col("role"))
            .to_owned();
        let session = Table::create()
            .table("session")
            .col(string_len("token", HASH).primary_key())
            .col(string_len("username", ID))
            .col(big_integer("created_at"))
            .col(big_integer("seen_at"))
            .col(text("address"))
            .to_owned();
        let api_token = Table::create()
            .table("api_token")
            .col(string_len("token", HASH).primary_key())
            .col(string_len("username", ID))
            .col(text("name"))
            .col(big_integer("created_at"))
            .col(big_integer_null("expires_at"))
            .to_owned();
        let audit_log = Table::create()
            .table("audit_log")
            .col(ColumnDef::new("id").big_integer().not_null().auto_increment().primary_key())
            .col(big_integer("at"))
            .col(string_len("event", 64))
            .col(string_len("username", ID))
            .col(text("origin"))
            .col(text("outcome"))
            .col(string_len_null("dag_id", ID))
            .col(string_len_null("run_id", ID))
            .col(string_len_null("task_id", ID))
            .col(integer_null("map_index"))
            .col(text_null("extra"))
            .to_owned();
        for table in [account, role, session, api_token, audit_log] {
            create_table(manager, table).await?;
        }
        for index in [
            NewIndex::new("session_of_user", "session", &["username"]),
            NewIndex::new("api_token_of_user", "api_token", &["username"]),
            NewIndex::new("audit_log_of_dag", "audit_log", &["dag_id", "id"]),
            NewIndex::new("audit_log_at", "audit_log", &["at"]),
        ] {
            index.create(manager).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in ["audit_log", "api_token", "session", "account_role", "account"] {
            manager.drop_table(Table::drop().table(name).if_exists().to_owned()).await?;
        }
        Ok(())
    }
}
