//! Pages of replays as the API shows them.

use serde_json::json;

use super::*;

fn replay() -> Value {
    json!({
        "id": "r1", "stage": "screen", "state": "done", "from": "earliest", "to": "latest", "base": "default@1+ab", "rules": "mine@2+cd",
        "processed": 1200, "total": 1200, "identical": 1100,
        "ledger": {"received": 1200, "judged": 1190, "skipped": {"no_message": 10}, "failed": {}},
        "diff": {"ham->spam": 2, "noise->signal": 12},
        "samples": {"noise->signal": [{
            "message": "-1001:42", "text": "сервер\n\u{1b}[2J впав", "origin": {"topic": "telegram-raw", "partition": 3, "offset": 17},
            "base": {"class": "noise", "score": 0.31}, "new": {"class": "signal", "score": 0.72},
            "factors": [{"name": "incident", "base": 0.0, "new": 1.9}],
        }]},
        "cost": {
            "base": {"messages": 310, "characters": 24100, "estimated_tokens": 11050},
            "new": {"messages": 300, "characters": 25600, "estimated_tokens": 11000},
            "change": {"messages": -10, "characters": 1500, "estimated_tokens": 0},
        },
        "labels": {
            "base": {"labelled": 40, "not_noise": {"precision": 0.5, "recall": 0.25}, "classes": {}, "spam": null},
            "new": {"labelled": 40, "not_noise": {"precision": null, "recall": 0.75}, "classes": {}, "spam": null},
        },
    })
}

#[test]
fn a_dry_run_that_compares_nothing_counts() {
    let mut replay = replay();
    replay["stage"] = "embed".into();
    replay["dry_run"] = true.into();
    replay["input"] = "messages".into();
    assert_eq!(
        report(&replay, 20),
        "1,200 of 1,200 records of messages, done\nembed would work on 300 messages: 25,600 characters, about 11,000 tokens\npassed by: 10 no_message"
    );
    let expected = "r1  done       1200/1200 records  embed (dry run)  300 messages";
    assert_eq!(in_list(&replay), expected);
}

#[test]
fn an_estimate_tells_calls_and_what_they_cost() {
    let mut replay = replay();
    replay["stage"] = "extract".into();
    replay["dry_run"] = true.into();
    replay["ledger"] = json!({"skipped": {"known": 3}, "failed": {}});
    replay["estimate"] = json!({"units": 9, "calls": 7, "kept": 2, "tokens_in": 4100, "tokens_out": 900, "usd": 0.0125});
    assert_eq!(
        report(&replay, 20),
        "conversations closed earliest .. latest: 1,200 of 1,200 records, done\n9 would be read anew; left as they are: 3 known\ncalls: 7, at most 4,100 tokens sent, 900 received, 0.0125 USD; 2 answered before\n`telesift replay --stage extract` does it"
    );
}

#[test]
fn a_report_names_changes_samples_cost_and_quality() {
    let page = report(&replay(), 20);
    let lines: Vec<&str> = page.lines().map(str::trim).collect();
    for expected in [
        "default@1+ab -> mine@2+cd",
        "earliest .. latest: 1,200 of 1,200 records, done",
        "1,190 messages judged, 1,100 alike to the last bit; skipped: 10 no_message; failed: none",
        "noise 0.3100 -> signal 0.7200  -1001:42  telegram-raw/3@17",
        "сервер [2J впав",
        "because: incident 0.00 -> 1.90",
    ] {
        assert!(lines.contains(&expected), "{expected}\n{page}");
    }
    let columns: Vec<Vec<&str>> = lines
        .iter()
        .map(|l| l.split_whitespace().collect())
        .collect();
    for cells in [
        vec!["messages", "310", "300", "-10"],
        vec!["characters", "24,100", "25,600", "+1,500"],
        vec!["noise", "->", "signal", "12"],
    ] {
        assert!(columns.contains(&cells), "{page}");
    }
    assert!(
        page.contains("\nnoise -> signal                     12\n"),
        "{page}"
    );
    assert!(
        columns.contains(&vec!["not", "noise", "0.500", "-", "0.250", "0.750"]),
        "{page}"
    );
    let place = |what: &str| page.find(what).unwrap();
    assert!(place("noise -> signal") < place("ham -> spam"), "{page}");
}

#[test]
fn no_difference_is_said_in_words() {
    let mut same = replay();
    same["diff"] = json!({});
    same["labels"] = Value::Null;
    let page = report(&same, 20);
    assert!(page.contains("no message changes"), "{page}");
    assert!(page.contains("no labels"), "{page}");
}
