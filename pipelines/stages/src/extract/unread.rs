//! Units of chats that nobody may read: noted as passed by, so that a rebuild passes them by too, whatever the chat allows then.

use telesift_ports::{
    knowledge::{ExtractionRow, UnitRow},
    record_log::{self, ReadLimits},
};
use telesift_schemas::{DraftAtom, Extraction, ExtractorRef, UnitMember};

use super::{
    Extract, extractions,
    outcome::{OFF, Outcome},
};
use crate::consumer::StageError;

impl Extract {
    /// Notes that nobody read the unit as it is now. What was claimed of it before stays, but for what stood on messages that are
    /// not what they were.
    pub(super) async fn finish_unread(
        &self,
        unit: &UnitRow,
        before: Option<&ExtractionRow>,
        members: Vec<UnitMember>,
    ) -> Result<Outcome, StageError> {
        if unit.again.is_some() {
            // A replay wanted it read; what it says now is noted.
            return Ok(before.map_or(Outcome::PassedBy(OFF), Outcome::of));
        }
        let (by, atoms) = match before {
            Some(before) => (before.extractor.clone(), self.left(before, &members).await?),
            None => (ExtractorRef::nobody(), Vec::new()),
        };
        let by = match atoms.is_empty() {
            true => ExtractorRef::nobody(),
            false => by,
        };
        let extraction = Extraction {
            atoms,
            ..self.extraction(unit, before, members, by)
        };
        let outcome = match extraction.extractor.is_nobody() {
            true => Outcome::PassedBy(OFF),
            false => Outcome::Done,
        };
        self.put(&extraction).await?;
        Ok(outcome)
    }

    /// What was claimed of messages that are still as they were.
    async fn left(
        &self,
        before: &ExtractionRow,
        members: &[UnitMember],
    ) -> Result<Vec<DraftAtom>, StageError> {
        let limits = ReadLimits {
            max_records: 1,
            ..ReadLimits::default()
        };
        let at = extractions();
        let records = match self.parts.log.read(&at, before.offset, limits).await {
            Ok(batch) => batch.records,
            Err(record_log::Error::Evicted { .. }) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let record = records.first().filter(|r| r.offset == before.offset);
        let then = record.and_then(|r| serde_json::from_slice::<Extraction>(&r.value).ok());
        let Some(then) = then else {
            return Ok(Vec::new());
        };
        let is_left = |draft: &DraftAtom| {
            let mut quotes = draft.evidence.iter();
            quotes.all(|quote| {
                let then = then.members.iter().find(|m| m.message == quote.message);
                then.is_some_and(|then| members.contains(then))
            })
        };
        Ok(kept(then.atoms.clone(), is_left))
    }
}

/// The claims that stay, with the links between them.
fn kept(atoms: Vec<DraftAtom>, is_left: impl Fn(&DraftAtom) -> bool) -> Vec<DraftAtom> {
    let mut places = Vec::with_capacity(atoms.len());
    let mut n_left = 0;
    for draft in &atoms {
        let place = is_left(draft).then_some(n_left);
        n_left += u32::from(place.is_some());
        places.push(place);
    }
    let place = |at: u32| {
        let at = usize::try_from(at).ok()?;
        places.get(at).copied().flatten()
    };
    let stays = atoms.into_iter().zip(&places).filter(|(_, p)| p.is_some());
    stays
        .map(|(mut draft, _)| {
            draft.links.retain(|link| place(link.to).is_some());
            for link in &mut draft.links {
                link.to = place(link.to).unwrap_or_default();
            }
            draft
        })
        .collect()
}
