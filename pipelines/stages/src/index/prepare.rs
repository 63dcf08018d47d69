//! Records made ready for the store: parsed, and embedded where that is cheap, the following batch while one is written.

use std::sync::Arc;

use telesift_ports::{
    Embedder,
    embedder::{EmbeddingCost, Purpose},
    message_store::IndexedMessage,
    record_log::StoredRecord,
};
use telesift_schemas::{Message, MessageKey, TopicPartition};
use tokio::task::JoinHandle;

use crate::{
    consumer::{Input, StageError},
    dead_letter::Refusal,
};

/// Records parsed before others have their turn on the thread: about a millisecond.
const AT_ONCE: usize = 128;

/// Which record of a list of batches.
#[derive(Clone, Copy)]
pub(super) struct Place {
    input: usize,
    record: usize,
}

impl Place {
    /// All of `inputs`, in order.
    fn all(inputs: &[Input]) -> impl Iterator<Item = Place> + Send {
        let of = |(input, i): (usize, &Input)| {
            (0..i.batch.records.len()).map(move |record| Place { input, record })
        };
        inputs.iter().enumerate().flat_map(of)
    }

    /// What stands there.
    pub(super) fn of(self, inputs: &[Input]) -> (&TopicPartition, &StoredRecord) {
        let input = &inputs[self.input];
        (&input.at, &input.batch.records[self.record])
    }
}

/// Messages to be indexed, with the records they stand in: three lists of one length.
#[derive(Default)]
pub(super) struct Candidates {
    pub(super) places: Vec<Place>,
    pub(super) keys: Vec<MessageKey>,
    pub(super) rows: Vec<IndexedMessage>,
}

impl Candidates {
    fn push(&mut self, place: Place, message: Message) {
        self.places.push(place);
        self.keys.push(message.id);
        self.rows.push(IndexedMessage {
            message,
            vector: None,
        });
    }
}

/// A record that cannot be indexed.
pub(super) struct Refused {
    pub(super) place: Place,
    pub(super) refusal: Refusal,
}

/// What can be indexed, and what is to be refused.
pub(super) type Prepared = (Candidates, Vec<Refused>);

/// Prepares all of `inputs`.
pub(super) async fn prepare(
    embedder: &dyn Embedder,
    inputs: &[Input],
) -> Result<Prepared, StageError> {
    prepare_these(embedder, inputs, Place::all(inputs)).await
}

/// Prepares some of `inputs`.
pub(super) async fn prepare_these(
    embedder: &dyn Embedder,
    inputs: &[Input],
    places: impl Iterator<Item = Place> + Send,
) -> Result<Prepared, StageError> {
    let (mut candidates, mut refused) = (Candidates::default(), Vec::new());
    for (i, place) in places.enumerate() {
        if i % AT_ONCE == AT_ONCE - 1 {
            tokio::task::yield_now().await;
        }
        match serde_json::from_slice::<Message>(&place.of(inputs).1.value) {
            Ok(message) => candidates.push(place, message),
            Err(e) => {
                let refusal = Refusal::unreadable("message record", &e);
                refused.push(Refused { place, refusal });
            }
        }
    }
    embed(embedder, &mut candidates.rows).await?;
    Ok((candidates, refused))
}

/// Vectors that cost next to nothing are made here; others follow behind, so that text search never waits for them.
async fn embed(embedder: &dyn Embedder, rows: &mut [IndexedMessage]) -> Result<(), StageError> {
    if embedder.cost() != EmbeddingCost::Negligible {
        return Ok(());
    }
    let texts: Vec<&str> = rows.iter().map(|row| row.message.text.as_str()).collect();
    let vectors = embedder.embed(&texts, Purpose::Passage).await?;
    for (row, vector) in rows.iter_mut().zip(vectors) {
        row.vector = (!row.message.text.is_empty()).then_some(vector);
    }
    Ok(())
}

/// The batch to come, being prepared while another is written.
#[derive(Default)]
pub(super) struct Ahead(Vec<Begun>);

/// Batches being prepared.
struct Begun {
    inputs: Arc<[Input]>,
    work: JoinHandle<Result<Prepared, StageError>>,
}

impl Ahead {
    /// Begins with `inputs`. What was begun of others stays, but for the oldest: there are two at most, the batch that is
    /// due and the one behind it.
    pub(super) fn begin(&mut self, embedder: Arc<dyn Embedder>, inputs: Arc<[Input]>) {
        let these = inputs.clone();
        let work = tokio::spawn(async move { prepare(&*embedder, &these).await });
        self.0.truncate(1);
        self.0.insert(0, Begun { inputs, work });
    }

    /// What was made of these very `inputs`; `None` if nothing was begun, or if it failed: then it is to be done again.
    pub(super) async fn take(&mut self, inputs: &[Input]) -> Option<Prepared> {
        let is_this = |begun: &Begun| std::ptr::eq(&*begun.inputs, inputs);
        let at = self.0.iter().position(is_this)?;
        self.0.remove(at).work.await.ok()?.ok()
    }
}
