//! Imports: an export is spooled, validated and queued; its progress can be followed.

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use telesift_ports::imports::{ImportRequest, ImportStatus};
use tokio::{
    fs::File,
    io::{AsyncWriteExt, BufWriter},
};
use uuid::Uuid;

use crate::{
    auth::Importer,
    cursor::Page,
    openapi::ImportStatusBody,
    params::Params,
    problem::{Code, Problem, Result},
    state::App,
};

/// The list's tag in cursors.
const LIST: &str = "imports";

/// Import an export
///
/// The body is a Telegram Desktop export, machine-readable JSON of one chat or of the whole account. It is spooled and
/// validated from end to end before the answer; a broken file is a 400 `invalid_export` that names `byte_offset` and
/// `cause`, and leaves nothing. The import resumes by itself after a restart.
#[utoipa::path(
    post, path = "/v1/imports", tag = "imports",
    params(
        ("name" = Option<String>, Query, description = "A name for people", example = "ops-2026-01.json"),
        ("chats" = Option<Vec<String>>, Query, description = "Only this chat; repeatable"),
        ("tz" = Option<String>, Query, description = "IANA zone of zone-less dates, `UTC` unless given", example = "Europe/Kyiv"),
    ),
    request_body(content = Vec<u8>, content_type = "application/json", description = "`result.json` as Telegram Desktop wrote it"),
    responses(
        (status = 202, description = "Validated and queued", body = ImportStatusBody),
        (status = 400, description = "`invalid_export`: no usable export", body = crate::openapi::ProblemBody, content_type = "application/problem+json", example = json!({"type": "/errors#invalid_export", "title": "Invalid export", "status": 400, "detail": "expected `,` or `}` (byte 4711); nothing was imported", "instance": "urn:telesift:request:…", "code": "invalid_export", "byte_offset": 4711, "cause": "expected `,` or `}`"})),
    )
)]
pub(crate) async fn upload(
    _importer: Importer,
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    mut params: Params,
    body: Body,
) -> Result<Response> {
    let name = params.one("name")?.filter(|n| !n.trim().is_empty());
    let chats = params.all_parsed("chats", "a chat id such as -1001234567890")?;
    let tz = params.one("tz")?.unwrap_or_else(|| "UTC".to_owned());
    params.finish()?;
    let _permit = app.uploads.try_acquire().map_err(|_| {
        Problem::new(
            Code::Overloaded,
            "enough exports are being uploaded; try again later",
        )
        .retry_after(10)
    })?;
    check_announced_length(&headers, app.config.max_import_bytes)?;

    let spooled = spool(&app, body).await?;
    let request = ImportRequest {
        name: name.map_or_else(|| "export".to_owned(), |n| n.chars().take(200).collect()),
        chats,
        tz,
        file: spooled.path.clone(),
    };
    let status = app.imports.submit(request).await?;
    spooled.hand_over();
    let location = format!("/v1/imports/{}", status.id);
    Ok((
        StatusCode::ACCEPTED,
        [(header::LOCATION, location)],
        Json(status),
    )
        .into_response())
}

fn check_announced_length(headers: &HeaderMap, limit: u64) -> Result<()> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    match announced {
        Some(n_bytes) if n_bytes > limit => Err(too_large(limit)),
        _ => Ok(()),
    }
}

fn too_large(limit: u64) -> Problem {
    Problem::new(
        Code::TooLarge,
        format!("an export may have {limit} bytes at most"),
    )
    .with("limit", limit)
}

/// A file in the spool directory, removed unless it is handed over.
struct Spooled {
    path: PathBuf,
    handed_over: bool,
}

impl Spooled {
    fn hand_over(mut self) {
        self.handed_over = true;
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        // A client that hangs up drops the handler in the middle: the file must not stay either.
        if !self.handed_over
            && let Err(error) = std::fs::remove_file(&self.path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "a refused upload stays in the spool directory");
        }
    }
}

/// Writes the body to a file of the spool directory, durably.
async fn spool(app: &App, body: Body) -> Result<Spooled> {
    let storage = |error: std::io::Error| Problem::unavailable("the import storage", error);
    let directory = app.imports.spool_dir();
    tokio::fs::create_dir_all(&directory)
        .await
        .map_err(storage)?;
    let spooled = Spooled {
        path: directory.join(format!("upload-{}.json", Uuid::now_v7().simple())),
        handed_over: false,
    };
    let file = File::create_new(&spooled.path).await.map_err(storage)?;
    let mut file = BufWriter::with_capacity(256 << 10, file);
    let idle = Duration::from_secs(app.config.upload_idle_s.max(1));
    let mut chunks = body.into_data_stream();
    let mut n_bytes = 0u64;
    loop {
        let next = tokio::time::timeout(idle, chunks.next())
            .await
            .map_err(|_| {
                Problem::new(
                    Code::BodyTimeout,
                    format!("no byte of the export came for {} s", idle.as_secs()),
                )
            })?;
        let Some(chunk) = next else { break };
        let chunk = chunk.map_err(|error| {
            Problem::new(Code::MalformedRequest, "the upload broke off").because(error)
        })?;
        n_bytes += chunk.len() as u64;
        if n_bytes > app.config.max_import_bytes {
            return Err(too_large(app.config.max_import_bytes));
        }
        file.write_all(&chunk).await.map_err(storage)?;
    }
    file.flush().await.map_err(storage)?;
    file.get_ref().sync_all().await.map_err(storage)?;
    Ok(spooled)
}

/// List imports, newest first
#[utoipa::path(
    get, path = "/v1/imports", tag = "imports",
    params(
        ("limit" = Option<usize>, Query, description = "1..=500, 50 unless given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the last page"),
    ),
    responses((status = 200, description = "A page of imports", body = Page<ImportStatusBody>))
)]
pub(crate) async fn list(
    _importer: Importer,
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<Page<ImportStatus>>> {
    let limit = params.limit()?;
    let after: Option<String> = params.after(LIST)?;
    params.finish()?;
    let found = app.imports.list(after.as_deref(), limit + 1).await?;
    Page::cut(found, limit, LIST, |last| last.id.clone()).map(Json)
}

/// Get an import
///
/// `done` = all its messages are appended, durably.
#[utoipa::path(
    get, path = "/v1/imports/{id}", tag = "imports",
    params(("id" = String, Path, description = "The import")),
    responses((status = 200, description = "Where it stands", body = ImportStatusBody))
)]
pub(crate) async fn status(
    _importer: Importer,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<ImportStatus>> {
    params.finish()?;
    let status = app.imports.status(&id).await?;
    status
        .map(Json)
        .ok_or_else(|| Problem::not_found("import", id))
}
