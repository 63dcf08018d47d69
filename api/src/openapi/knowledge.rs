//! Atoms as the document shows them.

use utoipa::ToSchema;

/// A claim with the words it stands on.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "documents `AtomView`, whose types are not this crate's"
)]
pub(crate) struct AtomBody {
    /// Its id: the same for the same claim, whoever extracts it again.
    #[schema(example = "a-3c9d2b7a10e4f586")]
    id: String,
    /// `problem`, `solution`, `decision`, `question`, `insight`, `pattern`, `requirement`, `task`.
    kind: String,
    /// In a few words.
    #[schema(example = "Оплата падає на телефонах")]
    title: String,
    /// In a sentence or a few.
    content: String,
    /// 0..1; how sure the extractor was.
    confidence: f64,
    /// `needs_review`, `approved`, `rejected`; `retracted`: what it stood on is gone, or it was merged.
    status: String,
    /// The subject it is on.
    #[schema(value_type = Option<Object>, example = json!({"id": "s-71c09ae4d2b35f68", "name": "оплата"}))]
    subject: String,
    /// Where it stands: words exactly as they stand in `message`, from character `start` to before `end` in Unicode code points,
    /// with the raw record of that version. Empty only once retracted.
    #[schema(value_type = Vec<Object>, example = json!([{"message": "-1001234567890:42", "edit": 0, "quote": "Оплата падає на телефонах", "start": 0, "end": 25, "origin": {"topic": "telegram-raw", "partition": 0, "offset": 123}}]))]
    evidence: String,
    /// Relations to other atoms: `solves`, `answers`, `explains`, `contradicts`, `relates`.
    #[schema(value_type = Vec<Object>, example = json!([{"kind": "solves", "to": "a-0b1c2d3e4f506172"}]))]
    links: String,
    /// Counts changes, from 1.
    version: u32,
    /// Who extracted it, with what.
    #[schema(value_type = Object, example = json!({"name": "rules", "version": "1"}))]
    extractor: String,
    /// The unit of conversation it was extracted from.
    unit: String,
    /// When it changed last.
    #[schema(format = DateTime)]
    updated_at: String,
    /// Event time of the first evidence.
    #[schema(format = DateTime)]
    first_at: String,
    /// Event time of the last evidence.
    #[schema(format = DateTime)]
    last_at: String,
    /// Further messages that tell the same story; 100 at most.
    sources: Vec<String>,
    /// How many messages it stands on: evidence and further sources.
    n_messages: u64,
    /// What was said of it last: `{verdict, by, at, automatic}`.
    #[schema(value_type = Option<Object>)]
    review: String,
    /// The atom it was merged into.
    merged_into: Option<String>,
    /// Whether it was reviewed and what it stood on is gone since.
    evidence_removed: bool,
    /// With `?history=true`: every version, oldest first.
    #[schema(value_type = Option<Vec<Object>>)]
    versions: String,
}
