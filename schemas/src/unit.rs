//! `units` and `extractions`: stretches of conversation that belong together, and what an extractor made of each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{AtomKind, Chat, Class, Generation, LinkKind, MessageKey, Offset, Origin, Timestamp};

/// A record of `units`: which messages belong together, written once, so that every later run extracts from the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct UnitRecord {
    /// Record version: 1.
    pub v: u32,
    /// When it was found.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub event: UnitEvent,
}

impl UnitRecord {
    /// Current record version.
    pub const VERSION: u32 = 1;
}

/// What happens to units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum UnitEvent {
    /// Nothing more joins the unit: it can be extracted from.
    Closed {
        /// The unit: the same for the same first message.
        unit: String,
        /// The chat all members are of.
        chat: Chat,
        /// Its messages in order of arrival, each in the version known when it closed; never empty.
        members: Vec<UnitMember>,
        /// The most important class among them: how urgent it is.
        class: Class,
        /// Why nothing more joins.
        why: UnitClosed,
    },
    /// A message that may stand in a closed unit was edited, deleted or labelled: what was made of the unit is to be made anew.
    Touched {
        /// The chat it is of.
        chat: Chat,
        /// The new version of the message.
        member: UnitMember,
        /// What the screen makes of it now; absent where nothing is to be extracted from it any more (noise, spam, deleted).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        class: Option<Class>,
        /// Whether it was deleted.
        deleted: bool,
        /// Whether it is the same version as before, and a label of an analyst says something else of it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        labelled: bool,
    },
}

/// Why nothing more joins a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum UnitClosed {
    /// The chat was silent for longer than a unit's gap.
    Silence,
    /// It reached the size of a unit.
    Full,
    /// It is complete in itself, as a channel's post is.
    Whole,
}

/// A message version in a unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct UnitMember {
    /// The message.
    pub message: MessageKey,
    /// Its edit, as in [`crate::Message::edit`].
    pub edit: i64,
    /// When it was sent, by Telegram.
    pub event_time: Timestamp,
    /// The raw record of the version.
    pub origin: Origin,
}

/// A record of `extractions`: what an extractor made of a unit. Stored before it is applied; a rebuild reads it and asks
/// nobody again. A later record of the same unit replaces what an earlier one said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Extraction {
    /// Record version: 1.
    pub v: u32,
    /// The unit.
    pub unit: String,
    /// The chat all members are of.
    pub chat: Chat,
    /// The message versions it was made of, in order of arrival. Empty: all of them were deleted, and nothing is claimed.
    pub members: Vec<UnitMember>,
    /// Which extractor answered, with what.
    pub extractor: ExtractorRef,
    /// Hash of what the extractor was given: the same input, prompt and model are never asked twice.
    pub input: String,
    /// The unit that tells the same story and was extracted from instead; `atoms` is empty then, and the other unit's
    /// atoms have the members of this one as further sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_as: Option<String>,
    /// Where the extraction of the unit stands whose place this one takes: what a label took out is read again when it is taken
    /// back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Offset>,
    /// The generation that a replay wanted it for: it counts where that is live. Absent: it counts in all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<Generation>,
    /// What it claims, verified: every quote stands in its message.
    pub atoms: Vec<DraftAtom>,
    /// Claims that were not kept, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rejected: BTreeMap<String, u32>,
    /// What asking cost.
    #[serde(default)]
    pub usage: Usage,
    /// When it was answered.
    pub at: Timestamp,
}

impl Extraction {
    /// Current record version.
    pub const VERSION: u32 = 1;
}

/// An extractor with its version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct ExtractorRef {
    /// `rules`, or the provider's name.
    pub name: String,
    /// Version of the rules or of the prompt.
    pub version: String,
    /// The model, where one was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

impl ExtractorRef {
    /// Nobody: the chat allowed no reading when it came to the unit. No provider is called so without a model.
    pub fn nobody() -> Self {
        ExtractorRef {
            name: "off".to_owned(),
            version: "1".to_owned(),
            model: None,
        }
    }

    /// Whether the unit was passed by.
    pub fn is_nobody(&self) -> bool {
        *self == Self::nobody()
    }
}

/// A claim as extracted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct DraftAtom {
    /// What kind of claim.
    pub kind: AtomKind,
    /// In a few words.
    pub title: String,
    /// In a sentence or a few.
    pub content: String,
    /// 0..1; how sure the extractor is.
    pub confidence: f64,
    /// The subject area it belongs to, by name.
    pub subject: Option<String>,
    /// Where it stands; at least one.
    pub evidence: Vec<Quote>,
    /// How it is related to other claims of the unit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<DraftLink>,
    /// The atom of another unit that claims the same, as found when it was extracted: its evidence joins that one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_atom: Option<String>,
}

/// Words of a message, exactly as they stand there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Quote {
    /// The message.
    pub message: MessageKey,
    /// The words.
    pub quote: String,
    /// First character of them in the message's text, counted in Unicode code points from 0.
    pub start: u32,
    /// The character after them.
    pub end: u32,
}

/// A relation to another claim of the same unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct DraftLink {
    /// Which relation.
    pub kind: LinkKind,
    /// The other claim, by its place in [`Extraction::atoms`].
    pub to: u32,
}

/// What a call cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Usage {
    /// Tokens sent.
    pub tokens_in: u64,
    /// Tokens received.
    pub tokens_out: u64,
    /// Money, in millionths of a US dollar.
    pub micro_usd: u64,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.tokens_in += other.tokens_in;
        self.tokens_out += other.tokens_out;
        self.micro_usd += other.micro_usd;
    }
}
