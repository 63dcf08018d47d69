//! What an operator can set about the API.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{address::Network, limits::LimitsConfig};

/// Limits and choices of the HTTP API. Every field has a default that suits one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// Largest JSON body, in bytes.
    pub max_body_bytes: usize,
    /// Largest update taken of Telegram, in bytes.
    pub max_update_bytes: usize,
    /// Largest export taken by `POST /v1/imports`, in bytes.
    pub max_import_bytes: u64,
    /// Exports uploaded and validated at the same time; one more is a 503.
    pub max_uploads: usize,
    /// An upload that sends nothing for this long is given up, in seconds.
    pub upload_idle_s: u64,
    /// A request other than an upload or a stream is given up after this long, in seconds.
    pub request_timeout_s: u64,
    /// Connections open at the same time; one more waits until another ends.
    pub max_connections: usize,
    /// Requests worked on at the same time, streams not counted; one more is a 503.
    pub max_requests: usize,
    /// Origins (such as `https://desk.example.org`) whose pages may call the API and open streams, besides the one the
    /// request is addressed to.
    pub allowed_origins: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// How often requests may come.
    pub limits: LimitsConfig,
    /// Whether `/metrics` is open to everybody who can reach it.
    pub open_metrics: bool,
    /// How long a search cursor pins its result list, in seconds.
    pub search_pin_s: u64,
    /// Hits kept in all pinned result lists together (56 bytes each); the list used longest ago goes first.
    pub max_pinned_hits: usize,
    /// The query's vector is waited for this long, in milliseconds; a hybrid search then goes on with words only.
    pub embed_timeout_ms: u64,
    /// A label given is answered once lists and searches go by it, or after this long, in milliseconds.
    pub label_wait_ms: u64,
    /// What models of others may cost on one day, to be shown.
    #[serde(skip)]
    pub budgets: telesift_ports::providers::Limits,
    /// What the stage `units` takes for one conversation, for estimates.
    #[serde(skip)]
    pub conversations: ConversationBounds,
    /// The live tail.
    pub tail: TailConfig,
}

impl Default for ApiConfig {
    fn default() -> Self {
        ApiConfig {
            max_body_bytes: 1 << 20,
            max_update_bytes: 1 << 20,
            max_import_bytes: 16 << 30,
            max_uploads: 4,
            upload_idle_s: 60,
            request_timeout_s: 30,
            max_connections: 20_000,
            max_requests: 256,
            allowed_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            limits: LimitsConfig::default(),
            open_metrics: false,
            search_pin_s: 15 * 60,
            max_pinned_hits: 300_000,
            embed_timeout_ms: 2_000,
            label_wait_ms: 2_000,
            budgets: telesift_ports::providers::Limits::default(),
            conversations: ConversationBounds::default(),
            tail: TailConfig::default(),
        }
    }
}

/// What belongs together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationBounds {
    /// A silence longer than this ends a conversation, in seconds.
    pub gap_s: i64,
    /// Messages of one, at most.
    pub max_messages: usize,
    /// Characters of one, at most, unless one message alone has more.
    pub max_chars: usize,
}

impl Default for ConversationBounds {
    /// 30 min, 20 messages, 6,000 characters.
    fn default() -> Self {
        ConversationBounds {
            gap_s: 30 * 60,
            max_messages: 20,
            max_chars: 6_000,
        }
    }
}

/// Limits and rhythm of the live tail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TailConfig {
    /// Streams open at the same time; one more is a 503.
    pub max_streams: usize,
    /// Time between heartbeats, in milliseconds.
    pub heartbeat_ms: u64,
    /// A client that takes nothing for this long is closed with code 1013, in milliseconds.
    pub stalled_after_ms: u64,
    /// How often the key of an open stream is looked up again, in milliseconds.
    pub key_check_ms: u64,
    /// Records read ahead for one client.
    pub queue_records: usize,
    /// Records that come within this time go out to clients together, in milliseconds; the first after a pause goes at
    /// once.
    pub together_ms: u64,
    /// The newest records of each followed partition kept for all clients together.
    pub recent_records: usize,
    /// Their size, in bytes per partition.
    pub recent_bytes: usize,
    /// A ticket opens a stream this long, in milliseconds.
    pub ticket_ms: u64,
    /// A ticket takes its stream up again this long after it was issued, in seconds.
    pub ticket_reconnect_s: u64,
}

impl Default for TailConfig {
    fn default() -> Self {
        TailConfig {
            max_streams: 10_000,
            heartbeat_ms: 5_000,
            stalled_after_ms: 60_000,
            key_check_ms: 1_000,
            queue_records: 128,
            together_ms: 4,
            recent_records: 1_024,
            recent_bytes: 4 << 20,
            ticket_ms: 30_000,
            ticket_reconnect_s: 12 * 3_600,
        }
    }
}

impl TailConfig {
    pub(crate) fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.heartbeat_ms.max(1))
    }

    pub(crate) fn together(&self) -> Duration {
        Duration::from_millis(self.together_ms)
    }

    pub(crate) fn stalled_after(&self) -> Duration {
        Duration::from_millis(self.stalled_after_ms.max(1))
    }

    pub(crate) fn key_check(&self) -> Duration {
        Duration::from_millis(self.key_check_ms.clamp(10, 1_500))
    }
}
