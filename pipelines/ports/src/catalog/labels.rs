//! What analysts said of messages: a projection of the topic `decisions`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use telesift_schemas::{ChatId, Class, MessageKey, Offset, Timestamp};

use super::Result;

/// The stage that keeps the labels up to `decisions`, by its name in the ledger: what it has taken, [`Labels`] shows.
pub const LABELS_STAGE: &str = "labels";

/// The labels of the catalog: one per owner and message version.
#[async_trait]
pub trait Labels: Send + Sync + 'static {
    /// Stores each label unless a later decision of the same owner about the same version is stored already. Idempotent;
    /// the order does not matter.
    async fn put_labels(&self, labels: &[LabelRow]) -> Result<()>;

    /// Every label of the versions of these messages, those taken back too, in no particular order.
    async fn labels_of(&self, messages: &[MessageKey]) -> Result<Vec<LabelRow>>;

    /// Labels that say something, by the latest decision first, those decided before `before` if given.
    async fn labels(
        &self,
        filter: &LabelFilter,
        before: Option<Offset>,
        limit: usize,
    ) -> Result<Vec<LabelRow>>;

    /// Whether any label was ever stored.
    async fn has_labels(&self) -> Result<bool>;
}

/// One owner's label of one version of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelRow {
    /// The message.
    pub message: MessageKey,
    /// Its version, by [`telesift_schemas::Message::edit`].
    pub edit: i64,
    /// Whose label: the name of the key it was given with. Keys of one name have one owner.
    pub owner: String,
    /// The class, where said.
    pub class: Option<Class>,
    /// Whether it is spam, where said.
    pub spam: Option<bool>,
    /// When it was decided.
    pub at: Timestamp,
    /// The offset of the decision on `decisions`: the order of decisions, across owners.
    pub decided: Offset,
}

impl LabelRow {
    /// Whether it says nothing any more.
    pub fn is_taken_back(&self) -> bool {
        self.class.is_none() && self.spam.is_none()
    }
}

/// Which labels. Different fields are AND, values of one field OR; an empty list does not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelFilter {
    /// Of these messages.
    pub messages: Vec<MessageKey>,
    /// Giving one of these classes.
    pub classes: Vec<Class>,
    /// In these chats.
    pub chats: Vec<ChatId>,
    /// Of these owners.
    pub owners: Vec<String>,
    /// What the caller's key may see; `None` = all chats.
    pub visible_chats: Option<Vec<ChatId>>,
}

impl LabelFilter {
    /// Whether `label` passes, and says anything at all.
    pub fn matches(&self, label: &LabelRow) -> bool {
        fn any<T: PartialEq>(wanted: &[T], found: &T) -> bool {
            wanted.is_empty() || wanted.contains(found)
        }
        let class_ok = self.classes.is_empty()
            || label
                .class
                .is_some_and(|class| self.classes.contains(&class));
        !label.is_taken_back()
            && class_ok
            && any(&self.messages, &label.message)
            && any(&self.chats, &label.message.chat)
            && any(&self.owners, &label.owner)
            && self
                .visible_chats
                .as_ref()
                .is_none_or(|chats| chats.contains(&label.message.chat))
    }
}

/// What counts of one version of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// The message.
    pub message: MessageKey,
    /// Its version.
    pub edit: i64,
    /// What is said of it; `None` where everything was taken back.
    pub label: Option<Label>,
    /// The latest decision about it, one that took something back too: what was worked out from an earlier one is stale.
    pub decided: Offset,
}

/// What analysts say of a version, taken together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The class, where anybody gave one.
    pub class: Option<Class>,
    /// Whether it is spam, where anybody said.
    pub spam: Option<bool>,
    /// Whose word that is; of several owners', the latest.
    pub by: String,
    /// When that was said.
    pub at: Timestamp,
}

/// Takes the labels of each version together: of the owners who gave a class the latest counts, and of those who said
/// whether it is spam the latest, so that who speaks of one does not silence another on the other. By version.
pub fn in_force(labels: impl IntoIterator<Item = LabelRow>) -> Vec<InForce> {
    let mut versions: BTreeMap<(MessageKey, i64), Vec<LabelRow>> = BTreeMap::new();
    for label in labels {
        let version = (label.message, label.edit);
        versions.entry(version).or_default().push(label);
    }
    let in_force = versions.into_iter().map(|((message, edit), mut labels)| {
        labels.sort_by_key(|l| std::cmp::Reverse(l.decided));
        InForce {
            message,
            edit,
            decided: labels.first().map_or(Offset::ZERO, |l| l.decided),
            label: together(&labels),
        }
    });
    in_force.collect()
}

/// `labels` of one version, latest first.
fn together(labels: &[LabelRow]) -> Option<Label> {
    let class = labels.iter().find(|l| l.class.is_some());
    let spam = labels.iter().find(|l| l.spam.is_some());
    let latest = class.into_iter().chain(spam).max_by_key(|l| l.decided)?;
    Some(Label {
        class: class.and_then(|l| l.class),
        spam: spam.and_then(|l| l.spam),
        by: latest.owner.clone(),
        at: latest.at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(owner: &str, class: Option<Class>, spam: Option<bool>, decided: u64) -> LabelRow {
        LabelRow {
            message: MessageKey {
                chat: ChatId(7),
                message_id: 1,
            },
            edit: 0,
            owner: owner.to_owned(),
            class,
            spam,
            at: Timestamp::UNIX_EPOCH,
            decided: Offset(decided),
        }
    }

    fn only(labels: Vec<LabelRow>) -> InForce {
        let mut found = in_force(labels);
        assert_eq!(found.len(), 1);
        found.remove(0)
    }

    #[test]
    fn of_several_owners_the_latest_counts_for_what_it_speaks_of() {
        let found = only(vec![
            label("b", None, Some(true), 5),
            label("a", Some(Class::Signal), Some(false), 3),
            label("c", Some(Class::Noise), None, 1),
        ]);
        assert_eq!(found.decided, Offset(5));
        let label = found.label.expect("two owners say something");
        assert_eq!(
            (label.class, label.spam, label.by.as_str()),
            (Some(Class::Signal), Some(true), "b")
        );
    }

    #[test]
    fn what_is_taken_back_leaves_the_others_words_in_force() {
        let found = only(vec![
            label("a", Some(Class::Noise), None, 3),
            label("b", None, None, 9),
        ]);
        assert_eq!(found.decided, Offset(9), "later than what it left");
        assert_eq!(found.label.map(|l| l.by), Some("a".to_owned()));
        assert_eq!(only(vec![label("b", None, None, 9)]).label, None);
    }

    #[test]
    fn each_version_has_labels_of_its_own() {
        let mut edited = label("a", Some(Class::Noise), None, 3);
        edited.edit = 50;
        let found = in_force(vec![edited, label("a", Some(Class::Signal), None, 1)]);
        let edits: Vec<i64> = found.iter().map(|f| f.edit).collect();
        assert_eq!(edits, [0, 50]);
    }
}
