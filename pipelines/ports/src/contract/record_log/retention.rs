//! Checks of eviction.

use super::*;

async fn kept(h: &Harness, max_age_s: Option<u64>, max_bytes: Option<u64>) -> TopicPartition {
    let topic = Topic::new("kept");
    let retention = Retention {
        max_age_s,
        max_bytes,
    };
    h.create(&topic, 1, retention).await;
    at(&topic, 0)
}

async fn assert_evicted_before(h: &Harness, p0: &TopicPartition, first: u64) {
    let from = Offset(first - 1);
    let error = err(h.log.read(p0, from, ReadLimits::default()).await);
    match error {
        Error::Evicted {
            from: asked,
            first: kept,
            ..
        } => assert_eq!((asked, kept), (from, Offset(first))),
        other => panic!("{other}"),
    }
}

/// By time of append, oldest first; what is left keeps its offsets.
pub async fn retention_by_age_evicts_the_oldest(h: Harness) {
    let p0 = kept(&h, Some(60), None).await;
    for n in 0..10 {
        h.append(vec![(p0.clone(), record(&n.to_string()))]).await;
        h.clock.advance(Duration::from_secs(10));
    }
    // Now 100 s after the first: those appended at 0, 10, 20, 30 s are older than 60 s, that at 40 s is just not.
    (h.run_retention)().await;
    let bounds = ok(h.log.bounds(&p0).await);
    assert_eq!((bounds.start, bounds.end), (Offset(4), Offset(10)));
    assert_eq!(h.values(&p0).await, ["4", "5", "6", "7", "8", "9"]);
    assert_evicted_before(&h, &p0, 4).await;
    let long_ago = ok(h.log.offset_at(&p0, Timestamp::UNIX_EPOCH).await);
    assert_eq!(long_ago, Offset(4), "the first record still there");
}

/// By the bytes of the values.
pub async fn retention_by_size_keeps_the_newest(h: Harness) {
    let p0 = kept(&h, None, Some(35)).await;
    for _ in 0..10 {
        h.append(vec![(p0.clone(), record("0123456789"))]).await;
    }
    (h.run_retention)().await;
    let bounds = ok(h.log.bounds(&p0).await);
    assert_eq!((bounds.start, bounds.end), (Offset(7), Offset(10)));
    assert_evicted_before(&h, &p0, 7).await;
    (h.run_retention)().await;
    assert_eq!(ok(h.log.bounds(&p0).await), bounds, "once is enough");
    let batch = h.read_all(&p0, 7).await;
    assert_eq!(batch.records.len(), 3);
    assert!(batch.gaps.is_empty());
}

/// No offset is ever used twice, no time goes back.
pub async fn offsets_go_on_after_everything_was_evicted(h: Harness) {
    let p0 = kept(&h, Some(1), None).await;
    for _ in 0..3 {
        h.append(vec![(p0.clone(), record("old"))]).await;
    }
    let appended_ms = now_ms(&h);
    h.clock.advance(Duration::from_secs(3_600));
    (h.run_retention)().await;
    let bounds = ok(h.log.bounds(&p0).await);
    assert_eq!((bounds.start, bounds.end), (Offset(3), Offset(3)));
    assert!(h.read_all(&p0, 3).await.records.is_empty());
    assert_evicted_before(&h, &p0, 3).await;
    h.clock.set(ms(appended_ms - 1));
    let outcomes = h.append(vec![(p0.clone(), record("new"))]).await;
    assert_eq!(offsets(&outcomes), [Some(3)]);
    let batch = h.read_all(&p0, 3).await;
    assert!(batch.records[0].appended_at.as_millisecond() >= appended_ms);
}

/// Unlimited means unlimited.
pub async fn without_retention_nothing_is_evicted(h: Harness) {
    let p0 = kept(&h, None, None).await;
    h.append(vec![(p0.clone(), record("a"))]).await;
    h.clock.advance(Duration::from_secs(100 * 365 * 86_400));
    (h.run_retention)().await;
    assert_eq!(h.values(&p0).await, ["a"]);
}

/// Importing an old export again does not bring back what retention removed.
pub async fn evicted_records_stay_known_as_duplicates(h: Harness) {
    let p0 = kept(&h, Some(1), None).await;
    h.append(vec![(p0.clone(), unique_record("a", &["x"]))])
        .await;
    h.clock.advance(Duration::from_secs(60));
    (h.run_retention)().await;
    let outcomes = h
        .append(vec![(p0.clone(), unique_record("a", &["x"]))])
        .await;
    assert_eq!(offsets(&outcomes), [None]);
}
