//! The process environment as a value. This is the only file of the program that may name `std::env`: everything
//! else gets an [`Environment`], so that a test can say exactly what a program sees.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The command line of this process, its own name first.
pub fn arguments() -> impl Iterator<Item = OsString> {
    std::env::args_os()
}

/// A snapshot of the environment variables and the current folder.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    current_folder: PathBuf,
}

impl Environment {
    /// What this process sees. Variables that are not UTF-8 cannot hold a configuration value and are left out.
    ///
    /// # Errors
    /// When the current folder was removed or may not be read.
    pub fn from_process() -> std::io::Result<Self> {
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Ok(Self { variables: variables.collect(), current_folder: std::env::current_dir()? })
    }

    /// An environment that holds nothing but what is given.
    pub fn new<'a>(
        current_folder: impl Into<PathBuf>,
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        Self {
            variables: variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            current_folder: current_folder.into(),
        }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// As [`get`](Self::get), but a variable that is set to nothing counts as not set.
    pub fn get_filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.trim().is_empty())
    }

    pub fn current_folder(&self) -> &Path {
        &self.current_folder
    }

    /// Every variable, sorted by name.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}
