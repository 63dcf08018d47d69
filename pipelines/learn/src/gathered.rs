//! Texts of data gathered elsewhere: a folder comes in, the texts of its channel posts and group exports leave; none where there
//! are none.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// Texts of the posts in `posts/*_messages.json`, file by file in the order of their names.
///
/// # Errors
/// When a file cannot be read or is no JSON.
pub fn posts(folder: &Path) -> io::Result<Vec<String>> {
    let mut texts = Vec::new();
    for entry in sorted(&folder.join("posts"))? {
        if !entry.to_string_lossy().ends_with("_messages.json") {
            continue;
        }
        let posts: Vec<Value> = serde_json::from_slice(&fs::read(entry)?)?;
        texts.extend(posts.iter().map(|post| plain(&post["text"])));
    }
    texts.retain(|text| !text.is_empty());
    Ok(texts)
}

/// Texts of the messages in `exports/teknologi-umum_tgif/*/exported.json`, likewise.
///
/// # Errors
/// As [`posts`].
pub fn groups(folder: &Path) -> io::Result<Vec<String>> {
    let mut texts = Vec::new();
    for entry in sorted(&folder.join("exports/teknologi-umum_tgif"))? {
        let export: Value = serde_json::from_slice(&fs::read(entry.join("exported.json"))?)?;
        let messages = export["messages"].as_array().into_iter().flatten();
        texts.extend(messages.map(|message| plain(&message["text"])));
    }
    texts.retain(|text| !text.is_empty());
    Ok(texts)
}

fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut entries: Vec<_> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    entries.sort();
    Ok(entries)
}

/// A string, or the parts of one.
fn plain(text: &Value) -> String {
    match text {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let part = |part: &Value| part.as_str().or(part["text"].as_str()).map(str::to_owned);
            parts.iter().filter_map(part).collect()
        }
        _ => String::new(),
    }
}
