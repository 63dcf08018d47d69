//! The golden answers that lie in `golden/` are what the definitions say, and what the crate works out.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    env, fs,
    path::PathBuf,
};

use telesift_schemas::{
    Class, Message, MessageKey, MessageKind, Offset, StoryAssigned, StoryLink, Timestamp,
};
use telesift_text::topical_terms;
use telesift_windows::{
    Told,
    golden::{self, Answers, Arrival, Question},
};

fn told(arrivals: &[&Arrival]) -> Vec<Told> {
    let read = |arrival: &&Arrival| {
        let record = serde_json::to_vec(&arrival.message).expect("JSON");
        Told::read(&record, Offset(0)).expect("a message")
    };
    arrivals.iter().map(read).collect()
}

fn stories(arrivals: &[&Arrival]) -> Vec<StoryAssigned> {
    arrivals.iter().flat_map(|a| a.stories.clone()).collect()
}

fn answers(arrivals: &[&Arrival]) -> Answers {
    golden::answers(told(arrivals), &stories(arrivals), golden::closed_until())
}

#[test]
fn the_input_is_what_it_says() {
    let input = golden::input();
    assert_eq!(input.len(), golden::N_MESSAGES);
    let (mut latest, mut last_late) = (0, None);
    for (i, arrival) in input.iter().enumerate() {
        let us = arrival.message.event_time.as_microsecond();
        match arrival.is_late {
            false => assert!(us > latest - 2_000_000, "{i} is out of order"),
            true => {
                // Wider than the widest step of a window, and an hour.
                assert!(us < latest - 2 * 3_600_000_000, "{i} is hardly late");
                // Arroyo's watermark may go back to a late record: two in a row would be taken for a window of their own.
                assert!(last_late.is_none_or(|last| i - last > 100), "{i}");
                last_late = Some(i);
            }
        }
        latest = latest.max(us);
    }
    let is = |wanted: fn(&Message) -> bool| input.iter().filter(|a| wanted(&a.message)).count();
    assert_eq!(input.iter().filter(|a| a.is_late).count(), 100);
    assert!(is(|m| m.edit > 0 && m.kind != MessageKind::Deleted) > 15);
    assert!(is(|m| m.kind == MessageKind::Deleted) > 8);
    let closing = &input[golden::N_MESSAGES - 1].message;
    assert_eq!(closing.event_time.as_second(), golden::CLOSING_S);
    assert!(input.iter().map(|a| a.stories.len()).sum::<usize>() > 1_000);
}

/// The file of a question, and that of what late records change in it: `-` a row that is no more, `+` one that is new.
#[test]
fn the_crate_answers_as_the_files_say() {
    let input = golden::input();
    let in_time: Vec<&Arrival> = input.iter().filter(|a| !a.is_late).collect();
    let all: Vec<&Arrival> = input.iter().collect();
    let (live, whole) = (answers(&in_time), answers(&all));
    for question in Question::ALL {
        let (live, whole) = (live.lines(question), whole.lines(question));
        assert!(live.len() > 50, "{question:?} has only {} rows", live.len());
        kept(&format!("{}.tsv", question.topic()), &live);
        let before: BTreeSet<_> = live.iter().collect();
        let after: BTreeSet<_> = whole.iter().collect();
        let gone = before.difference(&after).map(|line| format!("-{line}"));
        let new = after.difference(&before).map(|line| format!("+{line}"));
        let changed: Vec<String> = gone.chain(new).collect();
        assert!(
            !changed.is_empty(),
            "late records change nothing in {question:?}"
        );
        kept(&format!("{}.late.tsv", question.topic()), &changed);
    }
}

fn kept(name: &str, lines: &[String]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("golden")
        .join(name);
    let text = lines.join("\n") + "\n";
    if env::var_os("TELESIFT_BLESS").is_some() {
        fs::write(&path, &text).expect("a file");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == text,
        "golden/{name} differs: if the definitions changed, run this test with TELESIFT_BLESS=1 and commit what changed"
    );
}

#[test]
fn the_order_of_arrival_does_not_matter() {
    let mut input = golden::input();
    let whole = answers(&input.iter().collect::<Vec<_>>());
    input.reverse();
    assert!(answers(&input.iter().collect::<Vec<_>>()) == whole);
}

/// The definitions once more, as they would be said in words: slow, and without panes.
#[test]
fn the_answers_are_those_of_the_definitions() {
    let input = golden::input();
    let all: Vec<&Arrival> = input.iter().collect();
    let found = answers(&all);
    let messages = current(&input);
    let until = golden::closed_until().as_second();

    let trends: BTreeMap<_, _> = found
        .trends
        .iter()
        .map(|t| {
            (
                (t.window_end.as_second(), t.kind.as_str(), t.value.clone()),
                (t.messages, t.previous),
            )
        })
        .collect();
    let bursts: BTreeMap<_, _> = found
        .bursts
        .iter()
        .map(|b| {
            (
                (b.window_end.as_second(), b.kind.as_str(), b.subject.clone()),
                (b.messages, b.baseline),
            )
        })
        .collect();
    let (mut n_trends, mut n_bursts) = (0, 0);
    for end in (golden::START_S..=until).step_by(900) {
        let (hour, before) = (
            values(&messages, end - 3_600, end),
            values(&messages, end - 7_200, end - 3_600),
        );
        for ((kind, value), n) in hour.iter().filter(|(_, n)| **n >= 5) {
            n_trends += 1;
            let previous = before.get(&(*kind, value.clone())).copied().unwrap_or(0);
            assert_eq!(
                trends.get(&(end, *kind, value.clone())),
                Some(&(*n, previous))
            );
        }
        let (quarter, base) = (
            values(&messages, end - 900, end),
            values(&messages, end - 9 * 900, end - 900),
        );
        let chats = |from, to| {
            let mut n: HashMap<String, u64> = HashMap::new();
            for m in within(&messages, from, to) {
                *n.entry(m.id.chat.to_string()).or_default() += 1;
            }
            n
        };
        let terms = quarter.into_iter().filter(|((kind, _), _)| *kind == "term");
        let terms = terms.map(|((_, term), n)| {
            (
                "term",
                5,
                n,
                base.get(&("term", term.clone())).copied(),
                term,
            )
        });
        let before = chats(end - 9 * 900, end - 900);
        let loud = chats(end - 900, end)
            .into_iter()
            .map(|(chat, n)| ("chat", 10, n, before.get(&chat).copied(), chat));
        for (kind, min, n, baseline, subject) in terms.chain(loud) {
            let baseline = baseline.unwrap_or(0);
            if n >= min && n as f64 >= 3.0 * baseline as f64 / 8.0 {
                n_bursts += 1;
                assert_eq!(bursts.get(&(end, kind, subject)), Some(&(n, baseline)));
            }
        }
    }
    for end in (golden::START_S..=until).step_by(3_600) {
        let chats: BTreeSet<String> = messages.iter().map(|m| m.id.chat.to_string()).collect();
        for chat in chats {
            let n = |from, to| {
                within(&messages, from, to)
                    .filter(|m| m.id.chat.to_string() == chat)
                    .count() as u64
            };
            let fell_silent =
                n(end - 6 * 3_600, end) == 0 && n(end - 7 * 3_600, end - 6 * 3_600) > 0;
            let day = n(end - 86_400, end);
            if fell_silent && day >= 12 {
                n_bursts += 1;
                assert_eq!(bursts.get(&(end, "silence", chat)), Some(&(0, day)));
            }
        }
    }
    assert_eq!(
        (n_trends, n_bursts),
        (found.trends.len(), found.bursts.len())
    );
    minutes_and_stories(&input, &messages, &found);
}

fn minutes_and_stories(input: &[Arrival], messages: &[Message], found: &Answers) {
    let closing = golden::CLOSING_S;
    let counted = messages
        .iter()
        .filter(|m| m.event_time.as_second() < closing)
        .count() as u64;
    assert_eq!(
        found.screen_stats.iter().map(|s| s.messages).sum::<u64>(),
        counted
    );
    for row in found.screen_stats.iter().step_by(37) {
        let of_row: Vec<&Message> = within(
            messages,
            row.window_start.as_second(),
            row.window_end.as_second(),
        )
        .filter(|m| m.id.chat == row.chat)
        .collect();
        let screens = of_row.iter().filter_map(|m| m.screen.as_ref());
        let n = |class| screens.clone().filter(|s| s.class == class).count() as u64;
        assert_eq!(
            (row.noise, row.weak_signal, row.signal),
            (n(Class::Noise), n(Class::WeakSignal), n(Class::Signal))
        );
        let mean = screens.clone().map(|s| s.score).sum::<f64>() / of_row.len() as f64;
        assert!((row.mean_score - mean).abs() < 1e-6);
        let spam = screens
            .filter(|s| s.flags.iter().any(|f| f == "spam"))
            .count() as u64;
        assert_eq!(row.spam, spam);
    }
    let tellings: Vec<&StoryAssigned> = input
        .iter()
        .flat_map(|a| &a.stories)
        .filter(|s| s.how != StoryLink::First)
        .collect();
    for row in found.story_spread.iter().step_by(23) {
        let of_row: Vec<&&StoryAssigned> = tellings
            .iter()
            .filter(|s| {
                s.story == row.story && (row.window_start..row.window_end).contains(&s.event_time)
            })
            .collect();
        let chats: BTreeSet<_> = of_row.iter().map(|s| s.message.chat).collect();
        assert_eq!(
            (row.messages, row.chats),
            (of_row.len() as u64, chats.len() as u64)
        );
        assert_eq!(
            Some(row.last_seen),
            of_row.iter().map(|s| s.event_time).max()
        );
        assert_eq!(Some(row.first_seen), of_row[0].first_time);
    }
}

/// The current version of each message that is not deleted.
fn current(input: &[Arrival]) -> Vec<Message> {
    let mut newest: BTreeMap<MessageKey, Message> = BTreeMap::new();
    for arrival in input {
        let message = &arrival.message;
        let place = newest.entry(message.id).or_insert_with(|| message.clone());
        if message.version() > place.version() {
            *place = message.clone();
        }
    }
    newest
        .into_values()
        .filter(|m| m.kind != MessageKind::Deleted)
        .collect()
}

fn within(messages: &[Message], from: i64, to: i64) -> impl Iterator<Item = &Message> {
    let at = |s| Timestamp::from_second(s).expect("a time");
    let range = at(from)..at(to);
    messages
        .iter()
        .filter(move |m| range.contains(&m.event_time))
}

/// In how many messages that are no noise each term and link stands.
fn values(messages: &[Message], from: i64, to: i64) -> HashMap<(&'static str, String), u64> {
    let mut n: HashMap<(&'static str, String), u64> = HashMap::new();
    for m in within(messages, from, to) {
        if m.screen.as_ref().is_some_and(|s| s.class == Class::Noise) {
            continue;
        }
        let terms = topical_terms(&m.text)
            .into_iter()
            .map(|term| ("term", term));
        let links = m.links.iter().map(|link| ("link", link.clone()));
        for value in terms.chain(links) {
            *n.entry(value).or_default() += 1;
        }
    }
    n
}
