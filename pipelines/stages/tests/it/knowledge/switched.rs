//! After a switch to what was screened by other rules, what is known is what these find worth reading.

use std::sync::Arc;

use telesift_ports::{
    MessageStore, RecordLog,
    generations::{Entry, Parts},
    memory::MemoryStore,
    message_store::IndexedMessage,
    record_log::{NewRecord, Retention, TopicConfig, Transaction},
};
use telesift_schemas::{AtomStatus, Class, Generation, Message, Topic};

use super::{FAIL, MEND, line::Line};
use crate::flow::{at, model};

const SECOND: Generation = Generation(2);

impl Line {
    /// A second generation, of the same messages; the screen says something else of some.
    async fn screen_anew(&self, classes: &[(i64, Class)]) -> Arc<dyn MessageStore> {
        let topic = Topic::MESSAGES.of(SECOND);
        let log = &self.flow.log;
        let config = TopicConfig {
            partitions: 1,
            retention: Retention::default(),
        };
        log.create_topic(&topic, config).await.unwrap();
        let store = MemoryStore::new(Some(model()));
        for mut message in self.topic::<Message>(Topic::MESSAGES).await {
            let said = classes.iter().find(|(id, _)| *id == message.message_id);
            if let (Some((_, class)), Some(screen)) = (said, &mut message.screen) {
                screen.class = *class;
            }
            let record = NewRecord {
                key: "7".into(),
                value: serde_json::to_vec(&message).unwrap().into(),
                unique: Vec::new(),
            };
            let transaction = Transaction::appends(vec![(at(topic.clone()), record)]);
            log.commit(transaction).await.unwrap();
            let vector = None;
            store
                .apply(vec![IndexedMessage { message, vector }])
                .await
                .unwrap();
        }
        let make = |register: &mut telesift_ports::generations::Register| {
            let first = Parts::all_of(Generation::FIRST);
            register.all.push(Entry {
                generation: SECOND,
                parts: Parts {
                    messages: SECOND,
                    store: SECOND,
                    ..first
                },
                base: Some(Generation::FIRST),
                ..Entry::first()
            });
            Ok::<_, ()>(())
        };
        self.generations()
            .await
            .change(make)
            .await
            .unwrap()
            .unwrap();
        Arc::new(store)
    }

    /// That generation is live from now on, and this is its store.
    async fn make_live(&self, generation: Generation, store: Arc<dyn MessageStore>) {
        let switch = |register: &mut telesift_ports::generations::Register| {
            register.live = generation;
            Ok::<_, ()>(())
        };
        self.generations()
            .await
            .change(switch)
            .await
            .unwrap()
            .unwrap();
        *self.store.lock().unwrap() = store;
        self.settle().await;
    }

    /// The titles of what stands.
    async fn standing(&self) -> Vec<String> {
        let all = self.titles().await.into_iter();
        let standing = all.filter(|(_, status)| *status != AtomStatus::Retracted);
        let mut titles: Vec<String> = standing.map(|(title, _)| title).collect();
        titles.sort();
        titles
    }
}

#[tokio::test]
async fn what_the_live_rules_find_is_known_and_what_they_do_not_is_not() {
    let line = Line::new().await;
    line.say(1, FAIL).await;
    line.say(2, MEND).await;
    line.mumble(3, "decision: we wait #billing").await;
    line.say(100, "question: who pays for it #billing").await;
    line.mumble(200, "decision: we move to the new host #hosting")
        .await;
    line.settle().await;
    let before = line.standing().await;
    assert_eq!(
        before,
        ["payments fail", "restart the gateway", "who pays for it"]
    );
    let n_asked = line.extractor.asked().len();
    assert_eq!(n_asked, 2);

    let second = line
        .screen_anew(&[(1, Class::Noise), (200, Class::Signal)])
        .await;
    line.settle().await;
    assert_eq!(
        line.extractor.asked().len(),
        n_asked,
        "not before the switch"
    );
    line.make_live(SECOND, second.clone()).await;
    let after = [
        "restart the gateway",
        "we move to the new host",
        "who pays for it",
    ];
    assert_eq!(line.standing().await, after);
    // One conversation has a message less, one is new; the third is not asked about again.
    assert_eq!(line.extractor.asked().len(), n_asked + 2);

    // An analyst's word counts more than either screen's.
    line.label(3, Some(Class::Signal)).await;
    line.label(200, Some(Class::Noise)).await;
    line.settle().await;
    let labelled = ["restart the gateway", "we wait", "who pays for it"];
    assert_eq!(line.standing().await, labelled);

    let n_asked = line.extractor.asked().len();
    line.make_live(Generation::FIRST, line.flow.store.clone())
        .await;
    let back = [
        "payments fail",
        "restart the gateway",
        "we wait",
        "who pays for it",
    ];
    assert_eq!(line.standing().await, back);
    assert_eq!(line.extractor.asked().len(), n_asked + 1);
    // Nothing changes, nobody is asked, when nobody switches: after a restart neither.
    line.settle().await;
    assert_eq!(line.extractor.asked().len(), n_asked + 1);
    line.make_live(SECOND, second).await;
    assert_eq!(line.standing().await, labelled);
}

#[tokio::test]
async fn what_is_not_grouped_yet_when_it_is_switched_is_grouped_once() {
    let line = Line::new().await;
    line.say(1, FAIL).await;
    line.say(2, MEND).await;
    let second = line.screen_anew(&[]).await;
    line.make_live(SECOND, second).await;
    assert_eq!(
        line.standing().await,
        ["payments fail", "restart the gateway"]
    );
    assert_eq!(line.extractor.asked().len(), 1);
    let units: Vec<telesift_schemas::UnitRecord> = line.topic(Topic::UNITS).await;
    assert_eq!(units.len(), 1, "{units:?}");
}
