//! Who may do what: the class of every route in one table, enforced before any handler runs.
//!
//! Invariant: a route that is not in [`ROUTES`] answers nobody. What limited keys see of a route they may use is decided
//! in [`crate::visible`]; what is administration is recorded by [`guard`], which no route can go around.

use axum::http::Method;
use serde_json::{Value, json};
use telesift_ports::catalog::Scope;

mod audit;
mod guard;

pub(crate) use audit::Target;
pub(crate) use guard::guard;

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody.
    Open,
    /// Everybody if the configuration says so, else as [`Access::ReadAll`].
    Metrics,
    /// Who reads, limited keys too: they see their chats.
    Read,
    /// As [`Access::Read`], by key or by ticket.
    Stream,
    /// Who reads, with an unlimited key: this spans all chats.
    ReadAll,
    /// Who reviews, limited keys too.
    Review,
    /// Who imports, with an unlimited key.
    Ingest,
    /// Who administers.
    Admin,
    /// Telegram, by the secret of a bot, which the route itself checks before it reads on.
    Webhook,
}

/// What using a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// It changes nothing, or nothing that is administration: who said what of a message stands on `decisions`.
    Plain,
    /// Administration, recorded under this name before it is done.
    Audited(&'static str),
}

/// A route's line in the table.
#[derive(Debug)]
pub(crate) struct Route {
    method: &'static str,
    path: &'static str,
    access: Access,
    deed: Deed,
}

const fn route(method: &'static str, path: &'static str, access: Access, deed: Deed) -> Route {
    Route {
        method,
        path,
        access,
        deed,
    }
}

use Access::{Admin, Ingest, Metrics, Open, Read, ReadAll, Review, Stream, Webhook};
use Deed::{Audited, Plain};

/// Every route of the OpenAPI document.
#[rustfmt::skip]
const ROUTES: &[Route] = &[
    route("GET", "/healthz", Open, Plain),
    route("GET", "/readyz", Open, Plain),
    route("GET", "/metrics", Metrics, Plain),

    route("GET", "/v1/messages", Read, Plain),
    route("GET", "/v1/messages/{id}", Read, Plain),
    route("GET", "/v1/messages/{id}/context", Read, Plain),
    route("GET", "/v1/messages/{id}/explain", Read, Plain),
    route("GET", "/v1/stories/{id}", Read, Plain),
    route("GET", "/v1/chats", Read, Plain),
    route("GET", "/v1/chats/{id}/gaps", Read, Plain),
    route("POST", "/v1/search", Read, Plain),

    route("GET", "/v1/feedback", Review, Plain),
    route("POST", "/v1/feedback", Review, Plain),
    route("DELETE", "/v1/feedback/{id}", Review, Audited("feedback.delete")),

    route("GET", "/v1/topics", Read, Plain),
    route("GET", "/v1/topics/{topic}/partitions/{partition}/records", Read, Plain),
    route("GET", "/v1/topics/{topic}/tail", Stream, Plain),
    route("GET", "/v1/topics/{topic}/stream", Stream, Plain),
    route("POST", "/v1/tickets", Read, Plain),

    route("GET", "/v1/stats/pipeline", ReadAll, Plain),
    route("GET", "/v1/stats/screen", ReadAll, Plain),
    route("GET", "/v1/dead-letters", ReadAll, Plain),
    route("GET", "/v1/dead-letters/{id}", ReadAll, Plain),
    route("POST", "/v1/dead-letters/{id}/retry", Admin, Audited("dead_letters.retry")),
    route("POST", "/v1/dead-letters/retry", Admin, Audited("dead_letters.retry_many")),

    route("GET", "/v1/bots", Admin, Plain),
    route("POST", "/v1/bots", Admin, Audited("bots.add")),
    route("GET", "/v1/bots/{name}", Admin, Plain),
    route("DELETE", "/v1/bots/{name}", Admin, Audited("bots.remove")),
    route("POST", "/v1/telegram/webhook/{bot}", Webhook, Plain),

    route("GET", "/v1/imports", Ingest, Plain),
    route("POST", "/v1/imports", Ingest, Audited("imports.create")),
    route("GET", "/v1/imports/{id}", Ingest, Plain),

    route("GET", "/v1/rules", ReadAll, Plain),
    route("GET", "/v1/rules/active", ReadAll, Plain),
    route("GET", "/v1/rules/history", ReadAll, Plain),
    route("GET", "/v1/rules/{version}", ReadAll, Plain),
    route("POST", "/v1/rules", Admin, Audited("rules.add")),
    route("POST", "/v1/rules/{version}/activate", Admin, Audited("rules.activate")),

    route("GET", "/v1/replays", Admin, Plain),
    route("POST", "/v1/replays", Admin, Audited("replays.create")),
    route("GET", "/v1/replays/{id}", Admin, Plain),
    route("POST", "/v1/replays/{id}/pause", Admin, Audited("replays.pause")),
    route("POST", "/v1/replays/{id}/resume", Admin, Audited("replays.resume")),
    route("POST", "/v1/replays/{id}/cancel", Admin, Audited("replays.cancel")),
    route("POST", "/v1/replays/{id}/switch", Admin, Audited("replays.switch")),
    route("POST", "/v1/replays/{id}/switch-back", Admin, Audited("replays.switch_back")),
    route("GET", "/v1/generations", Admin, Plain),
    route("DELETE", "/v1/generations/{number}", Admin, Audited("generations.retire")),

    route("GET", "/v1/keys", Admin, Plain),
    route("POST", "/v1/keys", Admin, Audited("keys.create")),
    route("DELETE", "/v1/keys/{id}", Admin, Audited("keys.revoke")),
    route("GET", "/v1/audit", Admin, Plain),
];

/// The line of a route; `path` is its pattern.
pub(crate) fn route_of(method: &Method, path: &str) -> Option<&'static Route> {
    // The router answers HEAD with the handler of GET.
    let method = match *method {
        Method::HEAD => "GET",
        _ => method.as_str(),
    };
    ROUTES.iter().find(|r| r.method == method && r.path == path)
}

/// The methods that are classified for a path, as for `Allow`.
fn methods_of(path: &str) -> String {
    let mut methods: Vec<&str> = Vec::new();
    for route in ROUTES.iter().filter(|r| r.path == path) {
        methods.push(route.method);
        if route.method == "GET" {
            methods.push("HEAD");
        }
    }
    methods.join(",")
}

impl Access {
    /// The scopes of which one is needed, besides `admin`, which has them all.
    fn scopes(self) -> &'static [Scope] {
        match self {
            Open | Webhook => &[],
            Metrics | Read | Stream | ReadAll => &[Scope::Read, Scope::Review],
            Review => &[Scope::Review],
            Ingest => &[Scope::Ingest],
            Admin => &[Scope::Admin],
        }
    }

    /// Whether keys limited to chats may use it.
    fn takes_limited_keys(self) -> bool {
        matches!(self, Open | Read | Stream | Review)
    }

    fn name(self) -> &'static str {
        match self {
            Open => "open",
            Metrics => "metrics",
            Read => "read",
            Stream => "stream",
            ReadAll => "read_all",
            Review => "review",
            Ingest => "ingest",
            Admin => "admin",
            Webhook => "webhook",
        }
    }
}

impl Route {
    /// Uploads have a limit of their own.
    fn takes_files(&self) -> bool {
        self.access == Ingest && self.method == "POST"
    }

    /// What the OpenAPI document says of it.
    fn described(&self) -> Value {
        let scopes: Vec<&str> = self.access.scopes().iter().map(|s| s.as_str()).collect();
        let audited = match self.deed {
            Audited(name) => Value::from(name),
            Plain => Value::Null,
        };
        json!({
            "class": self.access.name(),
            "scopes": scopes,
            "limited_keys": self.access.takes_limited_keys(),
            "audited_as": audited,
        })
    }
}

/// Puts `x-access` on every operation of the document that is classified.
pub(crate) fn describe(document: &mut Value) {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for (path, item) in paths.into_iter().flatten() {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            let method = method.to_uppercase();
            let found = ROUTES.iter().find(|r| r.method == method && r.path == path);
            if let Some(route) = found {
                operation["x-access"] = route.described();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_lists_exactly_the_routes_there_are() {
        let routes = crate::routes::quick().merge(crate::routes::slow());
        let document = serde_json::to_value(routes.get_openapi()).unwrap();
        let mut there_are = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                there_are.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
        let listed: BTreeSet<_> = ROUTES
            .iter()
            .map(|r| format!("{} {}", r.method, r.path))
            .collect();
        assert_eq!(listed, there_are, "classify each route in `access::ROUTES`");
        assert_eq!(listed.len(), ROUTES.len(), "a route is listed twice");
    }

    #[test]
    fn what_only_administrators_change_is_audited() {
        for route in ROUTES.iter().filter(|r| r.method != "GET") {
            let is_audited = matches!(route.deed, Audited(_));
            let administers = matches!(route.access, Admin | Ingest) || route.method == "DELETE";
            assert_eq!(is_audited, administers, "{} {}", route.method, route.path);
        }
    }
}
