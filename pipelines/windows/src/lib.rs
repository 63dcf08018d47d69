//! Questions over time windows: what they mean, said once, and their answers, worked out from stored rows. Pure.
//!
//! A message becomes a row, [`Told`]; its class, score and flags are summed up per chat and minute, [`Sums`]. From these two
//! every answer follows: the same rows give the same windows, whatever the order in which they came. Arroyo's pipelines
//! (`pipelines/arroyo`) answer the same questions over live data, with the numbers of [`definitions`].

pub mod bursts;
pub mod definitions;
#[cfg(feature = "golden")]
pub mod golden;
mod names;
mod panes;
pub mod screen;
pub mod spread;
mod told;
pub mod trends;

pub use names::Names;
pub use panes::Panes;
pub use screen::{Changes, Flag, MinuteChange, Sums, changes};
pub use told::{Said, Told};
