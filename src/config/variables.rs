//! Reads the configuration out of environment variables: `PREFIX__SECTION__KEY`, in upper case.

use super::claim::Written;
use super::environment::Environment;
use super::origin::Origin;

/// Every variable of this prefix. What is not in upper case is not for us, as in Airflow.
pub(super) fn read(environment: &Environment, prefix: &str) -> Vec<Written> {
    let written = environment.variables().filter_map(|(name, value)| {
        let rest = name.strip_prefix(prefix)?.strip_prefix("__")?;
        if rest.chars().any(|c| c.is_ascii_lowercase()) {
            return None;
        }
        let (section, key) = rest.split_once("__").unwrap_or((rest, ""));
        Some(Written {
            section: section.to_lowercase(),
            key: key.to_lowercase(),
            text: value.to_owned(),
            origin: Origin::Variable(name.to_owned()),
        })
    });
    written.collect()
}
