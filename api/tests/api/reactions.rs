//! Reactions: what came later stands in place of what the record says, in every answer, and makes no version.

use serde_json::json;
use telesift_ports::catalog::{ReactionCatalog, ReactionRow};
use telesift_schemas::{ChatId, Offset, ReactionsOf, Timestamp};

use crate::desk::{Desk, OPS, message};

#[tokio::test]
async fn later_reactions_stand_in_every_answer() {
    let desk = Desk::new().await;
    let taken = desk
        .take_in(message(OPS, 1, "signal", "реліз завтра"))
        .await;
    desk.take_in(message(OPS, 2, "signal", "реліз сьогодні"))
        .await;
    let row = |of, second, emoji: &str| ReactionRow {
        message: taken.id,
        of,
        at: Timestamp::from_second(second).unwrap(),
        offset: Offset(9),
        reactions: [(emoji.to_owned(), 1)].into(),
    };
    let one = ReactionsOf::Actor(ChatId(5));
    let other = ReactionsOf::Actor(ChatId(6));
    let rows = [row(one, 10, "🔥"), row(other, 10, "🔥")];
    desk.catalog.put_reactions(&rows).await.unwrap();

    let id = taken.id;
    let single = desk
        .get(&format!("/v1/messages/{id}?history=true"))
        .await
        .ok();
    assert_eq!(single["reactions"], json!({"🔥": 2}));
    assert_eq!((&single["edit"], &single["edits"]), (&json!(0), &json!([])));
    let list = desk.get("/v1/messages").await.ok();
    assert_eq!(list["items"][1]["reactions"], json!({"🔥": 2}));
    assert_eq!(
        list["items"][0]["reactions"],
        json!({"👍": 3}),
        "as its record says"
    );
    let context = desk.get(&format!("/v1/messages/{id}/context")).await.ok();
    assert_eq!(context["items"][0]["reactions"], json!({"🔥": 2}));
    let hits = desk
        .post("/v1/search", json!({"query": "завтра", "mode": "text"}))
        .await
        .ok();
    assert_eq!(hits["hits"][0]["message"]["reactions"], json!({"🔥": 2}));
}
