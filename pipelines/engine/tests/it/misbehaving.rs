//! Guests that fail on one record, at every position of the batch and of the chain.

use telesift_engine::{ChainSpec, EngineChain};
use telesift_ports::chain::ChainOutcome;
use telesift_schemas::DeadLetterCode;

use crate::support::{chain, failure, inputs, misbehave, module, process, value};
use telesift_ports::SmartModuleChain;

const N_RECORDS: usize = 5;

fn values(bad: &[usize]) -> Vec<String> {
    let value = |i| {
        let text = if bad.contains(&i) { "bad" } else { "good" };
        format!(r#"{{"text":"{text} {i}"}}"#)
    };
    (0..N_RECORDS).map(value).collect()
}

/// The failing guest at `at` of three, the others passing everything on.
fn three(mode: &str, at: usize) -> EngineChain {
    let mut modules = vec![misbehave("drop", "never 1"), misbehave("drop", "never 2")];
    modules.insert(at, misbehave(mode, "bad"));
    chain(modules)
}

/// One record fails wherever it stands, in whichever module; its neighbours come out as if it were not there.
fn fails_alone(mode: &str, code: DeadLetterCode) {
    for at_module in 0..3 {
        let mut chain = three(mode, at_module);
        for at in 0..N_RECORDS {
            let values = values(&[at]);
            let outcomes = process(&mut chain, &values);
            for (i, outcome) in outcomes.iter().enumerate() {
                if i == at {
                    let module = format!("misbehave-{mode}");
                    assert_eq!(
                        failure(outcome),
                        Some((module.as_str(), code)),
                        "{outcome:?}"
                    );
                } else {
                    assert_eq!(
                        *outcome,
                        value(&values[i]),
                        "bad record {at}, module {at_module}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_record_that_a_module_refuses_fails_alone() {
    fails_alone("error", DeadLetterCode::GuestError);
}

#[test]
fn a_record_that_makes_a_module_panic_fails_alone() {
    fails_alone("panic", DeadLetterCode::GuestTrap);
}

#[test]
fn a_record_that_makes_a_module_exhaust_its_memory_fails_alone() {
    fails_alone("memory", DeadLetterCode::GuestTrap);
}

#[test]
fn a_record_that_comes_out_twice_fails_alone() {
    fails_alone("twice", DeadLetterCode::GuestOutput);
}

#[test]
fn a_filtered_record_is_told_from_one_that_passed() {
    for at_module in 0..3 {
        let mut chain = three("drop", at_module);
        for bad in [vec![0], vec![4], vec![1, 2], vec![0, 1, 2, 3, 4], vec![]] {
            let values = values(&bad);
            let outcomes = process(&mut chain, &values);
            for (i, outcome) in outcomes.iter().enumerate() {
                let wanted = if bad.contains(&i) {
                    ChainOutcome::Filtered
                } else {
                    value(&values[i])
                };
                assert_eq!(*outcome, wanted, "bad records {bad:?}, module {at_module}");
            }
        }
    }
}

#[test]
fn several_bad_records_of_several_kinds_fail_each_for_its_own_reason() {
    let modules = vec![
        misbehave("panic", "pan"),
        misbehave("error", "err"),
        misbehave("drop", "dro"),
    ];
    let mut chain = chain(modules);
    let outcomes = process(
        &mut chain,
        &[
            "pan", "err", "ok", "dro", "pan err", "err", "dro", "ok", "pan",
        ],
    );
    let kinds: Vec<&str> = outcomes
        .iter()
        .map(|outcome| match (outcome, failure(outcome)) {
            (_, Some((module, _))) => module.strip_prefix("misbehave-").unwrap(),
            (ChainOutcome::Filtered, _) => "filtered",
            _ => "value",
        })
        .collect();
    let wanted = [
        "panic", "error", "value", "filtered", "panic", "error", "filtered", "value", "panic",
    ];
    assert_eq!(kinds, wanted);
}

#[test]
fn a_failure_says_why_without_the_text_of_the_record() {
    for (mode, reason) in [
        ("error", "asked to fail"),
        ("panic", "unreachable"),
        ("memory", "memory limit of 64000000 bytes"),
    ] {
        let mut chain = chain(vec![misbehave(mode, "bad")]);
        let outcomes = process(&mut chain, &["a bad secret"]);
        let ChainOutcome::Failed { message, .. } = &outcomes[0] else {
            panic!("{outcomes:?}");
        };
        assert!(message.contains(reason), "{mode}: {message}");
        assert!(!message.contains("secret"), "{mode}: {message}");
    }
}

#[test]
fn a_guest_that_leaks_fails_no_record() {
    // Each record leaves 1 MiB behind, of 64 MB.
    let mut chain = chain(vec![misbehave("leak", "x")]);
    let values = vec!["x"; 200];
    let outcomes = process(&mut chain, &values);
    assert_eq!(outcomes, vec![value("x"); 200]);
}

#[test]
fn the_guests_of_the_product_live_within_their_memory_for_ever() {
    // Ten times the limit goes through; the stock macro's guests would have trapped.
    let filter = misbehave("drop", "never");
    let spec = ChainSpec {
        memory_limit_bytes: 4_000_000,
        ..ChainSpec::new(vec![filter])
    };
    let mut chain = EngineChain::new(spec).unwrap();
    let inputs = inputs(&vec![vec![b'a'; 20_000]; 100]);
    for _ in 0..20 {
        let outcomes = chain.process(&inputs).unwrap();
        assert!(outcomes.iter().all(|o| failure(o).is_none()));
    }
}

#[test]
fn a_batch_larger_than_the_memory_of_a_guest_goes_through_in_parts() {
    let spec = ChainSpec {
        memory_limit_bytes: 8_000_000,
        ..ChainSpec::new(vec![misbehave("error", "bad")])
    };
    let mut chain = EngineChain::new(spec).unwrap();
    let mut values = vec![vec![b'a'; 100_000]; 200];
    values[150] = b"bad".to_vec();
    let outcomes = process(&mut chain, &values);
    for (i, outcome) in outcomes.iter().enumerate() {
        match i {
            150 => assert!(failure(outcome).is_some()),
            _ => assert_eq!(*outcome, value(&values[i])),
        }
    }
}

#[test]
fn a_chain_that_cannot_be_built_names_the_module() {
    let error = EngineChain::new(ChainSpec::new(vec![misbehave("dance", "x")])).unwrap_err();
    assert!(
        error.0.contains("misbehave-dance") && error.0.contains("param `mode`"),
        "{error}"
    );
    let broken = telesift_engine::ModuleSpec::new("broken", b"no wasm".as_slice());
    let error = EngineChain::new(ChainSpec::new(vec![broken])).unwrap_err();
    assert!(error.0.contains("`broken`"), "{error}");
    let filter = module("noise-filter").with_param("min_score", "2");
    let error = EngineChain::new(ChainSpec::new(vec![filter])).unwrap_err();
    assert!(error.0.contains("`min_score`"), "{error}");
}

#[test]
fn a_chain_describes_itself_by_hash() {
    let chain = chain(vec![module("noise-filter").with_param("class", "signal")]);
    let versions = chain.describe();
    assert_eq!(versions[0].name, "noise-filter");
    assert_eq!(
        versions[0].sha256,
        telesift_bundle::find("noise-filter").unwrap().sha256
    );
    assert_eq!(versions[0].params["class"], "signal");
}

#[test]
fn an_empty_batch_and_an_empty_chain_are_fine() {
    assert!(process(&mut chain(vec![misbehave("drop", "x")]), &[] as &[&str]).is_empty());
    assert_eq!(process(&mut chain(vec![]), &["a"]), [value("a")]);
}
