//! The supervisor as a table of requests and what follows from them.
