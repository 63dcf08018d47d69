//! Checks of deleted topics and forgotten identities.

use telesift_schemas::Generation;

use super::*;

/// Deleting again, or what never was, changes nothing.
pub async fn a_deleted_topic_is_gone_and_its_name_free(h: Harness) {
    let topic = h.topic().await;
    let p0 = at(&topic, 0);
    h.append(vec![(p0.clone(), record("a")), (p0.clone(), record("b"))])
        .await;
    for _ in 0..2 {
        ok(h.log.delete_topic(&topic).await);
    }
    ok(h.log.delete_topic(&Topic::new("never-was")).await);
    let gone = err(h.log.read(&p0, Offset(0), ReadLimits::default()).await);
    assert!(matches!(gone, Error::TopicNotFound(_)), "{gone}");
    let refused = err(h
        .log
        .commit(Transaction::appends(vec![(p0.clone(), record("c"))]))
        .await);
    assert!(matches!(refused, Error::TopicNotFound(_)), "{refused}");
    assert!(ok(h.log.topics().await).iter().all(|t| t.topic != topic));

    h.create(&topic, 3, Retention::default()).await;
    let bounds = ok(h.log.bounds(&at(&topic, 2)).await);
    assert_eq!((bounds.start, bounds.end), (Offset(0), Offset(0)));
    h.append(vec![(p0.clone(), record("new"))]).await;
    assert_eq!(h.values(&p0).await, ["new"]);
}

/// State and records of others stay.
pub async fn a_deleted_topic_leaves_others_alone(h: Harness) {
    let (kept, gone) = (h.topic().await, Topic::new("gone"));
    h.create(&gone, 1, Retention::default()).await;
    h.append(vec![
        (at(&kept, 1), record("kept")),
        (at(&gone, 0), record("gone")),
    ])
    .await;
    let mut transaction = Transaction::appends(Vec::new());
    transaction.finish = Box::new(|_| vec![("k".to_owned(), bytes("v"))]);
    ok(h.log.commit(transaction).await);
    for _ in 0..2 {
        ok(h.log.delete_topic(&gone).await);
    }
    let gone = at(&gone, 0);
    let error = err(h.log.read(&gone, Offset(0), ReadLimits::default()).await);
    assert!(matches!(error, Error::TopicNotFound(_)), "{error}");
    assert_eq!(h.values(&at(&kept, 1)).await, ["kept"]);
    assert_eq!(ok(h.log.state("k").await), bytes("v"));
}

/// And only these.
pub async fn identities_of_a_generation_are_forgotten_together(h: Harness) {
    let p0 = at(&h.topic().await, 0);
    let of = |n, id: &str| NewRecord {
        unique: vec![UniqueKey::of_generation(Generation(n), "t", &[id])],
        ..record(id)
    };
    let all = || {
        let ids = [(1, "a"), (2, "a"), (2, "b"), (3, "a")];
        ids.map(|(n, id)| (p0.clone(), of(n, id))).to_vec()
    };
    assert_eq!(offsets(&h.append(all()).await), [0, 1, 2, 3].map(Some));
    assert_eq!(offsets(&h.append(all()).await), [None; 4]);
    ok(h.log.forget_generation(Generation(2)).await);
    assert_eq!(
        offsets(&h.append(all()).await),
        [None, Some(4), Some(5), None]
    );
}
