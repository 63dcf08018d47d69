//! Filters over messages, from query parameters and from JSON.

use serde::{Deserialize, Serialize};
use telesift_ports::message_store::MessageFilter;
use telesift_schemas::{ChatId, Timestamp};

use super::{Params, parse_closed, parse_value};
use crate::problem::{Problem, Result};

/// What a list or search is narrowed to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct MessageQuery {
    /// For the store and the tail.
    pub(crate) filter: MessageFilter,
    /// Subjects of the knowledge base, by id.
    pub(crate) subjects: Vec<String>,
}

const A_CHAT: &str = "a chat id such as -1001234567890";
const AN_AUTHOR: &str = "an author's id such as 777";

impl MessageQuery {
    /// Takes the filters of `GET /v1/messages` but `subject`, which the tail does not know.
    pub(crate) fn of_tail(params: &mut Params) -> Result<MessageFilter> {
        let min_score = params.parsed("min_score", "a number from 0 to 1")?;
        let filter = MessageFilter {
            chats: params.all_parsed("chat", A_CHAT)?,
            authors: params.all_parsed("author", AN_AUTHOR)?,
            classes: params.all_closed("class")?,
            min_score: min_score.map(valid_score).transpose()?,
            langs: params.all("lang"),
            kinds: params.all_closed("kind")?,
            flags: params.all("flag"),
            since: params.time("since")?,
            until: params.time("until")?,
            include_noise: params.flag("include_noise")?,
            visible_chats: None,
            only: None,
        };
        Ok(filter)
    }

    /// Takes the filters of `GET /v1/messages`.
    pub(crate) fn of_list(params: &mut Params) -> Result<MessageQuery> {
        Ok(MessageQuery {
            filter: Self::of_tail(params)?,
            subjects: params.all("subject"),
        })
    }
}

fn valid_score(score: f64) -> Result<f64> {
    if (0.0..=1.0).contains(&score) {
        return Ok(score);
    }
    Err(Problem::invalid(
        "min_score",
        format!("`min_score` is a number from 0 to 1, not {score}"),
    ))
}

/// The member `filter` of a search.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub(crate) struct FilterBody {
    /// In these chats.
    #[schema(example = json!(["-1001234567890"]))]
    chats: Vec<String>,
    /// By these authors.
    authors: Vec<String>,
    /// `noise`, `weak_signal`, `signal`. Empty: all but noise.
    classes: Vec<String>,
    /// At least this score, 0..1.
    min_score: Option<f64>,
    /// In these languages (ISO 639-1, or `und`).
    langs: Vec<String>,
    /// Of these kinds; deleted messages are left out unless `deleted` is among them.
    kinds: Vec<String>,
    /// With at least one of these flags.
    flags: Vec<String>,
    /// On these subjects.
    subjects: Vec<String>,
    /// Sent at or after.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<String>,
    /// Sent before.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<String>,
    /// Noise too.
    include_noise: bool,
}

impl FilterBody {
    /// The members it knows.
    pub(crate) const FIELDS: &'static [&'static str] = &[
        "chats",
        "authors",
        "classes",
        "min_score",
        "langs",
        "kinds",
        "flags",
        "subjects",
        "since",
        "until",
        "include_noise",
    ];

    /// # Errors
    /// 400 naming the member that is not valid.
    pub(crate) fn into_query(self) -> Result<MessageQuery> {
        let ids = |name, expected, texts: &[String]| -> Result<Vec<ChatId>> {
            texts
                .iter()
                .map(|t| parse_value(name, t, expected))
                .collect()
        };
        let time = |name, text: Option<String>| -> Result<Option<Timestamp>> {
            text.map(|t| super::parse_time(name, &t)).transpose()
        };
        let filter = MessageFilter {
            chats: ids("filter.chats", A_CHAT, &self.chats)?,
            authors: ids("filter.authors", AN_AUTHOR, &self.authors)?,
            classes: closed("filter.classes", &self.classes)?,
            min_score: self.min_score.map(valid_score).transpose()?,
            langs: self.langs,
            kinds: closed("filter.kinds", &self.kinds)?,
            flags: self.flags,
            since: time("filter.since", self.since)?,
            until: time("filter.until", self.until)?,
            include_noise: self.include_noise,
            visible_chats: None,
            only: None,
        };
        Ok(MessageQuery {
            filter,
            subjects: self.subjects,
        })
    }
}

fn closed<T: super::Closed>(name: &str, values: &[String]) -> Result<Vec<T>> {
    values.iter().map(|v| parse_closed(name, v)).collect()
}
