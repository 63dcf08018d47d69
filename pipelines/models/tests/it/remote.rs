//! Remote embedders: both interfaces, and providers that fail in every way they do fail.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use serde_json::json;
use telesift_models::{
    CallPolicy, Caller, Endpoint, Prefixes, RemoteEmbedder, RemoteKind, RemoteModel,
};
use telesift_ports::{
    Secret,
    embedder::{EmbedError, Embedder, Purpose},
};

use crate::provider::{Answer, Provider, hasty};

const KEY: &str = "sk-a-secret-key";

fn embedder(url: &str, kind: RemoteKind, policy: CallPolicy) -> RemoteEmbedder {
    let endpoint = Endpoint::trusted(url).unwrap();
    let caller = Arc::new(Caller::new("stub", endpoint, policy).unwrap());
    let remote = RemoteModel {
        kind,
        name: "small".to_owned(),
        dimensions: 2,
        prefixes: Prefixes {
            query: "q: ".to_owned(),
            passage: "p: ".to_owned(),
        },
        key: (kind == RemoteKind::OpenAi).then(|| Secret::new(KEY)),
        is_local: false,
    };
    RemoteEmbedder::new(remote, caller)
}

fn openai(vectors: &[[f32; 2]]) -> Answer {
    let data = vectors.iter().enumerate();
    let data: Vec<_> = data
        .map(|(i, v)| json!({"object": "embedding", "index": i, "embedding": v}))
        .rev()
        .collect();
    Answer::Json(json!({"object": "list", "data": data, "usage": {"total_tokens": 3}}))
}

async fn embed(embedder: &RemoteEmbedder) -> Result<Vec<Vec<f32>>, EmbedError> {
    embedder.embed(&["one", "two"], Purpose::Passage).await
}

#[tokio::test]
async fn an_openai_compatible_endpoint_is_asked_as_it_wants() {
    let (provider, url) = Provider::start(vec![openai(&[[3.0, 4.0], [0.0, 2.0]])]).await;
    let embedder = embedder(&url, RemoteKind::OpenAi, hasty());
    assert_eq!(embedder.model().id, "stub:small");
    let vectors = embed(&embedder).await.unwrap();
    assert_eq!(vectors, [[0.6, 0.8], [0.0, 1.0]], "by index, of length 1");
    provider.last(|seen| {
        assert_eq!(seen.path, "/base/embeddings");
        assert_eq!(
            seen.authorization.as_deref(),
            Some("Bearer sk-a-secret-key")
        );
        assert_eq!(seen.body["model"], "small");
        assert_eq!(seen.body["input"], json!(["p: one", "p: two"]));
    });
}

#[tokio::test]
async fn ollama_is_asked_as_it_wants() {
    let answer = Answer::Json(json!({"embeddings": [[0.0, 1.0]]}));
    let (provider, url) = Provider::start(vec![answer]).await;
    let embedder = embedder(&url, RemoteKind::Ollama, hasty());
    let texts = ["", "one", "  "];
    let vectors = embedder.embed(&texts, Purpose::Query).await.unwrap();
    assert_eq!(vectors, [[0.0, 0.0], [0.0, 1.0], [0.0, 0.0]]);
    provider.last(|seen| {
        assert_eq!(seen.path, "/base/api/embed");
        assert_eq!(
            seen.body["input"],
            json!(["q: one"]),
            "nothing empty is sent"
        );
    });
}

#[tokio::test]
async fn what_passes_by_itself_is_tried_again() {
    let answers = vec![
        Answer::Status(429, "{}", Some("0")),
        Answer::Status(503, "busy", None),
        Answer::CutOff,
        openai(&[[1.0, 0.0], [1.0, 0.0]]),
    ];
    let (provider, url) = Provider::start(answers).await;
    let embedder = embedder(&url, RemoteKind::OpenAi, hasty());
    assert_eq!(embed(&embedder).await.unwrap().len(), 2);
    assert_eq!(provider.n_seen(), 4);
}

#[tokio::test]
async fn attempts_are_bounded_and_a_hanging_provider_is_given_up() {
    let hangs = (0..10).map(|_| Answer::Hang).collect();
    let (provider, url) = Provider::start(hangs).await;
    let policy = CallPolicy {
        timeout: Duration::from_millis(100),
        max_attempts: 2,
        ..hasty()
    };
    let error = embed(&embedder(&url, RemoteKind::OpenAi, policy)).await;
    let error = error.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(error.to_string().contains("no answer in time"), "{error}");
    assert_eq!(provider.n_seen(), 2);
}

#[tokio::test]
async fn a_wait_longer_than_allowed_is_left_to_the_caller() {
    let (provider, url) = Provider::start(vec![Answer::Status(429, "{}", Some("60"))]).await;
    let error = embed(&embedder(&url, RemoteKind::OpenAi, hasty())).await;
    assert!(error.unwrap_err().is_retryable());
    assert_eq!(provider.n_seen(), 1, "it asked for a minute and gets it");
}

#[tokio::test]
async fn bad_answers_are_refused_and_say_what_is_wrong() {
    let three = json!({"data": [{"index": 0, "embedding": [1.0, 2.0, 3.0]}, {"index": 1, "embedding": [1.0, 2.0, 3.0]}]});
    let repeated = json!({"data": [{"index": 0, "embedding": [1.0, 2.0]}, {"index": 0, "embedding": [1.0, 2.0]}]});
    for (answer, wanted) in [
        (Answer::Text("<html>".to_owned()), "no JSON"),
        (Answer::Text("{\"data\": [".to_owned()), "cut off"),
        (Answer::Json(json!({"data": "x"})), "another shape"),
        (openai(&[[1.0, 0.0]]), "1 vectors for 2 texts"),
        (openai(&[[0.0, 0.0], [1.0, 0.0]]), "without a direction"),
        (Answer::Json(three), "3 floats, not of 2"),
        (Answer::Json(repeated), "indexes"),
    ] {
        let (provider, url) = Provider::start(vec![answer]).await;
        let error = embed(&embedder(&url, RemoteKind::OpenAi, hasty())).await;
        let error = error.unwrap_err();
        assert!(error.to_string().contains(wanted), "{wanted}: {error}");
        assert_eq!(provider.n_seen(), 1);
    }
}

#[tokio::test]
async fn neither_key_nor_text_stands_in_an_error() {
    let body = r#"{"error": {"message": "bad key sk-a-secret-key for text one", "code": "invalid_api_key"}}"#;
    let (_provider, url) = Provider::start(vec![Answer::Status(401, body, None)]).await;
    let embedder = embedder(&url, RemoteKind::OpenAi, hasty());
    let error = embed(&embedder).await.unwrap_err();
    assert!(
        error.is_retryable(),
        "a key can be mended; no text is to blame"
    );
    let shown = format!("{error} {error:?} {embedder:?}");
    assert!(shown.contains("status 401 (invalid_api_key)"), "{shown}");
    assert!(
        !shown.contains("secret-key") && !shown.contains("text one"),
        "{shown}"
    );
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_not_read() {
    let (_provider, url) = Provider::start(vec![Answer::Text("x".repeat(5_000))]).await;
    let policy = CallPolicy {
        max_answer_bytes: 1_000,
        ..hasty()
    };
    let error = embed(&embedder(&url, RemoteKind::OpenAi, policy)).await;
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("exceeds 1000 bytes")
    );
}

#[tokio::test]
async fn after_failures_in_a_row_the_provider_is_left_alone() {
    let answers = (0..20).map(|_| Answer::Status(500, "", None)).collect();
    let (provider, url) = Provider::start(answers).await;
    let policy = CallPolicy {
        max_attempts: 10,
        breaker_failures: 3,
        breaker_rest: Duration::from_secs(600),
        ..hasty()
    };
    let embedder = embedder(&url, RemoteKind::OpenAi, policy);
    let error = embed(&embedder).await.unwrap_err();
    assert!(
        error.is_retryable() && error.to_string().contains("held back"),
        "{error}"
    );
    assert!(embed(&embedder).await.unwrap_err().is_retryable());
    assert_eq!(provider.n_seen(), 3, "nobody calls while it rests");
}

#[tokio::test]
async fn a_minute_has_as_many_requests_as_allowed() {
    let answers = (0..3).map(|_| openai(&[[1.0, 0.0], [1.0, 0.0]])).collect();
    let (provider, url) = Provider::start(answers).await;
    let policy = CallPolicy {
        requests_per_minute: NonZeroU32::new(2),
        ..hasty()
    };
    let embedder = embedder(&url, RemoteKind::OpenAi, policy);
    for _ in 0..2 {
        embed(&embedder).await.unwrap();
    }
    let third = tokio::time::timeout(Duration::from_millis(200), embed(&embedder)).await;
    assert!(third.is_err(), "it waits for its turn");
    assert_eq!(provider.n_seen(), 2);
}
