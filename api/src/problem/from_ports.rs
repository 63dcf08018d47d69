//! The one place where errors of the ports become problems.

use telesift_ports::{
    bots::BotError, catalog, embedder::EmbedError, generations::GenerationsError,
    imports::ImportError, message_store, providers::ProviderError, record_log,
    replays::ReplayError,
};

use super::{Code, Problem};

impl From<record_log::Error> for Problem {
    fn from(error: record_log::Error) -> Self {
        use record_log::Error as E;
        match error {
            E::TopicNotFound(topic) => Problem::not_found("topic", topic),
            E::PartitionNotFound(at) => Problem::not_found("partition", at),
            E::Evicted { at, from, first } => Problem::new(
                Code::Evicted,
                format!("offset {from} of `{at}` was evicted; the first kept is {first}"),
            )
            .with("first_offset", first.0),
            E::BeyondEnd { at, from, end } => Problem::new(
                Code::CursorUnknown,
                format!("offset {from} of `{at}` lies beyond the end, {end}"),
            )
            .with("end", end.0),
            E::Closed => shutting_down(),
            E::LeaseLost { name } => conflict(&name),
            E::GuardFailed { key } => conflict(&key),
            e @ (E::NoSpace { .. } | E::Unavailable { .. }) => Problem::unavailable("the log", e),
            e @ (E::PartitionCount { .. } | E::TooLarge { .. } | E::Locked { .. }) => {
                Problem::internal(e)
            }
        }
    }
}

impl From<message_store::Error> for Problem {
    fn from(error: message_store::Error) -> Self {
        use message_store::Error as E;
        match error {
            E::LeaseLost { name } => conflict(&name),
            e @ E::Unavailable(_) => Problem::unavailable("the message store", e),
            e @ (E::Rejected { .. }
            | E::ModelMismatch { .. }
            | E::Unsuitable(_)
            | E::Damaged(_)) => Problem::internal(e),
        }
    }
}

impl From<catalog::Error> for Problem {
    fn from(error: catalog::Error) -> Self {
        use catalog::Error as E;
        match error {
            E::Conflict { what } => conflict(&what),
            E::LeaseLost { name } => conflict(&name),
            e @ E::Unavailable(_) => Problem::unavailable("the catalog", e),
            // Only the operator meets it, and its words say what to do.
            E::SecretKey(words) => Problem::new(Code::SecretKey, words),
            e @ E::Damaged(_) => Problem::internal(e),
        }
    }
}

impl From<BotError> for Problem {
    fn from(error: BotError) -> Self {
        let words = error.to_string();
        match error {
            BotError::Invalid { field, .. } => Problem::invalid(field, words),
            BotError::Exists(words) => Problem::new(Code::Conflict, words),
            BotError::Telegram {
                is_retryable: true, ..
            } => Problem::new(Code::TelegramUnavailable, words).retry_after(10),
            BotError::Telegram { .. } => Problem::new(Code::TelegramRefused, words),
            BotError::Catalog(error) => error.into(),
        }
    }
}

impl From<ProviderError> for Problem {
    fn from(error: ProviderError) -> Self {
        let words = error.to_string();
        match error {
            ProviderError::Invalid { field, .. } => Problem::invalid(field, words),
            ProviderError::Exists(_) | ProviderError::Configured(_) => {
                Problem::new(Code::Conflict, words)
            }
            ProviderError::Unusable { .. } => Problem::new(Code::ProviderUnusable, words),
            ProviderError::Catalog(error) => error.into(),
        }
    }
}

impl From<ImportError> for Problem {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Invalid { byte_offset, cause } => Problem::new(
                Code::InvalidExport,
                format!("{cause} (byte {byte_offset}); nothing was imported"),
            )
            .with("byte_offset", byte_offset)
            .with("cause", cause),
            ImportError::UnknownZone(zone) => Problem::invalid(
                "tz",
                format!("unknown time zone `{zone}`; use an IANA name such as `Europe/Kyiv`"),
            ),
            ImportError::QueueFull(n) => Problem::new(
                Code::ImportQueueFull,
                format!("{n} imports are waiting already; try again when one is done"),
            )
            .retry_after(30),
            e @ (ImportError::Storage(_) | ImportError::HandedOver(_)) => {
                Problem::unavailable("the import storage", e)
            }
        }
    }
}

impl From<ReplayError> for Problem {
    fn from(error: ReplayError) -> Self {
        let detail = error.to_string();
        match error {
            ReplayError::Rules { field, fault } => Problem::new(Code::InvalidRules, detail)
                .with("parameter", field)
                .with("line", fault.line)
                .with("reason", fault.reason),
            ReplayError::UnknownRules { field, name } => {
                Problem::invalid(field, detail).with("value", name)
            }
            ReplayError::Range { field, .. } => Problem::invalid(field, detail),
            ReplayError::CursorUnknown { field, .. } => {
                Problem::new(Code::CursorUnknown, detail).with("parameter", field)
            }
            ReplayError::QueueFull(_) => {
                Problem::new(Code::ReplayQueueFull, detail).retry_after(30)
            }
            ReplayError::State(state) => {
                Problem::new(Code::ReplayState, detail).with("state", state.as_str())
            }
            ReplayError::NoGeneration(_) => Problem::new(Code::ReplayState, detail),
            ReplayError::Generation { generation, .. } => {
                Problem::new(Code::ReplayState, detail).with("generation", generation)
            }
            ReplayError::NotCaughtUp {
                generation,
                missing,
            } => Problem::new(Code::ReplayState, detail)
                .with("generation", generation)
                .with("missing", missing),
            ReplayError::Log(error) => error.into(),
            ReplayError::Catalog(error) => error.into(),
            ReplayError::Generations(error) => error.into(),
        }
    }
}

impl From<GenerationsError> for Problem {
    fn from(error: GenerationsError) -> Self {
        match error {
            GenerationsError::Log(error) => error.into(),
            e @ GenerationsError::Unreadable(_) => Problem::internal(e),
        }
    }
}

impl From<EmbedError> for Problem {
    fn from(error: EmbedError) -> Self {
        match error {
            e @ (EmbedError::Unavailable { .. } | EmbedError::Refused { .. }) => {
                Problem::unavailable("the embedding model", e)
            }
        }
    }
}

fn conflict(what: &str) -> Problem {
    Problem::new(Code::Conflict, format!("`{what}` changed meanwhile"))
}

pub(crate) fn shutting_down() -> Problem {
    Problem::new(
        Code::ShuttingDown,
        "the server is stopping; connect again in a moment",
    )
    .retry_after(5)
}
