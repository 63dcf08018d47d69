//! Calls to model providers: one way in, with a timeout, bounded retries, limits and a breaker.

mod breaker;
mod endpoint;
mod error;

use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBuilder};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::{Client, RequestBuilder, Response, redirect};
use serde::Serialize;
use tokio::sync::Semaphore;

use crate::telemetry;
use breaker::Breaker;
pub use endpoint::{Endpoint, EndpointError};
pub use error::CallError;

/// How a provider may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallPolicy {
    /// How long one attempt may take, from connecting to the last byte.
    pub timeout: Duration,
    /// Attempts at one call, at least 1.
    pub max_attempts: u32,
    /// The longest pause before another attempt, also where the provider asks for more: the call fails then, as
    /// retryable, and whoever made it waits.
    pub max_delay: Duration,
    /// Calls under way at once.
    pub max_concurrent: usize,
    /// Calls begun per minute; absent: as many as there are.
    pub requests_per_minute: Option<NonZeroU32>,
    /// Tokens sent per minute, as estimated before a call; absent: as many as there are.
    pub tokens_per_minute: Option<NonZeroU32>,
    /// Bytes an answer may have.
    pub max_answer_bytes: usize,
    /// So many failed attempts in a row open the breaker.
    pub breaker_failures: u32,
    /// How long it stays open before one call tries again.
    pub breaker_rest: Duration,
}

impl Default for CallPolicy {
    /// 30 s, 4 attempts with at most 20 s between, 4 at once, answers up to 16 MiB; open after 5 failures for 30 s.
    fn default() -> Self {
        CallPolicy {
            timeout: Duration::from_secs(30),
            max_attempts: 4,
            max_delay: Duration::from_secs(20),
            max_concurrent: 4,
            requests_per_minute: None,
            tokens_per_minute: None,
            max_answer_bytes: 16 << 20,
            breaker_failures: 5,
            breaker_rest: Duration::from_secs(30),
        }
    }
}

/// The only way to one provider. Shared by all who call it: limits hold over all of them.
pub struct Caller {
    provider: String,
    client: Client,
    endpoint: Endpoint,
    policy: CallPolicy,
    slots: Semaphore,
    requests: Option<DefaultDirectRateLimiter>,
    tokens: Option<(DefaultDirectRateLimiter, NonZeroU32)>,
    breaker: Breaker,
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller")
            .field("provider", &self.provider)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl Caller {
    /// A caller of `provider` (its name in metrics and errors) at `endpoint`. Redirects are not followed: a key goes where
    /// it was meant to go, and nowhere else.
    ///
    /// # Errors
    /// [`CallError::Setup`] if the system has no working TLS.
    pub fn new(provider: &str, endpoint: Endpoint, policy: CallPolicy) -> Result<Self, CallError> {
        let builder = Client::builder()
            .timeout(policy.timeout)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("telesift/", env!("CARGO_PKG_VERSION")));
        let client = endpoint.pin(builder).build();
        let per_minute = |n: NonZeroU32| RateLimiter::direct(Quota::per_minute(n));
        Ok(Caller {
            provider: provider.to_owned(),
            client: client.map_err(|_| CallError::Setup)?,
            endpoint,
            slots: Semaphore::new(policy.max_concurrent.max(1)),
            requests: policy.requests_per_minute.map(per_minute),
            tokens: policy.tokens_per_minute.map(|n| (per_minute(n), n)),
            breaker: Breaker::new(policy.breaker_failures, policy.breaker_rest),
            policy,
        })
    }

    /// The provider's name.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// Posts `body` as JSON to `path` under the endpoint and returns the answer's bytes. `prepare` adds what identifies
    /// the caller; `n_tokens` is the estimate that counts against the limit of tokens.
    ///
    /// # Errors
    /// [`CallError`], after the attempts the policy allows.
    pub async fn post<B: Serialize + ?Sized + Sync>(
        &self,
        path: &str,
        body: &B,
        n_tokens: u32,
        prepare: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Vec<u8>, CallError> {
        let again = |error: &CallError| error.is_retryable();
        self.attempts(path, body, n_tokens, prepare, again).await
    }

    /// The same where each attempt may be charged for: what the provider may have done already is not asked again. Whoever asks
    /// writes that down, and comes again within his budget.
    ///
    /// # Errors
    /// As for [`Caller::post`].
    pub(crate) async fn post_paid<B: Serialize + ?Sized + Sync>(
        &self,
        path: &str,
        body: &B,
        n_tokens: u32,
        prepare: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Vec<u8>, CallError> {
        let again = |error: &CallError| error.is_retryable() && !error.may_have_been_done();
        self.attempts(path, body, n_tokens, prepare, again).await
    }

    async fn attempts<B: Serialize + ?Sized + Sync>(
        &self,
        path: &str,
        body: &B,
        n_tokens: u32,
        prepare: impl Fn(RequestBuilder) -> RequestBuilder,
        again: impl Fn(&CallError) -> bool,
    ) -> Result<Vec<u8>, CallError> {
        let mut delays = self.delays();
        let mut attempt = 1;
        loop {
            self.wait_for_turn(n_tokens).await;
            let request = prepare(self.client.post(self.endpoint.join(path)).json(body));
            let error = match self.attempt(request).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            // Jitter may go beyond the longest pause, the provider's own wish is taken as it is.
            let own = delays.next().unwrap_or_default();
            let own = own.min(self.policy.max_delay);
            let delay = error.retry_after().unwrap_or(own);
            if !again(&error)
                || error.is_held()
                || attempt >= self.policy.max_attempts
                || delay > self.policy.max_delay
            {
                return Err(error);
            }
            attempt += 1;
            telemetry::retry(&self.provider);
            tracing::debug!(provider = self.provider, %error, attempt, "the call is made once more");
            tokio::time::sleep(delay).await;
        }
    }

    /// Waits for the limits per minute. They bound the rate, so that the wait is bounded by the calls before this one.
    async fn wait_for_turn(&self, n_tokens: u32) {
        if let Some(requests) = &self.requests {
            requests.until_ready().await;
        }
        if let Some((tokens, most)) = &self.tokens {
            // A single call beyond the limit of a minute takes the whole minute.
            let n = NonZeroU32::new(n_tokens.min(most.get())).unwrap_or(NonZeroU32::MIN);
            let _ = tokens.until_n_ready(n).await;
        }
    }

    async fn attempt(&self, request: RequestBuilder) -> Result<Vec<u8>, CallError> {
        // Never closed while `self` lives.
        let _slot = self.slots.acquire().await.map_err(|_| CallError::Setup)?;
        let started = Instant::now();
        let permit = self.breaker.enter(started)?;
        let outcome = self.send(request).await;
        let label = outcome.as_ref().map_or_else(CallError::label, |_| "ok");
        telemetry::call(&self.provider, label, started.elapsed());
        let is_open = match &outcome {
            Err(error) if error.counts_against_provider() => permit.failed(Instant::now()),
            _ => permit.worked(),
        };
        telemetry::breaker(&self.provider, is_open);
        outcome
    }

    async fn send(&self, request: RequestBuilder) -> Result<Vec<u8>, CallError> {
        let response = request.send().await.map_err(CallError::of)?;
        let status = response.status();
        if !status.is_success() {
            return Err(CallError::refused(response).await);
        }
        self.read(response).await
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, CallError> {
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(CallError::of)? {
            if answer.len() + chunk.len() > self.policy.max_answer_bytes {
                return Err(CallError::AnswerTooLarge {
                    limit: self.policy.max_answer_bytes,
                });
            }
            answer.extend_from_slice(&chunk);
        }
        Ok(answer)
    }

    fn delays(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(250))
            .with_max_delay(self.policy.max_delay)
            .with_jitter()
            .without_max_times()
            .build()
    }
}
