//! An OpenAI-compatible provider on a free port that does with each conversation what its script says: answer well, badly, late,
//! or not at all.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};

/// Between two bytes of a slow answer.
const DRIP: Duration = Duration::from_millis(100);

/// What it does with a request about a conversation.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Does {
    /// One claim, which quotes the whole first message.
    Answer,
    /// The same, and one that quotes words nobody wrote.
    Invent,
    /// The same, and one that quotes a message of another conversation by its number.
    QuoteOthers,
    /// The same, and one that is not said to be sure of.
    Waver,
    /// Text that is no JSON.
    Babble,
    /// JSON of another shape.
    Misshape,
    /// Declines.
    Refuse,
    /// Too many requests: to be left alone for so many seconds.
    Busy(u64),
    /// A failure of the server.
    Fail(u16),
    /// Nothing, for ever.
    Hang,
    /// A byte now and then, for ever.
    Drip,
    /// Half an answer.
    CutOff,
}

/// The running provider.
#[derive(Clone, Default)]
pub(super) struct Stub {
    /// What it does next, by a word of the conversation; an answer once nothing is left.
    scripts: Arc<Mutex<BTreeMap<&'static str, VecDeque<Does>>>>,
    /// What it was asked, and when.
    seen: Arc<Mutex<Vec<(String, Instant)>>>,
    pub(super) is_dead: Arc<AtomicBool>,
}

impl Stub {
    /// Starts one; it ends with the runtime of the test. Returns its URL too.
    pub(super) async fn start(scripts: &[(&'static str, Vec<Does>)]) -> (Self, String) {
        let scripts = scripts.iter().cloned();
        let scripts = scripts.map(|(word, script)| (word, script.into()));
        let stub = Stub {
            scripts: Arc::new(Mutex::new(scripts.collect())),
            ..Stub::default()
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let app = Router::new()
            .route("/v1/chat/completions", post(answer))
            .with_state(stub.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (stub, url)
    }

    fn seen(&self) -> MutexGuard<'_, Vec<(String, Instant)>> {
        self.seen.lock().unwrap()
    }

    pub(super) fn n_seen(&self) -> usize {
        self.seen().len()
    }

    /// When it was asked about the conversation with this word.
    pub(super) fn times(&self, word: &str) -> Vec<Instant> {
        let seen = self.seen();
        let of = seen.iter().filter(|(text, _)| text.contains(word));
        of.map(|(_, at)| *at).collect()
    }

    fn next(&self, text: &str) -> Does {
        let mut scripts = self.scripts.lock().unwrap();
        let script = scripts.iter_mut().find(|(word, _)| text.contains(**word));
        script
            .and_then(|(_, script)| script.pop_front())
            .unwrap_or(Does::Answer)
    }
}

async fn answer(State(stub): State<Stub>, Json(body): Json<Value>) -> Response {
    let text = body["messages"][1]["content"].as_str().unwrap().to_owned();
    stub.seen().push((text.clone(), Instant::now()));
    if stub.is_dead.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let message = first_message(&text);
    let good = claim(json!([{"message": 1, "quote": message}]), json!(0.9));
    let bad = |quote: Value, confidence: Value| said(&[good.clone(), claim(quote, confidence)]);
    match stub.next(&text) {
        Does::Answer => said(&[good]),
        Does::Invent => bad(
            json!([{"message": 1, "quote": "words that nobody ever wrote"}]),
            json!(0.9),
        ),
        Does::QuoteOthers => bad(json!([{"message": 99, "quote": message}]), json!(0.9)),
        Does::Waver => bad(json!([{"message": 1, "quote": message}]), Value::Null),
        Does::Babble => finished(
            json!({"content": "Sure! Here is the summary you asked for."}),
            "stop",
        ),
        Does::Misshape => finished(
            json!({"content": r#"{"claims": [{"kind": "rumour"}]}"#}),
            "stop",
        ),
        Does::Refuse => finished(
            json!({"content": null, "refusal": "I would rather not"}),
            "stop",
        ),
        Does::Busy(seconds) => {
            let after = [("retry-after", seconds.to_string())];
            (StatusCode::TOO_MANY_REQUESTS, after, "{}").into_response()
        }
        Does::Fail(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Does::Hang => std::future::pending().await,
        Does::Drip => {
            let clock = tokio::time::interval(DRIP);
            let bytes = futures::stream::unfold(clock, |mut clock| async move {
                clock.tick().await;
                Some((Ok::<_, std::io::Error>(Bytes::from_static(b" ")), clock))
            });
            Response::new(Body::from_stream(bytes))
        }
        Does::CutOff => {
            let parts = futures::stream::iter([
                Ok(Bytes::from_static(b"{\"choices\": [")),
                Err(std::io::Error::other("cut off")),
            ]);
            Response::new(Body::from_stream(parts))
        }
    }
}

/// What stands between the fences of message 1.
fn first_message(text: &str) -> &str {
    let from = text.find("⟦message 1").unwrap();
    let from = from + text[from..].find('\n').unwrap() + 1;
    let to = from + text[from..].find("\n⟦/message 1⟧").unwrap();
    &text[from..to]
}

fn claim(quotes: Value, confidence: Value) -> Value {
    let title: String = quotes[0]["quote"]
        .as_str()
        .unwrap()
        .chars()
        .take(60)
        .collect();
    let mut claim = json!({
        "kind": "problem", "title": title, "content": title, "subject": null, "quotes": quotes, "links": [],
    });
    if !confidence.is_null() {
        claim["confidence"] = confidence;
    }
    claim
}

fn said(claims: &[Value]) -> Response {
    finished(
        json!({"content": json!({"claims": claims}).to_string()}),
        "stop",
    )
}

fn finished(message: Value, reason: &str) -> Response {
    Json(json!({
        "choices": [{"message": message, "finish_reason": reason}],
        "usage": {"prompt_tokens": 500, "completion_tokens": 10},
    }))
    .into_response()
}
