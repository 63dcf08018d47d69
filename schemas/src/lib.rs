//! The edges of the telesift dataflow: what stands in each topic, and where.
//!
//! This crate is shared by the SmartModules (wasm32), the stages, the stores and the API, so it knows none of them.
//! Every record carries a `v` field; one example of each record version lies in `schemas/examples` and is kept for ever.

mod atom;
mod dead_letter;
mod decision;
mod ids;
mod marker;
mod message;
mod normalized;
mod position;
mod raw;
mod reactions;
mod story;
mod topics;
mod unit;
pub mod update_kinds;
mod windows;

pub use atom::{
    ApprovalRule, Atom, AtomKind, AtomLink, AtomStatus, AtomVerdict, Evidence, LinkKind,
    SubjectChange, SubjectRef,
};
pub use dead_letter::{DeadLetter, DeadLetterCode, LetterState, Payload};
pub use decision::{Decision, DecisionKind, Enrich};
pub use ids::{ChatId, IdError, MessageKey};
pub use marker::{Marker, MarkerKind};
pub use message::{
    Author, AuthorKind, Chat, ChatKind, Class, Forward, Media, Message, MessageKind, Screen, flags,
};
pub use normalized::{Failure, Normalized, SkipReason};
pub use position::{
    Cursor, CursorError, Epoch, Generation, Offset, Origin, PartitionId, Position, TopicPartition,
};
pub use raw::{AssumedTimes, ExportChat, RawRecord, Source, edit_from_export};
pub use reactions::{Reactions, ReactionsOf};
pub use story::{StoryAssigned, StoryLink};
pub use topics::{DEFAULT_PARTITIONS, Topic, partition_for_chat};
pub use unit::{
    DraftAtom, DraftLink, Extraction, ExtractorRef, Quote, UnitClosed, UnitEvent, UnitMember,
    UnitRecord, Usage,
};
pub use windows::{Burst, BurstKind, ScreenStats, StorySpread, Trend, TrendKind};

/// A moment in UTC; in JSON RFC 3339 with `Z`.
pub use jiff::Timestamp;
