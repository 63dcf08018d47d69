//! Screening on a log without transactions: whatever is lost of a commit, and whoever wakes late, readers see each raw
//! record once and the ledger is exact.

use std::{sync::Arc, time::Duration};

use telesift_ports::{
    Clock, RecordLog,
    ledger::StageState,
    memory::record_log::Fault,
    record_log::{ReadLimits, StoredRecord, TopicConfig},
};
use telesift_schemas::{Marker, Offset, Topic};
use telesift_stages::{
    consumer::{Input, Process},
    origins::{LOOK_BACK, OriginLog},
    screen::Screen,
};

use crate::flow::{Flow, at, conserved, message, scripted};

const WATCHDOG: Duration = Duration::from_secs(30);

/// Raw records of every kind, a message twice among them.
fn raws() -> Vec<String> {
    let mut raws = Vec::new();
    for n in 0..40 {
        raws.push(message(n, 0, "a"));
        match n % 4 {
            0 => raws.push("filter".to_owned()),
            1 => raws.push("fail".to_owned()),
            2 => raws.push(message(n, 0, "again")),
            _ => raws.push(message(n, 1, "edited")),
        }
    }
    raws
}

/// `messages` as readers see it, from `from` on.
async fn seen_from(flow: &Flow, from: Offset) -> Vec<StoredRecord> {
    let log = OriginLog::over(flow.log.clone());
    let (mut next, mut seen) = (from, Vec::new());
    let limits = ReadLimits {
        max_records: 7,
        ..ReadLimits::default()
    };
    loop {
        let batch = log.read(&at(Topic::MESSAGES), next, limits).await.unwrap();
        seen.extend(batch.records);
        next = batch.next;
        if next >= batch.end {
            return seen;
        }
    }
}

async fn seen(flow: &Flow) -> Vec<String> {
    values(&seen_from(flow, Offset::ZERO).await)
}

fn values(records: &[StoredRecord]) -> Vec<String> {
    records
        .iter()
        .map(|r| String::from_utf8_lossy(&r.value).into_owned())
        .collect()
}

/// What a log with transactions makes of the same records.
async fn expected(raws: &[String]) -> (Vec<String>, StageState) {
    let flow = Flow::new().await;
    flow.append(Topic::TELEGRAM_RAW, raws).await;
    flow.screen(10, WATCHDOG).await.unwrap();
    let values = values(&flow.records(Topic::MESSAGES).await);
    (values, flow.screen_state().await)
}

async fn check(flow: &Flow, raws: &[String]) {
    let (values, state) = expected(raws).await;
    let seen = seen(flow).await;
    assert!(
        seen == values,
        "{} seen, {} expected, or others",
        seen.len(),
        values.len()
    );
    let found = flow.screen_state().await;
    assert_eq!(found, state);
    assert!(conserved(&found.counters));
}

#[tokio::test]
async fn without_faults_it_is_as_with_transactions() {
    let raws = raws();
    let flow = Flow::without_transactions().await;
    flow.append(Topic::TELEGRAM_RAW, &raws).await;
    flow.screen(10, WATCHDOG).await.unwrap();
    check(&flow, &raws).await;
}

/// Every sequence of three faults, at the first commits and at later ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_lost_of_a_commit_nothing_is_lost_or_repeated() {
    const FAULTS: [Option<Fault>; 4] = [
        None,
        Some(Fault::LoseAll),
        Some(Fault::LoseState),
        Some(Fault::LoseAnswer),
    ];
    let raws = raws();
    for n in 0..FAULTS.len().pow(3) {
        let faults = [n % 4, n / 4 % 4, n / 16].map(|i| FAULTS[i]);
        let flow = Flow::without_transactions().await;
        flow.append(Topic::TELEGRAM_RAW, &raws).await;
        flow.log
            .fail_next([None].into_iter().take(n % 2).chain(faults));
        // Identities the log happens to remember are no help one may count on.
        flow.log.forget_identities();
        flow.screen(30, WATCHDOG).await.unwrap();
        check(&flow, &raws).await;
    }
}

/// A process that dies between its append and its position, and one that starts in its place.
#[tokio::test]
async fn a_restart_after_a_lost_position_repeats_nothing() {
    let raws = raws();
    let flow = Flow::without_transactions().await;
    flow.append(Topic::TELEGRAM_RAW, &raws).await;
    let mut dying = screen(&flow).await;
    dying.positions().await.unwrap();
    flow.log.fail_next([None, Some(Fault::LoseState)]); // not the claim
    let input = read(&flow, Offset::ZERO, 20).await;
    assert!(dying.process(&[input]).await.is_err());
    assert_eq!(flow.screen_state().await, StageState::default());
    flow.log.forget_identities();
    flow.screen(7, WATCHDOG).await.unwrap();
    check(&flow, &raws).await;
}

/// An owner frozen in the middle of a commit; another takes over and gets on; the late batch comes at last.
#[tokio::test]
async fn the_late_batch_of_a_frozen_owner_is_seen_by_nobody() {
    let raws = raws();
    let flow = Flow::without_transactions().await;
    flow.append(Topic::TELEGRAM_RAW, &raws).await;
    let mut frozen = screen(&flow).await;
    frozen.positions().await.unwrap();
    flow.log.fail_next([None, Some(Fault::HoldAppends)]); // not the claim
    let input = read(&flow, Offset::ZERO, 20).await;
    assert!(frozen.process(&[input]).await.is_err());

    flow.screen(10, WATCHDOG).await.unwrap();
    let before = flow.records(Topic::MESSAGES).await.len();
    assert!(flow.log.release_held() > 0);
    assert!(flow.records(Topic::MESSAGES).await.len() > before);
    check(&flow, &raws).await;

    // Whatever a reader starts with, in the middle of the late batch too.
    let all = seen_from(&flow, Offset::ZERO).await;
    let end = flow.log.bounds(&at(Topic::MESSAGES)).await.unwrap().end;
    for from in 0..=end.0 {
        let expected: Vec<_> = all.iter().filter(|r| r.offset.0 >= from).cloned().collect();
        assert_eq!(
            seen_from(&flow, Offset(from)).await,
            expected,
            "from {from}"
        );
    }

    // And the owner that got on is not confused by it either.
    let more = [message(1_000, 0, "more"), message(3, 0, "again")];
    flow.append(Topic::TELEGRAM_RAW, &more).await;
    flow.screen(10, WATCHDOG).await.unwrap();
    check(&flow, &[raws, more.to_vec()].concat()).await;
}

/// A late batch that comes while the new owner is at work: the same records, whoever wrote them.
#[tokio::test]
async fn a_late_batch_in_the_middle_of_the_new_owners_work_changes_nothing() {
    let raws = raws();
    let flow = Flow::without_transactions().await;
    flow.append(Topic::TELEGRAM_RAW, &raws).await;
    let mut frozen = screen(&flow).await;
    frozen.positions().await.unwrap();
    flow.log.fail_next([None, Some(Fault::HoldAppends)]); // not the claim
    let input = read(&flow, Offset::ZERO, 30).await;
    assert!(frozen.process(&[input]).await.is_err());

    let mut owner = screen(&flow).await;
    assert_eq!(owner.positions().await.unwrap(), [Offset::ZERO]);
    owner
        .process(&[read(&flow, Offset::ZERO, 10).await])
        .await
        .unwrap();
    assert!(flow.log.release_held() > 0);
    owner
        .process(&[read(&flow, Offset(10), 25).await])
        .await
        .unwrap();
    owner
        .process(&[read(&flow, Offset(35), 100).await])
        .await
        .unwrap();
    check(&flow, &raws).await;
}

#[tokio::test]
async fn long_runs_without_messages_leave_markers_that_no_reader_sees() {
    let mut raws = vec![message(1, 0, "first")];
    raws.extend(vec!["filter".to_owned(); 2_500]);
    raws.push(message(2, 0, "second"));
    let flow = Flow::without_transactions().await;
    flow.append(Topic::TELEGRAM_RAW, &raws).await;
    flow.screen(300, WATCHDOG).await.unwrap();
    let stored = flow.records(Topic::MESSAGES).await;
    let markers: Vec<Marker> = stored
        .iter()
        .filter_map(|r| serde_json::from_slice(&r.value).ok())
        .collect();
    assert_eq!(markers.len(), 2, "one every thousand");
    assert!(markers.is_sorted_by_key(|m| m.origin.offset));
    assert_eq!(stored.len(), 4);
    check(&flow, &raws).await;
    // From a marker on as well.
    assert_eq!(seen_from(&flow, Offset(1)).await.len(), 1);

    // With its state lost the owner starts over, and writes nothing twice.
    flow.log.forget_state();
    flow.log.forget_identities();
    flow.screen(300, WATCHDOG).await.unwrap();
    check(&flow, &raws).await;
}

#[tokio::test]
async fn messages_that_the_log_lost_are_screened_again() {
    let raws = raws();
    let flow = Flow::without_transactions().await;
    flow.append(Topic::TELEGRAM_RAW, &raws).await;
    flow.screen(10, WATCHDOG).await.unwrap();
    flow.log.truncate(&at(Topic::MESSAGES), 12);
    let mut anew = screen(&flow).await;
    assert_eq!(anew.positions().await.unwrap(), [Offset::ZERO]);
    let input = read(&flow, Offset::ZERO, raws.len()).await;
    anew.process(&[input]).await.unwrap();
    check(&flow, &raws).await;
}

/// Readers that start anywhere need not read everything before.
#[tokio::test]
async fn a_reader_in_the_middle_looks_back_no_further_than_a_late_batch_reaches() {
    let flow = Flow::without_transactions().await;
    let config = TopicConfig {
        partitions: 1,
        retention: Default::default(),
    };
    let generation = Topic::new("messages-g2");
    flow.log.create_topic(&generation, config).await.unwrap();
    let with_origin = |n: u64| {
        let head = message(n as i64, 0, "a");
        let head = head.strip_suffix('}').unwrap();
        format!(r#"{head},"origin":{{"topic":"telegram-raw","partition":0,"offset":{n}}}}}"#)
    };
    let n = 2 * LOOK_BACK;
    let late = n - LOOK_BACK / 4;
    let values: Vec<String> = (0..n).chain(late..n).map(with_origin).collect();
    flow.append(generation.clone(), &values).await;
    let log = OriginLog::over(flow.log.clone());
    let limits = ReadLimits {
        max_records: 1,
        ..ReadLimits::default()
    };
    let in_the_middle = Offset(n + 10);
    let batch = log
        .read(&at(generation.clone()), in_the_middle, limits)
        .await;
    let batch = batch.unwrap();
    assert!(batch.records.is_empty());
    assert_eq!(batch.next, batch.end);
    let batch = log
        .read(&at(generation), Offset(LOOK_BACK), limits)
        .await
        .unwrap();
    assert_eq!(batch.records[0].offset, Offset(LOOK_BACK));
}

async fn screen(flow: &Flow) -> Screen {
    let clock: Arc<dyn Clock> = flow.clock.clone();
    let book = flow.book().await;
    let input = at(Topic::TELEGRAM_RAW);
    Screen::new(flow.log.clone(), clock, scripted(), book, input, WATCHDOG)
}

async fn read(flow: &Flow, from: Offset, n: usize) -> Input {
    let limits = ReadLimits {
        max_records: n,
        ..ReadLimits::default()
    };
    let at = at(Topic::TELEGRAM_RAW);
    Input {
        batch: flow.log.read(&at, from, limits).await.unwrap(),
        at,
        from,
    }
}
