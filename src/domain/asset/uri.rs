//! The URI of an asset, brought to one form as Airflow does it, so that two ways
//! of writing one place are one asset. What does not look like a URI stays as it is.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What Python's `quote_plus` leaves alone, besides letters and digits.
const QUOTED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-').remove(b'~');

/// Airflow's limit, in characters.
const MAX_LENGTH: usize = 1500;

/// Why a text cannot be the URI of an asset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected the URI of an asset to be {expected}, got: `{got}`")]
pub struct InvalidUri {
    expected: &'static str,
    got: String,
}

/// The URI in its one form, and whether a login or password was taken out of it.
///
/// # Errors
/// When it is empty, too long, not ASCII, or has the scheme that Airflow keeps for itself.
pub fn normalized(uri: &str) -> Result<(String, bool), InvalidUri> {
    let invalid = |expected| Err(InvalidUri { expected, got: uri.chars().take(80).collect() });
    if uri.trim().is_empty() {
        return invalid("at least one character that can be seen");
    }
    if uri.chars().count() > MAX_LENGTH {
        return invalid("at most 1500 characters");
    }
    if !uri.is_ascii() {
        return invalid("ASCII characters only");
    }
    let Some((scheme, rest)) = split_scheme(uri) else { return Ok((uri.to_owned(), false)) };
    let scheme = scheme.to_ascii_lowercase();
    // An author's own schemes are not ours to read.
    if scheme.starts_with("x-") {
        return Ok((uri.to_owned(), false));
    }
    if scheme == "airflow" {
        return invalid("of another scheme than `airflow`, which is reserved");
    }
    let rest = rest.split('#').next().unwrap_or_default();
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = match place.strip_prefix("//") {
        Some(place) => place.split_at(place.find('/').unwrap_or(place.len())),
        None => ("", place),
    };
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let path = match path.trim_end_matches('/') {
        "" => "/",
        path => path,
    };
    let query = sorted(query);
    let mark = if query.is_empty() { "" } else { "?" };
    let slashes = if place.starts_with("//") { "//" } else { "" };
    Ok((format!("{scheme}:{slashes}{host}{path}{mark}{query}"), host.len() < authority.len()))
}

/// A scheme, as RFC 3986 has it, and what follows its colon.
fn split_scheme(uri: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = uri.split_once(':')?;
    let follows = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    (scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(follows)).then_some((scheme, rest))
}

/// The parameters in the order of their names; those without a value go.
fn sorted(query: &str) -> String {
    let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let quoted = |text: &str| utf8_percent_encode(text, QUOTED).to_string().replace("%20", "+");
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{}={}", quoted(name), quoted(value))).collect();
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_has_one_uri() {
        for (written, expected) in [
            ("orders", "orders"),
            ("not a uri", "not a uri"),
            ("S3://Bucket/Key/", "s3://Bucket/Key"),
            ("s3://bucket", "s3://bucket/"),
            ("file:///data/x.csv", "file:///data/x.csv"),
            ("https://host/path?b=2&a=x+y&c=#part", "https://host/path?a=x+y&b=2"),
            ("x-mine:anything#at?all", "x-mine:anything#at?all"),
        ] {
            assert_eq!(normalized(written), Ok((expected.to_owned(), false)), "{written}");
        }
        assert_eq!(normalized("postgres://ann:pw@db:5432/x/y/z"), Ok(("postgres://db:5432/x/y/z".to_owned(), true)));
    }

    #[test]
    fn what_cannot_be_a_uri_is_said() {
        for (written, expected) in
            [("", "at least one"), ("  ", "at least one"), ("s3://ü", "ASCII"), ("airflow://x", "reserved")]
        {
            let error = normalized(written).expect_err(written).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
