//! Reactions in answers: what came after the message, in place of what stood in its record.

use telesift_ports::catalog::reaction_counts;
use telesift_schemas::MessageKey;

use crate::{problem::Result, state::App, view::MessageView};

/// Puts on messages the reactions they have now, by one look-up for all. Where none was ever told of, a message keeps those
/// of its record.
pub(crate) async fn put_on<'v>(
    app: &App,
    views: impl Iterator<Item = &'v mut MessageView>,
) -> Result<()> {
    let views: Vec<&mut MessageView> = views.collect();
    let keys: Vec<MessageKey> = views.iter().map(|v| v.version().0).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let counts = reaction_counts(app.catalog.reactions_of(&keys).await?);
    for view in views {
        if let Some(reactions) = counts.get(&view.version().0) {
            view.set_reactions(reactions.clone());
        }
    }
    Ok(())
}
