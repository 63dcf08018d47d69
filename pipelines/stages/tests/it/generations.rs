//! Generations: filled beside the live one, switched to and back, given up; whatever interrupts them.

mod crashes;
mod embed;
mod readers;
mod steered;
mod windows;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use telesift_ports::{
    Generations, Replays,
    replays::{Bound, ReplayError, ReplayRequest, ReplayStage, ReplayState, RulesChoice},
};
use telesift_schemas::{Class, Cursor, Generation, Message, Offset, PartitionId, Topic};

use crate::works::{Process, Works, is_ready, partition_of, until};

/// Rules that call a signal what wants at least 0.8.
pub(crate) const STRICT: &str = "name = \"strict\"\nversion = 2\nsignal = 0.8\n";

pub(crate) const SECOND: Generation = Generation(2);

fn class(message: &Message) -> Class {
    message.screen.as_ref().unwrap().class
}

fn rules(message: &Message) -> &str {
    message.screen.as_ref().unwrap().rules.as_str()
}

#[tokio::test]
async fn the_same_rules_again_change_nothing() {
    let works = Works::new().await;
    let process = works.process().await;
    works.append_many(0..60).await;
    process.until_idle().await;
    // Rules changed in between: each record keeps those that screened it.
    process
        .activate("name = \"later\"\nversion = 1\nsignal = 0.3\n")
        .await;
    works.append_many(60..120).await;
    process.until_idle().await;
    let (states, shown) = (works.states("stage/").await, process.shown().await);

    let dry = ReplayRequest {
        dry_run: true,
        ..Process::request(None)
    };
    let predicted = process.replay(&works, dry).await.progress.result;
    assert!(predicted.diff.is_empty(), "{predicted:?}");
    let done = process.replay(&works, Process::request(None)).await;
    assert!(is_ready(&process, &done), "{done:?}");
    let first = works.contents(&Topic::MESSAGES).await;
    assert!(first.iter().all(|p| p.len() > 20));
    assert_eq!(works.contents(&Topic::MESSAGES.of(SECOND)).await, first);
    let result = &done.progress.result;
    assert!(result.diff.is_empty(), "{result:?}");
    let n_messages: usize = first.iter().map(Vec::len).sum();
    assert_eq!(result.identical, n_messages as u64);
    assert_eq!(result.identical, predicted.identical);
    assert_eq!(
        works.contents(&Topic::STORIES.of(SECOND)).await,
        works.contents(&Topic::STORIES).await
    );
    // Live positions are untouched.
    for (key, state) in states {
        assert_eq!(works.states(&key).await, [(key, state)]);
    }
    works.balanced().await;
    process.runner.switch(&done.id).await.unwrap().unwrap();
    assert_eq!(process.generations.now().live, SECOND);
    assert_eq!(process.shown().await, shown);
    process.end().await;
}

#[tokio::test]
async fn other_rules_change_what_the_dry_run_predicted() {
    let works = Works::new().await;
    let process = works.process().await;
    works.append_many(0..100).await;
    process.until_idle().await;
    let dry = ReplayRequest {
        dry_run: true,
        ..Process::request(Some(STRICT))
    };
    let predicted = process.replay(&works, dry).await.progress.result;
    let done = process.replay(&works, Process::request(Some(STRICT))).await;
    assert!(is_ready(&process, &done));

    let mut diff: BTreeMap<String, u64> = BTreeMap::new();
    let (old, new) = (
        works.messages(Generation::FIRST).await,
        works.messages(SECOND).await,
    );
    assert_eq!(old.len(), new.len());
    for (old, new) in old.iter().zip(&new) {
        assert_eq!((old.id, &old.origin), (new.id, &new.origin));
        assert!(rules(new).starts_with("strict@2+"));
        if class(old) != class(new) {
            let change = format!("{}->{}", class(old).as_str(), class(new).as_str());
            *diff.entry(change).or_default() += 1;
        }
    }
    assert!(diff["signal->noise"] > 10, "{diff:?}");
    assert_eq!(diff, predicted.diff);
    let changed = &done.progress;
    assert_eq!(changed.result.diff, predicted.diff);
    assert_eq!(changed.result.identical, predicted.identical);
    assert_eq!(changed.result.cost, predicted.cost);
    assert!(changed.samples["signal->noise"].len() > 10);
    // Not switched yet: readers see nothing of it.
    let n_signals = |all: &[Message]| all.iter().filter(|m| class(m) == Class::Signal).count();
    assert_eq!(n_signals(&process.shown().await), n_signals(&old));
    process.runner.switch(&done.id).await.unwrap();
    assert_eq!(n_signals(&process.shown().await), n_signals(&new));
    let back = process.runner.switch_back(&done.id).await.unwrap();
    assert!(back.is_some());
    assert_eq!(n_signals(&process.shown().await), n_signals(&old));
    process.end().await;
}

#[tokio::test]
async fn a_part_of_history_is_replayed_and_the_rest_is_there_too() {
    let works = Works::new().await;
    let process = works.process().await;
    works.append_many(0..80).await;
    process.until_idle().await;
    let epoch = telesift_ports::RecordLog::epoch(&*works.log).clone();
    let cursor = |offset| {
        Bound::Cursor(Cursor {
            generation: Generation::FIRST,
            epoch: epoch.clone(),
            next: vec![(PartitionId(0), Offset(offset))],
        })
    };
    let request = ReplayRequest {
        from: cursor(10),
        to: cursor(20),
        ..Process::request(Some(STRICT))
    };
    let done = process.replay(&works, request).await;
    assert!(is_ready(&process, &done), "{done:?}");
    let is_in = |m: &Message| {
        let origin = m.origin.as_ref().unwrap();
        origin.partition.0 == 0 && (10..20).contains(&origin.offset.0)
    };
    let (old, new) = (
        works.messages(Generation::FIRST).await,
        works.messages(SECOND).await,
    );
    assert_eq!(old.len(), new.len());
    for (old, new) in old.iter().zip(&new) {
        match is_in(new) {
            true => assert!(rules(new).starts_with("strict@2+")),
            false => assert_eq!(old, new),
        }
    }
    // From there on it follows, by the rules in force.
    works.append_many(80..100).await;
    process.until_idle().await;
    let followed = works.messages(SECOND).await;
    assert!(followed.len() > new.len());
    assert_eq!(
        works.messages(Generation::FIRST).await.len(),
        followed.len()
    );
    works.balanced().await;

    // And a dry run compares with what really screened each record: nothing changes under the same mixture.
    process.runner.switch(&done.id).await.unwrap();
    let dry = ReplayRequest {
        dry_run: true,
        rules: Some(RulesChoice::Named("default".to_owned())),
        ..Process::request(None)
    };
    let compared = process.replay(&works, dry).await;
    let n_changed: u64 = compared.progress.result.diff.values().sum();
    let changed = followed.iter().zip(works.messages(Generation::FIRST).await);
    let n_different = changed
        .filter(|(new, old)| class(new) != class(old))
        .count();
    assert!(n_different > 0);
    assert_eq!(n_changed, n_different as u64);
    assert_eq!(
        compared.spec.base.split(", ").count(),
        2,
        "{}",
        compared.spec.base
    );
    process.end().await;
}

#[tokio::test]
async fn a_dry_run_compares_with_the_rules_of_each_time() {
    let works = Works::new().await;
    let process = works.process().await;
    works.append_many(0..40).await;
    process.until_idle().await;
    process.activate(STRICT).await;
    works.append_many(40..80).await;
    process.until_idle().await;
    let dry = |rules| ReplayRequest {
        dry_run: true,
        ..Process::request(Some(rules))
    };
    let strict = process.replay(&works, dry(STRICT)).await.progress.result;
    let old = works.messages(Generation::FIRST).await;
    let wants = |m: &Message| m.screen.as_ref().unwrap().score;
    let early = |m: &&Message| m.message_id < 40;
    let n_flips = old
        .iter()
        .filter(early)
        .filter(|m| (0.5..0.8).contains(&wants(m)))
        .count();
    assert!(n_flips > 3);
    let expected = BTreeMap::from([("signal->noise".to_owned(), n_flips as u64)]);
    assert_eq!(strict.diff, expected);
    process.end().await;
}

#[tokio::test]
async fn a_store_is_made_anew_beside_the_live_one() {
    let works = Works::new().await;
    let process = works.process().await;
    works.append_many(0..50).await;
    process.until_idle().await;
    let request = |stage| ReplayRequest {
        stage,
        ..Process::request(None)
    };
    let done = process.replay(&works, request(ReplayStage::Index)).await;
    assert!(is_ready(&process, &done), "{done:?}");
    assert_eq!(works.sets.there_are(), [Generation::FIRST, SECOND]);
    let parts = process.generations.now().entry(SECOND).unwrap().parts;
    assert_eq!(
        (parts.messages, parts.store, parts.stories),
        (Generation::FIRST, SECOND, Generation::FIRST)
    );
    let shown = process.shown().await;
    process.runner.switch(&done.id).await.unwrap();
    assert_eq!(process.shown().await, shown);
    // Stories, on top of it, decided anew.
    let mut stories = request(ReplayStage::Stories);
    stories.reassign = true;
    let done = process.replay(&works, stories).await;
    assert!(is_ready(&process, &done), "{done:?}");
    let third = process.generations.now().made_by(&done.id).unwrap().clone();
    assert_eq!(
        (third.parts.store, third.parts.stories),
        (SECOND, Generation(3))
    );
    // Partitions that grow while they are read may be seen in another order: which message is first may differ, not which
    // belong together.
    let told = together(&works, Generation(3)).await;
    assert!(told.len() > 3);
    assert_eq!(told, together(&works, Generation::FIRST).await);
    process.runner.switch(&done.id).await.unwrap();
    process.until_idle().await;
    let live = process.runner.generations().await.unwrap();
    let stages: Vec<&str> = live[2].stages.iter().map(|s| s.stage.as_str()).collect();
    assert!(
        stages.contains(&"screen")
            && stages.contains(&"index-g2")
            && stages.contains(&"stories-g3")
    );
    works.balanced().await;
    process.end().await;
}

/// Which messages are told to belong together.
async fn together(works: &Works, of: Generation) -> BTreeSet<BTreeSet<String>> {
    let mut stories: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (_, value) in works.contents(&Topic::STORIES.of(of)).await.concat() {
        let told: telesift_schemas::StoryAssigned = serde_json::from_slice(&value).unwrap();
        stories
            .entry(told.story)
            .or_default()
            .insert(told.message.to_string());
    }
    stories.into_values().collect()
}

#[tokio::test]
async fn a_dry_run_of_any_stage_counts_what_would_be_worked_on_and_writes_nothing() {
    let works = Works::new().await;
    let process = works.process().await;
    works.append_many(0..60).await;
    process.until_idle().await;
    let (states, all) = (
        works.states("").await,
        works.messages(Generation::FIRST).await,
    );
    let n_not_noise = all.iter().filter(|m| class(m) != Class::Noise).count();
    assert!(n_not_noise > 5 && n_not_noise + 5 < all.len());
    for stage in [
        ReplayStage::Index,
        ReplayStage::Stories,
        ReplayStage::Windows,
        ReplayStage::Embed,
        ReplayStage::Alert,
    ] {
        let request = ReplayRequest {
            stage,
            dry_run: true,
            ..Process::request(None)
        };
        let done = process.replay(&works, request).await;
        assert_eq!(done.state, ReplayState::Done, "{done:?}");
        let result = done.progress.result;
        let expected = match stage {
            ReplayStage::Embed | ReplayStage::Alert => n_not_noise,
            _ => all.len(),
        };
        assert_eq!(result.cost.new.messages, expected as u64, "{stage:?}");
        assert_eq!(result.ledger.received, all.len() as u64);
        assert!(result.ledger.is_conserved() && result.cost.new.estimated_tokens > 0);
        assert!(process.runner.switch(&done.id).await.is_err());
    }
    assert_eq!(works.states("").await, states);
    process.end().await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_in_words() {
    let works = Works::new().await;
    let process = works.process().await;
    let start = async |change: &dyn Fn(&mut ReplayRequest)| {
        let mut request = Process::request(None);
        change(&mut request);
        process.runner.start(request).await.unwrap_err()
    };
    let refused = start(&|r| r.stage = ReplayStage::Alert).await;
    assert!(
        matches!(
            refused,
            ReplayError::Range {
                field: "dry_run",
                ..
            }
        ),
        "{refused}"
    );
    let rules = RulesChoice::Named("default".to_owned());
    let refused =
        start(&|r| (r.stage, r.rules) = (ReplayStage::Extract, Some(rules.clone()))).await;
    assert!(
        matches!(refused, ReplayError::Range { field: "rules", .. }),
        "{refused}"
    );
    let refused = start(&|r| (r.stage, r.from) = (ReplayStage::Index, Bound::Latest)).await;
    assert!(
        matches!(refused, ReplayError::Range { field: "from", .. }),
        "{refused}"
    );
    let broken = RulesChoice::Inline(telesift_ports::replays::RuleText::Toml("nothing".into()));
    let refused = start(&|r| r.rules = Some(broken.clone())).await;
    assert!(
        matches!(refused, ReplayError::Rules { field: "rules", .. }),
        "{refused}"
    );
    assert!(process.runner.list(None, 9).await.unwrap().is_empty());
    assert!(process.runner.switch("nobody").await.unwrap().is_none());
    process.end().await;
}

#[tokio::test]
async fn old_generations_go_and_the_live_one_stays() {
    let mut works = Works::new().await;
    works.keep_for(Duration::from_secs(86_400));
    works.append_many(0..30).await;
    let process = works.process().await;
    process.until_idle().await;
    let done = process.replay(&works, Process::request(Some(STRICT))).await;
    process.runner.switch(&done.id).await.unwrap();
    let refused = process.runner.retire(SECOND).await.unwrap_err();
    assert!(refused.to_string().contains("live"), "{refused}");
    assert!(!process.runner.retire(Generation(9)).await.unwrap());

    works.clock.advance(Duration::from_secs(86_400));
    until(async || {
        let register = process.generations.now();
        (register.all[0].removed.len() == 3).then_some(())
    })
    .await;
    assert_eq!(works.sets.there_are(), [SECOND]);
    let topics = telesift_ports::RecordLog::topics(&*works.log)
        .await
        .unwrap();
    assert!(topics.iter().all(|t| t.topic != Topic::STORIES));
    let refused = process.runner.switch_back(&done.id).await.unwrap_err();
    assert!(
        matches!(refused, ReplayError::Generation { generation: 1, .. }),
        "{refused}"
    );
    // What is left goes on alone, in this process and the next.
    works.append_many(30..40).await;
    process.until_idle().await;
    let n = process.shown().await.len();
    process.end().await;
    let process = works.process().await;
    works.append_many(40..50).await;
    process.until_idle().await;
    assert!(process.shown().await.len() > n);
    let stages = works.balanced().await;
    assert!(stages.iter().all(|key| !key.contains("/stories/")));
    // Those that have no generations read the messages of the first one: these go on, and what came is the same in both.
    let later = |all: Vec<Message>| -> Vec<Message> {
        all.into_iter().filter(|m| m.message_id >= 30).collect()
    };
    let first = later(works.messages(Generation::FIRST).await);
    assert!(first.len() > 10);
    assert_eq!(first, later(works.messages(SECOND).await));
    process.end().await;
}

#[tokio::test]
async fn rules_count_from_what_no_generation_has_screened() {
    let works = Works::new().await;
    works.append_many(0..30).await;
    let process = works.process().await;
    process.until_idle().await;
    let done = process.replay(&works, Process::request(Some(STRICT))).await;
    process.runner.switch(&done.id).await.unwrap();
    process.activate(STRICT).await;
    works.append_many(30..60).await;
    process.until_idle().await;
    let (old, new) = (
        works.messages(Generation::FIRST).await,
        works.messages(SECOND).await,
    );
    let later = |all: Vec<Message>| {
        all.into_iter()
            .filter(|m| m.message_id >= 30)
            .collect::<Vec<_>>()
    };
    assert!(new.iter().all(|m| rules(m).starts_with("strict@2+")));
    assert_eq!(later(old), later(new));
    process.end().await;
}

#[tokio::test]
async fn another_process_learns_of_a_switch() {
    let works = Works::new().await;
    works.append_many(0..20).await;
    let process = works.process().await;
    process.until_idle().await;
    let elsewhere = Generations::load(works.log.clone()).await.unwrap();
    let done = process.replay(&works, Process::request(None)).await;
    process.runner.switch(&done.id).await.unwrap();
    assert_eq!(elsewhere.now().live, Generation::FIRST);
    assert_eq!(elsewhere.refresh().await.unwrap().live, SECOND);
    assert_eq!(partition_of(7), partition_of(7));
    process.end().await;
}
