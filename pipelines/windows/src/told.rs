//! A record of `messages` in, a row out: what of a message the windows go by.

use std::borrow::Cow;

use serde::Deserialize;
use telesift_schemas::{Class, MessageKey, MessageKind, Offset, Timestamp, flags};
use telesift_text::topical_words;

/// A message as the windows know it: its current version. Stored, so that an edit can take back what it replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The message.
    pub key: MessageKey,
    /// Its version: the greatest is current. See `Message::version`.
    pub version: (i64, u64),
    /// When it was sent.
    pub event_time: Timestamp,
    /// What it counts for; `None` once it is deleted.
    pub said: Option<Said>,
}

/// What a message counts for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// As screened.
    pub class: Class,
    /// Its score in millionths, rounded.
    pub score_millionths: u32,
    /// A bit for each flag that is counted, in the order of [`crate::Flag::ALL`].
    pub flags: u8,
    /// Its topical terms, one space between them; empty of noise, which is no trend.
    pub terms: String,
    /// The words these stand for, in their order, one space between them; nothing where a term is its own word, and in
    /// rows stored before there were words.
    pub words: String,
    /// Its links, a line each; empty of noise.
    pub links: String,
}

#[derive(Deserialize)]
struct Record<'a> {
    id: MessageKey,
    edit: i64,
    event_time: Timestamp,
    kind: MessageKind,
    #[serde(borrow)]
    text: Cow<'a, str>,
    #[serde(default)]
    links: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    screen: Screened<'a>,
    origin: Option<Origin>,
}

#[derive(Deserialize)]
struct Screened<'a> {
    class: Class,
    score: f64,
    #[serde(default)]
    flags: Vec<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Origin {
    offset: Offset,
}

/// The flags that are counted, by their bit.
pub(crate) const FLAGS: [&str; 6] = [
    flags::SPAM,
    flags::SERVICE,
    flags::EDITED,
    flags::FORWARDED,
    flags::AUTO_FORWARD,
    flags::TIME_UNCERTAIN,
];

impl Told {
    /// Reads a record of `messages`; `offset` is its own, which orders versions where it does not name its raw record.
    ///
    /// # Errors
    /// The parser's, if it is no screened message.
    pub fn read(record: &[u8], offset: Offset) -> serde_json::Result<Told> {
        let read: Record<'_> = serde_json::from_slice(record)?;
        let is_gone = read.kind == MessageKind::Deleted;
        let rank = if is_gone { i64::MAX } else { read.edit };
        let origin = read.origin.map_or(offset, |origin| origin.offset);
        let says = |screen| said(&read.text, &read.links, screen);
        Ok(Told {
            key: read.id,
            version: (rank, origin.0),
            event_time: read.event_time,
            said: (!is_gone).then(|| says(&read.screen)),
        })
    }

    /// Whether it takes the place of `other`, a version of the same message.
    pub fn replaces(&self, other: &Told) -> bool {
        self.version > other.version
    }
}

fn said(text: &str, links: &[Cow<'_, str>], screen: &Screened<'_>) -> Said {
    let is_set = |(bit, name): (usize, &&str)| {
        let set = screen.flags.iter().any(|flag| flag == name);
        u8::from(set) << bit
    };
    let counts = screen.class != Class::Noise;
    let (terms, words) = match counts {
        true => terms_and_words(text),
        false => Default::default(),
    };
    Said {
        class: screen.class,
        score_millionths: (screen.score.clamp(0.0, 1.0) * 1_000_000.0).round() as u32,
        flags: FLAGS.iter().enumerate().map(is_set).sum(),
        terms,
        words,
        links: match counts {
            true => links.join("\n"),
            false => String::new(),
        },
    }
}

/// As they are stored.
fn terms_and_words(text: &str) -> (String, String) {
    let (mut terms, mut words) = (String::new(), String::new());
    for (i, topical) in topical_words(text).iter().enumerate() {
        if i > 0 {
            terms.push(' ');
            words.push(' ');
        }
        terms.push_str(&topical.term);
        if topical.word != topical.term {
            words.push_str(topical.word);
        }
    }
    (terms, words)
}

impl Said {
    /// Each term once.
    pub fn terms(&self) -> impl Iterator<Item = &str> {
        self.terms.split(' ').filter(|term| !term.is_empty())
    }

    /// Each term once, with the word it stands for.
    pub fn words(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut words = self.words.split(' ');
        self.terms().map(move |term| {
            let word = words.next().filter(|word| !word.is_empty());
            (term, word.unwrap_or(term))
        })
    }

    /// Each link once.
    pub fn links(&self) -> impl Iterator<Item = &str> {
        self.links.split('\n').filter(|link| !link.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"v":1,"id":"-100:7","chat":{"id":"-100"},"message_id":7,"edit":0,"event_time":"2026-01-05T10:00:00Z",
        "author":null,"kind":"text","text":"\"Міст\" закрито: https://a.example/x","lang":"uk","links":["https://a.example/x"],
        "screen":{"class":"signal","score":0.8125005,"factors":{},"flags":["forwarded","new"],"rules":"r@1+0"},
        "origin":{"topic":"telegram-raw","partition":0,"offset":12}}"#;

    #[test]
    fn a_record_tells_what_counts() {
        let told = Told::read(RECORD.as_bytes(), Offset(3)).unwrap();
        assert_eq!(told.key, "-100:7".parse().unwrap());
        assert_eq!(told.version, (0, 12));
        let said = told.said.unwrap();
        assert_eq!(
            (said.class, said.score_millionths),
            (Class::Signal, 812_501)
        );
        assert_eq!(said.flags, 0b1000);
        assert_eq!(said.terms().collect::<Vec<_>>(), ["мост", "закрит"]);
        let words = [("мост", "Міст"), ("закрит", "закрито")];
        assert_eq!(said.words().collect::<Vec<_>>(), words);
        assert_eq!(said.links().collect::<Vec<_>>(), ["https://a.example/x"]);
    }

    #[test]
    fn words_go_with_their_terms_where_there_are_any() {
        let said = |text: &str| {
            let record = RECORD.replace("\\\"Міст\\\" закрито: https://a.example/x", text);
            let told = Told::read(record.as_bytes(), Offset(3)).unwrap();
            told.said.unwrap()
        };
        let some = said("мост на мосту, Ремонт, ремонт, bus");
        assert_eq!(some.terms, "мост ремонт bus");
        assert_eq!(some.words, " Ремонт ");
        let words = [("мост", "мост"), ("ремонт", "Ремонт"), ("bus", "bus")];
        assert_eq!(some.words().collect::<Vec<_>>(), words);
        let stored_before = Said {
            words: String::new(),
            ..some
        };
        let alone = [("мост", "мост"), ("ремонт", "ремонт"), ("bus", "bus")];
        assert_eq!(stored_before.words().collect::<Vec<_>>(), alone);
    }

    #[test]
    fn noise_tells_no_terms_and_a_tombstone_nothing() {
        let noise = RECORD.replace("signal", "noise");
        let told = Told::read(noise.as_bytes(), Offset(3)).unwrap();
        assert_eq!(told.said.as_ref().unwrap().terms().count(), 0);
        let gone = RECORD.replace(r#""kind":"text""#, r#""kind":"deleted""#);
        let gone = Told::read(gone.as_bytes(), Offset(3)).unwrap();
        assert_eq!(gone.said, None);
        assert!(gone.replaces(&told) && !told.replaces(&gone) && !told.replaces(&told));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for wrong in ["", "{}", r#"{"v":1,"marker":"skipped"}"#] {
            assert!(Told::read(wrong.as_bytes(), Offset(0)).is_err(), "{wrong}");
        }
    }
}
