//! What a kill at a bad moment leaves of a cluster's own files: nothing that was acknowledged is out of sight for it, and it
//! can be mended.

use std::time::Duration;

use telesift_log_fluvio::{FluvioLog, FluvioLogConfig, testing::TestCluster};
use telesift_ports::{
    RecordLog as _,
    record_log::{Error, ReadLimits},
};
use telesift_schemas::{Offset, Topic};

use crate::support::{append, at, config, create, read_all};

/// An SPU writes down how far a partition is committed a moment after its records, so one that was killed knows of less.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_spu_forgot_that_it_committed_is_read_all_the_same() {
    let Some(mut cluster) = TestCluster::start(1).await else {
        return;
    };
    let (config, topic) = (config(&cluster.endpoint()), Topic::new("forgotten"));
    let name = format!("{}{topic}-0", config.prefix);
    let before = FluvioLog::open(config.clone()).await.unwrap();
    create(&before, &topic, 1).await;
    let values: Vec<String> = (0..5).map(|n| format!("v{n}")).collect();
    for value in &values {
        append(&before, &at(&topic), [value.clone()]).await.unwrap();
    }
    cluster.kill_spu(0);
    cluster.set_back_commit(0, &name, 2).unwrap();
    cluster.start_spu(0);
    cluster.wait_for_spu(0).await;

    // For a process that knew and for one that did not.
    let at = at(&topic);
    for log in [before, FluvioLog::open(config).await.unwrap()] {
        let all = read_all(&log, &at).await;
        let expected: Vec<_> = (0..).zip(values.clone()).collect();
        assert_eq!(all, expected, "everything acknowledged");
        assert_eq!(log.bounds(&at).await.unwrap().end, Offset(5));
        let limits = ReadLimits::default();
        let batch = log.read(&at, Offset(5), limits).await.unwrap();
        let is_the_end = batch.records.is_empty() && batch.end == Offset(5);
        assert!(is_the_end, "the end is no error");
        let beyond = log.read(&at, Offset(6), limits).await;
        assert!(matches!(beyond, Err(Error::BeyondEnd { .. })));
        let waiting = log.wait_beyond(&at, Offset(6)).await;
        assert!(matches!(waiting, Err(Error::BeyondEnd { .. })));
        let waiting = log.wait_beyond(&at, Offset(4)).await;
        assert_eq!(waiting.unwrap(), Offset(5));
    }
}

/// A controller empties the file of a partition before it writes it anew; one that dies in between comes back without any
/// partition.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_that_lost_its_partitions_stops_nobody_who_knew_them_and_can_be_mended() {
    let Some(mut cluster) = TestCluster::start(1).await else {
        return;
    };
    let config = FluvioLogConfig {
        retry_for: Duration::from_secs(2),
        ..config(&cluster.endpoint())
    };
    let topic = Topic::new("kept");
    let log = FluvioLog::open(config.clone()).await.unwrap();
    create(&log, &topic, 2).await;
    append(&log, &at(&topic), ["before".to_owned()])
        .await
        .unwrap();
    assert_eq!(log.without_leader().await.unwrap(), []);
    cluster.copy_metadata().unwrap();

    cluster.kill_controller();
    let damaged = format!("{}{topic}-1", config.prefix);
    cluster.damage_metadata(&damaged).unwrap();
    cluster.start_controller();
    cluster.wait_for_spu(0).await;
    let without = log.without_leader().await.unwrap();
    assert_eq!(without.len(), 2, "one file is damaged, none is read");
    // Whoever knew them goes on, even having asked the controller again.
    let nowhere = log.bounds(&at(&Topic::new("nowhere"))).await;
    assert!(matches!(nowhere, Err(Error::TopicNotFound(_))));
    append_patiently(&log, &topic, "meanwhile").await;
    // Others cannot begin, and say whose fault it is.
    let other = FluvioLog::open(config).await.unwrap();
    let error = other.bounds(&at(&topic)).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");

    let found = cluster.damaged_metadata().unwrap();
    assert_eq!(found, [format!("Partition/{damaged}.yaml")]);
    cluster.mend_metadata(&found[0]).unwrap();
    while !log.without_leader().await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    append_patiently(&other, &topic, "after").await;
    let values = read_all(&other, &at(&topic)).await;
    let values: Vec<&str> = values.iter().map(|(_, v)| v.as_str()).collect();
    assert_eq!(values, ["before", "meanwhile", "after"]);
}

/// Appends, again and again, until it is acknowledged.
async fn append_patiently(log: &FluvioLog, topic: &Topic, value: &str) {
    let append = async {
        while let Err(e) = append(log, &at(topic), [value.to_owned()]).await {
            assert!(e.is_retryable(), "{e}");
        }
    };
    let append = tokio::time::timeout(Duration::from_secs(90), append);
    append.await.expect("appends go on");
}
