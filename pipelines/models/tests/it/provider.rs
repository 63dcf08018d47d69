//! A provider whose answers are scripted, on a free port.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::Value;

/// Between two bytes of a slow answer: well within any timeout, so that only the whole time can end it.
const DRIP: Duration = Duration::from_millis(20);

/// What the provider does with the next request.
pub(crate) enum Answer {
    Json(Value),
    Status(u16, &'static str, Option<&'static str>),
    Text(String),
    /// Says how long its body is, and ends before.
    CutOff,
    /// Sends a byte now and then, for ever.
    Drip,
    Hang,
}

/// A request as it arrived.
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

#[derive(Clone, Default)]
pub(crate) struct Provider {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Provider {
    /// Starts one; it ends with the runtime of the test. Returns its URL too.
    pub(crate) async fn start(answers: Vec<Answer>) -> (Self, String) {
        let provider = Provider {
            answers: Arc::new(Mutex::new(answers.into())),
            ..Provider::default()
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/base", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (provider, url)
    }

    pub(crate) fn n_seen(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub(crate) fn last<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(self.seen.lock().unwrap().last().unwrap())
    }
}

async fn answer(
    State(provider): State<Provider>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let authorization = headers.get("authorization").cloned();
    provider.seen.lock().unwrap().push(Seen {
        path: uri.path().to_owned(),
        authorization: authorization.map(|v| v.to_str().unwrap().to_owned()),
        body: serde_json::from_slice(&body).unwrap(),
        headers,
    });
    let next = provider.answers.lock().unwrap().pop_front();
    match next {
        None => StatusCode::IM_A_TEAPOT.into_response(),
        Some(Answer::Json(value)) => axum::Json(value).into_response(),
        Some(Answer::Text(text)) => text.into_response(),
        Some(Answer::Hang) => std::future::pending().await,
        Some(Answer::Status(status, body, retry_after)) => {
            let status = StatusCode::from_u16(status).unwrap();
            match retry_after {
                Some(after) => (status, [("retry-after", after)], body).into_response(),
                None => (status, body).into_response(),
            }
        }
        Some(Answer::Drip) => {
            let bytes =
                futures::stream::unfold(tokio::time::interval(DRIP), |mut clock| async move {
                    clock.tick().await;
                    Some((Ok::<_, std::io::Error>(Bytes::from_static(b" ")), clock))
                });
            Response::new(axum::body::Body::from_stream(bytes))
        }
        Some(Answer::CutOff) => {
            let parts = futures::stream::iter([
                Ok(Bytes::from_static(b"{\"data\": [")),
                Err(std::io::Error::other("cut off")),
            ]);
            Response::new(axum::body::Body::from_stream(parts))
        }
    }
}

/// A policy without long pauses.
pub(crate) fn hasty() -> telesift_models::CallPolicy {
    telesift_models::CallPolicy {
        timeout: Duration::from_millis(400),
        max_delay: Duration::from_millis(300),
        breaker_failures: 100,
        ..telesift_models::CallPolicy::default()
    }
}
