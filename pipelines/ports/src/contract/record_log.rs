//! What every [`RecordLog`] promises, one check per behaviour.
//!
//! An implementation runs them all with [`record_log_contract!`](crate::record_log_contract), each as a test of its own
//! against a fresh log.

use std::{
    fmt::Debug,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use telesift_schemas::{Offset, PartitionId, Timestamp, Topic, TopicPartition};

use crate::{
    RecordLog,
    leases::Fence,
    memory::ManualClock,
    record_log::{
        Batch, Error, NewRecord, Outcome, ReadLimits, Result, Retention, TopicConfig, Transaction,
        UniqueKey,
    },
};

mod appends;
mod deletion;
mod reads;
mod retention;
mod transactions;

pub use appends::*;
pub use deletion::*;
pub use reads::*;
pub use retention::*;
pub use transactions::*;

/// A fresh, empty log with what a check needs to steer it.
pub struct Harness {
    /// The log.
    pub log: Arc<dyn RecordLog>,
    /// Its clock.
    pub clock: Arc<ManualClock>,
    /// Makes it evict what its retention allows, now.
    pub run_retention: Box<dyn Fn() -> BoxFuture + Send + Sync>,
    /// What must live as long as the log, such as its temporary directory.
    pub guard: Box<dyn std::any::Any + Send>,
}

/// What [`Harness::run_retention`] returns.
pub type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Harness {
    /// Two partitions of a topic kept for ever.
    pub async fn topic(&self) -> Topic {
        let topic = Topic::new("contract");
        self.create(&topic, 2, Retention::default()).await;
        topic
    }

    /// A topic.
    pub async fn create(&self, topic: &Topic, partitions: u32, retention: Retention) {
        let config = TopicConfig {
            partitions,
            retention,
        };
        ok(self.log.create_topic(topic, config).await);
    }

    /// Commits appends without state.
    pub async fn append(&self, appends: Vec<(TopicPartition, NewRecord)>) -> Vec<Outcome> {
        ok(self.log.commit(Transaction::appends(appends)).await)
    }

    /// All of a partition from `from` on, in one batch.
    pub async fn read_all(&self, at: &TopicPartition, from: u64) -> Batch {
        let limits = ReadLimits {
            max_records: usize::MAX,
            max_bytes: usize::MAX,
        };
        ok(self.log.read(at, Offset(from), limits).await)
    }

    /// The values of a partition from its start, as text.
    pub async fn values(&self, at: &TopicPartition) -> Vec<String> {
        let start = ok(self.log.bounds(at).await).start.0;
        let batch = self.read_all(at, start).await;
        let text = |value: &Bytes| String::from_utf8_lossy(value).into_owned();
        batch.records.iter().map(|r| text(&r.value)).collect()
    }
}

/// Partition `partition` of `topic`.
pub fn at(topic: &Topic, partition: u32) -> TopicPartition {
    TopicPartition::new(topic.clone(), PartitionId(partition))
}

/// A record with this value, of key `k`, without identity.
pub fn record(value: &str) -> NewRecord {
    NewRecord {
        key: Bytes::from_static(b"k"),
        value: Bytes::copy_from_slice(value.as_bytes()),
        unique: Vec::new(),
    }
}

/// A record with this value and the identities `unique`.
pub fn unique_record(value: &str, unique: &[&str]) -> NewRecord {
    NewRecord {
        unique: unique.iter().map(|k| UniqueKey::new("t", &[k])).collect(),
        ..record(value)
    }
}

/// The offsets of outcomes; `None` = duplicate.
pub fn offsets(outcomes: &[Outcome]) -> Vec<Option<u64>> {
    let offset = |outcome: &Outcome| match outcome {
        Outcome::Appended { offset, .. } => Some(offset.0),
        Outcome::Duplicate => None,
    };
    outcomes.iter().map(offset).collect()
}

/// State as bytes.
pub fn bytes(text: &str) -> Option<Bytes> {
    Some(Bytes::copy_from_slice(text.as_bytes()))
}

/// The value, or a panic that shows the error.
#[track_caller]
pub fn ok<T>(result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(e) => panic!("expected success, got: {e}"),
    }
}

/// The error, or a panic that shows the value.
#[track_caller]
pub fn err<T: Debug>(result: Result<T>) -> Error {
    match result {
        Ok(value) => panic!("expected an error, got: {value:?}"),
        Err(e) => e,
    }
}

/// Runs `future`, giving up after 10 s: a follower that never wakes must fail, not hang.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(10), future).await {
        Ok(value) => value,
        Err(_) => panic!("did not happen within 10 s"),
    }
}

/// Whether `future` has nothing to say yet.
fn is_pending<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    matches!(future.as_mut().poll(&mut context), Poll::Pending)
}

/// A check of the contract.
pub type Check = fn(Harness) -> Pin<Box<dyn Future<Output = ()>>>;

/// The checks that hold for every log, for those whose tests share something dear, such as a cluster.
pub const ALWAYS: &[(&str, Check)] = crate::record_log_checks!(always: record_log_list;);

/// What a log of state beside the log promises in the place of transactions.
pub const WITHOUT_TRANSACTIONS: &[(&str, Check)] =
    crate::record_log_checks!(without_transactions: record_log_list;);

/// The names of the checks, in groups, given to a macro of this crate.
#[macro_export]
#[doc(hidden)]
macro_rules! record_log_checks {
    (always: $then:ident; $($with:tt)*) => {
        $crate::$then! { $($with)*
            creating_a_topic_again_keeps_its_records,
            another_partition_count_is_refused,
            unknown_topics_and_partitions_are_errors,
            offsets_ascend_by_one_from_zero_per_partition,
            appended_at_never_descends,
            keys_and_values_are_kept_byte_for_byte,
            duplicates_within_a_batch_are_refused,
            duplicates_of_earlier_commits_are_refused,
            one_known_key_of_several_makes_a_duplicate,
            keys_of_a_refused_record_are_not_remembered,
            too_large_records_are_refused,
            concurrent_appends_get_contiguous_offsets,
            an_empty_transaction_commits_state,
            guards_refuse_a_stale_owner_and_write_nothing,
            guards_of_absent_keys_hold_once,
            finish_sees_the_outcomes_and_writes_state,
            state_can_be_removed,
            state_is_listed_by_prefix_in_order,
            a_bad_partition_fails_the_whole_transaction,
            a_failing_transaction_leaves_its_neighbours_alone,
            reads_stop_at_limits_and_go_on,
            one_record_is_read_whatever_its_size,
            reading_at_the_end_is_empty,
            reading_beyond_the_end_is_an_error,
            offset_at_finds_the_first_record_of_a_time,
            waiting_returns_at_once_where_there_is_more,
            waiting_wakes_on_append,
            waiting_beyond_the_end_is_an_error,
            followers_see_every_record_once_in_order,
            a_record_is_readable_once_its_commit_answers,
            a_deleted_topic_leaves_others_alone,
        }
    };
    (transactional: $then:ident; $($with:tt)*) => {
        $crate::$then! { $($with)*
            concurrent_guarded_commits_let_one_win,
            a_deleted_topic_is_gone_and_its_name_free,
            identities_of_a_generation_are_forgotten_together,
        }
    };
    (without_transactions: $then:ident; $($with:tt)*) => {
        $crate::$then! { $($with)*
            of_concurrent_guarded_commits_one_is_told_it_won,
        }
    };
    (retention: $then:ident; $($with:tt)*) => {
        $crate::$then! { $($with)*
            creating_a_topic_again_changes_its_retention_only,
            retention_by_age_evicts_the_oldest,
            retention_by_size_keeps_the_newest,
            offsets_go_on_after_everything_was_evicted,
            without_retention_nothing_is_evicted,
            evicted_records_stay_known_as_duplicates,
        }
    };
}

/// The checks as a list.
#[macro_export]
#[doc(hidden)]
macro_rules! record_log_list {
    ($($check:ident),* $(,)?) => {
        &[$((stringify!($check), (|harness| Box::pin($check(harness))) as Check)),*]
    };
}

/// The checks as tests.
#[macro_export]
#[doc(hidden)]
macro_rules! record_log_tests {
    ($make:path; $($check:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                $crate::contract::record_log::$check($make().await).await;
            }
        )*
    };
}

/// Runs every check against a fresh log, each as a test of its own: `record_log_contract!(make)`, where `make` is an
/// `async fn() -> Harness`; `record_log_contract!(without transactions: make)` for a log that has none.
#[macro_export]
macro_rules! record_log_contract {
    (without transactions: $make:path) => {
        $crate::record_log_checks!(always: record_log_tests; $make;);
        $crate::record_log_checks!(without_transactions: record_log_tests; $make;);
        $crate::record_log_checks!(retention: record_log_tests; $make;);
    };
    ($make:path) => {
        $crate::record_log_checks!(always: record_log_tests; $make;);
        $crate::record_log_checks!(transactional: record_log_tests; $make;);
        $crate::record_log_checks!(retention: record_log_tests; $make;);
    };
}

/// A cell shared with a `finish` closure.
type Seen<T> = Arc<Mutex<T>>;

fn seen<T: Default>() -> Seen<T> {
    Arc::default()
}

fn now_ms(harness: &Harness) -> i64 {
    use crate::Clock as _;
    harness.clock.now().as_millisecond()
}

fn ms(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).expect("a time of this century")
}
