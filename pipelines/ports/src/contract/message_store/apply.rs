//! Checks of what `apply` makes of versions.

use telesift_schemas::{ChatId, Message, MessageKind, Offset};

use super::fixtures::{edited, key, message, plain, screen, store_all};
use crate::message_store::{Applied, Error, MessageStore};

async fn current_text(store: &dyn MessageStore, id: i64) -> String {
    let found = store.get(&key(1, id)).await.expect("the store answers");
    found.expect("the message is stored").text
}

async fn history_texts(store: &dyn MessageStore, id: i64) -> Vec<String> {
    let history = store.history(&key(1, id)).await;
    let history = history.expect("the store answers");
    history.into_iter().map(|m| m.text).collect()
}

async fn apply(store: &dyn MessageStore, messages: &[Message]) -> Applied {
    let batch = messages.iter().cloned().map(plain).collect();
    store.apply(batch).await.expect("the batch is stored")
}

/// What was stored comes back as it was.
pub async fn new_messages_become_current(store: &dyn MessageStore) {
    let mut odd = message(2, 5, "quotes ' \" ; and \0 and 😀\nand a second line");
    odd.author = None;
    odd.chat.title = None;
    odd.event_time = "2026-01-05T10:00:00.123456Z".parse().expect("a time");
    screen(&mut odd).flags = vec!["spam".to_owned(), "it's".to_owned()];
    let batch = [message(1, 1, "first"), odd.clone()];
    let applied = apply(store, &batch).await;
    assert_eq!(applied.n_new, 2);
    assert_eq!(store.get(&odd.id).await.expect("an answer"), Some(odd));
    assert_eq!(
        store.get(&key(1, 1)).await.expect("an answer"),
        Some(batch[0].clone())
    );
    assert_eq!(store.get(&key(1, 2)).await.expect("an answer"), None);
    assert_eq!(store.stats().await.expect("an answer").n_messages, 2);
}

/// At-least-once delivery is safe.
pub async fn the_same_batch_again_changes_nothing(store: &dyn MessageStore) {
    let first = message(1, 1, "first");
    let batch = [
        first.clone(),
        edited(&first, 10, 5, "second"),
        message(1, 2, "other"),
    ];
    apply(store, &batch).await;
    let before = store.stats().await.expect("an answer");
    let again = apply(store, &batch).await;
    assert_eq!(
        again,
        Applied {
            n_known: 3,
            ..Applied::default()
        }
    );
    assert_eq!(store.stats().await.expect("an answer"), before);
    assert_eq!(history_texts(store, 1).await, ["first"]);
}

/// The edit is current, what it replaced is history.
pub async fn an_edit_replaces_and_keeps_the_old_version(store: &dyn MessageStore) {
    let first = message(1, 1, "first");
    apply(store, &[first.clone(), message(1, 2, "other")]).await;
    let applied = apply(store, &[edited(&first, 10, 5, "second")]).await;
    assert_eq!(
        applied,
        Applied {
            n_replaced: 1,
            ..Applied::default()
        }
    );
    assert_eq!(current_text(store, 1).await, "second");
    assert_eq!(history_texts(store, 1).await, ["first"]);
    assert_eq!(current_text(store, 2).await, "other");
    let stats = store.stats().await.expect("an answer");
    assert_eq!((stats.n_messages, stats.n_versions), (2, 1));
}

/// A late old version does not become current.
pub async fn an_older_version_is_kept_as_superseded(store: &dyn MessageStore) {
    let first = message(1, 1, "first");
    apply(store, &[edited(&first, 20, 9, "third")]).await;
    let applied = apply(store, &[edited(&first, 10, 5, "second")]).await;
    assert_eq!(
        applied,
        Applied {
            n_older: 1,
            ..Applied::default()
        }
    );
    apply(store, &[first]).await;
    assert_eq!(current_text(store, 1).await, "third");
    assert_eq!(history_texts(store, 1).await, ["first", "second"]);
}

/// Two records with one edit date: the log decides.
pub async fn of_equal_edits_the_later_origin_is_current(store: &dyn MessageStore) {
    let first = message(1, 1, "first");
    apply(store, &[edited(&first, 10, 8, "later record")]).await;
    apply(store, &[edited(&first, 10, 7, "earlier record")]).await;
    assert_eq!(current_text(store, 1).await, "later record");
    assert_eq!(history_texts(store, 1).await, ["earlier record"]);
}

/// A batch may hold a message's whole life, and the same version twice.
pub async fn several_versions_in_one_batch(store: &dyn MessageStore) {
    let first = message(1, 1, "first");
    let second = edited(&first, 10, 5, "second");
    let third = edited(&first, 20, 9, "third");
    let applied = apply(
        store,
        &[second.clone(), third.clone(), first.clone(), third.clone()],
    )
    .await;
    assert_eq!(
        applied,
        Applied {
            n_new: 1,
            n_older: 2,
            n_known: 1,
            ..Applied::default()
        }
    );
    let fourth = edited(&first, 30, 11, "fourth");
    let fifth = edited(&first, 40, 13, "fifth");
    let applied = apply(store, &[fifth, fourth, second]).await;
    assert_eq!(
        applied,
        Applied {
            n_replaced: 1,
            n_older: 1,
            n_known: 1,
            ..Applied::default()
        }
    );
    assert_eq!(current_text(store, 1).await, "fifth");
    assert_eq!(
        history_texts(store, 1).await,
        ["first", "second", "third", "fourth"]
    );
    assert_eq!(store.stats().await.expect("an answer").n_messages, 1);
}

/// Shuffled batches end in the same store.
pub async fn the_order_within_a_batch_does_not_matter(store: &dyn MessageStore) {
    let mut batch = Vec::new();
    for id in 1..=20 {
        let first = message(1, id, &format!("message {id}"));
        for edit in 1..=3 {
            let offset = 100 * edit as u64 + id as u64;
            batch.push(edited(&first, edit, offset, &format!("{id} edit {edit}")));
        }
        batch.push(first);
    }
    // The second half of every life first, in reverse.
    let (early, late): (Vec<Message>, Vec<Message>) = batch
        .into_iter()
        .partition(|m| m.edit == 0 || m.id.message_id % 2 == 0);
    apply(store, &late.into_iter().rev().collect::<Vec<_>>()).await;
    apply(store, &early.into_iter().rev().collect::<Vec<_>>()).await;
    for id in 1..=20 {
        assert_eq!(current_text(store, id).await, format!("{id} edit 3"));
        let wanted = [
            format!("message {id}"),
            format!("{id} edit 1"),
            format!("{id} edit 2"),
        ];
        assert_eq!(history_texts(store, id).await, wanted);
    }
    let stats = store.stats().await.expect("an answer");
    assert_eq!((stats.n_messages, stats.n_versions), (20, 60));
}

/// A tombstone of `message`, recorded at `offset` when the clock showed `edit` seconds after the start.
fn tombstone(message: &Message, edit: i64, offset: u64) -> Message {
    let mut tombstone = edited(message, edit, offset, "");
    tombstone.kind = MessageKind::Deleted;
    tombstone.author = None;
    tombstone.deleted_at = Some(super::fixtures::time(edit));
    tombstone
}

/// Every order of `items`.
fn permutations<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let with_first = items.iter().enumerate().flat_map(|(i, first)| {
        let mut rest = items.to_vec();
        rest.remove(i);
        permutations(&rest).into_iter().map(move |mut tail| {
            tail.insert(0, first.clone());
            tail
        })
    });
    with_first.collect()
}

/// A message, two edits and a deletion, in each of their 24 orders, in batches of one and of two: the same current version,
/// the same history. The deletion's time is ours, and our clock may be behind Telegram's: it comes last all the same.
pub async fn versions_in_any_order_end_in_the_same_state(store: &dyn MessageStore) {
    let life = |id: i64| -> Vec<Message> {
        let first = message(1, id, "first");
        vec![
            first.clone(),
            edited(&first, 10, 1_000, "second"),
            edited(&first, 20, 3_000, "third"),
            tombstone(&first, 15, 2_000),
        ]
    };
    let orders = permutations(&[0, 1, 2, 3]);
    assert_eq!(orders.len(), 24);
    for (base, steps) in [
        (1, vec![0..1, 1..2, 2..3, 3..4]),
        (101, vec![0..2, 2..4]),
        (201, vec![0..1, 1..4]),
    ] {
        for step in steps {
            let mut batch = Vec::new();
            for (n, order) in orders.iter().enumerate() {
                let life = life(base + n as i64);
                batch.extend(order[step.clone()].iter().map(|&i| life[i].clone()));
            }
            apply(store, &batch).await;
        }
        for n in 0..orders.len() as i64 {
            let life = life(base + n);
            let order = &orders[n as usize];
            let current = store.get(&life[0].id).await.expect("an answer");
            assert_eq!(current.as_ref(), Some(&life[3]), "{order:?}");
            let history = store.history(&life[0].id).await.expect("an answer");
            assert_eq!(history, life[..3], "{order:?}");
        }
    }
    let stats = store.stats().await.expect("an answer");
    assert_eq!((stats.n_messages, stats.n_versions), (72, 216));
}

/// The ids of a chat's messages, whatever became of them.
pub async fn message_ids_are_those_of_the_chat(store: &dyn MessageStore) {
    let gone = message(1, 9, "gone");
    let batch = [
        message(1, 12, "c"),
        message(2, 10, "of another chat"),
        message(1, 3, "a"),
        tombstone(&gone, 5, 77),
        gone,
    ];
    apply(store, &batch).await;
    let ids = store.message_ids(super::fixtures::chat(1)).await;
    assert_eq!(ids.expect("an answer"), [3, 9, 12]);
    let none = store.message_ids(super::fixtures::chat(3)).await;
    assert_eq!(none.expect("an answer"), Vec::<i64>::new());
}

/// The message at fault is named, nothing of its batch is stored, and the rest of the batch can be.
pub async fn what_cannot_be_stored_is_rejected_by_key(store: &dyn MessageStore) {
    let mut unscreened = plain(message(1, 2, "no screen"));
    unscreened.message.screen = None;
    let mut homeless = plain(message(1, 2, "no origin"));
    homeless.message.origin = None;
    let mut strange = plain(message(1, 2, "another chat"));
    strange.message.chat.id = ChatId(5);
    let mut endless = plain(message(1, 2, "no number"));
    endless.vector = Some(vec![f32::NAN; 8]);
    let mut short = plain(message(1, 2, "short"));
    short.vector = Some(vec![1.0; 3]);
    for bad in [unscreened, homeless, strange, endless, short] {
        let good = plain(message(1, 1, "good"));
        let refused = store.apply(vec![good, bad]).await;
        match refused {
            Err(ref error @ Error::Rejected { key: at, .. }) => {
                assert_eq!(at, key(1, 2));
                assert!(!error.is_retryable());
            }
            other => panic!("expected a rejection, got {other:?}"),
        }
        assert_eq!(store.stats().await.expect("an answer").n_messages, 0);
    }
    store_all(store, &[message(1, 1, "good")]).await;
    assert_eq!(current_text(store, 1).await, "good");
}

/// Nothing in, nothing changed.
pub async fn an_empty_batch_changes_nothing(store: &dyn MessageStore) {
    assert_eq!(apply(store, &[]).await, Applied::default());
    let mut far = message(1, 1, "far");
    if let Some(origin) = &mut far.origin {
        origin.offset = Offset(u64::from(u32::MAX) * 8);
    }
    apply(store, &[far.clone()]).await;
    assert_eq!(apply(store, &[]).await, Applied::default());
    assert_eq!(store.get(&far.id).await.expect("an answer"), Some(far));
}
