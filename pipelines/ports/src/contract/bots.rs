//! What every catalog keeps to about bots.

use std::future::Future;

use telesift_schemas::{ChatId, Timestamp};

use crate::{
    bots::{BotCatalog, BotRow, BotSecrets, Delivery},
    catalog::Error,
    secret::Secret,
};

/// Runs the whole suite; `fresh` gives an empty catalog each time.
///
/// # Panics
/// When the catalog breaks the contract.
pub async fn run<C, F, Fut>(fresh: F)
where
    C: BotCatalog,
    F: Fn() -> Fut,
    Fut: Future<Output = C>,
{
    bots_come_back_as_they_were(&fresh().await).await;
    a_name_and_an_id_are_given_once(&fresh().await).await;
    a_removed_bot_can_be_added_again(&fresh().await).await;
}

/// A bot with secrets that can be told from others'.
pub fn bot(name: &str, id: i64) -> BotRow {
    BotRow {
        name: name.to_owned(),
        id,
        secrets: Ok(BotSecrets {
            token: Secret::new(format!("{id}:token-of-{name}")),
            webhook: Some(Secret::new(format!("secret_{name}"))),
        }),
        delivery: Delivery::Webhook,
        registered: true,
        chats: vec![ChatId(-1_001_234_567_890), ChatId(42)],
        created_at: Timestamp::from_second(1_767_600_000).expect("a time in range"),
    }
}

async fn bots_come_back_as_they_were(catalog: &impl BotCatalog) {
    assert_eq!(catalog.bots().await.expect("an answer"), []);
    let polled = BotRow {
        secrets: Ok(BotSecrets {
            token: Secret::new("7:ж"),
            webhook: None,
        }),
        delivery: Delivery::Polling,
        registered: false,
        chats: Vec::new(),
        ..bot("a.polled-bot", 7)
    };
    let called = bot("ops", 123_456);
    for row in [&called, &polled] {
        catalog.add_bot(row).await.expect("it is stored");
    }
    assert_eq!(catalog.bots().await.expect("an answer"), [polled, called]);
}

async fn a_name_and_an_id_are_given_once(catalog: &impl BotCatalog) {
    catalog.add_bot(&bot("ops", 1)).await.expect("it is stored");
    for (name, id) in [("ops", 2), ("other", 1)] {
        let refused = catalog.add_bot(&bot(name, id)).await;
        assert!(
            matches!(&refused, Err(Error::Conflict { what }) if *what == format!("bot/{name}")),
            "{refused:?}"
        );
    }
    assert_eq!(catalog.bots().await.expect("an answer").len(), 1);
}

async fn a_removed_bot_can_be_added_again(catalog: &impl BotCatalog) {
    catalog.add_bot(&bot("ops", 1)).await.expect("it is stored");
    assert!(!catalog.remove_bot("nobody").await.expect("an answer"));
    assert!(catalog.remove_bot("ops").await.expect("an answer"));
    assert!(!catalog.remove_bot("ops").await.expect("an answer"));
    assert_eq!(catalog.bots().await.expect("an answer"), []);
    catalog.add_bot(&bot("ops", 1)).await.expect("it is stored");
}
