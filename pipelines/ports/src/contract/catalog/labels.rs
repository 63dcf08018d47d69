//! What every catalog keeps to about labels.

use std::future::Future;

use telesift_schemas::{ChatId, Class, MessageKey, Offset};

use super::{Must, at};
use crate::catalog::{Catalog, LabelFilter, LabelRow};

pub(super) async fn run<C, F, Fut>(fresh: F)
where
    C: Catalog,
    F: Fn() -> Fut,
    Fut: Future<Output = C>,
{
    the_last_label_of_an_owner_and_version_counts(&fresh().await).await;
    labels_come_back_as_they_were(&fresh().await).await;
    labels_of_many_messages_are_found_at_once(&fresh().await).await;
    labels_are_listed_latest_first_in_pages(&fresh().await).await;
    labels_are_listed_as_the_filter_says(&fresh().await).await;
}

fn key(chat: i64, message_id: i64) -> MessageKey {
    MessageKey {
        chat: ChatId(chat),
        message_id,
    }
}

fn label(message: MessageKey, owner: &str, class: Option<Class>, decided: u64) -> LabelRow {
    LabelRow {
        message,
        edit: 0,
        owner: owner.to_owned(),
        class,
        spam: None,
        at: at(decided as i64),
        decided: Offset(decided),
    }
}

async fn sorted(catalog: &impl Catalog, messages: &[MessageKey]) -> Vec<LabelRow> {
    let mut found = catalog.labels_of(messages).await.must();
    found.sort_by_key(|l| l.decided);
    found
}

async fn offsets(catalog: &impl Catalog, filter: &LabelFilter) -> Vec<u64> {
    let found = catalog.labels(filter, None, 1_000).await.must();
    found.into_iter().map(|l| l.decided.0).collect()
}

/// Whatever order they are stored in, and however often.
async fn the_last_label_of_an_owner_and_version_counts(catalog: &impl Catalog) {
    assert!(!catalog.has_labels().await.must());
    let message = key(-100, 1);
    let first = label(message, "Олена", Some(Class::Noise), 3);
    let second = label(message, "Олена", Some(Class::Signal), 7);
    let other = label(message, "olena", Some(Class::Noise), 5);
    let mut edited = label(message, "Олена", Some(Class::WeakSignal), 6);
    edited.edit = 1_767_600_000;
    let stored = [first.clone(), second.clone(), other.clone(), edited.clone()];
    catalog.put_labels(&stored).await.must();
    catalog
        .put_labels(std::slice::from_ref(&first))
        .await
        .must();
    catalog.put_labels(&stored).await.must();
    assert_eq!(
        sorted(catalog, &[message]).await,
        [other.clone(), edited.clone(), second.clone()]
    );
    let taken_back = label(message, "Олена", None, 9);
    catalog
        .put_labels(std::slice::from_ref(&taken_back))
        .await
        .must();
    catalog.put_labels(&[second]).await.must();
    assert_eq!(
        sorted(catalog, &[message]).await,
        [other, edited, taken_back],
        "what was taken back stays known, so that nothing older comes back"
    );
    assert!(catalog.has_labels().await.must());
    catalog.put_labels(&[]).await.must();
}

async fn labels_come_back_as_they_were(catalog: &impl Catalog) {
    let mut wanted = Vec::new();
    for (decided, spam) in [(1, None), (2, Some(true)), (3, Some(false))] {
        for (i, class) in [None, Some(Class::Noise), Some(Class::Signal)]
            .into_iter()
            .enumerate()
        {
            let decided = decided * 10 + i as u64;
            let mut row = label(key(i64::MIN + 1, i64::MAX), "it's; --", class, decided);
            row.owner += &decided.to_string();
            row.spam = spam;
            wanted.push(row);
        }
    }
    catalog.put_labels(&wanted).await.must();
    assert_eq!(sorted(catalog, &[wanted[0].message]).await, wanted);
}

async fn labels_of_many_messages_are_found_at_once(catalog: &impl Catalog) {
    let labels: Vec<LabelRow> = (1..=40)
        .map(|i| label(key(-100 - i % 2, i), "a", Some(Class::Noise), i as u64))
        .collect();
    catalog.put_labels(&labels).await.must();
    assert_eq!(catalog.labels_of(&[]).await.must(), []);
    assert_eq!(
        catalog
            .labels_of(&[key(-101, 2), key(-100, 1)])
            .await
            .must(),
        [],
        "the ids of other chats' messages"
    );
    // More than any one query takes, most of them without a label, some twice.
    let asked: Vec<MessageKey> = (1..=1_500)
        .flat_map(|i| [key(-100 - i % 2, i), key(-100 - i % 2, i % 7 + 1)])
        .collect();
    assert_eq!(sorted(catalog, &asked).await, labels);
}

async fn labels_are_listed_latest_first_in_pages(catalog: &impl Catalog) {
    let labels: Vec<LabelRow> = (1..=9)
        .map(|i| {
            let class = (i % 3 != 0).then_some(Class::Signal);
            label(key(-100, i), "a", class, 2 * i as u64)
        })
        .collect();
    catalog.put_labels(&labels).await.must();
    let filter = LabelFilter::default();
    let page = async |before: Option<u64>, limit| {
        let found = catalog
            .labels(&filter, before.map(Offset), limit)
            .await
            .must();
        found.into_iter().map(|l| l.decided.0).collect::<Vec<_>>()
    };
    assert_eq!(page(None, 4).await, [16, 14, 10, 8]);
    assert_eq!(page(Some(8), 4).await, [4, 2]);
    assert_eq!(page(Some(2), 4).await, [] as [u64; 0]);
    assert_eq!(page(None, 0).await, [] as [u64; 0]);
}

async fn labels_are_listed_as_the_filter_says(catalog: &impl Catalog) {
    let mut labels = Vec::new();
    for i in 1..=700_u64 {
        let class = [
            Some(Class::Noise),
            Some(Class::Signal),
            Some(Class::WeakSignal),
            None,
        ][i as usize % 4];
        let owner = ["Олена", "olena", "OLENA", "100%_"][i as usize / 4 % 4];
        let mut row = label(key(-100 - (i as i64 % 3), i as i64 % 50), owner, class, i);
        row.spam = (i % 5 == 0).then_some(true);
        row.edit = i as i64;
        labels.push(row);
    }
    catalog.put_labels(&labels).await.must();
    let chats = |ids: &[i64]| ids.iter().copied().map(ChatId).collect::<Vec<_>>();
    let owners = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let filters = [
        LabelFilter::default(),
        LabelFilter {
            messages: vec![key(-101, 1)],
            ..LabelFilter::default()
        },
        LabelFilter {
            messages: vec![key(-101, 1), key(-102, 2)],
            classes: vec![Class::Noise, Class::Signal],
            ..LabelFilter::default()
        },
        LabelFilter {
            chats: chats(&[-100]),
            owners: owners(&["olena"]),
            ..LabelFilter::default()
        },
        LabelFilter {
            chats: chats(&[-100, -102]),
            owners: owners(&["100%_", "nobody", "Олена"]),
            classes: vec![Class::WeakSignal],
            ..LabelFilter::default()
        },
        LabelFilter {
            visible_chats: Some(chats(&[-101])),
            chats: chats(&[-100, -101]),
            ..LabelFilter::default()
        },
        LabelFilter {
            visible_chats: Some(Vec::new()),
            ..LabelFilter::default()
        },
    ];
    for filter in filters {
        let wanted: Vec<u64> = labels
            .iter()
            .rev()
            .filter(|l| filter.matches(l))
            .map(|l| l.decided.0)
            .collect();
        let empty = filter.visible_chats.as_ref().is_some_and(Vec::is_empty);
        assert_eq!(wanted.is_empty(), empty, "{filter:?}");
        assert_eq!(offsets(catalog, &filter).await, wanted, "{filter:?}");
    }
}
