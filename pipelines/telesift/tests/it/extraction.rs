//! Conversations read by a language model behind HTTP that answers well, badly, late and not at all: what is stored, what is
//! counted, what is tried again, and what waits.

mod replays;
mod stub;

use std::{sync::atomic::Ordering, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    knowledge::{atoms, quotes_stand, read},
    server::{Home, Server, telesift},
};
use stub::{Does, Stub};

const CHAT: i64 = -1_001_234_567_890;

/// One conversation each, with the word that tells it from the others.
const TEXTS: [(&str, &str); 14] = [
    (
        "платежі",
        "Прод лежить: платежі карткою не проходять з восьмої ранку, у логах помилка 500",
    ),
    (
        "Ireland",
        "The replica in Ireland stopped following the primary and reports are two days old",
    ),
    (
        "склад",
        "На складе сломался сканер, приемка товара стоит, машины ждут с шести утра",
    ),
    (
        "вакцин",
        "У пункті на Сихові закінчились вакцини, люди чекають, потрібна довезти ще сто доз",
    ),
    (
        "captcha",
        "Sign-up is broken on Safari: the captcha never loads and nobody can register",
    ),
    (
        "котельн",
        "В доме на Садовой авария на котельной, горячей воды не будет до пятницы",
    ),
    (
        "застосунок",
        "Мобільний застосунок падає на Android 9 одразу після входу, користувачі скаржаться",
    ),
    (
        "invoices",
        "Duplicate invoices were sent to all customers in Spain after the tax change",
    ),
    (
        "переезде",
        "Поезд номер сорок задерживается на четыре часа из-за аварии на переезде",
    ),
    (
        "антен",
        "Після шторму впала антена на даху, зв'язку з диспетчерською немає",
    ),
    (
        "certificate",
        "The certificate of the mail gateway expired last night and partners bounce our mail",
    ),
    (
        "бассейн",
        "В бассейне протекает насос, закрываем большую чашу до окончания ремонта",
    ),
    (
        "акумулятор",
        "Генератор у школі не запускається на морозі, потрібен новий акумулятор",
    ),
    (
        "firewall",
        "A firewall rule blocks the warehouse scanners since Monday, orders pile up",
    ),
];

/// An export of these texts, two hours apart: each is a conversation of its own.
fn export() -> Vec<u8> {
    let messages: Vec<Value> = TEXTS
        .iter()
        .zip(1..)
        .map(|((_, text), id)| {
            let at = 1_767_607_200 + 7_200 * id;
            json!({
                "id": id, "type": "message", "date_unixtime": at.to_string(), "date": "2026-01-05T10:00:00",
                "from": "Оля", "from_id": "user500", "text": text, "text_entities": [],
            })
        })
        .collect();
    let id = -1_000_000_000_000 - CHAT;
    let export =
        json!({"name": "Ops", "type": "private_supergroup", "id": id, "messages": messages});
    serde_json::to_vec(&export).unwrap()
}

fn serve(home: &Home, url: &str) -> Server {
    let config = home.path().join("telesift.toml");
    let text = format!(
        "[enrich]\nremote = \"far\"\n[[enrich.providers]]\nname = \"far\"\nkind = \"openai\"\nurl = \"{url}\"\n\
         model = \"small\"\ntimeout_s = 1\nrest_s = 1\nusd_per_million_in = 2.0\n"
    );
    std::fs::write(&config, text).unwrap();
    let mut command = telesift();
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(&config);
    Server::start(home, &mut command)
}

/// The chat may go to models of others, and is imported.
async fn fill(server: &Server) {
    let path = format!("/v1/chats/{CHAT}");
    let consent = json!({"enrich": "remote", "consent": true});
    let set = server.request(Method::PATCH, &path).json(&consent);
    set.send().await.unwrap().error_for_status().unwrap();
    server.import("ops", export()).await;
    server.settled().await;
}

/// A counter of `/metrics`, summed over what else tells its lines apart.
async fn metric(server: &Server, name: &str, label: &str) -> f64 {
    let text = server
        .request(Method::GET, "/metrics")
        .send()
        .await
        .unwrap();
    let text = text.text().await.unwrap();
    let lines = text
        .lines()
        .filter(|l| l.starts_with(name) && l.contains(label));
    let values = lines.filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum()
}

/// The row of the stage in the ledger: units taken, done, given up, waiting.
async fn units(server: &Server) -> (u64, u64, u64, u64) {
    let stats = server.get("/v1/stats/pipeline").await;
    let items = stats["items"].as_array().unwrap();
    let row = items.iter().find(|i| i["stage"] == "extract");
    let n = |field: &str| row.map_or(0, |row| row[field].as_u64().unwrap());
    (
        n("received"),
        n("emitted"),
        n("dead_lettered"),
        n("pending"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_provider_does_only_what_stands_there_is_stored_and_nothing_is_lost() {
    use Does::*;
    let scripts = [
        ("платежі", vec![Answer]),
        ("Ireland", vec![Invent]),
        ("склад", vec![QuoteOthers]),
        ("вакцин", vec![Waver]),
        ("captcha", vec![Babble, Babble, Babble]),
        ("котельн", vec![Misshape, Answer]),
        ("застосунок", vec![Refuse]),
        ("invoices", vec![Busy(2), Answer]),
        ("переезде", vec![Fail(500), Fail(502), Answer]),
        // More than one call tries.
        (
            "антен",
            vec![Fail(500), Fail(503), Fail(500), Fail(500), Answer],
        ),
        ("certificate", vec![Hang, Answer]),
        ("бассейн", vec![Drip, Answer]),
        ("акумулятор", vec![CutOff, Answer]),
        ("firewall", vec![Answer]),
    ];
    let (stub, url) = Stub::start(&scripts).await;
    let home = Home::new();
    let server = serve(&home, &url);
    fill(&server).await;
    let n_messages = TEXTS.len() as u64;
    let n = server.until(|| async {
        let (n, _, _, pending) = units(&server).await;
        (n == n_messages && pending == 0).then_some(())
    });
    n.await;

    // Every conversation was asked for as often as it took, and no more.
    for (word, script) in &scripts {
        assert_eq!(stub.times(word).len(), script.len(), "{word}");
    }
    let busy = stub.times("invoices");
    assert!(
        busy[1] - busy[0] >= Duration::from_secs(2),
        "it asked to be left alone"
    );
    // Twelve claims stand; of the four bad ones none does, and each is counted.
    let known = atoms(&server).await;
    assert_eq!(known.len(), TEXTS.len() - 2, "{known:?}");
    quotes_stand(&server, &known).await;
    assert!(
        known.values().all(|a| a["extractor"]["name"] == "far"),
        "{known:?}"
    );
    for (reason, n) in [
        ("quote_not_found", 1.0),
        ("foreign_message", 1.0),
        ("no_confidence", 1.0),
    ] {
        let label = format!("reason=\"{reason}\"");
        let counted = metric(&server, "telesift_extract_rejected_total", &label).await;
        assert_eq!(counted, n, "{reason}");
    }
    // What could not be used is asked for three times, what is refused once; then both are dead letters.
    assert_eq!(units(&server).await, (14, 12, 2, 0));
    let letters = server.get("/v1/dead-letters").await;
    let mut codes: Vec<(&str, u64)> = letters["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(code)
        .collect();
    codes.sort_unstable();
    assert_eq!(codes, [("model_refused", 1), ("model_unusable", 3)]);
    // The ledger has every call, those too that failed.
    let cost = server.get("/v1/stats/cost?by=outcome").await;
    let calls = |outcome: &str| {
        let items = cost["items"].as_array().unwrap().iter();
        let of = items.filter(|i| i["key"] == outcome);
        of.map(|i| i["calls"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!(
        (calls("ok"), calls("unusable"), calls("refused")),
        (12, 4, 1),
        "{cost}"
    );
    // The hang, the slow stream and the cut answer may have been charged for: each is a call of its own.
    assert!(calls("unavailable") >= 3, "{cost}");

    // Somebody tries the dead letters again, and now they are answered.
    for letter in letters["items"].as_array().unwrap() {
        let path = format!("/v1/dead-letters/{}/retry", letter["id"].as_str().unwrap());
        let retried = server.request(Method::POST, &path).send().await.unwrap();
        assert!(retried.status().is_success(), "{}", retried.status());
    }
    let done = server.until(|| async { (units(&server).await == (14, 14, 0, 0)).then_some(()) });
    done.await;
    let known = server
        .until(|| async { Some(atoms(&server).await).filter(|a| a.len() == 14) })
        .await;
    quotes_stand(&server, &known).await;
    let n_asked = stub.n_seen();
    assert_eq!(
        n_asked,
        scripts.iter().map(|(_, s)| s.len()).sum::<usize>() + 2
    );

    // Without its catalog the server knows the same again, the chat's setting too, and asks nobody.
    let chats = server.get("/v1/chats").await;
    server.kill();
    for file in ["catalog.db", "catalog.db-wal", "catalog.db-shm"] {
        let _ = std::fs::remove_file(home.path().join(file));
    }
    let server = serve(&home, &url);
    read(&server, n_messages).await;
    assert_eq!(atoms(&server).await, known);
    let again = server.get("/v1/chats").await;
    assert_eq!(
        (&again["items"], &again["items"][0]["enrich"]),
        (&chats["items"], &json!("remote"))
    );
    assert_eq!(stub.n_seen(), n_asked, "nobody was asked");
}

fn code(letter: &Value) -> (&str, u64) {
    assert_eq!(letter["stage"], "extract", "{letter}");
    let attempts = letter["attempts"].as_u64().unwrap();
    (letter["code"].as_str().unwrap(), attempts)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_provider_is_left_alone_and_the_backlog_waits_over_a_restart_and_goes_on() {
    let (stub, url) = Stub::start(&[]).await;
    stub.is_dead.store(true, Ordering::SeqCst);
    let home = Home::new();
    let server = serve(&home, &url);
    fill(&server).await;
    let is_open = async |server: &Server| {
        let open = metric(server, "telesift_model_breaker_open", "far").await;
        (open > 0.0).then_some(())
    };
    server.until(|| is_open(&server)).await;
    let held = server.until(|| async {
        let held = metric(&server, "telesift_extract_held_total", "provider").await;
        (held > 0.0).then_some(())
    });
    held.await;
    // The breaker opens before the last conversation is over; then all of it waits.
    let waiting = server.until(|| async { (units(&server).await == (14, 0, 0, 14)).then_some(()) });
    waiting.await;

    server.kill();
    let server = serve(&home, &url);
    server.until(|| is_open(&server)).await;
    assert_eq!(units(&server).await, (14, 0, 0, 14), "all of it waits");
    assert!(atoms(&server).await.is_empty());

    stub.is_dead.store(false, Ordering::SeqCst);
    let done = server.until(|| async { (units(&server).await == (14, 14, 0, 0)).then_some(()) });
    done.await;
    let known = server
        .until(|| async { Some(atoms(&server).await).filter(|a| a.len() == 14) })
        .await;
    quotes_stand(&server, &known).await;
    let letters = server.get("/v1/dead-letters").await;
    assert_eq!(letters["items"], json!([]), "nothing was given up");
    let closed = server.until(|| async {
        let open = metric(&server, "telesift_model_breaker_open", "far").await;
        (open == 0.0).then_some(())
    });
    closed.await;
}
