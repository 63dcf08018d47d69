//! Health, readiness and metrics, for those who run it.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{FromRequestParts, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::{
    auth::Auditor,
    problem::Result,
    state::{App, HealthCheck},
};

/// A part that does not answer a check in this time is not ready.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// That the process serves.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Alive {
    /// `ok`.
    status: &'static str,
    /// Of the program.
    version: &'static str,
}

/// Check that the process serves
#[utoipa::path(
    get, path = "/healthz", tag = "operations", security(()),
    responses((status = 200, description = "It does", body = Alive, example = json!({"status": "ok", "version": "0.1.0"})))
)]
pub(crate) async fn healthz() -> Json<Alive> {
    Json(Alive {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// Whether every part works.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Readiness {
    /// `ready` or `not_ready`.
    status: &'static str,
    /// Each part.
    checks: Vec<CheckView>,
}

/// A part.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct CheckView {
    /// Its name.
    name: String,
    /// Whether it works. Why not stands in the server's log.
    ok: bool,
}

/// Check that every part works
///
/// Not ready is whoever cannot do all of it: a log without room on its disk takes nothing, though everything is still read.
#[utoipa::path(
    get, path = "/readyz", tag = "operations", security(()),
    responses(
        (status = 200, description = "All do", body = Readiness, example = json!({"status": "ready", "checks": [{"name": "catalog", "ok": true}, {"name": "log", "ok": true}]})),
        (status = 503, description = "Some do not, or the server stops", body = Readiness),
    )
)]
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Response {
    let mut checks = vec![
        check("catalog", app.catalog.ping()).await,
        check("log", app.log.topics()).await,
    ];
    match tokio::time::timeout(CHECK_TIMEOUT, app.health.checks()).await {
        Ok(more) => checks.extend(more),
        Err(_) => checks.push(HealthCheck::failed("health", "no answer in time")),
    }
    if app.shutdown.is_cancelled() {
        checks.push(HealthCheck::failed("server", "it is stopping"));
    }
    for check in &checks {
        if let Some(failure) = &check.failure {
            tracing::warn!(part = check.name, failure, "not ready");
        }
    }
    let ready = checks.iter().all(|c| c.failure.is_none());
    let body = Readiness {
        status: if ready { "ready" } else { "not_ready" },
        checks: checks
            .into_iter()
            .map(|c| CheckView {
                ok: c.failure.is_none(),
                name: c.name,
            })
            .collect(),
    };
    let status = match ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = (status, Json(body)).into_response();
    // The body says more than a problem could.
    response.extensions_mut().insert(crate::problem::KeepBody);
    response
}

async fn check<T, E: std::fmt::Display>(
    name: &str,
    call: impl Future<Output = std::result::Result<T, E>>,
) -> HealthCheck {
    match tokio::time::timeout(CHECK_TIMEOUT, call).await {
        Ok(Ok(_)) => HealthCheck::ok(name),
        Ok(Err(error)) => HealthCheck::failed(name, error.to_string()),
        Err(_) => HealthCheck::failed(name, "no answer in time"),
    }
}

/// Get metrics
///
/// Prometheus text format. Needs an unlimited key unless `open_metrics` is set.
#[utoipa::path(
    get, path = "/metrics", tag = "operations",
    responses((status = 200, description = "All metrics", body = String, content_type = "text/plain", example = "telesift_api_requests_total{method=\"GET\",route=\"/v1/messages\",status=\"200\"} 17\n"))
)]
pub(crate) async fn metrics(State(app): State<Arc<App>>, request: Request) -> Result<Response> {
    if !app.config.open_metrics {
        let (mut parts, _) = request.into_parts();
        Auditor::from_request_parts(&mut parts, &app).await?;
    }
    let format = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    Ok((format, (app.metrics)()).into_response())
}
