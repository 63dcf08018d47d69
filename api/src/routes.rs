//! Every route, by area. What is registered here is what `/openapi.json` lists.

use std::sync::Arc;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{state::App, tail};

mod audit;
mod bots;
mod chats;
mod console;
mod dead_letters;
mod explain;
mod feedback;
mod gaps;
mod generations;
mod imports;
mod keys;
mod messages;
mod operations;
mod records;
mod replays;
mod rules;
mod search;
mod stats;
mod stories;
mod tickets;
mod topics;
mod webhook;

pub(crate) use console::static_files;

/// Routes that answer within the request timeout.
pub(crate) fn quick() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(imports::list))
        .routes(routes!(imports::status))
        .routes(routes!(messages::list))
        .routes(routes!(messages::one))
        .routes(routes!(messages::context))
        .routes(routes!(explain::explain))
        .routes(routes!(stories::members))
        .routes(routes!(search::search))
        .routes(routes!(feedback::list, feedback::give))
        .routes(routes!(feedback::take_back))
        .routes(routes!(topics::list))
        .routes(routes!(records::read))
        .routes(routes!(tickets::issue))
        .routes(routes!(stats::pipeline))
        .routes(routes!(stats::screen))
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::one))
        .routes(routes!(dead_letters::retry))
        .routes(routes!(dead_letters::retry_many))
        .routes(routes!(replays::list, replays::start))
        .routes(routes!(replays::one))
        .routes(routes!(replays::pause))
        .routes(routes!(replays::resume))
        .routes(routes!(replays::cancel))
        .routes(routes!(replays::switch))
        .routes(routes!(replays::switch_back))
        .routes(routes!(generations::list))
        .routes(routes!(generations::retire))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::revoke))
        .routes(routes!(audit::list))
        .routes(routes!(chats::list))
        .routes(routes!(gaps::list))
        .routes(routes!(bots::list, bots::add))
        .routes(routes!(bots::one, bots::remove))
        .routes(routes!(webhook::take))
        .routes(routes!(rules::list, rules::add))
        .routes(routes!(rules::active))
        .routes(routes!(rules::history))
        .routes(routes!(rules::one))
        .routes(routes!(rules::activate))
        .merge(operations())
}

/// Routes for those who run it.
pub(crate) fn operations() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(operations::healthz))
        .routes(routes!(operations::readyz))
        .routes(routes!(operations::metrics))
}

/// Routes that take as long as they take: uploads and streams.
pub(crate) fn slow() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(imports::upload))
        .routes(routes!(tail::ws::follow))
        .routes(routes!(tail::sse::follow))
}
