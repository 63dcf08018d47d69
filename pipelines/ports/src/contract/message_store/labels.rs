//! Checks of labels: what analysts say goes before what the screen found.

use telesift_schemas::{Class, Message, MessageKey, MessageKind, Offset, flags};

use super::fixtures::{
    Dice, direction, edited, find, key, message, plain, screen, store_all, text_request, turned,
    varied_filter, varied_messages,
};
use crate::message_store::{
    ClassCountsQuery, IndexedMessage, MessageFilter, MessageStore, SearchMode, VersionLabel,
};

fn label(message: &Message, class: Option<Class>, decided: u64) -> VersionLabel {
    VersionLabel {
        key: message.id,
        edit: message.edit,
        class,
        spam: None,
        decided: Offset(decided),
    }
}

async fn set(store: &dyn MessageStore, labels: &[VersionLabel]) -> usize {
    store.set_labels(labels).await.expect("labels are set")
}

async fn listed(store: &dyn MessageStore, filter: &MessageFilter) -> Vec<MessageKey> {
    let found = store.list(filter, None, 1_000).await;
    let found = found.expect("the store answers");
    found.into_iter().map(|m| m.id).collect()
}

fn of_class(class: Class) -> MessageFilter {
    MessageFilter {
        classes: vec![class],
        ..MessageFilter::default()
    }
}

fn flagged(flag: &str) -> MessageFilter {
    MessageFilter {
        flags: vec![flag.to_owned()],
        include_noise: true,
        ..MessageFilter::default()
    }
}

async fn counts(store: &dyn MessageStore) -> [u64; 3] {
    let query = ClassCountsQuery {
        since: None,
        until: None,
        bucket_s: None,
        top: 10,
        visible_chats: None,
    };
    let counted = store.class_counts(&query).await.expect("the store answers");
    counted.buckets.first().map_or([0; 3], |b| b.counts)
}

fn noise(id: i64, text: &str) -> Message {
    let mut message = message(1, id, text);
    screen(&mut message).class = Class::Noise;
    message
}

/// In lists, searches, flags and counts; what is read back stays the record.
pub async fn a_label_goes_before_the_screen(store: &dyn MessageStore) {
    let quiet = noise(1, "the ferry leaves");
    let mut loud = message(1, 2, "the ferry is late");
    screen(&mut loud).flags = vec![flags::SPAM.to_owned(), flags::EDITED.to_owned()];
    store_all(store, &[quiet.clone(), loud.clone(), noise(3, "ferry")]).await;
    assert_eq!(find(store, "ferry").await, [loud.id]);
    let spam = VersionLabel {
        spam: Some(true),
        ..label(&quiet, Some(Class::Signal), 0)
    };
    let ham = VersionLabel {
        spam: Some(false),
        ..label(&loud, Some(Class::Noise), 1)
    };
    assert_eq!(set(store, &[spam, ham]).await, 2);
    assert_eq!(set(store, &[spam, ham]).await, 0, "nothing else is set");
    assert_eq!(find(store, "ferry").await, [quiet.id]);
    assert_eq!(listed(store, &MessageFilter::default()).await, [quiet.id]);
    assert_eq!(listed(store, &of_class(Class::Signal)).await, [quiet.id]);
    let noisy = listed(store, &of_class(Class::Noise)).await;
    assert_eq!(noisy, [key(1, 3), loud.id]);
    assert_eq!(listed(store, &flagged(flags::SPAM)).await, [quiet.id]);
    assert_eq!(listed(store, &flagged(flags::EDITED)).await, [loud.id]);
    assert_eq!(counts(store).await, [2, 0, 1]);
    assert_eq!(
        store.get(&quiet.id).await.expect("an answer"),
        Some(quiet),
        "the record as it was"
    );
}

/// What was taken back is as if never said.
pub async fn a_label_taken_back_leaves_the_screen(store: &dyn MessageStore) {
    let quiet = noise(1, "the ferry leaves");
    store_all(store, std::slice::from_ref(&quiet)).await;
    let said = VersionLabel {
        spam: Some(true),
        ..label(&quiet, Some(Class::Signal), 3)
    };
    set(store, &[said]).await;
    assert_eq!(find(store, "ferry").await, [quiet.id]);
    assert_eq!(set(store, &[label(&quiet, None, 4)]).await, 1);
    assert_eq!(find(store, "ferry").await, []);
    assert_eq!(listed(store, &of_class(Class::Noise)).await, [quiet.id]);
    assert_eq!(listed(store, &flagged(flags::SPAM)).await, []);
    assert_eq!(counts(store).await, [1, 0, 0]);
}

/// An edit has none, a version that is not there gets none; two records of one edit share it.
pub async fn a_label_is_of_one_version(store: &dyn MessageStore) {
    let first = noise(1, "the ferry leaves");
    let later = edited(&first, 10, 5, "the ferry leaves at noon");
    assert_eq!(
        set(store, &[label(&first, Some(Class::Signal), 1)]).await,
        0
    );
    store_all(store, std::slice::from_ref(&first)).await;
    assert_eq!(find(store, "ferry").await, []);
    set(store, &[label(&first, Some(Class::Signal), 1)]).await;
    assert_eq!(
        set(store, &[label(&later, Some(Class::Signal), 2)]).await,
        0
    );
    let mut again = first.clone();
    if let Some(origin) = &mut again.origin {
        origin.offset = Offset(4);
    }
    store_all(store, &[again]).await;
    assert_eq!(find(store, "ferry").await, [first.id]);
    store_all(store, std::slice::from_ref(&later)).await;
    assert_eq!(find(store, "ferry").await, []);
    assert_eq!(
        set(store, &[label(&first, Some(Class::Signal), 3)]).await,
        0
    );
    // What was decided of another version does not stand in the way.
    assert_eq!(
        set(store, &[label(&later, Some(Class::WeakSignal), 2)]).await,
        1
    );
    assert_eq!(find(store, "ferry").await, [later.id]);
}

/// A batch repeated, or a vector that comes later, changes nothing about it.
pub async fn the_same_version_again_keeps_its_label(store: &dyn MessageStore) {
    let quiet = noise(1, "the ferry leaves");
    store_all(store, std::slice::from_ref(&quiet)).await;
    let said = VersionLabel {
        spam: Some(true),
        ..label(&quiet, Some(Class::Signal), 7)
    };
    set(store, &[said]).await;
    store_all(store, std::slice::from_ref(&quiet)).await;
    store
        .apply(vec![turned(quiet.clone(), 0.0)])
        .await
        .expect("stored");
    let mut request = text_request("ferry", 5);
    request.mode = SearchMode::Vector;
    request.vector = Some(direction(0.1));
    let hits = store.search(&request).await.expect("an answer");
    assert_eq!(hits.len(), 1);
    assert_eq!(listed(store, &flagged(flags::SPAM)).await, [quiet.id]);
    assert_eq!(
        set(store, &[label(&quiet, None, 6)]).await,
        0,
        "it still knows when it was decided"
    );
}

/// Two who set labels at once may come in any order.
pub async fn a_later_decision_is_never_undone_by_an_earlier_one(store: &dyn MessageStore) {
    let quiet = noise(1, "the ferry leaves");
    store_all(store, std::slice::from_ref(&quiet)).await;
    let decisions = [
        label(&quiet, Some(Class::Signal), 5),
        label(&quiet, Some(Class::WeakSignal), 3),
        label(&quiet, None, 4),
    ];
    set(store, &decisions).await;
    set(store, &decisions[1..]).await;
    assert_eq!(listed(store, &of_class(Class::Signal)).await, [quiet.id]);
    set(store, &[label(&quiet, None, 6)]).await;
    set(store, &decisions).await;
    assert_eq!(listed(store, &of_class(Class::Noise)).await, [quiet.id]);
}

/// The messages as they would be, had the screen said what the labels say.
fn as_labelled(messages: &[Message], labels: &[VersionLabel]) -> Vec<Message> {
    let seen = messages.iter().map(|m| {
        let mut m = m.clone();
        let id = m.id;
        for label in labels.iter().filter(|l| l.key == id) {
            let (class, flags) = label.in_place_of(screen(&mut m));
            screen(&mut m).class = class;
            screen(&mut m).flags = flags;
        }
        m
    });
    seen.collect()
}

fn varied_labels(dice: &mut Dice, messages: &[Message]) -> Vec<VersionLabel> {
    let mut labels = Vec::new();
    for (i, message) in messages.iter().enumerate() {
        if dice.one_in(3) {
            let class = dice.pick(&[None, Some(Class::Noise), Some(Class::Signal)]);
            let mut said = label(message, class, i as u64);
            said.spam = dice.pick(&[None, Some(true), Some(false)]);
            labels.push(said);
        }
    }
    labels
}

/// The rule of filters is one, with labels and without.
pub async fn labels_filter_and_count_as_if_screened_so(store: &dyn MessageStore) {
    let mut dice = Dice(17);
    let messages = varied_messages(&mut dice, 200);
    store_all(store, &messages).await;
    let labels = varied_labels(&mut dice, &messages);
    assert!(labels.len() > 40);
    for part in labels.chunks(30) {
        set(store, part).await;
    }
    let seen = as_labelled(&messages, &labels);
    for _ in 0..60 {
        let filter = varied_filter(&mut dice);
        let mut wanted: Vec<&Message> = seen.iter().filter(|m| filter.matches(m)).collect();
        wanted.sort_by_key(|m| std::cmp::Reverse((m.event_time, m.id)));
        let wanted: Vec<MessageKey> = wanted.into_iter().map(|m| m.id).collect();
        assert_eq!(listed(store, &filter).await, wanted, "{filter:?}");
        let mut request = text_request("harvest", 1_000);
        request.filter = filter;
        let hits = store.search(&request).await.expect("an answer");
        let mut found: Vec<MessageKey> = hits.iter().map(|h| h.message.id).collect();
        found.sort();
        let mut wanted = wanted;
        wanted.sort();
        assert_eq!(found, wanted, "{:?}", request.filter);
    }
    let mut wanted = [0; 3];
    for message in seen.iter().filter(|m| m.kind != MessageKind::Deleted) {
        wanted[message.screen.as_ref().map_or(0, |s| s.class as usize)] += 1;
    }
    assert_eq!(counts(store).await, wanted);
}

/// Indexed and compacted, before and after.
pub async fn labels_outlive_maintenance(store: &dyn MessageStore) {
    let mut dice = Dice(29);
    let messages = varied_messages(&mut dice, 120);
    for part in messages.chunks(10) {
        let batch: Vec<IndexedMessage> = part.iter().cloned().map(plain).collect();
        store.apply(batch).await.expect("stored");
    }
    store.maintain().await.expect("maintenance succeeds");
    let labels = varied_labels(&mut dice, &messages);
    for part in labels.chunks(5) {
        set(store, part).await;
    }
    store.maintain().await.expect("maintenance succeeds");
    assert_eq!(set(store, &labels).await, 0);
    let seen = as_labelled(&messages, &labels);
    let filter = flagged(flags::SPAM);
    let mut wanted: Vec<&Message> = seen.iter().filter(|m| filter.matches(m)).collect();
    wanted.sort_by_key(|m| std::cmp::Reverse((m.event_time, m.id)));
    let wanted: Vec<MessageKey> = wanted.into_iter().map(|m| m.id).collect();
    assert!(!wanted.is_empty());
    assert_eq!(listed(store, &filter).await, wanted);
}
