//! `telesift demo`: the embedded defaults, the bundled sample, and what an analyst wants to see first.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde_json::{Value, json};
use telesift_ports::imports::{ImportState, ImportStatus};

use super::{print, serve};
use crate::{
    cli::{Connection, ServeArgs},
    client::Client,
    config::{Config, EmbedKind},
    exit,
    server::Server,
    topology::Roles,
};

/// Three synthetic chats; see `sample/README.md`.
const SAMPLE: &[u8] = include_bytes!("../../sample/export.json");

/// Two searches that show what it is for; each finds a message of the sample.
const SEARCHES: [&str; 2] = ["причина простою оплати", "dashboard remote code execution"];

/// A forward of the sample, whose original is there too.
const FORWARDED: &str = "-1002100000003:15432";

/// How long import and index of the sample may take.
const PATIENCE: Duration = Duration::from_secs(50);

pub(crate) fn run(mut connection: Connection, args: ServeArgs) -> Result<()> {
    let data_dir_is_given = connection.data_dir.is_some();
    let mut config = serve::load(&connection, &args).map_err(exit::usage)?;
    if !data_dir_is_given {
        let dir = default_data_dir(config.embed.kind)?;
        config.data.dir = dir.clone();
        connection.data_dir = Some(dir);
    }
    if args.config.is_none() {
        config.telemetry.log = "warn,lance_index=error".to_owned();
    }
    serve::init_tracing(&config);
    let kind = config.embed.kind;
    serve::runtime()?.block_on_and_leave(async {
        let server = start(config, args.listen.is_some()).await?;
        let client = Client::new(&server.url, &server.admin_key)?;
        show(&client, &server).await?;
        print::line(vectors(kind))?;
        serve::announce(&server);
        serve::finish(server).await
    })
}

/// Beside the data directory of `telesift serve`, so that a demo never mixes with real messages; one for each kind of
/// model, because vectors of two models never share a table.
fn default_data_dir(kind: EmbedKind) -> Result<PathBuf> {
    let dir = crate::config::data_dir(None)?;
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(match kind {
        EmbedKind::None | EmbedKind::Hash => "-demo",
        EmbedKind::Local => "-demo-local",
        EmbedKind::OpenAi | EmbedKind::Ollama => "-demo-remote",
    });
    Ok(dir.with_file_name(name))
}

/// Starts; takes any free port where the default one is in use and none was asked for.
async fn start(mut config: Config, listen_is_given: bool) -> Result<Server> {
    if !listen_is_given
        && tokio::net::TcpListener::bind(&config.server.listen)
            .await
            .is_err()
    {
        config.server.listen = "127.0.0.1:0".to_owned();
    }
    Server::start(&config, &Roles::all()).await
}

async fn show(client: &Client, server: &Server) -> Result<()> {
    let started = std::time::Instant::now();
    let status = import(client).await?;
    indexed(client).await?;
    print::line(format!(
        "Imported the sample: {} messages of three chats ({} new) in {:.1} s.\n",
        status.progress.messages_read,
        status.progress.messages_new,
        started.elapsed().as_secs_f64()
    ))?;
    noise(client).await?;
    top_signals(client).await?;
    knowledge(client).await?;
    for query in SEARCHES {
        search(client, query).await?;
    }
    story(client).await?;
    how_to_go_on(client, server)
}

/// Where the vectors of search come from.
fn vectors(kind: EmbedKind) -> &'static str {
    match kind {
        EmbedKind::None | EmbedKind::Hash => {
            "Vectors: the built-in model `hash`, which knows words and their forms but no meanings; `telesift models pull` brings a real one (docs/models.md).\n"
        }
        EmbedKind::Local => {
            "Vectors: a local model, filled in behind the store; signals come first (docs/models.md).\n"
        }
        EmbedKind::OpenAi | EmbedKind::Ollama => {
            "Vectors: a provider's model, filled in behind the store; signals come first (docs/models.md).\n"
        }
    }
}

async fn import(client: &Client) -> Result<ImportStatus> {
    let request = client
        .request(Method::POST, "/v1/imports")
        .query(&[("name", "sample")])
        .body(SAMPLE);
    let queued: ImportStatus = client
        .json(request)
        .await
        .context("the sample was refused")?;
    until(async || {
        let status: ImportStatus = client
            .get(&format!("/v1/imports/{}", queued.id), &[])
            .await?;
        match status.state {
            ImportState::Failed => bail!("the import failed: {}", status.error.unwrap_or_default()),
            ImportState::Done => Ok(Some(status)),
            _ => Ok(None),
        }
    })
    .await
}

/// Waits until every stage has worked through everything.
async fn indexed(client: &Client) -> Result<()> {
    until(async || {
        let topics: Value = client.get("/v1/topics", &[]).await?;
        let n_records = |name: &str| n_records(&topics, name);

        let stats: Value = client.get("/v1/stats/pipeline", &[]).await?;
        let of = |stage: &str, field: &str| sum(&stats, stage, field);
        let is_done = of("screen", "received") == n_records("telegram-raw")
            && of("index", "received") == of("screen", "emitted")
            && of("stories", "received") == of("screen", "emitted")
            && of("story-catalog", "received") == n_records("stories");
        Ok(is_done.then_some(()))
    })
    .await
}

/// Records of a topic, as `/v1/topics` has it.
fn n_records(topics: &Value, name: &str) -> u64 {
    let mut topics = topics["items"].as_array().into_iter().flatten();
    let topic = topics.find(|t| t["topic"] == name);
    let partitions = topic.and_then(|t| t["partitions"].as_array());
    let partitions = partitions.into_iter().flatten();
    partitions.filter_map(|p| p["end"].as_u64()).sum()
}

/// A number of a stage over all its partitions, as `/v1/stats/pipeline` has it.
fn sum(stats: &Value, stage: &str, field: &str) -> u64 {
    let items = stats["items"].as_array().into_iter().flatten();
    let of = items.filter(|i| i["stage"] == stage);
    of.filter_map(|i| i[field].as_u64()).sum()
}

/// Asks again and again, for a while.
async fn until<T>(mut ask: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let asking = async {
        loop {
            if let Some(answer) = ask().await? {
                return Ok(answer);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(outcome) => outcome,
        Err(_) => bail!(
            "the sample was not worked through within {} s; see the log above",
            PATIENCE.as_secs()
        ),
    }
}

async fn noise(client: &Client) -> Result<()> {
    let stats: Value = client.get("/v1/stats/screen", &[]).await?;
    let total = |class: &str| -> u64 {
        let buckets = stats["buckets"].as_array().into_iter().flatten();
        buckets.filter_map(|b| b[class].as_u64()).sum()
    };
    let (noise, weak, signal) = (total("noise"), total("weak_signal"), total("signal"));
    let all = (noise + weak + signal).max(1);
    print::line(format!(
        "{} of {all} messages are noise ({} %); {weak} weak signals and {signal} signals are left to read.\n",
        noise,
        100 * noise / all
    ))
}

async fn top_signals(client: &Client) -> Result<()> {
    print::line("Five top signals:\n")?;
    let mut query = vec![("class", "signal".to_owned()), ("limit", "500".to_owned())];
    query.push(("min_score", "0.5".to_owned()));
    let answer: Value = client.get("/v1/messages", &query).await?;
    let mut messages = answer["items"].as_array().cloned().unwrap_or_default();
    let score = |m: &Value| {
        m.pointer("/screen/score")
            .and_then(Value::as_f64)
            .unwrap_or_default()
    };
    messages.sort_by(|a, b| score(b).total_cmp(&score(a)));
    for message in messages.iter().take(5) {
        print::line(print::message(message))?;
    }
    print::line("")
}

/// What the conversations claim, and what about.
async fn knowledge(client: &Client) -> Result<()> {
    let is_all = read(client).await?;
    let query = [("limit", "500".to_owned())];
    let answer: Value = client.get("/v1/subjects", &query).await?;
    let mut subjects = answer["items"].as_array().cloned().unwrap_or_default();
    subjects.sort_by_key(|s| std::cmp::Reverse(s["n_atoms"].as_u64()));
    print::line("What most of it is about (telesift subjects):\n")?;
    for subject in subjects.iter().take(5) {
        print::line(super::subjects::in_a_line(subject))?;
    }
    let answer: Value = client.get("/v1/atoms", &query).await?;
    let mut atoms = answer["items"].as_array().cloned().unwrap_or_default();
    atoms.sort_by(|a, b| {
        let confidence = |atom: &Value| atom["confidence"].as_f64().unwrap_or_default();
        confidence(b).total_cmp(&confidence(a))
    });
    let mut kinds = Vec::new();
    atoms.retain(|atom| {
        let is_new = !kinds.contains(&atom["kind"]);
        kinds.push(atom["kind"].clone());
        is_new
    });
    print::line("\nWhat is claimed, each with the words it stands on (telesift atoms):\n")?;
    for atom in atoms.iter().take(5) {
        print::line(super::atoms::in_words(atom))?;
    }
    print::line(match is_all {
        true => "",
        false => "\nMore is being read.\n",
    })
}

/// Waits until every conversation is read, for a while; `false` if there is more to read.
async fn read(client: &Client) -> Result<bool> {
    // Conversations are taken for complete once nothing came for a moment (units.settle_ms).
    const QUIET_LOOKS: usize = 25;
    const LOOKS: usize = 200;
    let mut n_quiet = 0;
    for _ in 0..LOOKS {
        let stats: Value = client.get("/v1/stats/pipeline", &[]).await?;
        let is_read = sum(&stats, "units", "received") > 0
            && sum(&stats, "extract", "received") > 0
            && sum(&stats, "extract", "pending") == 0
            && ["units", "unit-catalog", "knowledge"]
                .into_iter()
                .all(|stage| sum(&stats, stage, "lag") == 0);
        n_quiet = if is_read { n_quiet + 1 } else { 0 };
        if n_quiet >= QUIET_LOOKS {
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(false)
}

/// A message that one chat forwarded from another.
async fn story(client: &Client) -> Result<()> {
    let message: Value = client
        .get(&format!("/v1/messages/{FORWARDED}"), &[])
        .await?;
    let Some(id) = message.pointer("/story/id").and_then(Value::as_str) else {
        return Ok(());
    };
    print::line(format!("One story in two chats (telesift story {id}):\n"))?;
    let answer: Value = client.get(&format!("/v1/stories/{id}"), &[]).await?;
    for message in answer["items"].as_array().into_iter().flatten() {
        print::line(print::message(message))?;
    }
    print::line("")
}

async fn search(client: &Client, query: &str) -> Result<()> {
    let body = json!({"query": query, "limit": 3});
    let answer: Value = client
        .json(client.request(Method::POST, "/v1/search").json(&body))
        .await?;
    print::line(format!("Search “{query}” ({} ms):\n", answer["took_ms"]))?;
    for hit in answer["hits"].as_array().into_iter().flatten() {
        print::line(print::message(&hit["message"]))?;
    }
    print::line("")
}

fn how_to_go_on(client: &Client, server: &Server) -> Result<()> {
    let (url, key, program) = (client.url(), client.key(), program());
    // The other terminal may stand in another folder.
    let dir = std::path::absolute(&server.data_dir).unwrap_or_else(|_| server.data_dir.clone());
    let dir = dir.display();
    print::line(format!(
        "Go on, in another terminal:

  curl -s -H 'Authorization: Bearer {key}' '{url}/v1/messages?class=signal&limit=5'
  curl -s -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' -d '{{\"query\":\"оновлення Postgres\",\"limit\":3}}' '{url}/v1/search'
  {program} --data-dir '{dir}' search 'парковка в центре'
  {program} --data-dir '{dir}' tail --from earliest --class signal
  {program} --data-dir '{dir}' atoms --kind decision   # what was decided, with the words it stands on
  {program} --data-dir '{dir}' subjects
  {program} --data-dir '{dir}' import result.json      # your own Telegram Desktop export, as JSON

Console  {url}/     API reference  {url}/docs
API key  {key}     (also in {dir}/admin.key)
"
    ))
}

/// How a shell calls this program: by its name where that leads here, else by its path.
fn program() -> String {
    let name = "telesift".to_owned();
    let Ok(here) = std::env::current_exe().and_then(|exe| exe.canonicalize()) else {
        return name;
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).find_map(|dir| dir.join(&name).canonicalize().ok());
    match found {
        Some(found) if found == here => name,
        _ => format!("'{}'", here.display()),
    }
}
