//! The scheduler's stories, and the simulation that looks for the ones nobody thought of.

mod simulation;
mod stories;
mod stories_of_clearing;
mod stories_of_limits;
mod world;
