//! What stands in `messages` between messages.

use serde::{Deserialize, Serialize};

use crate::Origin;

/// A record of `messages` that is no message. Where a log has no transactions, the owner of a partition finds its place in
/// the last record it wrote; a long run of raw records none of which became a message leaves this. Readers pass over it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Marker {
    /// Record version: 1.
    pub v: u32,
    /// What it says.
    pub marker: MarkerKind,
    /// The last raw record it speaks of.
    pub origin: Origin,
}

/// What a [`Marker`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MarkerKind {
    /// Everything up to the origin is screened.
    Screened,
}

impl Marker {
    /// Current record version.
    pub const VERSION: u32 = 1;

    /// Everything up to `origin` is screened.
    pub fn screened(origin: Origin) -> Self {
        Marker {
            v: Self::VERSION,
            marker: MarkerKind::Screened,
            origin,
        }
    }
}
