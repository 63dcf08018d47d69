//! The screen on a log: raw records in, screened messages out, by the chain that this build carries.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use telesift_engine::{ChainSpec, EngineChain, ModuleSpec, NativeRules};
use telesift_ports::{
    RecordLog, SmartModuleChain, SystemClock,
    ledger::StageState,
    record_log::{NewRecord, ReadLimits, Retention, TopicConfig, Transaction},
};
use telesift_schemas::{PartitionId, Topic, TopicPartition};
use telesift_stages::{
    Consumer,
    decisions::rules::RulesBook,
    screen::{self, ChainFactory, Screen},
};
use tokio_util::sync::CancellationToken;

/// Records per second from the first batch to the last commit.
pub(crate) async fn screen(log: Arc<dyn RecordLog>, n_records: usize) -> f64 {
    for (topic, _) in Topic::ALL {
        let spec = TopicConfig {
            partitions: 1,
            retention: Retention::default(),
        };
        log.create_topic(&topic, spec).await.unwrap();
    }
    let input = TopicPartition::new(Topic::TELEGRAM_RAW, PartitionId(0));
    let raws: Vec<_> = (0..n_records).map(|n| (input.clone(), raw(n))).collect();
    for commit in raws.chunks(1_000) {
        log.commit(Transaction::appends(commit.to_vec()))
            .await
            .unwrap();
    }
    let book = RulesBook::load(log.clone(), Arc::new(NativeRules)).await;
    let screen = Screen::new(
        log.clone(),
        Arc::new(SystemClock),
        chains(),
        Arc::new(book.unwrap()),
        input.clone(),
        Duration::from_secs(60),
    );
    let consumer = Consumer {
        log: log.clone(),
        stage: screen::STAGE,
        inputs: vec![input],
        limits: ReadLimits {
            max_records: 1_000,
            ..ReadLimits::default()
        },
        min_interval: Duration::ZERO,
    };
    let (started, stop) = (Instant::now(), CancellationToken::new());
    let run = tokio::spawn(consumer.run(screen, stop.clone()));
    while screened(&*log).await < n_records as u64 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = started.elapsed();
    stop.cancel();
    run.await.unwrap().unwrap();
    n_records as f64 / took.as_secs_f64()
}

async fn screened(log: &dyn RecordLog) -> u64 {
    let state = log.state("stage/screen/telegram-raw/0").await.unwrap();
    let state = state.map(|bytes| serde_json::from_slice::<StageState>(&bytes).unwrap());
    state.map_or(0, |state| state.next.0)
}

fn chains() -> ChainFactory {
    Arc::new(|_| {
        let modules = vec![
            ModuleSpec::new("normalize", telesift_bundle::NORMALIZE),
            ModuleSpec::new("signal-score", telesift_bundle::SIGNAL_SCORE),
        ];
        let chain = EngineChain::new(ChainSpec::new(modules))?;
        Ok(Box::new(chain) as Box<dyn SmartModuleChain>)
    })
}

/// A bot's update, as the door appends it.
fn raw(n: usize) -> NewRecord {
    let value = format!(
        r#"{{"v":1,"source":{{"kind":"webhook","bot":"ops"}},"received":1767607200,"chat":null,"payload":{{"update_id":{n},"message":{{"message_id":{n},"date":1767607200,"chat":{{"id":-1002100000001,"title":"Ops","type":"supergroup"}},"from":{{"id":777,"is_bot":false,"first_name":"Olena"}},"text":"сервер {n} впав, хто дивиться? deploy не пройшов, база не відповідає, перевірте logs"}}}}}}"#
    );
    NewRecord {
        key: "-1002100000001".into(),
        value: value.into(),
        unique: Vec::new(),
    }
}
