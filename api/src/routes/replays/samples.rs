//! Samples of a replay, with the texts their messages have now: what was erased since has none.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use telesift_ports::replays::{Sample, Samples};
use telesift_schemas::MessageKey;

use crate::{auth::Viewer, problem::Result, state::App};

/// Characters shown of a text.
const MAX_CHARS: usize = 1_000;

/// Samples per change.
pub(super) type ShownSamples = BTreeMap<String, Vec<ShownSample>>;

/// A sample and its text.
#[derive(Serialize)]
pub(crate) struct ShownSample {
    #[serde(flatten)]
    sample: Sample,
    /// The beginning of the text of that version; `null` where it is not stored any more.
    text: Option<String>,
}

/// Looks the texts up, of current and of superseded versions.
pub(super) async fn with_texts(
    (app, viewer): (&App, &Viewer),
    samples: Samples,
) -> Result<ShownSamples> {
    let mut keys: Vec<MessageKey> = samples.values().flatten().map(|s| s.message).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut texts: HashMap<(MessageKey, i64), String> = HashMap::new();
    let store = app.store.seen_by(viewer);
    for message in store.get_many(&keys).await? {
        texts.insert((message.id, message.edit), message.text);
    }
    let mut shown = ShownSamples::new();
    for (change, samples) in samples {
        let mut list = Vec::with_capacity(samples.len());
        for sample in samples {
            let version = (sample.message, sample.edit);
            if !texts.contains_key(&version) {
                for older in store.history(&sample.message).await? {
                    texts.insert((older.id, older.edit), older.text);
                }
            }
            let text = texts.get(&version);
            list.push(ShownSample {
                text: text.map(|text| text.chars().take(MAX_CHARS).collect()),
                sample,
            });
        }
        shown.insert(change, list);
    }
    Ok(shown)
}
