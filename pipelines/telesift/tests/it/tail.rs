//! A WebSocket client that is cut and resumed while an import runs receives each record once, in order.

use futures::StreamExt;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use crate::{
    server::{Home, Server, sample},
    shared,
};

#[tokio::test]
async fn a_client_cut_twenty_times_receives_each_record_once_in_order() {
    let home = Home::new();
    let server = home.serve();
    let mut ids = Vec::new();
    let posts = shared::post_files().into_iter().take(2);
    let exports = std::iter::once(sample()).chain(posts.map(|file| shared::posts_as_export(&file)));
    for export in exports {
        let (status, queued) = server.upload("export", export).await;
        assert_eq!(status, 202, "{queued}");
        ids.push(queued["id"].as_str().unwrap().to_owned());
    }

    let mut random = StdRng::seed_from_u64(7);
    let mut received: Vec<(u64, u64)> = Vec::new();
    let mut cursor = "earliest".to_owned();
    for _ in 0..20 {
        let n = random.random_range(1..60);
        read(&server, &mut cursor, &mut received, Some(n)).await;
    }
    for id in &ids {
        server.imported(id).await;
    }
    server.settled().await;
    read(&server, &mut cursor, &mut received, None).await;

    let expected: Vec<(u64, u64)> = server
        .records("messages")
        .await
        .iter()
        .map(|r| (r.0, r.1))
        .collect();
    for partition in 0..4 {
        let of = |all: &[(u64, u64)]| -> Vec<u64> {
            all.iter()
                .filter(|r| r.0 == partition)
                .map(|r| r.1)
                .collect()
        };
        assert_eq!(of(&received), of(&expected), "partition {partition}");
    }
}

/// Reads `n` records from `cursor` on and cuts the connection; without `n`, until history is caught up.
async fn read(
    server: &Server,
    cursor: &mut String,
    received: &mut Vec<(u64, u64)>,
    n: Option<usize>,
) {
    let url = format!(
        "{}/v1/topics/messages/tail?include_noise=true&kind=",
        server.url.replace("http", "ws")
    );
    let url = url.trim_end_matches("&kind=").to_owned() + &format!("&from={cursor}");
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert(
        "authorization",
        format!("Bearer {}", server.key).parse().unwrap(),
    );
    let (mut socket, _) = connect_async(request).await.unwrap();
    let mut left = n;
    while left != Some(0) {
        let frame = tokio::time::timeout(crate::server::PATIENCE, socket.next())
            .await
            .expect("frames keep coming");
        let Message::Text(text) = frame.unwrap().unwrap() else {
            continue;
        };
        let frame: Value = serde_json::from_str(&text).unwrap();
        *cursor = frame["cursor"].as_str().unwrap().to_owned();
        match frame["type"].as_str().unwrap() {
            "record" => {
                received.push((
                    frame["partition"].as_u64().unwrap(),
                    frame["offset"].as_u64().unwrap(),
                ));
                left = left.map(|n| n - 1);
            }
            "heartbeat" if n.is_none() && frame["cursor"] == frame["head"] => return,
            "heartbeat" => {}
            other => panic!("unexpected frame {other}: {frame}"),
        }
    }
}
