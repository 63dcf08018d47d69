//! What every catalog keeps to about the rows of windows.

use std::{collections::HashMap, future::Future};

use telesift_schemas::{ChatId, Class, Generation, MessageKey, Offset};
use telesift_windows::{Changes, MinuteChange, Said, Told, changes};

use super::{Must, at, stage, state};
use crate::{
    catalog::{Catalog, Error},
    leases::Fence,
    windows::{SumsFilter, SumsRow, ToldFilter, ToldPosition, WindowCommit},
};

const FIRST: Generation = Generation::FIRST;
const SECOND: Generation = Generation(2);
const NEWS: ChatId = ChatId(-1_001_000_000_001);
const CITY: ChatId = ChatId(-1_001_000_000_002);

pub(super) async fn run<C, F, Fut>(fresh: F)
where
    C: Catalog,
    F: Fn() -> Fut,
    Fut: Future<Output = C>,
{
    rows_and_minutes_move_with_the_stage(&fresh().await).await;
    an_edit_takes_back_what_it_replaces(&fresh().await).await;
    rows_are_listed_by_time(&fresh().await).await;
    minutes_are_summed_up(&fresh().await).await;
    the_newest_of_a_chat_is_known(&fresh().await).await;
    many_rows_are_stored_at_once(&fresh().await).await;
    generations_do_not_see_each_other(&fresh().await).await;
}

fn told(chat: ChatId, id: i64, edit: i64, second: i64, class: Class) -> Told {
    Told {
        key: MessageKey {
            chat,
            message_id: id,
        },
        version: (edit, 7),
        event_time: at(second),
        said: Some(Said {
            class,
            score_millionths: 250_000,
            flags: 0b10_0001,
            terms: "міст закрит".to_owned(),
            words: " закрито".to_owned(),
            links: "https://a.example/?q=1\nhttps://b.example/".to_owned(),
        }),
    }
}

/// Takes in what `arrived`, as the stage does, from where it is to `next`.
async fn take(catalog: &impl Catalog, arrived: Vec<Told>, next: u64) -> Changes {
    let keys: Vec<MessageKey> = arrived.iter().map(|t| t.key).collect();
    let known: HashMap<_, _> = catalog
        .told(FIRST, &keys)
        .await
        .must()
        .into_iter()
        .map(|t| (t.key, t))
        .collect();
    let changed = changes(known, arrived);
    let before = catalog.stage_state(&stage("windows", 0)).await.must();
    let expected = before.map(|s| s.next);
    put(catalog, &changed, expected, next).await.must();
    changed
}

async fn put(
    catalog: &impl Catalog,
    changed: &Changes,
    expected: Option<Offset>,
    next: u64,
) -> crate::catalog::Result<()> {
    let commit = WindowCommit {
        generation: FIRST,
        key: &stage("windows", 0),
        expected,
        state: &state(next),
        fence: &Fence::open(),
        told: &changed.told,
        minutes: &changed.minutes,
    };
    catalog.put_windows(commit).await
}

async fn sums(catalog: &impl Catalog, filter: SumsFilter) -> Vec<SumsRow> {
    catalog.minute_sums(FIRST, &filter).await.must()
}

async fn rows_and_minutes_move_with_the_stage(catalog: &impl Catalog) {
    assert_eq!(catalog.told(FIRST, &[]).await.must(), []);
    let first = told(NEWS, 1, 0, 0, Class::Signal);
    let changed = take(catalog, vec![first.clone()], 5).await;
    assert_eq!(
        catalog.told(FIRST, &[first.key]).await.must(),
        std::slice::from_ref(&first)
    );
    let stored = catalog.stage_state(&stage("windows", 0)).await.must();
    assert_eq!(stored, Some(state(5)));

    // Somebody who starts from elsewhere writes nothing at all.
    for expected in [None, Some(Offset(4))] {
        let refused = put(catalog, &changed, expected, 9).await;
        assert!(
            matches!(refused, Err(Error::Conflict { .. })),
            "{refused:?}"
        );
    }
    let all = sums(catalog, SumsFilter::default()).await;
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].sums.messages(), 1);
}

async fn an_edit_takes_back_what_it_replaces(catalog: &impl Catalog) {
    let first = told(NEWS, 1, 0, 0, Class::Noise);
    let edit = told(NEWS, 1, 9, 0, Class::Signal);
    take(catalog, vec![first.clone()], 1).await;
    take(catalog, vec![edit.clone()], 2).await;
    // What comes again, and what is older.
    let again = take(catalog, vec![edit.clone(), first], 3).await;
    assert_eq!((again.told.len(), again.n_stale), (0, 2));
    let all = sums(catalog, SumsFilter::default()).await;
    assert_eq!(all[0].sums.classes, [0, 0, 1]);
    assert_eq!(all[0].sums.flags, [1, 0, 0, 0, 0, 1]);
    assert_eq!(
        catalog.told(FIRST, &[edit.key]).await.must(),
        std::slice::from_ref(&edit)
    );

    let gone = Told {
        version: (i64::MAX, 8),
        event_time: at(3_600),
        said: None,
        ..edit.clone()
    };
    take(catalog, vec![gone.clone(), edit.clone()], 4).await;
    assert_eq!(catalog.told(FIRST, &[edit.key]).await.must(), [gone]);
    assert_eq!(sums(catalog, SumsFilter::default()).await, []);
    let listed = catalog
        .told_between(FIRST, &ToldFilter::default(), None, 9)
        .await;
    assert_eq!(listed.must(), []);
}

async fn rows_are_listed_by_time(catalog: &impl Catalog) {
    let rows = vec![
        told(NEWS, 2, 0, 20, Class::Signal),
        told(CITY, 9, 0, 10, Class::Noise),
        told(CITY, 1, 0, 20, Class::WeakSignal),
        told(NEWS, 1, 0, 5, Class::Signal),
    ];
    take(catalog, rows, 1).await;
    let listed = async |filter: ToldFilter, limit: usize| {
        let (mut keys, mut after) = (Vec::new(), None);
        loop {
            let page = catalog
                .told_between(FIRST, &filter, after.as_ref(), limit)
                .await
                .must();
            let Some(last) = page.last() else { return keys };
            after = Some(ToldPosition::from(last));
            keys.extend(page.iter().map(|t| (t.key.chat, t.key.message_id)));
        }
    };
    for limit in 1..=5 {
        let all = listed(ToldFilter::default(), limit).await;
        assert_eq!(all, [(NEWS, 1), (CITY, 9), (CITY, 1), (NEWS, 2)]);
    }
    let some = ToldFilter {
        since: Some(at(10)),
        until: Some(at(20)),
        ..ToldFilter::default()
    };
    assert_eq!(listed(some, 9).await, [(CITY, 9)]);
    let of_city = |without_noise| ToldFilter {
        without_noise,
        chats: Some(vec![CITY, ChatId(5)]),
        ..ToldFilter::default()
    };
    assert_eq!(listed(of_city(false), 9).await, [(CITY, 9), (CITY, 1)]);
    assert_eq!(listed(of_city(true), 9).await, [(CITY, 1)]);
    let of_nobody = ToldFilter {
        chats: Some(Vec::new()),
        ..ToldFilter::default()
    };
    assert_eq!(listed(of_nobody, 9).await, []);
}

async fn minutes_are_summed_up(catalog: &impl Catalog) {
    let minute = 60;
    let rows = [
        (NEWS, 1, 0, Class::Signal),
        (NEWS, 2, 59, Class::Noise),
        (NEWS, 3, 14 * minute, Class::Noise),
        (CITY, 1, 16 * minute, Class::WeakSignal),
    ];
    let rows = rows.map(|(chat, id, second, class)| told(chat, id, 0, second, class));
    take(catalog, rows.to_vec(), 1).await;
    let first = at(0).as_second() / 60;
    let shown = |rows: Vec<SumsRow>| {
        let show = |r: &SumsRow| (r.chat, r.number, r.sums.messages(), r.last_minute - first);
        rows.iter().map(show).collect::<Vec<_>>()
    };
    let quarters = SumsFilter {
        width: Some(15),
        ..SumsFilter::default()
    };
    let quarter = first / 15;
    // 10:00 UTC is the start of one.
    let found = shown(sums(catalog, quarters.clone()).await);
    assert_eq!(found, [(None, quarter, 3, 14), (None, quarter + 1, 1, 16)]);
    let per_chat = SumsFilter {
        per_chat: true,
        ..SumsFilter::default()
    };
    let found = shown(sums(catalog, per_chat).await);
    assert_eq!(found, [(Some(CITY), 0, 1, 16), (Some(NEWS), 0, 3, 14)]);
    let narrow = SumsFilter {
        from: Some(first),
        to: Some(first + 14),
        per_chat: true,
        chats: Some(vec![NEWS]),
        ..quarters
    };
    let found = sums(catalog, narrow).await;
    assert_eq!(found[0].sums.classes, [1, 0, 1]);
    assert_eq!(found[0].sums.score_millionths, 500_000);
    assert_eq!(shown(found), [(Some(NEWS), quarter, 2, 0)]);
    let of_nobody = SumsFilter {
        chats: Some(Vec::new()),
        ..SumsFilter::default()
    };
    assert_eq!(sums(catalog, of_nobody).await, []);
}

async fn the_newest_of_a_chat_is_known(catalog: &impl Catalog) {
    let newest = async |of, chats: &[ChatId]| {
        let mut found = catalog.newest_told(of, chats).await.must();
        found.sort();
        let found = found.iter().map(|key| (key.chat, key.message_id));
        found.collect::<Vec<_>>()
    };
    let many: Vec<ChatId> = (0..300).map(ChatId).chain([NEWS, CITY]).collect();
    assert_eq!(newest(FIRST, &many).await, []);
    let rows = [(NEWS, 7), (CITY, -3), (NEWS, 900), (CITY, -9)];
    let rows = rows.map(|(chat, id)| told(chat, id, 0, 0, Class::Noise));
    take(catalog, rows.to_vec(), 1).await;
    assert_eq!(newest(FIRST, &many).await, [(CITY, -3), (NEWS, 900)]);
    assert_eq!(newest(FIRST, &[NEWS]).await, [(NEWS, 900)]);
    assert_eq!(newest(FIRST, &[]).await, []);
    assert_eq!(newest(SECOND, &many).await, []);
}

async fn many_rows_are_stored_at_once(catalog: &impl Catalog) {
    let rows: Vec<Told> = (0..1_000)
        .map(|i| told(NEWS, i, 0, i, Class::Noise))
        .collect();
    let keys: Vec<MessageKey> = rows.iter().map(|t| t.key).collect();
    take(catalog, rows, 1_000).await;
    assert_eq!(catalog.told(FIRST, &keys).await.must().len(), 1_000);
    let all = sums(catalog, SumsFilter::default()).await;
    assert_eq!(all[0].sums.classes, [1_000, 0, 0]);
    let none = Changes {
        minutes: vec![MinuteChange {
            chat: NEWS,
            minute: 1,
            change: all[0].sums,
        }],
        ..Changes::default()
    };
    put(catalog, &none, Some(Offset(1_000)), 1_001).await.must();
    let all = sums(catalog, SumsFilter::default()).await;
    assert_eq!(all[0].sums.messages(), 2_000);
}

async fn generations_do_not_see_each_other(catalog: &impl Catalog) {
    let first = told(NEWS, 1, 0, 0, Class::Noise);
    let second = told(NEWS, 1, 0, 0, Class::Signal);
    take(catalog, vec![first.clone()], 1).await;
    let changed = changes(HashMap::new(), vec![second.clone()]);
    let commit = WindowCommit {
        generation: SECOND,
        key: &stage("windows-g2", 0),
        expected: None,
        state: &state(1),
        fence: &Fence::open(),
        told: &changed.told,
        minutes: &changed.minutes,
    };
    catalog.put_windows(commit).await.must();
    let classes = async |of| {
        let rows = catalog.minute_sums(of, &SumsFilter::default()).await.must();
        rows.iter().map(|r| r.sums.classes).collect::<Vec<_>>()
    };
    assert_eq!(classes(FIRST).await, [[1, 0, 0]]);
    assert_eq!(classes(SECOND).await, [[0, 0, 1]]);
    let filter = ToldFilter::default();
    let listed = catalog.told_between(SECOND, &filter, None, 9).await;
    assert_eq!(listed.must(), std::slice::from_ref(&second));
    let known = catalog.told(SECOND, &[second.key]).await.must();
    assert_eq!(known, [second]);
    for _ in 0..2 {
        catalog.remove_windows(SECOND).await.must();
        assert_eq!(classes(SECOND).await, [] as [[i64; 3]; 0]);
        assert_eq!(classes(FIRST).await, [[1, 0, 0]]);
    }
    assert_eq!(catalog.told(FIRST, &[first.key]).await.must(), [first]);
}
