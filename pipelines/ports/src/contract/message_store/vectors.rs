//! Checks of searching by vector, and by both.

use telesift_schemas::{ChatId, Class, Message, MessageKind, Offset};

use super::fixtures::{
    chat, direction, edited, key, keys, message, model, plain, store_all, text_request, time,
    turned,
};
use crate::{
    message_store::{Applied, Error, MessageStore, SearchMode, SearchRequest, VersionLabel},
    providers::{ChatSetting, Consent, Enrich, KeptHere},
};

fn vector_request(turn: f32, limit: usize) -> SearchRequest {
    SearchRequest {
        vector: Some(direction(turn)),
        mode: SearchMode::Vector,
        ..text_request("", limit)
    }
}

/// Nearest first, with true cosines; what points elsewhere is no hit; the filter comes before the ranking.
pub async fn vectors_rank_by_cosine(store: &dyn MessageStore) {
    let mut batch: Vec<_> = (0..=20)
        .map(|i| turned(message(1, i + 1, "text"), i as f32 / 20.0))
        .collect();
    for indexed in batch.iter_mut().skip(5) {
        indexed.message.lang = "uk".to_owned();
    }
    let mut nowhere = turned(message(1, 50, "text"), 0.0);
    nowhere.vector = Some(vec![0.0; model().dimensions]);
    batch.push(nowhere);
    store.apply(batch).await.expect("fixtures are stored");
    let hits = store.search(&vector_request(0.0, 30)).await;
    let hits = hits.expect("the store answers");
    let wanted: Vec<_> = (1..=20).map(|i| key(1, i)).collect();
    assert_eq!(
        &keys(&hits)[..20],
        &wanted[..],
        "the 21st is at a right angle"
    );
    for (i, hit) in hits.iter().take(20).enumerate() {
        let angle = i as f64 / 20.0 * std::f64::consts::FRAC_PI_2;
        let similarity = hit.vector_score.expect("vectors were compared");
        assert!((similarity - angle.cos()).abs() < 1e-3, "{i}: {similarity}");
        assert_eq!(hit.text_score, None);
    }
    let mut request = vector_request(0.0, 3);
    request.filter.langs = vec!["uk".to_owned()];
    let hits = store.search(&request).await.expect("the store answers");
    assert_eq!(keys(&hits), [key(1, 6), key(1, 7), key(1, 8)]);
}

/// The embed stage applies a stored version again, with its vector.
pub async fn a_missing_vector_is_filled_later(store: &dyn MessageStore) {
    let first = message(1, 1, "text");
    store_all(store, &[first.clone(), message(1, 2, "text")]).await;
    let found = store.search(&vector_request(0.0, 5)).await;
    assert_eq!(keys(&found.expect("an answer")), []);
    let known = Applied {
        n_known: 1,
        ..Applied::default()
    };
    let filled = store.apply(vec![turned(first.clone(), 0.1)]).await;
    assert_eq!(filled.expect("a batch is stored"), known);
    let found = store.search(&vector_request(0.0, 5)).await;
    assert_eq!(keys(&found.expect("an answer")), [key(1, 1)]);
    // Without a vector the version is known; the vector stays.
    let again = store.apply(vec![plain(first.clone())]).await;
    assert_eq!(again.expect("a batch is stored"), known);
    let found = store.search(&vector_request(0.0, 5)).await;
    assert_eq!(keys(&found.expect("an answer")), [key(1, 1)]);
    assert_eq!(store.history(&key(1, 1)).await.expect("an answer"), []);
    // A new text needs a new vector.
    store_all(store, &[edited(&first, 10, 5, "other words")]).await;
    let found = store.search(&vector_request(0.0, 5)).await;
    assert_eq!(keys(&found.expect("an answer")), []);
}

/// Text search never waits for vectors.
pub async fn a_message_without_vector_is_found_by_text(store: &dyn MessageStore) {
    let batch = vec![
        turned(message(1, 1, "the ferry leaves at noon"), 0.2),
        plain(message(1, 2, "the ferry is late")),
    ];
    store.apply(batch).await.expect("fixtures are stored");
    for mode in [SearchMode::Text, SearchMode::Hybrid] {
        let request = SearchRequest {
            mode,
            vector: Some(direction(0.2)),
            ..text_request("late", 10)
        };
        let hits = store.search(&request).await.expect("any text is answered");
        let late = hits.iter().find(|h| h.message.id == key(1, 2));
        let late = late.expect("the late ferry is found");
        assert!(late.text_score.is_some() && late.vector_score.is_none());
    }
}

/// A query of another model is a configuration error, not an empty answer.
pub async fn a_vector_of_another_length_is_refused(store: &dyn MessageStore) {
    let mut request = vector_request(0.0, 5);
    request.vector = Some(vec![1.0; 3]);
    let refused = store.search(&request).await;
    assert!(
        matches!(refused, Err(Error::ModelMismatch { .. })),
        "{refused:?}"
    );
}

/// Fused by reciprocal rank; the syntax of the query binds both legs.
pub async fn hybrid_ranks_first_what_both_legs_find(store: &dyn MessageStore) {
    let batch = vec![
        turned(message(1, 1, "storm warning for the coast"), 0.9),
        turned(message(1, 2, "storm damage at the coast road"), 0.0),
        turned(message(1, 3, "a calm evening"), 0.1),
        turned(message(1, 4, "nothing to see"), 0.3),
    ];
    store.apply(batch).await.expect("fixtures are stored");
    let mut request = SearchRequest {
        mode: SearchMode::Hybrid,
        vector: Some(direction(0.0)),
        ..text_request("storm", 10)
    };
    let hits = store.search(&request).await.expect("any text is answered");
    assert_eq!(hits[0].message.id, key(1, 2));
    assert!(hits[0].text_score.is_some() && hits[0].vector_score.is_some());
    assert_eq!(hits.len(), 4);
    assert!(hits.windows(2).all(|w| w[0].score >= w[1].score));

    request.query = telesift_text::Query::parse("storm -damage");
    let hits = store.search(&request).await.expect("any text is answered");
    assert!(hits.iter().all(|h| h.message.id != key(1, 2)), "{hits:?}");

    request.vector = None;
    request.query = telesift_text::Query::parse("storm");
    let hits = store.search(&request).await.expect("any text is answered");
    assert_eq!(hits.len(), 2, "without a vector the words decide");
}

/// Page two begins where page one ended.
pub async fn a_larger_limit_only_adds_hits(store: &dyn MessageStore) {
    let batch: Vec<Message> = (1..=150)
        .map(|i| message(1, i, if i % 3 == 0 { "tram stop" } else { "bus stop" }))
        .collect();
    let batch = batch.into_iter().zip(0..);
    let batch = batch.map(|(m, i)| turned(m, (i * 37 % 150) as f32 / 160.0));
    store
        .apply(batch.collect())
        .await
        .expect("fixtures are stored");
    for mode in [SearchMode::Hybrid, SearchMode::Text, SearchMode::Vector] {
        let mut request = SearchRequest {
            mode,
            vector: Some(direction(0.0)),
            ..text_request("tram", 100)
        };
        let all = keys(&store.search(&request).await.expect("an answer"));
        for limit in [1, 10, 40] {
            request.limit = limit;
            let some = keys(&store.search(&request).await.expect("an answer"));
            assert_eq!(some, all[..limit.min(all.len())], "{mode:?} {limit}");
        }
    }
}

/// The embed stage finds what waits for a vector: with words, of the classes asked for, newest first.
pub async fn tells_what_waits_for_a_vector(store: &dyn MessageStore) {
    let of = |id: i64, text: &str, class: Class| {
        let mut message = message(1, id, text);
        if let Some(screen) = &mut message.screen {
            screen.class = class;
        }
        message
    };
    let mut gone = of(6, "taken back", Class::Signal);
    gone.kind = MessageKind::Deleted;
    let batch = vec![
        plain(of(1, "the older one", Class::Signal)),
        plain(of(2, "the newer one", Class::Signal)),
        turned(of(3, "has a vector", Class::Signal), 0.2),
        plain(of(4, "some talk", Class::Noise)),
        plain(of(5, "\u{1f44d}", Class::Signal)),
        plain(gone),
        plain(of(7, "a hint", Class::WeakSignal)),
    ];
    store.apply(batch).await.expect("fixtures are stored");
    let waiting = async |classes: &[Class], limit| -> Vec<_> {
        let found = store.without_vector(classes, None, limit).await;
        found.expect("an answer").iter().map(|m| m.id).collect()
    };
    assert_eq!(waiting(&[Class::Signal], 10).await, [key(1, 2), key(1, 1)]);
    assert_eq!(waiting(&[Class::Signal], 1).await, [key(1, 2)]);
    let both = [Class::Signal, Class::WeakSignal];
    assert_eq!(waiting(&both, 10).await, [key(1, 7), key(1, 2), key(1, 1)]);
    assert_eq!(
        store
            .count_without_vector(&both, None)
            .await
            .expect("a count"),
        3
    );
    assert_eq!(
        store
            .count_without_vector(&[], None)
            .await
            .expect("a count"),
        0
    );
    // A label goes before the screen.
    let label = VersionLabel {
        key: key(1, 4),
        edit: 0,
        class: Some(Class::Signal),
        spam: None,
        decided: Offset(1),
    };
    store.set_labels(&[label]).await.expect("a label is set");
    assert_eq!(waiting(&[Class::Signal], 1).await, [key(1, 4)]);
    let filled = vec![turned(of(4, "some talk", Class::Noise), 0.1)];
    store.apply(filled).await.expect("a vector is filled in");
    assert_eq!(waiting(&[Class::Signal], 1).await, [key(1, 2)]);
}

/// What is kept here waits for no vector of a model elsewhere: private chats without consent, and chats set so.
pub async fn what_is_kept_here_waits_for_no_vector(store: &dyn MessageStore) {
    let (person, friend, group) = (ChatId(501), ChatId(502), ChatId(-503));
    let of = |chat: ChatId, id: i64| {
        let mut message = message(1, id, "a word or two");
        message.chat.id = chat;
        message.id.chat = chat;
        plain(message)
    };
    let batch = vec![of(person, 1), of(friend, 2), of(group, 3), of(chat(1), 4)];
    store.apply(batch).await.expect("fixtures are stored");
    let waiting = async |kept: Option<&KeptHere>| -> Vec<ChatId> {
        let found = store.without_vector(&[Class::Signal], kept, 10).await;
        let mut found: Vec<ChatId> = found
            .expect("an answer")
            .iter()
            .map(|m| m.chat.id)
            .collect();
        found.sort_unstable();
        let n = store.count_without_vector(&[Class::Signal], kept).await;
        assert_eq!(n.expect("a count"), found.len() as u64);
        found
    };
    let mut everyone = [person, friend, group, chat(1)];
    everyone.sort_unstable();
    assert_eq!(waiting(None).await, everyone);
    // Where nobody said anything only private chats are kept.
    let mut groups = [group, chat(1)];
    groups.sort_unstable();
    assert_eq!(waiting(Some(&KeptHere::of(&[]))).await, groups);
    let setting = |chat, enrich, consents: bool| ChatSetting {
        chat,
        enrich,
        consent: consents.then(|| Consent {
            by: "ops".to_owned(),
            at: time(0),
        }),
        updated_at: time(0),
        decided: None,
    };
    let kept = KeptHere::of(&[
        setting(person, Enrich::Remote, true),
        setting(friend, Enrich::Remote, false), // nobody consents to that
        setting(group, Enrich::Local, false),
    ]);
    let mut left = [person, chat(1)];
    left.sort_unstable();
    assert_eq!(waiting(Some(&kept)).await, left);
}
