//! A [`MessageFilter`] as SQL over the columns of `messages`: the same rule as [`MessageFilter::matches`], applied before
//! ranking.

use std::collections::{BTreeMap, BTreeSet};

use telesift_ports::{message_store::MessageFilter, providers::KeptHere};
use telesift_schemas::{ChatId, Class, MessageKey, MessageKind, Timestamp};

use crate::schema::columns as col;

/// What rows to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Predicate {
    /// None can pass.
    Nothing,
    /// Those that pass all of these; all rows, where there is none.
    All(Vec<String>),
}

impl Predicate {
    /// No restriction.
    pub(crate) fn everything() -> Self {
        Predicate::All(Vec::new())
    }

    /// One more condition.
    pub(crate) fn and(mut self, condition: String) -> Self {
        if let Predicate::All(conditions) = &mut self {
            conditions.push(condition);
        }
        self
    }

    /// Only of these chats.
    pub(crate) fn in_chats(self, chats: &[ChatId]) -> Self {
        match chats {
            [] => Predicate::Nothing,
            _ => self.and(integers(col::CHAT_ID, chats.iter().map(|c| c.0))),
        }
    }

    /// Only of chats whose texts may leave: the rule of [`KeptHere::keeps`].
    pub(crate) fn not_kept(mut self, kept: &KeptHere) -> Self {
        let set: Vec<i64> = kept.set().map(|chat| chat.0).collect();
        if !set.is_empty() {
            let is_set = integers(col::CHAT_ID, set.into_iter());
            self = self.and(format!("NOT ({is_set})"));
        }
        let consenting: Vec<i64> = kept.consenting().map(|chat| chat.0).collect();
        let is_no_persons = format!("{} <= 0", col::CHAT_ID);
        self.and(match consenting.is_empty() {
            true => is_no_persons,
            false => {
                let consents = integers(col::CHAT_ID, consenting.into_iter());
                format!("({is_no_persons} OR {consents})")
            }
        })
    }

    /// Only these messages.
    pub(crate) fn among(self, only: &[MessageKey]) -> Self {
        let mut chats: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
        for key in only {
            chats.entry(key.chat.0).or_default().insert(key.message_id);
        }
        let chats = chats.into_iter().map(|(chat, ids)| {
            let ids = integers(col::MESSAGE_ID, ids.into_iter());
            format!("({} = {} AND {ids})", col::CHAT_ID, integer(chat))
        });
        let chats: Vec<String> = chats.collect();
        match chats.is_empty() {
            true => Predicate::Nothing,
            false => self.and(format!("({})", chats.join(" OR "))),
        }
    }

    /// Only `since..until`.
    pub(crate) fn within(mut self, since: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        if let Some(t) = since {
            self = self.and(format!("{} >= {}", col::EVENT_TIME, micros_up(t)));
        }
        if let Some(t) = until {
            self = self.and(format!("{} < {}", col::EVENT_TIME, micros_up(t)));
        }
        self
    }

    /// As SQL; `None` for all rows. Not to be asked of [`Predicate::Nothing`], which has no SQL.
    pub(crate) fn sql(&self) -> Option<String> {
        match self {
            Predicate::Nothing => Some("false".to_owned()),
            Predicate::All(conditions) if conditions.is_empty() => None,
            Predicate::All(conditions) => Some(conditions.join(" AND ")),
        }
    }
}

impl From<&MessageFilter> for Predicate {
    fn from(filter: &MessageFilter) -> Self {
        let mut predicate = Predicate::everything().within(filter.since, filter.until);
        if let Some(visible) = &filter.visible_chats {
            predicate = predicate.in_chats(visible);
        }
        if !filter.chats.is_empty() {
            predicate = predicate.in_chats(&filter.chats);
        }
        if let Some(only) = &filter.only {
            predicate = predicate.among(only);
        }
        if !filter.authors.is_empty() {
            let authors = filter.authors.iter().map(|a| a.0);
            predicate = predicate.and(integers(col::AUTHOR_ID, authors));
        }
        let classes = filter.classes.iter().map(|c| c.as_str());
        if !filter.classes.is_empty() {
            predicate = predicate.and(texts(col::CLASS, classes));
        } else if !filter.include_noise && !filter.kinds.contains(&MessageKind::Deleted) {
            let quiet = [Class::WeakSignal, Class::Signal].map(Class::as_str);
            predicate = predicate.and(texts(col::CLASS, quiet));
        }
        if filter.kinds.is_empty() {
            let deleted = quoted(MessageKind::Deleted.as_str());
            predicate = predicate.and(format!("{} != {deleted}", col::KIND));
        } else {
            predicate = predicate.and(texts(col::KIND, filter.kinds.iter().map(|k| k.as_str())));
        }
        if !filter.langs.is_empty() {
            predicate = predicate.and(texts(col::LANG, filter.langs.iter().map(String::as_str)));
        }
        if !filter.flags.is_empty() {
            let wanted: Vec<String> = filter.flags.iter().map(|f| quoted(f)).collect();
            let wanted = wanted.join(", ");
            predicate = predicate.and(format!("array_has_any({}, [{wanted}])", col::FLAGS));
        }
        match filter.min_score {
            // Nothing is at least NaN.
            Some(min) if min.is_nan() || min == f64::INFINITY => Predicate::Nothing,
            Some(min) if min.is_finite() => predicate.and(format!("{} >= {min:?}", col::SCORE)),
            _ => predicate,
        }
    }
}

/// `column IN (…)`; `values` must hold at least one.
pub(crate) fn integers(column: &str, values: impl Iterator<Item = i64>) -> String {
    let values: Vec<String> = values.map(integer).collect();
    match &values[..] {
        [one] => format!("{column} = {one}"),
        many => format!("{column} IN ({})", many.join(", ")),
    }
}

/// `column IN (…)`; `values` must hold at least one.
pub(crate) fn texts<'a>(column: &str, values: impl IntoIterator<Item = &'a str>) -> String {
    let values: Vec<String> = values.into_iter().map(quoted).collect();
    match &values[..] {
        [one] => format!("{column} = {one}"),
        many => format!("{column} IN ({})", many.join(", ")),
    }
}

/// SQL has no literal for the smallest integer: its digits alone do not fit. It is no id either, so that the next one
/// says the same.
pub(crate) fn integer(value: i64) -> String {
    value.max(-i64::MAX).to_string()
}

/// A text literal: quotes doubled, nothing else is special.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Microseconds since 1970, rounded up: stored times are whole microseconds, so `time >= t` and `time < t` stay exact.
fn micros_up(t: Timestamp) -> i64 {
    let micros = t.as_nanosecond().div_euclid(1000);
    let up = i128::from(t.as_nanosecond().rem_euclid(1000) > 0);
    i64::try_from(micros + up).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_cannot_end_a_literal() {
        let filter = MessageFilter {
            langs: vec!["uk' OR '1'='1".to_owned()],
            include_noise: true,
            ..MessageFilter::default()
        };
        let sql = Predicate::from(&filter).sql();
        let wanted = "kind != 'deleted' AND lang = 'uk'' OR ''1''=''1'";
        assert_eq!(sql.as_deref(), Some(wanted));
    }

    #[test]
    fn a_key_that_sees_no_chat_sees_nothing() {
        let filter = MessageFilter {
            visible_chats: Some(Vec::new()),
            chats: vec![ChatId(5)],
            ..MessageFilter::default()
        };
        assert_eq!(Predicate::from(&filter), Predicate::Nothing);
    }

    #[test]
    fn bounds_between_microseconds_are_rounded_up() {
        let t = Timestamp::from_nanosecond(1_500).expect("in range");
        assert_eq!(micros_up(t), 2);
        let t = Timestamp::from_nanosecond(-1_500).expect("in range");
        assert_eq!(micros_up(t), -1);
        let t = Timestamp::from_nanosecond(2_000).expect("in range");
        assert_eq!(micros_up(t), 2);
    }
}
