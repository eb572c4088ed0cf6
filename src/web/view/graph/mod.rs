//! The graph of a DAG: tasks as boxes from left to right, edges as curves, groups as soft frames that fold.

mod layout;
mod picture;
mod rows;
mod sketch;

pub use layout::{Layout, Point, Rect};
pub use picture::{Shown, draw};
pub use sketch::{Sketch, SketchKind};
