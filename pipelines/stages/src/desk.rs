//! Units on their way to an extractor: which one a chat allows, what was answered before, what the budgets allow.

mod budget;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use telesift_ports::{
    AnswerCache, ChatSettings, Clock, CostLedger, Extractor, Provider, Providers,
    catalog::Result as CatalogResult,
    extractor::{Answers, ExtractError, Extracted, Plan, Unit},
    providers::{
        AskError, Asked, CachedAnswer, CallOutcome, CallRow, Enrich, Estimate, Limits, Reservation,
    },
};
use telesift_schemas::{ChatId, Timestamp, Usage};
use uuid::Uuid;

use crate::telemetry;
use budget::{SetAside, UnderWay};

/// What an [`ExtractDesk`] stands on.
#[derive(Clone)]
pub struct DeskParts {
    /// Reads what no provider is asked about.
    pub rules: Arc<dyn Extractor>,
    /// The providers.
    pub providers: Arc<dyn Providers>,
    /// Which models may read a chat.
    pub settings: Arc<dyn ChatSettings>,
    /// Where calls are written down, and budgets kept.
    pub ledger: Arc<dyn CostLedger>,
    /// Answers that were paid for.
    pub answers: Arc<dyn AnswerCache>,
    /// For days, and what is stamped here.
    pub clock: Arc<dyn Clock>,
    /// What may be spent on one day. Counts for providers that are not local.
    pub limits: Limits,
}

/// The one extractor the flow knows: it gives each unit to whom its chat allows.
///
/// Invariant: no text leaves for a provider that is not local unless the chat's setting says `remote` with consent; that is
/// read anew for every unit.
pub struct ExtractDesk {
    parts: DeskParts,
    /// One turn per input that is asked about now: who asks the same meanwhile finds the answer in the cache.
    turns: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
    /// Who this is to other processes.
    asker: String,
    /// What is set aside for calls under way here.
    under_way: UnderWay,
}

/// How long nobody else asks what this process asks, from the last time it said so: so long lies what one asked that died.
const ASKING: Duration = Duration::from_secs(20);
/// How often it says so again.
const STILL_ASKING: Duration = Duration::from_secs(5);
/// When to look again whether another process has the answer.
const ASKED_ELSEWHERE: Duration = Duration::from_secs(1);

impl ExtractDesk {
    /// A desk over these parts.
    pub fn new(parts: DeskParts) -> Self {
        ExtractDesk {
            parts,
            turns: Mutex::default(),
            asker: Uuid::now_v7().simple().to_string(),
            under_way: UnderWay::default(),
        }
    }

    async fn enrich(&self, chat: ChatId) -> Result<Enrich, ExtractError> {
        let setting = stored(self.parts.settings.chat_setting(chat).await)?;
        Ok(setting.map(|s| s.effective()).unwrap_or_default())
    }

    async fn chosen(&self, enrich: Enrich) -> Result<Option<Arc<dyn Provider>>, ExtractError> {
        let chosen = self.parts.providers.chosen(enrich).await;
        let chosen = chosen.map_err(|e| unavailable("providers", e, None))?;
        // Whoever chooses knows this too; a text that left cannot be called back.
        match chosen {
            Some(provider) if enrich != Enrich::Remote && !provider.is_local() => {
                let reason = "it is not local, and the chat allows no other";
                Err(unavailable(&provider.by().name, reason, None))
            }
            chosen => Ok(chosen),
        }
    }

    /// The answer of `provider`: of the cache, else bought within the budgets.
    async fn answered(
        &self,
        provider: &dyn Provider,
        unit: &Unit,
    ) -> Result<Extracted, ExtractError> {
        let estimate = provider.estimate(unit);
        let turn = self.turn(&estimate.input);
        let _turn = turn.lock().await;
        if let Some(kept) = self.kept(provider, unit, &estimate.input).await? {
            return Ok(kept);
        }
        self.begin_asking(&estimate.input).await?;
        let answered = self.bought(provider, unit, &estimate).await;
        let ended = self.parts.answers.end_asking(&estimate.input, &self.asker);
        warn_of(ended.await, "others wait a moment with what was asked");
        answered
    }

    /// The answer that was paid for before. What an earlier version kept and this one cannot read is asked anew.
    async fn kept(
        &self,
        provider: &dyn Provider,
        unit: &Unit,
        input: &str,
    ) -> Result<Option<Extracted>, ExtractError> {
        let cached = stored(self.parts.answers.answer(input).await)?;
        let claims = cached.and_then(|cached| provider.claims(unit, &cached.answer).ok());
        let Some(claims) = claims else {
            return Ok(None);
        };
        let call = self.call(provider, unit, input, CallOutcome::Cached);
        self.settle(call, None).await;
        Ok(Some(Extracted {
            by: provider.by().clone(),
            input: input.to_owned(),
            claims,
            usage: Usage::default(),
        }))
    }

    /// Asks, unless another process was quicker; what it costs is set aside first and written down afterwards.
    async fn bought(
        &self,
        provider: &dyn Provider,
        unit: &Unit,
        estimate: &Estimate,
    ) -> Result<Extracted, ExtractError> {
        let input = &estimate.input;
        // It may have ended between the look into the cache and the say that this one asks.
        if let Some(kept) = self.kept(provider, unit, input).await? {
            return Ok(kept);
        }
        let aside = self.reserve(provider, unit, estimate.most).await?;
        let started = Instant::now();
        let asked = self.ask(provider, unit, input).await;
        let took = started.elapsed();
        self.book(provider, unit, input, &asked, took, aside).await;
        let usage = asked.usage;
        let answer = asked.answer.map_err(|e| self.sorted(provider, e, usage))?;
        let claims = provider.claims(unit, &answer);
        Ok(Extracted {
            by: provider.by().clone(),
            input: input.clone(),
            claims: claims.map_err(|e| self.sorted(provider, e, usage))?,
            usage,
        })
    }

    /// Says to other processes that this one asks.
    async fn begin_asking(&self, input: &str) -> Result<(), ExtractError> {
        let begun = self.parts.answers.begin_asking(input, &self.asker, ASKING);
        match stored(begun.await)? {
            true => Ok(()),
            false => Err(ExtractError::Held {
                until: later(self.parts.clock.now(), ASKED_ELSEWHERE),
                reason: "another process asks the same".to_owned(),
            }),
        }
    }

    /// Asks, and says so as long as it takes.
    async fn ask(&self, provider: &dyn Provider, unit: &Unit, input: &str) -> Asked {
        let mut asking = std::pin::pin!(provider.ask(unit));
        loop {
            match tokio::time::timeout(STILL_ASKING, &mut asking).await {
                Ok(asked) => return asked,
                Err(_) => {
                    let answers = &self.parts.answers;
                    // Where that fails somebody may ask too: that is better than to give up what is under way.
                    if let Err(error) = answers.begin_asking(input, &self.asker, ASKING).await {
                        tracing::warn!(%error, "others may ask what is being asked");
                    }
                }
            }
        }
    }

    fn turn(&self, input: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(input).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        turns.insert(input.to_owned(), Arc::downgrade(&turn));
        turn
    }

    /// Keeps the answer, then writes the call down. What was paid for is not given up because a table cannot be written:
    /// what is set aside then stays counted.
    async fn book(
        &self,
        provider: &dyn Provider,
        unit: &Unit,
        input: &str,
        asked: &Asked,
        took: Duration,
        aside: Option<SetAside<'_>>,
    ) {
        let reservation = aside.as_ref().map(SetAside::reservation);
        let outcome = match &asked.answer {
            Ok(answer) => {
                self.keep(input, answer).await;
                CallOutcome::Ok
            }
            Err(AskError::Resting { .. }) => {
                if let Some(reservation) = reservation {
                    let released = self.parts.ledger.give_back(reservation).await;
                    warn_of(released, "what was set aside for a call stays counted");
                }
                return;
            }
            Err(AskError::Unavailable { .. }) => CallOutcome::Unavailable,
            Err(AskError::Unusable { .. }) => CallOutcome::Unusable,
            Err(AskError::Refused { .. }) => CallOutcome::Refused,
        };
        let call = CallRow {
            usage: asked.usage,
            is_estimated: asked.is_estimated,
            latency_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            ..self.call(provider, unit, input, outcome)
        };
        self.settle(call, reservation).await;
    }

    async fn keep(&self, input: &str, answer: &str) {
        let answer = CachedAnswer {
            input: input.to_owned(),
            answer: answer.to_owned(),
            at: self.parts.clock.now(),
        };
        let kept = self.parts.answers.keep_answer(&answer).await;
        warn_of(kept, "an answer is not kept for the next time");
    }

    fn call(
        &self,
        provider: &dyn Provider,
        unit: &Unit,
        input: &str,
        outcome: CallOutcome,
    ) -> CallRow {
        CallRow {
            id: Uuid::now_v7().simple().to_string(),
            at: self.parts.clock.now(),
            chat: unit.chat.id,
            unit: unit.id.clone(),
            by: provider.by().clone(),
            input: input.to_owned(),
            outcome,
            usage: Usage::default(),
            is_estimated: false,
            latency_ms: 0,
        }
    }

    async fn settle(&self, call: CallRow, reservation: Option<&Reservation>) {
        telemetry::asked(&call.by.name, call.outcome.as_str(), call.usage.micro_usd);
        let settled = self.parts.ledger.settle(&call, reservation).await;
        warn_of(settled, "a call is not written down");
    }

    fn sorted(&self, provider: &dyn Provider, error: AskError, usage: Usage) -> ExtractError {
        let extractor = provider.by().name.clone();
        match error {
            AskError::Resting { wait } => {
                telemetry::held("provider");
                ExtractError::Held {
                    until: later(self.parts.clock.now(), wait),
                    reason: format!("`{extractor}` rests after repeated failures"),
                }
            }
            AskError::Unavailable {
                reason,
                retry_after,
            } => unavailable(&extractor, reason, retry_after),
            AskError::Unusable { reason } => ExtractError::Unusable {
                extractor,
                reason,
                usage,
            },
            AskError::Refused { reason } => ExtractError::Refused { extractor, reason },
        }
    }
}

#[async_trait]
impl Extractor for ExtractDesk {
    async fn waits_for(&self, chat: ChatId) -> Result<Option<String>, ExtractError> {
        match self.enrich(chat).await? {
            Enrich::Off => Ok(None),
            enrich => Ok(self.chosen(enrich).await?.map(|p| p.by().name.clone())),
        }
    }

    async fn extract(&self, unit: &Unit) -> Result<Extracted, ExtractError> {
        let enrich = self.enrich(unit.chat.id).await?;
        if enrich == Enrich::Off {
            return Err(ExtractError::Off);
        }
        match self.chosen(enrich).await? {
            Some(provider) => self.answered(&*provider, unit).await,
            None => self.parts.rules.extract(unit).await,
        }
    }

    async fn plan(&self, unit: &Unit) -> Result<Plan, ExtractError> {
        let enrich = self.enrich(unit.chat.id).await?;
        if enrich == Enrich::Off {
            return Err(ExtractError::Off);
        }
        let Some(provider) = self.chosen(enrich).await? else {
            return self.parts.rules.plan(unit).await;
        };
        let estimate = provider.estimate(unit);
        let kept = stored(self.parts.answers.answer(&estimate.input).await)?;
        let is_kept = kept.is_some_and(|kept| provider.claims(unit, &kept.answer).is_ok());
        Ok(Plan {
            by: provider.by().clone(),
            from: match is_kept {
                true => Answers::Kept,
                false => Answers::Call(estimate.most),
            },
        })
    }
}

fn later(now: Timestamp, wait: Duration) -> Timestamp {
    // A second more: an early question is one more refusal.
    let wait_s = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
    let second = now.as_second().saturating_add(wait_s).saturating_add(1);
    Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
}

/// Without the catalog nobody knows what is allowed: the unit waits.
fn stored<T>(result: CatalogResult<T>) -> Result<T, ExtractError> {
    result.map_err(|e| unavailable("catalog", e, None))
}

fn unavailable(
    extractor: &str,
    reason: impl ToString,
    retry_after: Option<Duration>,
) -> ExtractError {
    ExtractError::Unavailable {
        extractor: extractor.to_owned(),
        reason: reason.to_string(),
        retry_after,
    }
}

fn warn_of(result: CatalogResult<()>, consequence: &str) {
    if let Err(error) = result {
        tracing::warn!(%error, "{consequence}");
    }
}
