//! Takes secrets out of what a task writes, however it is cut into chunks.
//!
//! What may be the beginning of a secret is held back until it is clear whether
//! it is one, so that no part of it is ever written.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::domain::secret::MASK;

/// A shorter text would be found everywhere, and hide nothing that could not be guessed.
const SHORTEST: usize = 3;

/// The secrets of one task.
#[derive(Default)]
pub struct Mask {
    /// The longest first: a secret may be part of another.
    secrets: Vec<Vec<u8>>,
    held: Vec<u8>,
}

impl Mask {
    /// From now on these are hidden too, also as they stand in a URI.
    pub fn add(&mut self, secrets: Vec<String>) {
        for secret in secrets {
            let quoted = utf8_percent_encode(&secret, NON_ALPHANUMERIC).to_string();
            for text in [secret.trim(), &quoted] {
                let bytes = text.as_bytes();
                if bytes.len() >= SHORTEST && !self.secrets.iter().any(|known| known == bytes) {
                    self.secrets.push(bytes.to_vec());
                }
            }
        }
        self.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }

    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    /// More output: what of it, and of what was held back, may be written.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let held = std::mem::take(&mut self.held);
        let mut shown = Vec::with_capacity(held.len());
        let mut at = 0;
        while at < held.len() {
            let rest = &held[at..];
            // A longer one that may still come goes before a shorter one that is there.
            if self.secrets.iter().any(|secret| secret.len() > rest.len() && secret.starts_with(rest)) {
                self.held = rest.to_vec();
                return shown;
            }
            at += self.take(rest, &mut shown);
        }
        shown
    }

    /// Nothing more comes: the beginning of a secret is none.
    pub fn end(&mut self) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        self.whole(&held)
    }

    /// A text that is whole.
    pub fn text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.whole(text.as_bytes())).into_owned()
    }

    fn whole(&self, bytes: &[u8]) -> Vec<u8> {
        let mut shown = Vec::with_capacity(bytes.len());
        let mut at = 0;
        while at < bytes.len() {
            at += self.take(&bytes[at..], &mut shown);
        }
        shown
    }

    /// Shows what stands first, a byte or the mask of a secret, and says how long it was.
    fn take(&self, rest: &[u8], shown: &mut Vec<u8>) -> usize {
        match self.secrets.iter().find(|secret| rest.starts_with(secret)) {
            Some(secret) => {
                shown.extend_from_slice(MASK.as_bytes());
                secret.len()
            }
            None => {
                shown.push(rest[0]);
                1
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(chunks: &[&[u8]]) -> String {
        let mut mask = Mask::default();
        mask.add(vec!["hunter2".into(), "hunter2000".into(), "pä/ss".into(), "x".into()]);
        let mut shown = Vec::new();
        for chunk in chunks {
            shown.extend(mask.push(chunk));
        }
        shown.extend(mask.end());
        String::from_utf8(shown).expect("UTF-8")
    }

    #[test]
    fn a_secret_is_hidden_however_the_output_is_cut() {
        let whole = "hunthunter2,hunter2000 pä/ss p%C3%A4%2Fss hunter x\nhunter".as_bytes();
        let expected = "hunt***,*** *** *** hunter x\nhunter";
        for at in 0..=whole.len() {
            let (left, right) = whole.split_at(at);
            assert_eq!(masked(&[left, right]), expected, "cut at {at}");
        }
        let bytes: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(masked(&bytes), expected);
    }

    #[test]
    fn no_part_of_a_secret_is_shown_while_the_rest_may_come() {
        let mut mask = Mask::default();
        mask.add(vec!["hunter2".into()]);
        assert_eq!(mask.push(b"a hunte"), b"a ");
        assert_eq!(mask.push(b"d hun"), b"hunted ");
        assert_eq!(mask.push(b"ter2!"), b"***!");
        assert_eq!(mask.text("it is hunter2"), "it is ***");
    }
}
