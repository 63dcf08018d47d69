//! `decisions`: what humans decided, so that a rebuild by replay decides the same.

use serde::{Deserialize, Serialize};

use crate::{Class, MessageKey, Position, Timestamp, TopicPartition};

/// A record of `decisions`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Decision {
    /// Record version: 1.
    pub v: u32,
    /// When it was made.
    pub at: Timestamp,
    /// The key (by id) whose owner made it.
    pub by: String,
    /// What was decided.
    #[serde(flatten)]
    pub decision: DecisionKind,
}

impl Decision {
    /// Current record version.
    pub const VERSION: u32 = 1;
}

/// The kinds of decisions; more come with the issues that need them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum DecisionKind {
    /// A rules version counts from these positions of `telegram-raw` on.
    RulesActivated {
        /// `name@version+hash`.
        rules: String,
        /// First raw offset per partition that it screens, as `partition:offset`.
        from: Vec<String>,
    },
    /// An analyst labelled a message version. It states the owner's whole label, not what changed of it: the last one of
    /// an owner and version counts, and one that says neither class nor spam takes the label back.
    Labelled {
        /// The message.
        message: MessageKey,
        /// Its edit, as in [`crate::Message::edit`].
        edit: i64,
        /// The class given, where said.
        class: Option<Class>,
        /// Whether it is spam, where said.
        spam: Option<bool>,
        /// Whose label it is, by the name of the key, so that a rotated key of the same name goes on with its labels and
        /// no catalog is needed to tell. Absent: the owner is [`Decision::by`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<String>,
    },
}

impl DecisionKind {
    /// The text form of positions in [`DecisionKind::RulesActivated`].
    pub fn positions(from: &[Position]) -> Vec<String> {
        from.iter()
            .map(
                |Position {
                     at: TopicPartition { partition, .. },
                     next,
                 }| format!("{partition}:{next}"),
            )
            .collect()
    }
}
