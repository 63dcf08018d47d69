//! Questions over time windows through the binary: killed in the middle of an import, and made to read its topic once more,
//! it gives the answers of one that was left alone.

use serde_json::{Value, json};
use telesift_catalog::{CatalogConfig, Location, SqlCatalog};
use telesift_ports::Catalog as _;

use crate::server::{Home, Server, telesift};

/// Chats, and messages of each: one every twenty seconds.
const CHATS: i64 = 3;
const N: i64 = 1_200;
const EVERY_S: i64 = 20;
/// 2026-01-05T10:00:00Z.
const FIRST_S: i64 = 1_767_607_200;
/// When some of them were edited.
const EDITED_S: i64 = FIRST_S + 86_400;
const SPAN: &str = "since=2026-01-05T00:00:00Z&until=2026-01-06T12:00:00Z&limit=500";

/// What is about the same for a while, and then is about something else.
fn text(chat: i64, id: i64) -> String {
    let about = [
        "the payment server is down, who can fix it?",
        "міст через річку закрито, об'їзд через центр",
        "вибухи на складі, рятувальники вже на місці",
        "the deadline is today, please review the contract",
    ];
    let hour = id / 200 + chat;
    let about = about[(hour % about.len() as i64) as usize];
    format!("Critical incident {chat}-{id}: {about}")
}

fn message(chat: i64, id: i64) -> Value {
    let at = FIRST_S + EVERY_S * id;
    json!({"id": id, "type": "message", "date": "2026-01-05T10:00:00", "date_unixtime": at.to_string(),
        "from": "Olena", "from_id": "user777", "text": text(chat, id), "text_entities": []})
}

fn export(chat: i64, messages: Vec<Value>) -> Vec<u8> {
    let export = json!({"name": format!("Ops {chat}"), "type": "private_supergroup", "id": 2_100_000_000 + chat,
        "messages": messages});
    serde_json::to_vec(&export).unwrap()
}

/// Every chat in three parts, the later part of the day first, and a last part in which some messages are edited.
fn exports() -> Vec<Vec<u8>> {
    let mut exports = Vec::new();
    for part in [2, 0, 1] {
        for chat in 1..=CHATS {
            let ids = part * N / 3..(part + 1) * N / 3;
            exports.push(export(chat, ids.map(|id| message(chat, 1 + id)).collect()));
        }
    }
    let edited = (1..=N).step_by(17).map(|id| {
        let mut message = message(1, id);
        message["text"] = "Critical: the harbour is closed, отримали наказ чекати".into();
        message["edited"] = "2026-01-06T10:00:00".into();
        message["edited_unixtime"] = EDITED_S.to_string().into();
        message
    });
    exports.push(export(1, edited.collect()));
    exports
}

/// Every item of a list.
async fn all(server: &Server, path: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = server.get(&format!("{path}?{SPAN}{cursor}")).await;
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

#[derive(Debug, PartialEq)]
struct Answers {
    trends: Vec<Value>,
    bursts: Vec<Value>,
    screen: Value,
}

/// The answers, once everything is worked through.
async fn answers(server: &Server) -> Answers {
    server.settled().await;
    Answers {
        trends: all(server, "/v1/trends").await,
        bursts: all(server, "/v1/bursts").await,
        screen: server.get("/v1/stats/screen?bucket=1m").await,
    }
}

#[track_caller]
fn same(found: &Answers, expected: &Answers) {
    assert_eq!(found.trends.len(), expected.trends.len());
    let differs = found.trends.iter().zip(&expected.trends);
    assert_eq!(differs.into_iter().find(|(a, b)| a != b), None);
    assert_eq!(found.bursts, expected.bursts);
    assert_eq!(found.screen["total"], expected.screen["total"]);
    assert!(found.screen == expected.screen, "per minute");
}

/// What the stage has taken in, and what of it counted for nothing.
async fn taken(server: &Server) -> (u64, u64) {
    let stats = server.get("/v1/stats/pipeline").await;
    let windows = stats["items"].as_array().unwrap().iter();
    let windows = windows.filter(|item| item["stage"] == "windows");
    windows.fold((0, 0), |(received, older), item| {
        let n = item["received"].as_u64().unwrap();
        (
            received + n,
            older + item["skipped"]["older"].as_u64().unwrap_or(0),
        )
    })
}

/// Imports everything, and is killed with `kill -9` as often as there are exports: once the stage has begun with what is
/// new. Returns how often that was before it had taken everything in that it had been given.
async fn storm(home: &Home) -> (Server, usize) {
    // A few records at a time, so that there is a middle.
    let serve = || {
        let mut command = telesift();
        command.env("TELESIFT__WINDOWS__BATCH_RECORDS", "5");
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        Server::start(home, &mut command)
    };
    let mut server = serve();
    let (mut imports, mut given, mut n_amid) = (Vec::new(), 0, 0);
    for export in exports() {
        let before = taken(&server).await.0;
        let read: Value = serde_json::from_slice(&export).unwrap();
        given += read["messages"].as_array().unwrap().len() as u64;
        imports.push(server.submit(export).await);
        let amid = server
            .until(|| async {
                let now = taken(&server).await.0;
                (now > before).then_some(now)
            })
            .await;
        n_amid += usize::from(amid < given);
        server.kill();
        server = serve();
    }
    for id in &imports {
        server.imported(id).await;
    }
    (server, n_amid)
}

#[tokio::test]
async fn kills_in_the_middle_and_a_second_read_give_the_same_windows() {
    let calm = Home::new();
    let server = calm.serve();
    for export in exports() {
        server.import("export", export).await;
    }
    let expected = answers(&server).await;
    drop(server);
    let trend = |term: &str| expected.trends.iter().any(|t| t["name"] == term);
    assert!(
        trend("server") && trend("міст"),
        "{}",
        expected.trends.len()
    );
    assert!(expected.bursts.iter().any(|b| b["kind"] == "term"));
    let n_edited = (N - 1) / 17 + 1;
    let told = |class: &str| expected.screen["total"][class].as_i64().unwrap();
    let n_told = told("noise") + told("weak_signal") + told("signal");
    assert_eq!(n_told, CHATS * N, "an edit counts once");

    let stormy = Home::new();
    let (server, n_amid) = storm(&stormy).await;
    same(&answers(&server).await, &expected);
    assert!(n_amid > 0, "no kill came in the middle of an import");
    let (received, _) = taken(&server).await;
    assert_eq!(received as i64, CHATS * N + n_edited);
    drop(server);

    // The stage forgets where it was, and reads the topic once more over what it has stored.
    let location = Location::File(stormy.path().join("catalog.db"));
    let catalog = SqlCatalog::open(CatalogConfig::new(location))
        .await
        .unwrap();
    catalog.remove_stage_states("windows").await.unwrap();
    drop(catalog);
    let server = stormy.serve();
    same(&answers(&server).await, &expected);
    let (again, older) = taken(&server).await;
    assert_eq!((again, older), (received, received), "all of it is old");
}
