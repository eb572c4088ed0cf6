//! Where the home folder is: configuration, DAG files, database and logs lie below it unless they say otherwise.
//! Nothing here creates the folder.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::domain::problem::{Place, Problem};

use super::environment::Environment;
use super::expand::expand;

/// Why the home folder is where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HomeOrigin {
    /// The environment variable of this name.
    Variable(&'static str),
    /// The current folder holds `dags/`.
    CurrentFolder,
    /// `~/updraft`
    Default,
}

impl fmt::Display for HomeOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "${name}"),
            Self::CurrentFolder => f.write_str("the current folder, because it holds dags/"),
            Self::Default => f.write_str("the default, ~/updraft"),
        }
    }
}

/// The home folder, absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    path: PathBuf,
    origin: HomeOrigin,
}

impl Home {
    /// `$UPDRAFT_HOME`, else `$AIRFLOW_HOME`, else the current folder if it holds `dags/`, else `~/updraft`.
    ///
    /// # Errors
    /// When nothing of this is there: no variable, no `dags/` and no `$HOME`.
    pub fn resolve(environment: &Environment) -> Result<Self, Problem> {
        for name in ["UPDRAFT_HOME", "AIRFLOW_HOME"] {
            if let Some(value) = environment.get_filled(name) {
                let place = Place::file(format!("environment variable {name}"));
                let path = expand(value, environment).map_err(|message| Problem::error(place, message))?;
                let path = environment.current_folder().join(path);
                return Ok(Self { path, origin: HomeOrigin::Variable(name) });
            }
        }
        if environment.current_folder().join("dags").is_dir() {
            let path = environment.current_folder().to_path_buf();
            return Ok(Self { path, origin: HomeOrigin::CurrentFolder });
        }
        let user = environment.get_filled("HOME").ok_or_else(|| {
            Problem::error(Place::file("environment"), "there is no home folder: neither UPDRAFT_HOME nor HOME is set")
                .hint("set UPDRAFT_HOME to a folder, or start in a folder that holds `dags/`")
        })?;
        Ok(Self { path: Path::new(user).join("updraft"), origin: HomeOrigin::Default })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn origin(&self) -> HomeOrigin {
        self.origin
    }

    /// `path` as it is if it is absolute, else below the home folder.
    pub fn join(&self, path: impl AsRef<Path>) -> PathBuf {
        self.path.join(path)
    }
}
