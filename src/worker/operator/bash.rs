//! Bash tasks (SCHEDULING §16): `bash -c` from the worker's PATH, or a rendered `.sh` file.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::{Job, Judged, Unstartable, context_variables};
use crate::domain::attempt::Outcome;
use crate::domain::ids::Claim;
use crate::domain::operator::Bash;
use crate::protocol::work::{RunContext, TaskMessage};
use crate::worker::companion::frame::{Base, End, Origin, SpawnSpec};
use crate::worker::leftover::{Leftover, TempFolders};
use crate::worker::render::Templates;
use crate::worker::settings::WorkerSettings;

pub fn prepare(
    bash: &Bash,
    task: &TaskMessage,
    claim: Claim,
    settings: &WorkerSettings,
    folders: &Rc<TempFolders>,
    templates: &Templates<'_>,
) -> Result<Job, Unstartable> {
    let program = settings.find_program(Path::new("bash")).ok_or_else(|| {
        let path = settings.search_path.to_string_lossy();
        Unstartable(format!(
            "there is no `bash` in the worker's PATH ({path}): install bash, or set PATH for the worker"
        ))
    })?;

    let (cwd, mut leftover) = match &bash.cwd {
        Some(cwd) => (existing(&templates.render("cwd", cwd)?)?, None),
        None => {
            let folder = folders.take().map_err(|error| {
                Unstartable(format!("cannot make a temporary folder in {}: {error}", settings.temp_dir.display()))
            })?;
            (folder.path().to_owned(), Some(folder))
        }
    };

    let (args, shown) = if names_a_file(&bash.command) && !templates.is_verbatim("bash_command") {
        let (found, source) = template_file(&bash.command, &task.run, &settings.dags_folder)?;
        let script = templates.render(&found.display().to_string(), &source)?;
        let path = write_script(&cwd, &script).map_err(|error| {
            Unstartable(format!("cannot write the rendered script into {}: {error}", cwd.display()))
        })?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // In a folder of the author's the script must go again; our own folder goes with everything in it.
        leftover = leftover.or_else(|| Some(Leftover::File(path)));
        (vec![name], format!("bash {} (rendered)\n{}", found.display(), script.trim_end()))
    } else {
        let command = templates.render("bash_command", &bash.command)?;
        let shown = format!("bash -c {command}");
        (vec!["-c".to_owned(), command], shown)
    };

    let (base, env) = match &bash.env {
        None => (Base::Inherit, context_variables(task, claim)),
        Some(env) => {
            let mut rendered = context_variables(task, claim);
            for (name, value) in env {
                rendered.insert(name.clone(), templates.render(&format!("env[{name:?}]"), value)?);
            }
            (if bash.append_env { Base::Inherit } else { Base::Empty }, rendered)
        }
    };
    // A name with `=` or NUL in it cannot be set, and std would refuse it with less to say.
    if let Some(name) = env.keys().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
        return Err(Unstartable(format!("`{}` cannot be the name of an environment variable", name.escape_debug())));
    }
    if let Some((name, _)) = env.iter().find(|(_, value)| value.contains('\0')) {
        return Err(Unstartable(format!("the value of the environment variable `{name}` holds a NUL byte")));
    }
    Ok(Job { spec: SpawnSpec { program, args, cwd, base, env, origin: Origin::Exec }, shown, leftover, start: None })
}

pub fn judge(bash: &Bash, end: End) -> Judged {
    match end.returncode() {
        0 => Judged::plain(Outcome::Success, None),
        code if bash.skip_on_exit_code.contains(&code) => {
            Judged::plain(Outcome::Skipped, Some(format!("Bash command returned exit code {code}. Skipping.")))
        }
        code => Judged::plain(
            Outcome::Failed { retryable: true },
            Some(format!("Bash command failed. The command returned a non-zero exit code {code}.")),
        ),
    }
}

/// Airflow's rule: exactly this ending; a space after it makes it a command.
pub fn names_a_file(command: &str) -> bool {
    command.ends_with(".sh") || command.ends_with(".bash")
}

fn existing(cwd: &str) -> Result<PathBuf, Unstartable> {
    let path = PathBuf::from(cwd);
    match fs::metadata(&path) {
        Ok(found) if found.is_dir() => Ok(path),
        Ok(_) => Err(Unstartable(format!("the cwd {cwd} must be a directory"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Unstartable(format!("can not find the cwd: {cwd}")))
        }
        Err(error) => Err(Unstartable(format!("cannot use the cwd {cwd}: {error}"))),
    }
}

/// Looks beside the DAG file, then in its `template_searchpath`.
pub fn template_file(name: &str, run: &RunContext, dags_folder: &Path) -> Result<(PathBuf, String), Unstartable> {
    let file = dags_folder.join(&run.file);
    let beside = file.parent().unwrap_or(dags_folder);
    let folders =
        std::iter::once(beside.to_owned()).chain(run.template_searchpath.iter().map(|path| beside.join(path)));
    let tried: Vec<PathBuf> = folders.map(|folder| folder.join(name)).collect();
    for path in &tried {
        match fs::read_to_string(path) {
            Ok(source) => return Ok((path.clone(), source)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Unstartable(format!("cannot read the template {}: {error}", path.display()))),
        }
    }
    let tried: Vec<_> = tried.iter().map(|path| path.display().to_string()).collect();
    Err(Unstartable(format!(
        "TemplateNotFound: {name} (a text that ends so names a template file; looked for {}). \
         To have it taken as it is, put a space after it",
        tried.join(", ")
    )))
}

fn write_script(folder: &Path, script: &str) -> io::Result<PathBuf> {
    let name: String = std::iter::repeat_with(fastrand::alphanumeric).take(8).collect();
    let path = folder.join(format!("tmp{name}.sh"));
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path)?;
    file.write_all(script.as_bytes())?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::operator::default_skip_codes;

    #[test]
    fn exit_codes_mean_what_they_mean_in_airflow() {
        let bash = Bash {
            command: String::new(),
            env: None,
            append_env: false,
            cwd: None,
            skip_on_exit_code: default_skip_codes(),
        };
        let judged = |end| {
            let judged = judge(&bash, end);
            (judged.outcome, judged.message.unwrap_or_default())
        };
        assert_eq!(judged(End::Code(0)), (Outcome::Success, String::new()));
        assert_eq!(
            judged(End::Code(99)),
            (Outcome::Skipped, "Bash command returned exit code 99. Skipping.".to_owned())
        );
        let failed = Outcome::Failed { retryable: true };
        let message = "Bash command failed. The command returned a non-zero exit code";
        assert_eq!(judged(End::Code(3)), (failed, format!("{message} 3.")));
        assert_eq!(judged(End::Signal(9)), (failed, format!("{message} -9.")));
    }

    #[test]
    fn only_the_exact_ending_names_a_file() {
        assert!(names_a_file("run.sh") && names_a_file("x/run.bash"));
        assert!(!names_a_file("run.sh ") && !names_a_file("echo sh"));
    }
}
