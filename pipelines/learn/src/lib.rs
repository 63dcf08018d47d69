//! Learning and measuring screening: labelled messages come in; weights, proposed rules and figures leave.
//!
//! Everything here is a pure function of its input, so a training can be repeated to the bit.

pub mod corpus;
pub mod evaluation;
pub mod fit;
pub mod folds;
pub mod gathered;
pub mod labels;
pub mod length;
pub mod metrics;
pub mod proposal;
pub mod rule_file;
pub mod screening;
pub mod spam;
pub mod train;

pub use labels::{LabelError, Labelled};
