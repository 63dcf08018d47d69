//! The golden input, asked through the API: trends, bursts, silences, and screening over time.

use std::collections::BTreeMap;

use serde_json::Value;
use telesift_ports::catalog::Scope;
use telesift_schemas::{Burst, Generation, MessageKind, Offset, Trend};
use telesift_windows::{
    Told,
    golden::{self, Arrival, Question},
};

use crate::desk::{Desk, NEWS, OPS, message};

async fn golden_desk() -> (Desk, Vec<Arrival>) {
    let desk = Desk::new().await;
    let input = golden::input();
    for arrival in &input {
        let record = serde_json::to_vec(&arrival.message).unwrap();
        desk.catalog
            .tell(Generation::FIRST, Told::read(&record, Offset(0)).unwrap());
    }
    (desk, input)
}

/// Every item of a list, page by page.
async fn all(desk: &Desk, key: &str, path: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = desk
            .call(key, "GET", &format!("{path}{cursor}"), "")
            .await
            .ok();
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

fn rows<T: serde::de::DeserializeOwned + serde::Serialize>(items: Vec<Value>) -> Vec<String> {
    let read = |mut item: Value| -> T {
        item["v"] = 1.into();
        serde_json::from_value(item).unwrap()
    };
    golden::lines(&items.into_iter().map(read).collect::<Vec<_>>())
}

/// Equal but for the last digit of a number, which JSON may lose on its way back; or the first that is not.
fn same(answers: &[String], expected: &[String]) {
    let [answers, expected] = [answers, expected]
        .map(|lines| -> Vec<String> { lines.iter().map(|line| rounded(line)).collect() });
    let n = answers.len().max(expected.len());
    let differs = (0..n).find(|&i| answers.get(i) != expected.get(i));
    let shown = differs.map(|i| (i, answers.get(i), expected.get(i)));
    assert_eq!(
        shown,
        None,
        "{} answers, {} expected",
        answers.len(),
        expected.len()
    );
}

fn rounded(line: &str) -> String {
    let parts = line.split('\t').map(|part| match part.parse::<f64>() {
        Ok(number) => format!("{number:.9}"),
        Err(_) => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("\t")
}

#[tokio::test]
async fn the_golden_answers_are_served() {
    let (desk, input) = golden_desk().await;
    let told = input.iter().map(|a| {
        let record = serde_json::to_vec(&a.message).unwrap();
        Told::read(&record, Offset(0)).unwrap()
    });
    let expected = golden::answers(told.collect(), &[], golden::closed_until());
    let span = "since=2026-01-04T12:00:00Z&until=2026-01-08T23:59:55Z&limit=500";
    let trends = all(&desk, &desk.admin, &format!("/v1/trends?{span}")).await;
    same(&rows::<Trend>(trends), &expected.lines(Question::Trends));
    let bursts = all(&desk, &desk.admin, &format!("/v1/bursts?{span}")).await;
    same(&rows::<Burst>(bursts), &expected.lines(Question::Bursts));
    let silent = all(
        &desk,
        &desk.admin,
        &format!("/v1/bursts?kind=silence&{span}"),
    )
    .await;
    assert!(silent.len() > 3 && silent.iter().all(|b| b["last_seen"].is_string()));

    let stats = desk
        .get("/v1/stats/screen?bucket=1m&until=2026-01-08T00:00:00Z")
        .await
        .ok();
    let mut minutes: BTreeMap<String, u64> = BTreeMap::new();
    for row in &expected.screen_stats {
        *minutes.entry(row.window_start.to_string()).or_default() += row.messages;
    }
    let n = |bucket: &Value| {
        ["noise", "weak_signal", "signal"]
            .iter()
            .map(|c| bucket[c].as_u64().unwrap())
            .sum::<u64>()
    };
    let found: BTreeMap<String, u64> = stats["buckets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| (b["start"].as_str().unwrap().to_owned(), n(b)))
        .collect();
    assert!(found == minutes);
}

#[tokio::test]
async fn bounds_need_not_be_whole_minutes() {
    let (desk, input) = golden_desk().await;
    let mut newest = BTreeMap::new();
    for a in &input {
        let m = &a.message;
        let place = newest.entry(m.id).or_insert(m);
        if m.version() > place.version() {
            *place = m;
        }
    }
    for (since, until, bucket) in [
        ("2026-01-05T10:00:13.5Z", "2026-01-05T18:20:41Z", "1h"),
        ("2026-01-05T10:00:13.5Z", "2026-01-05T18:20:41Z", "45s"),
        ("2026-01-05T14:00:20Z", "2026-01-05T14:00:50Z", "1h"),
        ("2026-01-05T14:00:20Z", "2026-01-05T14:01:10Z", "1h"),
    ] {
        let range = since.parse().unwrap()..until.parse::<telesift_schemas::Timestamp>().unwrap();
        let expected = newest
            .values()
            .filter(|m| m.kind != MessageKind::Deleted && range.contains(&m.event_time))
            .count();
        let path = format!("/v1/stats/screen?since={since}&until={until}&bucket={bucket}");
        let total = &desk.get(&path).await.ok()["total"];
        let n = ["noise", "weak_signal", "signal"]
            .iter()
            .map(|c| total[c].as_u64().unwrap())
            .sum::<u64>();
        assert_eq!(n as usize, expected, "{path}");
    }
}

#[tokio::test]
async fn a_limited_key_counts_its_chats_only() {
    let desk = Desk::new().await;
    for id in 1..=12 {
        desk.take_in(message(OPS, id, "signal", "міст закрито"))
            .await;
        desk.take_in(message(NEWS, id, "signal", "міст таємниця"))
            .await;
    }
    let limited = desk.key(&[Scope::Read], Some(&[OPS])).await;
    let until = "until=2026-01-05T10:15:00Z";
    let trends =
        async |key: &str, more: &str| all(&desk, key, &format!("/v1/trends?{until}{more}")).await;
    let named = |items: &[Value], value: &str| {
        items
            .iter()
            .find(|i| i["value"] == value)
            .map(|i| i["messages"].as_u64().unwrap())
    };
    let whole = trends(&desk.admin, "").await;
    assert_eq!(named(&whole, "мост"), Some(24));
    let seen = trends(&limited, "").await;
    assert_eq!(named(&seen, "мост"), Some(12));
    assert!(
        !seen
            .iter()
            .any(|i| i["value"].as_str().unwrap().contains("таємн"))
    );
    // A person is shown a word, and the title of a chat.
    let shown = whole.iter().find(|i| i["value"] == "мост").unwrap();
    assert_eq!(shown["name"], "міст");
    assert_eq!(trends(&limited, &format!("&chat={NEWS}")).await.len(), 0);
    assert_eq!(
        named(&trends(&desk.admin, &format!("&chat={NEWS}")).await, "мост"),
        Some(12)
    );

    let bursts = all(&desk, &limited, &format!("/v1/bursts?{until}&kind=chat")).await;
    assert_eq!(bursts.len(), 1);
    assert_eq!(
        (&bursts[0]["subject"], &bursts[0]["name"]),
        (&OPS.into(), &"Ops".into())
    );
    let loud = all(&desk, &limited, &format!("/v1/bursts?{until}")).await;
    let named: Vec<&Value> = loud.iter().map(|burst| &burst["name"]).collect();
    assert_eq!(named, ["Ops", "закрито", "міст"]);
    assert_eq!(
        (bursts[0]["messages"].clone(), bursts[0]["baseline"].clone()),
        (12.into(), 0.into())
    );
}

#[tokio::test]
async fn wrong_questions_are_refused() {
    let desk = Desk::new().await;
    for path in [
        "/v1/trends?kind=silence",
        "/v1/bursts?kind=chats",
        "/v1/bursts?since=2025-01-01T00:00:00Z&until=2026-01-01T00:00:00Z",
        "/v1/trends?chat=ops",
        "/v1/trends?until=yesterday",
    ] {
        desk.get(path).await.problem(400, "invalid_parameter");
    }
    desk.get("/v1/bursts?window=1h")
        .await
        .problem(400, "unknown_parameter");
    assert_eq!(
        desk.get("/v1/trends").await.ok()["items"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
}
