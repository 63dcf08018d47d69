//! Checks of searching by words.

use telesift_schemas::{Class, Media, Message, MessageKey, MessageKind};

use super::fixtures::{
    Dice, edited, find, key, keys, message, screen, store_all, text_request, varied_filter,
    varied_messages,
};
use crate::message_store::{MessageFilter, MessageStore, SearchMode};

/// No waiting for an index.
pub async fn finds_a_fresh_message_at_once(store: &dyn MessageStore) {
    store_all(store, &[message(1, 1, "The generator is broken again")]).await;
    assert_eq!(find(store, "generator").await, [key(1, 1)]);
    store.maintain().await.expect("maintenance succeeds");
    store_all(store, &[message(1, 2, "A second generator arrived")]).await;
    let mut found = find(store, "generator").await;
    found.sort();
    assert_eq!(found, [key(1, 1), key(1, 2)]);
}

/// Own examples: Ukrainian, Russian, English, Chinese, Arabic.
pub async fn finds_messages_in_five_languages(store: &dyn MessageStore) {
    let texts = [
        "Завтра відключать воду на лівому березі міста",
        "Поезд задержали на границе из-за проверки документов",
        "The release was postponed because the tests kept failing",
        "服务器昨天晚上发生故障，工程师正在修复数据库",
        "تأخرت الطائرة ثلاث ساعات بسبب العاصفة الرملية",
    ];
    let messages: Vec<Message> = texts
        .iter()
        .zip(1..)
        .map(|(text, i)| message(1, i, text))
        .collect();
    store_all(store, &messages).await;
    let questions = [
        ("відключать воду", 1),
        ("документов", 2),
        ("Tests FAILING", 3),
        ("数据库", 4),
        ("العاصفة", 5),
    ];
    for (query, id) in questions {
        assert_eq!(
            find(store, query).await.first(),
            Some(&key(1, id)),
            "{query}"
        );
    }
}

/// A word in one form finds it in another.
pub async fn finds_another_inflection(store: &dyn MessageStore) {
    let messages = [
        message(1, 1, "Працівники складу отримали нові обладунки"),
        message(1, 2, "Сегодня обсуждали новые квартиры в центре"),
        message(1, 3, "They were testing the pumps"),
        message(1, 4, "Погода гарна"),
    ];
    store_all(store, &messages).await;
    assert_eq!(find(store, "склад").await, [key(1, 1)]);
    assert_eq!(find(store, "квартира").await, [key(1, 2)]);
    assert_eq!(find(store, "pump").await, [key(1, 3)]);
}

/// Words of 25 Cyrillic letters are words; `ok` is not `token`.
pub async fn finds_long_words_but_no_parts_of_words(store: &dyn MessageStore) {
    let messages = [
        message(1, 1, "Високопревосходительствую людиноненависництвом щодня"),
        message(1, 2, "the token expired"),
        message(
            1,
            3,
            "https://example.org/a-rather-long-path-to-somewhere-else-entirely is down",
        ),
    ];
    store_all(store, &messages).await;
    assert_eq!(find(store, "Високопревосходительствую").await, [key(1, 1)]);
    assert_eq!(find(store, "ok").await, []);
    assert_eq!(find(store, "token").await, [key(1, 2)]);
    assert_eq!(find(store, "down").await, [key(1, 3)]);
}

/// A poll is found by its options.
pub async fn finds_what_a_medium_is_described_by(store: &dyn MessageStore) {
    let mut poll = message(1, 1, "");
    poll.kind = MessageKind::Poll;
    poll.media = Some(Media {
        description: Some("Where do we meet? Library, Railway station".to_owned()),
        ..Media::default()
    });
    let mut photo = poll.clone();
    photo.id = key(1, 2);
    photo.message_id = 2;
    photo.text = "The library burned".to_owned();
    store_all(store, &[poll, photo]).await;
    let mut found = find(store, "railway").await;
    found.sort();
    assert_eq!(found, [key(1, 1), key(1, 2)]);
    assert_eq!(find(store, "burned").await, [key(1, 2)]);
}

/// Search answers with current versions only.
pub async fn does_not_find_what_was_edited_away(store: &dyn MessageStore) {
    let first = message(1, 1, "meeting on monday");
    store_all(store, &[first.clone(), message(1, 2, "nothing here")]).await;
    store.maintain().await.expect("maintenance succeeds");
    store_all(store, &[edited(&first, 10, 5, "meeting on friday")]).await;
    assert_eq!(find(store, "monday").await, []);
    assert_eq!(find(store, "friday").await, [key(1, 1)]);
    store.maintain().await.expect("maintenance succeeds");
    assert_eq!(find(store, "monday").await, []);
    assert_eq!(find(store, "meeting").await, [key(1, 1)]);
}

/// The query syntax of the API.
pub async fn phrases_are_required_and_minus_words_excluded(store: &dyn MessageStore) {
    let messages = [
        message(1, 1, "the red house stands on the hill"),
        message(1, 2, "a house painted red"),
        message(1, 3, "a red boat"),
        message(1, 4, "a blue boat"),
    ];
    store_all(store, &messages).await;
    let sorted = async |query: &str| {
        let mut found = find(store, query).await;
        found.sort();
        found
    };
    assert_eq!(sorted("\"red house\"").await, [key(1, 1)]);
    assert_eq!(sorted("red -house").await, [key(1, 3)]);
    assert_eq!(sorted("boat -red").await, [key(1, 4)]);
    assert_eq!(
        sorted("\"blue boat\" OR \"red house\"").await,
        [key(1, 1), key(1, 4)]
    );
    assert_eq!(sorted("boat -\"blue boat\"").await, [key(1, 3)]);
    assert_eq!(sorted("\"house red\"").await, []);
    assert_eq!(sorted("-red").await, []);
}

/// One message with the phrase, hundreds with its words.
pub async fn required_words_are_found_behind_many_better_hits(store: &dyn MessageStore) {
    let mut messages: Vec<Message> = (1..=600)
        .map(|i| message(1, i, "bridge closed bridge closed"))
        .collect();
    let far = "after a long discussion in the council about money and time the closed bridge opens";
    messages.push(message(1, 601, far));
    store_all(store, &messages).await;
    let hits = store
        .search(&text_request("\"closed bridge opens\"", 5))
        .await;
    assert_eq!(keys(&hits.expect("any text is answered")), [key(1, 601)]);
    let hits = store
        .search(&text_request("bridge -\"closed bridge closed\"", 5))
        .await;
    assert_eq!(keys(&hits.expect("any text is answered")), [key(1, 601)]);
}

/// The filter is applied before ranking.
pub async fn a_selective_filter_still_fills_the_limit(store: &dyn MessageStore) {
    let mut messages = Vec::new();
    for id in 1..=1000 {
        let (lang, text) = match id % 50 {
            0 => (
                "uk",
                "a note about the river, among much else that was said",
            ),
            _ => ("en", "river river river"),
        };
        let mut m = message(1, id, text);
        m.lang = lang.to_owned();
        messages.push(m);
    }
    store_all(store, &messages[..500]).await;
    store.maintain().await.expect("maintenance succeeds");
    store_all(store, &messages[500..]).await;
    let mut request = text_request("river", 15);
    request.filter.langs = vec!["uk".to_owned()];
    let hits = store.search(&request).await.expect("any text is answered");
    assert_eq!(hits.len(), 15);
    assert!(hits.iter().all(|h| h.message.lang == "uk"));
    request.limit = 100;
    let hits = store.search(&request).await.expect("any text is answered");
    assert_eq!(hits.len(), 20);
}

/// Searching and [`MessageFilter::matches`] follow one rule.
pub async fn searches_what_the_filter_rule_lets_through(store: &dyn MessageStore) {
    let mut dice = Dice(17);
    let messages = varied_messages(&mut dice, 200);
    store_all(store, &messages[..150]).await;
    store.maintain().await.expect("maintenance succeeds");
    store_all(store, &messages[150..]).await;
    for _ in 0..60 {
        let mut request = text_request("harvest", 500);
        request.filter = varied_filter(&mut dice);
        let hits = store.search(&request).await.expect("any text is answered");
        let mut found = keys(&hits);
        found.sort();
        let matching = messages.iter().filter(|m| request.filter.matches(m));
        let mut wanted: Vec<MessageKey> = matching.map(|m| m.id).collect();
        wanted.sort();
        assert_eq!(found, wanted, "{:?}", request.filter);
    }
}

/// Neither deleted messages nor noise, unless the filter names them.
pub async fn deleted_messages_are_found_only_when_asked_for(store: &dyn MessageStore) {
    let mut deleted = message(1, 1, "the harbour");
    deleted.kind = MessageKind::Deleted;
    let mut noise = message(1, 2, "the harbour");
    screen(&mut noise).class = Class::Noise;
    store_all(store, &[deleted, noise, message(1, 3, "the harbour")]).await;
    assert_eq!(find(store, "harbour").await, [key(1, 3)]);
    let mut request = text_request("harbour", 10);
    request.filter = MessageFilter {
        kinds: vec![MessageKind::Deleted],
        ..MessageFilter::default()
    };
    let hits = store.search(&request).await.expect("any text is answered");
    assert_eq!(keys(&hits), [key(1, 1)]);
}

/// A filter alone is a list, not a search.
pub async fn a_query_without_words_finds_nothing(store: &dyn MessageStore) {
    store_all(store, &[message(1, 1, "something")]).await;
    for query in ["", "   ", "?!… —", "\"\"", "-something"] {
        assert_eq!(find(store, query).await, [], "{query:?}");
    }
}

/// Whatever a user types is an answer, never an error.
pub async fn answers_any_text(store: &dyn MessageStore) {
    store_all(store, &[message(1, 1, "it's a table; drop by")]).await;
    let long = "слово ".repeat(1700);
    let unbroken = "я".repeat(10_000);
    let hostile = [
        "'; drop table messages; --",
        "\"unclosed",
        "it's",
        "a\0b \0",
        "%%% ___ \\ \\\\",
        "AND OR NOT ( ) { } [ ] ^ ~ * ? :",
        "terms:drop AND chat_id:1",
        "👍🏽👨‍👩‍👧‍👦 🇺🇦",
        "- -- --- -\"",
        "\u{202e}\u{feff}\u{200b}",
        "OR OR OR",
        "\"\" OR \"\"",
        &long,
        &unbroken,
    ];
    for query in hostile {
        for mode in [SearchMode::Text, SearchMode::Hybrid, SearchMode::Vector] {
            let mut request = text_request(query, 10);
            request.mode = mode;
            request.filter.langs = vec!["en' OR 1=1 --".to_owned(), "en".to_owned()];
            let answer = store.search(&request).await;
            assert!(answer.is_ok(), "{query:?} {mode:?}: {answer:?}");
        }
    }
    assert_eq!(find(store, "it's").await, [key(1, 1)]);
}

/// Indexed, compacted or not: the same messages are found.
pub async fn maintenance_changes_no_answer(store: &dyn MessageStore) {
    let mut dice = Dice(23);
    let messages = varied_messages(&mut dice, 240);
    for (i, batch) in messages.chunks(20).enumerate() {
        store_all(store, batch).await;
        if i % 4 == 3 {
            store.maintain().await.expect("maintenance succeeds");
        }
    }
    let later: Vec<Message> = messages
        .iter()
        .step_by(7)
        .map(|m| edited(m, 9000, 10_000, "the harvest is over"))
        .collect();
    store_all(store, &later).await;
    let answers = async || {
        let mut request = text_request("harvest over", 500);
        request.filter.include_noise = true;
        let found = store.search(&request).await.expect("any text is answered");
        let mut found = keys(&found);
        found.sort();
        let filter = MessageFilter::default();
        let listed = store.list(&filter, None, 50).await.expect("an answer");
        let chats = store.chats().await.expect("an answer");
        let near = store
            .context(&messages[100].id, 3, 3)
            .await
            .expect("an answer");
        let history = store.history(&later[0].id).await.expect("an answer");
        (found, listed, chats, near, history)
    };
    let before = answers().await;
    store.maintain().await.expect("maintenance succeeds");
    store.maintain().await.expect("maintenance succeeds");
    let after = answers().await;
    assert!(!before.0.is_empty());
    assert_eq!(before, after);
}
