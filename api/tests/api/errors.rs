//! Error codes and the page that explains them.

use std::collections::BTreeSet;

use telesift_api::ProblemCode;

use crate::desk::Desk;

#[tokio::test]
async fn the_page_of_error_codes_lists_exactly_the_codes_there_are() {
    let desk = Desk::new().await;
    let answer = desk.call("", "GET", "/errors", "").await;
    let page = String::from_utf8(answer.bytes.to_vec()).unwrap();
    let mut explained = BTreeSet::new();
    for section in page.split("\n## ").skip(1) {
        let (code, text) = section.split_once('\n').unwrap();
        let known = ProblemCode::ALL.iter().find(|c| c.as_str() == code);
        let known = known.unwrap_or_else(|| panic!("`{code}` is explained but does not exist"));
        let status = format!("{}.", known.status().as_u16());
        assert!(text.starts_with(&status), "`{code}` is a {status}");
        assert!(text.contains("\nDo: "), "`{code}` does not say what to do");
        assert!(explained.insert(code), "`{code}` is explained twice");
    }
    let all: BTreeSet<_> = ProblemCode::ALL.iter().map(|c| c.as_str()).collect();
    assert_eq!(explained, all);
}

#[tokio::test]
async fn the_cause_is_not_sent() {
    let desk = Desk::new().await;
    let broken = telesift_ports::record_log::Transaction {
        finish: Box::new(|_| vec![("stage/screen/telegram-raw/0".into(), Some("no json".into()))]),
        ..telesift_ports::record_log::Transaction::appends(Vec::new())
    };
    telesift_ports::RecordLog::commit(&*desk.log, broken)
        .await
        .unwrap();
    let problem = desk
        .get("/v1/stats/pipeline")
        .await
        .problem(500, "internal");
    assert!(!problem.to_string().contains("expected"), "{problem}");
    let instance = problem["instance"].as_str().unwrap();
    assert!(instance.starts_with("urn:telesift:request:"));
}
