//! Atoms and subjects in answers, and the subjects of messages.

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;
use telesift_ports::knowledge::{AtomReview, StoredAtom};
use telesift_schemas::{Atom, MessageKey, SubjectRef, Timestamp};

use crate::{auth::Viewer, problem::Result, state::App, view::MessageView};

/// Further sources named with an atom; there may be more.
const MAX_SOURCES: usize = 100;

/// An atom in an answer.
#[derive(Serialize)]
pub(crate) struct AtomView {
    #[serde(flatten)]
    atom: Atom,
    /// Event time of the first evidence.
    first_at: Timestamp,
    /// Event time of the last evidence.
    last_at: Timestamp,
    /// Messages that tell the same story as the evidence.
    sources: Vec<MessageKey>,
    /// How many messages it stands on: evidence and further sources.
    n_messages: usize,
    review: Option<ReviewView>,
    /// The atom it was merged into.
    merged_into: Option<String>,
    /// Whether it was reviewed and what it stood on is gone since.
    evidence_removed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    versions: Option<Vec<Atom>>,
}

/// What was said of an atom last.
#[derive(Serialize)]
struct ReviewView {
    verdict: telesift_ports::knowledge::ReviewVerdict,
    by: String,
    at: Timestamp,
    automatic: bool,
}

impl From<AtomReview> for ReviewView {
    fn from(review: AtomReview) -> Self {
        ReviewView {
            verdict: review.verdict,
            by: review.by,
            at: review.at,
            automatic: review.automatic,
        }
    }
}

impl AtomView {
    fn new(stored: StoredAtom, viewer: &Viewer) -> Self {
        let may_see = |m: &MessageKey| viewer.visible_chats().is_none_or(|c| c.contains(&m.chat));
        let evidence: BTreeSet<MessageKey> =
            stored.atom.evidence.iter().map(|e| e.message).collect();
        let sources: BTreeSet<MessageKey> = stored
            .messages()
            .filter(|m| !evidence.contains(m) && may_see(m))
            .collect();
        AtomView {
            first_at: stored.first_at,
            last_at: stored.last_at,
            n_messages: evidence.len() + sources.len(),
            sources: sources.into_iter().take(MAX_SOURCES).collect(),
            review: stored.review.map(ReviewView::from),
            merged_into: stored.merged_into,
            evidence_removed: stored.evidence_removed,
            atom: stored.atom,
            versions: None,
        }
    }

    /// Adds its versions.
    pub(crate) fn with_versions(mut self, versions: Vec<Atom>) -> Self {
        self.versions = Some(versions);
        self
    }
}

impl App {
    /// Atoms as `viewer` sees them: without links to those that may not be seen.
    pub(crate) async fn show_atoms(
        &self,
        viewer: &Viewer,
        atoms: Vec<StoredAtom>,
    ) -> Result<Vec<AtomView>> {
        let views = atoms
            .into_iter()
            .map(|stored| AtomView::new(stored, viewer));
        let mut views: Vec<AtomView> = views.collect();
        if viewer.visible_chats().is_none() {
            return Ok(views);
        }
        let links = views.iter().flat_map(|view| &view.atom.links);
        let merged = views.iter().filter_map(|view| view.merged_into.clone());
        let others: Vec<String> = links.map(|link| link.to.clone()).chain(merged).collect();
        let seen = self.atoms_by_id(viewer, &others).await?;
        let seen: BTreeSet<String> = seen.into_iter().map(|stored| stored.atom.id).collect();
        for view in &mut views {
            view.atom.links.retain(|link| seen.contains(&link.to));
            view.merged_into = view.merged_into.take().filter(|into| seen.contains(into));
        }
        Ok(views)
    }

    pub(crate) async fn show_atom(&self, viewer: &Viewer, stored: StoredAtom) -> Result<AtomView> {
        let mut shown = self.show_atoms(viewer, vec![stored]).await?;
        shown
            .pop()
            .ok_or_else(|| crate::problem::Problem::internal("an atom was lost on its way out"))
    }
}

/// Puts on messages the subjects of the atoms they are evidence or a source of, by one look-up for all.
pub(crate) async fn put_on<'v>(
    app: &App,
    viewer: &Viewer,
    views: impl Iterator<Item = &'v mut MessageView>,
) -> Result<()> {
    let views: Vec<&mut MessageView> = views.collect();
    let keys: Vec<MessageKey> = views.iter().map(|v| v.version().0).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let found = app.catalog.subjects_of(&keys, viewer.visible_chats());
    let mut subjects: HashMap<MessageKey, Vec<SubjectRef>> = HashMap::new();
    for (message, subject) in found.await? {
        subjects.entry(message).or_default().push(subject);
    }
    for view in views {
        view.subjects = subjects.get(&view.version().0).cloned().unwrap_or_default();
    }
    Ok(())
}
