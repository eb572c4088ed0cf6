//! `updraft info`: what this installation works with, in Airflow's blocks. It looks and changes nothing.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;

use crate::config::{Config, Environment, Settings};
use crate::dagfile::python::{Runner, SdkVersion};
use crate::node::translate;

use super::arguments::Output;
use super::error::CliError;
use super::output::{OutputFormat, Rows};
use super::session::Session;

#[derive(Clone, Debug, Args)]
pub struct Info {
    /// Hide the names of the user and of the home folder.
    #[arg(long)]
    anonymize: bool,
    #[command(flatten)]
    output: Output,
}

struct Block {
    title: &'static str,
    lines: Vec<(&'static str, String)>,
}

impl Info {
    pub fn run(self, session: &mut Session) -> Result<(), CliError> {
        let config = session.config()?;
        let environment = session.environment.clone();
        let mut blocks = [program(&config), system(&environment), tools(&config, &environment), paths(&environment)];
        if self.anonymize {
            anonymize(&mut blocks, &environment);
        }
        match self.output.format {
            OutputFormat::Table => write_blocks(&blocks, session),
            format @ (OutputFormat::Json | OutputFormat::Yaml | OutputFormat::Plain) => {
                let mut rows = Rows::new(["section", "key", "value"]);
                for block in &blocks {
                    for (key, value) in &block.lines {
                        rows.push([block.title.into(), (*key).into(), value.as_str().into()]);
                    }
                }
                Ok(rows.write(format, &mut session.out)?)
            }
        }
    }
}

fn write_blocks(blocks: &[Block], session: &mut Session) -> Result<(), CliError> {
    for block in blocks {
        writeln!(session.out, "{}", block.title)?;
        let width = block.lines.iter().map(|(key, _)| key.len()).max().unwrap_or_default();
        for (key, value) in &block.lines {
            writeln!(session.out, "{key:width$} | {value}")?;
        }
        writeln!(session.out)?;
    }
    Ok(())
}

fn program(config: &Config) -> Block {
    let settings = config.settings();
    let file = config.file().map_or_else(|| "none: the defaults hold".to_owned(), |file| file.display().to_string());
    let lines = vec![
        ("version", super::VERSION.to_owned()),
        ("executor", settings.core.executor.to_string()),
        ("airflow_era", shown(config, "core", "airflow_era")),
        ("sql_alchemy_conn", settings.database.url.to_string()),
        ("dags_folder", settings.core.dags_folder.display().to_string()),
        ("home", format!("{} ({})", config.home().path().display(), config.home().origin())),
        ("config_file", file),
        ("base_log_folder", settings.logging.base_log_folder.display().to_string()),
    ];
    Block { title: "Updraft", lines }
}

fn shown(config: &Config, section: &str, key: &str) -> String {
    config.get(section, key).map(|entry| entry.masked()).unwrap_or_default()
}

fn system(environment: &Environment) -> Block {
    let kernel = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    let variable = |name| environment.get_filled(name).unwrap_or("not set").to_owned();
    let lines = vec![
        ("OS", os_name().unwrap_or_else(|| text(kernel.sysname()))),
        ("architecture", text(kernel.machine())),
        ("uname", format!("{} {}", text(kernel.sysname()), text(kernel.release()))),
        ("cpus", std::thread::available_parallelism().map_or_else(|_| "unknown".to_owned(), |n| n.to_string())),
        ("locale", variable("LANG")),
        ("user", variable("USER")),
    ];
    Block { title: "System info", lines }
}

/// `PRETTY_NAME` of the distribution.
fn os_name() -> Option<String> {
    let release = std::fs::read_to_string("/etc/os-release").ok()?;
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches('"').to_owned())
}

/// What tasks need.
fn tools(config: &Config, environment: &Environment) -> Block {
    let interpreter = &config.settings().python.interpreter;
    let lines = vec![
        ("python", tool(environment, interpreter, "needed for Python DAG files and tasks")),
        ("python_runner", runner(config.settings())),
        ("bash", tool(environment, "bash", "needed for Bash tasks")),
    ];
    Block { title: "Tools info", lines }
}

/// Who reads Python DAG files and runs their tasks.
fn runner(settings: &Settings) -> String {
    match translate::runner(settings) {
        Ok(Runner::Sdk(SdkVersion { task_sdk, core })) => {
            format!("Airflow's Task SDK {task_sdk} (apache-airflow-core {core})")
        }
        Ok(Runner::Builtin) => "the one that Updraft brings along".to_owned(),
        Err(why) => why,
    }
}

fn paths(environment: &Environment) -> Block {
    let lines = vec![
        ("current_folder", environment.current_folder().display().to_string()),
        ("system_path", environment.get("PATH").unwrap_or_default().to_owned()),
        ("python_path", environment.get("PYTHONPATH").unwrap_or_default().to_owned()),
    ];
    Block { title: "Paths info", lines }
}

/// Where a program is and which version, or why that matters.
fn tool(environment: &Environment, name: &str, why: &str) -> String {
    let Some(path) = find(environment, name) else { return format!("`{name}` was not found; {why}") };
    let asked = Command::new(&path).arg("--version").stdin(Stdio::null()).output();
    let version = asked.ok().filter(|answer| answer.status.success()).map(|answer| {
        // Python 2 answers on stderr.
        let said = if answer.stdout.is_empty() { answer.stderr } else { answer.stdout };
        String::from_utf8_lossy(&said).lines().next().unwrap_or_default().to_owned()
    });
    format!("{} ({})", path.display(), version.unwrap_or_else(|| "it does not tell its version".to_owned()))
}

fn find(environment: &Environment, name: &str) -> Option<PathBuf> {
    let runnable = |path: &Path| {
        std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    if name.contains('/') {
        return Some(environment.current_folder().join(name)).filter(|path| runnable(path));
    }
    let folders = environment.get("PATH").unwrap_or_default().split(':').filter(|folder| !folder.is_empty());
    folders.map(|folder| Path::new(folder).join(name)).find(|path| runnable(path))
}

fn anonymize(blocks: &mut [Block], environment: &Environment) {
    let names = [("HOME", "${HOME}"), ("USER", "${USER}")];
    for (_, value) in blocks.iter_mut().flat_map(|block| &mut block.lines) {
        for (variable, instead) in names {
            if let Some(private) = environment.get_filled(variable).filter(|private| private.len() > 1) {
                *value = value.replace(private, instead);
            }
        }
    }
}
