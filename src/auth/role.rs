//! The roles that Airflow comes with. Each may do what the one below it may.

use std::fmt;
use std::str::FromStr;

/// What a user is allowed, from nothing to everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    Public,
    Viewer,
    User,
    Op,
    Admin,
}

impl Role {
    pub const ALL: [Self; 5] = [Self::Public, Self::Viewer, Self::User, Self::Op, Self::Admin];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "Public",
            Self::Viewer => "Viewer",
            Self::User => "User",
            Self::Op => "Op",
            Self::Admin => "Admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a valid role. Valid roles are: [Public, Viewer, User, Op, Admin]")]
pub struct UnknownRole(pub String);

/// Airflow 2 writes them with a capital, the simple auth manager of Airflow 3 without.
impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|role| role.as_str().eq_ignore_ascii_case(word.trim()));
        found.ok_or_else(|| UnknownRole(word.to_owned()))
    }
}
