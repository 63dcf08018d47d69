//! The rules on conversations written with what an analyst would claim of each, and on none at all.

use telesift_extract::{
    RulesExtractor,
    evaluation::{Report, conversations, evaluate},
};

const CONVERSATIONS: &str = concat!(
    include_str!("../eval/conversations.jsonl"),
    include_str!("../eval/second.jsonl"),
    include_str!("../eval/third.jsonl"),
    include_str!("../eval/fourth.jsonl")
);

async fn report() -> Report {
    let conversations = conversations(CONVERSATIONS).expect("labels");
    evaluate(&RulesExtractor::new(), &conversations, |_| {}).await
}

#[tokio::test]
async fn an_analyst_would_call_most_claims_right_and_miss_few() {
    let report = report().await;
    for mistake in &report.mistakes {
        eprintln!("{mistake:?}");
    }
    let shown = |name: &str, s: &telesift_extract::evaluation::Score| {
        eprintln!(
            "{name:12} precision {:.2} recall {:.2} f1 {:.2} {s:?}",
            s.precision(),
            s.recall(),
            s.f1()
        );
    };
    shown("all", &report.all);
    report.kinds.iter().for_each(|(kind, s)| shown(kind, s));
    report.langs.iter().for_each(|(lang, s)| shown(lang, s));
    eprintln!("subjects {}/{}", report.subjects_right, report.subjects);
    assert!(report.failed.is_empty());
    assert!(report.all.precision() >= 0.8, "{:?}", report.all);
    assert!(report.all.recall() >= 0.8, "{:?}", report.all);
    for (lang, score) in &report.langs {
        assert!(score.f1() >= 0.75, "{lang}: {score:?}");
    }
    assert!(report.subjects_right * 10 >= report.subjects * 8);
}

#[tokio::test]
async fn every_quote_of_the_rules_stands_in_its_message() {
    let report = report().await;
    assert!(report.quotes > 30);
    assert_eq!(report.quotes_valid, report.quotes);
}

#[tokio::test]
async fn small_talk_claims_nothing_and_the_same_is_said_every_time() {
    let all = conversations(CONVERSATIONS).unwrap();
    let chatter: Vec<_> = all
        .iter()
        .filter(|c| {
            ["chatter", "banter"]
                .iter()
                .any(|talk| c.name.contains(talk))
        })
        .cloned()
        .collect();
    assert_eq!(chatter.len(), 9);
    let report = evaluate(&RulesExtractor::new(), &chatter, |_| {}).await;
    assert_eq!(report.all, Default::default(), "{:?}", report.mistakes);
    let twice = [self::report().await, self::report().await];
    assert_eq!(twice[0].mistakes, twice[1].mistakes);
}

#[test]
fn a_broken_label_is_named_by_its_line() {
    let error = conversations("// fine\n\n{\"name\":1}").unwrap_err();
    assert_eq!(error.line, 3);
    let stray = r#"{"name":"a","lang":"en","messages":[{"id":1,"text":"x"}],"expect":[{"kind":"task","message":2}]}"#;
    let error = conversations(stray).unwrap_err().to_string();
    assert_eq!(
        error,
        "line 1: message 2 is expected to claim something, but is not there"
    );
}
