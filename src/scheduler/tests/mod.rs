//! The scheduler's stories, and the simulation that looks for the ones nobody thought of.

mod simulation;
mod simulation_of_telling;
mod stories;
mod stories_of_assets;
mod stories_of_backfills;
mod stories_of_clearing;
mod stories_of_contention;
mod stories_of_limits;
mod stories_of_mapping;
mod stories_of_reasons;
mod stories_of_skipping;
mod stories_of_teardown;
mod stories_of_telling;
mod stories_of_the_past;
mod stories_of_waiting;
mod stories_of_workers;
mod world;
