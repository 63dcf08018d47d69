//! SmartModule noise-filter: passes messages by class and score.

use serde::{Deserialize, de::IgnoredAny};
use telesift_schemas::Class;

#[cfg(target_arch = "wasm32")]
mod guest;

/// Which messages pass.
#[derive(Clone, Debug, PartialEq)]
pub struct NoiseFilter {
    /// By [`Class`], ascending.
    classes: [bool; 3],
    min_score: f64,
}

impl Default for NoiseFilter {
    /// Everything but noise.
    fn default() -> Self {
        NoiseFilter {
            classes: [false, true, true],
            min_score: 0.0,
        }
    }
}

/// A parameter that says nothing usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamError {
    /// Not a class.
    #[error("param `class`: `{0}` is none of noise, weak_signal, signal")]
    Class(String),
    /// Not a score.
    #[error("param `min_score`: `{0}` is no number from 0 to 1")]
    MinScore(String),
}

impl NoiseFilter {
    /// The filter that the params `class` and `min_score` ask for; a param left out keeps its default.
    ///
    /// One class means it and all above it; several, with commas between, mean exactly these.
    ///
    /// # Errors
    /// When a class is unknown or the score is no number from 0 to 1.
    pub fn from_params(class: Option<&str>, min_score: Option<&str>) -> Result<Self, ParamError> {
        let mut filter = NoiseFilter::default();
        if let Some(list) = class {
            let classes = list
                .split(',')
                .map(|name| parse_class(name.trim()))
                .collect::<Result<Vec<Class>, _>>()?;
            filter.classes = Class::ALL.map(|class| match classes.as_slice() {
                [minimum] => class >= *minimum,
                several => several.contains(&class),
            });
        }
        if let Some(text) = min_score {
            filter.min_score = text
                .trim()
                .parse()
                .ok()
                .filter(|score| (0.0..=1.0).contains(score))
                .ok_or_else(|| ParamError::MinScore(text.to_owned()))?;
        }
        Ok(filter)
    }

    /// Whether the record with this value passes. What is no screened message passes too: a filter for noise must not
    /// lose what it cannot judge. A marker between messages says nothing to a reader and stays out.
    pub fn passes(&self, value: &[u8]) -> bool {
        match serde_json::from_slice::<Judged>(value) {
            Ok(Judged {
                screen: Some(screen),
                ..
            }) => self.classes[screen.class as usize] && screen.score >= self.min_score,
            Ok(Judged { marker, .. }) => marker.is_none(),
            Err(_) => true,
        }
    }
}

fn parse_class(name: &str) -> Result<Class, ParamError> {
    Class::ALL
        .into_iter()
        .find(|class| class.as_str() == name)
        .ok_or_else(|| ParamError::Class(name.to_owned()))
}

/// All of a message that counts here.
#[derive(Deserialize)]
struct Judged {
    #[serde(default)]
    screen: Option<Verdict>,
    #[serde(default)]
    marker: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Verdict {
    class: Class,
    score: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(class: &str, score: f64) -> Vec<u8> {
        format!(
            r#"{{"v":1,"text":"…","screen":{{"class":"{class}","score":{score},"factors":{{}}}}}}"#
        )
        .into_bytes()
    }

    fn passing(class: Option<&str>, min_score: Option<&str>) -> Vec<&'static str> {
        let filter = NoiseFilter::from_params(class, min_score).unwrap();
        [("noise", 0.1), ("weak_signal", 0.5), ("signal", 0.9)]
            .into_iter()
            .filter(|(class, score)| filter.passes(&message(class, *score)))
            .map(|(class, _)| class)
            .collect()
    }

    #[test]
    fn noise_stays_out_by_default() {
        assert_eq!(passing(None, None), ["weak_signal", "signal"]);
    }

    #[test]
    fn one_class_is_a_minimum_and_several_are_a_list() {
        assert_eq!(passing(Some("signal"), None), ["signal"]);
        assert_eq!(
            passing(Some("weak_signal"), None),
            ["weak_signal", "signal"]
        );
        assert_eq!(
            passing(Some("noise"), None),
            ["noise", "weak_signal", "signal"]
        );
        assert_eq!(passing(Some("noise, signal"), None), ["noise", "signal"]);
    }

    #[test]
    fn the_score_counts_beside_the_class() {
        assert_eq!(passing(None, Some("0.9")), ["signal"]);
        assert_eq!(
            passing(Some("noise"), Some("0.3")),
            ["weak_signal", "signal"]
        );
    }

    #[test]
    fn markers_between_messages_stay_out() {
        let marker = br#"{"v":1,"marker":"screened","origin":{"topic":"telegram-raw","partition":0,"offset":7}}"#;
        assert!(
            !NoiseFilter::from_params(Some("noise"), None)
                .unwrap()
                .passes(marker)
        );
    }

    #[test]
    fn what_is_no_screened_message_passes() {
        let filter = NoiseFilter::default();
        for value in [
            "",
            "ok",
            "{}",
            r#"{"skip":"no_message"}"#,
            r#"{"v":1,"text":"hi"}"#,
        ] {
            assert!(filter.passes(value.as_bytes()), "{value}");
        }
        assert!(filter.passes(&message("unheard_of", 0.0)));
    }

    #[test]
    fn unusable_params_are_refused_by_name() {
        assert_eq!(
            NoiseFilter::from_params(Some("Signal"), None),
            Err(ParamError::Class("Signal".into()))
        );
        for score in ["", "1.01", "-0.1", "NaN", "high"] {
            assert_eq!(
                NoiseFilter::from_params(None, Some(score)),
                Err(ParamError::MinScore(score.into()))
            );
        }
    }
}
