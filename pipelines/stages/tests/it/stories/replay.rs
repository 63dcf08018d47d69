//! The same log gives the same stories, however it is cut and wherever the stage starts anew.

use telesift_stages::stories::StoriesConfig;

use super::{
    ALERT, NEWS,
    board::{Board, Post},
    edited,
};

/// Numbers that look random and are the same each time (Knuth's MMIX generator).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        let next = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = next.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Chatter, alerts, reposts, forwards and edits over eight chats, with times that go to and fro.
fn posts(seed: u64) -> Vec<Post> {
    let mut dice = Dice(seed);
    let texts = [
        NEWS,
        ALERT,
        "Дякую, вже бачу",
        "Збори перенесено на четвер, десята ранку, кімната на другому поверсі",
    ];
    let mut posts: Vec<Post> = Vec::new();
    for id in 0..160 {
        let chat = 1 + dice.roll(8) as i64;
        let minute = id * 9 - dice.roll(400) as i64;
        let text = texts[dice.roll(4) as usize];
        let text = edited(text, dice.roll(12) as usize);
        let post = Post::new(chat, id, minute, &text);
        posts.push(match dice.roll(6) {
            0 => post.forward(Some((
                1 + dice.roll(8) as i64,
                dice.roll(id as u64 + 1) as i64,
            ))),
            1 if id > 3 => {
                // Recent enough not to be forgotten.
                let back = 1 + dice.roll(8.min(id as u64)) as usize;
                posts[posts.len() - back].clone().edit(1_000 + id)
            }
            2 => post.class("noise"),
            _ => post,
        });
    }
    posts
}

#[tokio::test]
async fn any_cut_and_any_restart_give_the_same_stories() {
    // So few records that much is forgotten on the way, and so many that nothing is.
    for max_records in [25, 200_000] {
        for seed in 1..=4 {
            let config = StoriesConfig {
                max_records,
                ..StoriesConfig::default()
            };
            let posts = posts(seed);
            let whole = Board::new(4).await;
            whole.post_all(&posts).await;
            whole.run(config, 10_000).await;
            let expected = whole.assigned().await;
            assert!(expected.len() > 40, "{}", expected.len());
            let counters = whole.counters().await;
            for cut in 1..=6_u64 {
                let board = Board::new(4).await;
                board.post_all(&posts).await;
                let (mut sizes, mut restarts) = (Dice(seed * 100 + cut), Dice(cut));
                board
                    .run_in_pieces(
                        config,
                        || 1 + sizes.roll(cut * cut) as usize,
                        || restarts.roll(3) == 0,
                    )
                    .await;
                assert_eq!(board.assigned().await, expected, "seed {seed}, cut {cut}");
                assert_eq!(board.counters().await, counters);
            }
        }
    }
}

#[tokio::test]
async fn a_second_run_over_a_finished_log_adds_nothing() {
    let board = Board::new(2).await;
    board.post_all(&posts(9)).await;
    board.run(StoriesConfig::default(), 7).await;
    let stories = board.assigned().await;
    board.run(StoriesConfig::default(), 3).await;
    assert_eq!(board.assigned().await, stories);
}
