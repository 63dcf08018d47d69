//! The closed list of error codes; `docs/errors.md` explains each.

use axum::http::StatusCode;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:ident, $title:literal;)*) => {
        /// Why a request was not answered as asked. Clients may match on these, never on texts.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The code in JSON.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }

            /// The HTTP status it comes with.
            pub fn status(self) -> StatusCode {
                match self { $(Code::$name => StatusCode::$status,)* }
            }

            /// A short English summary, the same for every occurrence.
            pub fn title(self) -> &'static str {
                match self { $(Code::$name => $title,)* }
            }
        }
    };
}

codes! {
    /// The request cannot be read: malformed JSON, percent-encoding or UTF-8.
    MalformedRequest = "malformed_request", BAD_REQUEST, "The request cannot be read";
    /// A parameter or JSON field this route does not know.
    UnknownParameter = "unknown_parameter", BAD_REQUEST, "Unknown parameter";
    /// A parameter or JSON field whose value is not among the valid ones.
    InvalidParameter = "invalid_parameter", BAD_REQUEST, "Invalid parameter";
    /// A list cursor that was not given out by this list.
    InvalidCursor = "invalid_cursor", BAD_REQUEST, "Invalid cursor";
    /// The uploaded file is no usable export.
    InvalidExport = "invalid_export", BAD_REQUEST, "Invalid export";
    /// The rule set cannot be used.
    InvalidRules = "invalid_rules", BAD_REQUEST, "Invalid rules";
    /// No key, or one that is unknown, expired or revoked.
    Unauthorized = "unauthorized", UNAUTHORIZED, "A valid key is needed";
    /// A ticket that is unknown, used or expired.
    InvalidTicket = "invalid_ticket", UNAUTHORIZED, "The ticket is not valid";
    /// The key lacks the scope.
    MissingScope = "missing_scope", FORBIDDEN, "The key lacks the scope";
    /// The key is limited to chats, and this spans all of them.
    LimitedKey = "limited_key", FORBIDDEN, "The key is limited to chats";
    /// A page of another origin tried to open a WebSocket.
    OriginNotAllowed = "origin_not_allowed", FORBIDDEN, "The origin is not allowed";
    /// No such route.
    RouteNotFound = "route_not_found", NOT_FOUND, "No such route";
    /// No such thing, or none this key may see.
    NotFound = "not_found", NOT_FOUND, "Not found";
    /// The route exists, but not with this method.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "Method not allowed";
    /// The body stopped coming.
    BodyTimeout = "body_timeout", REQUEST_TIMEOUT, "The body stopped coming";
    /// A tail cursor or offset that the log never gave out.
    CursorUnknown = "cursor_unknown", CONFLICT, "The cursor is not of this log";
    /// Somebody else changed the same thing.
    Conflict = "conflict", CONFLICT, "Changed meanwhile";
    /// Rules shall count from below what is screened.
    AlreadyScreened = "already_screened", CONFLICT, "Already screened";
    /// The replay's state or kind does not allow it.
    ReplayState = "replay_state", CONFLICT, "The replay does not allow it";
    /// A provider of models cannot be used: its key cannot be read, its address not be resolved.
    ProviderUnusable = "provider_unusable", CONFLICT, "The provider cannot be used";
    /// The pinned result list is gone.
    CursorExpired = "cursor_expired", GONE, "The cursor has expired";
    /// The offset was evicted by the topic's retention.
    Evicted = "evicted", GONE, "The offset was evicted";
    /// The body is larger than allowed.
    TooLarge = "too_large", PAYLOAD_TOO_LARGE, "The body is too large";
    /// The tail speaks WebSocket only.
    UpgradeRequired = "upgrade_required", UPGRADE_REQUIRED, "WebSocket upgrade required";
    /// More requests than a limit allows.
    RateLimited = "rate_limited", TOO_MANY_REQUESTS, "Too many requests";
    /// Telegram knows better: of a token, an address, a secret.
    TelegramRefused = "telegram_refused", UNPROCESSABLE_ENTITY, "Telegram refused";
    /// Too many replays are unfinished.
    ReplayQueueFull = "replay_queue_full", TOO_MANY_REQUESTS, "The replay queue is full";
    /// A bug or broken storage; the log holds the cause under the instance.
    Internal = "internal", INTERNAL_SERVER_ERROR, "Internal error";
    /// Telegram does not answer, or asks to wait.
    TelegramUnavailable = "telegram_unavailable", BAD_GATEWAY, "Telegram cannot be reached";
    /// Secrets cannot be sealed or opened with the key that is there.
    SecretKey = "secret_key", SERVICE_UNAVAILABLE, "The secret key does not fit";
    /// The server has as much to do as it may.
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, "Too much to do";
    /// Too many imports wait already.
    ImportQueueFull = "import_queue_full", SERVICE_UNAVAILABLE, "The import queue is full";
    /// Log, store, catalog or model cannot be reached.
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "A part is unavailable";
    /// The answer took too long.
    TimedOut = "timed_out", SERVICE_UNAVAILABLE, "The answer took too long";
    /// The server stops.
    ShuttingDown = "shutting_down", SERVICE_UNAVAILABLE, "The server is stopping";
}
