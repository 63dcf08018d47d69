//! SmartModule signal-score: score, class and named factors of a message.
//!
//! A message and a rule set come in, a [`telesift_schemas::Screen`] leaves. The rule is pure: no clock, no history, no
//! network, and bit-identical in guest and host, because all arithmetic is plain f64 in a fixed order with one `exp`.
//!
//! The text is analysed once into [`Analysis`](analysis::Analysis); every factor takes its value from there, its weight from
//! the rules, and adds `value × weight` logits to the bias. A further provider of factors (a learned model, overrides of a
//! chat) is one more set of values in [`factors`].

mod analysis;
mod explain;
mod factors;
#[cfg(not(target_arch = "wasm32"))]
mod features;
mod lexicon;
pub mod model;
mod record;
mod rules;
mod score;
mod spam;
mod view;

#[cfg(target_arch = "wasm32")]
mod guest;

pub use explain::{Explanation, FactorShare, SpamExplanation, explain};
pub use factors::Factor;
#[cfg(not(target_arch = "wasm32"))]
pub use features::{Features, features};
pub use record::score_record;
#[cfg(not(target_arch = "wasm32"))]
pub use rules::Change;
pub use rules::{RuleError, Rules};
pub use score::{Scored, score};
pub use spam::SpamCue;
pub use view::MessageView;
