//! Matches what a source says with the table of keys: each key takes its value under the best of its names, and
//! what no key takes is a misspelling, an option of Airflow's own, or a mistake.
//!
//! Nothing here reads a file or runs a command.

use std::collections::{BTreeMap, HashMap};

use crate::domain::problem::{Problem, Severity, did_you_mean};

use super::foreign;
use super::key::{Key, Name, find, sections, variable};
use super::layer::{Given, Layer, Rank, Setting};
use super::origin::Origin;
use super::table::KEYS;

/// One value as a source gives it; section and key in lower case.
#[derive(Debug)]
pub(super) struct Written {
    pub section: String,
    pub key: String,
    pub text: String,
    pub origin: Origin,
}

/// Whose words a source speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Ours: what we do not know is a mistake.
    Updraft,
    /// Airflow's: it has many options that mean nothing here.
    Airflow,
}

/// In what order the names of a key are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Each name with all its forms before the next name (the environment).
    NameByName,
    /// Each form under all names before the next form (a file).
    FormByForm,
}

/// How a value is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Plain,
    Command,
    Secret,
}

impl Form {
    const ALL: [Self; 3] = [Self::Plain, Self::Command, Self::Secret];

    fn suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Command => "_cmd",
            Self::Secret => "_secret",
        }
    }

    fn given(self, text: String) -> Given {
        match self {
            Self::Plain => Given::Text(text),
            Self::Command => Given::Command(text),
            Self::Secret => Given::Secret,
        }
    }
}

/// What a source says about the keys we know, and what is to be said about the rest.
pub(super) struct Claimed {
    pub layer: Layer,
    pub problems: Vec<Problem>,
    /// Old names that were used, each with its place and today's name.
    pub old_names: BTreeMap<Name, Problem>,
    /// Options of Airflow's own, as `section.key`.
    pub ignored: Vec<String>,
}

/// Hands every value to the key that it is for.
pub(super) fn claim(rank: Rank, dialect: Dialect, order: Order, written: Vec<Written>) -> Claimed {
    let mut claimed =
        Claimed { layer: Layer::new(rank), problems: Vec::new(), old_names: BTreeMap::new(), ignored: Vec::new() };
    let by_name: HashMap<(String, String), usize> =
        written.iter().enumerate().map(|(n, one)| ((one.section.clone(), one.key.clone()), n)).collect();
    let mut taken = vec![false; written.len()];
    for key in KEYS {
        for (name, form) in candidates(key, order) {
            let spelt = format!("{}{}", name.key, form.suffix());
            let Some(&n) = by_name.get(&(name.section.to_owned(), spelt)) else { continue };
            taken[n] = true;
            let one = &written[n];
            let old_name = (name != key.name).then_some(name);
            if let Some(old) = old_name {
                let beaten = claimed.layer.settings.contains_key(&key.name);
                claimed.old_names.entry(old).or_insert_with(|| old_name_warning(old, key, one, beaten));
            }
            claimed.layer.settings.entry(key.name).or_insert_with(|| Setting {
                given: form.given(one.text.clone()),
                origin: one.origin.clone(),
                old_name,
            });
        }
    }
    for (one, _) in written.iter().zip(taken).filter(|(_, taken)| !taken) {
        judge_unknown(dialect, one, &mut claimed);
    }
    claimed
}

fn candidates(key: &Key, order: Order) -> Vec<(Name, Form)> {
    let forms = if key.sensitive { &Form::ALL[..] } else { &Form::ALL[..1] };
    match order {
        Order::NameByName => key.names().flat_map(|name| forms.iter().map(move |&form| (name, form))).collect(),
        Order::FormByForm => forms.iter().flat_map(|&form| key.names().map(move |name| (name, form))).collect(),
    }
}

fn old_name_warning(old: Name, key: &Key, one: &Written, beaten: bool) -> Problem {
    let place = one.origin.place();
    if beaten {
        let message = format!("{old} is the old name of {}, which is set as well and counts", key.name);
        return Problem::warning(place, message).hint("remove the old one");
    }
    Problem::warning(place, format!("{old} is the old name of {}", key.name))
        .hint("the old name goes on working; rename it to be rid of this warning")
}

fn judge_unknown(dialect: Dialect, one: &Written, claimed: &mut Claimed) {
    let place = one.origin.place();
    let asked = describe(one);
    if let Some((key, form)) = with_form(&one.section, &one.key) {
        // Only a form of a key that is no secret comes here: the others were taken.
        let message = format!("{asked}: only a secret may be given as a {form}, and {} is none", key.name);
        let problem = Problem::error(place, message).hint(format!("write the value of {} itself", key.name));
        claimed.problems.push(in_dialect(dialect, problem));
        return;
    }
    if dialect == Dialect::Airflow && foreign::knows(&one.section, base(&one.key)) {
        claimed.ignored.push(format!("{}.{}", one.section, one.key));
        return;
    }
    let meant = meant(&one.section, &one.key, dialect);
    match (dialect, meant) {
        (Dialect::Airflow, None) => claimed.ignored.push(format!("{}.{}", one.section, one.key)),
        (Dialect::Airflow | Dialect::Updraft, meant) => {
            let mut problem = Problem::error(place, format!("there is no key {asked}"));
            problem.hint = meant.map(|name| format!("did you mean `{}`?", respell(one, name)));
            claimed.problems.push(in_dialect(dialect, problem));
        }
    }
}

/// Airflow's sources are taken as they stand: what is wrong in them is said, and the program goes on.
fn in_dialect(dialect: Dialect, problem: Problem) -> Problem {
    match dialect {
        Dialect::Updraft => problem,
        Dialect::Airflow => Problem { severity: Severity::Warning, ..problem },
    }
}

fn describe(one: &Written) -> String {
    match &one.origin {
        Origin::Variable(name) => format!("`{name}`"),
        Origin::Default | Origin::EraDefault(_) | Origin::File { .. } | Origin::Flag(_) => {
            format!("`[{}] {}`", one.section, one.key)
        }
    }
}

/// The right name in the words of the source that had the wrong one.
fn respell(one: &Written, name: Name) -> String {
    match &one.origin {
        Origin::Variable(spelt) => {
            let prefix = spelt.split("__").next().unwrap_or_default();
            variable(prefix, name.section, name.key)
        }
        Origin::Default | Origin::EraDefault(_) | Origin::File { .. } | Origin::Flag(_) => name.to_string(),
    }
}

fn base(key: &str) -> &str {
    key.strip_suffix("_cmd").or_else(|| key.strip_suffix("_secret")).unwrap_or(key)
}

fn with_form(section: &str, key: &str) -> Option<(&'static Key, &'static str)> {
    let (base, form) = match (key.strip_suffix("_cmd"), key.strip_suffix("_secret")) {
        (Some(base), _) => (base, "command"),
        (None, Some(base)) => (base, "secret"),
        (None, None) => return None,
    };
    find(section, base).map(|key| (key, form))
}

/// The key that was probably meant by an unknown one: spelt nearly so in its section, or spelt so in another.
/// What Airflow's sources say must be very near, since they are full of words that we do not know.
pub(super) fn meant(section: &str, key: &str, dialect: Dialect) -> Option<Name> {
    let near = |known: &str, word: &str| {
        let distance = strsim::damerau_levenshtein(known, word);
        distance <= (known.len() / 5).clamp(1, 3)
    };
    let section_meant = if sections().contains(&section) {
        Some(section)
    } else if dialect == Dialect::Airflow && foreign::knows_section(section) {
        None
    } else {
        sections().into_iter().find(|known| near(known, section))
    };
    let names = || KEYS.iter().flat_map(Key::names);
    if let Some(section) = section_meant {
        let here = names().filter(|name| name.section == section);
        let nearest =
            here.filter(|name| near(name.key, key)).min_by_key(|name| strsim::damerau_levenshtein(name.key, key));
        if let Some(name) = nearest {
            return find(name.section, name.key).map(|key| key.name);
        }
    }
    let elsewhere = |word: &str| names().find(|name| name.key == word).and_then(|name| find(name.section, name.key));
    match dialect {
        // A section of a provider or a plugin is full of words that stand in ours as well.
        Dialect::Airflow => elsewhere(key).filter(|_| sections().contains(&section)).map(|key| key.name),
        Dialect::Updraft => {
            let word = elsewhere(key).map(|key| key.name);
            word.or_else(|| {
                let section = section_meant?;
                let here = KEYS.iter().filter(|key| key.name.section == section).map(|key| key.name.key);
                did_you_mean(key, here).and_then(|word| find(section, word)).map(|key| key.name)
            })
        }
    }
}
