//! The chats messages were seen of, and which models may read them.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use serde::{Deserialize, Serialize};
use telesift_ports::{
    message_store::ChatSummary,
    providers::{ChatSetting, Consent, Enrich},
};
use telesift_schemas::{Chat, ChatId, DecisionKind, Offset};

use crate::{
    auth::{Admin, Reader},
    body::JsonObject,
    cursor::Page,
    params::{Params, parse_closed, path_value},
    problem::{Problem, Result},
    state::App,
};

/// The list's tag in cursors.
const LIST: &str = "chats";

/// A chat, as its newest message shows it.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ChatView {
    /// `{id, title, kind, username}`.
    #[serde(flatten)]
    #[schema(value_type = Object, inline)]
    chat: Chat,
    /// Messages of it, each in its current version.
    n_messages: u64,
    /// The supergroup that this basic group became; its messages go on there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    migrated_to: Option<ChatId>,
    /// The basic group that this supergroup was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    migrated_from: Option<ChatId>,
    /// Which models may read it: `off`, `local` (unless somebody said otherwise), `remote`.
    #[schema(value_type = String)]
    enrich: Enrich,
    /// Whether somebody consented to its texts going to models of others.
    consent: bool,
}

impl ChatView {
    fn new(summary: ChatSummary, links: &[(ChatId, ChatId)], settings: &[ChatSetting]) -> Self {
        let id = summary.chat.id;
        let setting = settings.iter().find(|s| s.chat == id);
        ChatView {
            enrich: setting.map(ChatSetting::effective).unwrap_or_default(),
            consent: setting.is_some_and(|s| s.consent.is_some()),
            migrated_to: links
                .iter()
                .find(|(from, _)| *from == id)
                .map(|(_, to)| *to),
            migrated_from: links
                .iter()
                .find(|(_, to)| *to == id)
                .map(|(from, _)| *from),
            chat: summary.chat,
            n_messages: summary.n_messages,
        }
    }
}

/// List chats, by id
#[utoipa::path(
    get, path = "/v1/chats", tag = "messages",
    params(
        ("limit" = Option<usize>, Query, description = "1..=500, 50 unless given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the last page"),
    ),
    responses((status = 200, description = "A page of chats", body = Page<Object>, example = json!({"items": [{"id": "-1001234567890", "title": "Ops", "kind": "supergroup", "n_messages": 100, "enrich": "local", "consent": false}], "next_cursor": null})))
)]
pub(crate) async fn list(
    Reader(viewer): Reader,
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<Page<ChatView>>> {
    let limit = params.limit()?;
    let after: Option<ChatId> = params.after(LIST)?;
    params.finish()?;
    let mut chats = app.store.seen_by(&viewer).chats().await?;
    chats.sort_unstable_by_key(|c| c.chat.id);
    chats.retain(|c| after.is_none_or(|after| c.chat.id > after));
    let page = Page::cut(chats, limit, LIST, |last| last.chat.id)?;
    let mut links = app.catalog.chat_links().await?;
    // Of a chat that the key may not see, not even the id is told.
    let visible = viewer.visible_chats();
    links.retain(|(from, to)| visible.is_none_or(|v| v.contains(from) && v.contains(to)));
    let settings = app.catalog.chat_settings().await?;
    Ok(Json(
        page.map(|summary| ChatView::new(summary, &links, &settings)),
    ))
}

/// Which models may read a chat.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct ChatPatch {
    /// `off`, `local`, `remote`.
    #[schema(example = "remote")]
    enrich: String,
    /// That its texts may go to models of others; needed for `remote`, and gone with it.
    #[serde(default)]
    consent: bool,
}

/// A chat's setting.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ChatSettingView {
    /// The chat.
    #[schema(value_type = String)]
    id: ChatId,
    /// Which models may read it.
    #[schema(value_type = String)]
    enrich: Enrich,
    /// Who consented to models of others, by the name of the key, and when.
    #[schema(value_type = Option<Object>)]
    consent: Option<Consent>,
}

/// Set which models may read a chat
///
/// `off`: none. `local`: the built-in rules, or a model marked local. `remote`: models of others too, which needs
/// `consent: true` each time it is set. Holds for what is extracted from then on; a chat need not have been seen yet.
#[utoipa::path(
    patch, path = "/v1/chats/{id}", tag = "messages",
    params(("id" = String, Path, description = "Its Bot API id")),
    request_body(content = ChatPatch, example = json!({"enrich": "remote", "consent": true})),
    responses((status = 200, description = "The setting", body = ChatSettingView))
)]
pub(crate) async fn set(
    Admin(viewer): Admin,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    body: JsonObject,
) -> Result<Json<ChatSettingView>> {
    let chat: ChatId = path_value("id", &id)?;
    let patch: ChatPatch = body.into(&["enrich", "consent"])?;
    let enrich: Enrich = parse_closed("enrich", &patch.enrich)?;
    if enrich == Enrich::Remote && !patch.consent {
        return Err(Problem::invalid(
            "consent",
            "`remote` sends the chat's texts to models of others: say `consent: true` with it",
        ));
    }
    let at = app.clock.now();
    // The log first: whatever becomes of the rest, it is projected from there.
    let decision = DecisionKind::ChatSet {
        chat,
        enrich,
        consent: patch.consent && enrich == Enrich::Remote,
        owner: viewer.key.name.clone(),
    };
    let end = app.log.decide(&viewer.key, vec![decision], at).await?;
    let setting = ChatSetting {
        chat,
        enrich,
        consent: (enrich == Enrich::Remote).then(|| Consent {
            by: viewer.key.name.clone(),
            at,
        }),
        updated_at: at,
        decided: Some(Offset(end.0.saturating_sub(1))),
    };
    app.catalog.put_chat_setting(&setting).await?;
    Ok(Json(ChatSettingView {
        id: chat,
        enrich,
        consent: setting.consent,
    }))
}
