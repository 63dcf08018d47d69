//! What the stories of every catalog keep to.

use std::collections::BTreeMap;

use telesift_schemas::{
    ChatId, Generation, MessageKey, Offset, Origin, PartitionId, StoryAssigned, StoryLink,
    Timestamp, Topic,
};

use crate::{
    catalog::Catalog,
    contract::Must as _,
    story_catalog::{MemberPosition, StorySummary},
};

/// The stories of most checks are of this generation.
const OF: Generation = Generation(2);

const NEWS: ChatId = ChatId(-1_001_000_000_001);
const CITY: ChatId = ChatId(-1_001_000_000_002);
const HIDDEN: ChatId = ChatId(-1_001_000_000_003);

/// Runs the suite on an empty catalog.
pub(super) async fn run(catalog: &impl Catalog) {
    catalog.add_story_members(OF, &[]).await.must();
    catalog.add_story_members(OF, &members()).await.must();
    // What was delivered before, and what would change it.
    let moved = assigned((CITY, 2), 0, "other");
    catalog.add_story_members(OF, &members()).await.must();
    catalog.add_story_members(OF, &[moved]).await.must();
    stories_are_found_by_their_messages(catalog).await;
    what_may_not_be_seen_does_not_count(catalog).await;
    members_are_listed_oldest_first(catalog).await;
    many_messages_are_asked_for_at_once(catalog).await;
    generations_do_not_mix(catalog).await;
}

async fn generations_do_not_mix(catalog: &impl Catalog) {
    let other = Generation(3);
    let asked = [key((CITY, 2))];
    assert_eq!(catalog.stories_of(other, &asked, None).await.must(), []);
    let moved = [assigned((CITY, 2), 20, "c"), assigned((CITY, 1), 20, "c")];
    catalog.add_story_members(other, &moved).await.must();
    let found = catalog.stories_of(other, &asked, None).await.must();
    assert_eq!(found, [(asked[0], summary("c", (CITY, 1), 2))]);
    for _ in 0..2 {
        catalog.remove_stories(OF).await.must();
    }
    assert_eq!(catalog.stories_of(OF, &asked, None).await.must(), []);
    assert_eq!(catalog.stories_of(other, &asked, None).await.must(), found);
}

fn key((chat, message_id): (ChatId, i64)) -> MessageKey {
    MessageKey { chat, message_id }
}

fn assigned(message: (ChatId, i64), second: i64, story: &str) -> StoryAssigned {
    StoryAssigned {
        v: StoryAssigned::VERSION,
        message: key(message),
        edit: 0,
        story: story.to_owned(),
        first: key((HIDDEN, 1)),
        how: StoryLink::Near,
        similarity: 0.875,
        event_time: Timestamp::from_second(1_767_600_000 + second).expect("a time in range"),
        first_time: None,
        joined_time: None,
        origin: Origin {
            topic: Topic::TELEGRAM_RAW,
            partition: PartitionId(0),
            offset: Offset(7),
        },
    }
}

/// Story `a` is told in all chats, `b` in two of which one is hidden.
fn members() -> Vec<StoryAssigned> {
    vec![
        assigned((NEWS, 5), 30, "a"),
        assigned((HIDDEN, 1), 10, "a"),
        assigned((CITY, 2), 20, "a"),
        assigned((CITY, 1), 20, "a"),
        assigned((HIDDEN, 3), 50, "b"),
        assigned((CITY, 9), 40, "b"),
    ]
}

async fn told(
    catalog: &impl Catalog,
    asked: &[(ChatId, i64)],
    chats: Option<&[ChatId]>,
) -> BTreeMap<MessageKey, StorySummary> {
    let asked: Vec<_> = asked.iter().copied().map(key).collect();
    let found = catalog.stories_of(OF, &asked, chats).await.must();
    let n = found.len();
    let found: BTreeMap<_, _> = found.into_iter().collect();
    assert_eq!(found.len(), n, "one story per message");
    found
}

fn summary(id: &str, first: (ChatId, i64), size: u64) -> StorySummary {
    StorySummary {
        id: id.to_owned(),
        first: key(first),
        size,
    }
}

async fn stories_are_found_by_their_messages(catalog: &impl Catalog) {
    assert_eq!(told(catalog, &[], None).await, BTreeMap::new());
    let asked = [(CITY, 2), (CITY, 9), (NEWS, 5), (NEWS, 6), (CITY, 5)];
    let expected = BTreeMap::from([
        (key((CITY, 2)), summary("a", (HIDDEN, 1), 4)),
        (key((NEWS, 5)), summary("a", (HIDDEN, 1), 4)),
        (key((CITY, 9)), summary("b", (CITY, 9), 2)),
    ]);
    assert_eq!(told(catalog, &asked, None).await, expected);
}

async fn what_may_not_be_seen_does_not_count(catalog: &impl Catalog) {
    let asked = [(CITY, 2), (CITY, 9)];
    let seen = told(catalog, &asked, Some(&[CITY, NEWS])).await;
    let a = summary("a", (CITY, 1), 3);
    assert_eq!(seen, BTreeMap::from([(key((CITY, 2)), a)]));
    assert_eq!(told(catalog, &asked, Some(&[])).await, BTreeMap::new());
    let members = catalog.story_members(OF, "a", Some(&[NEWS]), None, 9).await;
    assert_eq!(members.must().len(), 1);
    let members = catalog.story_members(OF, "a", Some(&[]), None, 9).await;
    assert_eq!(members.must().len(), 0);
}

async fn members_are_listed_oldest_first(catalog: &impl Catalog) {
    let expected = [(HIDDEN, 1), (CITY, 1), (CITY, 2), (NEWS, 5)].map(key);
    for limit in 1..=5 {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = catalog
                .story_members(OF, "a", None, after.as_ref(), limit)
                .await;
            let page = page.must();
            let Some(last) = page.last() else { break };
            assert!(page.len() <= limit);
            after = Some(MemberPosition::from(last));
            listed.extend(page);
        }
        let keys: Vec<_> = listed.iter().map(|m| m.message).collect();
        assert_eq!(keys, expected);
        assert_eq!(
            (listed[0].how, listed[0].similarity),
            (StoryLink::Near, 0.875)
        );
        assert_eq!(listed[0].event_time.as_second(), 1_767_600_010);
    }
    let nobody = catalog.story_members(OF, "c", None, None, 9).await.must();
    assert_eq!(nobody, []);
}

async fn many_messages_are_asked_for_at_once(catalog: &impl Catalog) {
    let chat = ChatId(i64::MIN + 1);
    let many: Vec<_> = (0..1_000)
        .map(|i| assigned((chat, i), i, &format!("many-{}", i / 2)))
        .collect();
    catalog.add_story_members(OF, &many).await.must();
    let asked: Vec<_> = (0..1_000).map(|i| (chat, i)).collect();
    let chats: Vec<_> = (0..500).map(ChatId).chain([chat]).collect();
    let found = told(catalog, &asked, Some(&chats)).await;
    assert_eq!(found.len(), 1_000);
    let last = summary("many-499", (chat, 998), 2);
    assert_eq!(found[&key((chat, 999))], last);
}
