//! The users that the configuration names, as Airflow's simple auth manager has them: their passwords are in a file
//! that people may read and edit, and one that is missing is made up.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::role::Role;
use super::secret;

/// `[core] simple_auth_manager_users`, and the users of one server alone.
#[derive(Clone)]
pub struct Configured {
    users: Vec<(String, Role)>,
    file: PathBuf,
    /// Nobody wrote them down: then they hold only until a user is made.
    are_default: bool,
    /// Those whose password is configured too.
    passwords: Vec<(String, String)>,
}

impl Configured {
    /// Nobody.
    pub fn none() -> Self {
        Self { users: Vec::new(), file: PathBuf::new(), are_default: true, passwords: Vec::new() }
    }

    /// From `user:role`.
    ///
    /// # Errors
    /// In a sentence, when one of them is not that.
    pub fn parse(entries: &[String], file: PathBuf, are_default: bool) -> Result<Self, String> {
        let user = |entry: &String| {
            let (name, role) = entry.split_once(':').ok_or_else(|| format!("expected user:role, got `{entry}`"))?;
            let role = role.parse().map_err(|unknown: super::role::UnknownRole| unknown.to_string())?;
            Ok::<_, String>((name.trim().to_owned(), role))
        };
        let users = entries.iter().map(user).collect::<Result<_, _>>()?;
        Ok(Self { users, file, are_default, passwords: Vec::new() })
    }

    /// With users of this role, from `user:password`.
    ///
    /// # Errors
    /// In a sentence without the password, when one of them is not that.
    pub fn with_passwords(mut self, entries: &str, role: Role) -> Result<Self, String> {
        for entry in entries.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (name, password) = entry.split_once(':').ok_or("expected user:password, got no colon")?;
            if name.is_empty() || password.is_empty() {
                return Err("expected user:password, got an empty one".to_owned());
            }
            self.users.retain(|(known, _)| known != name);
            self.users.push((name.to_owned(), role));
            self.passwords.push((name.to_owned(), password.to_owned()));
            self.are_default = false;
        }
        Ok(self)
    }

    pub fn are_default(&self) -> bool {
        self.are_default
    }

    pub fn users(&self) -> &[(String, Role)] {
        &self.users
    }

    pub fn file(&self) -> &Path {
        &self.file
    }

    pub(super) fn role(&self, username: &str) -> Option<Role> {
        self.users.iter().find(|(name, _)| name == username).map(|(_, role)| *role)
    }

    /// Whether this is the user's password. Who has none in the file has none.
    pub(super) fn knows(&self, username: &str, password: &str) -> bool {
        if let Some((_, kept)) = self.passwords.iter().find(|(name, _)| name == username) {
            return secret::is_same(kept, password);
        }
        let passwords = read(&self.file).unwrap_or_default();
        passwords.get(username).is_some_and(|kept| secret::is_same(kept, password))
    }

    /// Makes passwords for those who have none; gives those that were made.
    ///
    /// # Errors
    /// When the file cannot be read or written, or holds something else.
    pub fn complete(&self) -> io::Result<Vec<(String, String)>> {
        let mut passwords = read(&self.file)?;
        let mut made = Vec::new();
        for (name, _) in &self.users {
            let is_given = self.passwords.iter().any(|(given, _)| given == name);
            if !is_given && !passwords.contains_key(name) {
                let password = secret::random_password();
                made.push((name.clone(), password.clone()));
                passwords.insert(name.clone(), password);
            }
        }
        if !made.is_empty() {
            let text = serde_json::to_string(&passwords)?;
            write_private(&self.file, &text)?;
        }
        Ok(made)
    }
}

fn read(file: &Path) -> io::Result<BTreeMap<String, String>> {
    match fs::read_to_string(file) {
        Ok(text) if text.trim().is_empty() => Ok(BTreeMap::new()),
        Ok(text) => serde_json::from_str(&text).map_err(|why| {
            io::Error::new(io::ErrorKind::InvalidData, format!("expected {{\"user\": \"password\"}}: {why}"))
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error),
    }
}

/// Whole or not at all, for its owner alone.
///
/// # Errors
/// As for any file.
pub fn write_private(file: &Path, text: &str) -> io::Result<()> {
    let name = file.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy().into_owned();
    let draft = file.with_file_name(format!(".{name}.{}", std::process::id()));
    // A draft of an earlier life may be there with other rights.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    open.write_all(text.as_bytes()).and_then(|()| open.sync_all())?;
    fs::rename(&draft, file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_password_is_made_once_and_one_that_somebody_wrote_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("passwords.json");
        fs::write(&file, "{\"bob\": \"chosen\"}").expect("a file");
        let entries = ["ann:admin".to_owned(), "bob: viewer".to_owned()];
        let configured = Configured::parse(&entries, file.clone(), false).expect("users");
        let made = configured.complete().expect("a file that can be written");
        assert_eq!(made.len(), 1);
        assert!(configured.knows("ann", &made[0].1) && configured.knows("bob", "chosen"));
        assert!(!configured.knows("bob", &made[0].1) && !configured.knows("eve", ""));
        assert_eq!(configured.complete().expect("read"), []);
        assert_eq!(fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o600);
        assert_eq!((configured.role("ann"), configured.role("eve")), (Some(Role::Admin), None));
    }

    #[test]
    fn what_is_no_user_is_said() {
        let parse = |entry: &str| Configured::parse(&[entry.to_owned()], PathBuf::new(), false).map(|_| ());
        assert_eq!(parse("ann"), Err("expected user:role, got `ann`".to_owned()));
        assert!(parse("ann:boss").is_err_and(|why| why.contains("Valid roles are")));
    }
}
