//! Checks of reading by key, in time order, by chat, and of the counts.

use telesift_schemas::{Class, Message, MessageKey, MessageKind};

use super::fixtures::{
    Dice, chat, edited, key, message, screen, store_all, time, varied_filter, varied_messages,
};
use crate::message_store::{
    ChatNoise, ClassBucket, ClassCountsQuery, ListPosition, MessageFilter, MessageStore,
};

fn ids(messages: &[Message]) -> Vec<MessageKey> {
    messages.iter().map(|m| m.id).collect()
}

fn position(message: &Message) -> ListPosition {
    ListPosition {
        event_time: message.event_time,
        key: message.id,
    }
}

async fn page(
    store: &dyn MessageStore,
    filter: &MessageFilter,
    after: Option<&ListPosition>,
    limit: usize,
) -> Vec<Message> {
    let listed = store.list(filter, after, limit).await;
    listed.expect("the store answers")
}

/// In the order asked for, without those that are gone, repeats included.
pub async fn gets_many_in_the_order_asked_for(store: &dyn MessageStore) {
    let messages: Vec<Message> = (1..=5).map(|i| message(1, i, "text")).collect();
    store_all(store, &messages).await;
    let wanted = [key(1, 4), key(1, 9), key(1, 1), key(2, 1), key(1, 4)];
    let found = store.get_many(&wanted).await.expect("the store answers");
    assert_eq!(ids(&found), [key(1, 4), key(1, 1), key(1, 4)]);
    assert_eq!(store.get_many(&[]).await.expect("the store answers"), []);
}

/// Pages of any size, joined, are the whole list: newest first, then by chat and message id, descending.
pub async fn lists_newest_first_in_pages(store: &dyn MessageStore) {
    let mut dice = Dice(3);
    let messages = varied_messages(&mut dice, 120);
    store_all(store, &messages).await;
    let filter = MessageFilter::default();
    let mut wanted: Vec<&Message> = messages.iter().filter(|m| filter.matches(m)).collect();
    wanted.sort_by_key(|m| std::cmp::Reverse((m.event_time, m.id)));
    let wanted: Vec<MessageKey> = wanted.into_iter().map(|m| m.id).collect();
    for size in [1, 7, 500] {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let found = page(store, &filter, after.as_ref(), size).await;
            let Some(last) = found.last() else { break };
            after = Some(position(last));
            listed.extend(ids(&found));
        }
        assert_eq!(listed, wanted, "in pages of {size}");
    }
    assert_eq!(page(store, &filter, None, 0).await, []);
}

/// What comes in while a client pages neither repeats nor hides anything.
pub async fn pages_are_stable_under_inserts(store: &dyn MessageStore) {
    let messages: Vec<Message> = (1..=20).map(|i| message(1, i * 10, "text")).collect();
    store_all(store, &messages).await;
    let filter = MessageFilter::default();
    let mut listed = page(store, &filter, None, 8).await;
    let newer: Vec<Message> = (1..=5).map(|i| message(1, 200 + i, "newer")).collect();
    store_all(store, &newer).await;
    store_all(store, &[edited(&messages[3], 5, 900, "edited")]).await;
    while let Some(last) = listed.last() {
        let next = page(store, &filter, Some(&position(last)), 5).await;
        if next.is_empty() {
            break;
        }
        listed.extend(next);
    }
    let wanted: Vec<MessageKey> = (1..=20).rev().map(|i| key(1, i * 10)).collect();
    assert_eq!(ids(&listed), wanted);
}

/// The store's filter and [`MessageFilter::matches`] are one rule.
pub async fn lists_what_the_filter_rule_lets_through(store: &dyn MessageStore) {
    let mut dice = Dice(11);
    let messages = varied_messages(&mut dice, 300);
    store_all(store, &messages).await;
    let mut n_found = 0;
    for _ in 0..120 {
        let filter = varied_filter(&mut dice);
        let mut wanted: Vec<&Message> = messages.iter().filter(|m| filter.matches(m)).collect();
        wanted.sort_by_key(|m| std::cmp::Reverse((m.event_time, m.id)));
        let wanted: Vec<MessageKey> = wanted.into_iter().map(|m| m.id).collect();
        let found = page(store, &filter, None, 1000).await;
        assert_eq!(ids(&found), wanted, "{filter:?}");
        n_found += found.len();
    }
    assert!(
        n_found > 300,
        "the filters of this check let nothing through"
    );
}

/// By message id within the chat, whatever the class, the time, or the order of arrival.
pub async fn context_gives_the_neighbours_in_the_chat(store: &dyn MessageStore) {
    let mut messages: Vec<Message> = [3, 90, 5, 4, 1000, 7, 1, 2_000_000_000]
        .into_iter()
        .flat_map(|id| [message(1, id, "text"), message(2, id + 1, "elsewhere")])
        .collect();
    screen(&mut messages[4]).class = Class::Noise;
    for (i, message) in messages.iter_mut().enumerate() {
        message.event_time = time(1000 - i as i64);
    }
    store_all(store, &messages).await;
    let around = async |id: i64, before: usize, after: usize| -> Vec<i64> {
        let found = store.context(&key(1, id), before, after).await;
        let found = found.expect("the store answers");
        assert!(found.iter().all(|m| m.chat.id == chat(1)));
        found.iter().map(|m| m.message_id).collect()
    };
    assert_eq!(around(7, 2, 2).await, [4, 5, 7, 90, 1000]);
    assert_eq!(around(1, 5, 1).await, [1, 3]);
    assert_eq!(around(1000, 1, 5).await, [90, 1000, 2_000_000_000]);
    assert_eq!(around(5, 0, 0).await, [5]);
    assert_eq!(
        around(5, 100, 100).await,
        [1, 3, 4, 5, 7, 90, 1000, 2_000_000_000]
    );
    assert_eq!(around(6, 1, 1).await, [5, 7], "a message that is not there");
}

/// Per bucket, without deleted messages, within the times and chats asked for.
pub async fn counts_classes_by_time_and_chat(store: &dyn MessageStore) {
    let mut messages = Vec::new();
    for i in 0..12 {
        let mut m = message(1 + i % 2, i + 1, "text");
        m.event_time = time(i * 600);
        screen(&mut m).class = Class::ALL[(i % 3) as usize];
        messages.push(m);
    }
    messages[0].kind = MessageKind::Deleted;
    store_all(store, &messages).await;
    let mut query = ClassCountsQuery {
        since: None,
        until: None,
        bucket_s: Some(3600),
        top: 0,
        visible_chats: None,
    };
    let counted = store.class_counts(&query).await.expect("the store answers");
    // The fixtures start at a full hour.
    let bucket = |hour: i64, counts| ClassBucket {
        start: Some(time(hour * 3600)),
        counts,
    };
    assert_eq!(
        counted.buckets,
        [bucket(0, [1, 2, 2]), bucket(1, [2, 2, 2])]
    );
    assert_eq!(counted.noisiest, []);

    query.bucket_s = None;
    query.since = Some(time(600));
    query.until = Some(time(6600));
    query.visible_chats = Some(vec![chat(2)]);
    let counted = store.class_counts(&query).await.expect("the store answers");
    let first = ClassBucket {
        start: Some(time(600)),
        counts: [2, 2, 1],
    };
    assert_eq!(counted.buckets, [first]);

    query.visible_chats = Some(Vec::new());
    let counted = store.class_counts(&query).await.expect("the store answers");
    assert_eq!(counted.buckets, []);
}

/// Most noise first, with the newest title; chats without noise are not named.
pub async fn names_the_noisiest_chats(store: &dyn MessageStore) {
    let mut messages = Vec::new();
    for (chat_number, n_noise) in [(1, 2), (2, 5), (3, 0), (4, 2)] {
        for i in 1..=6 {
            let mut m = message(chat_number, i, "text");
            m.chat.title = Some(format!("title at {i}"));
            if i <= n_noise {
                screen(&mut m).class = Class::Noise;
            }
            messages.push(m);
        }
    }
    store_all(store, &messages).await;
    let query = ClassCountsQuery {
        since: None,
        until: None,
        bucket_s: None,
        top: 3,
        visible_chats: None,
    };
    let counted = store.class_counts(&query).await.expect("the store answers");
    let noisy = |chat_number, n_noise| ChatNoise {
        chat: chat(chat_number),
        title: Some("title at 6".to_owned()),
        n_noise,
        n_messages: 6,
    };
    // Equal noise: by id, and channel ids descend as their numbers grow.
    assert_eq!(counted.noisiest, [noisy(2, 5), noisy(4, 2), noisy(1, 2)]);
}

/// Each chat once, by id, as its newest message calls it.
pub async fn sums_up_chats(store: &dyn MessageStore) {
    let mut old = message(1, 1, "text");
    old.chat.title = Some("Old name".to_owned());
    let mut new = message(1, 2, "text");
    new.chat.title = Some("New name".to_owned());
    new.chat.username = Some("newname".to_owned());
    store_all(store, &[new.clone(), old, message(2, 1, "text")]).await;
    let chats = store.chats().await.expect("the store answers");
    let numbers: Vec<_> = chats.iter().map(|c| (c.chat.id, c.n_messages)).collect();
    assert_eq!(numbers, [(chat(2), 1), (chat(1), 2)]);
    assert_eq!(chats[1].chat, new.chat);
    store_all(store, &[message(2, 2, "text")]).await;
    let chats = store.chats().await.expect("the store answers");
    assert_eq!(chats[0].n_messages, 2, "fresh messages count at once");
}
