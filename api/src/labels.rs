//! Labels in answers: what analysts say of a message version, beside what the screen found.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Value, json};
use telesift_ports::catalog::{Label, in_force};
use telesift_schemas::{Class, MessageKey, Timestamp};

use crate::{problem::Result, state::App, view::MessageView};

/// What analysts say of a message version, taken together: of several owners the latest counts, for the class and for
/// spam each.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct LabelView {
    /// `noise`, `weak_signal`, `signal`; `null` where nobody gave one.
    #[schema(value_type = Option<String>)]
    class: Option<Class>,
    /// Whether it is spam; `null` where nobody said.
    spam: Option<bool>,
    /// Whose word that is, by the name of the key.
    by: String,
    /// When it was said.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

impl From<Label> for LabelView {
    fn from(label: Label) -> Self {
        LabelView {
            class: label.class,
            spam: label.spam,
            by: label.by,
            at: label.at,
        }
    }
}

/// Puts on messages the labels of their versions, by one look-up for all.
pub(crate) async fn put_on<'v>(
    app: &App,
    views: impl Iterator<Item = &'v mut MessageView>,
) -> Result<()> {
    let views: Vec<&mut MessageView> = views.collect();
    let keys: Vec<MessageKey> = views.iter().map(|v| v.version().0).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let stored = app.catalog.labels_of(&keys).await?;
    let found = in_force(stored).into_iter();
    let labels: HashMap<(MessageKey, i64), Label> = found
        .filter_map(|f| Some(((f.message, f.edit), f.label?)))
        .collect();
    for view in views {
        view.label = labels.get(&view.version()).cloned().map(LabelView::from);
    }
    Ok(())
}

/// The member `label` of a message.
pub(crate) fn schema() -> Value {
    json!({
        "description": "What analysts say of this version, which filters on class and on the flag `spam` obey first; `null` where nobody says anything.",
        "oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/LabelView"}],
    })
}
