//! Messages as the API shows them: the record, and what is known about it besides.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Serialize;
use telesift_ports::story_catalog::StorySummary;
use telesift_schemas::{Message, MessageKey, SubjectRef};
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
    /// The story it tells with others the viewer may see.
    story: Option<StorySummary>,
    /// Subjects of the knowledge base. See [`crate::knowledge::put_on`].
    pub(crate) subjects: Vec<SubjectRef>,
}

impl MessageView {
    /// `message`, and the story it tells.
    pub(crate) fn new(mut message: Message, story: Option<StorySummary>) -> Self {
        // For the stories stage, and of no use to anybody else.
        message.signature = None;
        MessageView {
            deep_link: message.deep_link(),
            message,
            label: None,
            story,
            subjects: Vec::new(),
        }
    }
}

impl MessageView {
    /// What people react with now.
    pub(crate) fn set_reactions(&mut self, reactions: BTreeMap<String, u32>) {
        self.message.reactions = reactions;
    }

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
