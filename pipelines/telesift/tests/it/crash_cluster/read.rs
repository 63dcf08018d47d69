//! What is read of conversations after the kills: every message worth reading stands in one unit, every unit was read, and
//! readers see every atom once.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::sum;
use crate::{
    knowledge,
    server::{PATIENCE, Server},
};

/// Atoms that are looked at closely, at most.
const N_LOOKED_AT: usize = 30;

/// What there was.
pub(super) struct Read {
    pub(super) n_units: usize,
    /// Records of `units` that say of one again that it is over.
    pub(super) n_units_repeated: usize,
    pub(super) n_extractions: usize,
    pub(super) n_atoms: usize,
}

/// Waits until all of `n_messages` is read and nothing is open any more, as long as anything moves.
pub(crate) async fn until_read(front: &Server, n_messages: u64) -> Vec<Value> {
    const BEHIND: [&str; 6] = [
        "units",
        "labelled-units",
        "unit-catalog",
        "knowledge",
        "atom-index",
        "extract",
    ];
    let (mut before, mut since, mut n_quiet) = (Vec::new(), Instant::now(), 0);
    loop {
        let stats = front.get("/v1/stats/pipeline").await;
        let mut ledger = stats["items"].as_array().unwrap().clone();
        for item in &mut ledger {
            let item = item.as_object_mut().unwrap();
            item.retain(|name, _| !name.starts_with("held"));
        }
        if ledger != before {
            (before, since, n_quiet) = (ledger.clone(), Instant::now(), 0);
        }
        let is_read = sum(&ledger, "units", "received") == n_messages
            && sum(&ledger, "extract", "pending") == 0
            && BEHIND.iter().all(|stage| sum(&ledger, stage, "lag") == 0);
        n_quiet = if is_read { n_quiet + 1 } else { 0 };
        // What is read may open more; so does the clock.
        if n_quiet == 30 {
            return ledger;
        }
        assert!(since.elapsed() < PATIENCE, "it does not get on: {ledger:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What is to be read, by `messages`.
fn worth_reading(messages: &[Value]) -> BTreeSet<String> {
    let is_worth = |message: &&Value| {
        let mut flags = message["screen"]["flags"].as_array().into_iter().flatten();
        message["screen"]["class"] != "noise" && !flags.any(|flag| flag == "spam")
    };
    let worth = messages.iter().filter(is_worth);
    worth
        .map(|m| m["id"].as_str().unwrap().to_owned())
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The unit each message stands in, the first that has it; and how often a unit was written again.
fn units(records: Vec<(u64, u64, Value)>) -> (BTreeMap<String, String>, usize) {
    let (mut unit_of, mut seen, mut n_repeated) = (BTreeMap::new(), BTreeSet::new(), 0);
    for (_, _, record) in records {
        if record["event"] != "closed" {
            continue;
        }
        let unit = text(&record["unit"]);
        n_repeated += usize::from(!seen.insert(unit.clone()));
        for member in record["members"].as_array().unwrap() {
            let message = text(&member["message"]);
            let first = unit_of.entry(message).or_insert_with(|| unit.clone());
            assert_eq!(*first, unit, "a message in two units: {member}");
        }
    }
    (unit_of, n_repeated)
}

/// Everything there is to know of `messages`, as the topic has them, was read once.
pub(super) async fn assert_read_once(front: &Server, messages: &[Value]) -> Read {
    let ledger = until_read(front, messages.len() as u64).await;
    let (unit_of, n_units_repeated) = units(front.records("units").await);
    let read: BTreeSet<String> = unit_of.keys().cloned().collect();
    let worth = worth_reading(messages);
    let lost: Vec<_> = worth.difference(&read).collect();
    let foreign: Vec<_> = read.difference(&worth).collect();
    assert!(
        lost.is_empty() && foreign.is_empty(),
        "units: lost {lost:?}, not worth reading {foreign:?}"
    );
    assert_eq!(
        sum(&ledger, "units", "emitted"),
        read.len() as u64,
        "the ledger"
    );

    let units: BTreeSet<&String> = unit_of.values().collect();
    let (mut extracted, mut said) = (BTreeSet::new(), BTreeSet::new());
    for (_, _, record) in front.records("extractions").await {
        extracted.insert(text(&record["unit"]));
        let mut parts = vec![record["unit"].to_string()];
        parts.extend(["members", "extractor", "same_as", "after"].map(|f| record[f].to_string()));
        assert!(
            said.insert(parts.join(" ")),
            "the same is said twice: {record}"
        );
    }
    assert_eq!(
        extracted.iter().collect::<BTreeSet<_>>(),
        units,
        "each unit is read"
    );

    let known = knowledge::atoms(front).await;
    let mut versions: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (_, _, record) in front.records("atoms").await {
        let of = versions.entry(text(&record["id"])).or_default();
        of.push(record);
        let newest = of.last().map(|atom| &atom["version"]);
        assert_eq!(
            newest,
            Some(&of.len().into()),
            "each version once, in order"
        );
    }
    assert_eq!(
        versions.keys().collect::<Vec<_>>(),
        known.keys().collect::<Vec<_>>()
    );
    for (id, atom) in &known {
        let last = versions[id].last().unwrap();
        assert_eq!(
            (&atom["version"], &atom["title"]),
            (&last["version"], &last["title"])
        );
    }
    let some: BTreeMap<String, Value> = known.clone().into_iter().take(N_LOOKED_AT).collect();
    assert!(!some.is_empty(), "something is claimed");
    knowledge::quotes_stand(front, &some).await;
    assert_found_once(front, &some).await;
    Read {
        n_units: units.len(),
        n_units_repeated,
        n_extractions: said.len(),
        n_atoms: known.len(),
    }
}

/// By search in LanceDB.
async fn assert_found_once(front: &Server, atoms: &BTreeMap<String, Value>) {
    for (id, atom) in atoms {
        let request = front.request(reqwest::Method::GET, "/v1/atoms");
        let query = [("query", text(&atom["title"])), ("limit", "500".to_owned())];
        let answer = request.query(&query).send().await.unwrap();
        let answer: Value = answer.error_for_status().unwrap().json().await.unwrap();
        let items = answer["items"].as_array().unwrap();
        let n = items.iter().filter(|found| found["id"] == **id).count();
        assert_eq!(n, 1, "{id} by its title, {}", atom["title"]);
    }
}
