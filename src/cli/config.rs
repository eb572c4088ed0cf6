//! `updraft config get-value` and `updraft config list`: what the program was told, and by whom.
//! It only shows; nothing here changes a file.

use std::io::{self, Write};

use clap::{Args, Subcommand};

use crate::config::{Config, Entry, did_you_mean, explain, is_foreign, sections};

use super::output::{OutputFormat, Rows};

/// Look at the configuration.
#[derive(Clone, Debug, Args)]
pub struct ConfigCommand {
    #[command(subcommand)]
    action: ConfigAction,
}

#[derive(Clone, Debug, Subcommand)]
enum ConfigAction {
    /// Print the value of one option; old names lead to the ones of today.
    #[command(after_help = "Example:\n  updraft config get-value core executor")]
    GetValue { section: String, option: String },
    /// List all options with their values and where each value comes from.
    #[command(after_help = "Examples:\n  updraft config list --section core\n  updraft config list -o json")]
    List(ListOptions),
}

#[derive(Clone, Debug, Default, Args)]
struct ListOptions {
    /// Only this section.
    #[arg(long)]
    section: Option<String>,
    /// Show secrets too, which are masked otherwise.
    #[arg(long)]
    show_values: bool,
    /// Only values that somebody set.
    #[arg(long)]
    changed: bool,
    /// Explain every option.
    #[arg(short = 'd', long)]
    include_descriptions: bool,
    /// Name the environment variable of every option.
    #[arg(short = 'V', long)]
    include_env_vars: bool,
    /// Where each value comes from; this is always shown, the flag is Airflow's.
    #[arg(short = 's', long, hide = true)]
    include_sources: bool,
    /// Write every option as a comment, to begin a file of your own with.
    #[arg(short = 'c', long)]
    comment_out_everything: bool,
    /// Show rows instead of a file that can be read back.
    #[arg(short = 'o', long, value_enum)]
    output: Option<OutputFormat>,
}

impl ConfigCommand {
    /// Writes the answer to `out`, and what a person should know beside it to `talk`.
    ///
    /// # Errors
    /// When one of them cannot be written.
    pub fn run(&self, config: &Config, out: &mut dyn Write, talk: &mut dyn Write) -> io::Result<()> {
        match &self.action {
            ConfigAction::GetValue { section, option } => get_value(config, section, option, out, talk),
            ConfigAction::List(options) => list(config, options, out, talk),
        }
    }
}

/// An option that does not exist prints nothing and is no failure, as in Airflow; the talk says what was meant.
fn get_value(
    config: &Config,
    section: &str,
    option: &str,
    out: &mut dyn Write,
    talk: &mut dyn Write,
) -> io::Result<()> {
    if let Some(entry) = config.get(section, option) {
        return writeln!(out, "{}", entry.reveal());
    }
    if is_foreign(section, option) {
        return writeln!(talk, "[{section}] {option} is an option of Airflow that has no meaning here");
    }
    match did_you_mean(section, option) {
        Some(name) => writeln!(talk, "there is no option [{section}] {option}; did you mean {name}?"),
        None => writeln!(talk, "there is no option [{section}] {option}; `updraft config list` shows all of them"),
    }
}

fn list(config: &Config, options: &ListOptions, out: &mut dyn Write, talk: &mut dyn Write) -> io::Result<()> {
    let wanted = options.section.as_ref().map(|section| section.to_lowercase());
    if let Some(section) = wanted.as_deref().filter(|section| !sections().contains(section)) {
        writeln!(talk, "there is no section [{section}] (known: {})", sections().join(", "))?;
    }
    let shown = config.entries().iter().filter(|entry| {
        wanted.as_deref().is_none_or(|section| entry.key.name.section == section)
            && !(options.changed && entry.origin.is_default())
    });
    match options.output {
        Some(format) => {
            let mut rows = Rows::new(["section", "key", "value", "origin"]);
            for entry in shown {
                let name = entry.key.name;
                let row = [name.section.into(), name.key.into(), value(entry, options).into(), origin(entry).into()];
                rows.push(row);
            }
            rows.write(format, out)
        }
        None => write_file(shown, options, out),
    }
}

/// A file that can be read back as an `airflow.cfg`.
fn write_file<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    options: &ListOptions,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut section = "";
    for entry in entries {
        let name = entry.key.name;
        if name.section != section {
            if !section.is_empty() {
                writeln!(out)?;
            }
            section = name.section;
            writeln!(out, "[{section}]")?;
        }
        if options.include_descriptions {
            writeln!(out, "\n# {} Since {}.", explain(name), entry.key.since)?;
        }
        if options.include_env_vars {
            writeln!(out, "# Variable: {}", name.variable("UPDRAFT"))?;
        }
        writeln!(out, "# Source: {}", origin(entry))?;
        let comment = if options.comment_out_everything { "# " } else { "" };
        let text = value(entry, options).replace('%', "%%").replace('\n', &format!("\n{comment}    "));
        writeln!(out, "{}", format!("{comment}{} = {text}", name.key).trim_end())?;
    }
    Ok(())
}

fn value(entry: &Entry, options: &ListOptions) -> String {
    if options.show_values { entry.reveal().to_owned() } else { entry.masked() }
}

fn origin(entry: &Entry) -> String {
    match entry.old_name {
        Some(old) => format!("{}, by its old name {old}", entry.origin),
        None => entry.origin.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::{Environment, load};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        command: ConfigCommand,
    }

    const VARIABLES: [(&str, &str); 4] = [
        ("UPDRAFT_HOME", "/srv/updraft"),
        ("AIRFLOW__CORE__DAG_CONCURRENCY", "7"),
        ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql://ann:hunter2@h/db"),
        ("AIRFLOW__CELERY__BROKER_URL", "amqp://ann:hunter2@h"),
    ];

    fn run(line: &str) -> (String, String) {
        let config = load(&Environment::new("/", VARIABLES), &[]).unwrap().config;
        let command = Line::parse_from(std::iter::once("config").chain(line.split(' '))).command;
        let (mut out, mut talk) = (Vec::new(), Vec::new());
        command.run(&config, &mut out, &mut talk).unwrap();
        (String::from_utf8(out).unwrap(), String::from_utf8(talk).unwrap())
    }

    #[test]
    fn get_value_prints_the_value_alone_under_old_names_too() {
        for (line, value) in [
            ("get-value core executor", "LocalExecutor\n"),
            ("get-value core dag_concurrency", "7\n"),
            ("get-value CORE Load_Examples", "False\n"),
            ("get-value core sql_alchemy_conn", "postgresql://ann:hunter2@h/db\n"),
            ("get-value core dags_folder", "/srv/updraft/dags\n"),
            ("get-value core default_task_execution_timeout", "\n"),
        ] {
            assert_eq!(run(line), (value.to_owned(), String::new()), "{line}");
        }
    }

    #[test]
    fn an_option_that_does_not_exist_prints_nothing_and_says_what_was_meant() {
        for (line, said) in [
            ("get-value core executer", "there is no option [core] executer; did you mean [core] executor?\n"),
            ("get-value core donot_pickle", "[core] donot_pickle is an option of Airflow that has no meaning here\n"),
            (
                "get-value zebra stripes",
                "there is no option [zebra] stripes; `updraft config list` shows all of them\n",
            ),
        ] {
            assert_eq!(run(line), (String::new(), said.to_owned()), "{line}");
        }
    }

    #[test]
    fn list_shows_every_value_with_its_origin_and_masks_secrets() {
        let (out, talk) = run("list");
        assert_eq!(talk, "");
        assert!(out.starts_with("[core]\n# Source: default\nairflow_era = 3\n"), "{out}");
        let by_old_name = "# Source: $AIRFLOW__CORE__DAG_CONCURRENCY, by its old name [core] dag_concurrency\n\
                           max_active_tasks_per_dag = 7\n";
        assert!(out.contains(by_old_name), "{out}");
        assert!(out.contains("sql_alchemy_conn = postgresql://ann:***@h/db\n"));
        assert!(out.contains("broker_url = ***\n"));
        assert!(!out.contains("hunter2"));
        assert!(run("list --show-values").0.contains("broker_url = amqp://ann:hunter2@h\n"));
        assert_eq!(run("list --section python -V").0.lines().nth(1), Some("# Variable: UPDRAFT__PYTHON__INTERPRETER"));
        assert_eq!(run("list --changed").0.lines().filter(|line| line.contains(" = ")).count(), 3);
        assert!(run("list -c").0.lines().all(|line| line.is_empty() || line.starts_with(['#', '['])));
        assert!(run("list -d --section api").0.contains("# The port to listen on. Since Airflow 3.0.0.\n"));
        assert_eq!(run("list --section zebra").0, "");
        assert!(run("list --section zebra").1.starts_with("there is no section [zebra] (known: core, "));
    }

    #[test]
    fn what_list_shows_can_be_read_back_as_an_airflow_cfg() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("airflow.cfg");
        std::fs::write(&file, run("list --show-values").0).unwrap();
        let mut variables = VARIABLES.to_vec();
        variables.truncate(1);
        variables.push(("AIRFLOW_CONFIG", file.to_str().unwrap()));
        let loaded = load(&Environment::new("/", variables), &[]).unwrap();
        assert_eq!(loaded.warnings, []);
        let original = load(&Environment::new("/", VARIABLES), &[]).unwrap().config;
        for (read, shown) in loaded.config.entries().iter().zip(original.entries()) {
            assert_eq!(read.reveal(), shown.reveal(), "{}", read.key.name);
            assert!(!read.origin.is_default());
        }
    }

    #[test]
    fn list_as_json_has_one_object_per_option() {
        let rows: serde_json::Value = serde_json::from_str(&run("list -o json --section python").0).unwrap();
        let expected = serde_json::json!([
            {"section": "python", "key": "interpreter", "value": "python3", "origin": "default"},
            {"section": "python", "key": "runner", "value": "auto", "origin": "default"},
        ]);
        assert_eq!(rows, expected);
        assert!(run("list -o table --section python").0.starts_with("section | key         | value   | origin\n====="));
    }
}
