//! Raw records in, what both rule sets say of each out: two chains on a blocking thread, under the watchdog.

use std::{borrow::Cow, time::Duration};

use serde::Deserialize;
use telesift_ports::{
    SmartModuleChain,
    chain::{ChainError, ChainInput, ChainOutcome},
    record_log::StoredRecord,
    replays::Twin,
};
use telesift_schemas::{DeadLetterCode, MessageKey, Offset, Origin, Screen};

use super::RuleChains;

/// What became of one record.
#[derive(Debug)]
pub(super) enum Judgement {
    /// A message, judged twice.
    Message(Box<Judged>),
    /// No message, for this reason.
    Skipped(String),
    /// One of the chains failed on it.
    Failed(DeadLetterCode),
}

/// A message version under both rule sets.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) key: MessageKey,
    pub(super) edit: i64,
    pub(super) text: String,
    pub(super) screens: Twin<Screen>,
}

/// Why a batch was not judged.
#[derive(Debug)]
pub(super) enum Fault {
    /// A chain cannot run.
    Chain(ChainError),
    /// A module did not return; its thread is lost.
    Hung,
}

/// A chain per set compared with, and that of the new rules; without one, each set is compared with itself.
struct Chains {
    base: Vec<Box<dyn SmartModuleChain>>,
    new: Option<Box<dyn SmartModuleChain>>,
}

/// The chains; gone once one of them is lost.
pub(super) struct Judges(Option<Chains>);

impl Judges {
    /// Builds the chains of the sets `base` and of `new`, if given, all JSON. Compiling takes its time on a busy machine, so this is
    /// not under the watchdog.
    pub(super) async fn new(
        chains: RuleChains,
        base: Vec<String>,
        new: Option<String>,
    ) -> Result<Self, ChainError> {
        let build = move || {
            let base = base
                .iter()
                .map(|json| chains(json))
                .collect::<Result<_, _>>()?;
            let new = new.map(|json| chains(&json)).transpose()?;
            Ok(Judges(Some(Chains { base, new })))
        };
        tokio::task::spawn_blocking(build).await.map_err(panicked)?
    }

    /// One judgement per record, in order, compared with the set at index `base`.
    pub(super) async fn judge(
        &mut self,
        base: usize,
        records: &[StoredRecord],
        watchdog: Duration,
    ) -> Result<Vec<Judgement>, Fault> {
        let lost = || Fault::Chain(ChainError("the chains were lost before".to_owned()));
        let mut chains = self.0.take().ok_or_else(lost)?;
        let inputs: Vec<ChainInput> = records.iter().map(input).collect();
        let work = tokio::task::spawn_blocking(move || {
            let unknown = || ChainError(format!("there is no set {base}"));
            let chain = chains.base.get_mut(base).ok_or_else(unknown)?;
            let base = chain.process(&inputs)?;
            let new = chains.new.as_mut().unwrap_or(chain).process(&inputs)?;
            let judgements = base.into_iter().zip(new);
            let judgements = judgements.map(|(base, new)| judgement(base, new)).collect();
            Ok::<_, ChainError>((chains, judgements))
        });
        let done = tokio::time::timeout(watchdog, work)
            .await
            .map_err(|_| Fault::Hung)?;
        let (chains, judgements) = done.map_err(panicked).flatten().map_err(Fault::Chain)?;
        self.0 = Some(chains);
        Ok(judgements)
    }
}

fn panicked(panic: tokio::task::JoinError) -> ChainError {
    ChainError(format!("the engine panicked: {panic}"))
}

fn input(record: &StoredRecord) -> ChainInput {
    ChainInput {
        offset: record.offset,
        key: record.key.clone(),
        value: record.value.clone(),
    }
}

/// A value that left a chain, as far as a comparison must know it.
#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow, default)]
    skip: Option<Cow<'a, str>>,
    #[serde(default)]
    fail: Option<FailHead>,
    #[serde(default)]
    reacted: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    id: Option<MessageKey>,
    #[serde(default)]
    edit: Option<i64>,
    #[serde(borrow, default)]
    text: Cow<'a, str>,
    #[serde(default)]
    screen: Option<Screen>,
}

#[derive(Deserialize)]
struct FailHead {
    code: DeadLetterCode,
}

/// A record fails or is skipped if it does so under either rule set: a comparison needs both.
fn judgement(base: ChainOutcome, new: ChainOutcome) -> Judgement {
    match (read(base), read(new)) {
        (Judgement::Message(base), Judgement::Message(new)) => {
            Judgement::Message(Box::new(Judged {
                screens: Twin {
                    base: base.screens.base,
                    new: new.screens.new,
                },
                ..*base
            }))
        }
        (Judgement::Message(_), other) | (other @ Judgement::Skipped(_), Judgement::Message(_)) => {
            other
        }
        (Judgement::Skipped(_), failed @ Judgement::Failed(_)) => failed,
        (other, _) => other,
    }
}

/// A message as a generation holds it, with the offset of its raw record, as if both rule sets had judged it so. `None` for what
/// is no message.
pub(super) fn stored(value: &[u8]) -> Option<(Offset, Judged)> {
    #[derive(Deserialize)]
    struct Came {
        origin: Origin,
    }
    let came: Came = serde_json::from_slice(value).ok()?;
    let value = ChainOutcome::Value(value.to_vec().into());
    match read(value) {
        Judgement::Message(judged) => Some((came.origin.offset, *judged)),
        Judgement::Skipped(_) | Judgement::Failed(_) => None,
    }
}

/// One chain's word, as if both had said it.
fn read(outcome: ChainOutcome) -> Judgement {
    let value = match outcome {
        ChainOutcome::Filtered => return Judgement::Skipped("filtered".to_owned()),
        ChainOutcome::Failed { code, .. } => return Judgement::Failed(code),
        ChainOutcome::Value(value) => value,
    };
    match serde_json::from_slice::<Output<'_>>(&value) {
        Ok(Output {
            skip: Some(reason), ..
        }) => Judgement::Skipped(reason.into_owned()),
        Ok(Output {
            fail: Some(fail), ..
        }) => Judgement::Failed(fail.code),
        // No rules judge reactions.
        Ok(Output {
            reacted: Some(_), ..
        }) => Judgement::Skipped("reactions".to_owned()),
        Ok(Output {
            id: Some(key),
            edit: Some(edit),
            screen: Some(screen),
            text,
            ..
        }) => Judgement::Message(Box::new(Judged {
            key,
            edit,
            text: text.into_owned(),
            screens: Twin {
                base: screen.clone(),
                new: screen,
            },
        })),
        Ok(_) | Err(_) => Judgement::Failed(DeadLetterCode::GuestOutput),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> ChainOutcome {
        ChainOutcome::Value(text.to_owned().into())
    }

    #[test]
    fn a_comparison_needs_both_judgements() {
        let message = || {
            value(
                r#"{"id":"7:1","edit":0,"text":"a","screen":{"class":"noise","score":0.1,"factors":{},"flags":[],"rules":"r"}}"#,
            )
        };
        let skip = || value(r#"{"skip":"no_message"}"#);
        let trap = || ChainOutcome::Failed {
            module: "m".into(),
            code: DeadLetterCode::GuestTrap,
            message: String::new(),
        };
        assert!(matches!(
            judgement(message(), message()),
            Judgement::Message(_)
        ));
        for (base, new) in [(message(), trap()), (trap(), message()), (skip(), trap())] {
            assert!(matches!(
                judgement(base, new),
                Judgement::Failed(DeadLetterCode::GuestTrap)
            ));
        }
        for (base, new) in [(message(), skip()), (skip(), message()), (skip(), skip())] {
            assert!(matches!(judgement(base, new), Judgement::Skipped(r) if r == "no_message"));
        }
        assert!(matches!(
            judgement(value("{}"), message()),
            Judgement::Failed(DeadLetterCode::GuestOutput)
        ));
    }
}
