//! `updraft webserver`: the pages in a process of their own, over the database of a scheduler elsewhere.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::kit::{Home, wait_until};

use super::http::{Client, PASSWORD, form_token, make_user};
use super::live::Stream;

const DAG: &str = "dag_id: hello\nschedule: null\ntasks:\n  greet: {bash_command: \"true\"}\n";

/// Killed when the test ends, however it ends.
struct Server {
    child: Child,
    client: Client,
}

impl Server {
    #[track_caller]
    fn start(home: &Home, word: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let mut command: Command = home.command();
        let child = command.args([word, "-p", &port.to_string()]).stderr(Stdio::null()).spawn().expect("it starts");
        wait_until("the web server listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { child, client: Client::at(port) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error means that it ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_pages_of_another_process_trigger_and_hear_of_what_the_scheduler_does() {
    let home = Home::new();
    home.write("hello.yaml", DAG);
    make_user(&home, "ann", "Admin");
    let node = home.start();
    home.wait_dag("hello");
    let server = Server::start(&home, "webserver");
    let ann = server.client.signed_in("ann", PASSWORD);
    let health = server.client.get("/health").expect(200).json();
    assert_eq!(health["scheduler"]["status"], json!("healthy"), "{health}");
    let mut stream = Stream::open(&ann, "/live");
    let token = form_token(&ann.get("/").expect(200).body);
    ann.post_form("/dags/hello/trigger", &[("csrf_token", &token)]).expect(303);
    stream.until_task("success");
    wait_until("the run has ended", || home.runs("hello").first().is_some_and(|run| run.state.is_finished()));
    assert_eq!(home.runs("hello")[0].user.as_deref(), Some("ann"));
    drop(node);
    wait_until("the scheduler is missed", || {
        server.client.get("/health").json()["scheduler"]["status"] == json!("unhealthy")
    });
}

#[test]
fn the_name_that_airflow_3_has_for_it_serves_the_same() {
    let home = Home::new();
    make_user(&home, "ann", "Viewer");
    let server = Server::start(&home, "api-server");
    server.client.with_token("ann", PASSWORD).get("/").expect(200);
}
