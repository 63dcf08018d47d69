//! What can go wrong with rule sets, as problems.

use telesift_ports::rules::RulesError;

use super::{Code, Problem};

impl From<RulesError> for Problem {
    fn from(error: RulesError) -> Self {
        use RulesError as E;
        let words = error.to_string();
        match error {
            E::Invalid(invalid) => Problem::new(Code::InvalidRules, words)
                .with("line", invalid.line)
                .with("reason", invalid.reason),
            E::Refused { version, reason } => Problem::new(Code::InvalidRules, words)
                .with("line", None::<usize>)
                .with("reason", reason)
                .with("rules", version),
            E::Unknown(asked) => Problem::not_found("rules", asked),
            E::Ambiguous { versions, .. } => {
                Problem::invalid("version", words).with("valid", versions)
            }
            E::AlreadyScreened {
                partition,
                from,
                screened,
            } => Problem::new(
                Code::AlreadyScreened,
                format!(
                    "{words}; `unscreened` is the earliest, and a replay of `screen` judges again what was screened"
                ),
            )
            .with("partition", partition.0)
            .with("from", from.0)
            .with("screened", screened.0),
            E::Busy => Problem::new(Code::Unavailable, words).retry_after(5),
            E::Log(error) => error.into(),
            E::Catalog(error) => error.into(),
            E::Unreadable { .. } | E::Internal(_) => Problem::internal(words),
        }
    }
}
