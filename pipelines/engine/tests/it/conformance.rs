//! Guest and native function give the same bytes, one record at a time and a thousand at a time.

use telesift_engine::{NativeExplainer, NativeRules};
use telesift_ports::{
    RuleReader, SmartModuleChain,
    chain::ChainOutcome,
    explain::Explainer,
    rules::{RuleSet, RuleSource},
};
use telesift_schemas::Message;
use telesift_signal_score::{Rules, score_record};

use crate::{
    fixtures,
    support::{chain, inputs, module},
};

/// What the modules make of a raw record, natively.
fn native(raw: &[u8], rules: &Rules) -> Vec<u8> {
    let mut normalized = Vec::new();
    telesift_normalize::normalize_into(raw, &mut normalized);
    score_record(&normalized, rules)
}

fn guest_equals_native(what: &str, raws: &[Vec<u8>], batch_sizes: &[usize]) {
    let rules = Rules::default();
    let wanted: Vec<ChainOutcome> = raws
        .iter()
        .map(|raw| ChainOutcome::Value(native(raw, &rules).into()))
        .collect();
    let mut chain = chain(vec![module("normalize"), module("signal-score")]);
    let inputs = inputs(raws);
    for &size in batch_sizes {
        for (batch, wanted) in inputs.chunks(size).zip(wanted.chunks(size)) {
            let outcomes = chain.process(batch).unwrap();
            for ((outcome, wanted), input) in outcomes.iter().zip(wanted).zip(batch) {
                assert_eq!(
                    outcome, wanted,
                    "{what}, batches of {size}: {:?}",
                    input.value
                );
            }
        }
    }
}

#[test]
fn own_messages_come_out_bit_for_bit_as_natively() {
    guest_equals_native("own messages", &fixtures::own(), &[1, 7, 1000]);
}

#[test]
fn updates_of_every_kind_come_out_bit_for_bit_as_natively() {
    let raws = fixtures::updates();
    assert!(raws.len() > 40, "only {} updates read", raws.len());
    guest_equals_native("updates", &raws, &[1, 1000]);
}

#[test]
fn real_exports_come_out_bit_for_bit_as_natively() {
    if let Some(raws) = fixtures::exports() {
        assert!(raws.len() > 300, "only {} messages read", raws.len());
        guest_equals_native("exports", &raws, &[1, 1000]);
    }
}

#[test]
fn real_posts_come_out_bit_for_bit_as_natively() {
    if let Some(raws) = fixtures::posts() {
        assert!(raws.len() > 9000, "only {} posts read", raws.len());
        guest_equals_native("posts", &raws, &[1000]);
        guest_equals_native("posts", &raws[..1000], &[1]);
    }
}

#[test]
fn activated_rules_reach_the_guest() {
    let toml = "name = \"mine\"\nversion = 7\nbias = 3\n[lexicons]\nincident = [\"бабах*\"]\n";
    let rules = Rules::from_toml(toml).unwrap();
    let scorer = module("signal-score").with_param("rules", rules.to_json());
    let mut chain = chain(vec![module("normalize"), scorer]);
    let raws = fixtures::own();
    let outcomes = chain.process(&inputs(&raws)).unwrap();
    for (raw, outcome) in raws.iter().zip(outcomes) {
        assert_eq!(outcome, ChainOutcome::Value(native(raw, &rules).into()));
    }
}

#[test]
fn refused_rules_refuse_the_chain_with_the_reason() {
    let scorer =
        module("signal-score").with_param("rules", r#"{"name":"a","version":1,"bias":99}"#);
    let spec = telesift_engine::ChainSpec::new(vec![scorer]);
    let error = telesift_engine::EngineChain::new(spec).unwrap_err();
    assert!(error.0.contains("`bias` is 99"), "{error}");
}

#[test]
fn an_explanation_gives_the_score_of_the_guest() {
    let toml = "name = \"mine\"\nversion = 7\nbias = 1\n[thresholds]\nsignal = 0.9\n";
    let mine = NativeRules.read(RuleSource::Toml(toml)).unwrap();
    let explainer = NativeExplainer::default();
    for rules in [NativeRules.shipped(), mine] {
        let scorer = match rules.shipped {
            true => module("signal-score"),
            false => module("signal-score").with_param("rules", rules.data.to_string()),
        };
        explanations_give_the_scores_of(vec![module("normalize"), scorer], &explainer, &rules);
    }
}

fn explanations_give_the_scores_of(
    modules: Vec<telesift_engine::ModuleSpec>,
    explainer: &NativeExplainer,
    rules: &RuleSet,
) {
    let raws = fixtures::own();
    let outcomes = chain(modules).process(&inputs(&raws)).unwrap();
    let mut n_explained = 0;
    for (raw, outcome) in raws.iter().zip(outcomes) {
        let ChainOutcome::Value(value) = outcome else {
            panic!("{outcome:?}");
        };
        let explanation = explainer.explain(raw, rules);
        let Ok(message) = serde_json::from_slice::<Message>(&value) else {
            assert!(explanation.is_none());
            continue;
        };
        let (screen, explanation) = (message.screen.unwrap(), explanation.unwrap());
        assert_eq!(screen.score, explanation.score);
        assert_eq!(screen.rules, explanation.rules);
        assert_eq!(screen.rules, rules.version);
        assert_eq!(screen.class.as_str(), explanation.class);
        n_explained += 1;
    }
    assert!(n_explained > 20, "{n_explained}");
}
