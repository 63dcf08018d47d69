//! Stories: what tells the same is one story, what is told anew is another, however the log is read.

mod board;
mod measured;
mod replay;

use telesift_schemas::StoryLink;
use telesift_stages::stories::StoriesConfig;

use board::{Board, Post};

const NEWS: &str = "У Києві через негоду зупинили рух трамваїв на Подолі: на колії впало дерево. Рятувальники \
    обіцяють відновити рух за дві години, пасажирів просять обирати автобуси 18 та 62.";
const ALERT: &str =
    "🚨 Увага! Повітряна тривога в Києві та області. Всім негайно пройти в укриття!";

/// The `n`th way to repost a text with a small edit.
fn edited(text: &str, n: usize) -> String {
    let words: Vec<&str> = text.split(' ').collect();
    let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    let at = (n * 7 + 3) % words.len();
    match n % 8 {
        0 => words[at] = "щойно".to_owned(),
        1 => words[at].push_str(" 🔥⚡️"),
        2 => return format!("{text}\n\n👉 Підписатися на @channel_{n} | Надіслати новину"),
        3 => {
            let mut letters: Vec<char> = words[at].chars().collect();
            letters.rotate_left(1);
            words[at] = letters.into_iter().collect();
        }
        4 => return text.to_uppercase(),
        5 => return text.replace(' ', "  ").replace('.', "!\n"),
        6 => return format!("{text}\nhttps://site-{n}.example/news?id={n}&utm_source=tg"),
        _ => return format!("‼️ ОНОВЛЕНО {text}"),
    }
    words.join(" ")
}

#[tokio::test]
async fn a_hundred_reposts_with_small_edits_are_one_story() {
    let english = "The port authority of Larkhaven closed both ferry terminals on Monday after a cargo vessel lost \
        steering and hit the eastern pier. Nobody was hurt, services should resume by 18:00.";
    for text in [NEWS, english] {
        let board = Board::new(3).await;
        board.post(Post::new(1, 1, 0, text)).await;
        for n in 0..100 {
            let chat = 2 + n as i64 % 9;
            board
                .post(Post::new(chat, 10 + n as i64, n as i64, &edited(text, n)))
                .await;
        }
        // In the first chat of each such repost there was one before, less than an hour ago or not.
        let config = StoriesConfig {
            repeat_s: 3 * 3_600,
            ..StoriesConfig::default()
        };
        board.run(config, 16).await;
        let stories = board.by_story().await;
        let sizes: Vec<usize> = stories.values().map(Vec::len).collect();
        assert_eq!(sizes, [101]);
    }
}

#[tokio::test]
async fn reposts_over_many_chats_are_one_story_by_default() {
    let board = Board::new(4).await;
    for n in 0..100 {
        board
            .post(Post::new(1 + n as i64, 5, 20 * n as i64, &edited(NEWS, n)))
            .await;
    }
    board.run(StoriesConfig::default(), 1_000).await;
    let sizes: Vec<usize> = board.by_story().await.values().map(Vec::len).collect();
    assert_eq!(sizes, [100]);
}

#[tokio::test]
async fn an_alert_every_few_hours_is_a_story_each_time() {
    let board = Board::new(2).await;
    for n in 0..6 {
        let minute = n * 180;
        board.post(Post::new(1, 100 + n, minute, ALERT)).await;
        board
            .post(Post::new(2, 200 + n, minute + 3, &ALERT.to_uppercase()))
            .await;
        board
            .post(Post::new(
                3,
                300 + n,
                minute + 4,
                "Пробки на мосту Патона, їдьте в обʼїзд",
            ))
            .await;
    }
    board.run(StoriesConfig::default(), 5).await;
    let stories = board.by_story().await;
    assert_eq!(stories.len(), 6, "{stories:?}");
    for members in stories.values() {
        let [a, b] = members.as_slice() else {
            panic!("{members:?}")
        };
        assert_eq!(a.message_id + 100, b.message_id);
    }
}

#[tokio::test]
async fn a_relay_that_comes_first_begins_the_new_story() {
    let board = Board::new(2).await;
    for (chat, id, minute) in [(1, 1, 0), (2, 1, 2), (2, 2, 240), (1, 2, 243)] {
        board.post(Post::new(chat, id, minute, ALERT)).await;
    }
    board.run(StoriesConfig::default(), 9).await;
    let stories = board.by_story().await;
    let keys: Vec<Vec<String>> = stories
        .values()
        .map(|m| m.iter().map(ToString::to_string).collect())
        .collect();
    assert_eq!(keys.len(), 2);
    assert!(keys.contains(&vec!["1:1".into(), "2:1".into()]), "{keys:?}");
    assert!(keys.contains(&vec!["1:2".into(), "2:2".into()]), "{keys:?}");
}

#[tokio::test]
async fn small_talk_never_is_a_story() {
    let board = Board::new(2).await;
    let texts = [
        "ok",
        "дякую",
        "+1",
        "👍",
        "так",
        "Дякую за відповідь!",
        "https://a.example",
    ];
    for (n, text) in texts.into_iter().enumerate() {
        for chat in 1..=4 {
            board.post(Post::new(chat, n as i64, chat, text)).await;
        }
    }
    for chat in 1..=4 {
        let greeting = "доброго ранку всім, гарного дня!";
        board
            .post(Post::new(chat, 50, chat, greeting).class("noise"))
            .await;
    }
    board.run(StoriesConfig::default(), 100).await;
    assert!(board.by_story().await.is_empty());
}

#[tokio::test]
async fn forwards_belong_to_what_they_were_forwarded_from() {
    let board = Board::new(2).await;
    // Before the original, after it, of another forward's original; with hardly any text.
    board
        .post(Post::new(5, 1, 0, "").forward(Some((9, 7))))
        .await;
    board.post(Post::new(9, 7, -10, "Фото дня")).await;
    board
        .post(Post::new(6, 1, 200, "").forward(Some((9, 7))))
        .await;
    board
        .post(Post::new(6, 2, 400, "").forward(Some((9, 7))))
        .await;
    board
        .post(Post::new(6, 3, 5, "").forward(Some((9, 8))))
        .await;
    board.post(Post::new(6, 4, 5, "").forward(None)).await;
    board.run(StoriesConfig::default(), 2).await;
    let stories = board.assigned().await;
    assert!(stories.iter().all(|a| a.first.to_string() == "5:1"));
    let how: Vec<(String, StoryLink)> = stories
        .iter()
        .map(|a| (a.message.to_string(), a.how))
        .collect();
    let forward = StoryLink::Forward;
    assert_eq!(
        how,
        [
            ("5:1".to_owned(), StoryLink::First),
            ("9:7".to_owned(), forward),
            ("6:1".to_owned(), forward),
            ("6:2".to_owned(), forward),
        ]
    );
}

#[tokio::test]
async fn a_forward_within_its_chat_is_not_told_anew() {
    let board = Board::new(1).await;
    board.post(Post::new(1, 1, 0, ALERT)).await;
    board.post(Post::new(1, 2, 300, ALERT).forward(None)).await;
    board.run(StoriesConfig::default(), 9).await;
    let sizes: Vec<usize> = board.by_story().await.values().map(Vec::len).collect();
    assert_eq!(sizes, [2]);
}

#[tokio::test]
async fn an_edit_stays_in_the_story_of_its_message() {
    let board = Board::new(2).await;
    let other = "Розклад гуртків змінено: малювання тепер у середу о шостій, керамік збираємо в суботу зранку.";
    board.post(Post::new(1, 1, 0, NEWS)).await;
    board.post(Post::new(2, 1, 5, NEWS)).await;
    board.post(Post::new(2, 1, 5, other).edit(99)).await;
    board.post(Post::new(3, 1, 9, other)).await;
    board
        .post(Post::new(
            4,
            1,
            9,
            "щось зовсім інше, про погоду у горах на вихідних",
        ))
        .await;
    board.post(Post::new(4, 1, 9, NEWS).edit(100)).await;
    board.run(StoriesConfig::default(), 1).await;
    let stories = board.by_story().await;
    assert_eq!(stories.len(), 1);
    let told: Vec<String> = stories
        .into_values()
        .flatten()
        .map(|k| k.to_string())
        .collect();
    // What repeats the edited text repeats the message; what was edited into the story joins it.
    assert_eq!(told, ["1:1", "2:1", "3:1", "4:1"]);
    let last = board.assigned().await.pop().unwrap();
    assert_eq!((last.edit, last.how), (100, StoryLink::Exact));
}

#[tokio::test]
async fn only_what_lies_near_in_time_is_one_story() {
    let hour = 60;
    for (minute, expected) in [
        (70 * hour, 1),
        (-70 * hour, 1),
        (74 * hour, 0),
        (-74 * hour, 0),
    ] {
        let board = Board::new(2).await;
        board.post(Post::new(1, 1, 0, NEWS)).await;
        board.post(Post::new(2, 1, minute, NEWS)).await;
        board.run(StoriesConfig::default(), 9).await;
        assert_eq!(board.by_story().await.len(), expected, "{minute}");
    }
}

#[tokio::test]
async fn what_lies_too_many_messages_back_is_forgotten() {
    for (n_between, expected) in [(7, 1), (8, 0)] {
        let board = Board::new(2).await;
        board.post(Post::new(1, 1, 0, NEWS)).await;
        for n in 0..n_between {
            board.post(Post::new(3, n, 1, "ok")).await;
        }
        board.post(Post::new(2, 1, 2, NEWS)).await;
        let config = StoriesConfig {
            max_records: 9,
            ..StoriesConfig::default()
        };
        board.run(config, 4).await;
        assert_eq!(board.by_story().await.len(), expected, "{n_between}");
    }
}

#[tokio::test]
async fn every_input_is_accounted_for() {
    let board = Board::new(2).await;
    board.post(Post::new(1, 1, 0, NEWS)).await;
    board.post(Post::new(2, 1, 1, NEWS)).await;
    board.post(Post::new(2, 1, 1, NEWS).edit(7)).await;
    board.post(Post::new(2, 2, 1, "ok")).await;
    board.append_raw(2, "{}").await;
    board.post(Post::new(3, 1, 1, &edited(NEWS, 0))).await;
    board.run(StoriesConfig::default(), 2).await;
    let counters = board.counters().await;
    assert_eq!(counters.pending(), 0);
    assert_eq!(
        (counters.received, counters.emitted, counters.dead_lettered),
        (6, 2, 1)
    );
    let skipped = [("assigned", 1), ("no_text", 1), ("unique", 1)].map(|(r, n)| (r.to_owned(), n));
    assert_eq!(counters.skipped, skipped.into());
    let assigned = board.assigned().await;
    assert_eq!(assigned.len(), 3);
    let near = &assigned[2];
    assert_eq!(near.how, StoryLink::Near);
    assert!((0.5..1.0).contains(&near.similarity), "{}", near.similarity);
    assert_eq!(near.origin.offset.0, 5, "the raw record it came from");

    board.project().await;
    let summary = board.summary("3:1").await.unwrap();
    assert_eq!((summary.size, summary.first.to_string()), (3, "1:1".into()));
    board.project().await;
    assert_eq!(board.summary("1:1").await.unwrap().size, 3);
}
