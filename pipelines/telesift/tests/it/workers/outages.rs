//! What all workers share goes away and comes back: they wait for it, lose nothing, and go on by themselves.

use std::{collections::BTreeSet, time::Duration};

use super::{LEASE_MS, Site, add_bot, update};
use crate::server::{export, texts};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_catalog_that_is_away_for_longer_than_leases_last_costs_nothing() {
    let Some(site) = Site::open().await else {
        return;
    };
    let (home, mut server) = site.serve("only");
    add_bot(&server).await;
    assert_eq!(update(&server, 0).await, 200);
    let body = export(1_000_001, 1, &texts(1, 2_000));
    let (status, queued) = server.upload("meanwhile", body).await;
    assert_eq!(status, 202, "{queued}");
    server
        .until(|| async { (server.n_records("telegram-raw").await > 100).then_some(()) })
        .await;

    site.postgres.stop();
    // What Telegram is not told to be taken, it sends again.
    let mut waiting = Vec::new();
    for n in 1..=2 {
        match update(&server, n).await {
            200 => {}
            503 => waiting.push(n),
            status => panic!("{status}"),
        }
    }
    let mut doctor = home.command(&["doctor", "--json", "--config"]);
    let doctor = doctor.arg(&site.config).output().unwrap();
    assert_eq!(doctor.status.code(), Some(1));
    let said = String::from_utf8_lossy(&doctor.stdout);
    assert!(said.contains("is not ready (catalog)"), "{said}");
    tokio::time::sleep(Duration::from_millis(LEASE_MS * 3 / 2)).await;
    site.postgres.start_again();

    for n in waiting {
        server
            .until(|| async { (update(&server, n).await == 200).then_some(()) })
            .await;
    }
    server
        .until(|| async { server.try_get("/v1/imports").await })
        .await;
    let done = server.imported(queued["id"].as_str().unwrap()).await;
    assert_eq!(done["messages_read"], 2_000, "{done}");
    server.settled().await;
    let messages = server.messages().await;
    let ids: BTreeSet<&str> = messages.iter().filter_map(|m| m["id"].as_str()).collect();
    assert_eq!((messages.len(), ids.len()), (2_003, 2_003));
    assert_eq!(server.n_records("dead-letters").await, 0);
    assert!(server.ended().is_none(), "it waited");
}
