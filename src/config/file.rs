//! Finds the one configuration file and reads it: `updraft.toml`, or an `airflow.cfg` as it stands.

use std::path::{Path, PathBuf};

use crate::domain::problem::{Place, Problem};

use super::claim::{Dialect, Written};
use super::environment::Environment;
use super::expand::expand;
use super::home::Home;
use super::origin::Origin;
use super::{ini, toml_file};

/// The configuration file that is read, and whose words it speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConfigFile {
    pub path: PathBuf,
    pub dialect: Dialect,
}

impl ConfigFile {
    fn at(path: PathBuf) -> Self {
        let toml = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
        Self { path, dialect: if toml { Dialect::Updraft } else { Dialect::Airflow } }
    }

    /// The file that `UPDRAFT_CONFIG` or `AIRFLOW_CONFIG` names, else `updraft.toml`, else `airflow.cfg` in the
    /// home folder, else none.
    ///
    /// # Errors
    /// When a variable names a file that is not there.
    pub(super) fn find(environment: &Environment, home: &Home) -> Result<Option<Self>, Problem> {
        for name in ["UPDRAFT_CONFIG", "AIRFLOW_CONFIG"] {
            if let Some(value) = environment.get_filled(name) {
                let place = || Place::file(format!("environment variable {name}"));
                let path = expand(value, environment).map_err(|message| Problem::error(place(), message))?;
                let path = environment.current_folder().join(path);
                if !path.exists() {
                    let message = format!("the configuration file {} does not exist", path.display());
                    return Err(Problem::error(place(), message).hint(format!("create it, or unset {name}")));
                }
                return Ok(Some(Self::at(path)));
            }
        }
        let usual = ["updraft.toml", "airflow.cfg"].map(|name| home.join(name));
        Ok(usual.into_iter().find(|path| path.exists()).map(Self::at))
    }

    /// Everything that the file says.
    ///
    /// # Errors
    /// When the file cannot be read, or not understood.
    pub(super) fn read(&self) -> Result<Vec<Written>, Vec<Problem>> {
        let bytes = std::fs::read(&self.path).map_err(|error| {
            let message = format!("the configuration file cannot be read: {error}");
            vec![Problem::error(Place::file(self.path.display().to_string()), message)]
        })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count();
            let line = u32::try_from(line).unwrap_or(u32::MAX);
            let place = Place::line(self.path.display().to_string(), line);
            vec![Problem::error(place, "the configuration file is not UTF-8 text")]
        })?;
        match self.dialect {
            Dialect::Updraft => read_toml(&self.path, &text),
            Dialect::Airflow => read_ini(&self.path, &text),
        }
    }
}

fn read_toml(path: &Path, text: &str) -> Result<Vec<Written>, Vec<Problem>> {
    let (settings, errors) = toml_file::read(text);
    if !errors.is_empty() {
        let problem = |error: toml_file::TomlError| {
            let file = path.display().to_string();
            Problem::error(Place { file, line: Some(error.line), column: Some(error.column) }, error.message)
        };
        return Err(errors.into_iter().map(problem).collect());
    }
    let written = settings.into_iter().map(|setting| Written {
        section: setting.section.to_lowercase(),
        key: setting.key.to_lowercase(),
        text: setting.value,
        origin: Origin::File { path: path.to_path_buf(), line: setting.line, column: Some(setting.column) },
    });
    Ok(written.collect())
}

fn read_ini(path: &Path, text: &str) -> Result<Vec<Written>, Vec<Problem>> {
    let options = ini::read(text)
        .map_err(|error| vec![Problem::error(Place::line(path.display().to_string(), error.line), error.message)])?;
    let written = options.into_iter().map(|option| Written {
        section: option.section.to_lowercase(),
        key: option.key,
        text: option.value,
        origin: Origin::File { path: path.to_path_buf(), line: option.line, column: None },
    });
    Ok(written.collect())
}
