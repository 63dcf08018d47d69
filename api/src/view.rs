//! Messages as the API shows them: the record, and what is known about it besides.

use std::borrow::Cow;

use serde::Serialize;
use telesift_schemas::{Message, MessageKey};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use crate::labels::LabelView;

/// A message in an answer.
#[derive(Serialize)]
pub(crate) struct MessageView {
    #[serde(flatten)]
    message: Message,
    deep_link: Option<String>,
    /// What analysts say of this version, which filters obey first. See [`crate::labels::put_on`].
    pub(crate) label: Option<LabelView>,
    /// The story it belongs to. No stage tells stories yet.
    story: Option<()>,
    /// Subjects of the knowledge base. No stage finds any yet.
    subjects: [(); 0],
}

impl From<Message> for MessageView {
    fn from(message: Message) -> Self {
        MessageView {
            deep_link: message.deep_link(),
            message,
            label: None,
            story: None,
            subjects: [],
        }
    }
}

impl MessageView {
    /// The message and its edit.
    pub(crate) fn version(&self) -> (MessageKey, i64) {
        (self.message.id, self.message.edit)
    }
}

// The schema is made from the record type's own (see `openapi`); here stands its name only.
impl PartialSchema for MessageView {
    fn schema() -> RefOr<Schema> {
        utoipa::openapi::schema::Object::new().into()
    }
}

impl ToSchema for MessageView {
    fn name() -> Cow<'static, str> {
        "Message".into()
    }
}
