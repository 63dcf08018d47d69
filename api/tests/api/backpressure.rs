//! A log that cannot take an append: 503 with Retry-After on every route that appends, and nothing is half done.

use serde_json::json;
use telesift_ports::{
    LetterCatalog, RecordLog, dead_letters::LetterRow, memory::Fault, record_log::Error,
};
use telesift_schemas::{DeadLetterCode, LetterState, Offset, Origin, PartitionId, Topic};

use crate::desk::{Desk, OPS, message};

/// What the log says, and the code it becomes.
type Refusal = (fn() -> Error, &'static str);

fn refusals() -> [Refusal; 3] {
    [
        (
            || Error::NoSpace {
                path: "/data".into(),
            },
            "unavailable",
        ),
        (
            || Error::Unavailable {
                reason: "the disk fails".into(),
                ambiguous: true,
            },
            "unavailable",
        ),
        (|| Error::Closed, "shutting_down"),
    ]
}

#[tokio::test]
async fn every_route_that_appends_says_when_to_come_again() {
    let desk = Desk::new().await;
    desk.take_in(message(OPS, 1, "signal", "слово")).await;
    let origin = Origin {
        topic: Topic::TELEGRAM_RAW,
        partition: PartitionId(0),
        offset: Offset(0),
    };
    let letter = LetterRow {
        id: "screen:telegram-raw:0:0".into(),
        stage: "screen".into(),
        origin,
        code: DeadLetterCode::GuestTrap,
        message: "it would not".into(),
        attempts: 1,
        first_at: telesift_schemas::Timestamp::UNIX_EPOCH,
        last_at: telesift_schemas::Timestamp::UNIX_EPOCH,
        state: LetterState::Open,
        first: Offset(0),
        last: Offset(0),
    };
    desk.catalog.put_letters(&[letter]).await.unwrap();
    let label = json!({"message": format!("{OPS}:1"), "class": "noise"});
    let routes = [
        ("/v1/feedback", label),
        ("/v1/rules", json!({"name": "ops", "version": 1})),
        ("/v1/dead-letters/screen:telegram-raw:0:0/retry", json!({})),
        ("/v1/dead-letters/retry", json!({"all": true})),
    ];
    for (path, body) in &routes {
        for (refusal, code) in refusals() {
            let before = ends(&desk).await;
            desk.log.commits.extend([Fault::Refuse(refusal())]);
            let answer = desk.post(path, body.clone()).await;
            let problem = answer.problem(503, code);
            assert!(desk.log.commits.is_over(), "{path} appends");
            let again = answer.headers["retry-after"]
                .to_str()
                .unwrap()
                .parse::<u32>();
            assert!((1..=30).contains(&again.unwrap()), "{path}");
            let text = problem.to_string();
            assert!(!text.contains("/data") && !text.contains("disk"), "{text}");
            assert_eq!(ends(&desk).await, before, "{path}: nothing was appended");
        }
    }
    // It was no fault of theirs.
    for (path, body) in &routes {
        let answer = desk.post(path, body.clone()).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.json());
    }
}

async fn ends(desk: &Desk) -> Vec<u64> {
    let topics = desk.log.topics().await.unwrap();
    let partitions = topics.iter().flat_map(|t| &t.partitions);
    partitions.map(|p| p.bounds.end.0).collect()
}
