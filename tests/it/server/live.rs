//! `/live`: who watches hears every commit, and leaves nothing behind.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::kit::{Home, wait_until};

use super::http::{Client, PASSWORD, make_user};

const DAG: &str = "dag_id: hello\nschedule: null\ntasks:\n  greet: {bash_command: \"true\"}\n";

/// One stream of changes.
pub struct Stream(BufReader<TcpStream>);

/// One message of it.
#[derive(Debug, Default)]
pub struct Message {
    pub id: String,
    pub event: String,
    pub data: String,
}

impl Stream {
    pub fn open(client: &Client, path: &str) -> Self {
        let mut connection = client.connect();
        connection.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
        write!(connection, "GET {path} HTTP/1.1\r\n{}\r\n", client.headers_of()).expect("a request");
        let mut reader = BufReader::new(connection);
        let mut line = String::new();
        reader.read_line(&mut line).expect("an answer");
        assert!(line.contains(" 200 "), "{line}");
        while line.trim() != "retry: 1000" {
            line.clear();
            assert!(reader.read_line(&mut line).expect("an answer") > 0, "the stream ended");
        }
        Self(reader)
    }

    pub fn next(&mut self) -> Message {
        let mut message = Message::default();
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).expect("a line") > 0, "the stream ended");
            let line = line.trim_end();
            match line.split_once(": ") {
                Some(("id", id)) => id.clone_into(&mut message.id),
                Some(("event", event)) => event.clone_into(&mut message.event),
                Some(("data", data)) => data.clone_into(&mut message.data),
                _ if line.is_empty() && !message.event.is_empty() => return message,
                _ => {}
            }
        }
    }

    /// What comes in that time, without the frame of the transfer.
    pub fn said_within(&mut self, time: Duration) -> String {
        self.0.get_ref().set_read_timeout(Some(time)).expect("a socket");
        let mut said = Vec::new();
        let mut byte = [0; 1];
        while self.0.read_exact(&mut byte).is_ok() {
            said.push(byte[0]);
        }
        String::from_utf8_lossy(&said).trim().to_owned()
    }

    /// Reads on until a task is in that state; gives the place of that message.
    pub fn until_task(&mut self, state: &str) -> String {
        loop {
            let message = self.next();
            assert_eq!(message.event, "change", "{message:?}");
            let changes: Vec<Value> = serde_json::from_str(&message.data).expect("changes");
            if changes.iter().any(|event| event["change"]["change"] == "task" && event["change"]["state"] == state) {
                return message.id;
            }
        }
    }
}

#[test]
fn who_watches_hears_of_a_task_as_soon_as_it_is_committed() {
    let home = Home::new();
    home.write("hello.yaml", DAG);
    let _node = home.start();
    make_user(&home, "ann", "Viewer");
    home.wait_dag("hello");
    let ann = Client::of(&home).signed_in("ann", PASSWORD);
    let (mut all, mut one, mut other) =
        (Stream::open(&ann, "/live"), Stream::open(&ann, "/live?dag=hello"), Stream::open(&ann, "/live?dag=another"));
    let begun = Instant::now();
    let run = home.trigger("hello");
    let place = all.until_task("success");
    let heard = begun.elapsed();
    one.until_task("success");
    home.wait_run("hello", &run.run_id).assert_success();
    assert!(heard < Duration::from_secs(5), "{heard:?}");
    assert_eq!(other.said_within(Duration::from_millis(100)), "", "nothing of another DAG is said");
    // A browser that lost the connection goes on where it was.
    let mut again = Stream::open(&ann.with("last-event-id", &place), "/live?since=0-0");
    home.trigger("hello");
    again.until_task("success");
    // One that comes from another life of the server is told to look anew.
    assert_eq!(Stream::open(&ann, "/live?since=1-7").next().event, "reload");
}

#[test]
fn two_hundred_who_watch_and_leave_leave_nothing_behind() {
    let home = Home::new();
    home.write("hello.yaml", DAG);
    let node = home.start();
    make_user(&home, "ann", "Admin");
    home.wait_dag("hello");
    let ann = Client::of(&home).with_token("ann", PASSWORD);
    let watchers = || {
        let metrics = ann.get("/metrics").expect(200).body;
        let line =
            metrics.lines().find(|line| line.starts_with("updraft_live_watchers ")).expect("the gauge").to_owned();
        line.rsplit(' ').next().and_then(|count| count.parse::<usize>().ok()).expect("a number")
    };
    let files = || std::fs::read_dir(format!("/proc/{}/fd", node.pid())).expect("a process").count();
    watchers();
    let (before, open_before) = (watchers(), files());
    let mut streams: Vec<Stream> = (0..200).map(|_| Stream::open(&ann, "/live")).collect();
    assert_eq!(watchers(), before + 200);
    home.trigger("hello");
    for stream in &mut streams {
        stream.until_task("success");
    }
    drop(streams);
    wait_until("those who left are forgotten", || watchers() == before);
    wait_until("their connections are closed", || files() <= open_before + 5);
}
