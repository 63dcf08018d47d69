//! Rules that one process activates while another one screens, on a log without transactions: they count from the stated offset
//! on, exactly.

use std::sync::{Arc, Mutex, mpsc};

use telesift_ports::{
    RecordLog, SmartModuleChain,
    record_log::Transaction,
    rules::{Activation, RulesError, StartFrom},
};
use telesift_schemas::{Offset, PartitionId};
use telesift_stages::screen::ChainFactory;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::{Gated, NEVER, activate, add, append, fresh_keeper, from, names, screened_by};
use crate::flow::{Flow, scripted};

/// Chains that say when a batch begins, and wait to be let on.
fn gated() -> (ChainFactory, UnboundedReceiver<()>, mpsc::Sender<()>) {
    let (entered, has_entered) = unbounded_channel();
    let (open, go_on) = mpsc::channel();
    let go_on = Arc::new(Mutex::new(go_on));
    let chains: ChainFactory = Arc::new(move |set| {
        Ok(Box::new(Gated {
            chain: scripted()(set)?,
            entered: entered.clone(),
            go_on: go_on.clone(),
        }) as Box<dyn SmartModuleChain>)
    });
    (chains, has_entered, open)
}

/// The first offset of the rules on the one partition.
fn start(activation: &Activation) -> Offset {
    let at = |(partition, offset): &(PartitionId, Offset)| {
        (*partition == PartitionId(0)).then_some(*offset)
    };
    activation.from.iter().find_map(at).unwrap()
}

#[tokio::test]
async fn they_count_from_behind_the_batch_in_flight() {
    for asked in [StartFrom::Unscreened, StartFrom::Latest] {
        let flow = Flow::without_transactions().await;
        append(&flow, 0..5).await;
        let keeper = fresh_keeper(&flow).await;
        add(&keeper, "a").await;
        let (chains, mut has_entered, open) = gated();
        // A process of its own: nothing but the log tells one of the other.
        let book = flow.book().await;
        let screening = flow.screen_by(book, chains, 5, NEVER);
        let deciding = async {
            has_entered.recv().await.unwrap();
            let refused = activate(&keeper, "a", from(3)).await.unwrap_err();
            assert!(
                matches!(
                    refused,
                    RulesError::AlreadyScreened {
                        screened: Offset(5),
                        ..
                    }
                ),
                "{refused}"
            );
            let activation = activate(&keeper, "a", asked).await.unwrap();
            append(&flow, 5..8).await;
            // This batch, and the next one.
            open.send(()).unwrap();
            open.send(()).unwrap();
            activation
        };
        let (screened, activation) = tokio::join!(screening, deciding);
        screened.unwrap();
        assert_eq!(start(&activation), Offset(5));
        assert_eq!(screened_by(&flow).await, names(&[("default", 5), ("a", 3)]));
    }
}

#[tokio::test]
async fn a_batch_that_would_begin_meanwhile_waits_for_the_decision() {
    let flow = Flow::without_transactions().await;
    append(&flow, 0..5).await;
    let keeper = fresh_keeper(&flow).await;
    add(&keeper, "a").await;
    // Somebody is about to decide, and has looked at the claims already.
    let gate = |value: Option<&'static str>| Transaction {
        finish: Box::new(move |_| vec![("rules/gate".to_owned(), value.map(Into::into))]),
        ..Transaction::appends(Vec::new())
    };
    flow.log.commit(gate(Some("somebody"))).await.unwrap();
    let busy = activate(&keeper, "a", StartFrom::Unscreened).await;
    assert!(matches!(busy, Err(RulesError::Busy)), "{busy:?}");

    let (chains, mut has_entered, open) = gated();
    let book = flow.book().await;
    let screening = flow.screen_by(book, chains, 5, NEVER);
    let deciding = async {
        while flow
            .log
            .state("claims/screen/telegram-raw/0")
            .await
            .unwrap()
            .is_none()
        {
            tokio::task::yield_now().await;
        }
        let decision = r#"{"v":1,"at":"2026-01-05T10:00:00Z","by":"k","decision":"rules_activated","rules":"VERSION","from":["0:0"]}"#;
        let added = keeper_version(&keeper).await;
        let decision = decision.replace("VERSION", &added);
        flow.append(telesift_schemas::Topic::DECISIONS, &[decision])
            .await;
        assert!(has_entered.try_recv().is_err(), "it waits at the gate");
        flow.log.commit(gate(None)).await.unwrap();
        has_entered.recv().await.unwrap();
        open.send(()).unwrap();
    };
    let (screened, ()) = tokio::join!(screening, deciding);
    screened.unwrap();
    assert_eq!(screened_by(&flow).await, names(&[("a", 5)]));
}

/// The whole version of `a`.
async fn keeper_version(keeper: &telesift_stages::decisions::rules::RulesKeeper) -> String {
    use telesift_ports::RuleSets as _;
    keeper.get("a").await.unwrap().info.version
}
