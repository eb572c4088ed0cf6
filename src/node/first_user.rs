//! Somebody must be able to sign in where a server begins: the passwords of configured users are made, and where
//! there is no user at all, an administrator.

use chrono::Utc;

use crate::auth::configured::write_private;
use crate::auth::{Role, password, secret};
use crate::config;
use crate::store::{AccountRow, Store};

use super::run::NodeError;
use super::web;

/// As Airflow 2 calls the file.
const FILE: &str = "standalone_admin_password.txt";

/// Whether an administrator is made where there is no user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nobody {
    GetsAnAdministrator,
    StaysNobody,
}

/// How people sign in, in words for them. A password is in it only when it was made just now.
pub(super) async fn ready(config: &config::Config, store: &Store, nobody: Nobody) -> Result<Vec<String>, NodeError> {
    let settings = config.settings();
    if settings.core.simple_auth_manager_all_admins {
        return Ok(vec!["nobody needs to: everybody on this machine is an administrator".to_owned()]);
    }
    let has_accounts = !store.accounts().await?.is_empty();
    let configured = web::configured(config)?;
    let they_hold = !configured.are_default() || !has_accounts;
    if they_hold && !configured.users().is_empty() {
        let file = configured.file().display().to_string();
        let unusable = |why| NodeError::System { what: "cannot keep the passwords of simple_auth_manager_users", why };
        let made = configured.complete().map_err(unusable)?;
        let known = |(name, password): &(String, String)| format!("user {name}, password {password} (kept in {file})");
        return Ok(match made.as_slice() {
            [] => vec![format!("the passwords are in {file}")],
            made => made.iter().map(known).collect(),
        });
    }
    if has_accounts || nobody == Nobody::StaysNobody {
        return Ok(Vec::new());
    }
    let (file, password, now) = (settings.home.join(FILE), secret::random_password(), Utc::now());
    let row = AccountRow {
        username: "admin".to_owned(),
        email: String::new(),
        first_name: "Admin".to_owned(),
        last_name: "User".to_owned(),
        password: password::hash(password.clone()).await,
        is_active: true,
        roles: vec![Role::Admin.as_str().to_owned()],
        created_at: now,
        credentials_at: now,
        signed_in_at: None,
    };
    // The file comes first: a user whose password nobody knows would be of no use.
    write_private(&file, &format!("{password}\n"))
        .map_err(|why| NodeError::System { what: "cannot keep the password of the first user", why })?;
    if !store.add_account(&row).await? {
        return Ok(Vec::new());
    }
    Ok(vec![format!("user admin, password {password} (kept in {})", file.display())])
}
