//! The list of edges: every topic of the dataflow, and the hash that maps a chat to a partition.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};

use crate::{ChatId, Generation, PartitionId};

/// Partitions a topic gets unless the configuration says otherwise. Fixed per generation.
pub const DEFAULT_PARTITIONS: u32 = 4;

/// The name of a log topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Topic(Cow<'static, str>);

impl Topic {
    /// Raw updates and export messages, untouched: [`crate::RawRecord`], keyed by chat.
    pub const TELEGRAM_RAW: Topic = Topic(Cow::Borrowed("telegram-raw"));
    /// Screened messages of all classes: [`crate::Message`], keyed by chat.
    pub const MESSAGES: Topic = Topic(Cow::Borrowed("messages"));
    /// How people react to messages: [`crate::Reactions`], keyed by chat.
    pub const REACTIONS: Topic = Topic(Cow::Borrowed("reactions"));
    /// Which message belongs to which story: [`crate::StoryAssigned`], keyed by chat.
    pub const STORIES: Topic = Topic(Cow::Borrowed("stories"));
    /// Stretches of conversation that belong together: [`crate::UnitRecord`], keyed by chat.
    pub const UNITS: Topic = Topic(Cow::Borrowed("units"));
    /// What was extracted from each of them: [`crate::Extraction`], keyed by chat.
    pub const EXTRACTIONS: Topic = Topic(Cow::Borrowed("extractions"));
    /// Claims with their evidence, as they stand: [`crate::Atom`], keyed by chat.
    pub const ATOMS: Topic = Topic(Cow::Borrowed("atoms"));
    /// What a stage could not process: [`crate::DeadLetter`], keyed by stage.
    pub const DEAD_LETTERS: Topic = Topic(Cow::Borrowed("dead-letters"));
    /// Human decisions: [`crate::Decision`].
    pub const DECISIONS: Topic = Topic(Cow::Borrowed("decisions"));

    /// All topics a fresh deployment creates, in flow order, with the partition count of each
    /// (`None`: the configured count).
    pub const ALL: [(Topic, Option<u32>); 9] = [
        (Topic::TELEGRAM_RAW, None),
        (Topic::MESSAGES, None),
        (Topic::REACTIONS, None),
        (Topic::STORIES, Some(1)),
        (Topic::UNITS, None),
        (Topic::EXTRACTIONS, Some(1)),
        (Topic::ATOMS, Some(1)),
        (Topic::DEAD_LETTERS, Some(1)),
        (Topic::DECISIONS, Some(1)),
    ];

    /// A topic by name; any name of a generation, such as `messages-g2`, is one too.
    pub fn new(name: impl Into<String>) -> Self {
        Topic(Cow::Owned(name.into()))
    }

    /// The topic of this name in `generation`, such as `messages-g2`.
    pub fn of(&self, generation: Generation) -> Topic {
        match generation {
            Generation::FIRST => self.clone(),
            other => Topic::new(other.name(self.as_str())),
        }
    }

    /// The name as the log knows it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The partition of a chat among `partitions`, by the hash named `chat-fnv1a64-v1`: FNV-1a, 64 bit, over the decimal
/// chat id, its high and low halves folded, modulo the partition count.
///
/// Both logs use it, so one chat stays in order in one partition whatever carries it.
///
/// Source: Fowler, Noll, Vo, "The FNV Non-Cryptographic Hash Algorithm", draft-eastlake-fnv.
pub fn partition_for_chat(chat: ChatId, partitions: u32) -> PartitionId {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let hash = chat
        .to_string()
        .bytes()
        .fold(OFFSET_BASIS, |h, b| (h ^ u64::from(b)).wrapping_mul(PRIME));
    let folded = (hash >> 32) ^ (hash & 0xffff_ffff);
    PartitionId((folded % u64::from(partitions.max(1))) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_hash_never_changes() {
        // Changing these numbers moves chats between partitions of existing logs.
        let of = |id| partition_for_chat(ChatId(id), 4).0;
        assert_eq!(
            [
                of(-1002100000001),
                of(-1002100000002),
                of(-1002100000003),
                of(42)
            ],
            GOLDEN
        );
    }
    const GOLDEN: [u32; 4] = [2, 3, 0, 0];

    #[test]
    fn chats_spread_over_all_partitions() {
        let mut n = [0u32; 4];
        for i in 0..4000 {
            n[partition_for_chat(ChatId(-1_001_000_000_000 - i), 4).0 as usize] += 1;
        }
        assert!(n.iter().all(|&n| (900..1100).contains(&n)), "{n:?}");
    }
}
