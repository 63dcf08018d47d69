//! Feedback: labels given, listed, taken back.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Serialize;
use serde_json::{Map, Value};
use telesift_ports::{
    catalog::{LABELS_STAGE, LabelFilter, LabelRow, in_force},
    ledger::StageKey,
};
use telesift_schemas::{ChatId, Class, Message, MessageKey, Offset, Timestamp};
use tokio::time::Instant;

use super::messages::missing;
use crate::{
    auth::{Reviewer, Viewer},
    body::JsonObject,
    cursor::Page,
    labels::LabelView,
    params::{Params, parse_closed, parse_value, path_value, reject_unknown_fields},
    problem::{Code, Problem, Result},
    state::App,
    visible::{Change, decisions},
};

/// The list's tag in cursors.
const LIST: &str = "feedback";
/// How often the projection is looked at while it is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

const A_MESSAGE: &str = "a message id such as -1001234567890:42";
const A_CHAT: &str = "a chat id such as -1001234567890";

/// A label to be given.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "documents what `Given` reads")]
pub(crate) struct NewFeedback {
    /// The message, `<chat id>:<message id>`.
    #[schema(example = "-1001234567890:42")]
    message: String,
    /// `noise`, `weak_signal`, `signal`; `null` takes it back; absent leaves it as it is.
    class: Option<String>,
    /// Whether it is spam; `null` takes it back; absent leaves it as it is.
    spam: Option<bool>,
    /// The version that was read (the message's `edit`): a 409 if it was edited since. Absent: the current one.
    edit: Option<i64>,
}

const FIELDS: &[&str] = &["message", "class", "spam", "edit"];

/// What is now in force of a message version.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct FeedbackAnswer {
    /// The message.
    #[schema(value_type = String)]
    message: MessageKey,
    /// Its version.
    edit: i64,
    /// As the message shows it: everybody's word taken together; `null` where nobody says anything any more.
    label: Option<LabelView>,
}

/// One owner's label of a message version.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct FeedbackView {
    /// The message.
    #[schema(value_type = String)]
    message: MessageKey,
    /// Its chat.
    #[schema(value_type = String)]
    chat: ChatId,
    /// Its version.
    edit: i64,
    /// `noise`, `weak_signal`, `signal`; `null` where not said.
    #[schema(value_type = Option<String>)]
    class: Option<Class>,
    /// Whether it is spam; `null` where not said.
    spam: Option<bool>,
    /// Whose label, by the name of the key.
    by: String,
    /// When it was given.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// With `?texts=true`, the text of that version; `null` where it is not stored (yet, or any more).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    text: Option<Option<String>>,
    /// With `?texts=true`, its language.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    lang: Option<Option<String>>,
}

impl From<LabelRow> for FeedbackView {
    fn from(row: LabelRow) -> Self {
        FeedbackView {
            message: row.message,
            chat: row.message.chat,
            edit: row.edit,
            class: row.class,
            spam: row.spam,
            by: row.owner,
            at: row.at,
            text: None,
            lang: None,
        }
    }
}

/// Label a message
///
/// One label per key owner and message version; the last wins. The owner is the name of the key: a key that replaces
/// another under the same name goes on with its labels. An edit of the message is another version, without label. Of
/// several owners the latest counts, for `class` and for `spam` each. The same label again changes nothing. The answer
/// comes once the decision is durable, and normally once lists and searches go by it.
#[utoipa::path(
    post, path = "/v1/feedback", tag = "feedback",
    request_body(content = NewFeedback, example = json!({"message": "-1001234567890:42", "class": "signal"})),
    responses((status = 200, description = "The label now in force", body = FeedbackAnswer, example = json!({"message": "-1001234567890:42", "edit": 0, "label": {"class": "signal", "spam": null, "by": "Olena's notebook", "at": "2026-01-05T10:02:11Z"}})))
)]
pub(crate) async fn give(
    Reviewer(viewer): Reviewer,
    State(app): State<Arc<App>>,
    body: JsonObject,
) -> Result<Json<FeedbackAnswer>> {
    let given = Given::read(&body.0)?;
    let message = app.store.seen_by(&viewer).get(&given.message).await?;
    let message = message.ok_or_else(|| missing(&given.message))?;
    if given.edit.is_some_and(|edit| edit != message.edit) {
        let detail = format!("`{}` was edited meanwhile: read it again", message.id);
        return Err(Problem::new(Code::Conflict, detail).with("edit", message.edit));
    }
    say(&app, &viewer, &message, given.change).await.map(Json)
}

/// Take a label back
///
/// One's own, of the current version: class and spam. Others' labels stay. Doing so again changes nothing.
#[utoipa::path(
    delete, path = "/v1/feedback/{id}", tag = "feedback",
    params(("id" = String, Path, description = "`<chat id>:<message id>`", example = "-1001234567890:42")),
    responses((status = 204, description = "The key's owner says nothing of it any more"))
)]
pub(crate) async fn take_back(
    Reviewer(viewer): Reviewer,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    params: Params,
) -> Result<StatusCode> {
    params.finish()?;
    let key: MessageKey = path_value("id", &id)?;
    let message = app.store.seen_by(&viewer).get(&key).await?;
    let message = message.ok_or_else(|| missing(&key))?;
    let nothing = Change {
        class: Some(None),
        spam: Some(None),
    };
    say(&app, &viewer, &message, nothing).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List labels, the last given first
///
/// One per owner and message version; those taken back are left out. Different parameters are AND; one repeated is OR.
#[utoipa::path(
    get, path = "/v1/feedback", tag = "feedback",
    params(
        ("message" = Option<Vec<String>>, Query, description = "Of this message", example = json!(["-1001234567890:42"])),
        ("class" = Option<Vec<String>>, Query, description = "Giving this class: `noise`, `weak_signal`, `signal`"),
        ("chat" = Option<Vec<String>>, Query, description = "In this chat"),
        ("by" = Option<Vec<String>>, Query, description = "Of this owner, by the name of the key"),
        ("texts" = Option<bool>, Query, description = "Adds `text` and `lang` of the labelled version"),
        ("limit" = Option<usize>, Query, description = "1..=500, 50 unless given"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the last page"),
    ),
    responses((status = 200, description = "A page of labels", body = Page<FeedbackView>, example = json!({"items": [{"message": "-1001234567890:42", "chat": "-1001234567890", "edit": 0, "class": "signal", "spam": null, "by": "Olena's notebook", "at": "2026-01-05T10:02:11Z"}], "next_cursor": null})))
)]
pub(crate) async fn list(
    Reviewer(viewer): Reviewer,
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<Page<FeedbackView>>> {
    let filter = LabelFilter {
        messages: params.all_parsed("message", A_MESSAGE)?,
        classes: params.all_closed("class")?,
        chats: params.all_parsed("chat", A_CHAT)?,
        owners: params.all("by"),
        visible_chats: viewer.visible_chats().map(<[ChatId]>::to_vec),
    };
    let with_texts = params.flag("texts")?;
    let limit = params.limit()?;
    let before: Option<u64> = params.after(LIST)?;
    params.finish()?;
    let before = before.map(Offset);
    let found = app.catalog.labels(&filter, before, limit + 1).await?;
    let page = Page::cut(found, limit, LIST, |last| last.decided.0)?;
    let mut page = page.map(FeedbackView::from);
    if with_texts {
        add_texts(&app, &viewer, &mut page.items).await?;
    }
    Ok(Json(page))
}

/// What a request says.
struct Given {
    message: MessageKey,
    edit: Option<i64>,
    change: Change,
}

impl Given {
    /// A member that is `null` is not one that is absent, so the object is read by hand.
    fn read(body: &Map<String, Value>) -> Result<Self> {
        reject_unknown_fields(body, FIELDS)?;
        let message = match body.get("message") {
            Some(Value::String(id)) => parse_value("message", id, A_MESSAGE)?,
            _ => return Err(expected("message", A_MESSAGE)),
        };
        let class = match body.get("class") {
            None => None,
            Some(Value::Null) => Some(None),
            Some(Value::String(name)) => Some(Some(parse_closed("class", name)?)),
            Some(_) => {
                return Err(expected(
                    "class",
                    "`noise`, `weak_signal`, `signal` or `null`",
                ));
            }
        };
        let spam = match body.get("spam") {
            None => None,
            Some(Value::Null) => Some(None),
            Some(Value::Bool(spam)) => Some(Some(*spam)),
            Some(_) => return Err(expected("spam", "`true`, `false` or `null`")),
        };
        let edit = match body.get("edit") {
            None | Some(Value::Null) => None,
            Some(edit) => Some(edit.as_i64().ok_or_else(|| {
                expected("edit", "the message's `edit`, a number of unix seconds")
            })?),
        };
        let change = Change { class, spam };
        if change == Change::default() {
            return Err(Problem::invalid(
                "class",
                "give `class`, `spam` or both; `null` takes one back",
            ));
        }
        Ok(Given {
            message,
            edit,
            change,
        })
    }
}

fn expected(field: &str, what: &str) -> Problem {
    Problem::invalid(field, format!("`{field}`: expected {what}"))
}

/// Appends what the viewer says, waits until it counts, and tells what is in force.
async fn say(
    app: &App,
    viewer: &Viewer,
    message: &Message,
    change: Change,
) -> Result<FeedbackAnswer> {
    let now = app.clock.now();
    let (own, appended) = app.log.label(&viewer.key, message, change, now).await?;
    if appended {
        wait_until_projected(app, own.decided).await?;
    }
    // The viewer's own word as the log has it, which the catalog may not have taken yet.
    let mut labels = app.catalog.labels_of(&[message.id]).await?;
    labels.retain(|l| l.edit == own.edit && l.owner != own.owner);
    labels.push(own);
    let found = in_force(labels).into_iter().next();
    Ok(FeedbackAnswer {
        message: message.id,
        edit: message.edit,
        label: found.and_then(|f| f.label).map(LabelView::from),
    })
}

/// Waits until the stage has taken the decision, for a while: it is durable already, so being late is no error.
async fn wait_until_projected(app: &App, decided: Offset) -> Result<()> {
    let stage = StageKey {
        stage: LABELS_STAGE.to_owned(),
        input: decisions(),
    };
    let give_up = Instant::now() + Duration::from_millis(app.config.label_wait_ms);
    while Instant::now() < give_up {
        let state = app.catalog.stage_state(&stage).await?;
        if state.is_some_and(|s| s.next > decided) {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Adds what was labelled: of the current version, or of a superseded one.
async fn add_texts(app: &App, viewer: &Viewer, items: &mut [FeedbackView]) -> Result<()> {
    let store = app.store.seen_by(viewer);
    let keys: Vec<MessageKey> = items.iter().map(|i| i.message).collect();
    let mut versions: HashMap<(MessageKey, i64), (String, String)> = HashMap::new();
    let mut add = |message: Message| {
        let version = (message.id, message.edit);
        versions.insert(version, (message.text, message.lang));
    };
    let mut current: HashMap<MessageKey, i64> = HashMap::new();
    for message in store.get_many(&keys).await? {
        current.insert(message.id, message.edit);
        add(message);
    }
    let superseded = items.iter().filter(|i| {
        let current = current.get(&i.message);
        current.is_some_and(|edit| *edit != i.edit)
    });
    for item in superseded {
        store
            .history(&item.message)
            .await?
            .into_iter()
            .for_each(&mut add);
    }
    for item in items {
        let found = versions.get(&(item.message, item.edit)).cloned();
        let (text, lang) = found.unzip();
        (item.text, item.lang) = (Some(text), Some(lang));
    }
    Ok(())
}
