//! What readers decide of atoms and subjects, applied to what is known.

use telesift_ports::knowledge::{ApprovalRules, AtomReview, Frozen, ReviewVerdict, WaitingReview};
use telesift_schemas::{AtomVerdict, Decision, DecisionKind, Offset, SubjectChange, Timestamp};

use super::book::Book;
use crate::consumer::StageError;

impl Book {
    /// Applies a decision; `false` if it changes nothing.
    pub(super) async fn decision(
        &mut self,
        decision: &Decision,
        offset: Offset,
    ) -> Result<bool, StageError> {
        match &decision.decision {
            DecisionKind::AtomReviewed {
                atom,
                review,
                owner,
            } => {
                let review = WaitingReview {
                    offset,
                    atom: atom.clone(),
                    review: review.clone(),
                    owner: owner.clone(),
                    at: decision.at,
                };
                self.review(review).await
            }
            DecisionKind::SubjectChanged {
                subject, change, ..
            } => self.change_subject(subject, change, decision.at).await,
            DecisionKind::ReadingsSwitched { readings } => Ok(self.switch(readings)),
            DecisionKind::ApprovalRulesSet { rules, owner } => {
                self.rules = ApprovalRules {
                    rules: rules.clone(),
                    at: Some(decision.at),
                    by: Some(owner.clone()),
                };
                self.change.rules = Some(self.rules.clone());
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Applies the reviews that came before their atom.
    pub(super) async fn review_waiting(&mut self, atom: &str) -> Result<(), StageError> {
        let mut waiting = self.waiting_for(atom).await?;
        let here = self.change.waiting.iter().filter(|r| r.atom == atom);
        waiting.extend(here.cloned());
        waiting.sort_by_key(|review| review.offset);
        self.change.waiting.retain(|r| r.atom != atom);
        for review in waiting {
            self.change.not_waiting.push(review.offset);
            Box::pin(self.review(review)).await?;
        }
        Ok(())
    }

    async fn review(&mut self, said: WaitingReview) -> Result<bool, StageError> {
        let Some(id) = self.find(&said.atom).await? else {
            self.change.waiting.push(said);
            return Ok(true);
        };
        let is_automatic = said.owner.starts_with("rule:");
        let was_said = self
            .atoms
            .get(&id)
            .and_then(|stored| stored.review.as_ref());
        if is_automatic && was_said.is_some() {
            return Ok(false); // somebody was faster than the rule
        }
        let verdict = match &said.review {
            AtomVerdict::Merge { into } => return self.merge(&id, into, said.at).await,
            AtomVerdict::Approve => ReviewVerdict::Approved,
            AtomVerdict::Reject => ReviewVerdict::Rejected,
            AtomVerdict::Edit { .. } => ReviewVerdict::Edited,
        };
        let frozen = match is_automatic {
            true => None,
            false => self.freeze(&id, &said.review).await?,
        };
        if let Some(stored) = self.atoms.get_mut(&id) {
            stored.review = Some(AtomReview {
                verdict,
                by: said.owner,
                automatic: is_automatic,
                at: said.at,
                frozen,
            });
        }
        self.settle(&id, said.at).await?;
        Ok(true)
    }

    /// The atom's words as they stand, with what an edit changes.
    async fn freeze(
        &mut self,
        id: &str,
        verdict: &AtomVerdict,
    ) -> Result<Option<Frozen>, StageError> {
        let Some(stored) = self.atoms.get(id) else {
            return Ok(None);
        };
        let atom = &stored.atom;
        let mut frozen = Frozen {
            kind: atom.kind,
            title: atom.title.clone(),
            content: atom.content.clone(),
            confidence: atom.confidence,
            subject: atom.subject.as_ref().map(|s| s.id.clone()),
        };
        if let AtomVerdict::Edit {
            kind,
            title,
            content,
            subject,
        } = verdict
        {
            frozen.kind = kind.unwrap_or(frozen.kind);
            frozen.title = title.clone().unwrap_or(frozen.title);
            frozen.content = content.clone().unwrap_or(frozen.content);
            match subject.as_deref().map(str::trim) {
                None => {}
                Some("") => frozen.subject = None,
                Some(name) => frozen.subject = Some(self.subject_named(name).await?),
            }
        }
        Ok(Some(frozen))
    }

    /// What one atom stands on joins another; the first is kept as one that was merged.
    async fn merge(&mut self, id: &str, into: &str, at: Timestamp) -> Result<bool, StageError> {
        let Some(into) = self.find(into).await?.filter(|into| into != id) else {
            return Ok(false);
        };
        let Some(stored) = self.atoms.get_mut(id) else {
            return Ok(false);
        };
        stored.merged_into = Some(into.clone());
        let claims = std::mem::take(&mut stored.claims);
        let sources = std::mem::take(&mut stored.sources);
        self.join(&into, claims, sources);
        self.settle(id, at).await?;
        self.settle(&into, at).await?;
        Ok(true)
    }

    async fn change_subject(
        &mut self,
        id: &str,
        change: &SubjectChange,
        at: Timestamp,
    ) -> Result<bool, StageError> {
        let Some(mut row) = self.subject(id).await? else {
            return Ok(false);
        };
        match change {
            SubjectChange::Rename { name } => row.name.clone_from(name),
            SubjectChange::Merge { into } => {
                let into = self.subject(into).await?.filter(|into| into.id != row.id);
                let Some(into) = into else {
                    return Ok(false);
                };
                row.merged_into = Some(into.id);
            }
        }
        let id = row.id.clone();
        self.changed_subjects.insert(id.clone());
        self.subjects.insert(id.clone(), row);
        let found = self.catalog.atoms_on(&id).await?;
        self.absorb(found);
        let atoms = self.atoms.values();
        let on = atoms.filter(|s| s.atom.subject.as_ref().is_some_and(|s| s.id == id));
        let on: Vec<String> = on.map(|stored| stored.atom.id.clone()).collect();
        for atom in on {
            self.settle(&atom, at).await?;
        }
        Ok(true)
    }
}
