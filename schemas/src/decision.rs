//! `decisions`: what humans decided, so that a rebuild by replay decides the same.

use serde::{Deserialize, Serialize};

use crate::{
    ApprovalRule, AtomVerdict, ChatId, Class, Generation, MessageKey, Offset, PartitionId,
    Position, SubjectChange, Timestamp, TopicPartition,
};

/// A record of `decisions`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Decision {
    /// Record version: 1.
    pub v: u32,
    /// When it was made.
    pub at: Timestamp,
    /// The key (by id) whose owner made it.
    pub by: String,
    /// What was decided.
    #[serde(flatten)]
    pub decision: DecisionKind,
}

impl Decision {
    /// Current record version.
    pub const VERSION: u32 = 1;
}

/// The kinds of decisions; more come with the issues that need them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum DecisionKind {
    /// A rule set can be activated from now on. Nothing is screened by it yet.
    RulesAdded {
        /// `name@version+hash`, as computed when it was added: its identity from then on. The hash is over the data and
        /// the code that read it, so a later version of that code may compute another one for the same data.
        rules: String,
        /// The whole set as JSON, byte for byte what the SmartModule takes: a text, so that nobody reads and writes its
        /// numbers again.
        data: String,
        /// What was given, as TOML, comments and all.
        source: String,
        /// Why, in words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// A rules version counts from these positions of `telegram-raw` on: at offset o of a partition holds the last
    /// activation, in the order of this topic, whose position there is not above o.
    RulesActivated {
        /// `name@version+hash`, as in [`DecisionKind::RulesAdded`].
        rules: String,
        /// First raw offset per partition that it screens, as `partition:offset`.
        from: Vec<String>,
        /// Whether these are the rules that ship with the binary, whatever its version: they are nowhere added.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        shipped: bool,
        /// Why, in words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// An analyst labelled a message version. It states the owner's whole label, not what changed of it: the last one of
    /// an owner and version counts, and one that says neither class nor spam takes the label back.
    Labelled {
        /// The message.
        message: MessageKey,
        /// Its edit, as in [`crate::Message::edit`].
        edit: i64,
        /// The class given, where said.
        class: Option<Class>,
        /// Whether it is spam, where said.
        spam: Option<bool>,
        /// Whose label it is, by the name of the key, so that a rotated key of the same name goes on with its labels and
        /// no catalog is needed to tell. Absent: the owner is [`Decision::by`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<String>,
    },
    /// A reader judged an atom, as it stood then. The last word counts.
    AtomReviewed {
        /// The atom.
        atom: String,
        /// What was said of it.
        review: AtomVerdict,
        /// Whose word it is, by the name of the key; of a rule `rule:<name>`.
        owner: String,
    },
    /// A reader changed a subject.
    SubjectChanged {
        /// The subject.
        subject: String,
        /// How.
        change: SubjectChange,
        /// Whose word it is, by the name of the key.
        owner: String,
    },
    /// Which models may read a chat from now on. It states the whole setting; the last one counts.
    ChatSet {
        /// The chat.
        chat: ChatId,
        /// Who may.
        enrich: Enrich,
        /// Whether its texts may go to models of others: said together with [`Enrich::Remote`].
        consent: bool,
        /// Whose word it is, by the name of the key.
        owner: String,
    },
    /// Another generation's readings of conversations count from here on: of each conversation that of the first of these
    /// generations that has one, else what was read for all. Written when the live generation was switched.
    ReadingsSwitched {
        /// The newest first; none: what was read for all.
        readings: Vec<Generation>,
    },
    /// From here on these rules, and no others, approve atoms that are extracted.
    ApprovalRulesSet {
        /// In the order they are asked; the first that matches approves.
        rules: Vec<ApprovalRule>,
        /// Whose word it is, by the name of the key.
        owner: String,
    },
}

/// Which models may read a chat. Of a chat nobody said anything about: [`Enrich::Local`], whatever kind of chat it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Enrich {
    /// None.
    Off,
    /// Those that run here: the built-in rules, or a provider marked local.
    #[default]
    Local,
    /// Any, those of others too.
    Remote,
}

impl Enrich {
    /// All of them.
    pub const ALL: [Enrich; 3] = [Self::Off, Self::Local, Self::Remote];

    /// The name in JSON and in the catalog.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Local => "local",
            Self::Remote => "remote",
        }
    }
}

impl DecisionKind {
    /// The text form of positions in [`DecisionKind::RulesActivated`].
    pub fn positions(from: &[Position]) -> Vec<String> {
        from.iter()
            .map(
                |Position {
                     at: TopicPartition { partition, .. },
                     next,
                 }| format!("{partition}:{next}"),
            )
            .collect()
    }

    /// Reads [`DecisionKind::positions`] back; `None` if one of them is no position.
    pub fn read_positions(from: &[String]) -> Option<Vec<(PartitionId, Offset)>> {
        let read = |text: &String| {
            let (partition, offset) = text.split_once(':')?;
            Some((
                PartitionId(partition.parse().ok()?),
                Offset(offset.parse().ok()?),
            ))
        };
        from.iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Topic;

    #[test]
    fn positions_are_read_back() {
        let at = |partition| TopicPartition::new(Topic::TELEGRAM_RAW, PartitionId(partition));
        let positions = [(0, 12), (3, 0)].map(|(p, next)| Position {
            at: at(p),
            next: Offset(next),
        });
        let text = DecisionKind::positions(&positions);
        assert_eq!(text, ["0:12", "3:0"]);
        let read = DecisionKind::read_positions(&text).unwrap();
        assert_eq!(
            read,
            [(PartitionId(0), Offset(12)), (PartitionId(3), Offset(0))]
        );
        for broken in ["", "1", "1:", ":1", "1:x", "-1:0"] {
            assert!(
                DecisionKind::read_positions(&[broken.to_owned()]).is_none(),
                "{broken}"
            );
        }
    }

    #[test]
    fn an_activation_written_before_there_were_notes_is_read() {
        let text = r#"{"v":1,"at":"2026-01-05T10:00:00Z","by":"k","decision":"rules_activated","rules":"a@1+0","from":["0:7"]}"#;
        let decision: Decision = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&decision).unwrap(), text);
    }
}
