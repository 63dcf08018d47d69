//! Messages to test with, and numbers that look random but are the same in every run.

use std::collections::BTreeMap;

use telesift_schemas::{
    Author, AuthorKind, Chat, ChatId, ChatKind, Class, Message, MessageKey, MessageKind, Offset,
    Origin, PartitionId, Screen, Timestamp, Topic, flags,
};

use crate::{
    embedder::EmbeddingModel,
    message_store::{Hit, IndexedMessage, MessageFilter, MessageStore, SearchMode, SearchRequest},
};

/// When the first message of the fixtures was sent, in unix seconds.
pub const START: i64 = 1_767_600_000;

/// The model the suite's vectors are of: eight floats.
pub fn model() -> EmbeddingModel {
    EmbeddingModel {
        id: "contract@1".to_owned(),
        dimensions: 8,
    }
}

/// A chat of the fixtures, from a small number.
pub fn chat(n: i64) -> ChatId {
    ChatId::from_channel(n)
}

/// The key of message `message_id` in [`chat`] `n`.
pub fn key(n: i64, message_id: i64) -> MessageKey {
    MessageKey {
        chat: chat(n),
        message_id,
    }
}

/// `seconds` after [`START`].
pub fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(START + seconds).expect("fixture times are in range")
}

/// An undeleted signal by author 7, in English, sent `message_id` seconds after [`START`], whose origin offset is its
/// message id.
pub fn message(chat_number: i64, message_id: i64, text: &str) -> Message {
    let chat = Chat {
        id: chat(chat_number),
        title: Some(format!("Chat {chat_number}")),
        kind: ChatKind::Supergroup,
        username: None,
    };
    Message {
        author: Some(Author {
            id: ChatId(7),
            name: Some("Olena".to_owned()),
            kind: AuthorKind::User,
        }),
        text: text.to_owned(),
        lang: "en".to_owned(),
        screen: Some(Screen {
            class: Class::Signal,
            score: 0.9,
            factors: BTreeMap::new(),
            flags: Vec::new(),
            spam_score: None,
            rules: "default@1+0000000".to_owned(),
        }),
        origin: Some(Origin {
            topic: Topic::TELEGRAM_RAW,
            partition: PartitionId(0),
            offset: Offset(message_id.unsigned_abs()),
        }),
        ..Message::blank(chat, message_id, time(message_id))
    }
}

/// What screening found, to be changed.
pub fn screen(message: &mut Message) -> &mut Screen {
    message.screen.as_mut().expect("fixtures are screened")
}

/// A later version of `message`: edited `edit` seconds after [`START`], recorded at `offset`.
pub fn edited(message: &Message, edit: i64, offset: u64, text: &str) -> Message {
    let mut later = message.clone();
    later.edit = START + edit;
    later.text = text.to_owned();
    if let Some(origin) = &mut later.origin {
        origin.offset = Offset(offset);
    }
    later
}

/// Without vector.
pub fn plain(message: Message) -> IndexedMessage {
    IndexedMessage {
        message,
        vector: None,
    }
}

/// With a vector that points `turn` of the way from the first axis to the second (0..1).
pub fn turned(message: Message, turn: f32) -> IndexedMessage {
    IndexedMessage {
        message,
        vector: Some(direction(turn)),
    }
}

/// A unit vector `turn` of the way from the first axis to the second (0..1).
pub fn direction(turn: f32) -> Vec<f32> {
    let angle = turn * std::f32::consts::FRAC_PI_2;
    let mut vector = vec![0.0; model().dimensions];
    vector[0] = angle.cos();
    vector[1] = angle.sin();
    vector
}

/// Applies messages without vectors.
pub async fn store_all(store: &dyn MessageStore, messages: &[Message]) {
    let batch = messages.iter().cloned().map(plain).collect();
    store.apply(batch).await.expect("fixtures are stored");
}

/// A text search for `query`.
pub fn text_request(query: &str, limit: usize) -> SearchRequest {
    SearchRequest {
        query: telesift_text::Query::parse(query),
        vector: None,
        mode: SearchMode::Text,
        filter: MessageFilter::default(),
        limit,
    }
}

/// Searches the text of everything but noise.
pub async fn find(store: &dyn MessageStore, query: &str) -> Vec<MessageKey> {
    let hits = store.search(&text_request(query, 50)).await;
    keys(&hits.expect("any text is answered"))
}

/// The keys of hits, in order.
pub fn keys(hits: &[Hit]) -> Vec<MessageKey> {
    hits.iter().map(|h| h.message.id).collect()
}

/// The same pseudo-random numbers in every run (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// A number below `n`, which is at least 1.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    /// True once in `n`.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of `choices`, of which there is at least one.
    pub fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize].clone()
    }

    /// Up to `most` of `choices`, perhaps none.
    pub fn some<T: Clone>(&mut self, choices: &[T], most: u64) -> Vec<T> {
        (0..self.below(most + 1))
            .map(|_| self.pick(choices))
            .collect()
    }
}

const LANGS: [&str; 4] = ["uk", "ru", "en", "it's"];
const FLAGS: [&str; 4] = [flags::SPAM, flags::EDITED, "o'clock", "100%_sure"];
const KINDS: [MessageKind; 4] = [
    MessageKind::Text,
    MessageKind::Photo,
    MessageKind::Poll,
    MessageKind::Deleted,
];
const SCORES: [f64; 4] = [0.0, 0.1 + 0.2, 0.75, 1.0];

/// Messages of every shape a filter can tell apart, all holding the word `harvest`.
pub fn varied_messages(dice: &mut Dice, n: i64) -> Vec<Message> {
    (1..=n)
        .map(|i| {
            let mut m = message(dice.below(4) as i64 + 1, i, "the harvest came in");
            m.event_time = time(dice.below(50) as i64 * 60);
            m.lang = dice.pick(&LANGS).to_owned();
            m.kind = dice.pick(&KINDS);
            if dice.one_in(5) {
                m.author = None;
            } else if let Some(author) = &mut m.author {
                author.id = ChatId(dice.below(4) as i64);
            }
            let screen = screen(&mut m);
            screen.class = dice.pick(&Class::ALL);
            screen.score = dice.pick(&SCORES);
            screen.flags = dice
                .some(&FLAGS, 2)
                .into_iter()
                .map(str::to_owned)
                .collect();
            m
        })
        .collect()
}

/// A filter over what [`varied_messages`] varies; some fields hold values no message has.
pub fn varied_filter(dice: &mut Dice) -> MessageFilter {
    let chats = [
        chat(1),
        chat(2),
        chat(3),
        ChatId(i64::MIN),
        ChatId(i64::MAX),
    ];
    let authors = [ChatId(0), ChatId(1), ChatId(2), ChatId(-5)];
    let texts = |found: Vec<&str>| found.into_iter().map(str::to_owned).collect();
    let maybe = |dice: &mut Dice| dice.one_in(3);
    let mut filter = MessageFilter {
        include_noise: dice.one_in(2),
        ..MessageFilter::default()
    };
    if maybe(dice) {
        filter.chats = dice.some(&chats, 3);
    }
    if maybe(dice) {
        filter.authors = dice.some(&authors, 2);
    }
    if maybe(dice) {
        filter.classes = dice.some(&Class::ALL, 2);
    }
    if maybe(dice) {
        filter.min_score = Some(dice.pick(&[0.0, 0.1 + 0.2, 0.3, 0.75, 1.5, -1.0, f64::NAN]));
    }
    if maybe(dice) {
        filter.langs = texts(dice.some(&[LANGS[0], LANGS[2], LANGS[3], "';--"], 2));
    }
    if maybe(dice) {
        filter.kinds = dice.some(&KINDS, 2);
    }
    if maybe(dice) {
        filter.flags = texts(dice.some(&[FLAGS[0], FLAGS[2], FLAGS[3], "%", "\0"], 2));
    }
    if maybe(dice) {
        filter.since = Some(time(dice.below(50) as i64 * 60));
    }
    if maybe(dice) {
        filter.until = Some(time(dice.below(50) as i64 * 60));
    }
    if maybe(dice) {
        filter.visible_chats = Some(dice.some(&chats, 4));
    }
    filter
}
