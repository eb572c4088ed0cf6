//! What an envelope must withstand.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "fedcba9876543210fedcba9876543210";

fn installation(name: &str) -> Installation {
    Installation::new(name).expect("a good name")
}

fn keys(secret: &str) -> Keys {
    Keys::new(installation("updraft"), secret).expect("good secrets")
}

fn worker() -> Sender {
    Sender::Worker { worker: WorkerId(Uuid::from_u128(7)), incarnation: Incarnation(3) }
}

fn scheduler() -> Sender {
    Sender::Scheduler { epoch: Epoch(5) }
}

fn beat() -> Vec<u8> {
    keys(SECRET).seal(Direction::ToScheduler, worker(), "beat", &json!({"seq": 1})).expect("a short message")
}

/// Signs what the test wrote into the signed part.
fn signed_anew(mut bytes: Vec<u8>, direction: Direction) -> Vec<u8> {
    let mac = Key::new(SECRET.as_bytes()).mac(direction, &bytes[..MAC_AT], &bytes[SIGNED_AT..]);
    bytes[MAC_AT..SIGNED_AT].copy_from_slice(&mac.finalize().into_bytes());
    bytes
}

#[test]
fn a_message_comes_out_as_it_went_in() {
    let bytes = beat();
    let keys = keys(SECRET);
    let opened = keys.open(Direction::ToScheduler, &bytes).expect("a genuine message");
    assert_eq!((opened.kind, opened.sender, opened.version), ("beat", worker(), VERSION));
    assert_eq!(opened.read::<Value>(), Ok(json!({"seq": 1})));
}

#[test]
fn the_layout_is_the_one_that_is_drawn() {
    let bytes = beat();
    assert_eq!(&bytes[..4], b"UPD\x01");
    assert_eq!(bytes[44..49], [0, 1, 0, 1, 2]);
    assert_eq!(&bytes[49..62], b"\x04beat\x07updraft");
    assert_eq!(bytes[62], 1);
    assert_eq!(bytes[87..91], [0, 0, 0, 9]);
    assert_eq!(&bytes[91..], br#"{"seq":1}"#);
}

#[test]
fn a_message_to_workers_is_none_to_the_scheduler_and_the_other_way_round() {
    let keys = keys(SECRET);
    let granted = keys.seal(Direction::ToWorker, scheduler(), "granted", &1).expect("short");
    assert_eq!(keys.open(Direction::ToScheduler, &granted), Err(Rejection::WrongSignature));
    assert_eq!(keys.open(Direction::ToWorker, &beat()), Err(Rejection::WrongSignature));
}

#[test]
fn a_worker_cannot_speak_as_the_scheduler() {
    let keys = keys(SECRET);
    let granted = keys.seal(Direction::ToWorker, worker(), "granted", &1).expect("short");
    assert_eq!(keys.open(Direction::ToWorker, &granted), Err(Rejection::WrongSender));
    let marker = keys.seal(Direction::ToScheduler, scheduler(), "marker", &1).expect("short");
    assert!(keys.open(Direction::ToScheduler, &marker).is_ok(), "a leader may write to itself");
}

#[test]
fn a_secret_is_changed_without_a_gap() {
    let [old, both_old_first, both_new_first, new] =
        [SECRET.to_owned(), format!("{SECRET},{OTHER}"), format!(" {OTHER} , {SECRET},"), OTHER.to_owned()]
            .map(|s| keys(&s));
    let say = |keys: &Keys| keys.seal(Direction::ToWorker, scheduler(), "probe", &0).expect("short");
    let hears = |keys: &Keys, bytes: &[u8]| keys.open(Direction::ToWorker, bytes).is_ok();
    for (by, to, is_heard) in [
        (&old, &both_old_first, true),
        (&both_old_first, &old, true),
        (&both_old_first, &both_new_first, true),
        (&both_new_first, &both_old_first, true),
        (&both_new_first, &new, true),
        (&new, &both_new_first, true),
        (&old, &new, false),
        (&new, &old, false),
    ] {
        assert_eq!(hears(to, &say(by)), is_heard, "{by:?} to {to:?}");
    }
    let key_id = old.signing();
    assert_eq!(new.open(Direction::ToWorker, &say(&old)), Err(Rejection::UnknownKey { key_id }));
}

#[test]
fn another_installation_with_the_same_secret_is_not_heard() {
    let bytes = beat();
    let staging = Keys::new(installation("staging"), SECRET).expect("a good secret");
    let error = staging.open(Direction::ToScheduler, &bytes).expect_err("foreign");
    assert_eq!(
        error.to_string(),
        "a message of the installation `updraft`, expected: `staging`; see [core] installation"
    );
}

#[test]
fn versions_that_cannot_be_read_are_named() {
    let keys = keys(SECRET);
    let with = |at: usize, version: u16| {
        let mut bytes = beat();
        bytes[at..at + 2].copy_from_slice(&version.to_be_bytes());
        signed_anew(bytes, Direction::ToScheduler)
    };
    let newer = with(44, 9);
    let opened = keys.open(Direction::ToScheduler, &newer).expect("written by a newer node for readers of 1");
    assert_eq!(opened.version, 9);
    let too_new = with(46, 2);
    assert_eq!(keys.open(Direction::ToScheduler, &too_new), Err(Rejection::TooNew { version: 1, min_version: 2 }));
    assert_eq!(keys.open(Direction::ToScheduler, &with(44, 0)), Err(Rejection::TooOld { version: 0 }));
}

#[test]
fn what_is_signed_but_misshapen_is_refused_too() {
    let keys = keys(SECRET);
    let altered = |change: fn(&mut Vec<u8>)| {
        let mut bytes = beat();
        change(&mut bytes);
        let bytes = signed_anew(bytes, Direction::ToScheduler);
        keys.open(Direction::ToScheduler, &bytes).map(|_| ()).expect_err("misshapen")
    };
    let malformed = |error: Rejection| assert!(matches!(error, Rejection::Malformed(_)), "{error}");
    malformed(altered(|bytes| bytes.push(b' ')));
    malformed(altered(|bytes| bytes[50] = 0xff));
    malformed(altered(|bytes| bytes[49] = 0xff));
    malformed(altered(|bytes| bytes[62] = 2));
    malformed(altered(|bytes| bytes[62] = 0));
    malformed(altered(|bytes| bytes[48] = 1));
    malformed(altered(|bytes| bytes.truncate(60)));
    malformed(altered(|bytes| bytes[87] = 0xff));
}

#[test]
fn a_body_that_is_no_message_is_named_with_its_kind() {
    let keys = keys(SECRET);
    let deep = "[".repeat(100_000);
    for body in ["", "{", "null", deep.as_str()] {
        let bytes = keys.seal_bytes(Direction::ToScheduler, worker(), "beat", body.as_bytes()).expect("short");
        let opened = keys.open(Direction::ToScheduler, &bytes).expect("genuine");
        let error = opened.read::<Vec<u8>>().expect_err("no list");
        assert!(error.to_string().starts_with("cannot read the `beat` message: "), "{error}");
    }
}

#[test]
fn too_long_is_refused_on_both_sides() {
    let keys = keys(SECRET);
    let long = vec![0; MAX_LENGTH];
    let sealed = keys.seal_bytes(Direction::ToScheduler, worker(), "chunk", &long);
    assert!(matches!(sealed, Err(SealError::TooLong { kind: "chunk", .. })));
    let length = MAX_LENGTH + 1;
    assert_eq!(keys.open(Direction::ToScheduler, &vec![0; length]), Err(Rejection::TooLong(length)));
    let longest = keys.seal_bytes(Direction::ToScheduler, worker(), "chunk", &long[92..]).expect("just not too long");
    assert_eq!(longest.len(), MAX_LENGTH);
    assert!(keys.open(Direction::ToScheduler, &longest).is_ok());
}

#[test]
fn a_secret_must_be_there_and_hard_to_guess() {
    let of = |text: &str| Keys::new(installation("updraft"), text).map(|keys| keys.keys.len());
    assert_eq!(of(" , "), Err(InvalidSecret::Missing));
    assert_eq!(of("short"), Err(InvalidSecret::TooShort(5)));
    assert_eq!(of(&format!("{SECRET},short")), Err(InvalidSecret::TooShort(5)));
    assert_eq!(of(&[SECRET; 9].join(",")), Err(InvalidSecret::TooMany(9)));
    let shown = format!("{:?}", keys(SECRET));
    assert!(!shown.contains(&SECRET[..8]), "{shown}");
}

#[test]
fn names_of_installations_cannot_be_taken_for_parts_of_a_queue() {
    for name in ["", "a.b", "a b", "ü", &"a".repeat(41)] {
        assert!(Installation::new(name).is_err(), "{name}");
    }
    assert_eq!(installation("staging-2_b").as_str(), "staging-2_b");
}

proptest! {
    #[test]
    fn any_message_comes_back(
        body in proptest::collection::vec(any::<u8>(), 0..2_000),
        id in any::<u128>(),
        number in any::<i64>(),
        by_worker in any::<bool>(),
    ) {
        let sender = if by_worker {
            Sender::Worker { worker: WorkerId(Uuid::from_u128(id)), incarnation: Incarnation(number) }
        } else {
            Sender::Scheduler { epoch: Epoch(number) }
        };
        let keys = keys(SECRET);
        let bytes = keys.seal_bytes(Direction::ToScheduler, sender, "chunk", &body).expect("short");
        let opened = keys.open(Direction::ToScheduler, &bytes).expect("genuine");
        prop_assert_eq!(opened, Opened { kind: "chunk", sender, version: VERSION, body: &body });
    }

    #[test]
    fn a_flipped_bit_is_refused(at in any::<proptest::sample::Index>(), bit in 0u8..8) {
        let mut bytes = beat();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(keys(SECRET).open(Direction::ToScheduler, &bytes).is_err());
    }

    #[test]
    fn anything_else_is_refused_without_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        cut in 0usize..100,
    ) {
        let keys = keys(SECRET);
        prop_assert!(keys.open(Direction::ToScheduler, &bytes).is_err());
        let genuine = beat();
        prop_assert!(keys.open(Direction::ToScheduler, &genuine[..genuine.len() - 1 - cut % genuine.len()]).is_err());
        // Also behind a genuine head and signature.
        let mut dressed = genuine[..SIGNED_AT].to_vec();
        dressed.extend_from_slice(&bytes);
        let dressed = signed_anew(dressed, Direction::ToScheduler);
        let _ = keys.open(Direction::ToScheduler, &dressed);
    }
}
