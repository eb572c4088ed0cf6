//! Puts the layers over each other, strongest last, and makes one checked configuration of them:
//!
//! ```text
//! default.toml < airflow2.toml (if airflow_era = 2) < the file < AIRFLOW__… < UPDRAFT__… < flags
//! ```
//!
//! Everything that is wrong is gathered and said at once. Nothing here prints, and nothing is written.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ::config::{Config as Tree, FileFormat, Map, Source, Value};

use crate::domain::problem::{Place, Problem, Severity};

use super::claim::{Claimed, Dialect, Order, claim};
use super::command::output_of;
use super::entry::{Config, ConfigError, Entry, Loaded};
use super::environment::Environment;
use super::era::Era;
use super::expand::expand;
use super::file::ConfigFile;
use super::home::Home;
use super::key::{Effect, Key, Kind, Name, find};
use super::layer::{Given, Layer, Rank, Setting};
use super::manual::{AIRFLOW2_TOML, DEFAULT_TOML, HOME_PLACEHOLDER};
use super::origin::Origin;
use super::settings::Settings;
use super::table::KEYS;
use super::value::{self, Misfit};
use super::{toml_file, variables};

/// A value that the command line gives.
#[derive(Clone, Debug)]
pub struct Flag {
    pub name: Name,
    pub value: String,
    /// As the person typed it, for example `--executor`.
    pub flag: String,
}

/// Reads the whole configuration. Commands of secrets (`_CMD`) run here, but only where nothing stronger is set.
///
/// # Errors
/// Every mistake that was found, each with its place. Warnings are part of the result and are for the caller to
/// print on stderr.
pub fn load(environment: &Environment, flags: &[Flag]) -> Result<Loaded, ConfigError> {
    let home = Home::resolve(environment).map_err(ConfigError::one)?;
    let file = ConfigFile::find(environment, &home).map_err(ConfigError::one)?;
    let mut gathered = Gathered::default();
    if let Some(file) = &file {
        let written = file.read().map_err(ConfigError::new)?;
        gathered.add(claim(Rank::File, file.dialect, Order::FormByForm, written), &file.path.display().to_string());
    }
    for (rank, dialect, prefix) in
        [(Rank::AirflowVariables, Dialect::Airflow, "AIRFLOW"), (Rank::UpdraftVariables, Dialect::Updraft, "UPDRAFT")]
    {
        let written = variables::read(environment, prefix);
        gathered.add(claim(rank, dialect, Order::NameByName, written), "the environment");
    }
    gathered.layers.push(flag_layer(flags)?);
    let Gathered { mut layers, mut problems, old_names, .. } = gathered;
    problems.extend(old_names.into_values());
    expand_all(&mut layers, environment, &mut problems);
    fetch_secrets(&mut layers, &mut problems);
    if let Some(era_layer) = era_layer(&layers) {
        layers.insert(0, era_layer);
    }
    let entries = merge(&layers, &home)?;
    let (typed, misfits) = read_all(&entries, &home);
    problems.extend(misfits);
    let (mut errors, warnings): (Vec<_>, Vec<_>) =
        problems.into_iter().partition(|problem| problem.severity == Severity::Error);
    if !errors.is_empty() {
        return Err(ConfigError::new(errors));
    }
    let mut settings = settings(typed, &entries, &home)?;
    settings.search_path = environment.get("PATH").unwrap_or_default().to_owned();
    errors.extend(time_problems(&settings, &entries));
    if !errors.is_empty() {
        return Err(ConfigError::new(errors));
    }
    Ok(Loaded { config: Config::new(home, file.map(|file| file.path), entries, settings), warnings })
}

/// What all sources said, weakest layer first.
#[derive(Default)]
struct Gathered {
    layers: Vec<Layer>,
    problems: Vec<Problem>,
    /// One warning per old name, wherever it stands.
    old_names: BTreeMap<Name, Problem>,
}

impl Gathered {
    fn add(&mut self, claimed: Claimed, source: &str) {
        let Claimed { layer, problems, old_names, ignored } = claimed;
        self.layers.push(layer);
        self.problems.extend(problems);
        for (old, problem) in old_names {
            self.old_names.entry(old).or_insert(problem);
        }
        if let Some(problem) = ignored_problem(source, &ignored) {
            self.problems.push(problem);
        }
    }
}

/// One sentence about all options that mean nothing here.
fn ignored_problem(source: &str, ignored: &[String]) -> Option<Problem> {
    /// As many as a line holds.
    const SHOWN: usize = 5;
    if ignored.is_empty() {
        return None;
    }
    let mut names = ignored.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if ignored.len() > SHOWN {
        names.push_str(&format!(" and {} more", ignored.len() - SHOWN));
    }
    let message = match ignored.len() {
        1 => format!("1 option has no meaning here and is ignored: {names}"),
        count => format!("{count} options have no meaning here and are ignored: {names}"),
    };
    Some(Problem::warning(Place::file(source), message))
}

fn flag_layer(flags: &[Flag]) -> Result<Layer, ConfigError> {
    let mut layer = Layer::new(Rank::Flags);
    for Flag { name, value, flag } in flags {
        let key = find(name.section, name.key)
            .ok_or_else(|| ConfigError::internal(format!("the flag {flag} sets {name}, which is no key")))?;
        let setting = Setting { given: Given::Text(value.clone()), origin: Origin::Flag(flag.clone()), old_name: None };
        layer.settings.insert(key.name, setting);
    }
    Ok(layer)
}

/// Replaces `$VAR` and `~`, but not in what a shell expanded already and not in commands.
fn expand_all(layers: &mut [Layer], environment: &Environment, problems: &mut Vec<Problem>) {
    for setting in layers.iter_mut().filter(|layer| layer.rank != Rank::Flags).flat_map(|l| l.settings.values_mut()) {
        match &mut setting.given {
            Given::Text(text) => match expand(text, environment) {
                Ok(expanded) => *text = expanded,
                Err(message) => problems.push(Problem::error(setting.origin.place(), message)),
            },
            Given::Command(_) | Given::Secret => {}
        }
    }
}

/// Runs the commands that decide a value, and drops the others unseen.
fn fetch_secrets(layers: &mut [Layer], problems: &mut Vec<Problem>) {
    let mut decided: BTreeSet<Name> = BTreeSet::new();
    for layer in layers.iter_mut().rev() {
        layer.settings.retain(|&name, setting| {
            if !decided.insert(name) {
                return matches!(setting.given, Given::Text(_));
            }
            let outcome = match &setting.given {
                Given::Text(_) => return true,
                Given::Command(command) => output_of(command),
                Given::Secret => Err("there is no secrets backend yet; give the value itself, or a command that \
                                      prints it (`_CMD`)"
                    .to_owned()),
            };
            match outcome {
                Ok(text) => setting.given = Given::Text(text),
                Err(message) => {
                    let message = format!("{name}: {message}");
                    problems.push(weighed(find(name.section, name.key), &setting.origin, message));
                }
            }
            matches!(setting.given, Given::Text(_))
        });
    }
}

/// The defaults of Airflow 2, when the strongest layer that names an era asks for them.
fn era_layer(layers: &[Layer]) -> Option<Layer> {
    const ERA: Name = Name::new("core", "airflow_era");
    let given = layers.iter().rev().find_map(|layer| layer.settings.get(&ERA))?;
    let Given::Text(text) = &given.given else { return None };
    match Era::from_word(text)? {
        Era::Airflow3 => None,
        Era::Airflow2 => {
            let mut layer = Layer::new(Rank::Era);
            for setting in toml_file::read(AIRFLOW2_TOML).0 {
                if let Some(key) = find(&setting.section, &setting.key) {
                    let origin = Origin::EraDefault(Era::Airflow2);
                    let given = Given::Text(setting.value);
                    layer.settings.insert(key.name, Setting { given, origin, old_name: None });
                }
            }
            Some(layer)
        }
    }
}

/// Lays the layers over the defaults and finds out, key by key, who decided.
fn merge(layers: &[Layer], home: &Home) -> Result<Vec<Entry>, ConfigError> {
    let defaults = ::config::File::from_str(DEFAULT_TOML, FileFormat::Toml);
    let builder =
        layers.iter().fold(Tree::builder().add_source(defaults), |builder, layer| builder.add_source(layer.clone()));
    // Reading a value through serde would lose its origin, so the tree is taken apart instead.
    let mut sections: Map<String, Map<String, Value>> = Map::new();
    for (section, keys) in builder.build().and_then(|tree| tree.collect()).map_err(ConfigError::internal)? {
        sections.insert(section, keys.into_table().map_err(ConfigError::internal)?);
    }
    let by_rank: HashMap<&str, &Layer> = layers.iter().map(|layer| (layer.rank.as_str(), layer)).collect();
    let entry = |key: &'static Key| {
        let value = sections.get(key.name.section).and_then(|keys| keys.get(key.name.key)).cloned();
        let value = value.ok_or_else(|| ConfigError::internal(format!("{} has no default", key.name)))?;
        let decided = value.origin().and_then(|rank| by_rank.get(rank)).and_then(|l| l.settings.get(&key.name));
        let text = written_text(key.kind, value).map_err(ConfigError::internal)?;
        Ok(match decided {
            Some(setting) => Entry::new(key, text, setting.origin.clone(), setting.old_name),
            None => {
                Entry::new(key, text.replace(HOME_PLACEHOLDER, &home.path().to_string_lossy()), Origin::Default, None)
            }
        })
    };
    KEYS.iter().map(entry).collect()
}

fn written_text(kind: Kind, value: Value) -> Result<String, ::config::ConfigError> {
    // TOML's own booleans are shown as Airflow shows them; a text keeps its spelling until its kind reads it.
    match (kind, &value.kind) {
        (Kind::Bool, ::config::ValueKind::Boolean(flag)) => Ok(if *flag { "True" } else { "False" }.to_owned()),
        _ => value.into_string(),
    }
}

/// Reads every value as its kind says.
fn read_all(entries: &[Entry], home: &Home) -> (Map<String, Map<String, Value>>, Vec<Problem>) {
    let mut typed: Map<String, Map<String, Value>> = Map::new();
    let mut problems = Vec::new();
    for entry in entries {
        match value::read(entry.key.kind, entry.reveal(), home) {
            Ok(kind) => {
                let section = typed.entry(entry.key.name.section.to_owned()).or_default();
                section.insert(entry.key.name.key.to_owned(), Value::new(None, kind));
            }
            Err(misfit) => problems.push(misfit_problem(entry, misfit)),
        }
    }
    (typed, problems)
}

fn misfit_problem(entry: &Entry, misfit: Misfit) -> Problem {
    let name = entry.old_name.unwrap_or(entry.key.name);
    let (message, hint) = match misfit {
        Misfit::Says(sentence) => (format!("{name}: {sentence}"), None),
        Misfit::Expected { expected, hint } => {
            let got = if entry.key.sensitive { "a value that is kept secret".into() } else { entry.got() };
            (format!("expected {name} to be {expected}; got {got}"), hint)
        }
    };
    let problem = weighed(Some(entry.key), &entry.origin, message);
    Problem { hint, ..problem }
}

/// A value that nothing reads cannot do harm, so it does not keep the program from starting.
fn weighed(key: Option<&Key>, origin: &Origin, message: String) -> Problem {
    match key.map(|key| key.effect) {
        Some(Effect::Later | Effect::Never) => Problem::warning(origin.place(), message),
        Some(Effect::Used) | None => Problem::error(origin.place(), message),
    }
}

fn settings(
    mut typed: Map<String, Map<String, Value>>,
    entries: &[Entry],
    home: &Home,
) -> Result<Settings, ConfigError> {
    const LIMIT: Name = Name::new("core", "max_active_tasks_per_dag");
    let by_old_name = entries.iter().any(|entry| entry.key.name == LIMIT && entry.old_name.is_some());
    if let Some(core) = typed.get_mut("core") {
        let airflow2 = core.get("airflow_era").is_some_and(|era| era.kind == "2".into());
        let scope = if airflow2 || by_old_name { "all_runs" } else { "each_run" };
        core.insert("max_active_tasks_scope".to_owned(), Value::new(None, scope));
    }
    let mut root: Map<String, Value> = Map::new();
    root.insert("home".to_owned(), Value::new(None, home.path().to_string_lossy().into_owned()));
    root.extend(typed.into_iter().map(|(section, keys)| (section, Value::new(None, keys))));
    let mut settings: Settings = Value::new(None, root).try_deserialize().map_err(ConfigError::internal)?;
    settings.database.url = settings.database.url.below(home.path());
    Ok(settings)
}

/// The inequalities between the times that do not hold, at the place of a value that somebody set.
fn time_problems(settings: &Settings, entries: &[Entry]) -> Vec<Problem> {
    let problem = |violation: super::times::TimesViolation| {
        let set = entries.iter().find(|entry| !entry.origin.is_default() && violation.keys.contains(&entry.key.name));
        let place = set.map_or_else(|| Origin::Default.place(), |entry| entry.origin.place());
        Problem::error(place, violation.to_string())
    };
    settings.times().violations().into_iter().map(problem).collect()
}
