//! Arroyo's REST API as its source has it, as far as `telesift pipelines` goes: UDFs are compiled, queries checked, and a
//! pipeline is deleted only once its job has stopped.

use std::sync::{Arc, Mutex, MutexGuard};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::{delete, get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

#[derive(Default)]
pub(crate) struct Inner {
    /// Id, name, definition.
    pub(crate) udfs: Vec<(String, String, String)>,
    pub(crate) pipelines: Vec<Remote>,
    n_ids: usize,
    /// What the compiler says of every UDF.
    pub(crate) compile_error: Option<&'static str>,
    /// What the planner says of every query.
    pub(crate) plan_error: Option<&'static str>,
    /// Every call that changes something.
    pub(crate) calls: Vec<String>,
    /// So many calls more are answered with 503.
    pub(crate) n_unwell: usize,
}

pub(crate) struct Remote {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) query: String,
    pub(crate) state: &'static str,
}

/// The server. Dropping it ends it.
pub(crate) struct ArroyoStub {
    pub(crate) url: String,
    inner: Arc<Mutex<Inner>>,
    task: JoinHandle<()>,
}

type Shared = State<Arc<Mutex<Inner>>>;
type Answer = (StatusCode, Json<Value>);

impl ArroyoStub {
    pub(crate) async fn start() -> Self {
        let inner: Arc<Mutex<Inner>> = Arc::default();
        let api = Router::new()
            .route("/udfs", get(udfs).post(create_udf))
            .route("/udfs/validate", post(validate_udf))
            .route("/udfs/{id}", delete(delete_udf))
            .route("/pipelines", get(pipelines).post(create_pipeline))
            .route("/pipelines/validate_query", post(validate_query))
            .route(
                "/pipelines/{id}",
                delete(delete_pipeline).patch(patch_pipeline),
            )
            .route("/pipelines/{id}/jobs", get(jobs))
            .with_state(inner.clone());
        let app = Router::new().nest("/api/v1", api);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        ArroyoStub { url, inner, task }
    }

    pub(crate) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }
}

impl Drop for ArroyoStub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn ok(body: Value) -> Answer {
    (StatusCode::OK, Json(body))
}

fn bad(words: &str) -> Answer {
    (StatusCode::BAD_REQUEST, Json(json!({"error": words})))
}

impl Inner {
    fn id(&mut self, kind: &str) -> String {
        self.n_ids += 1;
        format!("{kind}_{}", self.n_ids)
    }

    fn plan(&self, query: &str) -> Vec<String> {
        let mut errors: Vec<String> = self.plan_error.iter().map(|e| (*e).to_owned()).collect();
        let is_known = |name: &str| self.udfs.iter().any(|(_, n, _)| n == name);
        for name in ["text_terms", "story_key", "text_lang"] {
            if query.contains(&format!("{name}(")) && !is_known(name) {
                errors.push(format!("Error during planning: Invalid function '{name}'"));
            }
        }
        errors
    }
}

async fn udfs(State(inner): Shared) -> Answer {
    let mut inner = inner.lock().unwrap();
    if inner.n_unwell > 0 {
        inner.n_unwell -= 1;
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({"error": "database is locked"})),
        );
    }
    let udfs = inner.udfs.iter().map(|(id, name, definition)| {
        json!({
            "id": id, "prefix": "telesift", "name": name, "language": "rust", "created_at": 1, "updated_at": 1,
            "definition": definition, "description": "", "dylib_url": "file:///tmp/udf.so",
        })
    });
    ok(json!({"data": udfs.collect::<Vec<_>>()}))
}

/// The name of the function under `#[udf]`.
fn name_of(definition: &str) -> Option<String> {
    let (_, after) = definition.split_once("#[udf]\nfn ")?;
    Some(after.split_once('(')?.0.to_owned())
}

async fn validate_udf(State(inner): Shared, Json(body): Json<Value>) -> Answer {
    let name = name_of(body["definition"].as_str().unwrap());
    let errors: Vec<&str> = inner.lock().unwrap().compile_error.into_iter().collect();
    ok(json!({"udf_name": name, "errors": errors}))
}

async fn create_udf(State(inner): Shared, Json(body): Json<Value>) -> Answer {
    let mut inner = inner.lock().unwrap();
    let definition = body["definition"].as_str().unwrap().to_owned();
    let Some(name) = name_of(&definition).filter(|_| inner.compile_error.is_none()) else {
        return bad("UDF is invalid");
    };
    if inner.udfs.iter().any(|(_, n, _)| *n == name) {
        return bad("udf with that name already exists");
    }
    inner.calls.push(format!("udf {name}"));
    let id = inner.id("udf");
    inner.udfs.push((id.clone(), name.clone(), definition));
    ok(json!({"id": id, "name": name}))
}

async fn delete_udf(State(inner): Shared, Path(id): Path<String>) -> Answer {
    let mut inner = inner.lock().unwrap();
    inner.calls.push("delete udf".to_owned());
    inner.udfs.retain(|(i, _, _)| *i != id);
    ok(Value::Null)
}

#[derive(Deserialize)]
struct Pages {
    starting_after: Option<String>,
}

/// Two at a time, whatever is asked for.
async fn pipelines(State(inner): Shared, Query(pages): Query<Pages>) -> Answer {
    let inner = inner.lock().unwrap();
    let after = pages.starting_after;
    let rest: Vec<&Remote> = match &after {
        None => inner.pipelines.iter().collect(),
        Some(id) => inner
            .pipelines
            .iter()
            .skip_while(|p| p.id != *id)
            .skip(1)
            .collect(),
    };
    let data = rest.iter().take(2);
    let data = data.map(
        |p| json!({"id": p.id, "name": p.name, "query": p.query, "udfs": [], "preview": false}),
    );
    ok(json!({"data": data.collect::<Vec<_>>(), "hasMore": rest.len() > 2}))
}

async fn validate_query(State(inner): Shared, Json(body): Json<Value>) -> Answer {
    let errors = inner.lock().unwrap().plan(body["query"].as_str().unwrap());
    // As of 2026; before, a list of texts.
    let errors: Vec<Value> = errors.iter().map(|e| json!({"message": e})).collect();
    ok(json!({"graph": null, "errors": errors}))
}

async fn create_pipeline(State(inner): Shared, Json(body): Json<Value>) -> Answer {
    let mut inner = inner.lock().unwrap();
    let (name, query) = (
        body["name"].as_str().unwrap(),
        body["query"].as_str().unwrap(),
    );
    let errors = inner.plan(query);
    if !errors.is_empty() {
        return bad(&format!(
            "Failed to plan query:\n * {}",
            errors.join("\n * ")
        ));
    }
    assert!(body["parallelism"].as_u64().unwrap() >= 1);
    inner.calls.push(format!("pipeline {name}"));
    let id = inner.id("pl");
    let (name, query) = (name.to_owned(), query.to_owned());
    let made = json!({"id": id, "name": name, "query": query});
    inner.pipelines.push(Remote {
        id,
        name,
        query,
        state: "Running",
    });
    ok(made)
}

async fn patch_pipeline(
    State(inner): Shared,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Answer {
    assert_eq!(body, json!({"stop": "immediate"}));
    let mut inner = inner.lock().unwrap();
    inner.calls.push("stop".to_owned());
    match inner.pipelines.iter_mut().find(|p| p.id == id) {
        Some(found) => found.state = "Stopping",
        None => {
            return (
                StatusCode::NOT_FOUND,
                Json(json!({"error": "Job for pipeline not found"})),
            );
        }
    }
    ok(json!({"id": id}))
}

/// A job that stops has stopped when it is asked for again.
async fn jobs(State(inner): Shared, Path(id): Path<String>) -> Answer {
    let mut inner = inner.lock().unwrap();
    let Some(found) = inner.pipelines.iter_mut().find(|p| p.id == id) else {
        return (
            StatusCode::NOT_FOUND,
            Json(json!({"error": "Pipeline not found"})),
        );
    };
    let shown = found.state;
    if shown == "Stopping" {
        found.state = "Stopped";
    }
    let failure =
        (shown == "Failed").then(|| json!({"error": "topic not found", "domain": "user"}));
    ok(
        json!({"data": [{"id": "job_1", "pipeline_id": id, "state": shown, "running_desired": true, "failure_reason": failure}]}),
    )
}

async fn delete_pipeline(State(inner): Shared, Path(id): Path<String>) -> Answer {
    let mut inner = inner.lock().unwrap();
    let is_over = |p: &Remote| ["Stopped", "Finished", "Failed"].contains(&p.state);
    if inner.pipelines.iter().any(|p| p.id == id && !is_over(p)) {
        return bad(
            "Pipeline's jobs must be in a terminal state (stopped, finished, or failed) before it can be deleted",
        );
    }
    inner.calls.push("delete pipeline".to_owned());
    inner.pipelines.retain(|p| p.id != id);
    ok(Value::Null)
}
