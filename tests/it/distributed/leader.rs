//! A leader whose workers are behind a broker, against a worker that does what the test says.

use serde_json::{Value, json};
use updraft::domain::attempt::{Refusal, Verdict};
use updraft::domain::ids::{Claim, Epoch, Incarnation};
use updraft::domain::secret::Hidden;
use updraft::protocol::envelope::{Direction, Keys, Sender};
use updraft::protocol::letter::{Kind, Marker, Said};
use updraft::protocol::work::{Answer, FromWorker, Question, ToWorker};
use uuid::Uuid;

use crate::kit::broker::{HandWorker, Installation, SECRET};
use crate::kit::{Database, Wire, wait_for, wait_until};

pub const ONE: &str = "schedule: null\ntasks:\n  only: {bash: 'true'}\n";
const TWO: &str = "schedule: null\ntasks:\n  first: {bash: 'true'}\n  second: {bash: 'true', depends_on: first}\n";

fn refused(worker: &mut HandWorker<'_>, claim: Claim) -> Refusal {
    worker.hear("a refusal", |message| match message {
        ToWorker::Refused { claim: of, why, .. } if *of == claim => Some(*why),
        _ => None,
    })
}

#[test]
fn a_task_is_granted_to_one_claim_and_its_report_is_settled_once() {
    grants_once(&Installation::new());
}

#[test]
fn the_same_is_true_over_redis() {
    grants_once(&Installation::on_redis());
}

fn grants_once(installation: &Installation) {
    let database = Database::create();
    let home = installation.home().with("database.sql_alchemy_conn", &database.url());
    home.write("two.yaml", TWO);
    let node = home.start();
    let mut worker = installation.worker();
    worker.online();
    let run = home.trigger("two");

    let (task, delivery) = worker.take_task();
    assert_eq!(task.key.task.as_str(), "first");
    let mut other = installation.worker();
    other.online();
    let (claim, later) = (worker.new_claim(), other.new_claim());
    worker.ask_for(&task, claim);
    worker.hear_granted(claim);
    other.ask_for(&task, later);
    assert_eq!(refused(&mut other, later), Refusal::Owned);
    worker.ask_for(&task, claim);
    worker.hear_granted(claim);
    installation.block_on(delivery.ack()).expect("an acknowledgement");

    let mut report = worker.report(&task, claim);
    report.xcoms = vec![("return_value".to_owned(), json!({"rows": 7}))];
    assert_eq!(worker.finish(report.clone()), Verdict::Applied);
    assert_eq!(worker.finish(report), Verdict::Duplicate);
    worker.ask_for(&task, claim);
    assert_eq!(refused(&mut worker, claim), Refusal::Ended);

    let (second, claim) = worker.own_task();
    assert_eq!(second.key.task.as_str(), "second");
    assert_eq!(worker.finish(worker.report(&second, claim)), Verdict::Applied);
    let run = home.wait_run("two", &run.run_id);
    run.assert_success();
    assert_eq!(home.xcom(&run.row, "first", "return_value"), json!({"rows": 7}));
    assert_eq!(node.stop().code, Some(0));
}

#[test]
fn what_is_none_of_ours_lies_with_the_dead_letters_and_is_counted() {
    let installation = Installation::new();
    let home = installation.home();
    home.write("one.yaml", ONE);
    let node = home.start();
    let mut worker = installation.worker();
    worker.online();

    let scheduler = installation.names().scheduler();
    let letter = Said { reply_to: String::new(), said: Vec::new() };
    let mut altered = worker.sealed(Kind::Said, &letter);
    *altered.last_mut().expect("bytes") ^= 1;
    let other_secret = Keys::new(installation.keys().installation().clone(), "a secret that nobody shares here");
    let unknown =
        other_secret.expect("a secret").seal(Direction::ToScheduler, worker.sender(), Kind::Said.as_str(), &letter);
    let elsewhere = updraft::protocol::envelope::Installation::new("elsewhere").expect("a name");
    let foreign = Keys::new(elsewhere, SECRET).expect("a secret").seal(
        Direction::ToScheduler,
        worker.sender(),
        Kind::Said.as_str(),
        &letter,
    );
    let stolen = Said { reply_to: scheduler.name().to_owned(), said: Vec::new() };
    let bodies = [
        b"DROP TABLE dag".to_vec(),
        altered,
        unknown.expect("short"),
        foreign.expect("short"),
        worker.sealed(Kind::Task, &letter),
        worker.sealed(Kind::Said, &stolen),
    ];
    let count = bodies.len();
    for body in bodies {
        installation.publish(&worker.line, &scheduler, body);
    }
    let mut reasons = installation.dead_letters(count);
    for says in [
        "not a message of updraft",
        "the signature is wrong",
        "a secret that is not known here",
        "of the installation `elsewhere`",
        "a `task` message, which is not for the scheduler",
        "no reply queue of the worker that signed it",
    ] {
        let found = reasons.iter().position(|reason| reason.contains(says));
        reasons.remove(found.unwrap_or_else(|| panic!("{says}: {reasons:?}")));
    }
    wait_until("they are counted", || {
        node.health().is_some_and(|health| health["scheduler"]["rejected_messages"] == json!(count))
    });

    home.trigger("one");
    let (task, claim) = worker.own_task();
    assert_eq!(worker.finish(worker.report(&task, claim)), Verdict::Applied, "whoever is ours is still served");
    assert_eq!(node.stop().code, Some(0));
}

#[test]
fn a_secret_is_told_only_to_the_life_that_owns_the_claim() {
    let installation = Installation::new();
    let home = installation.home();
    home.write("one.yaml", ONE);
    assert!(home.finished(&["variables", "set", "password_of_bank", "hunter2-of-the-bank"]).status.success());
    let node = home.start();
    let mut worker = installation.worker();
    worker.online();
    home.trigger("one");
    let (task, claim) = worker.own_task();
    let asked = |seq| FromWorker::Asked {
        attempt: task.attempt,
        claim,
        seq,
        question: Question::GetVariable { key: "password_of_bank".to_owned() },
    };
    let mut thief = installation.worker();
    thief.online();
    thief.say(vec![asked(1)]);
    let reasons = installation.dead_letters(1);
    assert!(reasons[0].contains("speaks of a claim of worker"), "{reasons:?}");

    worker.say(vec![asked(2)]);
    let answer = worker.hear("the answer", |message| match message {
        ToWorker::Values { claim: of, seq: 2, answer } if *of == claim => Some(answer.clone()),
        _ => None,
    });
    assert_eq!(answer, Answer::Variable { value: Some(Hidden("hunter2-of-the-bank".to_owned())) });
    let life = installation.worker_in(worker.id, Incarnation(2));
    assert!(life.line.reply_to != worker.line.reply_to);
    assert!(!node.output().contains("hunter2"), "{}", node.output());
    assert_eq!(node.stop().code, Some(0));
}

#[test]
fn a_life_that_is_over_or_unknown_is_fenced_at_its_own_address() {
    let installation = Installation::new();
    let home = installation.home();
    home.write("one.yaml", ONE);
    let node = home.start();
    let mut unknown = installation.worker();
    unknown.beat(&[]);
    let fenced = |message: &ToWorker| match message {
        ToWorker::Fenced { incarnation } => Some(*incarnation),
        _ => None,
    };
    assert_eq!(unknown.hear("that it is fenced", fenced), Incarnation(1));

    let mut first = installation.worker();
    first.online();
    home.trigger("one");
    let (task, claim) = first.own_task();
    first.take_no_more();
    let mut second = installation.worker_in(first.id, Incarnation(2));
    second.online();
    first.beat(&[(task.attempt, claim)]);
    assert_eq!(first.hear("that it is fenced", fenced), Incarnation(1));
    let report = first.report(&task, claim);
    first.say(vec![FromWorker::Finish(report)]);
    let verdict = second.hear("that the report came too late", |message| match message {
        ToWorker::Settled { claims } => claims.first().map(|(_, verdict)| *verdict),
        _ => None,
    });
    assert_eq!(verdict, Verdict::Stale, "it was lost with its life, and the newest life hears of reports");
    let (again, claim) = second.own_task();
    assert_eq!(again.key, task.key, "what was lost is tried again");
    assert_eq!(second.finish(second.report(&again, claim)), Verdict::Applied);
    assert_eq!(node.stop().code, Some(0));
}

#[test]
fn a_marker_of_a_newer_epoch_deposes_the_leader_which_stands_by_and_leads_again() {
    let installation = Installation::new();
    let home = installation.home();
    home.write("one.yaml", ONE);
    let node = home.start();
    let epoch = || -> Option<i64> { node.health()?["scheduler"]["epoch"].as_i64() };
    let first = wait_for("the leader says its epoch", epoch);
    let marker = Marker { epoch: Epoch(first + 1), subscription: 9, nonce: Uuid::new_v4() };
    let sender = Sender::Scheduler { epoch: marker.epoch };
    let body = installation.keys().seal(Direction::ToScheduler, sender, Kind::Marker.as_str(), &marker);
    let line = installation.stranger();
    installation.publish(&line, &installation.names().scheduler(), body.expect("short"));
    node.wait_says("deposed: standing by again");
    wait_until("it leads again", || {
        node.health().is_some_and(|health| {
            health["scheduler"]["role"] == json!("leader") && health["scheduler"]["epoch"] == json!(first + 1)
        })
    });
    let mut worker = installation.worker();
    worker.online();
    home.trigger("one");
    let (task, claim) = worker.own_task();
    assert_eq!(worker.finish(worker.report(&task, claim)), Verdict::Applied);
    installation.hang_up(line);
    assert_eq!(node.stop().code, Some(0));
}

#[test]
fn what_keeps_a_leader_from_its_broker_is_one_clear_error_at_the_start() {
    let installation = Installation::new();
    for (key, value, says) in [
        ("core.internal_secret", "", "[core] internal_secret is empty"),
        ("core.installation", "a b", "set [core] installation"),
        ("celery.broker_url", "ampq://guest:hunter2@127.0.0.1/", "[celery] broker_url: unknown broker `ampq://`"),
        ("celery.broker_url", "amqp://guest:hunter2@127.0.0.1:5672/", "does not let the user `guest` in"),
        ("celery.broker_url", "amqp://guest:guest@127.0.0.1:5672/nowhere-at-all", "has no virtual host"),
    ] {
        let home = installation.home().with(key, value);
        let ended = home.start_in_vain();
        assert_eq!(ended.code, Some(1), "{key}: {}", ended.output);
        assert!(ended.output.contains(says) && !ended.output.contains("hunter2"), "{key}: {}", ended.output);
    }
}

#[test]
fn health_tells_of_the_broker() {
    let installation = Installation::new();
    let home = installation.home();
    let node = home.start();
    let health: Value = wait_for("the page answers", || node.health());
    assert_eq!(health["scheduler"]["role"], "leader");
    assert_eq!(health["broker"]["status"], "healthy");
    assert_eq!(node.stop().code, Some(0));
    let home = installation.home().with("celery.broker_url", "amqp://guest:guest@127.0.0.1:9/");
    let node = home.start();
    let health: Value = wait_for("the page answers", || node.health());
    assert_eq!(health["scheduler"]["role"], "leader", "{health}");
    assert_eq!(health["broker"]["status"], "unhealthy");
    node.wait_says("cannot reach the broker");
    assert_eq!(node.stop().code, Some(0));
}

#[test]
fn a_broker_that_is_lost_and_found_again_loses_nothing() {
    let installation = Installation::new();
    let wire = Wire::to(&installation.server());
    let home = installation.home().with("celery.broker_url", &wire.before(installation.url(), &installation.server()));
    home.write("two.yaml", TWO);
    let node = home.start();
    let mut worker = installation.worker();
    worker.online();
    let run = home.trigger("two");
    let (task, delivery) = worker.take_task();

    // The claim and its repetition, with nothing in between but a broken connection.
    let claim = worker.new_claim();
    wire.cut();
    worker.ask_for(&task, claim);
    worker.hear_granted(claim);
    node.wait_says("the broker is gone: connecting again");
    installation.block_on(delivery.ack()).expect("an acknowledgement");

    // A report that is settled, and the task that follows, while nothing gets through and then everything breaks.
    wire.silence();
    let report = worker.report(&task, claim);
    worker.say(vec![FromWorker::Finish(report.clone())]);
    wire.cut();
    wire.heal();
    let (second, claim) = worker.own_task();
    assert_eq!(second.key.task.as_str(), "second");
    // The answer to the first may come only now, on the new connection; the next one is to a repetition.
    let verdicts = [worker.finish(report.clone()), worker.finish(report)];
    assert_eq!(verdicts[1], Verdict::Duplicate, "it was taken once: {verdicts:?}");
    assert_eq!(worker.finish(worker.report(&second, claim)), Verdict::Applied);
    home.wait_run("two", &run.run_id).assert_success();
    assert_eq!(node.stop().code, Some(0));
}
