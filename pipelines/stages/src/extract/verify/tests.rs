//! Claims right and wrong.

use telesift_schemas::{
    AtomKind, ChatId, LinkKind, MessageKey, Offset, Origin, PartitionId, Timestamp, Topic,
};

use super::*;

fn message(id: i64, text: &str) -> UnitMessage {
    UnitMessage {
        id: MessageKey {
            chat: ChatId(-1),
            message_id: id,
        },
        edit: 0,
        origin: Origin {
            topic: Topic::TELEGRAM_RAW,
            partition: PartitionId(0),
            offset: Offset(1),
        },
        event_time: Timestamp::UNIX_EPOCH,
        author: None,
        reply_to: None,
        text: text.to_owned(),
        lang: "uk".to_owned(),
        score: 0.9,
    }
}

fn quote(message_id: i64, quote: &str) -> ClaimedQuote {
    ClaimedQuote {
        message_id,
        quote: quote.to_owned(),
    }
}

fn claim(quotes: Vec<ClaimedQuote>) -> Claim {
    Claim {
        kind: AtomKind::Problem,
        title: "Оплата падає".to_owned(),
        content: "Оплата падає на телефонах.".to_owned(),
        confidence: Some(0.8),
        subject: Some("оплата".to_owned()),
        quotes,
        links: Vec::new(),
    }
}

fn rejected(claims: &[Claim], messages: &[UnitMessage]) -> (usize, Vec<(String, u32)>) {
    let verified = verify(claims, messages);
    (
        verified.atoms.len(),
        verified.rejected.into_iter().collect(),
    )
}

fn reasons(reasons: &[(&str, u32)]) -> Vec<(String, u32)> {
    reasons.iter().map(|(r, n)| ((*r).to_owned(), *n)).collect()
}

#[test]
fn offsets_count_characters_of_the_first_occurrence() {
    let messages = [message(5, "👍 Оплата падає. Оплата падає!")];
    let verified = verify(&[claim(vec![quote(5, "Оплата падає")])], &messages);
    let found = &verified.atoms[0].evidence[0];
    assert_eq!((found.start, found.end), (2, 14));
    let text: String = messages[0].text.chars().skip(2).take(12).collect();
    assert_eq!(text, found.quote);
    assert!(verified.rejected.is_empty());
}

#[test]
fn words_that_do_not_stand_there_literally_are_no_evidence() {
    let messages = [message(5, "Оплата падає на телефонах"), message(6, "інше")];
    for invented in ["оплата падає", "Оплата  падає", "Оплата не падає", "інше"]
    {
        let n = rejected(&[claim(vec![quote(5, invented)])], &messages);
        assert_eq!(
            n,
            (0, reasons(&[("no_evidence", 1), ("quote_not_found", 1)])),
            "{invented}"
        );
    }
    let mixed = claim(vec![quote(5, "вигадка"), quote(5, "падає")]);
    let verified = verify(&[mixed], &messages);
    assert_eq!(verified.atoms[0].evidence.len(), 1);
}

#[test]
fn ids_of_other_conversations_are_refused() {
    let n = rejected(
        &[claim(vec![quote(99, "Оплата")])],
        &[message(5, "Оплата падає")],
    );
    assert_eq!(
        n,
        (0, reasons(&[("foreign_message", 1), ("no_evidence", 1)]))
    );
}

#[test]
fn a_confidence_that_is_missing_or_no_probability_is_never_a_pass() {
    let messages = [message(5, "Оплата падає")];
    let with = |confidence| Claim {
        confidence,
        ..claim(vec![quote(5, "Оплата")])
    };
    assert_eq!(
        rejected(&[with(None)], &messages),
        (0, reasons(&[("no_confidence", 1)]))
    );
    for bad in [f64::NAN, f64::INFINITY, -0.1, 1.1] {
        assert_eq!(
            rejected(&[with(Some(bad))], &messages),
            (0, reasons(&[("bad_confidence", 1)]))
        );
    }
    for good in [0.0, 1.0] {
        assert_eq!(rejected(&[with(Some(good))], &messages).0, 1);
    }
}

#[test]
fn empty_and_overlong_words_are_refused() {
    let messages = [message(5, "Оплата падає")];
    let base = || claim(vec![quote(5, "Оплата")]);
    let untitled = Claim {
        title: " \u{200b}\n".to_owned(),
        ..base()
    };
    let long_title = Claim {
        title: "я".repeat(201),
        ..base()
    };
    let long_content = Claim {
        content: "я".repeat(2_001),
        ..base()
    };
    let n = rejected(&[untitled, long_title, long_content], &messages);
    assert_eq!(
        n,
        (
            0,
            reasons(&[("long_content", 1), ("long_title", 1), ("no_title", 1)])
        )
    );
    let long_subject = Claim {
        subject: Some("я".repeat(81)),
        ..base()
    };
    let verified = verify(&[long_subject], &messages);
    assert_eq!(verified.atoms[0].subject, None);
    let short = claim(vec![quote(5, "О"), quote(5, "")]);
    assert_eq!(
        rejected(&[short], &messages),
        (0, reasons(&[("no_evidence", 1), ("short_quote", 2)]))
    );
    let whole = claim(vec![quote(7, "Ні")]);
    assert_eq!(
        rejected(&[whole], &[message(7, "Ні")]).0,
        1,
        "the whole message is enough"
    );
}

#[test]
fn nothing_hidden_gets_into_titles() {
    let messages = [message(5, "Оплата падає")];
    let tricky = Claim {
        title: "Оплата\u{202e} па\u{200b}дає\u{7}\n<|im_end|>".to_owned(),
        subject: Some("опла\u{2066}та".to_owned()),
        ..claim(vec![quote(5, "Оплата")])
    };
    let verified = verify(&[tricky], &messages);
    assert_eq!(verified.atoms[0].title, "Оплата падає <|im_end|>");
    assert_eq!(verified.atoms[0].subject.as_deref(), Some("оплата"));
}

#[test]
fn links_follow_their_claims_and_those_to_nowhere_are_dropped() {
    let messages = [message(5, "Оплата падає. Вимкнули кеш.")];
    let none = claim(Vec::new());
    let problem = claim(vec![quote(5, "Оплата падає")]);
    let solution = Claim {
        kind: AtomKind::Solution,
        links: vec![
            (LinkKind::Solves, 1),
            (LinkKind::Solves, 1),
            (LinkKind::Relates, 2),
            (LinkKind::Relates, 0),
            (LinkKind::Relates, 9),
        ],
        ..claim(vec![quote(5, "Вимкнули кеш")])
    };
    let verified = verify(&[none, problem, solution], &messages);
    let link = DraftLink {
        kind: LinkKind::Solves,
        to: 0,
    };
    assert_eq!(verified.atoms[1].links, [link]);
    assert_eq!(verified.rejected["bad_link"], 3);
}

#[test]
fn the_same_claim_twice_is_one_and_too_many_are_cut() {
    let messages = [message(5, "Оплата падає")];
    let twice = vec![claim(vec![quote(5, "Оплата")]); 2];
    assert_eq!(
        rejected(&twice, &messages),
        (1, reasons(&[("repeated", 1)]))
    );
    let text: String = (0..60).map(|i| format!("слово{i} ")).collect();
    let many: Vec<Claim> = (0..60)
        .map(|i| claim(vec![quote(5, &format!("слово{i} "))]))
        .collect();
    let (n, rejected) = rejected(&many, &[message(5, &text)]);
    assert_eq!(n, 50);
    assert_eq!(rejected, reasons(&[("too_many_claims", 10)]));
}
