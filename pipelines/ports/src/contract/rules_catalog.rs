//! What every [`RulesCatalog`] keeps to.

use std::future::Future;

use telesift_schemas::{Offset, PartitionId, Timestamp};

use crate::{
    contract::Must as _,
    rules::{ActivationRow, RulesCatalog, RulesRow},
};

/// Runs the whole suite; `fresh` gives an empty catalog each time.
///
/// # Panics
/// When the catalog breaks the contract.
pub async fn run<C, F, Fut>(fresh: F)
where
    C: RulesCatalog,
    F: Fn() -> Fut,
    Fut: Future<Output = C>,
{
    a_rule_set_is_kept_whole(&fresh().await).await;
    the_same_decision_again_changes_nothing(&fresh().await).await;
    rule_sets_are_listed_newest_first(&fresh().await).await;
    activations_are_kept_whole_and_listed_newest_first(&fresh().await).await;
}

fn rules(decision: u64, version: &str) -> RulesRow {
    RulesRow {
        decision: Offset(decision),
        version: version.to_owned(),
        name: crate::rules::name_of(version).to_owned(),
        data: r#"{"name":"ops","lexicons":{"incident":["впав*"]}}"#.to_owned(),
        source: "name = \"ops\" # «наші» правила\n".to_owned(),
        by: "0198c0de".to_owned(),
        at: Timestamp::from_microsecond(1_767_600_000_000_001).expect("a time in range"),
        note: Some("забагато шуму".to_owned()),
    }
}

fn activation(decision: u64, version: &str) -> ActivationRow {
    ActivationRow {
        decision: Offset(decision),
        version: version.to_owned(),
        shipped: false,
        from: vec![(PartitionId(0), Offset(12)), (PartitionId(3), Offset(0))],
        by: "0198c0de".to_owned(),
        at: Timestamp::from_microsecond(1_767_600_000_000_002).expect("a time in range"),
        note: None,
    }
}

async fn a_rule_set_is_kept_whole(catalog: &impl RulesCatalog) {
    assert_eq!(catalog.rules_list(None, 10).await.must(), []);
    let silent = RulesRow {
        note: None,
        ..rules(4, "ops@2+0b")
    };
    let row = rules(0, "ops@1+0a");
    catalog.put_rules(&row).await.must();
    catalog.put_rules(&silent).await.must();
    assert_eq!(catalog.rules_list(None, 10).await.must(), [silent, row]);
}

async fn the_same_decision_again_changes_nothing(catalog: &impl RulesCatalog) {
    let first = rules(3, "ops@1+0a");
    catalog.put_rules(&first).await.must();
    for again in [
        rules(3, "ops@1+0a"),
        rules(9, "ops@1+0a"),
        rules(3, "other@1+0b"),
    ] {
        catalog.put_rules(&again).await.must();
    }
    assert_eq!(catalog.rules_list(None, 10).await.must(), [first]);

    let first = activation(5, "ops@1+0a");
    catalog.put_activation(&first).await.must();
    catalog
        .put_activation(&activation(5, "other@1+0b"))
        .await
        .must();
    assert_eq!(catalog.activations(None, 10).await.must(), [first]);
}

async fn rule_sets_are_listed_newest_first(catalog: &impl RulesCatalog) {
    for (decision, version) in [(10, "c@1+0"), (2, "a@1+0"), (7, "b@1+0")] {
        catalog.put_rules(&rules(decision, version)).await.must();
    }
    let versions = async |before: Option<u64>, limit| {
        let rows = catalog.rules_list(before.map(Offset), limit).await.must();
        rows.into_iter().map(|r| r.version).collect::<Vec<_>>()
    };
    assert_eq!(versions(None, 2).await, ["c@1+0", "b@1+0"]);
    assert_eq!(versions(Some(7), 10).await, ["a@1+0"]);
    assert!(versions(Some(2), 10).await.is_empty());
    assert!(versions(None, 0).await.is_empty());
}

async fn activations_are_kept_whole_and_listed_newest_first(catalog: &impl RulesCatalog) {
    let shipped = ActivationRow {
        shipped: true,
        from: Vec::new(),
        note: Some("назад".to_owned()),
        ..activation(8, "default@1+0")
    };
    // A version comes back by a rollback, so it may stand more than once.
    let rows = [
        activation(1, "a@1+0"),
        activation(6, "a@1+0"),
        shipped.clone(),
    ];
    for row in &rows {
        catalog.put_activation(row).await.must();
    }
    let [first, second, _] = rows;
    assert_eq!(
        catalog.activations(None, 2).await.must(),
        [shipped, second.clone()]
    );
    assert_eq!(
        catalog.activations(Some(Offset(8)), 10).await.must(),
        [second, first]
    );
}
