//! The web server, asked over HTTP as browsers and programs ask it: who is let in, what they may, what they hear.

mod http;
mod live;
mod metrics;
mod rights;
mod sign_in;
mod users;
mod webserver;
