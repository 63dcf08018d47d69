//! HTTP API and live tail: requests come in, ports are asked, JSON and frames leave. Knows ports, never a driver.
//!
//! [`router`] gives an [`axum::Router`] to be served, [`operations_router`] a small one. Whoever reads passes [`visible`], the one gate that hides chats
//! from limited keys; every error leaves through `problem` as RFC 9457.

use std::sync::Arc;

use axum::{Json, Router, extract::DefaultBodyLimit, routing::get};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config, SwaggerUi};

mod access;
mod address;
mod auth;
mod body;
mod config;
mod cors;
mod cursor;
mod knowledge;
mod labels;
mod limits;
mod middleware;
mod openapi;
mod params;
mod pins;
mod problem;
mod reactions;
mod routes;
mod serve;
mod splice;
mod state;
mod tail;
mod telemetry;
mod view;
mod visible;

pub use address::{Network, NetworkError};
pub use auth::{IssueError, IssuedKey, KeyRequest, is_known_key, issue_key};
pub use config::{ApiConfig, ConversationBounds, TailConfig};
pub use limits::LimitsConfig;
pub use problem::Code as ProblemCode;
pub use serve::serve;
pub use state::{AlwaysHealthy, ApiState, Health, HealthCheck};
pub use telemetry::describe as describe_metrics;

/// Health, readiness and metrics alone: for a process that does other work than to answer users.
pub fn operations_router(state: ApiState) -> Router {
    let app = state::App::new(state);
    let operations = routes::operations().layer(axum::middleware::from_fn_with_state(
        app.clone(),
        middleware::bounded,
    ));
    let (router, _) = operations.split_for_parts();
    router
        .fallback(|| async { axum::http::StatusCode::NOT_FOUND })
        .layer(CatchPanicLayer::custom(problem::on_panic))
        .layer(axum::middleware::from_fn(middleware::outermost))
        .with_state(app)
}

/// The whole API. Give it to [`serve`]; cancel [`ApiState::shutdown`] to end its streams.
pub fn router(state: ApiState) -> Router {
    let app = state::App::new(state);
    let quick = routes::quick().layer(axum::middleware::from_fn_with_state(
        app.clone(),
        middleware::bounded,
    ));
    let (router, document) = OpenApiRouter::with_openapi(openapi::Document::openapi())
        .merge(quick)
        .merge(routes::slow())
        .route_layer(axum::middleware::from_fn_with_state(
            app.clone(),
            access::guard,
        ))
        .split_for_parts();
    let document = Arc::new(openapi::finish(document));
    let docs = SwaggerUi::new("/docs").config(Config::from("/openapi.json").validator_url("none"));
    let docs: Router<Arc<state::App>> = docs.into();
    let docs = docs.layer(axum::middleware::map_response(middleware::for_docs));

    router
        .route(
            "/openapi.json",
            get(move || async move { Json(document.clone()) }),
        )
        .merge(docs)
        .merge(routes::static_files())
        .fallback(|| async { axum::http::StatusCode::NOT_FOUND })
        .layer(DefaultBodyLimit::max(app.config.max_body_bytes))
        .layer(CatchPanicLayer::custom(problem::on_panic))
        .layer(axum::middleware::from_fn_with_state(
            app.clone(),
            cors::cors,
        ))
        .layer(axum::middleware::from_fn(middleware::outermost))
        .with_state(app)
}
