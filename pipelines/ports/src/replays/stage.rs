//! The stages that can be replayed, and what a replay of each fills: the one list to extend with a stage.

use serde::{Deserialize, Serialize};

use crate::generations::Part;

/// The stages a replay can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names of the stages")]
pub enum ReplayStage {
    Screen,
    Index,
    Stories,
    Embed,
    Extract,
    Alert,
    Windows,
}

impl ReplayStage {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Screen => "screen",
            Self::Index => "index",
            Self::Stories => "stories",
            Self::Embed => "embed",
            Self::Extract => "extract",
            Self::Alert => "alert",
            Self::Windows => "windows",
        }
    }

    /// The parts of a generation that its replay fills anew; the others are those of the live generation. None of `alert`: nothing is
    /// kept of it.
    pub fn own_parts(self) -> &'static [Part] {
        match self {
            Self::Screen => &Part::OF_MESSAGES,
            Self::Index | Self::Embed => &[Part::Store],
            Self::Stories => &[Part::Stories],
            Self::Windows => &[Part::Windows],
            Self::Extract => &[Part::Knowledge],
            Self::Alert => &[],
        }
    }
}
