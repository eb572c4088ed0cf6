//! Servers of the test's own: one for HTTP, one that takes mail.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What was asked of a server, in order.
pub type Heard = Arc<Mutex<Vec<String>>>;

/// An HTTP server. `/ok` is found, `/later` from the third time on, `/slow` never answers, `/broken` says
/// so, everything else is not found.
pub fn http() -> (u16, Heard) {
    serve(|mut stream, heard| {
        let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
        let mut head = String::new();
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        let request = format!("{head}\n{}", String::from_utf8_lossy(&body));
        let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
        let times = {
            let mut heard = heard.lock().expect("nobody panicked");
            heard.push(request);
            heard.iter().filter(|request| request.split(' ').nth(1) == Some(&path)).count()
        };
        let (status, answer) = match path.as_str() {
            "/slow" => {
                thread::park();
                return;
            }
            path if path.starts_with("/ok") => ("200 OK", r#"{"state": "ready", "rows": [1, 2]}"#),
            "/broken" => ("500 Internal Server Error", "out of order"),
            "/later" if times > 2 => ("200 OK", "done"),
            _ => ("404 Not Found", "nothing here"),
        };
        let answer =
            format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}", answer.len());
        // A task that was killed no longer listens.
        let _ = stream.write_all(answer.as_bytes());
    })
}

/// A mail server that takes everything.
pub fn smtp() -> (u16, Heard) {
    serve(|mut stream, heard| {
        let mut lines = BufReader::new(stream.try_clone().expect("a second handle")).lines();
        let mut say = move |text: &str| stream.write_all(format!("{text}\r\n").as_bytes()).expect("somebody listens");
        say("220 test");
        let mut mail = String::new();
        while let Some(Ok(line)) = lines.next() {
            // Not every program writes commands in capitals.
            match line.split([' ', ':']).next().unwrap_or_default().to_uppercase().as_str() {
                "EHLO" => say("250-test\r\n250 AUTH PLAIN LOGIN"),
                "DATA" => {
                    say("354 go on");
                    for line in lines.by_ref().map_while(Result::ok).take_while(|line| line != ".") {
                        mail.push_str(&line);
                        mail.push('\n');
                    }
                    heard.lock().expect("nobody panicked").push(std::mem::take(&mut mail));
                    say("250 taken");
                }
                "AUTH" => {
                    mail.push_str(&line);
                    mail.push('\n');
                    say("235 welcome");
                }
                "QUIT" => return say("221 bye"),
                _ => {
                    mail.push_str(&line);
                    mail.push('\n');
                    say("250 ok");
                }
            }
        }
    })
}

/// Each connection in a thread of its own; they end with the test.
fn serve(handle: impl Fn(TcpStream, Heard) + Send + Sync + Copy + 'static) -> (u16, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let heard = Heard::default();
    let told = heard.clone();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let told = told.clone();
            thread::spawn(move || handle(stream, told));
        }
    });
    (port, heard)
}
