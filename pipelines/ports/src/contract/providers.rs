//! What every catalog keeps to about providers, settings of chats, calls, budgets and answers.

use std::{future::Future, sync::Arc, time::Duration};

use telesift_schemas::{ChatId, ExtractorRef, Offset, Timestamp, Usage};
use tokio::task::JoinSet;

use crate::{
    catalog::Error,
    providers::{
        AnswerCache, Budget, BudgetScope, CachedAnswer, CallOutcome, CallRow, ChatSetting,
        ChatSettings, Consent, CostBy, CostFilter, CostLedger, CostRow, Enrich, Limits,
        ProviderCatalog, ProviderKind, ProviderRow, Reservation, Spent, Terms, day_of,
    },
    secret::Secret,
};

const OPS: ChatId = ChatId(-1_001_234_567_890);
const NEWS: ChatId = ChatId(-1_009_876_543_210);

/// Runs the whole suite; `fresh` gives an empty catalog each time.
///
/// # Panics
/// When the catalog breaks the contract.
pub async fn run<C, F, Fut>(fresh: F)
where
    C: ProviderCatalog + ChatSettings + CostLedger + AnswerCache,
    F: Fn() -> Fut,
    Fut: Future<Output = C>,
{
    providers_come_back_as_they_were(&fresh().await).await;
    a_name_is_given_once(&fresh().await).await;
    settings_replace_each_other(&fresh().await).await;
    a_setting_decided_later_stays(&fresh().await).await;
    the_first_answer_stays(&fresh().await).await;
    answers_and_calls_are_forgotten_by_age(&fresh().await).await;
    one_asks_about_an_input_at_a_time(&fresh().await).await;
    a_budget_is_reserved_and_settled(&fresh().await).await;
    the_first_call_of_a_day_may_pass_alone(&fresh().await).await;
    money_is_a_limit_of_its_own(&fresh().await).await;
    a_call_is_written_down_once(&fresh().await).await;
    calls_are_summed_up(&fresh().await).await;
    a_budget_holds_under_eight_workers(fresh().await).await;
}

/// A provider with a key that can be told from others'.
pub fn provider(name: &str) -> ProviderRow {
    ProviderRow {
        name: name.to_owned(),
        kind: ProviderKind::OpenAi,
        url: "https://api.example/v1".to_owned(),
        model: "small".to_owned(),
        key: Ok(Some(Secret::new(format!("key-of-{name}")))),
        terms: Terms {
            usd_per_million_in: 0.15,
            usd_per_million_out: 0.6,
            requests_per_minute: 60,
            ..Terms::default()
        },
        created_at: at(0),
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_600_000 + second).expect("a time in range")
}

async fn providers_come_back_as_they_were(catalog: &impl ProviderCatalog) {
    assert_eq!(catalog.providers().await.expect("an answer"), []);
    let keyless = ProviderRow {
        kind: ProviderKind::Ollama,
        key: Ok(None),
        ..provider("a")
    };
    for row in [&provider("b"), &keyless] {
        catalog.add_provider(row).await.expect("it is stored");
    }
    let found = catalog.providers().await.expect("an answer");
    assert_eq!(found, [keyless, provider("b")]);
}

async fn a_name_is_given_once(catalog: &impl ProviderCatalog) {
    let row = provider("b");
    catalog.add_provider(&row).await.expect("it is stored");
    let refused = catalog.add_provider(&row).await;
    assert!(
        matches!(&refused, Err(Error::Conflict { what }) if what == "provider/b"),
        "{refused:?}"
    );
    assert!(catalog.remove_provider("b").await.expect("an answer"));
    assert!(!catalog.remove_provider("b").await.expect("an answer"));
    catalog.add_provider(&row).await.expect("it is stored");
}

async fn settings_replace_each_other(catalog: &impl ChatSettings) {
    assert_eq!(catalog.chat_setting(OPS).await.expect("an answer"), None);
    let mut setting = ChatSetting {
        chat: OPS,
        enrich: Enrich::Remote,
        consent: Some(Consent {
            by: "Олена".to_owned(),
            at: at(5),
        }),
        updated_at: at(5),
        decided: None,
    };
    let other = ChatSetting {
        chat: NEWS,
        enrich: Enrich::Off,
        consent: None,
        updated_at: at(1),
        decided: Some(Offset(3)),
    };
    for row in [&setting, &other] {
        catalog.put_chat_setting(row).await.expect("it is stored");
    }
    assert_eq!(
        catalog.chat_settings().await.expect("an answer"),
        [other, setting.clone()]
    );
    assert_eq!(setting.effective(), Enrich::Remote);
    setting.consent = None;
    setting.updated_at = at(9);
    catalog
        .put_chat_setting(&setting)
        .await
        .expect("it is stored");
    assert_eq!(
        catalog.chat_setting(OPS).await.expect("an answer"),
        Some(setting.clone())
    );
    assert_eq!(setting.effective(), Enrich::Local, "nobody consents now");
}

async fn a_setting_decided_later_stays(catalog: &impl ChatSettings) {
    let put = async |decided: Option<u64>, enrich| {
        let setting = ChatSetting {
            chat: OPS,
            enrich,
            consent: None,
            updated_at: at(1),
            decided: decided.map(Offset),
        };
        catalog.put_chat_setting(&setting).await.expect("stored");
        let stored = catalog.chat_setting(OPS).await.expect("an answer");
        stored.expect("a setting").enrich
    };
    assert_eq!(put(None, Enrich::Off).await, Enrich::Off);
    assert_eq!(put(Some(7), Enrich::Remote).await, Enrich::Remote);
    assert_eq!(
        put(Some(6), Enrich::Off).await,
        Enrich::Remote,
        "decided before"
    );
    assert_eq!(
        put(Some(7), Enrich::Remote).await,
        Enrich::Remote,
        "read again"
    );
    assert_eq!(put(Some(8), Enrich::Off).await, Enrich::Off);
}

async fn answers_and_calls_are_forgotten_by_age(catalog: &(impl AnswerCache + CostLedger)) {
    const DAY: i64 = 86_400;
    for (i, second) in [0, DAY, 2 * DAY].into_iter().enumerate() {
        let answer = CachedAnswer {
            input: format!("i{i}"),
            answer: "{}".to_owned(),
            at: at(second),
        };
        catalog.keep_answer(&answer).await.expect("it is stored");
        let call = call(
            &format!("c{i}"),
            OPS,
            second,
            CallOutcome::Ok,
            usage(1, 0, 0),
        );
        let reserved = Reservation {
            day: day_of(at(second)),
            ..reservation(OPS, 5, 0)
        };
        assert_eq!(refusal(catalog, reserved, Limits::default()).await, None);
        let settled = catalog.settle(&call, Some(&reserved)).await;
        settled.expect("it is stored");
    }
    let n = catalog.forget_answers(at(DAY)).await.expect("an answer");
    assert_eq!(n, 1);
    assert_eq!(catalog.answer("i0").await.expect("an answer"), None);
    assert!(catalog.answer("i1").await.expect("an answer").is_some());
    assert_eq!(catalog.forget_calls(at(DAY)).await.expect("an answer"), 1);
    let rows = catalog.costs(&CostFilter::default(), CostBy::Total).await;
    assert_eq!(rows.expect("an answer")[0].calls, 2);
    assert_eq!(spent(catalog, None).await, (0, 0), "of the first day");
    let next = catalog.spent(day_of(at(DAY)), Some(OPS)).await;
    assert_eq!(next.expect("an answer").tokens, 1);
}

async fn one_asks_about_an_input_at_a_time(catalog: &impl AnswerCache) {
    const LONG: Duration = Duration::from_secs(3_600);
    let begin = async |input: &str, asker: &str, length| {
        let begun = catalog.begin_asking(input, asker, length).await;
        begun.expect("an answer")
    };
    assert!(begin("i1", "a", LONG).await);
    assert!(begin("i1", "a", LONG).await, "goes on asking");
    assert!(!begin("i1", "b", LONG).await);
    assert!(begin("i2", "b", LONG).await);
    // Nobody ends what another has begun.
    catalog.end_asking("i1", "b").await.expect("an answer");
    assert!(!begin("i1", "b", LONG).await);
    catalog.end_asking("i1", "a").await.expect("an answer");
    assert!(begin("i1", "b", LONG).await);
    // Whoever is late is not heeded any more.
    assert!(begin("i1", "b", Duration::ZERO).await);
    while !begin("i1", "a", LONG).await {
        tokio::task::yield_now().await;
    }
    assert!(!begin("i1", "b", LONG).await);
}

async fn the_first_answer_stays(catalog: &impl AnswerCache) {
    assert_eq!(catalog.answer("i1").await.expect("an answer"), None);
    let answer = |text: &str, second| CachedAnswer {
        input: "i1".to_owned(),
        answer: text.to_owned(),
        at: at(second),
    };
    let first = answer("{\"claims\":[\"ж\"]}", 0);
    for kept in [&first, &answer("other", 1)] {
        catalog.keep_answer(kept).await.expect("it is stored");
    }
    let found = catalog.answer("i1").await.expect("an answer");
    assert_eq!(found, Some(first));
}

fn usage(tokens_in: u64, tokens_out: u64, micro_usd: u64) -> Usage {
    Usage {
        tokens_in,
        tokens_out,
        micro_usd,
    }
}

fn reservation(chat: ChatId, tokens: u64, micro_usd: u64) -> Reservation {
    Reservation {
        day: day_of(at(0)),
        chat,
        most: usage(tokens, 0, micro_usd),
    }
}

fn call(id: &str, chat: ChatId, second: i64, outcome: CallOutcome, cost: Usage) -> CallRow {
    CallRow {
        id: id.to_owned(),
        at: at(second),
        chat,
        unit: "u1".to_owned(),
        by: ExtractorRef {
            name: "b".to_owned(),
            version: "extract@1".to_owned(),
            model: Some("small".to_owned()),
        },
        input: "i1".to_owned(),
        outcome,
        usage: cost,
        is_estimated: false,
        latency_ms: 100,
    }
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

async fn refusal(
    catalog: &impl CostLedger,
    wanted: Reservation,
    limits: Limits,
) -> Option<BudgetScope> {
    let refused = catalog.reserve(&wanted, &limits).await.expect("an answer");
    refused.map(|r| r.scope)
}

async fn spent(catalog: &impl CostLedger, chat: Option<ChatId>) -> (u64, u64) {
    let Spent { tokens, micro_usd } = catalog.spent(day_of(at(0)), chat).await.expect("an answer");
    (tokens, micro_usd)
}

async fn a_budget_is_reserved_and_settled(catalog: &impl CostLedger) {
    let limits = tokens(Some(100), Some(60));
    let (ops, news) = (reservation(OPS, 50, 7), reservation(NEWS, 50, 7));
    assert_eq!(refusal(catalog, ops, limits).await, None);
    assert_eq!(
        refusal(catalog, ops, limits).await,
        Some(BudgetScope::Chat),
        "of 60 only 10 are left"
    );
    assert_eq!(
        spent(catalog, None).await,
        (50, 7),
        "a refusal sets nothing aside"
    );
    assert_eq!(refusal(catalog, news, limits).await, None);
    let small = reservation(NEWS, 1, 0);
    assert_eq!(
        refusal(catalog, small, limits).await,
        Some(BudgetScope::Daily)
    );

    // It cost less than was set aside, and room is made.
    let row = call("c1", OPS, 1, CallOutcome::Ok, usage(15, 5, 3));
    catalog
        .settle(&row, Some(&ops))
        .await
        .expect("it is stored");
    assert_eq!(spent(catalog, None).await, (70, 10));
    assert_eq!(spent(catalog, Some(OPS)).await, (20, 3));
    assert_eq!(refusal(catalog, small, limits).await, None);
    // What was not called gives all of it back.
    catalog.give_back(&news).await.expect("it is given back");
    assert_eq!(spent(catalog, Some(NEWS)).await, (1, 0));
    assert_eq!(spent(catalog, None).await, (21, 3));
    // Another day has a budget of its own.
    let tomorrow = Reservation {
        day: small.day + 1,
        ..reservation(OPS, 60, 0)
    };
    assert_eq!(refusal(catalog, tomorrow, limits).await, None);
    assert_eq!(spent(catalog, None).await, (21, 3));
}

async fn the_first_call_of_a_day_may_pass_alone(catalog: &impl CostLedger) {
    let limits = tokens(Some(100), None);
    let large = reservation(OPS, 500, 0);
    assert_eq!(refusal(catalog, large, limits).await, None);
    for more in [reservation(NEWS, 1, 0), large] {
        let refused = refusal(catalog, more, limits).await;
        assert_eq!(
            refused,
            Some(BudgetScope::Daily),
            "one call beyond, no more"
        );
    }
}

async fn money_is_a_limit_of_its_own(catalog: &impl CostLedger) {
    let limits = Limits {
        daily: Budget {
            tokens: None,
            micro_usd: Some(100),
        },
        chat_daily: Budget::default(),
    };
    assert_eq!(
        refusal(catalog, reservation(OPS, 9, 90), limits).await,
        None
    );
    let refused = refusal(catalog, reservation(OPS, 9, 11), limits).await;
    assert_eq!(refused, Some(BudgetScope::Daily));
    assert_eq!(
        refusal(catalog, reservation(OPS, 9, 10), limits).await,
        None
    );
    let free = reservation(OPS, 9_000, 0);
    assert_eq!(
        refusal(catalog, free, limits).await,
        None,
        "it costs nothing"
    );
}

async fn a_call_is_written_down_once(catalog: &impl CostLedger) {
    let reserved = reservation(OPS, 10, 1);
    assert_eq!(refusal(catalog, reserved, Limits::default()).await, None);
    let row = call("c1", OPS, 1, CallOutcome::Ok, usage(5, 0, 1));
    catalog
        .settle(&row, Some(&reserved))
        .await
        .expect("it is stored");
    let again = catalog.settle(&row, Some(&reserved)).await;
    assert!(matches!(again, Err(Error::Conflict { .. })), "{again:?}");
    assert_eq!(spent(catalog, None).await, (5, 1), "and counts once");
}

async fn calls_are_summed_up(catalog: &impl CostLedger) {
    let all = CostFilter::default();
    let none = catalog.costs(&all, CostBy::Total).await;
    assert_eq!(none.expect("an answer"), []);
    // 1,767,600,000 is eight in the morning.
    for row in [
        call("c1", OPS, 0, CallOutcome::Ok, usage(100, 10, 5)),
        call("c2", NEWS, 86_400, CallOutcome::Unusable, usage(50, 5, 2)),
        call("c3", OPS, 86_401, CallOutcome::Cached, usage(0, 0, 0)),
    ] {
        catalog.settle(&row, None).await.expect("it is stored");
    }
    let sums = async |filter: &CostFilter, by| {
        let rows = catalog.costs(filter, by).await.expect("an answer");
        let sum = |r: CostRow| (r.key, r.calls, r.cached, r.failed, r.tokens_in, r.micro_usd);
        rows.into_iter().map(sum).collect::<Vec<_>>()
    };
    let row = |key: &str, calls, cached, failed, tokens_in, micro_usd| {
        (key.to_owned(), calls, cached, failed, tokens_in, micro_usd)
    };
    assert_eq!(sums(&all, CostBy::Total).await, [row("", 3, 1, 1, 150, 7)]);
    assert_eq!(
        sums(&all, CostBy::Day).await,
        [
            row("2026-01-05", 1, 0, 0, 100, 5),
            row("2026-01-06", 2, 1, 1, 50, 2)
        ]
    );
    assert_eq!(
        sums(&all, CostBy::Chat).await,
        [
            row("-1001234567890", 2, 1, 0, 100, 5),
            row("-1009876543210", 1, 0, 1, 50, 2)
        ]
    );
    assert_eq!(sums(&all, CostBy::Provider).await[0].0, "b");
    assert_eq!(sums(&all, CostBy::Model).await[0].0, "small");
    assert_eq!(sums(&all, CostBy::Outcome).await.len(), 3);
    let second_day = CostFilter {
        since: Some(at(86_400)),
        until: Some(at(86_401)),
    };
    assert_eq!(
        sums(&second_day, CostBy::Total).await,
        [row("", 1, 0, 1, 50, 2)]
    );
    assert_eq!(spent(catalog, None).await, (0, 0), "nothing was reserved");
}

/// Eight ask for more than there is, each as often as it is let.
async fn a_budget_holds_under_eight_workers<C: CostLedger>(catalog: C) {
    const BUDGET: u64 = 1_000;
    let catalog = Arc::new(catalog);
    let mut workers = JoinSet::new();
    for worker in 0..8_u64 {
        let catalog = catalog.clone();
        workers.spawn(async move {
            let (wanted, limits) = (reservation(OPS, 30, 0), tokens(Some(BUDGET), None));
            let mut used = 0;
            for turn in 0.. {
                let refused = catalog.reserve(&wanted, &limits).await;
                if refused.expect("an answer").is_some() {
                    break;
                }
                let id = format!("{worker}-{turn}");
                let cost = usage(20 + worker, 0, 0);
                let row = call(&id, OPS, 1, CallOutcome::Ok, cost);
                catalog.settle(&row, Some(&wanted)).await.expect("stored");
                used += cost.tokens_in;
            }
            used
        });
    }
    let used: u64 = workers.join_all().await.into_iter().sum();
    assert_eq!(spent(&*catalog, None).await, (used, 0));
    assert!(used <= BUDGET, "{used} of {BUDGET}");
    assert!(
        used > BUDGET - 8 * 30,
        "{used} of {BUDGET}: nothing is kept back"
    );
}
