//! Long polling of one bot: fetched, appended, and only then confirmed, by asking for what comes next.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBuilder};
use telesift_ports::{
    Clock, Secret, UpdateSink,
    bots::{BotState, TakeError},
    record_log,
};
use tokio_util::sync::CancellationToken;

use super::door::Door;
use crate::{
    bot_api::{BotApi, CallError, Fetched},
    telemetry,
};

/// Pause after an empty answer that came at once, should a server not hold polls.
const BREATH: Duration = Duration::from_millis(200);
/// Between tries of what does not get better soon.
const SLOW: Duration = Duration::from_secs(60);

/// Polls one bot.
pub(super) struct Poller {
    pub(super) api: BotApi,
    pub(super) sink: Arc<dyn UpdateSink>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) token: Secret,
    pub(super) door: Arc<Door>,
    pub(super) hold: Duration,
    pub(super) conflict_pause: Duration,
}

/// Whether to go on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    GoOn,
    End,
}

impl Poller {
    /// Polls until `stop`, or until Telegram does not know the token any more.
    pub(super) async fn run(self, stop: CancellationToken) {
        let outcome = tokio::select! {
            () = stop.cancelled() => return,
            outcome = self.start() => outcome,
        };
        let Some(mut position) = outcome else { return };
        let mut delays = delays();
        while !stop.is_cancelled() {
            let asked = Instant::now();
            let fetched = tokio::select! {
                () = stop.cancelled() => return,
                fetched = self.api.updates(&self.token, position, self.hold) => fetched,
            };
            match fetched {
                Ok(fetched) => {
                    delays = self::delays();
                    self.stand(BotState::Polling, None, Duration::ZERO);
                    let is_empty = fetched.updates.is_empty();
                    if !is_empty {
                        let next = fetched.next;
                        if self.append(fetched, &stop).await == Flow::End {
                            return;
                        }
                        position = next.or(position);
                    } else if asked.elapsed() < BREATH {
                        pause(BREATH, &stop).await;
                    }
                }
                Err(error) => {
                    if self.trouble(&error, &mut delays, &stop).await == Flow::End {
                        return;
                    }
                }
            }
        }
    }

    /// Where to begin: after what is durable here. `None` if the log is closed.
    async fn start(&self) -> Option<Option<i64>> {
        let mut delays = delays();
        loop {
            match self.sink.position(self.door.row.id).await {
                Ok(position) => return Some(position),
                Err(record_log::Error::Closed) => return None,
                Err(error) => {
                    let delay = delays.next().unwrap_or(SLOW);
                    self.stand(BotState::Waiting, Some(error.to_string()), delay);
                    tokio::time::sleep(delay).await;
                }
            }
        }
    }

    /// Appends what was fetched, as often as it takes: nothing is confirmed to Telegram before.
    async fn append(&self, fetched: Fetched, stop: &CancellationToken) -> Flow {
        let name = &self.door.row.name;
        metrics::counter!(telemetry::POLLED, "bot" => name.clone())
            .increment(fetched.updates.len() as u64);
        let mut updates = fetched.updates;
        let mut delays = delays();
        loop {
            let taken = self
                .sink
                .take(&self.door.source, updates.clone(), fetched.next)
                .await;
            match taken {
                Ok(_) => return Flow::GoOn,
                Err(TakeError::Log(record_log::Error::Closed)) => return Flow::End,
                Err(TakeError::Log(error)) => {
                    let delay = delays.next().unwrap_or(SLOW);
                    tracing::warn!(bot = name, %error, "fetched updates wait for the log");
                    self.stand(BotState::Waiting, Some(error.to_string()), delay);
                    pause(delay, stop).await;
                }
                Err(TakeError::Malformed(reason)) => {
                    // Telegram's own answer was valid JSON; what is no object in it is no update.
                    let n_before = updates.len();
                    updates.retain(|u| u.trim_ascii_start().starts_with(b"{"));
                    tracing::error!(bot = name, reason, "Telegram sent what is no update");
                    if updates.len() == n_before {
                        return Flow::End;
                    }
                }
            }
            if stop.is_cancelled() {
                return Flow::End;
            }
        }
    }

    /// Shows what is wrong, and waits as long as it takes.
    async fn trouble(
        &self,
        error: &CallError,
        delays: &mut impl Iterator<Item = Duration>,
        stop: &CancellationToken,
    ) -> Flow {
        let name = &self.door.row.name;
        let (state, delay, detail) = match error {
            CallError::Unauthorized => {
                tracing::error!(bot = name, %error, "polling stops");
                let detail = format!(
                    "{error}; then `telesift bots remove {name}` and add it again; polling has stopped"
                );
                self.stand(BotState::Revoked, Some(detail), Duration::ZERO);
                return Flow::End;
            }
            CallError::Conflict(_) => {
                let detail = format!(
                    "{error}: stop the other program that polls this bot; a webhook is cleared by `telesift bots remove {name}` and `telesift bots add {name} --poll`"
                );
                (BotState::Conflict, jittered(self.conflict_pause), detail)
            }
            // To the second Telegram names, and a little more.
            CallError::TooMany { retry_after } => {
                let jitter = Duration::from_millis(rand::random_range(50..500));
                (BotState::Waiting, *retry_after + jitter, error.to_string())
            }
            CallError::Server(_) | CallError::Unreachable(_) | CallError::Unreadable(_) => {
                let delay = delays.next().unwrap_or(SLOW);
                (BotState::Waiting, delay, error.to_string())
            }
            CallError::Refused { .. } | CallError::Configuration(_) => {
                (BotState::Waiting, jittered(SLOW), error.to_string())
            }
        };
        tracing::warn!(bot = name, %error, delay_ms = delay.as_millis() as u64, "polling will be tried again");
        self.stand(state, Some(detail), delay);
        pause(delay, stop).await;
        Flow::GoOn
    }

    fn stand(&self, state: BotState, detail: Option<String>, delay: Duration) {
        let now = self.clock.now();
        let until = (!delay.is_zero()).then(|| now.saturating_add(delay).unwrap_or(now));
        self.door.stand(state, detail, until, now);
    }
}

/// From 0.5 s to a minute, with jitter: as many tries as it takes, ever fewer.
fn delays() -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(SLOW)
        .with_jitter()
        .without_max_times()
        .build()
}

fn jittered(delay: Duration) -> Duration {
    delay.mul_f64(rand::random_range(1.0..1.2))
}

async fn pause(delay: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(delay) => {}
    }
}
