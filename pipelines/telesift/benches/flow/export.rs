//! The export a run reads: as many messages as asked for, made of real or of the sample's texts; and a reader of it alone.

use std::{
    fs::File,
    io::{BufWriter, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use telesift_ports::{ExportReader, imports::ImportRequest};
use telesift_telegram::DesktopExport;

/// Chats the messages are spread over.
const N_CHATS: u64 = 20;
/// Longest text, in characters.
const MAX_CHARS: usize = 300;

/// Writes an export of `n` messages; returns whose texts they have. The number of a message stands in its text.
pub(crate) fn write(path: &Path, n: u64) -> &'static str {
    let (texts, corpus) = texts();
    let mut out = BufWriter::new(File::create(path).unwrap());
    write!(out, "{{\"chats\":{{\"list\":[").unwrap();
    for chat in 0..N_CHATS {
        let comma = if chat == 0 { "" } else { "," };
        let id = 2_200_000_000 + chat;
        let head = format!(r#"{{"name":"Chat {chat}","type":"public_channel","id":{id}"#);
        write!(out, "{comma}{head},\"messages\":[").unwrap();
        for (i, number) in (chat..n).step_by(N_CHATS as usize).enumerate() {
            let text = &texts[number as usize % texts.len()];
            let entry = json!({
                "id": i + 1, "type": "message", "date": "2026-01-05T10:00:00",
                "date_unixtime": (1_767_600_000 + number).to_string(), "from": format!("Chat {chat}"),
                "from_id": format!("channel{id}"), "text": format!("{text} №{number}"), "text_entities": [],
            });
            write!(out, "{}{entry}", if i == 0 { "" } else { "," }).unwrap();
        }
        write!(out, "]}}").unwrap();
    }
    write!(out, "]}}}}").unwrap();
    out.flush().unwrap();
    corpus
}

/// Reads the export as the import does, and keeps nothing; returns the number of entries.
pub(crate) fn read_all(file: &Path) -> u64 {
    let request = ImportRequest {
        name: "bench".to_owned(),
        chats: Vec::new(),
        tz: "UTC".to_owned(),
        file: file.to_owned(),
    };
    let mut n = 0;
    let read = DesktopExport.read("bench", &request, 0, &mut |entry, _| {
        std::hint::black_box(entry);
        n += 1;
        ControlFlow::Continue(())
    });
    read.unwrap();
    n
}

fn texts() -> (Vec<String>, &'static str) {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut texts = Vec::new();
    if let Ok(folder) = std::fs::read_dir(root.join("../../../shared/data/posts")) {
        let mut files: Vec<PathBuf> = folder.map(|f| f.unwrap().path()).collect();
        files.retain(|f| f.to_string_lossy().ends_with("_messages.json"));
        files.sort();
        for file in files {
            let posts: Vec<Value> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
            texts.extend(posts.iter().filter_map(|p| p["text"].as_str().map(cut)));
        }
    }
    if !texts.is_empty() {
        return (texts, "real posts");
    }
    let sample = std::fs::read(root.join("sample/export.json")).unwrap();
    let sample: Value = serde_json::from_slice(&sample).unwrap();
    for chat in sample["chats"]["list"].as_array().unwrap() {
        let entries = chat["messages"].as_array().unwrap();
        texts.extend(entries.iter().filter_map(|m| m["text"].as_str().map(cut)));
    }
    (texts, "the bundled sample (the shared posts are not there)")
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_CHARS).collect()
}
