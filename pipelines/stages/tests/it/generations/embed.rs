//! Another model is another store beside the live one, with all its vectors before anybody searches by them.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use telesift_ports::{
    Embedder, MessageStore, Replays,
    embedder::Purpose,
    message_store::{Hit, SearchMode, SearchRequest},
    providers::{ChatSetting, ChatSettings as _, Consent, Enrich},
    replays::{ReplayError, ReplayRequest, ReplayStage, ReplayState},
};
use telesift_schemas::{ChatId, Class, Generation, Timestamp};

use super::{SECOND, STRICT};
use crate::works::{DyingLog, Process, Works, is_ready, until};

const URGENT: [Class; 2] = [Class::Signal, Class::WeakSignal];

fn request() -> ReplayRequest {
    ReplayRequest {
        stage: ReplayStage::Embed,
        ..Process::request(None)
    }
}

/// A search by meaning, as the API makes it: by a vector of the live model, in the live store.
async fn search(process: &Process) -> Vec<Hit> {
    let texts = ["the bridge was closed"];
    let vectors = process
        .embedder
        .embed(&texts, Purpose::Query)
        .await
        .unwrap();
    let request = SearchRequest {
        query: telesift_text::Query::parse(""),
        vector: vectors.into_iter().next(),
        mode: SearchMode::Vector,
        filter: Default::default(),
        limit: 1_000,
    };
    process.store.search(&request).await.unwrap()
}

async fn lacking(works: &Works, of: Generation) -> u64 {
    use telesift_ports::message_store::StoreSets;
    let store = works.sets.open(of, works.slow.model()).await.unwrap();
    store.count_without_vector(&URGENT, None).await.unwrap()
}

fn model_of(process: &Process) -> String {
    process.embedder.model().name()
}

#[tokio::test]
async fn search_goes_by_the_new_model_from_the_switch_on_and_by_the_old_one_after_switching_back() {
    let works = Works::new().await;
    let process = works.process().await;
    works.append_many(0..80).await;
    process.until_idle().await;
    let (before, states) = (search(&process).await, works.catalog_states().await);
    assert!(before.len() > 20);
    assert_eq!(model_of(&process), "ones@1/1");

    let done = process.replay(&works, request()).await;
    assert!(is_ready(&process, &done), "{done:?}");
    assert_eq!(done.spec.model.as_deref(), Some("slow@1/2"));
    assert_eq!(done.progress.processed(), done.spec.total());
    let entry = process.generations.now().made_by(&done.id).unwrap().clone();
    assert_eq!(entry.model.as_deref(), Some("slow@1/2"));
    assert_eq!(
        lacking(&works, SECOND).await,
        0,
        "all are there before it is ready"
    );
    for (key, state) in states {
        assert_eq!(works.catalog_states().await[&key], state, "{key:?}");
    }

    process.runner.switch(&done.id).await.unwrap().unwrap();
    let after = search(&process).await;
    assert_eq!(model_of(&process), "slow@1/2");
    let ids = |hits: &[Hit]| {
        let mut ids: Vec<_> = hits.iter().map(|h| h.message.id).collect();
        ids.sort_unstable();
        ids
    };
    let is_urgent = |hit: &&Hit| {
        let class = hit.message.screen.as_ref().unwrap().class;
        URGENT.contains(&class)
    };
    let urgent: Vec<Hit> = before.iter().filter(is_urgent).cloned().collect();
    assert_eq!(ids(&after), ids(&urgent));
    // What comes gets its vectors there too, and after a restart.
    works.append_many(80..110).await;
    process.until_idle().await;
    until(async || (lacking(&works, SECOND).await == 0).then_some(())).await;
    let n = search(&process).await.len();
    assert!(n > after.len());
    process.end().await;
    let process = works.process().await;
    assert_eq!(search(&process).await.len(), n);
    let listed = process.runner.generations().await.unwrap();
    let models: Vec<_> = listed.iter().map(|g| g.model.clone().unwrap()).collect();
    assert_eq!(models, ["ones@1/1", "slow@1/2"]);

    process.runner.switch_back(&done.id).await.unwrap().unwrap();
    assert_eq!(model_of(&process), "ones@1/1");
    assert!(search(&process).await.len() > before.len());
    process.end().await;
}

/// How many texts a dry run counts, and why it passes the others by.
async fn estimate(process: &Process, works: &Works) -> (u64, BTreeMap<String, u64>) {
    let dry = ReplayRequest {
        dry_run: true,
        ..request()
    };
    let done = process.replay(works, dry).await;
    assert_eq!(done.state, ReplayState::Done, "{done:?}");
    let ledger = done.progress.result.ledger;
    (ledger.judged, ledger.skipped)
}

#[tokio::test]
async fn a_dry_run_counts_what_the_model_would_be_given() {
    let works = Works::new().await;
    works.append_many(0..80).await;
    // A private chat: its messages go to nobody else without consent.
    const PERSON: i64 = 77;
    let private: Vec<_> = (11..16).map(|id| (PERSON, id, 0.9)).collect();
    works.append(&private).await;
    let process = works.process().await;
    process.until_idle().await;
    let (all, skipped) = estimate(&process, &works).await;
    assert!(all > 5 && !skipped.contains_key("kept_here"), "{skipped:?}");

    works.slow.is_elsewhere.store(true, Ordering::SeqCst);
    let (given, skipped) = estimate(&process, &works).await;
    let kept = skipped["kept_here"];
    assert!(kept >= 5 && given + kept == all, "{given} {skipped:?}");
    let consent = ChatSetting {
        chat: ChatId(PERSON),
        enrich: Enrich::Remote,
        consent: Some(Consent {
            by: "k".to_owned(),
            at: Timestamp::UNIX_EPOCH,
        }),
        updated_at: Timestamp::UNIX_EPOCH,
        decided: None,
    };
    works.catalog.put_chat_setting(&consent).await.unwrap();
    let (given, skipped) = estimate(&process, &works).await;
    let kept_now = skipped.get("kept_here").copied().unwrap_or_default();
    assert_eq!((given + kept_now, kept_now), (all, kept - 5));
    process.end().await;
}

#[tokio::test]
async fn a_store_made_of_another_keeps_its_model() {
    let works = Works::new().await;
    let process = works.process().await;
    works.append_many(0..40).await;
    process.until_idle().await;
    let done = process.replay(&works, request()).await;
    process.runner.switch(&done.id).await.unwrap().unwrap();
    // Other rules, on top of it: the same model.
    let third = process.replay(&works, Process::request(Some(STRICT))).await;
    assert!(is_ready(&process, &third), "{third:?}");
    process.runner.switch(&third.id).await.unwrap().unwrap();
    assert_eq!(model_of(&process), "slow@1/2");
    // And from there the other one again.
    let fourth = process.replay(&works, request()).await;
    assert!(is_ready(&process, &fourth), "{fourth:?}");
    assert_eq!(fourth.spec.model.as_deref(), Some("ones@1/1"));
    process.runner.switch(&fourth.id).await.unwrap().unwrap();
    assert_eq!(model_of(&process), "ones@1/1");
    process.end().await;
}

#[tokio::test]
async fn a_text_the_model_refuses_holds_nobody_up_and_a_model_that_is_away_is_waited_for() {
    let works = Works::new().await;
    *works.slow.refuses.lock().unwrap() = Some("number 3 say");
    works.slow.is_away.store(true, Ordering::SeqCst);
    let process = works.process().await;
    works.append_many(0..60).await;
    process.until_idle().await;
    let id = process.runner.start(request()).await.unwrap().id;
    // All is indexed, and nothing is embedded: it is not done.
    until(async || {
        let listed = process.runner.generations().await.unwrap();
        let stages = &listed.get(1)?.stages;
        let index = stages.iter().filter(|s| s.stage == "index-g2");
        let (n, lag) = index.fold((0, 0), |(n, lag), s| (n + 1, lag + s.lag()));
        (n > 0 && lag == 0).then_some(())
    })
    .await;
    let waiting = process.runner.status(&id).await.unwrap().unwrap();
    assert_eq!(waiting.state, ReplayState::Running);
    let refused = process.runner.switch(&id).await.unwrap_err();
    assert!(matches!(refused, ReplayError::State(_)), "{refused}");
    works.slow.is_away.store(false, Ordering::SeqCst);
    let done = process.until_over(&works, &id).await;
    assert!(is_ready(&process, &done), "{done:?}");
    let refused = lacking(&works, SECOND).await;
    assert!((1..10).contains(&refused), "{refused}");
    process.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_of_embed_that_dies_anywhere_ends_the_same() {
    for dies_at in 0..100 {
        let works = Works::new().await;
        works.append_many(0..24).await;
        let process = works.process().await;
        process.until_idle().await;
        process.end().await;
        let process = works.process().await;
        let id = process.runner.start(request()).await.unwrap().id;
        process.kill().await;
        let log = Arc::new(DyingLog::new(works.log.clone(), dies_at, dies_at % 2 == 0));
        let process = works.process_on(log.clone()).await;
        let has_died = tokio::select! {
            () = log.dead() => true,
            _ = process.until_over(&works, &id) => false,
        };
        process.kill().await;
        let process = works.process().await;
        let done = process.until_over(&works, &id).await;
        assert!(is_ready(&process, &done), "{done:?}");
        assert_eq!(lacking(&works, SECOND).await, 0);
        process.runner.switch(&id).await.unwrap().unwrap();
        assert!(search(&process).await.len() > 5);
        process.end().await;
        if !has_died {
            assert!(dies_at > 1, "{dies_at}");
            return;
        }
    }
    panic!("a replay of 24 records takes less than 100 commits");
}
