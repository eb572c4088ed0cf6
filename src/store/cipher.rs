//! Encryption of what must not be read in a copy of the database: Fernet, whose
//! tokens Python's `cryptography` (and so Airflow) reads and writes too.
//!
//! The first key encrypts, every key decrypts: that is how keys are rotated.
//! Nothing here stores a key.

use std::fmt;

use fernet::{Fernet, MultiFernet};

/// The keys of an installation.
pub struct Cipher {
    all: MultiFernet,
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(***)")
    }
}

/// A key that is none. The text is not repeated: it may be a real key with a slip.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    #[error("there is no key")]
    None,
    #[error(
        "key {number} of {of} is no Fernet key: expected 32 bytes in URL-safe base64 (44 characters), got {length} characters"
    )]
    Malformed { number: usize, of: usize, length: usize },
}

/// None of the keys made this token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongKey;

impl Cipher {
    /// Reads keys separated by commas; white space around them does not count.
    ///
    /// # Errors
    /// When there is none, or one is malformed.
    pub fn parse(keys: &str) -> Result<Self, BadKey> {
        let keys: Vec<&str> = keys.split(',').map(str::trim).filter(|key| !key.is_empty()).collect();
        if keys.is_empty() {
            return Err(BadKey::None);
        }
        let of = keys.len();
        let read = |(n, key): (usize, &&str)| {
            Fernet::new(key).ok_or(BadKey::Malformed { number: n + 1, of, length: key.chars().count() })
        };
        let all = keys.iter().enumerate().map(read).collect::<Result<_, _>>()?;
        Ok(Self { all: MultiFernet::new(all) })
    }

    /// A new key, of the system's randomness.
    pub fn generate_key() -> String {
        Fernet::generate_key()
    }

    /// A token, different at each call.
    pub fn encrypt(&self, text: &str) -> String {
        self.all.encrypt(text.as_bytes())
    }

    /// The text of a token.
    ///
    /// # Errors
    /// When no key made it, or it was changed since.
    pub fn decrypt(&self, token: &str) -> Result<String, WrongKey> {
        let bytes = self.all.decrypt(token).map_err(|_| WrongKey)?;
        String::from_utf8(bytes).map_err(|_| WrongKey)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Fernet specification, made by another program.
    const SPEC_KEY: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
    const SPEC_TOKEN: &str =
        "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";

    #[test]
    fn a_token_of_another_program_is_read() {
        assert_eq!(Cipher::parse(SPEC_KEY).expect("a key").decrypt(SPEC_TOKEN).as_deref(), Ok("hello"));
    }

    #[test]
    fn the_first_key_encrypts_and_all_decrypt() {
        let (old, new) = (Cipher::generate_key(), Cipher::generate_key());
        let token = Cipher::parse(&old).expect("a key").encrypt("grüße");
        let both = Cipher::parse(&format!("{new}, {old}\n")).expect("two keys");
        assert_eq!(both.decrypt(&token).as_deref(), Ok("grüße"));
        let rotated = both.encrypt("grüße");
        let only_new = Cipher::parse(&new).expect("a key");
        assert_eq!(only_new.decrypt(&rotated).as_deref(), Ok("grüße"));
        assert_eq!(only_new.decrypt(&token), Err(WrongKey));
        let spoilt = rotated.replace(&rotated[20..22], if &rotated[20..22] == "AA" { "BB" } else { "AA" });
        assert_eq!(only_new.decrypt(&spoilt), Err(WrongKey));
    }

    #[test]
    fn a_malformed_key_is_counted_and_never_shown() {
        let key = Cipher::generate_key();
        let error = Cipher::parse(&format!("{key},hunter2")).expect_err("too short").to_string();
        assert!(error.starts_with("key 2 of 2 is no Fernet key") && error.ends_with("got 7 characters"), "{error}");
        assert!(!error.contains("hunter2"));
        assert_eq!(Cipher::parse(" , ").err(), Some(BadKey::None));
    }
}
