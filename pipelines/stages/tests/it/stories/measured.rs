//! What the signature and the stage are worth on texts nobody here wrote, from beside the checkout; floors a little below
//! what was measured.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use telesift_schemas::{MessageKey, Timestamp};
use telesift_stages::stories::StoriesConfig;
use telesift_text::signature::{near, signature};

use super::board::{Board, Post};

fn shared(folder: &str) -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data")
        .join(folder);
    if !dir.is_dir() {
        eprintln!("skipped: no {}", dir.display());
        return None;
    }
    Some(dir)
}

/// Right and wrong answers, and how many right ones there were to find.
#[derive(Debug, Default)]
struct Measured {
    right: usize,
    wrong: usize,
    all: usize,
}

impl Measured {
    fn add(&mut self, is_told: bool, is_true: bool) {
        self.all += usize::from(is_true);
        self.right += usize::from(is_told && is_true);
        self.wrong += usize::from(is_told && !is_true);
    }

    fn precision(&self) -> f64 {
        self.right as f64 / (self.right + self.wrong).max(1) as f64
    }

    fn recall(&self) -> f64 {
        self.right as f64 / self.all.max(1) as f64
    }

    fn print(&self, what: &str) {
        eprintln!(
            "{what}: precision {:.3}, recall {:.3} ({} right, {} wrong, {} to be found)",
            self.precision(),
            self.recall(),
            self.right,
            self.wrong,
            self.all
        );
    }
}

/// Two articles, title and text, and whether they are about one event.
struct Pair {
    texts: [String; 2],
    is_one_event: bool,
}

fn pairs(dir: &Path) -> Vec<Pair> {
    let mut pairs = Vec::new();
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|f| f.unwrap().path())
        .collect();
    files.retain(|f| {
        f.file_name()
            .is_some_and(|n| n.to_string_lossy().starts_with("clustering_pairs"))
    });
    files.sort();
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        let mut rows = text
            .lines()
            .map(|line| line.split('\t').collect::<Vec<_>>());
        let head = rows.next().unwrap();
        let column = |name: &str| head.iter().position(|h| *h == name).unwrap();
        let article = |row: &[&str], which: &str| {
            let [title, text] =
                ["title", "text"].map(|part| row[column(&format!("INPUT:{which}_{part}"))]);
            format!("{title}\n{text}")
        };
        for row in rows {
            pairs.push(Pair {
                texts: [article(&row, "first"), article(&row, "second")],
                is_one_event: row[column("GOLDEN:quality")] == "OK",
            });
        }
    }
    pairs
}

#[test]
fn articles_about_one_event_are_told_from_others_at_high_precision() {
    let Some(dir) = shared("stories") else { return };
    let mut measured = Measured::default();
    for pair in pairs(&dir) {
        let [a, b] = pair.texts.each_ref().map(|text| signature(text).unwrap());
        let is_told = a.exact == b.exact || near(&a.sketch, &b.sketch).is_some();
        if is_told != pair.is_one_event {
            let said = telesift_text::signature::similarity(&a.sketch, &b.sketch);
            let title = pair.texts[0].lines().next().unwrap_or_default().to_owned();
            eprintln!(
                "  {} at {said}: {title}",
                if is_told { "wrong" } else { "missed" }
            );
        }
        measured.add(is_told, pair.is_one_event);
    }
    measured.print("clustering pairs, signature");
    assert!(measured.precision() >= 0.95, "{measured:?}");
    assert!(measured.recall() >= 0.30, "{measured:?}");
}

#[derive(Deserialize)]
struct StoredPost {
    message_id: i64,
    sender_id: i64,
    text: String,
    date: Timestamp,
}

/// A post as `exact_dups.json` names it: file, message id, time, category.
type Named = (String, i64, Timestamp, String);

#[tokio::test]
async fn repeated_posts_are_one_story_unless_they_are_told_anew() {
    let Some(dir) = shared("posts") else { return };
    let mut posts: Vec<StoredPost> = Vec::new();
    let mut chats = HashMap::new();
    for file in fs::read_dir(&dir).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with("_messages.json") {
            let of_chat: Vec<StoredPost> =
                serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            chats.insert(name, of_chat[0].sender_id);
            posts.extend(of_chat);
        }
    }
    posts.sort_by_key(|p| (p.date, p.sender_id, p.message_id));
    let board = Board::new(4).await;
    let posted: Vec<Post> = posts
        .iter()
        .map(|p| Post::new(p.sender_id, p.message_id, 0, &p.text).at_second(p.date.as_second()))
        .collect();
    board.post_all(&posted).await;
    board.run(StoriesConfig::default(), 1_000).await;

    let assigned = board.assigned().await;
    let story: BTreeMap<MessageKey, &str> = assigned
        .iter()
        .map(|a| (a.message, a.story.as_str()))
        .collect();
    let stories = board.by_story().await;
    let largest = stories.values().map(Vec::len).max().unwrap_or_default();
    eprintln!(
        "{} posts: {} in {} stories, the largest of {largest}",
        posts.len(),
        assigned.len(),
        stories.len()
    );

    let groups: Vec<Vec<Named>> =
        serde_json::from_slice(&fs::read(dir.join("exact_dups.json")).unwrap()).unwrap();
    let (mut measured, mut other_chats) = (Measured::default(), Measured::default());
    for group in &groups {
        for (i, a) in group.iter().enumerate() {
            for b in &group[i + 1..] {
                let [told_a, told_b] = [a, b].map(|(file, message_id, ..)| {
                    let chat = telesift_schemas::ChatId(chats[file]);
                    story.get(&MessageKey {
                        chat,
                        message_id: *message_id,
                    })
                });
                let is_told = told_a.is_some() && told_a == told_b;
                // Read by hand: what comes again within three days is the same news, programme or advert; what comes
                // weekly is the next one.
                let is_true = a.2.as_second().abs_diff(b.2.as_second()) <= 72 * 3_600;
                measured.add(is_told, is_true);
                if a.0 != b.0 {
                    other_chats.add(is_told, is_true);
                }
            }
        }
    }
    measured.print("exact duplicates, stage");
    other_chats.print("of them in different chats");
    assert!(measured.precision() >= 0.99, "{measured:?}");
    assert!(measured.recall() >= 0.80, "{measured:?}");
    assert!(other_chats.recall() >= 0.97, "{other_chats:?}");
    assert!(largest < 40, "stories run together: {largest}");
}
