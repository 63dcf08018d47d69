//! Rule sets read by the code that stands in the guest, so that what is checked here is what screens there.

use std::sync::{Arc, Mutex, PoisonError};

use telesift_ports::rules::{InvalidRules, RuleReader, RuleSet, RuleSource};
use telesift_signal_score::{RuleError, Rules};

/// Sets kept read: a word list is folded and sorted anew each time otherwise.
const MAX_KEPT: usize = 4;

/// Reads the rule sets of `signal-score`.
#[derive(Clone, Copy, Debug, Default)]
pub struct NativeRules;

impl RuleReader for NativeRules {
    fn shipped(&self) -> RuleSet {
        let rules = Rules::default();
        RuleSet {
            shipped: true,
            ..set_of(&rules)
        }
    }

    fn read(&self, source: RuleSource<'_>) -> Result<RuleSet, InvalidRules> {
        let rules = match source {
            RuleSource::Toml(text) => Rules::from_toml(text),
            RuleSource::Json(text) => Rules::from_json(text),
        };
        Ok(set_of(&rules.map_err(invalid)?))
    }

    fn to_toml(&self, data: &str) -> Result<String, InvalidRules> {
        let rules = Rules::from_json(data).map_err(invalid)?;
        let broken = |reason: String| InvalidRules { line: None, reason };
        let value: toml::Table =
            serde_json::from_str(&rules.to_json()).map_err(|e| broken(e.to_string()))?;
        toml::to_string(&value).map_err(|e| broken(e.to_string()))
    }
}

fn set_of(rules: &Rules) -> RuleSet {
    RuleSet {
        version: rules.version().to_owned(),
        data: rules.to_json().into(),
        shipped: false,
    }
}

fn invalid(error: RuleError) -> InvalidRules {
    InvalidRules {
        line: error.line,
        reason: error.reason,
    }
}

/// The rules last asked for, read.
#[derive(Debug, Default)]
pub(crate) struct ReadRules(Mutex<Vec<(RuleSet, Arc<Rules>)>>);

impl ReadRules {
    /// The rules of `set`; `None` if this build cannot read them.
    pub(crate) fn of(&self, set: &RuleSet) -> Option<Arc<Rules>> {
        // A panic leaves at worst a set less.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().position(|(of, _)| of == set);
        let entry = match found {
            Some(at) => kept.remove(at),
            None => {
                let rules = match set.shipped {
                    true => Rules::default(),
                    false => Rules::from_json(&set.data).ok()?,
                };
                (set.clone(), Arc::new(rules))
            }
        };
        let rules = entry.1.clone();
        if kept.len() >= MAX_KEPT {
            kept.remove(0);
        }
        kept.push(entry);
        Some(rules)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_read_again_is_the_same_set() {
        let toml = "name = \"ops\"\nversion = 2\n[thresholds]\nsignal = 0.7\n";
        let set = NativeRules.read(RuleSource::Toml(toml)).unwrap();
        assert!(set.version.starts_with("ops@2+"), "{}", set.version);
        assert_eq!(NativeRules.read(RuleSource::Json(&set.data)).unwrap(), set);
        let written = NativeRules.to_toml(&set.data).unwrap();
        assert_eq!(NativeRules.read(RuleSource::Toml(&written)).unwrap(), set);
    }

    #[test]
    fn the_shipped_set_in_toml_is_the_shipped_set() {
        let shipped = NativeRules.shipped();
        let toml = NativeRules.to_toml(&shipped.data).unwrap();
        let read = NativeRules.read(RuleSource::Toml(&toml)).unwrap();
        assert_eq!((read.version, read.data), (shipped.version, shipped.data));
    }

    #[test]
    fn an_invalid_set_is_refused_with_its_line() {
        let toml = "name = \"ops\"\nversion = 2\n[thresholds]\nsignal = 7\n";
        let refused = NativeRules.read(RuleSource::Toml(toml)).unwrap_err();
        assert_eq!(refused.line, Some(4));
    }

    #[test]
    fn rules_read_once_are_kept_and_few() {
        let kept = ReadRules::default();
        for version in 1..10 {
            let json = format!(r#"{{"name":"a","version":{version}}}"#);
            let set = NativeRules.read(RuleSource::Json(&json)).unwrap();
            let (one, other) = (kept.of(&set).unwrap(), kept.of(&set).unwrap());
            assert!(Arc::ptr_eq(&one, &other));
            assert_eq!(one.version(), set.version);
        }
        assert_eq!(kept.0.lock().unwrap().len(), MAX_KEPT);
        let unreadable = RuleSet {
            version: "a@1+0".into(),
            data: "[]".into(),
            shipped: false,
        };
        assert!(kept.of(&unreadable).is_none());
    }
}
