//! How well an extractor does on conversations whose claims are known.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use telesift_ports::{
    Extractor,
    extractor::{Claim, ExtractError, Unit, UnitMessage},
};
use telesift_schemas::{
    AtomKind, Chat, ChatId, ChatKind, ExtractorRef, MessageKey, Offset, Origin, PartitionId,
    Timestamp, Topic, Usage,
};

/// A conversation with what stands in it; one per line of a file of labels.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Conversation {
    /// A name, for the list of mistakes.
    pub name: String,
    /// Language of its messages.
    pub lang: String,
    /// What kind of chat it is; a supergroup unless said otherwise.
    #[serde(default = "supergroup")]
    pub chat_kind: ChatKind,
    /// Its messages, in order.
    pub messages: Vec<Line>,
    /// What an analyst would claim.
    pub expect: Vec<Expected>,
}

/// A message of a conversation.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Its id.
    pub id: i64,
    /// Who wrote it.
    #[serde(default)]
    pub author: Option<String>,
    /// The message it answers.
    #[serde(default)]
    pub reply_to: Option<i64>,
    /// How important the screen would find it; 0.8 unless said otherwise.
    #[serde(default = "important")]
    pub score: f64,
    /// Its text.
    pub text: String,
}

/// A claim that should be found.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Of this kind, or of one of these.
    pub kind: OneOrMore,
    /// Standing in this message.
    pub message: i64,
    /// Words that belong to its evidence, where only one place will do.
    #[serde(default)]
    pub words: Option<String>,
    /// Its subject, where only one will do: any of these names, whatever their case.
    #[serde(default)]
    pub subject: Vec<String>,
}

/// One kind, or several of which each is right.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub enum OneOrMore {
    /// One.
    One(AtomKind),
    /// Several.
    More(Vec<AtomKind>),
}

impl OneOrMore {
    fn has(&self, kind: AtomKind) -> bool {
        match self {
            OneOrMore::One(one) => *one == kind,
            OneOrMore::More(more) => more.contains(&kind),
        }
    }

    fn first(&self) -> Option<AtomKind> {
        match self {
            OneOrMore::One(one) => Some(*one),
            OneOrMore::More(more) => more.first().copied(),
        }
    }
}

/// What came of an evaluation.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Who was measured.
    pub extractor: Option<ExtractorRef>,
    /// Conversations read.
    pub conversations: usize,
    /// Over all kinds.
    pub all: Score,
    /// By kind, as expected or, of what nobody expected, as claimed.
    pub kinds: BTreeMap<&'static str, Score>,
    /// By language.
    pub langs: BTreeMap<String, Score>,
    /// Quotes given.
    pub quotes: usize,
    /// Of these, those that stand literally in the message they name.
    pub quotes_valid: usize,
    /// Expected claims found whose subject was stated.
    pub subjects: usize,
    /// Of these, those with the right one.
    pub subjects_right: usize,
    /// What asking cost.
    pub usage: Usage,
    /// Units the extractor gave no answer for, and why.
    pub failed: Vec<String>,
    /// What was missed or claimed wrongly.
    pub mistakes: Vec<Mistake>,
}

/// Claims expected and found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Score {
    /// Expected and claimed.
    pub found: usize,
    /// Expected, not claimed.
    pub missed: usize,
    /// Claimed, not expected.
    pub invented: usize,
}

impl Score {
    /// Found among claimed, 0..1; 1 where nothing was claimed.
    pub fn precision(&self) -> f64 {
        ratio(self.found, self.found + self.invented)
    }

    /// Found among expected, 0..1; 1 where nothing was expected.
    pub fn recall(&self) -> f64 {
        ratio(self.found, self.found + self.missed)
    }

    /// Harmonic mean of both.
    pub fn f1(&self) -> f64 {
        let (p, r) = (self.precision(), self.recall());
        if p + r == 0.0 {
            0.0
        } else {
            2.0 * p * r / (p + r)
        }
    }
}

/// A claim missed or made wrongly.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mistake {
    /// The conversation.
    pub conversation: String,
    /// Whether it was expected and not claimed, or the other way round.
    pub what: Wrong,
    /// Of which kind.
    pub kind: AtomKind,
    /// In which message.
    pub message: i64,
    /// The title claimed, or the words expected.
    pub text: String,
}

/// Which way a claim is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wrong {
    /// Expected, not claimed.
    Missed,
    /// Claimed, not expected.
    Invented,
    /// Claimed as expected, but of another subject.
    Subject,
}

/// Why a file of labels cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct LabelError {
    /// From 1.
    pub line: usize,
    /// The parser's words.
    pub reason: String,
}

/// The conversations of a file, one JSON object a line; empty lines and lines that begin with `//` are left out.
///
/// # Errors
/// The first line that is none.
pub fn conversations(text: &str) -> Result<Vec<Conversation>, LabelError> {
    let mut conversations = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with("//") {
            continue;
        }
        let refused = |reason: String| LabelError {
            line: i + 1,
            reason,
        };
        let conversation: Conversation =
            serde_json::from_str(line).map_err(|e| refused(e.to_string()))?;
        let ids: BTreeSet<i64> = conversation.messages.iter().map(|m| m.id).collect();
        if let Some(stray) = conversation
            .expect
            .iter()
            .find(|e| !ids.contains(&e.message))
        {
            return Err(refused(format!(
                "message {} is expected to claim something, but is not there",
                stray.message
            )));
        }
        if ids.is_empty() {
            return Err(refused("a conversation without messages".to_owned()));
        }
        conversations.push(conversation);
    }
    Ok(conversations)
}

/// Asks `extractor` about each conversation and compares. `progress` is told after each how many are done.
pub async fn evaluate(
    extractor: &dyn Extractor,
    conversations: &[Conversation],
    mut progress: impl FnMut(usize),
) -> Report {
    let mut report = Report {
        extractor: None,
        conversations: conversations.len(),
        all: Score::default(),
        kinds: BTreeMap::new(),
        langs: BTreeMap::new(),
        quotes: 0,
        quotes_valid: 0,
        subjects: 0,
        subjects_right: 0,
        usage: Usage::default(),
        failed: Vec::new(),
        mistakes: Vec::new(),
    };
    for (i, conversation) in conversations.iter().enumerate() {
        match extractor.extract(&conversation.unit()).await {
            Ok(answer) => {
                report.usage += answer.usage;
                report.extractor = Some(answer.by);
                report.compare(conversation, &answer.claims);
            }
            Err(ExtractError::Off) => report.compare(conversation, &[]),
            Err(error) => {
                report
                    .failed
                    .push(format!("{}: {error}", conversation.name));
                report.compare(conversation, &[]);
            }
        }
        progress(i + 1);
    }
    report
}

impl Conversation {
    /// As an extractor is given it.
    pub fn unit(&self) -> Unit {
        let chat = ChatId(-1_002_999_999_001);
        let message = |(i, line): (usize, &Line)| UnitMessage {
            id: MessageKey {
                chat,
                message_id: line.id,
            },
            edit: 0,
            origin: Origin {
                topic: Topic::TELEGRAM_RAW,
                partition: PartitionId(0),
                offset: Offset(i as u64),
            },
            event_time: Timestamp::UNIX_EPOCH,
            author: line.author.clone(),
            reply_to: line.reply_to,
            text: line.text.clone(),
            lang: self.lang.clone(),
            score: line.score,
        };
        Unit {
            id: self.name.clone(),
            chat: Chat {
                id: chat,
                title: Some(self.name.clone()),
                kind: self.chat_kind,
                username: None,
            },
            messages: self.messages.iter().enumerate().map(message).collect(),
            subjects: Vec::new(),
        }
    }

    fn text_of(&self, id: i64) -> Option<&str> {
        let line = self.messages.iter().find(|m| m.id == id)?;
        Some(&line.text)
    }
}

impl Report {
    fn compare(&mut self, conversation: &Conversation, claims: &[Claim]) {
        for quote in claims.iter().flat_map(|c| &c.quotes) {
            self.quotes += 1;
            let text = conversation.text_of(quote.message_id);
            let is_valid =
                !quote.quote.is_empty() && text.is_some_and(|t| t.contains(&quote.quote));
            self.quotes_valid += usize::from(is_valid);
        }
        let mut left: Vec<&Claim> = claims.iter().collect();
        for expected in &conversation.expect {
            let Some(kind) = expected.kind.first() else {
                continue;
            };
            match left.iter().position(|claim| is_same(expected, claim)) {
                Some(at) => {
                    let claim = left.remove(at);
                    self.count(conversation, kind, |score| score.found += 1);
                    self.compare_subject(conversation, expected, claim);
                }
                None => {
                    self.count(conversation, kind, |score| score.missed += 1);
                    let text = expected.words.clone();
                    let text =
                        text.or_else(|| conversation.text_of(expected.message).map(str::to_owned));
                    self.note(conversation, Wrong::Missed, kind, expected.message, text);
                }
            }
        }
        for claim in left {
            self.count(conversation, claim.kind, |score| score.invented += 1);
            let message = claim.quotes.first().map_or(0, |q| q.message_id);
            let title = Some(claim.title.clone());
            self.note(conversation, Wrong::Invented, claim.kind, message, title);
        }
    }

    fn count(&mut self, conversation: &Conversation, kind: AtomKind, add: impl Fn(&mut Score)) {
        add(&mut self.all);
        add(self.kinds.entry(kind.as_str()).or_default());
        add(self.langs.entry(conversation.lang.clone()).or_default());
    }

    fn compare_subject(&mut self, conversation: &Conversation, expected: &Expected, claim: &Claim) {
        if expected.subject.is_empty() {
            return;
        }
        self.subjects += 1;
        let claimed = claim.subject.as_deref().unwrap_or_default().to_lowercase();
        let is_right = expected.subject.iter().any(|s| s.to_lowercase() == claimed);
        self.subjects_right += usize::from(is_right);
        if !is_right {
            let text = format!("`{claimed}`, not `{}`", expected.subject.join("` or `"));
            self.note(
                conversation,
                Wrong::Subject,
                claim.kind,
                expected.message,
                Some(text),
            );
        }
    }

    fn note(
        &mut self,
        conversation: &Conversation,
        what: Wrong,
        kind: AtomKind,
        message: i64,
        text: Option<String>,
    ) {
        self.mistakes.push(Mistake {
            conversation: conversation.name.clone(),
            what,
            kind,
            message,
            text: text.unwrap_or_default(),
        });
    }
}

fn is_same(expected: &Expected, claim: &Claim) -> bool {
    expected.kind.has(claim.kind)
        && claim.quotes.iter().any(|quote| {
            let words = expected.words.as_deref();
            quote.message_id == expected.message && words.is_none_or(|w| quote.quote.contains(w))
        })
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        1.0
    } else {
        part as f64 / whole as f64
    }
}

fn supergroup() -> ChatKind {
    ChatKind::Supergroup
}

fn important() -> f64 {
    0.8
}
