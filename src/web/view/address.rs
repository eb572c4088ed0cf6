//! The address of a view: its path and the choices in its query. Every filter, order and page of a
//! list is a link to the same view with one choice changed, so that each can be sent to a colleague.

use std::borrow::Cow;
use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A text as one segment of a path, or as a value of a query.
pub fn escape(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, UNRESERVED).into()
}

/// A path with its choices, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    path: String,
    choices: Vec<(String, String)>,
}

impl Address {
    pub fn new(path: impl Into<String>) -> Self {
        Self { path: path.into(), choices: Vec::new() }
    }

    /// As it came in a request; empty choices are none.
    pub fn parse(path: &str, query: &str) -> Self {
        let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        let choices = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| (decode(key), decode(value)))
            .collect();
        Self { path: path.to_owned(), choices }
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.choices.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.choices.iter().filter(move |(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    /// All choices but these, for the hidden fields of a form that changes them.
    pub fn others<'a>(&'a self, but: &'a [&str]) -> impl Iterator<Item = (&'a str, &'a str)> {
        let choices = self.choices.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        choices.filter(move |(key, _)| !but.contains(key))
    }

    pub fn is_chosen(&self, key: &str, value: &str) -> bool {
        self.all(key).any(|chosen| chosen == value)
    }

    /// With this choice instead of any other of its key; the list begins at its first page again.
    #[must_use]
    pub fn with(&self, key: &str, value: &str) -> Self {
        let mut address = self.without(key);
        address.choices.push((key.to_owned(), value.to_owned()));
        address
    }

    #[must_use]
    pub fn without(&self, key: &str) -> Self {
        let mut address = self.clone();
        address.choices.retain(|(k, _)| k != key && k != "page");
        address
    }

    /// With this choice, or without it where it is chosen already; others of its key stay.
    #[must_use]
    pub fn toggled(&self, key: &str, value: &str) -> Self {
        let mut address = self.clone();
        address.choices.retain(|(k, v)| k != "page" && !(k == key && v == value));
        if !self.is_chosen(key, value) {
            address.choices.push((key.to_owned(), value.to_owned()));
        }
        address
    }

    /// Of the list's page `number`, counted from 1.
    #[must_use]
    pub fn at_page(&self, number: u64) -> Self {
        let mut address = self.without("page");
        if number > 1 {
            address.choices.push(("page".to_owned(), number.to_string()));
        }
        address
    }

    pub fn url(&self) -> String {
        let mut url = self.path.clone();
        for (at, (key, value)) in self.choices.iter().enumerate() {
            let mark = if at == 0 { '?' } else { '&' };
            // Writing to a text cannot fail.
            let _ = write!(url, "{mark}{}={}", escape(key), escape(value));
        }
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_changes_alone_and_the_list_begins_again() {
        let here = Address::parse("/runs", "state=failed&dag=a%2Fb+c&empty=&page=3");
        assert_eq!(here.get("dag"), Some("a/b c"));
        assert_eq!(here.with("state", "queued").url(), "/runs?dag=a%2Fb%20c&state=queued");
        assert_eq!(here.toggled("state", "failed").url(), "/runs?dag=a%2Fb%20c");
        assert_eq!(here.toggled("state", "queued").url(), "/runs?state=failed&dag=a%2Fb%20c&state=queued");
        assert_eq!(here.at_page(2).url(), "/runs?state=failed&dag=a%2Fb%20c&page=2");
        assert_eq!(here.at_page(1).get("page"), None);
    }
}
