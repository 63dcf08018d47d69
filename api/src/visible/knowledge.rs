//! Atoms and subjects as far as a viewer may know: an atom shows if all its evidence may be seen; and decisions about them on
//! their way into the log.

use std::time::Duration;

use telesift_ports::{
    catalog::KeyRow,
    knowledge::{
        AtomFilter, AtomPosition, KNOWLEDGE_STAGE, StoredAtom, SubjectPosition, SubjectSummary,
    },
    ledger::StageKey,
    message_store::MessageFilter,
    record_log::{NewRecord, Outcome, Transaction},
};
use telesift_schemas::{Atom, ChatId, Decision, DecisionKind, Offset, Timestamp};
use tokio::time::Instant;

use super::{Log, decisions};
use crate::{
    auth::Viewer,
    params::MessageQuery,
    problem::{Problem, Result},
    state::App,
};

/// How often the projection is looked at while it is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Messages on a subject that lists and searches look among: the latest.
const MAX_ON_SUBJECT: usize = 5_000;

impl App {
    /// Atoms the viewer may see.
    pub(crate) async fn atoms(
        &self,
        viewer: &Viewer,
        filter: &AtomFilter,
        after: Option<&AtomPosition>,
        limit: usize,
    ) -> Result<Vec<StoredAtom>> {
        let filter = AtomFilter {
            visible_chats: viewer.visible_chats().map(<[ChatId]>::to_vec),
            ..filter.clone()
        };
        Ok(self.catalog.atoms(&filter, after, limit).await?)
    }

    /// These atoms, in the order of `ids`; what is not there looks as what may not be seen.
    pub(crate) async fn atoms_by_id(
        &self,
        viewer: &Viewer,
        ids: &[String],
    ) -> Result<Vec<StoredAtom>> {
        let mut found = self.catalog.stored_atoms(ids).await?;
        found.retain(|stored| stored.is_visible_in(viewer.visible_chats()));
        let place = |stored: &StoredAtom| ids.iter().position(|id| *id == stored.atom.id);
        found.sort_by_key(place);
        Ok(found)
    }

    /// One atom.
    ///
    /// # Errors
    /// 404 if there is none the viewer may see.
    pub(crate) async fn atom(&self, viewer: &Viewer, id: &str) -> Result<StoredAtom> {
        let found = self.atoms_by_id(viewer, &[id.to_owned()]).await?.pop();
        found.ok_or_else(|| Problem::not_found("atom", id))
    }

    /// Every version of an atom whose evidence the viewer may see.
    pub(crate) async fn atom_versions(&self, viewer: &Viewer, id: &str) -> Result<Vec<Atom>> {
        let mut versions = self.catalog.atom_versions(id).await?;
        let may_see = |chat| viewer.visible_chats().is_none_or(|c| c.contains(&chat));
        versions.retain(|v| v.evidence.iter().all(|e| may_see(e.message.chat)));
        Ok(versions)
    }

    pub(crate) async fn subjects(
        &self,
        viewer: &Viewer,
        after: Option<&SubjectPosition>,
        limit: usize,
    ) -> Result<Vec<SubjectSummary>> {
        let chats = viewer.visible_chats();
        Ok(self.catalog.subjects(chats, after, limit).await?)
    }

    /// Narrows a list or search of messages to the subjects it asks for; `None` if nothing can match.
    pub(crate) async fn on_subjects(
        &self,
        viewer: &Viewer,
        query: &MessageQuery,
    ) -> Result<Option<MessageFilter>> {
        if query.subjects.is_empty() {
            return Ok(Some(query.filter.clone()));
        }
        let ids = self.subject_ids(&query.subjects).await?;
        let chats = viewer.visible_chats();
        let on = self.catalog.messages_on(&ids, chats, MAX_ON_SUBJECT);
        let on = on.await?;
        Ok((!on.is_empty()).then(|| MessageFilter {
            only: Some(on),
            ..query.filter.clone()
        }))
    }

    /// The ids of subjects, with merges followed.
    pub(crate) async fn subject_ids(&self, asked: &[String]) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        for id in asked {
            let mut id = id.clone();
            // A subject is merged into one that stands; should that be merged later, a few steps more.
            for _ in 0..16 {
                let row = self.catalog.subject_rows(std::slice::from_ref(&id)).await?;
                match row.into_iter().next().and_then(|row| row.merged_into) {
                    Some(into) => id = into,
                    None => break,
                }
            }
            ids.push(id);
        }
        Ok(ids)
    }

    /// Waits until the knowledge stage has taken the decisions before `end`, for a while: `false` if it has not.
    pub(crate) async fn await_knowledge(&self, end: Offset) -> Result<bool> {
        let stage = StageKey {
            stage: KNOWLEDGE_STAGE.to_owned(),
            input: decisions(),
        };
        let give_up = Instant::now() + Duration::from_millis(self.config.label_wait_ms);
        loop {
            let state = self.catalog.stage_state(&stage).await?;
            if state.is_some_and(|s| s.next >= end) {
                return Ok(true);
            }
            if Instant::now() >= give_up {
                return Ok(false);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Log {
    /// Appends decisions of one key's owner, together; returns the offset after the last.
    pub(crate) async fn decide(
        &self,
        by: &KeyRow,
        kinds: Vec<DecisionKind>,
        at: Timestamp,
    ) -> Result<Offset> {
        let append = |decision| {
            let decision = Decision {
                v: Decision::VERSION,
                at,
                by: by.id.clone(),
                decision,
            };
            let value = serde_json::to_vec(&decision).map_err(Problem::internal)?;
            let record = NewRecord {
                key: by.id.clone().into(),
                value: value.into(),
                unique: Vec::new(),
            };
            Ok((decisions(), record))
        };
        let appends = kinds.into_iter().map(append).collect::<Result<_>>()?;
        let outcomes = self.0.commit(Transaction::appends(appends)).await?;
        let ends = outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Appended { offset, .. } => Some(offset.next()),
            Outcome::Duplicate => None,
        });
        Ok(ends.max().unwrap_or(Offset::ZERO))
    }
}
