//! Replays that go as far as they are told to: each look at one lets it go on by half of its range.

use std::sync::Mutex;

use async_trait::async_trait;
use telesift_ports::{
    Clock, Replays,
    generations::Register,
    memory::ManualClock,
    replays::{
        FactorChange, GenerationStatus, Label, Order, ReplayError, ReplayProgress, ReplayRange,
        ReplayRequest, ReplaySpec, ReplayState, ReplayStatus, RuleFault, RuleText, RulesChoice,
        Sample, StagePosition, Twin, Verdict,
    },
};
use telesift_schemas::{Class, Generation, Offset, Origin, PartitionId, Topic, TopicPartition};

/// Takes three unfinished replays; knows `default`, and any rule set that does not hold the word `broken`.
#[derive(Default)]
pub(crate) struct FakeReplays(Mutex<Vec<ReplayStatus>>);

#[async_trait]
impl Replays for FakeReplays {
    async fn start(&self, request: ReplayRequest) -> Result<ReplayStatus, ReplayError> {
        let rules = request.rules.as_ref().map(|rules| version("rules", rules));
        let rules = rules.transpose()?.unwrap_or_default();
        let base = request.base.as_ref().map(|base| version("base", base));
        let mut replays = self.0.lock().unwrap();
        let n_unfinished = replays.iter().filter(|r| !r.state.is_over()).count();
        if n_unfinished >= 3 {
            return Err(ReplayError::QueueFull(n_unfinished));
        }
        let ranges = vec![ReplayRange {
            partition: PartitionId(1),
            from: Offset(10),
            to: Offset(30),
        }];
        let replay = ReplayStatus {
            id: format!("replay-{:03}", replays.len()),
            progress: ReplayProgress::at_start(&ranges),
            spec: ReplaySpec {
                stage: request.stage,
                dry_run: request.dry_run,
                from: request.from.to_string(),
                to: request.to.to_string(),
                input: Topic::TELEGRAM_RAW,
                ranges,
                rules,
                base: base.transpose()?.unwrap_or_else(|| "active@1+0".to_owned()),
                rules_kept: None,
                screens: Vec::new(),
                reassign: request.reassign,
                model: None,
                base_generation: None,
            },
            state: ReplayState::Queued,
            error: None,
            created_at: ManualClock::default().now(),
            started_at: None,
            ended_at: None,
        };
        replays.push(replay.clone());
        Ok(replay)
    }

    async fn status(&self, id: &str) -> Result<Option<ReplayStatus>, ReplayError> {
        let mut replays = self.0.lock().unwrap();
        let Some(replay) = replays.iter_mut().find(|r| r.id == id) else {
            return Ok(None);
        };
        match replay.state {
            ReplayState::Queued => replay.state = ReplayState::Running,
            ReplayState::Running => {
                replay.progress = progress();
                replay.state = ReplayState::Done;
            }
            _ => {}
        }
        Ok(Some(replay.clone()))
    }

    async fn list(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ReplayStatus>, ReplayError> {
        let replays = self.0.lock().unwrap();
        let newest_first = replays.iter().rev();
        let rest = newest_first.skip_while(|r| after.is_some_and(|a| r.id.as_str() >= a));
        Ok(rest.take(limit).cloned().collect())
    }

    async fn steer(&self, id: &str, order: Order) -> Result<Option<ReplayStatus>, ReplayError> {
        let mut replays = self.0.lock().unwrap();
        let Some(replay) = replays.iter_mut().find(|r| r.id == id) else {
            return Ok(None);
        };
        if replay.state.is_over() {
            return Err(ReplayError::State(replay.state));
        }
        replay.state = match order {
            Order::Pause => ReplayState::Paused,
            Order::Resume => ReplayState::Queued,
            Order::Cancel => ReplayState::Cancelled,
        };
        Ok(Some(replay.clone()))
    }

    async fn switch(&self, id: &str) -> Result<Option<ReplayStatus>, ReplayError> {
        let replays = self.0.lock().unwrap();
        match replays.iter().find(|r| r.id == id) {
            Some(r) if r.spec.dry_run => Err(ReplayError::NoGeneration(
                "a dry run writes nothing that could be switched to",
            )),
            found => Ok(found.cloned()),
        }
    }

    async fn switch_back(&self, id: &str) -> Result<Option<ReplayStatus>, ReplayError> {
        self.switch(id).await
    }

    /// The first one, live, and its screen 3 records behind.
    async fn generations(&self) -> Result<Vec<GenerationStatus>, ReplayError> {
        let entry = Register::first().all.remove(0);
        Ok(vec![GenerationStatus {
            model: Some("hash@1/256".to_owned()),
            entry,
            is_live: true,
            stages: vec![StagePosition {
                stage: "screen".to_owned(),
                input: TopicPartition::new(Topic::TELEGRAM_RAW, PartitionId(1)),
                next: Offset(7),
                end: Offset(10),
            }],
        }])
    }

    async fn retire(&self, generation: Generation) -> Result<bool, ReplayError> {
        match generation {
            Generation::FIRST => Err(ReplayError::Generation {
                generation: 1,
                reason: "is the live one: switch to another first".to_owned(),
            }),
            Generation(n) => Ok(n == 2),
        }
    }
}

fn version(field: &'static str, choice: &RulesChoice) -> Result<String, ReplayError> {
    match choice {
        RulesChoice::Named(name) if name == "default" => Ok("default@1+0".to_owned()),
        RulesChoice::Named(name) => Err(ReplayError::UnknownRules {
            field,
            name: name.clone(),
        }),
        RulesChoice::Inline(RuleText::Toml(text) | RuleText::Json(text)) => {
            let line = text.lines().position(|line| line.contains("broken"));
            match line {
                None => Ok("inline@2+1".to_owned()),
                Some(line) => Err(ReplayError::Rules {
                    field,
                    fault: RuleFault {
                        line: Some(line + 1),
                        reason: "there is no factor `broken`".to_owned(),
                    },
                }),
            }
        }
    }
}

/// Through the whole range: one message became a signal, one label knew it.
fn progress() -> ReplayProgress {
    let verdict = |class, score| Verdict {
        class,
        score,
        spam: false,
    };
    let verdicts = Twin {
        base: verdict(Class::Noise, 0.25),
        new: verdict(Class::Signal, 0.75),
    };
    let sample = Sample {
        message: "-1001234567890:42".parse().unwrap(),
        edit: 0,
        origin: Origin {
            topic: Topic::TELEGRAM_RAW,
            partition: PartitionId(1),
            offset: Offset(17),
        },
        base: verdicts.base,
        new: verdicts.new,
        factors: vec![FactorChange {
            name: "incident".to_owned(),
            base: 0.0,
            new: 1.5,
        }],
    };
    let mut progress = ReplayProgress {
        next: vec![Offset(30)],
        ..ReplayProgress::default()
    };
    let result = &mut progress.result;
    result.ledger.skip("no_message", 1);
    result.ledger.received += 19;
    result.ledger.judged += 19;
    result.identical = 18;
    result.diff.insert("noise->signal".to_owned(), 1);
    result.cost.new.add("сервер впав");
    let label = Label {
        class: Some(Class::Signal),
        spam: None,
    };
    result.labels.add(label, verdicts);
    progress
        .samples
        .insert("noise->signal".to_owned(), vec![sample]);
    progress
}
