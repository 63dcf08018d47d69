//! Language models: the three interfaces, and providers that answer badly, late or not at all.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use telesift_models::{CallPolicy, Caller, ChatModel, ChatProvider, Endpoint};
use telesift_ports::{
    Secret,
    extractor::{Unit, UnitMessage},
    providers::{AskError, Asked, Provider as _, ProviderKind, Terms},
};
use telesift_schemas::{
    AtomKind, Chat, ChatId, ChatKind, LinkKind, MessageKey, Offset, Origin, PartitionId, Timestamp,
    Topic, Usage,
};

use crate::provider::{Answer, Provider, hasty};

const KEY: &str = "sk-a-secret-key";

pub(crate) fn unit(texts: &[&str]) -> Unit {
    let chat = Chat {
        id: ChatId(-1_001_234_567_890),
        title: Some("Ops".to_owned()),
        kind: ChatKind::Supergroup,
        username: None,
    };
    let messages = texts.iter().enumerate().map(|(i, text)| UnitMessage {
        id: MessageKey {
            chat: chat.id,
            message_id: 100 + i as i64,
        },
        edit: 0,
        origin: Origin {
            topic: Topic::TELEGRAM_RAW,
            partition: PartitionId(0),
            offset: Offset(i as u64),
        },
        event_time: Timestamp::from_second(1_767_600_000).unwrap(),
        author: Some("Olena".to_owned()),
        reply_to: (i > 0).then_some(100),
        text: (*text).to_owned(),
        lang: "uk".to_owned(),
        score: 0.9,
    });
    Unit {
        id: "u1".to_owned(),
        messages: messages.collect(),
        chat,
        subjects: vec!["disks".to_owned()],
    }
}

pub(crate) fn provider(url: &str, kind: ProviderKind, policy: CallPolicy) -> ChatProvider {
    let endpoint = Endpoint::trusted(url).unwrap();
    let caller = Arc::new(Caller::new("stub", endpoint, policy).unwrap());
    let model = ChatModel {
        kind,
        name: "small".to_owned(),
        key: (kind != ProviderKind::Ollama).then(|| Secret::new(KEY)),
        is_local: false,
        terms: Terms {
            usd_per_million_in: 2.0,
            usd_per_million_out: 10.0,
            max_tokens_out: 500,
            ..Terms::default()
        },
    };
    ChatProvider::new(model, caller)
}

/// An answer of an OpenAI-compatible endpoint.
pub(crate) fn said(content: &str) -> Answer {
    finished(json!({"role": "assistant", "content": content}), "stop")
}

fn finished(message: Value, reason: &str) -> Answer {
    Answer::Json(json!({
        "id": "x", "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": {"prompt_tokens": 1_000, "completion_tokens": 50, "total_tokens": 1_050},
    }))
}

fn claims(quotes: Value) -> Value {
    json!({"claims": [{
        "kind": "problem", "title": "Диск повний", "content": "На db-2 скінчилося місце.", "confidence": 0.9,
        "subject": "disks", "quotes": quotes, "links": [{"kind": "relates", "to": 0}],
    }]})
}

async fn ask(answers: Vec<Answer>) -> (Provider, Asked) {
    let (stub, url) = Provider::start(answers).await;
    let provider = provider(&url, ProviderKind::OpenAi, hasty());
    let asked = provider.ask(&unit(&["Диск повний"])).await;
    (stub, asked)
}

fn usage(tokens_in: u64, tokens_out: u64, micro_usd: u64) -> Usage {
    Usage {
        tokens_in,
        tokens_out,
        micro_usd,
    }
}

#[tokio::test]
async fn an_openai_compatible_endpoint_is_asked_as_it_wants() {
    let answer = claims(json!([{"message": 1, "quote": "Диск повний"}])).to_string();
    let (stub, url) = Provider::start(vec![said(&answer)]).await;
    let provider = provider(&url, ProviderKind::OpenAi, hasty());
    let unit = unit(&["Диск\u{200b} повний на db-2", "чищу"]);
    let asked = provider.ask(&unit).await;
    assert_eq!(
        asked.usage,
        usage(1_000, 50, 2_500),
        "2 and 10 dollars a million"
    );
    assert!(!asked.is_estimated);
    let claims = provider.claims(&unit, &asked.answer.unwrap()).unwrap();
    assert_eq!(claims.len(), 1);
    let claim = &claims[0];
    assert_eq!(
        (claim.kind, claim.confidence, claim.subject.as_deref()),
        (AtomKind::Problem, Some(0.9), Some("disks"))
    );
    assert_eq!(claim.quotes[0].message_id, 100);
    assert_eq!(
        claim.quotes[0].quote, "Диск\u{200b} повний",
        "as it stands there"
    );
    assert_eq!(claim.links, [(LinkKind::Relates, 0)]);
    stub.last(|seen| {
        assert_eq!(seen.path, "/base/chat/completions");
        assert_eq!(
            seen.authorization.as_deref(),
            Some("Bearer sk-a-secret-key")
        );
        let body = &seen.body;
        assert_eq!(
            (&body["model"], &body["max_tokens"]),
            (&json!("small"), &json!(500))
        );
        assert_eq!(body["response_format"]["json_schema"]["strict"], true);
        let schema = &body["response_format"]["json_schema"]["schema"];
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(body["messages"].as_array().unwrap().len(), 2);
        let user = body["messages"][1]["content"].as_str().unwrap();
        assert!(
            user.contains("⟦message 1 | from Olena⟧\nДиск повний на db-2\n⟦/message 1⟧"),
            "{user}"
        );
        assert!(
            user.contains("⟦message 2 | from Olena | answers 1⟧\nчищу\n"),
            "{user}"
        );
        assert!(user.contains("disks"), "{user}");
        for unsaid in ["-1001234567890", "100", "u1"] {
            assert!(!user.contains(unsaid), "no id leaves: {user}");
        }
    });
    assert_eq!(provider.by().version, "extract@1");
    assert_eq!(
        (provider.by().name.as_str(), provider.by().model.as_deref()),
        ("stub", Some("small"))
    );
}

#[tokio::test]
async fn ollama_is_asked_as_it_wants() {
    let reply = json!({
        "model": "small", "message": {"role": "assistant", "content": "{\"claims\": []}"}, "done": true,
        "done_reason": "stop", "prompt_eval_count": 700, "eval_count": 9,
    });
    let cut = json!({"message": {"content": "{\"cla"}, "done": true, "done_reason": "length"});
    let (stub, url) = Provider::start(vec![Answer::Json(reply), Answer::Json(cut)]).await;
    let provider = provider(&url, ProviderKind::Ollama, hasty());
    let asked = provider.ask(&unit(&["Диск повний"])).await;
    assert_eq!(asked.answer.unwrap(), "{\"claims\":[]}");
    assert_eq!((asked.usage.tokens_in, asked.usage.tokens_out), (700, 9));
    stub.last(|seen| {
        assert_eq!(seen.path, "/base/api/chat");
        assert_eq!(seen.authorization, None);
        assert_eq!(seen.body["format"]["type"], "object");
        assert_eq!(seen.body["stream"], false);
        let options = &seen.body["options"];
        assert_eq!(options["num_predict"], 500);
        assert!(options["num_ctx"].as_u64().unwrap() >= 1_024, "{options}");
    });
    let asked = provider.ask(&unit(&["Диск повний"])).await;
    assert!(matches!(asked.answer, Err(AskError::Unusable { .. })));
    assert!(
        asked.is_estimated && asked.usage.tokens_in > 0,
        "it was paid for all the same"
    );
}

#[tokio::test]
async fn anthropic_is_asked_as_it_wants() {
    let used =
        |input: Value| json!({"type": "tool_use", "id": "t", "name": "claims", "input": input});
    let reply = |content: Value, reason: &str| {
        Answer::Json(json!({
            "type": "message", "role": "assistant", "content": content, "stop_reason": reason,
            "usage": {"input_tokens": 900, "output_tokens": 30},
        }))
    };
    let quotes = json!([{"message": 1, "quote": "Диск повний"}]);
    let words = json!({"type": "text", "text": "Here you are"});
    let (stub, url) = Provider::start(vec![
        reply(json!([words, used(claims(quotes))]), "tool_use"),
        reply(json!([words]), "end_turn"),
        reply(
            json!([used(json!({"claims": []})), used(json!({"claims": []}))]),
            "tool_use",
        ),
        reply(json!([used(json!({"claims": []}))]), "max_tokens"),
        reply(json!([]), "refusal"),
    ])
    .await;
    let provider = provider(&url, ProviderKind::Anthropic, hasty());
    let unit = unit(&["Диск повний"]);
    let asked = provider.ask(&unit).await;
    assert_eq!(asked.usage, usage(900, 30, 2_100));
    let claims = provider.claims(&unit, &asked.answer.unwrap()).unwrap();
    assert_eq!(claims[0].quotes[0].quote, "Диск повний");
    stub.last(|seen| {
        assert_eq!(seen.path, "/base/v1/messages");
        assert_eq!(
            (&seen.headers["x-api-key"], seen.authorization.as_ref()),
            (&KEY.parse().unwrap(), None)
        );
        assert_eq!(seen.headers["anthropic-version"], "2023-06-01");
        assert_eq!(
            seen.body["tool_choice"],
            json!({"type": "tool", "name": "claims"})
        );
        assert_eq!(
            seen.body["tools"][0]["input_schema"]["additionalProperties"],
            false
        );
        assert!(
            seen.body["system"]
                .as_str()
                .unwrap()
                .contains("⟦message N⟧")
        );
    });
    for is_refused in [false, false, false, true] {
        let asked = provider.ask(&unit).await;
        match asked.answer {
            Err(AskError::Refused { .. }) => assert!(is_refused),
            Err(AskError::Unusable { .. }) => assert!(!is_refused),
            other => panic!("{other:?}"),
        }
        assert_eq!(asked.usage.tokens_in, 900, "it was paid for all the same");
    }
}

#[tokio::test]
async fn answers_that_do_not_keep_to_the_schema_are_unusable_and_tell_nothing_of_the_texts() {
    let mut odd = claims(json!([{"message": 1, "quote": "Диск повний"}]));
    odd["claims"][0]["kind"] = json!("Диск");
    for content in [
        "".to_owned(),
        "I am sorry, Диск повний".to_owned(),
        "{\"claims\": [{\"kind\": \"problem\", \"title\": \"Диск".to_owned(),
        "```json\n{\"claims\": []}\n```".to_owned(),
        json!({"claims": [], "Диск": 1}).to_string(),
        odd.to_string(),
    ] {
        let (stub, asked) = ask(vec![said(&content)]).await;
        let Err(error @ AskError::Unusable { .. }) = asked.answer else {
            panic!("{content}: {:?}", asked.answer);
        };
        assert!(!error.to_string().contains("Диск"), "{error}");
        assert_eq!(asked.usage.micro_usd, 2_500, "it was paid for all the same");
        assert_eq!(stub.n_seen(), 1);
    }
    for response in ["<html>", "", "{\"choices\": []}", "{\"choices\": 3}", "[]"] {
        let (_, asked) = ask(vec![Answer::Text(response.to_owned())]).await;
        assert!(
            matches!(asked.answer, Err(AskError::Unusable { .. })),
            "{response}"
        );
    }
}

#[tokio::test]
async fn cut_answers_are_unusable_and_refusals_are_refusals() {
    let part = json!({"content": "{\"claims\": []}"});
    let (_, asked) = ask(vec![finished(part.clone(), "length")]).await;
    assert!(matches!(asked.answer, Err(AskError::Unusable { .. })));
    let silent = json!({"content": null});
    let (_, asked) = ask(vec![finished(silent.clone(), "stop")]).await;
    assert!(matches!(asked.answer, Err(AskError::Unusable { .. })));
    for (message, reason) in [
        (part, "content_filter"),
        (
            json!({"content": null, "refusal": "I can not help with that"}),
            "stop",
        ),
    ] {
        let (_, asked) = ask(vec![finished(message, reason)]).await;
        assert!(
            matches!(asked.answer, Err(AskError::Refused { .. })),
            "{reason}"
        );
    }
    let body = "{\"error\": {\"code\": \"context_length_exceeded\", \"message\": \"Диск\"}}";
    let (stub, asked) = ask(vec![Answer::Status(400, body, None)]).await;
    let error = asked.answer.unwrap_err();
    assert!(matches!(error, AskError::Refused { .. }));
    assert!(
        error.to_string().contains("context_length_exceeded"),
        "{error}"
    );
    assert!(!error.to_string().contains("Диск"), "{error}");
    assert_eq!((asked.usage, stub.n_seen()), (Usage::default(), 1));
}

#[tokio::test]
async fn invented_quotes_and_foreign_numbers_come_through_as_what_they_are() {
    let quotes = json!([
        {"message": 1, "quote": "nobody said this"},
        {"message": 2, "quote": "Диск повний"},
        {"message": 100, "quote": "Диск повний"},
        {"message": 0, "quote": "Диск повний"},
        {"message": -7, "quote": "Диск повний"},
    ]);
    let (_, url) = Provider::start(vec![said(&claims(quotes).to_string())]).await;
    let provider = provider(&url, ProviderKind::OpenAi, hasty());
    let unit = unit(&["Диск повний"]);
    let answer = provider.ask(&unit).await.answer.unwrap();
    let claims = provider.claims(&unit, &answer).unwrap();
    let found: Vec<_> = claims[0]
        .quotes
        .iter()
        .map(|q| (q.message_id, q.quote.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            (100, "nobody said this"),
            (-2, "Диск повний"),
            (-100, "Диск повний"),
            (0, "Диск повний"),
            (-7, "Диск повний"),
        ],
        "none of the wrong numbers is a message's id"
    );
}

#[tokio::test]
async fn what_passes_by_itself_is_tried_again() {
    let (stub, asked) = ask(vec![
        Answer::Status(429, "{}", Some("0")),
        Answer::Status(500, "{}", None),
        said("{\"claims\": []}"),
    ])
    .await;
    assert!(asked.answer.is_ok());
    assert_eq!(stub.n_seen(), 3);
}

#[tokio::test]
async fn a_wait_longer_than_allowed_is_left_to_whoever_asks() {
    let (stub, asked) = ask(vec![Answer::Status(429, "{}", Some("60"))]).await;
    let Err(AskError::Unavailable { retry_after, .. }) = asked.answer else {
        panic!("{asked:?}");
    };
    assert_eq!(retry_after, Some(Duration::from_secs(60)));
    assert_eq!(
        (asked.usage, stub.n_seen()),
        (Usage::default(), 1),
        "it cost nothing"
    );
}

#[tokio::test]
async fn hangs_slow_streams_and_cut_bodies_end_and_may_have_cost() {
    type Make = fn() -> Answer;
    for make in [
        (|| Answer::Hang) as Make,
        || Answer::Drip,
        || Answer::CutOff,
    ] {
        let (stub, url) = Provider::start((0..2).map(|_| make()).collect()).await;
        let policy = CallPolicy {
            timeout: Duration::from_millis(200),
            max_attempts: 2,
            ..hasty()
        };
        let provider = provider(&url, ProviderKind::OpenAi, policy);
        let asked = provider.ask(&unit(&["Диск повний"])).await;
        assert!(
            matches!(asked.answer, Err(AskError::Unavailable { .. })),
            "{asked:?}"
        );
        assert!(asked.is_estimated && asked.usage.micro_usd > 0);
        assert_eq!(stub.n_seen(), 1, "what is not written down is not asked");
    }
}

#[tokio::test]
async fn a_wrong_key_keeps_the_unit_waiting_and_asks_rarely() {
    for status in [401, 403, 404] {
        let (stub, asked) = ask(vec![Answer::Status(status, "{}", None)]).await;
        let Err(AskError::Unavailable {
            retry_after,
            reason,
        }) = asked.answer
        else {
            panic!("{status}");
        };
        assert!(retry_after.unwrap() >= Duration::from_secs(30), "{reason}");
        assert!(!reason.contains(KEY));
        assert_eq!(stub.n_seen(), 1);
    }
}

#[tokio::test]
async fn a_dead_provider_opens_the_breaker() {
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let policy = CallPolicy {
        max_attempts: 1,
        breaker_failures: 3,
        ..hasty()
    };
    let provider = provider(&closed, ProviderKind::OpenAi, policy);
    let unit = unit(&["Диск повний"]);
    for _ in 0..3 {
        let asked = provider.ask(&unit).await;
        assert!(
            matches!(asked.answer, Err(AskError::Unavailable { .. })),
            "{asked:?}"
        );
        assert_eq!(asked.usage, Usage::default(), "nobody was there to charge");
    }
    let asked = provider.ask(&unit).await;
    let Err(AskError::Resting { wait }) = asked.answer else {
        panic!("{asked:?}");
    };
    assert!(wait <= Duration::from_secs(30) && wait > Duration::from_secs(20));
}

#[tokio::test]
async fn the_same_texts_are_the_same_input_whatever_chat_subjects_and_ids_they_have() {
    let provider = provider("http://127.0.0.1:1", ProviderKind::OpenAi, hasty());
    let one = unit(&["Диск повний", "чищу"]);
    let input = provider.estimate(&one).input;
    let mut same = one.clone();
    same.id = "u2".to_owned();
    same.subjects = vec!["other".to_owned()];
    same.messages[0].text = "Диск\u{200b} повний<|im_end|>".to_owned();
    for message in &mut same.messages {
        message.id.message_id += 7;
        message.reply_to = message.reply_to.map(|id| id + 7);
    }
    assert_eq!(provider.estimate(&same).input, input);
    let mut other = one.clone();
    other.messages[1].text = "не чищу".to_owned();
    assert_ne!(provider.estimate(&other).input, input);
    let mut other = one;
    other.messages[1].author = Some("Petro".to_owned());
    assert_ne!(provider.estimate(&other).input, input);
    assert!(provider.estimate(&same).most.tokens_out == 500);
}
