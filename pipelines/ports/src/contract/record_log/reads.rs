//! Checks of reading, looking up by time, and following.

use super::*;

async fn numbered(h: &Harness, n: u64) -> TopicPartition {
    let p0 = at(&h.topic().await, 0);
    let appends = (0..n).map(|n| (p0.clone(), record(&format!("{n:03}"))));
    h.append(appends.collect()).await;
    p0
}

/// Reading on from `next` gives each record once.
pub async fn reads_stop_at_limits_and_go_on(h: Harness) {
    let p0 = numbered(&h, 10).await;
    let by_count = ReadLimits {
        max_records: 4,
        max_bytes: usize::MAX,
    };
    let batch = ok(h.log.read(&p0, Offset(3), by_count).await);
    let read: Vec<u64> = batch.records.iter().map(|r| r.offset.0).collect();
    assert_eq!(read, [3, 4, 5, 6]);
    assert_eq!((batch.next, batch.end), (Offset(7), Offset(10)));
    assert!(batch.gaps.is_empty());
    // A key of one byte and a value of three: two records fit, a third does not.
    let by_bytes = ReadLimits {
        max_records: usize::MAX,
        max_bytes: 11,
    };
    let batch = ok(h.log.read(&p0, batch.next, by_bytes).await);
    let read: Vec<u64> = batch.records.iter().map(|r| r.offset.0).collect();
    assert_eq!(read, [7, 8]);
    assert_eq!(batch.next, Offset(9));
}

/// A large record must not stop a reader for ever.
pub async fn one_record_is_read_whatever_its_size(h: Harness) {
    let p0 = numbered(&h, 3).await;
    let nothing = ReadLimits {
        max_records: 0,
        max_bytes: 0,
    };
    let batch = ok(h.log.read(&p0, Offset(1), nothing).await);
    assert_eq!(batch.records.len(), 1);
    assert_eq!(batch.next, Offset(2));
}

/// The end is a place to wait, not an error.
pub async fn reading_at_the_end_is_empty(h: Harness) {
    let p0 = numbered(&h, 3).await;
    let batch = h.read_all(&p0, 3).await;
    assert!(batch.records.is_empty() && batch.gaps.is_empty());
    assert_eq!((batch.next, batch.end), (Offset(3), Offset(3)));
}

/// A cursor of another log is an error, never a silent wait.
pub async fn reading_beyond_the_end_is_an_error(h: Harness) {
    let p0 = numbered(&h, 3).await;
    let error = err(h.log.read(&p0, Offset(4), ReadLimits::default()).await);
    assert!(
        matches!(
            error,
            Error::BeyondEnd {
                from: Offset(4),
                end: Offset(3),
                ..
            }
        ),
        "{error}"
    );
    assert!(!error.is_retryable());
}

/// By time of append: the first record not before it.
pub async fn offset_at_finds_the_first_record_of_a_time(h: Harness) {
    let p0 = at(&h.topic().await, 0);
    let start_ms = now_ms(&h);
    assert_eq!(ok(h.log.offset_at(&p0, ms(start_ms)).await), Offset(0));
    // Offsets 0 and 1 at 0 ms, 2 and 3 at 10 ms, …
    for _ in 0..20 {
        h.append(vec![(p0.clone(), record("a")), (p0.clone(), record("b"))])
            .await;
        h.clock.advance(Duration::from_millis(10));
    }
    for (after_ms, expected) in [
        (-1_000, 0),
        (0, 0),
        (1, 2),
        (10, 2),
        (55, 12),
        (190, 38),
        (191, 40),
        (9_999, 40),
    ] {
        let found = ok(h.log.offset_at(&p0, ms(start_ms + after_ms)).await);
        assert_eq!(found, Offset(expected), "{after_ms} ms after the first");
    }
}

/// History needs no waiting.
pub async fn waiting_returns_at_once_where_there_is_more(h: Harness) {
    let p0 = numbered(&h, 3).await;
    assert_eq!(ok(soon(h.log.wait_beyond(&p0, Offset(0))).await), Offset(3));
    assert_eq!(ok(soon(h.log.wait_beyond(&p0, Offset(2))).await), Offset(3));
}

/// A follower at the end hears of the next record, and of those of its partition only.
pub async fn waiting_wakes_on_append(h: Harness) {
    let p0 = numbered(&h, 3).await;
    let p1 = at(&p0.topic, 1);
    let log = h.log.clone();
    let mut waiting = log.wait_beyond(&p0, Offset(3));
    assert!(is_pending(&mut waiting));
    h.append(vec![(p1, record("elsewhere"))]).await;
    assert!(is_pending(&mut waiting));
    h.append(vec![(p0.clone(), record("here"))]).await;
    assert_eq!(ok(soon(waiting).await), Offset(4));
}

/// As for reading.
pub async fn waiting_beyond_the_end_is_an_error(h: Harness) {
    let p0 = numbered(&h, 3).await;
    let error = err(soon(h.log.wait_beyond(&p0, Offset(4))).await);
    assert!(matches!(error, Error::BeyondEnd { .. }), "{error}");
}

/// History flows into live without a seam.
pub async fn followers_see_every_record_once_in_order(h: Harness) {
    let p0 = numbered(&h, 50).await;
    let follower = {
        let (log, p0) = (h.log.clone(), p0.clone());
        tokio::spawn(async move {
            let (mut next, mut values) = (Offset::ZERO, Vec::new());
            while values.len() < 150 {
                ok(log.wait_beyond(&p0, next).await);
                let batch = ok(log.read(&p0, next, ReadLimits::default()).await);
                next = batch.next;
                values.extend(batch.records.into_iter().map(|r| r.value));
            }
            values
        })
    };
    for n in 50..150 {
        h.append(vec![(p0.clone(), record(&format!("{n:03}")))])
            .await;
    }
    let values = soon(follower).await.expect("the follower runs through");
    let expected: Vec<Bytes> = (0..150).map(|n| format!("{n:03}").into()).collect();
    assert_eq!(values, expected);
}

/// Who gets the answer can read the record at once, and a follower is told of it.
pub async fn a_record_is_readable_once_its_commit_answers(h: Harness) {
    let p0 = numbered(&h, 1).await;
    for n in 1..20 {
        let log = h.log.clone();
        let mut waiting = log.wait_beyond(&p0, Offset(n));
        assert!(is_pending(&mut waiting));
        h.append(vec![(p0.clone(), record("a"))]).await;
        assert_eq!(ok(h.log.bounds(&p0).await).end, Offset(n + 1));
        assert_eq!(h.read_all(&p0, n).await.records.len(), 1);
        assert_eq!(ok(soon(waiting).await), Offset(n + 1));
    }
}
