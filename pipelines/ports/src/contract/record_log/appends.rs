//! Checks of topics, appends and duplicates.

use super::*;

/// Retention may change, the count not, and records stay.
pub async fn creating_a_topic_again_changes_its_retention_only(h: Harness) {
    let topic = h.topic().await;
    h.append(vec![(at(&topic, 0), record("a"))]).await;
    let retention = Retention {
        max_age_s: Some(60),
        max_bytes: Some(1 << 30),
    };
    h.create(&topic, 2, retention.clone()).await;
    let topics = ok(h.log.topics().await);
    assert_eq!(topics.len(), 1);
    assert_eq!(topics[0].topic, topic);
    assert_eq!(topics[0].retention, retention);
    assert_eq!(topics[0].partitions.len(), 2);
    assert_eq!(h.values(&at(&topic, 0)).await, ["a"]);
}

/// Every start of a process does.
pub async fn creating_a_topic_again_keeps_its_records(h: Harness) {
    let topic = h.topic().await;
    h.append(vec![(at(&topic, 0), record("a"))]).await;
    h.create(&topic, 2, Retention::default()).await;
    assert_eq!(h.values(&at(&topic, 0)).await, ["a"]);
    let topics = ok(h.log.topics().await);
    assert_eq!(topics.len(), 1);
    assert_eq!(topics[0].topic, topic);
    assert_eq!(topics[0].retention, Retention::default());
    assert_eq!(topics[0].partitions.len(), 2);
}

/// The partition count is fixed for the life of a topic.
pub async fn another_partition_count_is_refused(h: Harness) {
    let topic = h.topic().await;
    let config = TopicConfig {
        partitions: 3,
        retention: Retention::default(),
    };
    let error = err(h.log.create_topic(&topic, config).await);
    assert!(
        matches!(
            error,
            Error::PartitionCount {
                actual: 2,
                wanted: 3,
                ..
            }
        ),
        "{error}"
    );
}

/// Every call says what is missing.
pub async fn unknown_topics_and_partitions_are_errors(h: Harness) {
    let topic = h.topic().await;
    let nowhere = at(&Topic::new("nowhere"), 0);
    let no_partition = at(&topic, 2);
    let limits = ReadLimits::default();
    for error in [
        err(h.log.partitions(&nowhere.topic).await),
        err(h.log.bounds(&nowhere).await),
        err(h.log.read(&nowhere, Offset::ZERO, limits).await),
        err(h.log.offset_at(&nowhere, Timestamp::UNIX_EPOCH).await),
        err(h.log.wait_beyond(&nowhere, Offset::ZERO).await),
    ] {
        assert!(matches!(error, Error::TopicNotFound(_)), "{error}");
    }
    let append = Transaction::appends(vec![(no_partition.clone(), record("a"))]);
    for error in [
        err(h.log.bounds(&no_partition).await),
        err(h.log.read(&no_partition, Offset::ZERO, limits).await),
        err(h.log.commit(append).await),
    ] {
        assert!(matches!(error, Error::PartitionNotFound(_)), "{error}");
    }
}

/// Partitions count for themselves.
pub async fn offsets_ascend_by_one_from_zero_per_partition(h: Harness) {
    let topic = h.topic().await;
    let (p0, p1) = (at(&topic, 0), at(&topic, 1));
    let first = h
        .append(vec![
            (p0.clone(), record("a")),
            (p1.clone(), record("b")),
            (p0.clone(), record("c")),
        ])
        .await;
    let second = h
        .append(vec![(p1.clone(), record("d")), (p0.clone(), record("e"))])
        .await;
    assert_eq!(offsets(&first), [Some(0), Some(0), Some(1)]);
    assert_eq!(offsets(&second), [Some(1), Some(2)]);
    assert_eq!(h.values(&p0).await, ["a", "c", "e"]);
    assert_eq!(h.values(&p1).await, ["b", "d"]);
    let batch = h.read_all(&p0, 0).await;
    let read: Vec<u64> = batch.records.iter().map(|r| r.offset.0).collect();
    assert_eq!(read, [0, 1, 2]);
}

/// A clock that goes backwards must not confuse look-ups by time.
pub async fn appended_at_never_descends(h: Harness) {
    let topic = h.topic().await;
    let p0 = at(&topic, 0);
    let start_ms = now_ms(&h);
    h.append(vec![(p0.clone(), record("a"))]).await;
    h.clock.set(ms(start_ms - 5_000));
    h.append(vec![(p0.clone(), record("b"))]).await;
    h.clock.set(ms(start_ms + 7));
    let last = h.append(vec![(p0.clone(), record("c"))]).await;
    let batch = h.read_all(&p0, 0).await;
    let times: Vec<i64> = batch
        .records
        .iter()
        .map(|r| r.appended_at.as_millisecond())
        .collect();
    assert_eq!(times, [start_ms, start_ms, start_ms + 7]);
    assert!(
        matches!(last[0], Outcome::Appended { appended_at, .. } if appended_at == batch.records[2].appended_at)
    );
}

/// Neither the empty nor the odd is touched.
pub async fn keys_and_values_are_kept_byte_for_byte(h: Harness) {
    let topic = h.topic().await;
    let p0 = at(&topic, 0);
    let odd: Bytes = (0..=255u8).cycle().take(70_000).collect();
    let pairs = [
        (Bytes::new(), Bytes::new()),
        (Bytes::from_static(b"-1001234567890"), odd.clone()),
        (odd, Bytes::from_static(b"\0")),
    ];
    let appends = pairs.iter().map(|(key, value)| {
        let record = NewRecord {
            key: key.clone(),
            value: value.clone(),
            unique: Vec::new(),
        };
        (p0.clone(), record)
    });
    h.append(appends.collect()).await;
    let batch = h.read_all(&p0, 0).await;
    let read: Vec<_> = batch
        .records
        .into_iter()
        .map(|r| (r.key, r.value))
        .collect();
    assert_eq!(read, pairs);
}

/// The first of a batch wins.
pub async fn duplicates_within_a_batch_are_refused(h: Harness) {
    let topic = h.topic().await;
    let (p0, p1) = (at(&topic, 0), at(&topic, 1));
    let outcomes = h
        .append(vec![
            (p0.clone(), unique_record("first", &["x"])),
            (p0.clone(), unique_record("again", &["x"])),
            (p1.clone(), unique_record("elsewhere", &["x"])),
            (p0.clone(), unique_record("other", &["y"])),
        ])
        .await;
    assert_eq!(offsets(&outcomes), [Some(0), None, None, Some(1)]);
    assert_eq!(h.values(&p0).await, ["first", "other"]);
    assert!(h.values(&p1).await.is_empty());
}

/// Whatever partition they stand in.
pub async fn duplicates_of_earlier_commits_are_refused(h: Harness) {
    let topic = h.topic().await;
    let (p0, p1) = (at(&topic, 0), at(&topic, 1));
    h.append(vec![(p0.clone(), unique_record("first", &["x"]))])
        .await;
    let outcomes = h
        .append(vec![
            (p1.clone(), unique_record("again", &["x"])),
            (p0.clone(), record("no identity")),
            (p0.clone(), record("no identity")),
        ])
        .await;
    assert_eq!(offsets(&outcomes), [None, Some(1), Some(2)]);
}

/// A record may be known by more than one identity.
pub async fn one_known_key_of_several_makes_a_duplicate(h: Harness) {
    let topic = h.topic().await;
    let p0 = at(&topic, 0);
    h.append(vec![(
        p0.clone(),
        unique_record("first", &["update 1", "message 1"]),
    )])
    .await;
    let outcomes = h
        .append(vec![(
            p0.clone(),
            unique_record("import", &["import 1", "message 1"]),
        )])
        .await;
    assert_eq!(offsets(&outcomes), [None]);
}

/// What was not stored is not known.
pub async fn keys_of_a_refused_record_are_not_remembered(h: Harness) {
    let topic = h.topic().await;
    let p0 = at(&topic, 0);
    let outcomes = h
        .append(vec![
            (p0.clone(), unique_record("first", &["x"])),
            (p0.clone(), unique_record("refused", &["x", "y"])),
            (p0.clone(), unique_record("second", &["y"])),
        ])
        .await;
    assert_eq!(offsets(&outcomes), [Some(0), None, Some(1)]);
}

/// A limit, not an accident.
pub async fn too_large_records_are_refused(h: Harness) {
    let topic = h.topic().await;
    let p0 = at(&topic, 0);
    let huge = NewRecord {
        key: Bytes::new(),
        value: Bytes::from(vec![0u8; (16 << 20) + 1]),
        unique: Vec::new(),
    };
    let transaction = Transaction::appends(vec![(p0.clone(), record("small")), (p0.clone(), huge)]);
    let error = err(h.log.commit(transaction).await);
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    assert!(!error.is_retryable());
    assert!(h.values(&p0).await.is_empty());
}

/// Group commit must neither skip nor repeat.
pub async fn concurrent_appends_get_contiguous_offsets(h: Harness) {
    let topic = h.topic().await;
    let mut writers = Vec::new();
    for writer in 0..16 {
        let (log, p0) = (h.log.clone(), at(&topic, 0));
        writers.push(tokio::spawn(async move {
            let mut mine = Vec::new();
            for n in 0..20 {
                let append = (p0.clone(), record(&format!("{writer}/{n}")));
                let outcomes = ok(log.commit(Transaction::appends(vec![append])).await);
                mine.extend(offsets(&outcomes));
            }
            assert!(mine.is_sorted(), "a writer's own appends keep their order");
            mine
        }));
    }
    let mut all = Vec::new();
    for writer in writers {
        all.extend(writer.await.expect("the writer runs through"));
    }
    all.sort_unstable();
    assert_eq!(all, (0..320).map(Some).collect::<Vec<_>>());
    let mut values = h.values(&at(&topic, 0)).await;
    values.sort_unstable();
    values.dedup();
    assert_eq!(values.len(), 320);
}
