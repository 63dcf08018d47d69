//! What analysts say of a message, where a store filters by it: their word goes before the screen's.

use telesift_schemas::{Class, MessageKey, Offset, Screen, flags};

use crate::catalog::InForce;

/// What is said of one version of a message, for a store. See [`super::MessageStore::set_labels`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionLabel {
    /// The message.
    pub key: MessageKey,
    /// Its version, by [`telesift_schemas::Message::edit`].
    pub edit: i64,
    /// The class, where said; goes before the screen's.
    pub class: Option<Class>,
    /// Whether it is spam, where said; goes before the screen's flag.
    pub spam: Option<bool>,
    /// The latest decision about this version. A label decided earlier never replaces one decided later.
    pub decided: Offset,
}

impl From<InForce> for VersionLabel {
    fn from(said: InForce) -> Self {
        VersionLabel {
            key: said.message,
            edit: said.edit,
            class: said.label.as_ref().and_then(|l| l.class),
            spam: said.label.as_ref().and_then(|l| l.spam),
            decided: said.decided,
        }
    }
}

impl VersionLabel {
    /// What filters and counts see of a message with this label: the class, and the flags.
    pub fn in_place_of(&self, screen: &Screen) -> (Class, Vec<String>) {
        let mut seen = screen.flags.clone();
        let has_flag = seen.iter().any(|f| f == flags::SPAM);
        match self.spam {
            Some(true) if !has_flag => seen.push(flags::SPAM.to_owned()),
            Some(false) if has_flag => seen.retain(|f| f != flags::SPAM),
            _ => {}
        }
        (self.class.unwrap_or(screen.class), seen)
    }
}
