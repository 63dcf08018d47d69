//! Which rules hold where: a pure function of the decisions, so that a restart and a rebuild agree with the first run.

use telesift_ports::{
    RuleReader,
    rules::{Activation, InvalidRules, Made, RuleSet, RuleSource, RulesError, RulesInfo},
};
use telesift_schemas::{Decision, DecisionKind, Offset, PartitionId};

use crate::decisions::of_kinds;

/// Sets and activations, in the order they were decided.
pub(super) struct Timeline {
    shipped: RuleSet,
    sets: Vec<RulesInfo>,
    activations: Vec<Activation>,
}

/// A stretch of a partition that one rule set screens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The set.
    pub rules: RulesInfo,
    /// The first offset after the stretch, where it has an end.
    pub until: Option<Offset>,
}

/// The kinds of decisions that are about rules.
pub(super) const KINDS: [&str; 2] = ["rules_added", "rules_activated"];

/// Whether a record is a decision at all, of whatever kind.
pub(super) fn is_decision(value: &[u8]) -> bool {
    of_kinds(value, &[]).is_ok()
}

/// The rules decision in a record of `decisions`; `None` for decisions of other kinds, known here or not.
///
/// # Errors
/// When it is one, and cannot be read.
pub(super) fn read(value: &[u8]) -> serde_json::Result<Option<Decision>> {
    of_kinds(value, &KINDS)
}

impl Timeline {
    /// The shipped rules, from offset 0 of every partition.
    pub(super) fn new(shipped: RuleSet) -> Self {
        Timeline {
            shipped,
            sets: Vec::new(),
            activations: Vec::new(),
        }
    }

    /// Adds what was decided at `offset`. A set that `reader` cannot read is known all the same, with the reason.
    ///
    /// # Errors
    /// When the decision makes no sense.
    pub(super) fn apply(
        &mut self,
        offset: Offset,
        decision: Decision,
        reader: &dyn RuleReader,
    ) -> Result<(), String> {
        let made = |note| Made {
            decision: offset,
            at: decision.at,
            by: decision.by.clone(),
            note,
        };
        match decision.decision {
            DecisionKind::RulesAdded {
                rules, data, note, ..
            } if self.exact(&rules).is_none() => {
                let now = reader.read(RuleSource::Json(&data)).map(|set| set.version);
                self.sets.push(RulesInfo {
                    version: rules,
                    now,
                    shipped: false,
                    added: Some(made(note)),
                });
            }
            DecisionKind::RulesActivated {
                rules,
                from,
                shipped,
                note,
            } => {
                let mut from =
                    DecisionKind::read_positions(&from).ok_or("`from` holds no positions")?;
                from.sort_unstable();
                self.activations.push(Activation {
                    version: rules,
                    shipped,
                    from,
                    made: made(note),
                });
            }
            _ => {}
        }
        Ok(())
    }

    /// The rules that hold at `offset`, and where they end.
    pub(super) fn section(&self, partition: PartitionId, offset: Offset) -> Section {
        let here = self.activation_at(partition, offset);
        let mut changes: Vec<Offset> = self
            .activations
            .iter()
            .filter_map(|activation| start_of(activation, partition))
            .filter(|from| *from > offset)
            .collect();
        changes.sort_unstable();
        let rules = self.info_of(here);
        let until = changes.into_iter().find(|&change| {
            self.info_of(self.activation_at(partition, change)).version != rules.version
        });
        Section { rules, until }
    }

    /// The last activation, in the order of decisions, that begins at or before `offset`: whoever decided later meant
    /// everything from there on.
    fn activation_at(&self, partition: PartitionId, offset: Offset) -> Option<&Activation> {
        let mut newest_first = self.activations.iter().rev();
        newest_first.find(|a| start_of(a, partition).is_some_and(|from| from <= offset))
    }

    fn info_of(&self, activation: Option<&Activation>) -> RulesInfo {
        match activation {
            Some(a) if !a.shipped => self.exact(&a.version).cloned().unwrap_or_else(|| {
                let reason = "no decision added it";
                RulesInfo {
                    version: a.version.clone(),
                    now: Err(InvalidRules {
                        line: None,
                        reason: reason.to_owned(),
                    }),
                    shipped: false,
                    added: Some(a.made.clone()),
                }
            }),
            _ => self.shipped(),
        }
    }

    /// The set of that identity, or the one that ships now.
    pub(super) fn named(&self, identity: &str, shipped: bool) -> RulesInfo {
        if shipped {
            return self.shipped();
        }
        self.exact(identity).cloned().unwrap_or_else(|| RulesInfo {
            version: identity.to_owned(),
            now: Err(InvalidRules {
                line: None,
                reason: "no decision added it".to_owned(),
            }),
            shipped: false,
            added: None,
        })
    }

    /// The last decision.
    pub(super) fn last_activation(&self) -> Option<&Activation> {
        self.activations.last()
    }

    pub(super) fn shipped(&self) -> RulesInfo {
        RulesInfo {
            version: self.shipped.version.clone(),
            now: Ok(self.shipped.version.clone()),
            shipped: true,
            added: None,
        }
    }

    /// The added set of that identity.
    pub(super) fn exact(&self, version: &str) -> Option<&RulesInfo> {
        self.sets.iter().find(|set| set.version == version)
    }

    /// The set whose messages carry `version`: as this build computes it, or as the build that added it did.
    pub(super) fn screened_by(&self, version: &str) -> Option<RulesInfo> {
        if self.shipped.version == version {
            return Some(self.shipped());
        }
        let found = self
            .sets
            .iter()
            .find(|set| set.version == version || set.now.as_ref().is_ok_and(|now| now == version));
        found.cloned()
    }

    /// The one set that `asked` names, whole or by its beginning.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub(super) fn find(&self, asked: &str) -> Result<RulesInfo, RulesError> {
        if let Some(info) = self.screened_by(asked) {
            return Ok(info);
        }
        let is_asked = |version: &str| {
            let name = version.split('@').next();
            let numbered = version.split('+').next();
            name == Some(asked) || numbered == Some(asked)
        };
        let mut fitting: Vec<RulesInfo> = self.sets.to_vec();
        fitting.push(self.shipped());
        fitting.retain(|set| is_asked(&set.version));
        match fitting.len() {
            0 => Err(RulesError::Unknown(asked.to_owned())),
            1 => Ok(fitting.remove(0)),
            _ => Err(RulesError::Ambiguous {
                asked: asked.to_owned(),
                versions: fitting.into_iter().map(|set| set.version).collect(),
            }),
        }
    }
}

fn start_of(activation: &Activation, partition: PartitionId) -> Option<Offset> {
    let found = activation.from.iter().find(|(p, _)| *p == partition);
    found.map(|(_, offset)| *offset)
}

#[cfg(test)]
mod tests {
    use telesift_ports::memory::MemoryRules;
    use telesift_schemas::Timestamp;

    use super::*;

    fn decided(timeline: &mut Timeline, offset: u64, decision: DecisionKind) {
        let decision = Decision {
            v: Decision::VERSION,
            at: Timestamp::UNIX_EPOCH,
            by: "k".into(),
            decision,
        };
        let reader = MemoryRules::default();
        timeline.apply(Offset(offset), decision, &reader).unwrap();
    }

    /// Sets `a`, `b`, `c`, and activations of them from offsets of partition 0.
    fn timeline(activations: &[(&str, u64)]) -> Timeline {
        let mut timeline = Timeline::new(MemoryRules::default().shipped());
        for (name, offset) in [("a", 0), ("b", 1), ("c", 2)] {
            let data = format!(r#"{{"name":"{name}","version":1}}"#);
            let added = DecisionKind::RulesAdded {
                rules: format!("{name}@1+0"),
                data,
                source: String::new(),
                note: None,
            };
            decided(&mut timeline, offset, added);
        }
        for ((name, from), offset) in activations.iter().zip(3..) {
            let activated = DecisionKind::RulesActivated {
                rules: format!("{name}@1+0"),
                from: vec![format!("0:{from}")],
                shipped: *name == "default",
                note: None,
            };
            decided(&mut timeline, offset, activated);
        }
        timeline
    }

    fn names(timeline: &Timeline, offsets: std::ops::Range<u64>) -> String {
        offsets
            .map(|o| {
                let section = timeline.section(PartitionId(0), Offset(o));
                section.rules.version[..1].to_owned()
            })
            .collect()
    }

    #[test]
    fn the_shipped_rules_hold_until_somebody_decides() {
        let timeline = timeline(&[]);
        let section = timeline.section(PartitionId(0), Offset::ZERO);
        assert!(section.rules.shipped && section.until.is_none());
    }

    #[test]
    fn the_last_decision_that_begins_before_an_offset_holds_there() {
        let timeline = timeline(&[("a", 2), ("b", 6), ("c", 4), ("default", 7)]);
        // `c` was decided after `b`, so it holds from 4 on, beyond 6 too.
        assert_eq!(names(&timeline, 0..9), "ddaacccdd");
        let until = |offset| timeline.section(PartitionId(0), Offset(offset)).until;
        assert_eq!(until(0), Some(Offset(2)));
        assert_eq!(until(3), Some(Offset(4)));
        assert_eq!(until(4), Some(Offset(7)));
        assert_eq!(until(7), None);
        let elsewhere = timeline.section(PartitionId(1), Offset(5));
        assert!(elsewhere.rules.shipped, "partition 1 is not named");
    }

    #[test]
    fn a_change_to_the_same_rules_is_no_change() {
        let timeline = timeline(&[("a", 2), ("a", 5)]);
        assert_eq!(timeline.section(PartitionId(0), Offset(3)).until, None);
    }

    #[test]
    fn a_set_is_found_by_what_names_it_alone() {
        let mut timeline = timeline(&[]);
        let found = |timeline: &Timeline, asked: &str| timeline.find(asked).map(|i| i.version);
        let now = timeline.sets[0].now.clone().unwrap();
        for asked in ["a", "a@1", "a@1+0", &now] {
            assert_eq!(found(&timeline, asked).unwrap(), "a@1+0", "{asked}");
        }
        assert!(timeline.find("default").unwrap().shipped);
        assert!(matches!(timeline.find("a@"), Err(RulesError::Unknown(_))));
        let added = DecisionKind::RulesAdded {
            rules: "a@2+0".into(),
            data: r#"{"name":"a","version":2}"#.into(),
            source: String::new(),
            note: None,
        };
        decided(&mut timeline, 9, added);
        assert!(matches!(
            timeline.find("a"),
            Err(RulesError::Ambiguous { .. })
        ));
        assert_eq!(found(&timeline, "a@2").unwrap(), "a@2+0");
    }

    #[test]
    fn decisions_of_other_kinds_are_nothing_to_rules() {
        assert!(
            read(br#"{"decision":"of_tomorrow","x":1}"#)
                .unwrap()
                .is_none()
        );
        assert!(read(br#"{"decision":"rules_added"}"#).is_err());
        assert!(read(b"no json").is_err());
        assert!(is_decision(br#"{"decision":"rules_added"}"#));
        assert!(!is_decision(b"no json") && !is_decision(b"{}"));
    }
}
