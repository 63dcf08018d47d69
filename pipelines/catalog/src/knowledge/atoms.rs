//! Atoms and subjects in their tables: written in one transaction, and read for whoever decides what comes next.

use std::collections::BTreeMap;

use async_trait::async_trait;
use telesift_ports::{
    catalog::Result,
    knowledge::{
        ApprovalRules, AtomFilter, AtomPosition, ExtractionRow, KnowledgeCatalog, KnowledgeChange,
        Moved, ReadingRow, StoredAtom, SubjectPosition, SubjectRow, SubjectSummary, WaitingReview,
        sort_name,
    },
    leases::Fence,
};
use telesift_schemas::{Atom, AtomStatus, ChatId, Generation, MessageKey, SubjectRef};

use super::{flag, id_lists, queries, readings, statement};
use crate::{
    SqlCatalog,
    bundle::push,
    database::Statement,
    records::{json, to_int, to_json, unsigned},
    row::{Arg, Row},
    stories::count,
};

#[async_trait]
impl KnowledgeCatalog for SqlCatalog {
    async fn apply_knowledge(
        &self,
        change: &KnowledgeChange,
        moved: &[Moved],
        fence: &Fence,
    ) -> Result<()> {
        self.move_stages(moved, fence, statements(change)?).await
    }

    async fn extractions_of(&self, units: &[String]) -> Result<Vec<ExtractionRow>> {
        let mut found: Vec<ExtractionRow> = Vec::new();
        let each = |row: &Row| {
            found.push(json(&row.get::<String>(0)?)?);
            Ok(())
        };
        self.read_ids(&queries::EXTRACTIONS, units, each).await?;
        found.sort_by(|a, b| a.unit.cmp(&b.unit));
        Ok(found)
    }

    async fn readings_of(&self, units: &[String]) -> Result<Vec<ReadingRow>> {
        self.list_readings(units).await
    }

    async fn units_read_by(&self, generations: &[Generation]) -> Result<Vec<String>> {
        self.list_units_read_by(generations).await
    }

    async fn readings_in_force(&self) -> Result<Vec<Generation>> {
        self.whose_readings().await
    }

    async fn remove_readings(&self, generation: Generation) -> Result<()> {
        self.forget_readings(generation).await
    }

    async fn stored_atoms(&self, ids: &[String]) -> Result<Vec<StoredAtom>> {
        let mut found = Vec::new();
        let each = |row: &Row| {
            found.push(stored(row)?);
            Ok(())
        };
        self.read_ids(&queries::ATOMS_BY_ID, ids, each).await?;
        Ok(by_id(found))
    }

    async fn atoms_of_units(&self, units: &[String]) -> Result<Vec<StoredAtom>> {
        let mut found = Vec::new();
        let each = |row: &Row| {
            found.push(stored(row)?);
            Ok(())
        };
        self.read_ids(&queries::ATOMS_OF_UNITS, units, each).await?;
        Ok(by_id(found))
    }

    async fn atoms_on(&self, subject: &str) -> Result<Vec<StoredAtom>> {
        let args = vec![subject.into()];
        let rows = self.database.read(queries::ATOMS_ON, args).await?;
        rows.iter().map(stored).collect()
    }

    async fn subject_rows(&self, ids: &[String]) -> Result<Vec<SubjectRow>> {
        let mut found = Vec::new();
        let each = |row: &Row| {
            found.push(SubjectRow {
                id: row.get(0)?,
                key: row.get(1)?,
                name: row.get(2)?,
                merged_into: row.get(3)?,
            });
            Ok(())
        };
        self.read_ids(&queries::SUBJECTS, ids, each).await?;
        found.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(found)
    }

    async fn waiting_reviews(&self, atoms: &[String]) -> Result<Vec<WaitingReview>> {
        let mut found: Vec<WaitingReview> = Vec::new();
        let each = |row: &Row| {
            found.push(json(&row.get::<String>(0)?)?);
            Ok(())
        };
        self.read_ids(&queries::WAITING, atoms, each).await?;
        found.sort_by_key(|review| review.offset);
        Ok(found)
    }

    async fn approval_rules(&self) -> Result<ApprovalRules> {
        let rows = self.database.read(queries::RULES, Vec::new()).await?;
        let rules = rows.first().map(|row| json(&row.get::<String>(0)?));
        Ok(rules.transpose()?.unwrap_or_default())
    }

    async fn outbox(&self, limit: usize) -> Result<Vec<(u64, Atom)>> {
        let rows = self
            .database
            .read(queries::OUTBOX, vec![count(limit)])
            .await?;
        let version = |row: &Row| Ok((unsigned(row, 0)?, json(&row.get::<String>(1)?)?));
        rows.iter().map(version).collect()
    }

    async fn clear_outbox(&self, up_to: u64) -> Result<()> {
        let args = vec![to_int(up_to)?];
        self.database
            .write(queries::CLEAR_OUTBOX, args, String::new)
            .await?;
        Ok(())
    }

    async fn atoms(
        &self,
        filter: &AtomFilter,
        after: Option<&AtomPosition>,
        limit: usize,
    ) -> Result<Vec<StoredAtom>> {
        self.list_atoms(filter, after, limit).await
    }

    async fn atom_versions(&self, id: &str) -> Result<Vec<Atom>> {
        let rows = self
            .database
            .read(queries::VERSIONS, vec![id.into()])
            .await?;
        rows.iter()
            .map(|row| json(&row.get::<String>(0)?))
            .collect()
    }

    async fn subjects(
        &self,
        chats: Option<&[ChatId]>,
        after: Option<&SubjectPosition>,
        limit: usize,
    ) -> Result<Vec<SubjectSummary>> {
        self.list_subjects(chats, after, limit).await
    }

    async fn subjects_of(
        &self,
        messages: &[MessageKey],
        chats: Option<&[ChatId]>,
    ) -> Result<Vec<(MessageKey, SubjectRef)>> {
        self.subjects_of_messages(messages, chats).await
    }

    async fn messages_on(
        &self,
        subjects: &[String],
        chats: Option<&[ChatId]>,
        limit: usize,
    ) -> Result<Vec<MessageKey>> {
        self.list_messages_on(subjects, chats, limit).await
    }
}

/// Column: `body`.
pub(super) fn stored(row: &Row) -> Result<StoredAtom> {
    json(&row.get::<String>(0)?)
}

fn by_id(mut atoms: Vec<StoredAtom>) -> Vec<StoredAtom> {
    atoms.sort_by(|a, b| a.atom.id.cmp(&b.atom.id));
    atoms.dedup_by(|a, b| a.atom.id == b.atom.id);
    atoms
}

fn statements(change: &KnowledgeChange) -> Result<Vec<Statement>> {
    let mut all = Vec::new();
    for subject in &change.subjects {
        let args = vec![
            subject.id.as_str().into(),
            subject.key.as_str().into(),
            subject.name.as_str().into(),
            sort_name(&subject.name).into(),
            subject.merged_into.as_deref().into(),
        ];
        all.push(statement(queries::PUT_SUBJECT, args));
    }
    put_atoms(&change.atoms, &mut all)?;
    push(
        &mut all,
        &change.versions,
        &queries::PUT_VERSIONS,
        |version| {
            let number = i64::from(version.version).into();
            Ok([version.id.as_str().into(), number, to_json(version)?])
        },
    )?;
    push(
        &mut all,
        &change.versions,
        &queries::PUT_OUTBOX,
        |version| Ok([to_json(version)?]),
    )?;
    push(
        &mut all,
        &newest(&change.extractions),
        &queries::PUT_EXTRACTIONS,
        |row| Ok([row.unit.as_str().into(), to_json(row)?]),
    )?;
    for unit in &change.not_extracted {
        let args = vec![unit.as_str().into()];
        all.push(statement(queries::DROP_EXTRACTION, args));
    }
    readings::statements(change, &mut all)?;
    if let Some(rules) = &change.rules {
        all.push(statement(queries::PUT_RULES, vec![to_json(rules)?]));
    }
    for review in &change.waiting {
        let args = vec![
            to_int(review.offset.0)?,
            review.atom.as_str().into(),
            to_json(review)?,
        ];
        all.push(statement(queries::PUT_WAITING, args));
    }
    for offset in &change.not_waiting {
        let args = vec![to_int(offset.0)?];
        all.push(statement(queries::DROP_WAITING, args));
    }
    Ok(all)
}

/// The last of each unit.
fn newest(extractions: &[ExtractionRow]) -> Vec<&ExtractionRow> {
    let by_unit: BTreeMap<&str, _> = extractions
        .iter()
        .map(|row| (row.unit.as_str(), row))
        .collect();
    by_unit.into_values().collect()
}

fn put_atoms(atoms: &[StoredAtom], all: &mut Vec<Statement>) -> Result<()> {
    let ids: Vec<String> = atoms.iter().map(|stored| stored.atom.id.clone()).collect();
    for part in id_lists(&ids) {
        all.push(statement(&queries::DROP_ATOM_UNITS, part.clone()));
        all.push(statement(&queries::DROP_ATOM_MESSAGES, part));
    }
    push(all, atoms, &queries::PUT_ATOMS, row)?;
    let of = |stored: &StoredAtom| Arg::from(stored.atom.id.as_str());
    let units = atoms
        .iter()
        .flat_map(|stored| stored.units().map(move |unit| (stored, unit)));
    push(
        all,
        &units.collect::<Vec<_>>(),
        &queries::PUT_ATOM_UNITS,
        |(stored, unit)| Ok([of(stored), unit.as_str().into()]),
    )?;
    let messages = atoms.iter().flat_map(|stored| {
        let n_evidence = stored.atom.evidence.len();
        let told = stored.messages().enumerate();
        told.map(move |(i, message)| (stored, message, i < n_evidence))
    });
    push(
        all,
        &messages.collect::<Vec<_>>(),
        &queries::PUT_ATOM_MESSAGES,
        |(stored, message, is_evidence)| {
            Ok([
                of(stored),
                message.chat.0.into(),
                message.message_id.into(),
                flag(*is_evidence),
            ])
        },
    )
}

fn row(stored: &StoredAtom) -> Result<[Arg; 9]> {
    let atom = &stored.atom;
    let is_gone = matches!(atom.status, AtomStatus::Rejected | AtomStatus::Retracted);
    let is_merged = stored.merged_into.is_some();
    Ok([
        atom.id.as_str().into(),
        atom.kind.as_str().into(),
        atom.status.as_str().into(),
        atom.subject.as_ref().map(|s| s.id.as_str()).into(),
        stored.first_at.into(),
        stored.last_at.into(),
        flag(!is_gone && !is_merged),
        flag(is_merged),
        to_json(stored)?,
    ])
}

#[cfg(test)]
mod tests {
    use telesift_ports::knowledge::AtomSource;

    use super::*;

    /// Each statement is a way to the database and back, and all of a batch must be done within the time of a call.
    #[test]
    fn what_many_tell_is_stored_in_few_statements() {
        let example = include_str!("../../../../schemas/examples/v1/atoms.json");
        let told = |n: i64| AtomSource {
            unit: format!("u-{n}"),
            same_as: "u-1".to_owned(),
            messages: (0..20)
                .map(|message_id| MessageKey {
                    chat: ChatId(n),
                    message_id,
                })
                .collect(),
        };
        let stored = StoredAtom {
            atom: serde_json::from_str(example).unwrap(),
            claims: Vec::new(),
            review: None,
            merged_into: None,
            sources: (0..50).map(told).collect(),
            evidence_removed: false,
            stood_in: Vec::new(),
            first_at: Default::default(),
            last_at: Default::default(),
        };
        let mut all = Vec::new();
        let n_atoms = 20;
        put_atoms(&vec![stored; n_atoms], &mut all).unwrap();
        assert!(all.len() < 10 * n_atoms, "{} statements", all.len());
    }
}
