//! `$VAR`, `${VAR}` and a leading `~`, replaced again and again until nothing changes, as Airflow does it.
//! A variable that is not set stays as it is written.

use super::environment::Environment;

/// More rounds than any honest value needs; beyond them a value refers to itself.
const MOST_ROUNDS: usize = 16;

/// # Errors
/// A sentence, when the value keeps changing because variables refer to each other in a circle.
pub(super) fn expand(text: &str, environment: &Environment) -> Result<String, String> {
    let mut now = text.to_owned();
    for _ in 0..MOST_ROUNDS {
        let next = expand_user(&expand_variables(&now, environment), environment);
        if next == now {
            return Ok(now);
        }
        now = next;
    }
    Err("the variables in this value refer to each other in a circle".to_owned())
}

fn expand_variables(text: &str, environment: &Environment) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (name, length) = match after.strip_prefix('{') {
            Some(braced) => match braced.find('}') {
                Some(end) => (&braced[..end], end + 2),
                None => ("", 0),
            },
            None => {
                let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(after.len());
                (&after[..end], end)
            }
        };
        match environment.get(name) {
            Some(value) if !name.is_empty() => out.push_str(value),
            Some(_) | None => out.push_str(&rest[at..=at + length]),
        }
        rest = &after[length..];
    }
    out.push_str(rest);
    out
}

fn expand_user(text: &str, environment: &Environment) -> String {
    match (text.strip_prefix('~'), environment.get_filled("HOME")) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
            format!("{}{rest}", home.trim_end_matches('/'))
        }
        (Some(_) | None, Some(_) | None) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_and_the_tilde_are_replaced_until_nothing_changes() {
        let environment = Environment::new("/", [("HOME", "/home/ann"), ("BASE", "$ROOT/data"), ("ROOT", "~/x")]);
        for (text, expected) in [
            ("$BASE/dags", "/home/ann/x/data/dags"),
            ("${BASE}dags", "/home/ann/x/datadags"),
            ("~", "/home/ann"),
            ("~/a", "/home/ann/a"),
            ("~bob/a", "~bob/a"),
            ("a~", "a~"),
            ("pa$$word", "pa$$word"),
            ("$UNSET/x", "$UNSET/x"),
            ("${UNSET", "${UNSET"),
            ("cost: 5$", "cost: 5$"),
        ] {
            assert_eq!(expand(text, &environment).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_circle_of_variables_is_an_error_not_a_hang() {
        let environment = Environment::new("/", [("A", "$B x"), ("B", "$A y")]);
        assert!(expand("$A", &environment).is_err_and(|message| message.contains("circle")));
    }
}
