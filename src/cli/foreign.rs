//! Commands of Airflow that are not here: what to use instead.

use std::ffi::OsString;

/// Airflow's word, and what does its job here.
const FOREIGN: [(&str, &str); 1] = [("providers", "Python operators of providers need no command here")];

/// What to say about the first word that is a command of Airflow and none of ours.
pub fn hint(arguments: &[OsString]) -> Option<&'static str> {
    let word = arguments.iter().skip(1).find_map(|word| word.to_str().filter(|word| !word.starts_with('-')))?;
    FOREIGN.iter().find(|(name, _)| *name == word).map(|(_, hint)| *hint)
}
