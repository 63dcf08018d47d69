//! The same flow with a Fluvio cluster as its log: topics, SmartModules, import, search, restarts and a killed SPU.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use serde_json::Value;
use telesift_log_fluvio::{Tls, testing::TestCluster};

use crate::server::{Home, Server, sample, telesift};

/// A configuration file for `cluster`, in the data directory.
fn configure(home: &Home, cluster: &TestCluster) -> PathBuf {
    let path = home.path().join("telesift.toml");
    let endpoint = cluster.endpoint();
    let text = format!("[log]\nkind = \"fluvio\"\n[log.fluvio]\nendpoint = \"{endpoint}\"\n");
    fs::write(&path, text).unwrap();
    path
}

fn serve(home: &Home, config: &Path) -> Server {
    let mut command = telesift();
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(config);
    Server::start(home, &mut command)
}

fn run(home: &Home, config: &Path, args: &[&str]) -> Output {
    let mut command = home.command(args);
    command.arg("--config").arg(config).output().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Ids of all messages by the list route.
async fn ids(server: &Server) -> BTreeSet<String> {
    let messages = server.messages().await;
    let ids: Vec<String> = messages
        .iter()
        .map(|m| m["id"].as_str().unwrap().to_owned())
        .collect();
    let set: BTreeSet<String> = ids.iter().cloned().collect();
    assert_eq!(set.len(), ids.len(), "no message stands twice");
    set
}

/// Origins of the records of `messages` as the API shows them: each once, ascending in its partition.
async fn origins(server: &Server) -> BTreeSet<(u64, u64)> {
    let mut seen = BTreeSet::new();
    let mut last = None;
    for (partition, offset, data) in server.records("messages").await {
        assert_eq!(data["origin"]["partition"], partition);
        let origin = (partition, data["origin"]["offset"].as_u64().unwrap());
        assert!(
            last.is_none_or(|last| last < origin),
            "{offset}: {origin:?} after {last:?}"
        );
        last = Some(origin);
        seen.insert(origin);
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_flow_on_a_cluster_survives_restarts_and_a_killed_spu() {
    let Some(mut cluster) = TestCluster::start(1).await else {
        return;
    };
    let embedded = Home::new();
    let calm = embedded.serve();
    calm.import("sample", sample()).await;
    calm.settled().await;
    let expected = (ids(&calm).await, origins(&calm).await);
    calm.kill();

    let home = Home::new();
    let config = configure(&home, &cluster);
    let server = serve(&home, &config);
    let (status, queued) = server.upload("sample", sample()).await;
    assert_eq!(status, 202, "{queued}");
    let id = queued["id"].as_str().unwrap().to_owned();
    // In the middle of whatever it is doing.
    server.kill();
    let server = serve(&home, &config);
    cluster.kill_spu(0);
    cluster.start_spu(0);
    cluster.wait_for_spu(0).await;
    server.imported(&id).await;
    server.settled().await;
    assert_eq!((ids(&server).await, origins(&server).await), expected);
    assert_eq!(server.n_records("dead-letters").await, 0);

    // Once more the same export: nothing new, whatever the log remembers.
    let (status, _) = server.terminate();
    assert!(status.success(), "{status}");
    let server = serve(&home, &config);
    server.import("again", sample()).await;
    server.settled().await;
    assert_eq!(ids(&server).await, expected.0);
    let found = server.search("server").await;
    assert!(found["hits"].is_array(), "{found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_comes_up_late_is_waited_for() {
    let Some(mut cluster) = TestCluster::start(1).await else {
        return;
    };
    cluster.kill_spu(0);
    cluster.kill_controller();
    let home = Home::new();
    let config = configure(&home, &cluster);
    let doctor = run(&home, &config, &["doctor", "--json"]);
    let checks = lines(&doctor);
    let log = checks.iter().find(|c| c["check"] == "log").unwrap();
    assert_eq!(log["ok"], false, "{log}");
    let endpoint = cluster.endpoint();
    assert!(log["detail"].as_str().unwrap().contains(&endpoint), "{log}");

    let said = home.path().join("said");
    let mut command = telesift();
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(&config)
        .stderr(fs::File::create(&said).unwrap());
    let starting = tokio::task::spawn_blocking(move || (Server::start(&home, &mut command), home));
    let is_waiting = || {
        let said = fs::read_to_string(&said).unwrap();
        said.contains("waiting for the cluster") && said.contains(&endpoint)
    };
    while !is_waiting() {
        assert!(!starting.is_finished(), "it waits, and says so");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    cluster.start_controller();
    cluster.start_spu(0);
    let (server, _home) = starting.await.unwrap();
    let done = server.import("sample", sample()).await;
    server.settled().await;
    assert_eq!(done["messages_new"], ids(&server).await.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_and_smartmodules_are_put_on_the_cluster_once() {
    let Some(cluster) = TestCluster::start(1).await else {
        return;
    };
    let home = Home::new();
    let config = configure(&home, &cluster);
    let apply = ["topics", "apply", "--json"];
    let plan = run(&home, &config, &apply);
    assert!(plan.status.success(), "{plan:?}");
    let steps = lines(&plan);
    assert_eq!(steps.len(), telesift_schemas::Topic::ALL.len());
    assert!(
        steps
            .iter()
            .all(|s| s["action"] == "create" && s["done"] == false)
    );
    assert_eq!(
        lines(&run(&home, &config, &apply)),
        steps,
        "a plan changes nothing"
    );
    let done = run(&home, &config, &["topics", "apply", "--json", "--yes"]);
    assert!(done.status.success(), "{done:?}");
    let again = run(&home, &config, &["topics", "apply", "--json", "--yes"]);
    assert!(again.status.success(), "{again:?}");
    assert!(lines(&again).iter().all(|s| s["action"] == "keep"));

    // What is missing is made, though another differs and cannot be changed.
    let of = |name: &str, output: &Output| -> Value {
        let steps = lines(output);
        let step = steps.iter().find(|step| step["topic"] == name).unwrap();
        step["action"].clone()
    };
    let deleted = cluster.fluvio(&["topic", "delete", "stories"]).unwrap();
    assert!(deleted.status.success(), "{deleted:?}");
    while of("stories", &run(&home, &config, &apply)) != "create" {}
    let topics = include_str!("../../../../deploy/topics.toml");
    let other = home.path().join("other.toml");
    fs::write(&other, topics.replace("partitions = 4", "partitions = 5")).unwrap();
    let other = other.to_str().unwrap();
    let partly = ["topics", "apply", "--json", "--yes", "--file", other];
    let partly = run(&home, &config, &partly);
    assert_eq!(partly.status.code(), Some(1));
    assert_eq!(of("messages", &partly), "differs");
    assert_eq!(of("stories", &partly), "create");
    assert_eq!(of("stories", &run(&home, &config, &apply)), "keep");

    let verify = ["smartmodules", "verify", "--json"];
    assert_eq!(run(&home, &config, &verify).status.code(), Some(1));
    assert!(
        run(&home, &config, &["smartmodules", "push"])
            .status
            .success()
    );
    let verified = run(&home, &config, &verify);
    assert!(verified.status.success(), "{verified:?}");
    assert!(lines(&verified).iter().all(|m| m["cluster"] == "same"));

    // One SPU holds everything: that is said.
    let doctor = run(&home, &config, &["doctor", "--json"]);
    let checks = lines(&doctor);
    let log = checks.iter().find(|c| c["check"] == "log").unwrap();
    assert!(log["ok"] == true && log["warning"] == true, "{log}");
    assert!(log["detail"].as_str().unwrap().contains("one SPU"), "{log}");
}

/// A configuration for an encrypted cluster whose topics are kept on two SPUs.
fn configure_securely(home: &Home, cluster: &TestCluster) -> PathBuf {
    let Tls::Verified {
        domain,
        ca_cert,
        cert,
        key,
    } = cluster.tls()
    else {
        panic!("the cluster has certificates");
    };
    let topics = include_str!("../../../../deploy/topics.toml");
    let topics = topics.replace("replication = 1", "replication = 2");
    fs::write(home.path().join("topics.toml"), topics).unwrap();
    let text = format!(
        "[log]\nkind = \"fluvio\"\n[log.fluvio]\nendpoint = \"{}\"\ntopics = \"{}\"\ntls = \"verified\"\n\
         tls_domain = \"{domain}\"\ntls_ca_cert = \"{}\"\ntls_cert = \"{}\"\ntls_key = \"{}\"\n",
        cluster.endpoint(),
        home.path().join("topics.toml").display(),
        ca_cert.display(),
        cert.display(),
        key.display(),
    );
    let path = home.path().join("telesift.toml");
    fs::write(&path, text).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_flow_on_an_encrypted_cluster_of_two_survives_the_death_of_one() {
    let Some(mut cluster) = TestCluster::start_with_tls(2).await else {
        return;
    };
    let home = Home::new();
    let config = configure_securely(&home, &cluster);
    let applied = run(&home, &config, &["topics", "apply", "--yes"]);
    assert!(applied.status.success(), "{applied:?}");
    let doctor = run(&home, &config, &["doctor", "--json"]);
    let checks = lines(&doctor);
    let log = checks.iter().find(|c| c["check"] == "log").unwrap();
    assert!(log["ok"] == true && log["warning"] == false, "{log}");
    assert!(log["detail"].as_str().unwrap().contains("2 SPUs"), "{log}");

    let server = serve(&home, &config);
    server.import("sample", sample()).await;
    server.settled().await;
    let expected = (ids(&server).await, origins(&server).await);
    server.kill();
    cluster.kill_spu(0);
    let server = serve(&home, &config);
    server
        .until(|| async { server.try_get("/v1/topics").await })
        .await;
    assert_eq!((ids(&server).await, origins(&server).await), expected);
    cluster.start_spu(0);
    cluster.wait_for_spu(0).await;
    server.import("again", sample()).await;
    server.settled().await;
    assert_eq!(ids(&server).await, expected.0);
}

#[test]
fn commands_for_a_cluster_say_so_where_the_log_is_embedded() {
    let home = Home::new();
    for args in [
        &["topics", "apply"][..],
        &["smartmodules", "push"],
        &["smartmodules", "list"],
    ] {
        let output = home.command(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("log.kind"), "{said}");
    }
}
