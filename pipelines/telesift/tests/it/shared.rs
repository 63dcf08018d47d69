//! Real input that nobody here wrote, where it is there; never part of the project.

use std::path::PathBuf;

use serde_json::{Value, json};

/// A folder of the shared data; says aloud when it is not there.
pub(crate) fn folder(name: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data")
        .join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: no shared data at {}", folder.display());
    None
}

/// The posts of a channel file, re-wrapped as a single-chat export.
pub(crate) fn posts_as_export(file: &std::path::Path) -> Vec<u8> {
    let posts: Vec<Value> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let channel = -posts[0]["sender_id"].as_i64().unwrap() - 1_000_000_000_000;
    let name = &posts[0]["channel"];
    let messages: Vec<Value> = posts
        .iter()
        .map(|post| {
            let at: jiff::Timestamp = post["date"].as_str().unwrap().parse().unwrap();
            json!({
                "id": post["message_id"], "type": "message",
                "date": at.to_string().trim_end_matches('Z'), "date_unixtime": at.as_second().to_string(),
                "from": name, "from_id": format!("channel{channel}"),
                "text": post["text"], "text_entities": [],
            })
        })
        .collect();
    serde_json::to_vec(
        &json!({"name": name, "type": "public_channel", "id": channel, "messages": messages}),
    )
    .unwrap()
}

/// Every channel file of the posts.
pub(crate) fn post_files() -> Vec<PathBuf> {
    let Some(folder) = folder("posts") else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with("_messages.json"))
        .collect();
    files.sort();
    files
}
