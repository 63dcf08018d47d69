//! Generations: which there are, what each is made of, and which one is live. One record of state with the log, and whoever
//! waits for it to change.

mod keeper;
mod origins;
mod register;

use serde::{Deserialize, Serialize};
use telesift_schemas::{Generation, Offset, PartitionId, Timestamp, Topic, TopicPartition};

pub use keeper::{Generations, GenerationsError};
pub use origins::{Consumed, consumed, first_at, moved};
pub use register::{Register, STATE_KEY};

/// What a generation is made of; each part is its own, or that of the generation it was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The topic of screened messages.
    Messages,
    /// The tables of the message store.
    Store,
    /// The topic and the table of stories.
    Stories,
    /// The rows that questions over time windows are answered from.
    Windows,
    /// What was read of conversations, where that is not what was read for all.
    Knowledge,
}

impl Part {
    /// All parts, in flow order.
    pub const ALL: [Part; 5] = [
        Part::Messages,
        Part::Store,
        Part::Stories,
        Part::Windows,
        Part::Knowledge,
    ];

    /// Those that are made of screened messages, and that stages of their own keep up to date.
    pub const OF_MESSAGES: [Part; 4] = [Part::Messages, Part::Store, Part::Stories, Part::Windows];

    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Part::Messages => "messages",
            Part::Store => "store",
            Part::Stories => "stories",
            Part::Windows => "windows",
            Part::Knowledge => "knowledge",
        }
    }
}

/// By which generation each part was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Parts {
    /// Whose topic `messages`. Cursors name this number.
    pub messages: Generation,
    /// Whose message store.
    pub store: Generation,
    /// Whose stories.
    pub stories: Generation,
    /// Whose rows of windows. Generations made before each had its own share those of the first.
    #[serde(default = "first")]
    pub windows: Generation,
    /// Whose readings of conversations.
    #[serde(default = "first")]
    pub knowledge: Generation,
}

fn first() -> Generation {
    Generation::FIRST
}

impl Parts {
    /// Every part of `generation`.
    pub fn all_of(generation: Generation) -> Self {
        Parts {
            messages: generation,
            store: generation,
            stories: generation,
            windows: generation,
            knowledge: generation,
        }
    }

    /// By whom that part was made.
    pub fn of(&self, part: Part) -> Generation {
        match part {
            Part::Messages => self.messages,
            Part::Store => self.store,
            Part::Stories => self.stories,
            Part::Windows => self.windows,
            Part::Knowledge => self.knowledge,
        }
    }

    /// The same but for `own`, which are those of `generation`.
    pub fn with(mut self, own: &[Part], generation: Generation) -> Self {
        for part in own {
            match part {
                Part::Messages => self.messages = generation,
                Part::Store => self.store = generation,
                Part::Stories => self.stories = generation,
                Part::Windows => self.windows = generation,
                Part::Knowledge => self.knowledge = generation,
            }
        }
        self
    }

    /// The topic of messages.
    pub fn messages_topic(&self) -> Topic {
        Topic::MESSAGES.of(self.messages)
    }

    /// The topic of stories.
    pub fn stories_topic(&self) -> Topic {
        Topic::STORIES.of(self.stories)
    }
}

/// Where a generation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GenerationState {
    /// A replay fills it.
    Building,
    /// It holds all of history and follows the live topics; it can be switched to.
    Ready,
    /// Given up; its parts are removed, but for those another generation shares.
    Retired,
}

impl GenerationState {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            GenerationState::Building => "building",
            GenerationState::Ready => "ready",
            GenerationState::Retired => "retired",
        }
    }
}

/// Raw records that were screened by other rules than the decisions say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// The partition of `telegram-raw`.
    pub partition: PartitionId,
    /// First offset.
    pub from: Offset,
    /// The offset after the last.
    pub to: Offset,
    /// The rule set's identity: its version as it was added.
    pub rules: String,
    /// Whether it is the set that ships.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shipped: bool,
}

impl Stretch {
    /// Whether it holds that offset.
    pub fn contains(&self, partition: PartitionId, offset: Offset) -> bool {
        self.partition == partition && (self.from..self.to).contains(&offset)
    }
}

/// A generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number.
    pub generation: Generation,
    /// What it is made of.
    pub parts: Parts,
    /// Where it stands.
    pub state: GenerationState,
    /// The replay that made it, by id; `None` for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<String>,
    /// The generation it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Generation>,
    /// What of its messages the rules decisions do not tell, ascending; taken over stretches too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stretches: Vec<Stretch>,
    /// From which raw offset on it screens itself, per partition; before that its messages are copies of its base's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub screens_from: Vec<(PartitionId, Offset)>,
    /// Whether its stories are decided anew, rather than taken over as far as they are recorded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reassign: bool,
    /// The model of the vectors in its own store, as [`crate::embedder::EmbeddingModel::name`] has it; `None`: whichever its
    /// tables name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Whether its store was made for the sake of its vectors: they are made before it is complete, and kept up with since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub embeds: bool,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it was complete, and when it was last left for another; the later of both, from which its days are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_since: Option<Timestamp>,
    /// The generation that was live before this one was switched to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub came_from: Option<Generation>,
    /// Its own parts that are removed already.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<Part>,
}

impl Entry {
    /// The one a fresh log begins with.
    pub fn first() -> Self {
        Entry {
            generation: Generation::FIRST,
            parts: Parts::all_of(Generation::FIRST),
            state: GenerationState::Ready,
            replay: None,
            base: None,
            stretches: Vec::new(),
            screens_from: Vec::new(),
            reassign: false,
            model: None,
            embeds: false,
            created_at: Timestamp::UNIX_EPOCH,
            idle_since: None,
            came_from: None,
            removed: Vec::new(),
        }
    }

    /// The parts that are its own.
    pub fn own_parts(&self) -> impl Iterator<Item = Part> + '_ {
        let own = |part: &Part| self.parts.of(*part) == self.generation;
        Part::ALL.into_iter().filter(own)
    }

    /// Whether it is there to be read.
    pub fn is_kept(&self) -> bool {
        self.state != GenerationState::Retired
    }
}

/// A partition of a generation's messages.
pub fn messages_of(generation: Generation, partition: PartitionId) -> TopicPartition {
    TopicPartition::new(Topic::MESSAGES.of(generation), partition)
}
