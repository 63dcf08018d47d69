//! Positions in the log: offsets, ranges (half-open), cursors over several partitions.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Topic;

/// The place of a record in its partition, from 0. As a position it is the *next to read*.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Offset(pub u64);

impl Offset {
    /// The first offset of a new partition.
    pub const ZERO: Offset = Offset(0);

    /// The offset after this one.
    pub fn next(self) -> Offset {
        Offset(self.0 + 1)
    }
}

/// A partition of a topic, from 0.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct PartitionId(pub u32);

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One partition of one topic: the unit of order and of ownership.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TopicPartition {
    /// The topic.
    pub topic: Topic,
    /// The partition in it.
    pub partition: PartitionId,
}

impl TopicPartition {
    /// Partition `partition` of `topic`.
    pub fn new(topic: Topic, partition: PartitionId) -> Self {
        TopicPartition { topic, partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// A place to read from: the next offset of a partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The partition.
    pub at: TopicPartition,
    /// The next offset to read in it.
    pub next: Offset,
}

/// Where a record came from: the true offset of the raw record, whatever was filtered on the way.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Origin {
    /// The topic, nearly always `telegram-raw`.
    pub topic: Topic,
    /// The partition in it.
    pub partition: PartitionId,
    /// The offset in that partition.
    pub offset: Offset,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.topic, self.partition, self.offset)
    }
}

/// The generation of a derived topic, from 1. A replay writes a new one beside the live one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Generation(pub u32);

impl Generation {
    /// The generation a fresh log starts with.
    pub const FIRST: Generation = Generation(1);

    /// `name` as it is called in this generation: itself in the first, `name-g<N>` in others. Topics, tables and stages
    /// alike.
    pub fn name(self, name: &str) -> String {
        match self {
            Generation::FIRST => name.to_owned(),
            Generation(n) => format!("{name}-g{n}"),
        }
    }

    /// Whether something is called as in a generation behind the first: `screen-g2`.
    pub fn is_later(full: &str) -> bool {
        let name = full.rsplit_once("-g").map_or(full, |(name, _)| name);
        Self::of_name(name, full).is_some_and(|of| of > Generation::FIRST)
    }

    /// Reads [`Generation::name`] back; `name-g1` is the first one too.
    pub fn of_name(name: &str, full: &str) -> Option<Self> {
        let rest = full.strip_prefix(name)?;
        if rest.is_empty() {
            return Some(Generation::FIRST);
        }
        let number = rest.strip_prefix("-g")?;
        let plain = !number.starts_with('0') && number.bytes().all(|b| b.is_ascii_digit());
        number.parse().ok().filter(|_| plain).map(Generation)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "g{}", self.0)
    }
}

/// The identity of one log's history: a short random text, renewed when the log is restored from a backup. Cursors and
/// positions of another epoch are refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(String);

impl Epoch {
    /// An epoch of the characters `0-9a-z`, at least one.
    ///
    /// # Errors
    /// When `text` is empty or holds another character: cursors could not be told apart from it.
    pub fn new(text: impl Into<String>) -> Result<Self, CursorError> {
        let text = text.into();
        let ok = !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
        if ok {
            Ok(Epoch(text))
        } else {
            Err(CursorError::Malformed(text))
        }
    }

    /// The text of the epoch.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A place in several partitions of one topic, as clients hold it: the generation, the log's epoch, and the next offset
/// of each partition read. Its text, such as `g1@k3x9/0:124,1:7`, is opaque to clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Which generation of the topic.
    pub generation: Generation,
    /// Which history of the log.
    pub epoch: Epoch,
    /// Next offset per partition, ascending by partition.
    pub next: Vec<(PartitionId, Offset)>,
}

/// A text that is no cursor, or a cursor that does not fit the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CursorError {
    /// Not of the form a cursor has.
    Malformed(String),
}

impl fmt::Display for CursorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CursorError::Malformed(text) => write!(f, "`{text}` is not a cursor"),
        }
    }
}

impl std::error::Error for CursorError {}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}/", self.generation, self.epoch.0)?;
        for (i, (partition, offset)) in self.next.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{partition}:{offset}")?;
        }
        Ok(())
    }
}

impl FromStr for Cursor {
    type Err = CursorError;
    fn from_str(s: &str) -> Result<Self, CursorError> {
        let malformed = || CursorError::Malformed(s.to_owned());
        let (head, tail) = s.split_once('/').ok_or_else(malformed)?;
        let (generation, epoch) = head
            .strip_prefix('g')
            .and_then(|h| h.split_once('@'))
            .ok_or_else(malformed)?;
        let mut next = Vec::new();
        for part in tail.split(',').filter(|p| !p.is_empty()) {
            let (partition, offset) = part.split_once(':').ok_or_else(malformed)?;
            next.push((
                PartitionId(partition.parse().map_err(|_| malformed())?),
                Offset(offset.parse().map_err(|_| malformed())?),
            ));
        }
        if next.is_empty() || next.windows(2).any(|w| w[0].0 >= w[1].0) {
            return Err(malformed());
        }
        Ok(Cursor {
            generation: Generation(generation.parse().map_err(|_| malformed())?),
            epoch: Epoch::new(epoch).map_err(|_| malformed())?,
            next,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_read_what_they_write() {
        let text = "g1@k3x9/0:124,1:7,2:0,3:55";
        assert_eq!(text.parse::<Cursor>().unwrap().to_string(), text);
    }

    #[test]
    fn names_of_generations_are_read_back() {
        let name = |n| Generation(n).name("messages");
        assert_eq!([name(1), name(12)], ["messages", "messages-g12"]);
        let of = |full| Generation::of_name("messages", full).map(|g| g.0);
        assert_eq!(
            [of("messages"), of("messages-g1"), of("messages-g12")],
            [Some(1), Some(1), Some(12)]
        );
        assert!(Generation::is_later("story-catalog-g2"));
        assert!(
            ["screen", "screen-g1", "dead-g"]
                .iter()
                .all(|name| !Generation::is_later(name))
        );
        for full in [
            "messages-",
            "messages-g",
            "messages-g01",
            "messages-g+2",
            "stories",
            "messages-gx",
        ] {
            assert_eq!(of(full), None, "{full}");
        }
    }

    #[test]
    fn malformed_cursors_are_refused() {
        for text in [
            "",
            "latest",
            "g1/0:1",
            "g1@/0:1",
            "g1@a/",
            "g1@a/0",
            "g1@a/1:0,0:0",
            "gx@a/0:1",
            "g1@a/0:-1",
        ] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }
}
