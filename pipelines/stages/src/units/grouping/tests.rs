//! Conversations by hand, and laws that hold for every one.

use telesift_schemas::{ChatId, Offset, Origin, PartitionId, Topic};

use super::*;

const GAP: i64 = 600;

fn config() -> UnitsConfig {
    UnitsConfig {
        gap_s: GAP,
        max_messages: 4,
        max_chars: 100,
        settle_ms: 2_000,
    }
}

fn second(s: i64) -> Timestamp {
    Timestamp::from_second(1_767_600_000 + s).unwrap()
}

/// A signal of ten characters, sent at this second.
fn message(id: i64, at: i64) -> Arrival {
    let chat = Chat {
        id: ChatId(-1),
        title: None,
        kind: ChatKind::Group,
        username: None,
    };
    Arrival {
        member: UnitMember {
            message: MessageKey {
                chat: chat.id,
                message_id: id,
            },
            edit: 0,
            event_time: second(at),
            origin: Origin {
                topic: Topic::TELEGRAM_RAW,
                partition: PartitionId(0),
                offset: Offset(id.unsigned_abs()),
            },
        },
        chat,
        thread: None,
        reply_to: None,
        chars: 10,
        kept: Kept::As(Class::Signal),
    }
}

fn edited(id: i64, at: i64, edit: i64, kept: Kept) -> Arrival {
    let mut arrival = message(id, at);
    arrival.member.edit = edit;
    arrival.kept = kept;
    arrival
}

/// The message ids of closed units, and why; touched messages with a minus.
fn told(events: Vec<UnitEvent>) -> Vec<(Vec<i64>, Option<UnitClosed>)> {
    events
        .into_iter()
        .map(|event| match event {
            UnitEvent::Closed { members, why, .. } => {
                let ids = members.iter().map(|m| m.message.message_id);
                (ids.collect(), Some(why))
            }
            UnitEvent::Touched { member, .. } => (vec![-member.message.message_id], None),
        })
        .collect()
}

fn run(arrivals: Vec<Arrival>) -> Vec<(Vec<i64>, Option<UnitClosed>)> {
    let mut chat = ChatUnits::default();
    let mut events = Vec::new();
    for arrival in arrivals {
        events.extend(chat.take(arrival, &config(), second(0)).1);
    }
    events.extend(chat.close_overdue(second(1_000_000), true, &config()));
    told(events)
}

use UnitClosed::{Full, Silence, Whole};

#[test]
fn a_silence_longer_than_the_gap_ends_a_unit() {
    let units = run(vec![
        message(1, 0),
        message(2, GAP),
        message(3, 2 * GAP + 1),
    ]);
    assert_eq!(
        units,
        [(vec![1, 2], Some(Silence)), (vec![3], Some(Silence))]
    );
}

#[test]
fn a_unit_is_full_by_messages_or_characters() {
    let units = run((1..=5).map(|id| message(id, id)).collect());
    assert_eq!(
        units,
        [(vec![1, 2, 3, 4], Some(Full)), (vec![5], Some(Silence))]
    );
    let mut long = message(2, 2);
    long.chars = 95;
    let units = run(vec![message(1, 1), long, message(3, 3)]);
    assert_eq!(
        units,
        [
            (vec![1], Some(Full)),
            (vec![2], Some(Full)),
            (vec![3], Some(Silence))
        ]
    );
}

#[test]
fn threads_are_apart_and_an_answer_goes_to_what_it_answers() {
    let in_thread = |id, at, thread| Arrival {
        thread: Some(thread),
        ..message(id, at)
    };
    let answer = Arrival {
        reply_to: Some(1),
        ..in_thread(4, 4, 9)
    };
    let units = run(vec![
        in_thread(1, 1, 7),
        in_thread(2, 2, 8),
        in_thread(3, 3, 7),
        answer,
    ]);
    assert_eq!(
        units,
        [(vec![1, 3, 4], Some(Silence)), (vec![2], Some(Silence))]
    );
}

#[test]
fn a_post_of_a_channel_is_whole_in_itself() {
    let post = |id| {
        let mut arrival = message(id, id);
        arrival.chat.kind = ChatKind::Channel;
        arrival
    };
    let units = run(vec![post(1), post(2)]);
    assert_eq!(units, [(vec![1], Some(Whole)), (vec![2], Some(Whole))]);
}

#[test]
fn noise_is_left_out_and_ends_nothing() {
    let noise = Arrival {
        kept: Kept::Not("noise"),
        ..message(2, 2)
    };
    let mut chat = ChatUnits::default();
    chat.take(message(1, 1), &config(), second(0));
    let (taken, events) = chat.take(noise, &config(), second(0));
    assert_eq!((taken, events), (Taken::Skipped("noise"), Vec::new()));
    chat.take(message(3, 3), &config(), second(0));
    let closed = chat.close_overdue(second(GAP), false, &config());
    assert_eq!(told(closed), [(vec![1, 3], Some(Silence))]);
}

#[test]
fn an_edit_takes_its_place_in_an_open_unit() {
    let mut chat = ChatUnits::default();
    for arrival in [
        message(1, 1),
        message(2, 2),
        edited(1, 1, 50, Kept::As(Class::WeakSignal)),
    ] {
        let (_, events) = chat.take(arrival, &config(), second(0));
        assert_eq!(events, []);
    }
    let closed = chat.close_overdue(second(1_000_000), true, &config());
    let [UnitEvent::Closed { members, .. }] = &closed[..] else {
        panic!("{closed:?}");
    };
    let versions: Vec<_> = members
        .iter()
        .map(|m| (m.message.message_id, m.edit))
        .collect();
    assert_eq!(versions, [(1, 50), (2, 0)]);
}

#[test]
fn what_was_deleted_or_became_noise_leaves_its_open_unit_and_an_empty_one_is_none() {
    for gone in [Kept::Deleted, Kept::Not("spam")] {
        let units = run(vec![message(1, 1), message(2, 2), edited(1, 1, 50, gone)]);
        assert_eq!(units, [(vec![2], Some(Silence))], "{gone:?}");
        assert_eq!(run(vec![message(1, 1), edited(1, 1, 50, gone)]), []);
    }
}

#[test]
fn a_later_version_of_a_message_of_a_closed_unit_touches_it() {
    let units = run(vec![
        message(1, 0),
        message(2, 2 * GAP),
        edited(1, 0, 50, Kept::As(Class::Signal)),
        edited(1, 0, 60, Kept::Deleted),
    ]);
    assert_eq!(
        units,
        [
            (vec![1], Some(Silence)),
            (vec![-1], None),
            (vec![-1], None),
            (vec![2], Some(Silence)),
        ]
    );
}

#[test]
fn a_message_first_seen_edited_is_a_message_as_any_other() {
    let units = run(vec![
        message(1, 1),
        edited(2, 2, 50, Kept::As(Class::Signal)),
    ]);
    assert_eq!(units, [(vec![1, 2], Some(Silence))]);
}

#[test]
fn the_clock_closes_after_the_gap_and_long_past_conversations_as_soon_as_all_is_read() {
    let mut chat = ChatUnits::default();
    let now = second(10 * GAP); // an import of long ago, read now
    chat.take(message(1, 0), &config(), now);
    assert_eq!(chat.close_overdue(now, false, &config()), []);
    assert_eq!(
        chat.close_overdue(now, true, &config()),
        [],
        "it settles first"
    );
    let settled = now.as_millisecond() + 2_000;
    assert_eq!(chat.next_close(&config()), Some(settled));
    let settled = Timestamp::from_millisecond(settled).unwrap();
    let closed = chat.close_overdue(settled, true, &config());
    assert_eq!(told(closed), [(vec![1], Some(Silence))]);
    assert_eq!(chat.next_close(&config()), None);

    // Live: the gap after the last message, by either clock.
    let mut chat = ChatUnits::default();
    chat.take(message(1, 0), &config(), second(1));
    assert_eq!(chat.close_overdue(second(GAP - 1), true, &config()), []);
    let closed = chat.close_overdue(second(GAP), true, &config());
    assert_eq!(told(closed), [(vec![1], Some(Silence))]);
}

/// Small numbers that look random, always the same.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % sides).cast_signed()
    }
}

#[test]
fn every_message_that_counts_stands_in_one_unit_in_order_and_no_unit_is_too_large() {
    for seed in 0..300 {
        let mut dice = Dice(seed);
        let mut chat = ChatUnits::default();
        let (mut time, mut sent, mut events) = (0, Vec::new(), Vec::new());
        for id in 1..=60 {
            time += dice.roll(400);
            let mut arrival = message(id, time);
            arrival.chars = 1 + usize::try_from(dice.roll(70)).unwrap();
            arrival.thread = (dice.roll(3) == 0).then_some(5);
            arrival.reply_to = (dice.roll(3) == 0).then(|| 1 + dice.roll(60));
            if dice.roll(4) == 0 {
                arrival.kept = Kept::Not("noise");
            } else {
                sent.push(id);
            }
            events.extend(chat.take(arrival, &config(), second(time)).1);
            if dice.roll(10) == 0 {
                // What is open survives being written and read.
                let text = serde_json::to_string(&chat).unwrap();
                assert_eq!(serde_json::from_str::<ChatUnits>(&text).unwrap(), chat);
                let now = second(time + dice.roll(1_000));
                events.extend(chat.close_overdue(now, dice.roll(2) == 0, &config()));
            }
        }
        events.extend(chat.close_overdue(second(1_000_000), true, &config()));
        let mut seen = Vec::new();
        let mut units = std::collections::BTreeSet::new();
        for event in events {
            let UnitEvent::Closed { unit, members, .. } = event else {
                panic!("nothing was edited");
            };
            assert!(units.insert(unit), "an id is given once");
            assert!(members.len() <= config().max_messages);
            let ids: Vec<i64> = members.iter().map(|m| m.message.message_id).collect();
            assert!(ids.is_sorted(), "{ids:?}");
            let far =
                |w: &[UnitMember]| w[1].event_time.as_second() - w[0].event_time.as_second() > GAP;
            assert!(!members.windows(2).any(far));
            seen.extend(ids);
        }
        seen.sort_unstable();
        assert_eq!(seen, sent, "seed {seed}");
    }
}
