//! Texts that nobody can guess, and the marks by which they are known again.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// How the tokens that users make for programs begin, so that one is known for what it is wherever it turns up.
pub const API_TOKEN_PREFIX: &str = "updraft_";

/// 256 bits of the system's randomness, as text.
///
/// # Panics
/// When the system has no randomness: nothing that follows could be trusted.
pub fn random() -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// A password for a person to copy: letters and digits, about 95 bits.
///
/// # Panics
/// When the system has no randomness.
pub fn random_password() -> String {
    let legible = |letter: &char| letter.is_ascii_alphanumeric() && !matches!(letter, 'l' | 'I' | 'O' | '0' | '1');
    let letters: String = (0..4).flat_map(|_| random().chars().filter(legible).collect::<Vec<_>>()).collect();
    letters.chars().take(16).collect()
}

/// What is kept of a secret: whoever reads it cannot use it.
pub fn hash(secret: &str) -> String {
    Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the forms of a session send along, so that no other site can send them. It follows from the session's
/// secret, and says nothing about it.
pub fn forgery_token(session: &str) -> String {
    hash(&format!("form:{session}"))
}

/// Whether two secrets are the same, without a hint where they differ.
pub fn is_same(one: &str, other: &str) -> bool {
    Sha256::digest(one) == Sha256::digest(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_comes_twice_and_none_is_short() {
        let secrets: std::collections::HashSet<String> = (0..100).map(|_| random()).collect();
        assert_eq!(secrets.len(), 100);
        assert!(secrets.iter().all(|secret| secret.len() == 43));
        assert!((0..100).all(|_| random_password().len() == 16));
    }

    #[test]
    fn the_token_of_a_form_does_not_tell_the_session() {
        let session = random();
        assert_ne!(forgery_token(&session), hash(&session), "the hash of a session is what the database holds");
        assert!(is_same("a", "a") && !is_same("a", "b") && !is_same("a", ""));
    }
}
