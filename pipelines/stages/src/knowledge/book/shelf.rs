//! What the catalog has of what is spoken of: looked up once, and for many where many are known.

use std::collections::BTreeSet;

use telesift_ports::knowledge::{StoredAtom, SubjectRow, WaitingReview};
use telesift_schemas::Extraction;

use super::{Book, note, own_id};
use crate::{
    consumer::StageError,
    knowledge::claims::{subject_id, subject_key},
};

/// Merges followed before a ring is suspected.
const MAX_HOPS: usize = 16;

impl Book {
    /// Puts what the catalog gave beside what is known already, which may be newer.
    pub(in crate::knowledge) fn absorb(&mut self, atoms: Vec<StoredAtom>) {
        for stored in atoms {
            let id = stored.atom.id.clone();
            for unit in stored.units() {
                note(&mut self.of_unit, unit, &id);
            }
            self.atoms.entry(id).or_insert(stored);
        }
    }

    /// All atoms of these units are here from now on.
    pub(in crate::knowledge) async fn look_up(
        &mut self,
        units: &[String],
    ) -> Result<(), StageError> {
        let is_new = |unit: &&String| !self.looked_up.contains(*unit);
        let units: Vec<String> = units.iter().filter(is_new).cloned().collect();
        if !units.is_empty() {
            let found = self.catalog.atoms_of_units(&units).await?;
            self.absorb(found);
            self.looked_up.extend(units);
        }
        Ok(())
    }

    /// What the catalog has of the atoms that these claims would be, and what waits for the others, in one look-up for all.
    pub(in crate::knowledge) async fn expect(
        &mut self,
        extractions: &[Extraction],
    ) -> Result<(), StageError> {
        let mut ids = BTreeSet::new();
        for extraction in extractions {
            for draft in &extraction.atoms {
                let own = own_id(extraction, draft);
                ids.extend(own.into_iter().chain(draft.same_atom.clone()));
            }
        }
        ids.retain(|id| !self.atoms.contains_key(id) && !self.absent.contains_key(id));
        let ids: Vec<String> = ids.into_iter().collect();
        let found = self.catalog.stored_atoms(&ids).await?;
        let waiting = self.catalog.waiting_reviews(&ids).await?;
        self.absent
            .extend(ids.into_iter().map(|id| (id, Vec::new())));
        for stored in &found {
            self.absent.remove(&stored.atom.id);
        }
        for review in waiting {
            let absent = self.absent.get_mut(&review.atom);
            absent.into_iter().for_each(|all| all.push(review.clone()));
        }
        self.absorb(found);
        Ok(())
    }

    /// The reviews in the catalog that wait for an atom, in order.
    pub(in crate::knowledge) async fn waiting_for(
        &self,
        atom: &str,
    ) -> Result<Vec<WaitingReview>, StageError> {
        Ok(match self.absent.get(atom) {
            Some(waiting) => waiting.clone(),
            None => self.catalog.waiting_reviews(&[atom.to_owned()]).await?,
        })
    }

    /// The atom of that id, or the one it was merged into.
    pub(in crate::knowledge) async fn find(
        &mut self,
        id: &str,
    ) -> Result<Option<String>, StageError> {
        let mut id = id.to_owned();
        for _ in 0..MAX_HOPS {
            if !self.atoms.contains_key(&id) && !self.absent.contains_key(&id) {
                let found = self.catalog.stored_atoms(std::slice::from_ref(&id)).await?;
                self.absorb(found);
            }
            match self.atoms.get(&id) {
                None => return Ok(None),
                Some(stored) => match &stored.merged_into {
                    None => return Ok(Some(id)),
                    Some(into) => id = into.clone(),
                },
            }
        }
        Ok(None)
    }

    /// The subject of that id, or the one it was merged into.
    pub(in crate::knowledge) async fn subject(
        &mut self,
        id: &str,
    ) -> Result<Option<SubjectRow>, StageError> {
        let mut id = id.to_owned();
        for _ in 0..MAX_HOPS {
            if !self.subjects.contains_key(&id) {
                let found = self.catalog.subject_rows(std::slice::from_ref(&id)).await?;
                self.subjects
                    .extend(found.into_iter().map(|row| (row.id.clone(), row)));
            }
            match self.subjects.get(&id) {
                None => return Ok(None),
                Some(row) => match &row.merged_into {
                    None => return Ok(Some(row.clone())),
                    Some(into) => id = into.clone(),
                },
            }
        }
        Ok(None)
    }

    /// The id of the subject of that name, which is there afterwards.
    pub(in crate::knowledge) async fn subject_named(
        &mut self,
        name: &str,
    ) -> Result<String, StageError> {
        let key = subject_key(name);
        let id = subject_id(&key);
        self.subject(&id).await?;
        if !self.subjects.contains_key(&id) {
            let row = SubjectRow {
                id: id.clone(),
                key,
                name: name.to_owned(),
                merged_into: None,
            };
            self.subjects.insert(id.clone(), row);
            self.changed_subjects.insert(id.clone());
        }
        Ok(id)
    }
}
