//! What every catalog keeps to about reactions and links between chats.

use std::{collections::BTreeMap, future::Future};

use telesift_schemas::{ChatId, MessageKey, Offset, ReactionsOf};

use super::{Must, at};
use crate::catalog::{Catalog, ReactionRow, reaction_counts};

pub(super) async fn run<C, F, Fut>(fresh: F)
where
    C: Catalog,
    F: Fn() -> Fut,
    Fut: Future<Output = C>,
{
    the_latest_reactions_of_a_hand_count(&fresh().await).await;
    reactions_of_many_messages_are_found_at_once(&fresh().await).await;
    chats_are_linked_once(&fresh().await).await;
}

fn key(message_id: i64) -> MessageKey {
    MessageKey {
        chat: ChatId(-1_001_234_567_890),
        message_id,
    }
}

fn row(message_id: i64, of: ReactionsOf, second: i64, offset: u64, emojis: &[&str]) -> ReactionRow {
    ReactionRow {
        message: key(message_id),
        of,
        at: at(second),
        offset: Offset(offset),
        reactions: emojis.iter().map(|e| ((*e).to_owned(), 1)).collect(),
    }
}

/// In whatever order they come, and however often.
async fn the_latest_reactions_of_a_hand_count(catalog: &impl Catalog) {
    assert!(!catalog.has_reactions().await.must());
    let (olena, taras) = (
        ReactionsOf::Actor(ChatId(7)),
        ReactionsOf::Actor(ChatId(-1_009)),
    );
    let rows = [
        row(1, olena, 10, 5, &["👍"]),
        row(1, olena, 20, 3, &["👍", "🔥"]),
        row(1, olena, 20, 4, &["custom:77"]),
        row(1, taras, 5, 9, &["custom:77"]),
        row(2, olena, 5, 1, &["👍"]),
        row(2, olena, 6, 2, &[]),
    ];
    for order in [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [2, 5, 0, 4, 1, 3]] {
        for i in order {
            catalog
                .put_reactions(std::slice::from_ref(&rows[i]))
                .await
                .must();
        }
        let mut found = catalog.reactions_of(&[key(1), key(2)]).await.must();
        found.sort_by_key(|r| (r.message, r.of));
        let mut wanted = [rows[2].clone(), rows[3].clone(), rows[5].clone()];
        wanted.sort_by_key(|r| (r.message, r.of));
        assert_eq!(found, wanted, "{order:?}");
        let counts = reaction_counts(found);
        assert_eq!(
            counts[&key(1)],
            BTreeMap::from([("custom:77".to_owned(), 2)])
        );
        assert_eq!(counts[&key(2)], BTreeMap::new(), "all were taken back");
    }
    let mut everybody = row(1, ReactionsOf::Everybody, 1, 1, &[]);
    everybody.reactions = BTreeMap::from([("👍".to_owned(), 40)]);
    catalog.put_reactions(&[everybody.clone()]).await.must();
    let counts = reaction_counts(catalog.reactions_of(&[key(1)]).await.must());
    assert_eq!(counts[&key(1)], everybody.reactions);
    assert!(catalog.has_reactions().await.must());
}

async fn reactions_of_many_messages_are_found_at_once(catalog: &impl Catalog) {
    let rows: Vec<ReactionRow> = (1..=30)
        .map(|i| row(i, ReactionsOf::Everybody, i, i as u64, &["👍"]))
        .collect();
    catalog.put_reactions(&rows).await.must();
    assert_eq!(catalog.reactions_of(&[]).await.must(), []);
    let asked: Vec<MessageKey> = (1..=700).flat_map(|i| [key(i), key(i)]).collect();
    let mut found = catalog.reactions_of(&asked).await.must();
    found.sort_by_key(|r| r.message);
    assert_eq!(found, rows);
}

async fn chats_are_linked_once(catalog: &impl Catalog) {
    assert_eq!(catalog.chat_links().await.must(), []);
    let (group, supergroup) = (ChatId(-55), ChatId(-1_002_100_000_001));
    for _ in 0..2 {
        catalog.link_chats(group, supergroup).await.must();
    }
    catalog.link_chats(ChatId(-99), ChatId(-1_003)).await.must();
    assert_eq!(
        catalog.chat_links().await.must(),
        [(ChatId(-99), ChatId(-1_003)), (group, supergroup)]
    );
}
