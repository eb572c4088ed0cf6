//! What users ask for survives, is answered once, and never breaks the one who answers.

use crate::protocol::control::{Control, Refused, Reply};
use crate::store::write::Write;

use super::on_every_database;
use super::rows::{at, dag_id};

#[tokio::test]
async fn a_command_waits_until_it_is_answered_and_its_first_answer_stands() {
    on_every_database(async |bed| {
        let pause = |name| Control::Pause { dag: dag_id(name), paused: true };
        let elsewhere = bed.another().await;
        let first = elsewhere.submit(&pause("a"), Some("anna"), at(1)).await.expect("accepted");
        let second = elsewhere.submit(&pause("b"), None, at(2)).await.expect("accepted");
        let pending = bed.store.pending_commands().await.expect("commands");
        assert_eq!(pending.iter().map(|command| command.id).collect::<Vec<_>>(), [first, second]);
        assert_eq!(pending[0].control, Ok(pause("a")));
        assert_eq!(pending[0].user.as_deref(), Some("anna"));
        assert_eq!(elsewhere.reply(first).await.expect("no answer yet"), None);

        let answer = |changed| Reply::Paused { dag: dag_id("a"), paused: true, changed };
        bed.write(vec![Write::CommandDone { id: first, reply: answer(true), at: at(3) }]).await;
        bed.write(vec![Write::CommandDone { id: first, reply: answer(false), at: at(4) }]).await;
        assert_eq!(elsewhere.reply(first).await.expect("an answer"), Some(answer(true)));
        let pending = bed.store.pending_commands().await.expect("commands");
        assert_eq!(pending.iter().map(|command| command.id).collect::<Vec<_>>(), [second]);
    })
    .await;
}

#[tokio::test]
async fn a_command_that_cannot_be_read_comes_with_the_refusal_to_answer() {
    on_every_database(async |bed| {
        for text in ["{\"control\": \"from_the_future\"}", "not json"] {
            bed.execute(&format!("INSERT INTO command (control, created_at) VALUES ('{text}', 0)")).await;
        }
        let pending = bed.store.pending_commands().await.expect("no crash");
        assert_eq!(pending.len(), 2);
        for command in pending {
            let why = command.control.expect_err("unreadable");
            assert!(matches!(why, Refused::Invalid { .. }), "{why:?}");
            bed.write(vec![Write::CommandDone { id: command.id, reply: Reply::Refused { why }, at: at(1) }]).await;
        }
        assert_eq!(bed.store.pending_commands().await.expect("commands"), []);
    })
    .await;
}
