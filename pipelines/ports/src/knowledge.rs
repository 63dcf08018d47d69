//! What is known, as the catalog keeps it: units of conversation that wait for extraction, atoms and subjects. Rebuilt from
//! `units`, `extractions` and `decisions`.
//!
//! One owner writes all of it and decides what is written; a catalog stores what it is told, together with the position up
//! to which it was decided.

mod index;
mod read;
mod rows;

use async_trait::async_trait;
use telesift_schemas::{Atom, ChatId, Generation, MessageKey, Offset, SubjectRef, Timestamp};

use crate::{
    catalog::Result,
    leases::Fence,
    ledger::{StageKey, StageState},
};

pub use index::{AtomDocument, AtomHit, AtomIndex, AtomSearch, searched_text};
pub use read::{AtomFilter, AtomPosition, SubjectPosition, SubjectSummary, sort_name};
pub use rows::{
    ApprovalRules, AtomClaim, AtomReview, AtomSource, ExtractionRow, Frozen, ReadingChange,
    ReadingRow, ReviewVerdict, StoredAtom, SubjectRow, UnitCounts, UnitRow, UnitState,
    WaitingReview,
};

/// The stage that takes units into the catalog.
pub const UNITS_STAGE: &str = "unit-catalog";
/// The stage that makes atoms of extractions and decisions.
pub const KNOWLEDGE_STAGE: &str = "knowledge";

/// The next state of a stage, and the position it starts from.
#[derive(Clone, Debug, PartialEq)]
pub struct Moved {
    /// Which stage, on which input.
    pub key: StageKey,
    /// The position that must still be stored; `None`: none is.
    pub expected: Option<Offset>,
    /// What is stored next.
    pub state: StageState,
}

/// Units of conversation, and who of them waits.
#[async_trait]
pub trait UnitCatalog: Send + Sync + 'static {
    /// Stores units with their members, each in place of what was stored of it, and moves the stage, in one transaction. A
    /// message stands in one unit at most: the last one stored with it.
    ///
    /// # Errors
    /// [`crate::catalog::Error::Conflict`] if the position is another, [`crate::catalog::Error::LeaseLost`] if the lease is lost.
    async fn put_units(&self, units: &[UnitRow], moved: &[Moved], fence: &Fence) -> Result<()>;

    /// These units; those that are not there are left out.
    async fn units(&self, ids: &[String]) -> Result<Vec<UnitRow>>;

    /// In which unit messages stand; those in none are left out.
    async fn units_of(&self, messages: &[MessageKey]) -> Result<Vec<(MessageKey, String)>>;

    /// Units that wait and may be taken up at `now`: signals before weak signals, the newest first.
    async fn due_units(&self, now: Timestamp, limit: usize) -> Result<Vec<UnitRow>>;

    /// When the first of those that wait for their time may be taken up.
    async fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>>;

    /// Notes what became of a unit (state, attempts, time and note of `unit`), if it is still of the same revision; `false` if
    /// it changed meanwhile. One that does not wait any more is not to be asked for anew.
    async fn settle_unit(&self, unit: &UnitRow) -> Result<bool>;

    /// The same of several at once.
    async fn settle_units(&self, units: &[UnitRow]) -> Result<()>;

    /// Makes these units due, to be asked for anew for `generation`; those that are not there, or wait for that, are left out.
    async fn read_again(&self, ids: &[String], generation: Generation) -> Result<()>;

    /// How many units are still to be asked for anew for `generation`.
    async fn n_read_again(&self, generation: Generation) -> Result<u64>;

    /// Nothing is asked for any more for `generation`: what was extracted before stands.
    async fn end_reading(&self, generation: Generation) -> Result<()>;

    /// Units that wait for their time may be taken up at once: all of them, or those of a chat.
    async fn wake_units(&self, chat: Option<ChatId>) -> Result<()>;

    /// The unit that was closed by the record at this offset of `units`, by its partition.
    async fn unit_at(&self, partition: u32, offset: Offset) -> Result<Option<UnitRow>>;

    /// How many wait, are done, were given up.
    async fn unit_counts(&self) -> Result<UnitCounts>;
}

/// Atoms and subjects.
#[async_trait]
pub trait KnowledgeCatalog: UnitCatalog {
    /// Stores what one step decided, and moves the stage, in one transaction: rows replace those of the same id, versions are
    /// added and put on the outbox in their order.
    ///
    /// # Errors
    /// [`crate::catalog::Error::Conflict`] if a position is another, [`crate::catalog::Error::LeaseLost`] if the lease is lost.
    async fn apply_knowledge(
        &self,
        change: &KnowledgeChange,
        moved: &[Moved],
        fence: &Fence,
    ) -> Result<()>;

    /// What counts of all that was extracted from these units.
    async fn extractions_of(&self, units: &[String]) -> Result<Vec<ExtractionRow>>;

    /// What the generations read of these units, by (unit, generation); none where all of them read the same.
    async fn readings_of(&self, units: &[String]) -> Result<Vec<ReadingRow>>;

    /// The units of which one of these generations has a reading of its own, ascending.
    async fn units_read_by(&self, generations: &[Generation]) -> Result<Vec<String>>;

    /// Whose readings count, as it was decided last: of the first of these that has one. None before anybody switched.
    async fn readings_in_force(&self) -> Result<Vec<Generation>>;

    /// Forgets what a generation read. Doing so again changes nothing.
    async fn remove_readings(&self, generation: Generation) -> Result<()>;

    /// These atoms; those that are not there are left out.
    async fn stored_atoms(&self, ids: &[String]) -> Result<Vec<StoredAtom>>;

    /// Atoms that claim something of these units, or have them as further sources.
    async fn atoms_of_units(&self, units: &[String]) -> Result<Vec<StoredAtom>>;

    /// Atoms on a subject.
    async fn atoms_on(&self, subject: &str) -> Result<Vec<StoredAtom>>;

    /// These subjects; those that are not there are left out.
    async fn subject_rows(&self, ids: &[String]) -> Result<Vec<SubjectRow>>;

    /// Reviews that came before the atoms they are of.
    async fn waiting_reviews(&self, atoms: &[String]) -> Result<Vec<WaitingReview>>;

    /// The rules by which atoms are approved; none unless some were set.
    async fn approval_rules(&self) -> Result<ApprovalRules>;

    /// Versions that are not on the topic `atoms` yet, in order, with their places on the outbox.
    async fn outbox(&self, limit: usize) -> Result<Vec<(u64, Atom)>>;

    /// Takes versions up to and with this place off the outbox.
    async fn clear_outbox(&self, up_to: u64) -> Result<()>;

    /// Atoms that pass `filter`, the latest evidence first by (first event time of the evidence, id), after `after` if given.
    /// Those merged into others are left out.
    async fn atoms(
        &self,
        filter: &AtomFilter,
        after: Option<&AtomPosition>,
        limit: usize,
    ) -> Result<Vec<StoredAtom>>;

    /// Every version of an atom, oldest first.
    async fn atom_versions(&self, id: &str) -> Result<Vec<Atom>>;

    /// Subjects with atoms that are neither rejected nor retracted, of which all evidence stands in `chats` (`None`: all), by
    /// (folded name, id), after `after` if given.
    async fn subjects(
        &self,
        chats: Option<&[ChatId]>,
        after: Option<&SubjectPosition>,
        limit: usize,
    ) -> Result<Vec<SubjectSummary>>;

    /// The subjects that messages are on: those of atoms, neither rejected nor retracted, that they are evidence or a source
    /// of and of which all evidence stands in `chats`.
    async fn subjects_of(
        &self,
        messages: &[MessageKey],
        chats: Option<&[ChatId]>,
    ) -> Result<Vec<(MessageKey, SubjectRef)>>;

    /// The messages that are on one of these subjects, as [`KnowledgeCatalog::subjects_of`] has it; the latest atoms' first.
    async fn messages_on(
        &self,
        subjects: &[String],
        chats: Option<&[ChatId]>,
        limit: usize,
    ) -> Result<Vec<MessageKey>>;
}

/// What one step decides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KnowledgeChange {
    /// Atoms as they stand next.
    pub atoms: Vec<StoredAtom>,
    /// Their new versions, in order.
    pub versions: Vec<Atom>,
    /// Subjects as they stand next.
    pub subjects: Vec<SubjectRow>,
    /// Extractions that count, each in place of the unit's last.
    pub extractions: Vec<ExtractionRow>,
    /// Units of which none counts any more.
    pub not_extracted: Vec<String>,
    /// What generations read of units.
    pub readings: Vec<ReadingChange>,
    /// Whose readings count from now on.
    pub in_force: Option<Vec<Generation>>,
    /// Other approval rules.
    pub rules: Option<ApprovalRules>,
    /// Reviews that wait from now on.
    pub waiting: Vec<WaitingReview>,
    /// Offsets on `decisions` of reviews that wait no more.
    pub not_waiting: Vec<Offset>,
}
