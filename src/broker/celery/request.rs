//! A message of Celery's remote control (pidbox), read with care: anybody may have written it.

use regex::RegexBuilder;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Longer ones are nobody's honest question.
pub(super) const MAX_LENGTH: usize = 64 * 1024;

/// The most memory that somebody else's pattern may cost.
const MAX_PATTERN: usize = 64 * 1024;

/// What is asked, of whom, and where the answer goes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Request {
    pub(super) method: String,
    #[serde(default)]
    arguments: Option<Map<String, Value>>,
    #[serde(default)]
    destination: Option<Vec<String>>,
    #[serde(default)]
    pattern: Option<String>,
    #[serde(default)]
    matcher: Option<String>,
    #[serde(default)]
    pub(super) ticket: Option<String>,
    #[serde(default)]
    pub(super) reply_to: Option<ReplyTo>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct ReplyTo {
    pub(super) exchange: String,
    pub(super) routing_key: String,
}

impl Request {
    /// # Errors
    /// When it is not one, in words for the log.
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        if body.len() > MAX_LENGTH {
            return Err(format!("{} bytes, expected at most {MAX_LENGTH}", body.len()));
        }
        serde_json::from_slice(body).map_err(|error| error.to_string())
    }

    pub(super) fn arguments(&self) -> Map<String, Value> {
        self.arguments.clone().unwrap_or_default()
    }

    /// Whether a worker of this name is asked: by name, by pattern, or with everybody.
    pub(super) fn is_for(&self, name: &str) -> bool {
        match (&self.destination, &self.pattern, &self.matcher) {
            (Some(names), _, _) if !names.is_empty() => names.iter().any(|asked| asked == name),
            (_, Some(pattern), Some(matcher)) if !pattern.is_empty() => matches(matcher, pattern, name),
            (_, _, _) => true,
        }
    }
}

/// Python's `fnmatch` and `re.match`.
fn matches(matcher: &str, pattern: &str, name: &str) -> bool {
    let expression = match matcher {
        "glob" => glob(pattern),
        "pcre" => format!("^(?:{pattern})"),
        _ => return false,
    };
    // What Rust's regular expressions leave out of Python's (looking around, back references) matches nothing.
    let built = RegexBuilder::new(&expression).size_limit(MAX_PATTERN).build();
    built.is_ok_and(|expression| expression.is_match(name))
}

fn glob(pattern: &str) -> String {
    let mut out = String::from("(?s)^");
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '[' => match rest.as_str().char_indices().skip(1).find(|(_, c)| *c == ']') {
                Some((end, _)) => {
                    let inside = &rest.as_str()[..end];
                    let (not, inside) = inside.strip_prefix('!').map_or(("", inside), |inside| ("^", inside));
                    out.push_str(&format!("[{not}{}]", inside.replace('\\', "\\\\").replace('[', "\\[")));
                    rest = rest.as_str()[end + 1..].chars();
                }
                None => out.push_str("\\["),
            },
            c => out.push_str(&regex::escape(&c.to_string())),
        }
    }
    out.push('$');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_asked_by_name_by_pattern_or_with_everybody() {
        for (addressed, is_for_me) in [
            (r#""destination":null,"pattern":null,"matcher":null"#, true),
            (r#""destination":[]"#, true),
            (r#""destination":["celery@me","celery@you"]"#, true),
            (r#""destination":["celery@you"]"#, false),
            (r#""destination":["celery@you"],"pattern":"*","matcher":"glob""#, false),
            (r#""pattern":"celery@*","matcher":"glob""#, true),
            (r#""pattern":"celery@m?","matcher":"glob""#, true),
            (r#""pattern":"celery@[a-m]e","matcher":"glob""#, true),
            (r#""pattern":"celery@[!m]e","matcher":"glob""#, false),
            (r#""pattern":"me","matcher":"glob""#, false),
            (r#""pattern":"celery.m","matcher":"pcre""#, true),
            (r#""pattern":"me","matcher":"pcre""#, false),
            (r#""pattern":"(((","matcher":"pcre""#, false),
            (r#""pattern":"(a{1000}){1000}","matcher":"pcre""#, false),
            (r#""pattern":"x","matcher":"other""#, false),
            (r#""pattern":"x""#, true),
        ] {
            let request = Request::read(format!(r#"{{"method":"ping",{addressed}}}"#).as_bytes()).expect("a request");
            assert_eq!(request.is_for("celery@me"), is_for_me, "{addressed}");
        }
    }

    #[test]
    fn what_is_no_request_is_refused_in_words() {
        for body in ["", "[]", "{}", r#"{"method":3}"#, r#"{"method":"ping","destination":"me"}"#] {
            assert!(Request::read(body.as_bytes()).is_err(), "{body}");
        }
        let nested = format!(r#"{{"method":"ping","arguments":{{"a":{}}}}}"#, "[".repeat(10_000));
        assert!(Request::read(nested.as_bytes()).is_err(), "too deep");
        assert!(Request::read(&vec![b' '; MAX_LENGTH + 1]).is_err_and(|why| why.contains("expected at most")));
    }
}
