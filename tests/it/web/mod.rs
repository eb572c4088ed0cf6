//! The pages, as people use them: a real node, a real browser, a real click.

mod dag;
mod home;
mod lists;
mod sign_in;
