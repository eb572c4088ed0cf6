//! Runs the command of a secret (`_CMD`) and takes its output as the value. No shell stands between: a command that
//! needs one says `sh -c '…'`, as in Airflow.

use std::process::{Command, Stdio};

/// # Errors
/// A sentence, when the command cannot be read or started, or fails. Its output is never part of it.
pub(super) fn output_of(command: &str) -> Result<String, String> {
    let words = shlex::split(command).ok_or_else(|| format!("the quotes of the command `{command}` do not match"))?;
    let Some((program, arguments)) = words.split_first() else {
        return Err("the command is empty".to_owned());
    };
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("the command `{command}` cannot be started: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim().lines().last().unwrap_or("it said nothing on stderr");
        return Err(format!("the command `{command}` failed ({}): {said}", output.status));
    }
    let text = String::from_utf8(output.stdout)
        .map_err(|_| format!("the command `{command}` printed something that is not UTF-8"))?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::output_of;

    #[test]
    fn the_output_is_the_value_without_its_last_line_end() {
        assert_eq!(output_of("echo 'a b'"), Ok("a b".to_owned()));
        assert_eq!(output_of("sh -c 'echo $((1 + 1))'"), Ok("2".to_owned()));
    }

    #[test]
    fn a_command_that_fails_says_how() {
        for (command, part) in [
            ("", "empty"),
            ("echo 'a", "quotes"),
            ("/no/such/program", "cannot be started"),
            ("sh -c 'echo no vault >&2; exit 3'", "exit status: 3): no vault"),
        ] {
            assert!(output_of(command).is_err_and(|message| message.contains(part)), "{command}");
        }
    }
}
