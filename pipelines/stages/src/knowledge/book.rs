//! What a batch of extractions and decisions makes of what is known: read as far as it is spoken of, changed, given back whole.

mod shelf;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use telesift_ports::{
    Catalog, RecordLog,
    knowledge::{
        ApprovalRules, AtomClaim, AtomReview, AtomSource, ExtractionRow, KnowledgeChange,
        ReadingRow, ReviewVerdict, StoredAtom, SubjectRow, WaitingReview,
    },
};
use telesift_schemas::{
    Atom, AtomLink, AtomStatus, ChatId, DraftAtom, Evidence, Extraction, Generation, MessageKey,
    Offset, SubjectRef, Timestamp, UnitMember,
};

use super::claims::{atom_id, is_same};
use crate::consumer::StageError;

/// What is known, as far as it is spoken of.
pub(super) struct Book {
    pub(super) log: Arc<dyn RecordLog>,
    pub(super) catalog: Arc<dyn Catalog>,
    pub(super) atoms: BTreeMap<String, StoredAtom>,
    /// The atoms that each unit claims or is a source of. Some may not be any more.
    of_unit: BTreeMap<String, BTreeSet<String>>,
    /// The units of which all atoms are here.
    looked_up: BTreeSet<String>,
    /// Atoms that the catalog does not have, with the reviews that wait for them.
    absent: BTreeMap<String, Vec<WaitingReview>>,
    pub(super) subjects: BTreeMap<String, SubjectRow>,
    pub(super) rules: ApprovalRules,
    changed_atoms: BTreeSet<String>,
    pub(super) changed_subjects: BTreeSet<String>,
    pub(super) change: KnowledgeChange,
    /// What counts of units, and what generations read of them, as far as it was asked for.
    pub(super) applied: BTreeMap<String, Option<ExtractionRow>>,
    pub(super) readings: BTreeMap<String, Vec<ReadingRow>>,
    pub(super) in_force: Vec<Generation>,
}

impl Book {
    pub(super) async fn open(
        log: Arc<dyn RecordLog>,
        catalog: Arc<dyn Catalog>,
    ) -> Result<Self, StageError> {
        Ok(Book {
            rules: catalog.approval_rules().await?,
            in_force: catalog.readings_in_force().await?,
            log,
            catalog,
            atoms: BTreeMap::new(),
            of_unit: BTreeMap::new(),
            looked_up: BTreeSet::new(),
            absent: BTreeMap::new(),
            subjects: BTreeMap::new(),
            changed_atoms: BTreeSet::new(),
            changed_subjects: BTreeSet::new(),
            change: KnowledgeChange::default(),
            applied: BTreeMap::new(),
            readings: BTreeMap::new(),
        })
    }

    /// How many atoms are not as they were.
    pub(super) fn n_changed(&self) -> usize {
        self.changed_atoms.len()
    }

    pub(super) fn into_change(mut self) -> KnowledgeChange {
        let atoms = &mut self.atoms;
        let changed = self.changed_atoms.iter();
        self.change.atoms = changed.filter_map(|id| atoms.remove(id)).collect();
        let subjects = &mut self.subjects;
        let changed = self.changed_subjects.iter();
        self.change.subjects = changed.filter_map(|id| subjects.remove(id)).collect();
        self.change
    }

    /// What an extraction says takes the place of all its unit said before, at this time.
    pub(super) async fn extraction(
        &mut self,
        extraction: &Extraction,
        offset: Offset,
        at: Timestamp,
    ) -> Result<(), StageError> {
        let unit = &extraction.unit;
        self.look_up(std::slice::from_ref(unit)).await?;
        let (before, mut touched) = self.take_out(unit);
        if let Some(other) = &extraction.same_as {
            self.look_up(std::slice::from_ref(other)).await?;
            touched.extend(self.add_source(extraction, other));
        }
        let ids = self.place(extraction, &before).await?;
        for (draft, id) in extraction.atoms.iter().zip(&ids) {
            let claim = self.claim(extraction, draft, id, &ids).await?;
            let stored = self.atoms.entry(id.clone());
            let stored = stored.or_insert_with(|| blank(id, &claim, at));
            stored.claims.push(claim);
            note(&mut self.of_unit, unit, id);
            touched.insert(id.clone());
        }
        for id in &touched {
            let is_new = self.settle(id, at).await?;
            if is_new {
                self.review_waiting(id).await?;
            }
        }
        let row = row(extraction, offset);
        self.applied.insert(unit.clone(), Some(row.clone()));
        self.change.not_extracted.retain(|of| of != unit);
        self.change.extractions.push(row);
        Ok(())
    }

    /// Takes a unit's claims, and what it adds as a source, out of every atom.
    pub(super) fn take_out(&mut self, unit: &str) -> (Vec<(String, AtomClaim)>, BTreeSet<String>) {
        let (mut before, mut touched) = (Vec::new(), BTreeSet::new());
        for id in self.of_unit.remove(unit).unwrap_or_default() {
            let Some(stored) = self.atoms.get_mut(&id) else {
                continue;
            };
            let n = (stored.claims.len(), stored.sources.len());
            let (out, left) = std::mem::take(&mut stored.claims)
                .into_iter()
                .partition(|claim: &AtomClaim| claim.unit == unit);
            stored.claims = left;
            let out: Vec<AtomClaim> = out;
            before.extend(out.into_iter().map(|claim| (id.clone(), claim)));
            stored.sources.retain(|source| source.unit != unit);
            if n != (stored.claims.len(), stored.sources.len()) {
                touched.insert(id);
            }
        }
        (before, touched)
    }

    /// Adds the unit's messages to the sources of what the other unit claims.
    fn add_source(&mut self, extraction: &Extraction, other: &str) -> Vec<String> {
        let source = AtomSource {
            unit: extraction.unit.clone(),
            same_as: other.to_owned(),
            messages: extraction.members.iter().map(|m| m.message).collect(),
        };
        let mut all: Vec<String> = self
            .of_unit
            .get(other)
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        all.retain(|id| match self.atoms.get_mut(id) {
            Some(stored) if stored.claims.iter().any(|c| c.unit == other) => {
                stored.sources.push(source.clone());
                true
            }
            _ => false,
        });
        for id in &all {
            note(&mut self.of_unit, &extraction.unit, id);
        }
        all
    }

    /// What one atom stood on joins another.
    pub(super) fn join(&mut self, into: &str, claims: Vec<AtomClaim>, sources: Vec<AtomSource>) {
        let Some(target) = self.atoms.get_mut(into) else {
            return;
        };
        target.claims.extend(claims);
        for source in sources {
            if !target.sources.contains(&source) {
                target.sources.push(source);
            }
        }
        for unit in target.units() {
            note(&mut self.of_unit, unit, into);
        }
    }

    /// The atom each claim belongs to: the one it belonged to before, another unit's that says the same, or one of its own.
    async fn place(
        &mut self,
        extraction: &Extraction,
        before: &[(String, AtomClaim)],
    ) -> Result<Vec<String>, StageError> {
        let drafts = &extraction.atoms;
        let mut taken: BTreeSet<usize> = BTreeSet::new();
        let mut ids: Vec<Option<String>> = vec![None; drafts.len()];
        // Those that stand on the very same words first, so that none like them takes their atom.
        for is_exact in [true, false] {
            for (draft, id) in drafts.iter().zip(&mut ids) {
                let found = before.iter().enumerate().find(|(i, (_, claim))| {
                    let then = claim.evidence.first();
                    let then = then.map(|e| (e.message, e.quote.trim()));
                    let now = draft.evidence.first();
                    let now = now.map(|q| (q.message, q.quote.trim()));
                    let fits = match is_exact {
                        true => claim.kind == draft.kind && then == now,
                        false => is_same(draft, claim),
                    };
                    fits && !taken.contains(i)
                });
                if let (None, Some((i, (atom, _)))) = (&id, found) {
                    taken.insert(i);
                    *id = Some(atom.clone());
                }
            }
        }
        let mut placed = Vec::with_capacity(drafts.len());
        for (draft, id) in drafts.iter().zip(ids) {
            let other = match &draft.same_atom {
                Some(other) if id.is_none() => self.find(other).await?,
                _ => None,
            };
            let other = other.filter(|other| {
                let stored = self.atoms.get(other);
                stored.is_some_and(|stored| !stored.claims.is_empty())
            });
            let wanted = id
                .or(other)
                .or_else(|| own_id(extraction, draft))
                .unwrap_or_default();
            let found = self.find(&wanted).await?;
            placed.push(found.unwrap_or(wanted));
        }
        Ok(placed)
    }

    async fn claim(
        &mut self,
        extraction: &Extraction,
        draft: &DraftAtom,
        id: &str,
        ids: &[String],
    ) -> Result<AtomClaim, StageError> {
        let subject = match &draft.subject {
            Some(name) => Some(self.subject_named(name).await?),
            None => None,
        };
        let evidence: Vec<Evidence> = draft
            .evidence
            .iter()
            .filter_map(|quote| {
                let member = member(extraction, &quote.message)?;
                Some(Evidence {
                    message: quote.message,
                    edit: member.edit,
                    quote: quote.quote.clone(),
                    start: quote.start,
                    end: quote.end,
                    origin: member.origin.clone(),
                })
            })
            .collect();
        let times = evidence
            .iter()
            .filter_map(|e| Some(member(extraction, &e.message)?.event_time));
        let (first_at, last_at) = (times.clone().min(), times.max());
        let links = draft.links.iter().filter_map(|link| {
            let to = ids.get(usize::try_from(link.to).ok()?)?;
            (to != id).then(|| AtomLink {
                kind: link.kind,
                to: to.clone(),
            })
        });
        Ok(AtomClaim {
            unit: extraction.unit.clone(),
            kind: draft.kind,
            title: draft.title.clone(),
            content: draft.content.clone(),
            confidence: draft.confidence,
            subject,
            links: links.collect(),
            evidence,
            extractor: extraction.extractor.clone(),
            first_at: first_at.unwrap_or(extraction.at),
            last_at: last_at.unwrap_or(extraction.at),
        })
    }

    /// Works out anew how an atom stands; a version more if that is otherwise than before. `true` if it is a new atom.
    pub(super) async fn settle(&mut self, id: &str, at: Timestamp) -> Result<bool, StageError> {
        let Some(mut stored) = self.atoms.remove(id) else {
            return Ok(false);
        };
        let before = stored.atom.clone();
        match (&stored.merged_into, stored.claims.is_empty()) {
            (None, false) => self.stand(&mut stored).await?,
            _ => retract(&mut stored),
        }
        stored.atom.version = before.version;
        stored.atom.updated_at = before.updated_at;
        let is_new = before.version == 0;
        if is_new || stored.atom != before {
            stored.atom.version += 1;
            stored.atom.updated_at = at;
            self.change.versions.push(stored.atom.clone());
        }
        self.changed_atoms.insert(id.to_owned());
        self.atoms.insert(id.to_owned(), stored);
        Ok(is_new)
    }

    /// An atom that stands on something.
    async fn stand(&mut self, stored: &mut StoredAtom) -> Result<(), StageError> {
        let claims = &stored.claims;
        let first = &claims[0];
        let review = stored.review.as_ref();
        let frozen = review.and_then(|review| review.frozen.as_ref());
        let (kind, title, content, confidence, subject) = match frozen {
            Some(f) => (f.kind, &f.title, &f.content, f.confidence, &f.subject),
            None => (
                first.kind,
                &first.title,
                &first.content,
                first.confidence,
                &first.subject,
            ),
        };
        let subject = subject.clone();
        let mut evidence: Vec<Evidence> = Vec::new();
        let mut links: Vec<AtomLink> = Vec::new();
        for claim in claims {
            for one in &claim.evidence {
                if !evidence.contains(one) {
                    evidence.push(one.clone());
                }
            }
            for link in &claim.links {
                if !links.contains(link) && link.to != stored.atom.id {
                    links.push(link.clone());
                }
            }
        }
        let mut atom = Atom {
            kind,
            title: title.clone(),
            content: content.clone(),
            confidence,
            status: AtomStatus::NeedsReview,
            subject: None,
            evidence,
            links,
            extractor: first.extractor.clone(),
            unit: first.unit.clone(),
            ..stored.atom.clone()
        };
        stored.first_at = claims.iter().map(|c| c.first_at).min().unwrap_or_default();
        stored.last_at = claims.iter().map(|c| c.last_at).max().unwrap_or_default();
        if let Some(id) = subject {
            atom.subject = self.subject(&id).await?.map(|row| SubjectRef {
                id: row.id,
                name: row.name,
            });
        }
        stored.stood_in.clear();
        stored.evidence_removed = false;
        if stored.review.as_ref().is_none_or(|r| r.automatic) {
            stored.review = self.approved_by_rule(&atom, stored.review.take());
        }
        atom.status = match stored.review.as_ref().map(|r| r.verdict) {
            None => AtomStatus::NeedsReview,
            Some(ReviewVerdict::Rejected) => AtomStatus::Rejected,
            Some(ReviewVerdict::Approved | ReviewVerdict::Edited) => AtomStatus::Approved,
        };
        stored.atom = atom;
        Ok(())
    }

    /// What the rules say of an atom nobody has looked at. One that was approved by a rule stays so while it is what it was.
    fn approved_by_rule(&self, atom: &Atom, before: Option<AtomReview>) -> Option<AtomReview> {
        let rule = self.rules.rules.iter().find(|rule| rule.matches(atom));
        let Some(rule) = rule else {
            return before.filter(|_| self.rules.rules.is_empty());
        };
        let by = format!("rule:{}", rule.name);
        Some(match before {
            Some(before) if before.by == by => before,
            _ => AtomReview {
                verdict: ReviewVerdict::Approved,
                by,
                automatic: true,
                at: self.rules.at.unwrap_or(atom.updated_at),
                frozen: None,
            },
        })
    }
}

/// The id of the atom a claim is if it belongs to none that is there.
fn own_id(extraction: &Extraction, draft: &DraftAtom) -> Option<String> {
    let first = draft.evidence.first()?;
    Some(atom_id(&extraction.unit, draft.kind, first))
}

/// Notes that the unit claims the atom, or is a source of it.
fn note(of_unit: &mut BTreeMap<String, BTreeSet<String>>, unit: &str, atom: &str) {
    match of_unit.get_mut(unit) {
        Some(atoms) => _ = atoms.insert(atom.to_owned()),
        None => _ = of_unit.insert(unit.to_owned(), BTreeSet::from([atom.to_owned()])),
    }
}

/// An atom whose evidence is gone, or which was merged.
fn retract(stored: &mut StoredAtom) {
    let chats: BTreeSet<ChatId> = stored
        .atom
        .evidence
        .iter()
        .map(|e| e.message.chat)
        .collect();
    if !chats.is_empty() {
        stored.stood_in = chats.into_iter().collect();
    }
    let is_reviewed = stored.review.as_ref().is_some_and(|r| !r.automatic);
    stored.evidence_removed = is_reviewed && stored.merged_into.is_none();
    let atom = &mut stored.atom;
    atom.status = AtomStatus::Retracted;
    atom.evidence.clear();
    atom.links.clear();
}

/// An atom before anything is known of it but its first claim.
fn blank(id: &str, claim: &AtomClaim, at: Timestamp) -> StoredAtom {
    StoredAtom {
        atom: Atom {
            v: Atom::VERSION,
            id: id.to_owned(),
            kind: claim.kind,
            title: claim.title.clone(),
            content: claim.content.clone(),
            confidence: claim.confidence,
            status: AtomStatus::NeedsReview,
            subject: None,
            evidence: Vec::new(),
            links: Vec::new(),
            version: 0,
            extractor: claim.extractor.clone(),
            unit: claim.unit.clone(),
            updated_at: at,
        },
        claims: Vec::new(),
        review: None,
        merged_into: None,
        sources: Vec::new(),
        evidence_removed: false,
        stood_in: Vec::new(),
        first_at: claim.first_at,
        last_at: claim.last_at,
    }
}

fn member<'a>(extraction: &'a Extraction, message: &MessageKey) -> Option<&'a UnitMember> {
    extraction.members.iter().find(|m| m.message == *message)
}

fn row(extraction: &Extraction, offset: Offset) -> ExtractionRow {
    ExtractionRow {
        unit: extraction.unit.clone(),
        members: extraction.members.clone(),
        extractor: extraction.extractor.clone(),
        same_as: extraction.same_as.clone(),
        generation: extraction.generation,
        n_atoms: u32::try_from(extraction.atoms.len()).unwrap_or(u32::MAX),
        rejected: extraction.rejected.clone(),
        usage: extraction.usage,
        at: extraction.at,
        offset,
    }
}
