//! The log on a cluster that takes encrypted connections alone, from clients that show a certificate.

use std::time::Duration;

use telesift_log_fluvio::{FluvioLog, FluvioLogConfig, Tls, testing::TestCluster};
use telesift_ports::RecordLog;
use telesift_schemas::{Offset, Topic};

use crate::support::{append, at, config, create, read_all};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypted_cluster_is_written_read_and_followed() {
    let Some(mut cluster) = TestCluster::start_with_tls(1).await else {
        return;
    };
    let verified = FluvioLogConfig {
        tls: cluster.tls(),
        ..config(&cluster.endpoint())
    };
    let log = FluvioLog::open(verified.clone()).await.unwrap();
    let topic = Topic::new("sealed");
    create(&log, &topic, 1).await;
    let values: Vec<String> = (0..300).map(|n| format!("{n:04}").repeat(2_000)).collect();
    append(&log, &at(&topic), values.clone()).await.unwrap();
    let read = read_all(&log, &at(&topic)).await;
    assert!(read.iter().map(|(_, v)| v).eq(&values), "order and bytes");

    // A follower is woken, and finds its way back to an SPU that was killed.
    let place = at(&topic);
    let waiting = log.wait_beyond(&place, Offset(300));
    let writing = async { append(&log, &place, ["more".to_owned()]).await };
    let (woken, written) = tokio::join!(waiting, writing);
    written.unwrap();
    assert_eq!(woken.unwrap(), Offset(301));
    cluster.kill_spu(0);
    cluster.start_spu(0);
    cluster.wait_for_spu(0).await;
    append(&log, &at(&topic), ["after".to_owned()])
        .await
        .unwrap();
    assert_eq!(read_all(&log, &at(&topic)).await.len(), 302);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_what_was_asked_for_is_refused() {
    let Some(cluster) = TestCluster::start_with_tls(1).await else {
        return;
    };
    let Tls::Verified {
        domain,
        ca_cert,
        cert,
        key,
    } = cluster.tls()
    else {
        panic!("the cluster has certificates");
    };
    // Another name than the certificate's; no certificate of one's own; no encryption.
    let stranger = Tls::Verified {
        domain: "elsewhere.test".to_owned(),
        ca_cert,
        cert,
        key,
    };
    assert_eq!(domain, "fluvio.test");
    for tls in [stranger, Tls::Unverified, Tls::Off] {
        let config = FluvioLogConfig {
            tls: tls.clone(),
            request_timeout: Duration::from_secs(2),
            retry_for: Duration::from_millis(100),
            ..config(&cluster.endpoint())
        };
        let topics = match FluvioLog::open(config).await {
            Ok(log) => log.topics().await.map(drop),
            Err(error) => Err(error),
        };
        let refused = topics.unwrap_err();
        assert!(refused.is_retryable(), "{tls:?}: {refused}");
    }
}
