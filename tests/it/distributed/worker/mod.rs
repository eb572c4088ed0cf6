//! A worker node, as its leader and its broker see it: the real program, a leader that does what the test says, and a
//! wire between worker and broker that can be cut.

mod desk;
mod life;
mod loss;
mod size;
mod start;
mod wire;
