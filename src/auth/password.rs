//! Passwords: kept as Argon2id hashes, verified away from the threads that serve, and never more than a few at once.

use std::sync::LazyLock;

use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

/// One verification takes 19 MiB for some 20 ms: more at once would only take memory.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

/// Longer ones are refused unread.
pub const LONGEST: usize = 1_024;

/// What a password of nobody is verified against.
static NOBODY: LazyLock<String> = LazyLock::new(|| hash_now(&super::secret::random()));

/// The hash to keep.
///
/// # Panics
/// When the system has no randomness for a salt.
pub async fn hash(password: String) -> String {
    off_thread(move || hash_now(&password)).await
}

/// Whether the password is the one that was hashed. Without a hash, which nobody has who does not exist, it takes as
/// long and says no.
pub async fn verify(password: String, hash: Option<String>) -> bool {
    if password.len() > LONGEST {
        return false;
    }
    off_thread(move || {
        let against = hash.as_deref().filter(|hash| !hash.is_empty());
        let is_right = verify_now(&password, against.unwrap_or(NOBODY.as_str()));
        is_right && against.is_some()
    })
    .await
}

async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let permit = AT_ONCE.acquire().await.expect("nobody closes it");
    let done = tokio::task::spawn_blocking(work).await.expect("hashing does not panic");
    drop(permit);
    done
}

fn hash_now(password: &str) -> String {
    let hash: argon2::PasswordHash =
        Argon2::default().hash_password(password.as_bytes()).expect("a password of this length, and a random salt");
    hash.to_string()
}

fn verify_now(password: &str, hash: &str) -> bool {
    Argon2::default().verify_password(password.as_bytes(), hash).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_again_and_no_other_is() {
        let kept = hash("hunter2 ü".to_owned()).await;
        assert!(kept.starts_with("$argon2id$"));
        assert_ne!(kept, hash("hunter2 ü".to_owned()).await, "each has a salt of its own");
        assert!(verify("hunter2 ü".to_owned(), Some(kept.clone())).await);
        assert!(!verify("hunter2".to_owned(), Some(kept.clone())).await);
        assert!(!verify(String::new(), Some(String::new())).await, "who has no password has no empty one either");
        assert!(!verify("x".to_owned(), None).await);
        assert!(!verify("x".repeat(LONGEST + 1), Some(kept)).await);
    }

    /// The work of a verification is in the parameters of its hash: where they are the same, so is the time.
    #[test]
    fn who_does_not_exist_costs_the_same_work_as_who_does() {
        let parameters = |hash: &str| hash.rsplitn(3, '$').last().map(str::to_owned);
        assert_eq!(parameters(&NOBODY), parameters(&hash_now("hunter2")));
        assert!(parameters(&NOBODY).is_some_and(|text| text.starts_with("$argon2id$") && text.contains("m=")));
        assert!(!verify_now("hunter2", &NOBODY));
    }
}
