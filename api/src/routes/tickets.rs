//! Tickets for streams of browsers, which cannot set headers there.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use telesift_schemas::Timestamp;

use crate::{auth::Reader, body::JsonObject, problem::Result, state::App};

/// A ticket.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct TicketView {
    /// To be sent as `?ticket=`.
    ticket: String,
    /// It opens one stream until then. The stream's own reconnects with `Last-Event-ID` are accepted longer: while the
    /// key lives, at most 12 h.
    #[schema(value_type = String)]
    expires_at: Timestamp,
}

/// Get a ticket for one stream
///
/// Valid 30 s to open one tail or stream.
#[utoipa::path(
    post, path = "/v1/tickets", tag = "live",
    responses((status = 201, description = "The ticket", body = TicketView, example = json!({"ticket": "kP3…", "expires_at": "2026-01-05T10:00:30Z"})))
)]
pub(crate) async fn issue(
    Reader(viewer): Reader,
    State(app): State<Arc<App>>,
    body: JsonObject,
) -> Result<Response> {
    let _: serde_json::Value = body.into(&[])?;
    let issued = app.tickets.issue(&viewer).await?;
    let view = TicketView {
        ticket: issued.ticket,
        expires_at: issued.expires_at,
    };
    Ok((StatusCode::CREATED, Json(view)).into_response())
}
