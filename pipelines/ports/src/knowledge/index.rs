//! Atoms by what they say: words and vectors, in a store of messages of their own.
//!
//! An atom is a row as a message is one: its text is title, content and subject, analysed and embedded alike; its kind is a
//! flag, its class says where it stands (`noise`: rejected or retracted), its author is the chat of its first evidence.

use std::{collections::BTreeMap, sync::Arc};

use telesift_schemas::{
    Atom, AtomKind, AtomStatus, Author, AuthorKind, Chat, ChatId, ChatKind, Class, Message, Offset,
    Origin, PartitionId, Screen, Topic,
};

use crate::{
    Embedder, MessageStore,
    leases::Term,
    message_store::{Applied, IndexedMessage, MessageFilter, Result, SearchMode, SearchRequest},
};

/// A searchable projection of `atoms`. It can be thrown away and rebuilt by replay.
pub struct AtomIndex {
    store: Arc<dyn MessageStore>,
    embedder: Arc<dyn Embedder>,
}

/// The chat all rows are of.
const NOWHERE: ChatId = ChatId(0);

impl AtomIndex {
    /// Atoms in `store`, which holds nothing else; its vectors are of `embedder`'s model.
    pub fn new(store: Arc<dyn MessageStore>, embedder: Arc<dyn Embedder>) -> Self {
        AtomIndex { store, embedder }
    }

    /// What makes its vectors.
    pub fn embedder(&self) -> &Arc<dyn Embedder> {
        &self.embedder
    }

    /// Writes under this lease from here on; see [`MessageStore::begin_term`].
    ///
    /// # Errors
    /// [`crate::message_store::Error::LeaseLost`] if the lease is lost already.
    pub async fn begin_term(&self, term: Term) -> Result<()> {
        self.store.begin_term(term).await
    }

    /// Merges versions, durably: the greatest of an atom stays. Idempotent.
    pub async fn put(&self, atoms: Vec<AtomDocument>) -> Result<Applied> {
        let rows = atoms.iter().filter_map(|document| {
            Some(IndexedMessage {
                message: row(&document.atom)?,
                vector: document.vector.clone(),
            })
        });
        self.store.apply(rows.collect()).await
    }

    /// The best hits, best first.
    pub async fn search(&self, search: AtomSearch) -> Result<Vec<AtomHit>> {
        let filter = MessageFilter {
            flags: search.kinds.iter().map(|k| k.as_str().to_owned()).collect(),
            authors: search.chats.clone().unwrap_or_default(),
            include_noise: search.include_gone,
            ..MessageFilter::default()
        };
        if search.chats.is_some_and(|chats| chats.is_empty()) {
            return Ok(Vec::new());
        }
        let request = SearchRequest {
            query: search.query,
            vector: search.vector,
            mode: search.mode,
            filter,
            limit: search.limit,
        };
        let hits = self.store.search(&request).await?;
        let hits = hits.into_iter().map(|hit| AtomHit {
            id: id(hit.message.message_id),
            score: hit.score,
            vector_score: hit.vector_score,
        });
        Ok(hits.collect())
    }

    /// How many atoms it holds.
    pub async fn count(&self) -> Result<u64> {
        Ok(self.store.stats().await?.n_messages)
    }

    /// Compacts and extends what makes it fast; see [`MessageStore::maintain`].
    pub async fn maintain(&self) -> Result<()> {
        self.store.maintain().await
    }
}

/// An atom on its way into the index.
#[derive(Clone, Debug)]
pub struct AtomDocument {
    /// The version.
    pub atom: Atom,
    /// The vector of [`searched_text`], of the store's model.
    pub vector: Option<Vec<f32>>,
}

/// What of an atom is searched.
pub fn searched_text(atom: &Atom) -> String {
    let subject = atom.subject.as_ref().map_or("", |s| s.name.as_str());
    format!("{}\n{}\n{subject}", atom.title, atom.content)
}

/// A search among atoms.
#[derive(Clone, Debug)]
pub struct AtomSearch {
    /// What to look for.
    pub query: telesift_text::Query,
    /// The query's vector, for modes that need one.
    pub vector: Option<Vec<f32>>,
    /// How.
    pub mode: SearchMode,
    /// Of these kinds; empty: of any.
    pub kinds: Vec<AtomKind>,
    /// Whose first evidence stands, or stood, in one of these chats; `None`: any.
    pub chats: Option<Vec<ChatId>>,
    /// Rejected and retracted ones too.
    pub include_gone: bool,
    /// At most this many hits.
    pub limit: usize,
}

/// A hit.
#[derive(Clone, Debug, PartialEq)]
pub struct AtomHit {
    /// The atom.
    pub id: String,
    /// What it is ranked by; comparable within one answer only.
    pub score: f64,
    /// Cosine similarity, −1..1, where vectors were compared.
    pub vector_score: Option<f64>,
}

/// The row of an atom; `None` for an id that is none of ours.
fn row(atom: &Atom) -> Option<Message> {
    let message_id = number(&atom.id)?;
    let class = match atom.status {
        AtomStatus::Rejected | AtomStatus::Retracted => Class::Noise,
        AtomStatus::NeedsReview => Class::WeakSignal,
        AtomStatus::Approved => Class::Signal,
    };
    let author = atom.evidence.first().map(|evidence| Author {
        id: evidence.message.chat,
        name: None,
        kind: AuthorKind::Chat,
    });
    let chat = Chat {
        id: NOWHERE,
        title: None,
        kind: ChatKind::Saved,
        username: None,
    };
    Some(Message {
        edit: i64::from(atom.version),
        author,
        text: searched_text(atom),
        screen: Some(Screen {
            class,
            score: atom.confidence,
            factors: BTreeMap::new(),
            flags: vec![atom.kind.as_str().to_owned()],
            spam_score: None,
            rules: atom.extractor.name.clone(),
        }),
        origin: Some(Origin {
            topic: Topic::ATOMS,
            partition: PartitionId(0),
            offset: Offset(u64::from(atom.version)),
        }),
        ..Message::blank(chat, message_id, atom.updated_at)
    })
}

/// The number in `a-<16 hexadecimal digits>`.
fn number(id: &str) -> Option<i64> {
    let digits = id.strip_prefix("a-").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok().map(u64::cast_signed)
}

fn id(number: i64) -> String {
    format!("a-{:016x}", number.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_back() {
        for text in [
            "a-0000000000000000",
            "a-ffffffffffffffff",
            "a-3c9d2b7a10e4f586",
        ] {
            assert_eq!(id(number(text).expect("an id")), text);
        }
        for broken in ["", "a-1", "s-3c9d2b7a10e4f586", "a-3c9d2b7a10e4f58g"] {
            assert_eq!(number(broken), None, "{broken}");
        }
    }
}
