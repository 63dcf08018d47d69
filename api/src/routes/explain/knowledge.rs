//! What extraction made of a message.

use std::collections::BTreeMap;

use serde::Serialize;
use telesift_ports::knowledge::UnitState;
use telesift_schemas::{ExtractorRef, MessageKey, Timestamp, Usage};

use crate::{auth::Viewer, problem::Result, state::App};

/// The unit of conversation a message was read in, and what came of it.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ExtractView {
    /// The unit.
    unit: String,
    /// How many messages it has.
    n_messages: usize,
    /// `due`: it waits. `done`: it was read, or nothing is to be read. `failed`: it is a dead letter.
    #[schema(value_type = String)]
    state: UnitState,
    /// What it waits for, why it was given up, or why nothing was made of it: `off`, `same_story`, `gone`.
    note: Option<String>,
    /// Before when it is not tried again.
    #[schema(value_type = Option<String>, format = DateTime)]
    not_before: Option<Timestamp>,
    /// Who read it, with what.
    #[schema(value_type = Option<Object>, example = json!({"name": "rules", "version": "1"}))]
    extractor: Option<ExtractorRef>,
    /// When.
    #[schema(value_type = Option<String>, format = DateTime)]
    at: Option<Timestamp>,
    /// The unit that tells the same story and was read instead.
    same_as: Option<String>,
    /// Claims, quotes and links that were not kept, by reason.
    #[schema(value_type = Object, example = json!({"quote_not_found": 1}))]
    rejected: BTreeMap<String, u32>,
    /// Tokens and money it cost.
    #[schema(value_type = Object)]
    usage: Usage,
    /// The atoms this message is evidence or a source of, as far as the key may see them.
    atoms: Vec<String>,
}

/// What extraction made of the message; `None` if it was never to be read (noise, spam, no text) or is not grouped yet.
pub(super) async fn of(
    app: &App,
    viewer: &Viewer,
    message: &MessageKey,
) -> Result<Option<ExtractView>> {
    let units = app.catalog.units_of(std::slice::from_ref(message)).await?;
    let Some((_, id)) = units.into_iter().next() else {
        return Ok(None);
    };
    let id = [id];
    let Some(unit) = app.catalog.units(&id).await?.pop() else {
        return Ok(None);
    };
    let extraction = app.catalog.extractions_of(&id).await?.pop();
    let atoms = app.catalog.atoms_of_units(&id).await?;
    let atoms = atoms.into_iter().filter(|stored| {
        stored.is_visible_in(viewer.visible_chats()) && stored.messages().any(|m| m == *message)
    });
    let atoms = atoms.map(|stored| stored.atom.id).collect();
    Ok(Some(ExtractView {
        unit: unit.id,
        n_messages: unit.members.len(),
        state: unit.state,
        note: unit.note,
        not_before: unit.not_before,
        at: extraction.as_ref().map(|e| e.at),
        same_as: extraction.as_ref().and_then(|e| e.same_as.clone()),
        rejected: extraction
            .as_ref()
            .map(|e| e.rejected.clone())
            .unwrap_or_default(),
        usage: extraction.as_ref().map(|e| e.usage).unwrap_or_default(),
        extractor: extraction.map(|e| e.extractor),
        atoms,
    }))
}
