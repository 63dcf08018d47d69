//! The desk: whose model reads a chat, what is asked once, and budgets that hold.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use telesift_ports::{
    AnswerCache, ChatSettings, Clock, CostLedger, Extractor,
    extractor::{Answers, ExtractError, Extracted, Plan, Unit, UnitMessage},
    memory::{ManualClock, MemoryCatalog, MemoryProviders, ScriptedProvider},
    providers::{
        AskError, Budget, ChatSetting, Consent, CostBy, CostFilter, Enrich, Limits, day_of,
        next_day,
    },
};
use telesift_schemas::{
    Chat, ChatId, ChatKind, ExtractorRef, MessageKey, Offset, Origin, PartitionId, Topic, Usage,
};
use telesift_stages::desk::{DeskParts, ExtractDesk};
use tokio::task::JoinSet;

const OPS: i64 = -1_001_234_567_890;
const NEWS: i64 = -1_009_876_543_210;

const MOST: Usage = Usage {
    tokens_in: 80,
    tokens_out: 20,
    micro_usd: 10,
};
const USED: Usage = Usage {
    tokens_in: 60,
    tokens_out: 10,
    micro_usd: 7,
};

/// Stands in for the built-in rules.
struct Rules;

#[async_trait]
impl Extractor for Rules {
    async fn extract(&self, _: &Unit) -> Result<Extracted, ExtractError> {
        Ok(Extracted {
            by: ExtractorRef {
                name: "rules".to_owned(),
                version: "1".to_owned(),
                model: None,
            },
            input: "r".to_owned(),
            claims: Vec::new(),
            usage: Usage::default(),
        })
    }

    async fn plan(&self, unit: &Unit) -> Result<Plan, ExtractError> {
        Ok(Plan {
            by: self.extract(unit).await?.by,
            from: Answers::Rules,
        })
    }
}

struct Table {
    catalog: Arc<MemoryCatalog>,
    clock: Arc<ManualClock>,
    remote: Arc<ScriptedProvider>,
    local: Option<Arc<ScriptedProvider>>,
    desk: Arc<ExtractDesk>,
    parts: DeskParts,
}

impl Table {
    fn new(has_local: bool, limits: Limits) -> Self {
        let catalog = Arc::new(MemoryCatalog::new());
        let clock = Arc::new(ManualClock::default());
        let remote = Arc::new(ScriptedProvider::new("far", false, MOST, USED));
        let local = has_local.then(|| Arc::new(ScriptedProvider::new("near", true, MOST, USED)));
        let all = local.iter().chain([&remote]).cloned();
        let parts = DeskParts {
            rules: Arc::new(Rules),
            providers: Arc::new(MemoryProviders::with(all)),
            settings: catalog.clone(),
            ledger: catalog.clone(),
            answers: catalog.clone(),
            clock: clock.clone(),
            limits,
        };
        Table {
            catalog,
            clock,
            remote,
            local,
            desk: Arc::new(ExtractDesk::new(parts.clone())),
            parts,
        }
    }

    async fn allow(&self, chat: i64, enrich: Enrich, consents: bool) {
        let at = self.clock.now();
        let setting = ChatSetting {
            chat: ChatId(chat),
            enrich,
            consent: consents.then(|| Consent {
                by: "admin".to_owned(),
                at,
            }),
            updated_at: at,
            decided: None,
        };
        self.catalog.put_chat_setting(&setting).await.unwrap();
    }

    /// Who reads the chat.
    async fn reader(&self, unit: &Unit) -> String {
        match self.desk.extract(unit).await {
            Ok(extracted) => extracted.by.name,
            Err(error) => error.to_string(),
        }
    }

    async fn spent(&self, chat: Option<i64>) -> u64 {
        let day = day_of(self.clock.now());
        let spent = self.catalog.spent(day, chat.map(ChatId)).await;
        spent.unwrap().tokens
    }

    /// Outcomes with how often each stands in the ledger.
    async fn outcomes(&self) -> Vec<(String, u64)> {
        let filter = CostFilter::default();
        let rows = self.catalog.costs(&filter, CostBy::Outcome);
        let mut rows: Vec<_> = rows
            .await
            .unwrap()
            .into_iter()
            .map(|r| (r.key, r.calls))
            .collect();
        rows.sort();
        rows
    }
}

fn unit(chat: i64, kind: ChatKind, id: &str, text: &str) -> Unit {
    let chat = Chat {
        id: ChatId(chat),
        title: None,
        kind,
        username: None,
    };
    Unit {
        id: id.to_owned(),
        messages: vec![UnitMessage {
            id: MessageKey {
                chat: chat.id,
                message_id: 1,
            },
            edit: 0,
            origin: Origin {
                topic: Topic::TELEGRAM_RAW,
                partition: PartitionId(0),
                offset: Offset(0),
            },
            event_time: telesift_schemas::Timestamp::UNIX_EPOCH,
            author: None,
            reply_to: None,
            text: text.to_owned(),
            lang: String::new(),
            score: 0.9,
        }],
        chat,
        subjects: Vec::new(),
    }
}

fn ops(id: &str, text: &str) -> Unit {
    unit(OPS, ChatKind::Supergroup, id, text)
}

fn tokens(daily: Option<u64>, chat_daily: Option<u64>) -> Limits {
    let budget = |tokens| Budget {
        tokens,
        micro_usd: None,
    };
    Limits {
        daily: budget(daily),
        chat_daily: budget(chat_daily),
    }
}

#[tokio::test]
async fn no_chat_goes_to_a_remote_model_without_consent() {
    let table = Table::new(false, Limits::default());
    for (n, kind) in [
        ChatKind::Private,
        ChatKind::Bot,
        ChatKind::Saved,
        ChatKind::Group,
        ChatKind::Supergroup,
        ChatKind::Channel,
    ]
    .into_iter()
    .enumerate()
    {
        let unit = unit(n as i64 + 1, kind, "u", "text");
        assert_eq!(table.reader(&unit).await, "rules", "{kind:?} by default");
        table.allow(n as i64 + 1, Enrich::Remote, false).await;
        assert_eq!(
            table.reader(&unit).await,
            "rules",
            "{kind:?} without consent"
        );
        assert_eq!(table.remote.asked().len(), n, "{kind:?}");
        table.allow(n as i64 + 1, Enrich::Remote, true).await;
        let unit = Unit {
            messages: vec![UnitMessage {
                text: format!("text {n}"),
                ..unit.messages[0].clone()
            }],
            ..unit
        };
        assert_eq!(table.reader(&unit).await, "far", "{kind:?}");
    }
    table.allow(1, Enrich::Local, true).await;
    let unit = unit(1, ChatKind::Private, "u", "text");
    assert_eq!(
        table.reader(&unit).await,
        "rules",
        "consent alone is no wish"
    );
    table.allow(1, Enrich::Off, true).await;
    let refused = table.desk.extract(&unit).await.unwrap_err();
    assert!(matches!(refused, ExtractError::Off) && !refused.is_retryable());
}

#[tokio::test]
async fn a_local_model_reads_what_rules_would_and_has_no_budget() {
    let table = Table::new(true, tokens(Some(1), Some(1)));
    for n in 0..3 {
        let unit = ops("u", &format!("text {n}"));
        assert_eq!(table.reader(&unit).await, "near");
    }
    assert_eq!(table.local.as_ref().unwrap().asked().len(), 3);
    assert_eq!(table.spent(None).await, 0);
    assert_eq!(
        table.outcomes().await,
        [("ok".to_owned(), 3)],
        "but a ledger"
    );
}

#[tokio::test]
async fn the_same_is_asked_once_also_by_many_at_once() {
    let table = Table::new(false, Limits::default());
    table.allow(OPS, Enrich::Remote, true).await;
    table.allow(NEWS, Enrich::Remote, true).await;
    table.remote.will(Ok("[\"диск повний\"]"));
    let mut workers = JoinSet::new();
    for n in 0..8 {
        let desk = table.desk.clone();
        let chat = if n % 2 == 0 { OPS } else { NEWS };
        let unit = unit(chat, ChatKind::Channel, &format!("u{n}"), "диск повний");
        workers.spawn(async move { desk.extract(&unit).await.unwrap() });
    }
    let all = workers.join_all().await;
    assert!(all.iter().all(|e| e.claims[0].content == "диск повний"));
    let paid: Vec<_> = all.iter().filter(|e| e.usage != Usage::default()).collect();
    assert_eq!((paid.len(), paid[0].usage), (1, USED));
    assert_eq!(table.remote.asked().len(), 1);
    assert_eq!(
        table.spent(None).await,
        70,
        "what was used, not what was set aside"
    );
    assert_eq!(
        table.outcomes().await,
        [("cached".to_owned(), 7), ("ok".to_owned(), 1)]
    );
}

#[tokio::test]
async fn two_processes_do_not_ask_the_same_at_once() {
    let table = Table::new(false, Limits::default());
    table.allow(OPS, Enrich::Remote, true).await;
    let gate = table.remote.gate.acquire_many(ScriptedProvider::OPEN);
    let gate = gate.await.unwrap();
    let desk = table.desk.clone();
    let first = tokio::spawn(async move { desk.extract(&ops("u1", "диск повний")).await });
    while table.remote.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    let other = ExtractDesk::new(table.parts.clone());
    let held = other.extract(&ops("u1", "диск повний")).await.unwrap_err();
    assert!(matches!(held, ExtractError::Held { .. }), "{held}");
    assert!(held.to_string().contains("another process"), "{held}");
    drop(gate);
    let asked = first.await.unwrap().unwrap();
    let found = other.extract(&ops("u1", "диск повний")).await.unwrap();
    assert_eq!(
        (found.claims, found.usage),
        (asked.claims, Usage::default())
    );
    assert_eq!(table.remote.asked().len(), 1);
    // What was said to be asked is not said any more: another text is asked for at once.
    other.extract(&ops("u2", "диск порожній")).await.unwrap();
    assert_eq!(table.remote.asked().len(), 2);
}

#[tokio::test]
async fn whom_a_unit_waits_for_is_known_before_it_is_read() {
    let table = Table::new(false, Limits::default());
    let waits_for = async || table.desk.waits_for(ChatId(OPS)).await.unwrap();
    assert_eq!(waits_for().await, None, "rules answer at once");
    table.allow(OPS, Enrich::Remote, true).await;
    assert_eq!(waits_for().await.as_deref(), Some("far"));
    table.allow(OPS, Enrich::Off, false).await;
    assert_eq!(waits_for().await, None);
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_any_more_is_asked_anew() {
    let table = Table::new(false, Limits::default());
    table.allow(OPS, Enrich::Remote, true).await;
    let old = telesift_ports::providers::CachedAnswer {
        input: "far:text".to_owned(),
        answer: "of another version".to_owned(),
        at: table.clock.now(),
    };
    table.catalog.keep_answer(&old).await.unwrap();
    assert_eq!(table.reader(&ops("u", "text")).await, "far");
    assert_eq!(table.remote.asked().len(), 1);
}

#[tokio::test]
async fn a_budget_holds_under_eight_workers_and_the_rest_waits_for_the_next_day() {
    const BUDGET: u64 = 1_000;
    let table = Table::new(false, tokens(Some(BUDGET), None));
    table.allow(OPS, Enrich::Remote, true).await;
    let tomorrow = next_day(table.clock.now());
    let mut workers = JoinSet::new();
    for worker in 0..8 {
        let desk = table.desk.clone();
        workers.spawn(async move {
            let mut held = Vec::new();
            for n in 0..5 {
                let unit = ops(&format!("{worker}/{n}"), &format!("text {worker}/{n}"));
                loop {
                    match desk.extract(&unit).await {
                        Ok(extracted) => assert_eq!(extracted.usage, USED),
                        // Others may cost less than is set aside for them.
                        Err(ExtractError::Held { until, .. }) if until < tomorrow => {
                            tokio::task::yield_now().await;
                            continue;
                        }
                        Err(ExtractError::Held { until, .. }) => held.push((unit, until)),
                        Err(other) => panic!("{other}"),
                    }
                    break;
                }
            }
            held
        });
    }
    let held: Vec<_> = workers.join_all().await.into_iter().flatten().collect();
    let n_asked = table.remote.asked().len();
    let spent = table.spent(None).await;
    assert_eq!(spent, 70 * n_asked as u64);
    assert!(
        spent <= BUDGET && spent > BUDGET - 100,
        "{spent} of {BUDGET}"
    );
    assert_eq!(n_asked + held.len(), 40, "nothing is lost");
    assert!(held.iter().all(|(_, until)| *until == tomorrow));

    let (unit, until) = &held[0];
    table.clock.set(*until);
    assert_eq!(table.reader(unit).await, "far", "it had only to wait");
}

#[tokio::test]
async fn calls_under_way_count_before_they_are_over() {
    let table = Table::new(false, tokens(Some(150), None));
    table.allow(OPS, Enrich::Remote, true).await;
    let gate = table.remote.gate.acquire_many(ScriptedProvider::OPEN);
    let gate = gate.await.unwrap();
    let desk = table.desk.clone();
    let first = tokio::spawn(async move { desk.extract(&ops("u1", "one")).await });
    while table.remote.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    let second = table.desk.extract(&ops("u2", "two")).await.unwrap_err();
    let ExtractError::Held { until, reason } = second else {
        panic!("{second}");
    };
    assert!(reason.contains("the budget of the day"), "{reason}");
    let tomorrow = next_day(table.clock.now());
    assert!(
        until < tomorrow,
        "it may fit when the first is over: {reason}"
    );
    drop(gate);
    first.await.unwrap().unwrap();
    assert_eq!(table.spent(None).await, 70);
    let third = table.desk.extract(&ops("u3", "three")).await.unwrap_err();
    assert!(
        matches!(third, ExtractError::Held { until, .. } if until == tomorrow),
        "70 + 100 is too much: {third}"
    );
}

#[tokio::test]
async fn a_chat_has_a_budget_of_its_own() {
    let table = Table::new(false, tokens(None, Some(100)));
    table.allow(OPS, Enrich::Remote, true).await;
    table.allow(NEWS, Enrich::Remote, true).await;
    assert_eq!(table.reader(&ops("u1", "one")).await, "far");
    let held = table.desk.extract(&ops("u2", "two")).await.unwrap_err();
    assert!(held.to_string().contains("the chat's budget"), "{held}");
    let other = unit(NEWS, ChatKind::Channel, "u3", "three");
    assert_eq!(table.reader(&other).await, "far");
}

#[tokio::test]
async fn failures_are_told_apart_and_what_they_cost_counts() {
    let table = Table::new(false, tokens(Some(10_000), None));
    table.allow(OPS, Enrich::Remote, true).await;
    let reason = || "as told".to_owned();
    let wait = Duration::from_secs(30);
    for error in [
        AskError::Resting { wait },
        AskError::Unavailable {
            reason: reason(),
            retry_after: Some(wait),
        },
        AskError::Unusable { reason: reason() },
        AskError::Refused { reason: reason() },
    ] {
        table.remote.will(Err(error));
    }
    let unit = ops("u", "text");
    let held = table.desk.extract(&unit).await.unwrap_err();
    let ExtractError::Held { until, .. } = held else {
        panic!("{held}");
    };
    let rest = until.as_second() - table.clock.now().as_second();
    assert!((30..=31).contains(&rest), "{rest}");
    assert_eq!(
        table.spent(None).await,
        0,
        "what was set aside is given back"
    );

    let away = table.desk.extract(&unit).await.unwrap_err();
    assert!(
        matches!(&away, ExtractError::Unavailable { retry_after, .. } if *retry_after == Some(wait)),
        "{away}"
    );
    assert_eq!(table.spent(None).await, 0);
    let odd = table.desk.extract(&unit).await.unwrap_err();
    assert!(matches!(odd, ExtractError::Unusable { usage, .. } if usage == USED));
    let refused = table.desk.extract(&unit).await.unwrap_err();
    assert!(!refused.is_retryable(), "{refused}");
    assert_eq!(table.spent(None).await, 140);
    assert_eq!(
        table.outcomes().await,
        [
            ("refused".to_owned(), 1),
            ("unavailable".to_owned(), 1),
            ("unusable".to_owned(), 1)
        ],
        "a call that was not made is none"
    );
    table.desk.extract(&unit).await.unwrap();
    assert_eq!(
        table.remote.asked().len(),
        5,
        "failures are not kept as answers"
    );
}
