//! The frame of a projection, with a stage of words on it: wherever it stops, each record has its effect and is counted once.
//!
//! Everything here is said of both places a position is kept in: beside the effects, in the catalog, and with them, in the log.

mod words;

use std::time::Duration;

use telesift_ports::{
    catalog,
    leases::{Fence, Leases as _},
    ledger::StageState,
    memory::Fault,
    record_log,
};
use telesift_schemas::{DeadLetterCode, LetterState, Offset, Topic};
use telesift_stages::{StageError, consumer::Process};
use tokio_util::sync::CancellationToken;

use crate::flow::{at, conserved};
use words::{Home, Step, Words};

/// All that can become of a record: an effect, a skip at reading, a letter, a skip at applying.
const ALL: [&str; 5] = ["one", "other", "poison", "idle", "two"];

fn assert_counted(state: &StageState, place: &str) {
    let counters = &state.counters;
    assert_eq!(state.next, Offset(5), "{place}");
    assert_eq!(
        (counters.received, counters.emitted, counters.dead_lettered),
        (5, 2, 1),
        "{place}: {counters:?}"
    );
    assert_eq!(
        (counters.skipped["other_word"], counters.skipped["no_news"]),
        (1, 1),
        "{place}"
    );
    assert!(conserved(counters), "{place}: {counters:?}");
}

/// The process dies at a step, before it or right after it took effect; the next one goes on from what is stored.
#[tokio::test]
async fn a_crash_between_any_two_steps_repeats_and_loses_nothing() {
    for home in Home::ALL {
        for step in home.steps() {
            for n_at_once in [1, 2, 5] {
                for is_done in [false, true] {
                    let words = Words::new(home).await;
                    words.say(&ALL).await;
                    words.break_at(step, is_done, false);
                    let place = format!("{home:?} {step:?} {is_done} {n_at_once}");
                    let died = words.run(n_at_once).await;
                    assert!(died.is_err(), "{place}");
                    words.run(n_at_once).await.unwrap();
                    assert_eq!(words.effects().await, ["one", "two"], "{place}");
                    let letters = words.flow.dead_letters().await;
                    assert_eq!(letters, [(2, DeadLetterCode::Unreadable, 1)], "{place}");
                    assert_counted(&words.state().await, &place);
                }
            }
        }
    }
}

/// Killed while it waits for its commit: the batch is the next process's.
#[tokio::test]
async fn a_process_killed_at_its_commit_leaves_the_batch_to_the_next() {
    for home in Home::ALL {
        let words = Words::new(home).await;
        words.say(&ALL).await;
        let _held = words.hold_commit();
        let run = words.start(5, CancellationToken::new());
        words.until_held().await;
        run.abort();
        assert!(run.await.unwrap_err().is_cancelled());
        assert_eq!(words.state().await, StageState::default(), "{home:?}");
        words.run(5).await.unwrap();
        assert_eq!(words.effects().await, ["one", "two"], "{home:?}");
        assert_eq!(words.flow.dead_letters().await.len(), 1, "{home:?}");
        assert_counted(&words.state().await, "by the next process");
    }
}

/// The same where the step may succeed a moment later: the process repeats it, and goes on.
#[tokio::test]
async fn what_may_succeed_later_is_repeated_in_place() {
    for home in Home::ALL {
        for step in home.steps() {
            for is_done in [false, true] {
                let words = Words::new(home).await;
                words.say(&ALL).await;
                words.break_at(step, is_done, true);
                let place = format!("{home:?} {step:?} {is_done}");
                words.run(5).await.unwrap();
                assert!(words.is_mended(), "{place}");
                assert_eq!(words.effects().await, ["one", "two"], "{place}");
                assert_eq!(words.flow.dead_letters().await.len(), 1, "{place}");
                assert_counted(&words.state().await, &place);
            }
        }
    }
}

#[tokio::test]
async fn a_poison_record_is_a_letter_and_stops_nobody() {
    for home in Home::ALL {
        for n_at_once in [1, 2, 100] {
            let words = Words::new(home).await;
            words.say(&["poison", "one", "poison", "two"]).await;
            words.run(n_at_once).await.unwrap();
            assert_eq!(words.effects().await, ["one", "two"]);
            let codes = [0, 2].map(|offset| (offset, DeadLetterCode::Unreadable, 1));
            assert_eq!(words.flow.dead_letters().await, codes);
            let counters = words.state().await.counters;
            assert_eq!((counters.emitted, counters.dead_lettered), (2, 2));
            assert!(conserved(&counters));
        }
    }
}

/// A build that can read it: the letter is solved and its effect there, once, wherever that one dies.
#[tokio::test]
async fn a_letter_that_is_tried_again_counts_once_wherever_the_process_dies() {
    for home in Home::ALL {
        for step in home.steps() {
            for is_done in [false, true] {
                let mut words = Words::new(home).await;
                words.say(&ALL).await;
                words.run(5).await.unwrap();
                assert_eq!(words.flow.ask_again().await, 1);
                words.reads_poison = true;
                words.break_at(step, is_done, false);
                let place = format!("{home:?} {step:?} {is_done}");
                let died = words.run(5).await;
                assert!(died.is_err(), "{place}");
                words.run(5).await.unwrap();
                assert_eq!(words.effects().await, ["one", "two", "poison"], "{place}");
                let letters = words.flow.letters().await;
                assert_eq!(
                    (letters.len(), letters[0].state, letters[0].attempts),
                    (1, LetterState::Solved, 2),
                    "{place}"
                );
                let counters = words.state().await.counters;
                assert_eq!(
                    (
                        counters.emitted,
                        counters.dead_lettered,
                        counters.retried_ok
                    ),
                    (3, 0, 1),
                    "{place}"
                );
                assert!(conserved(&counters), "{place}");
            }
        }
    }
}

#[tokio::test]
async fn a_letter_that_cannot_be_read_again_stays_open_and_moves_no_counter() {
    for home in Home::ALL {
        let words = Words::new(home).await;
        words.say(&ALL).await;
        words.run(5).await.unwrap();
        words.flow.ask_again().await;
        words.run(5).await.unwrap();
        let letters = words.flow.letters().await;
        assert_eq!(
            (letters[0].state, letters[0].attempts),
            (LetterState::Open, 2)
        );
        assert_counted(&words.state().await, "after a retry in vain");
    }
}

/// A letter of what the position has not passed, because it was lost, waits until it has; then nothing is left to move.
#[tokio::test]
async fn what_the_position_has_not_passed_is_tried_later() {
    let mut words = Words::new(Home::Catalog).await;
    words.say(&["one", "poison"]).await;
    words.run(5).await.unwrap();
    assert_eq!(words.flow.ask_again().await, 1);
    words.forget_state().await;
    words.reads_poison = true;
    words.run(5).await.unwrap();
    assert_eq!(words.effects().await, ["one", "poison"]);
    let counters = words.state().await.counters;
    assert_eq!((counters.received, counters.emitted), (2, 2));
    assert_eq!((counters.dead_lettered, counters.retried_ok), (0, 0));
    assert!(conserved(&counters));
    let letters = words.flow.letters().await;
    assert_eq!(letters[0].state, LetterState::Solved);
}

/// The batch in hand is finished; what comes behind it is the next process's.
#[tokio::test]
async fn a_shutdown_finishes_the_batch_in_hand_and_begins_no_other() {
    for home in Home::ALL {
        let words = Words::new(home).await;
        words.say(&ALL).await;
        let stop = CancellationToken::new();
        let held = words.hold_commit();
        let run = words.start(2, stop.clone());
        words.until_held().await;
        stop.cancel();
        held.notify_one();
        run.await.unwrap().unwrap();
        assert_eq!(words.state().await.next, Offset(2), "{home:?}");
        words.run(2).await.unwrap();
        assert_eq!(words.effects().await, ["one", "two"], "{home:?}");
        assert_counted(&words.state().await, "after the shutdown");
    }
}

#[tokio::test]
async fn a_shutdown_ends_the_waiting_for_what_is_away() {
    for home in Home::ALL {
        let words = Words::new(home).await;
        words.say(&ALL).await;
        words.break_for_long(Step::Apply);
        let stop = CancellationToken::new();
        let run = words.start(5, stop.clone());
        words.until_broken().await;
        stop.cancel();
        run.await.unwrap().unwrap();
        assert_eq!(words.state().await, StageState::default(), "{home:?}");
        assert_eq!(words.effects().await, [""; 0], "{home:?}");
    }
}

async fn one_batch(words: &Words, stage: &mut dyn Process) -> Result<(), StageError> {
    let input = words.input(&at(words::INPUT), 5).await;
    stage.process(&[input]).await
}

/// Two believe to own the partition: the one who commits second is told so, and changes nothing.
#[tokio::test]
async fn who_was_overtaken_commits_nothing() {
    for home in Home::ALL {
        let words = Words::new(home).await;
        words.say(&ALL).await;
        let (mut first, mut second) = (words.stage(), words.stage());
        first.positions().await.unwrap();
        second.positions().await.unwrap();
        one_batch(&words, &mut *second).await.unwrap();
        let error = one_batch(&words, &mut *first).await.unwrap_err();
        assert!(error.is_handover(), "{home:?}: {error}");
        assert_eq!(words.effects().await, ["one", "two"], "{home:?}");
        assert_eq!(words.flow.dead_letters().await.len(), 1, "{home:?}");
        assert_counted(&words.state().await, "after the second owner");
        // Asked again, it finds the batch committed.
        one_batch(&words, &mut *first).await.unwrap();
        assert_counted(&words.state().await, "after the first owner looked again");
    }
}

#[tokio::test]
async fn without_its_lease_a_stage_commits_nothing() {
    let words = Words::new(Home::Catalog).await;
    words.say(&ALL).await;
    let leases = &words.flow.catalog;
    let for_long = Duration::from_secs(600);
    let lease = leases.acquire("words", "a", for_long).await.unwrap();
    let lease = lease.unwrap();
    let mut stage = words.stage_under(lease.fence());
    stage.positions().await.unwrap();
    leases.release(&lease).await.unwrap();
    let error = one_batch(&words, &mut *stage).await.unwrap_err();
    assert!(
        matches!(error, StageError::Catalog(catalog::Error::LeaseLost { .. })),
        "{error}"
    );
    assert!(error.is_handover());
    assert_eq!(words.state().await, StageState::default());
    let mut next = words.stage_under(Fence::open());
    next.positions().await.unwrap();
    one_batch(&words, &mut *next).await.unwrap();
    assert_eq!(words.effects().await, ["one", "two"]);
    assert_counted(&words.state().await, "by the next owner");
}

#[tokio::test]
async fn effects_that_are_lost_are_read_again_from_the_first_record() {
    let words = Words::new(Home::Catalog).await;
    words.say(&ALL).await;
    words.run(5).await.unwrap();
    words.lose_effects();
    let mut stage = words.stage();
    assert_eq!(stage.positions().await.unwrap(), [Offset::ZERO]);
    one_batch(&words, &mut *stage).await.unwrap();
    assert_eq!(words.effects().await, ["one", "two"]);
    assert_counted(&words.state().await, "counted anew");
    assert_eq!(words.flow.dead_letters().await.len(), 1, "the same letter");
}

/// Each input has a position of its own: a commit that fails takes that of no other back.
#[tokio::test]
async fn several_inputs_are_committed_one_by_one() {
    let words = Words::new(Home::Catalog).await;
    let inputs = [at(words::INPUT), at(Topic::DECISIONS)];
    words.say(&["one"]).await;
    let others = ["other", "two"].map(str::to_owned);
    words.flow.append(Topic::DECISIONS, &others).await;
    let mut batches = Vec::new();
    for input in &inputs {
        batches.push(words.input(input, 5).await);
    }
    let damaged = catalog::Error::Damaged("on purpose".to_owned());
    let faults = [Fault::Pass, Fault::Refuse(damaged)];
    words.flow.catalog.commits.extend(faults);
    let mut first = words.stage_over(&inputs);
    assert_eq!(first.positions().await.unwrap(), [Offset(0), Offset(0)]);
    assert!(first.process(&batches).await.is_err());
    let mut next = words.stage_over(&inputs);
    assert_eq!(next.positions().await.unwrap(), [Offset(1), Offset(0)]);
    next.process(&batches).await.unwrap();
    assert_eq!(next.positions().await.unwrap(), [Offset(1), Offset(2)]);
    assert_eq!(words.effects().await, ["one", "two"]);
}

/// What is remembered between batches is what is stored, after a commit too of which nobody knows whether it happened.
#[tokio::test]
async fn what_is_remembered_is_what_was_committed() {
    let lost = || record_log::Error::Unavailable {
        reason: "on purpose".into(),
        ambiguous: true,
    };
    for place in 0..4 {
        for fault in [Fault::Refuse(lost()), Fault::Lose(lost())] {
            let words = Words::new(Home::Log).await;
            words.say(&["one", "two", "three", "four"]).await;
            let passed = std::iter::repeat_with(|| Fault::Pass).take(place);
            words.flow.log.commits.extend(passed.chain([fault]));
            words.run(2).await.unwrap();
            // Each word has its number, the sum is told when the clock says so, and both follow from what was told before.
            let told = ["1 one", "2 two", "3 three", "4 four"];
            let (sums, words) = words.told().await;
            assert_eq!(words, told, "{place}");
            assert_eq!(sums, ["sum 4"], "{place}");
        }
    }
}
