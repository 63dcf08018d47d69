//! Topics on two SPUs: whichever is killed, what was acknowledged is read from the other one.

use std::time::Duration;

use telesift_log_fluvio::{FluvioLog, FluvioLogConfig, testing::TestCluster};
use telesift_ports::record_log::Outcome;
use telesift_schemas::Topic;

use crate::support::{append, at, config, create, read_all};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_leader_loses_nothing_that_was_acknowledged() {
    let Some(mut cluster) = TestCluster::start(2).await else {
        return;
    };
    let config = FluvioLogConfig {
        replication: 2,
        request_timeout: Duration::from_secs(2),
        retry_for: Duration::from_secs(3),
        ..config(&cluster.endpoint())
    };
    let topic = Topic::new("kept-twice");
    let name = format!("{}{topic}", config.prefix);
    let log = FluvioLog::open(config).await.unwrap();
    create(&log, &topic, 1).await;
    assert_eq!(log.replication().await.unwrap()[&topic], 2);
    let mut acknowledged = Vec::new();
    // Each of the two leads once: a leader that comes back finds the other one leading.
    for round in 0..2 {
        for n in 0..50 {
            let value = format!("{round}/{n}");
            let outcomes = append(&log, &at(&topic), [value.clone()]).await.unwrap();
            let [Outcome::Appended { offset, .. }] = outcomes[..] else {
                panic!("one outcome, no duplicate");
            };
            acknowledged.push((offset.0, value));
        }
        let leader = cluster.leader(&name).await;
        cluster.kill_spu(leader);
        // Read from the other one, all of it.
        assert_eq!(read_all(&log, &at(&topic)).await, acknowledged);
        // While one of two is away nothing is taken, and nothing acknowledged that is not on both.
        let refused = append(&log, &at(&topic), ["alone".to_owned()]).await;
        assert!(refused.is_err_and(|e| e.is_retryable()));
        cluster.start_spu(leader);
        cluster.wait_for_spu(leader).await;
        let back = append_patiently(&log, &topic, "back").await;
        // What was not acknowledged may stand there, before it.
        let read = read_all(&log, &at(&topic)).await;
        assert_eq!(read[..acknowledged.len()], acknowledged);
        assert_eq!(read.last().unwrap(), &(back, "back".to_owned()));
        acknowledged = read;
    }
}

/// Appends, again and again, until it is acknowledged; the offset.
async fn append_patiently(log: &FluvioLog, topic: &Topic, value: &str) -> u64 {
    let append = async {
        loop {
            match append(log, &at(topic), [value.to_owned()]).await {
                Ok(outcomes) => match outcomes[..] {
                    [Outcome::Appended { offset, .. }] => return offset.0,
                    _ => panic!("one outcome, no duplicate"),
                },
                Err(e) => assert!(e.is_retryable(), "{e}"),
            }
        }
    };
    let append = tokio::time::timeout(Duration::from_secs(90), append);
    append.await.expect("appends go on")
}
