//! Exports that Telegram Desktop of different ages and other tools wrote.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;
use serde_json::value::RawValue;
use telesift_ports::ExportReader as _;
use telesift_telegram::DesktopExport;

use crate::support::{entries, record, refusal, request, shared_exports, update};

/// Entries per chat, by file and Bot API id.
const COUNTS: [(&str, &[(i64, u64)]); 16] = [
    (
        "frozenspider_chat-history-manager-rust/telegram_2020-01/result.json",
        &[
            (-8123123123, 31),
            (4321012345, 5),
            (9333333333, 2),
            (9777777777, 12),
        ],
    ),
    (
        "frozenspider_chat-history-manager-rust/telegram_2021-06_supergroup/result.json",
        &[(-1001234567890, 4)],
    ),
    (
        "frozenspider_chat-history-manager-rust/telegram_2023-01/result.json",
        &[(-123123123, 6)],
    ),
    (
        "frozenspider_chat-history-manager-rust/telegram_2023-10_audio-video/result.json",
        &[(-1000123123123, 4)],
    ),
    (
        "frozenspider_chat-history-manager-rust/telegram_2024-01/result.json",
        &[(123123123, 2)],
    ),
    (
        "frozenspider_chat-history-manager-rust/telegram_2024-02_create-channel_saved-from/result.json",
        &[(-1000123123123, 2)],
    ),
    (
        "innerdvations_telegram-chat-parser/bot.json",
        &[(9999999999, 2)],
    ),
    ("innerdvations_telegram-chat-parser/personal.json", &[]),
    (
        "innerdvations_telegram-chat-parser/public_supergroup.json",
        &[(-1009888888888, 4)],
    ),
    (
        "innerdvations_telegram-chat-parser/saved.json",
        &[(9999999999, 21)],
    ),
    (
        "teknologi-umum_tgif/coorporate-speak/exported.json",
        &[(-1001712691810, 155)],
    ),
    (
        "teknologi-umum_tgif/database-isolation-level/exported.json",
        &[(-1001095762521, 98)],
    ),
    (
        "teknologi-umum_tgif/dependency-injection-in-a-nutshell/exported.json",
        &[(-1001730156619, 29)],
    ),
    (
        "teknologi-umum_tgif/membuat-linq-efisien/exported.json",
        &[(-1001712691810, 53)],
    ),
    (
        "teknologi-umum_tgif/praktik-load-balancer/exported.json",
        &[(-1001712691810, 43)],
    ),
    (
        "teknologi-umum_tgif/tdd-and-clean-architecture/exported.json",
        &[(-1001712691810, 191)],
    ),
];

#[test]
fn every_entry_of_every_chat_is_read() {
    let Some(dir) = shared_exports() else { return };
    for (path, expected) in COUNTS {
        let request = request(&dir.join(path));
        let summary = DesktopExport
            .validate(&request)
            .unwrap_or_else(|e| panic!("{path}: {e}"));
        let mut counts = BTreeMap::new();
        for entry in entries(&request, 0).unwrap() {
            *counts.entry(update(entry).chat.0).or_insert(0) += 1;
        }
        assert_eq!(counts.into_iter().collect::<Vec<_>>(), expected, "{path}");
        let n_entries = expected.iter().map(|(_, n)| n).sum::<u64>();
        assert_eq!(
            (summary.n_chats, summary.n_entries),
            (expected.len() as u64, n_entries),
            "{path}"
        );
    }
}

/// The file read at once by another way, for comparison.
#[derive(Deserialize)]
struct Whole<'a> {
    #[serde(borrow, default)]
    messages: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    chats: Option<Box<WholeList<'a>>>,
}

#[derive(Deserialize)]
struct WholeList<'a> {
    #[serde(borrow)]
    list: Vec<Whole<'a>>,
}

#[test]
fn payloads_are_the_bytes_of_the_file() {
    let Some(dir) = shared_exports() else { return };
    for (path, _) in COUNTS {
        let text = fs::read_to_string(dir.join(path)).unwrap();
        let whole: Whole<'_> = serde_json::from_str(&text).unwrap();
        let in_chats = whole
            .chats
            .iter()
            .flat_map(|c| c.list.iter().flat_map(|c| &c.messages));
        let expected: Vec<_> = whole
            .messages
            .iter()
            .chain(in_chats)
            .map(|raw| raw.get())
            .collect();
        let found = entries(&request(&dir.join(path)), 0).unwrap();
        assert_eq!(found.len(), expected.len(), "{path}");
        for (entry, expected) in found.into_iter().zip(expected) {
            assert_eq!(record(&update(entry)).1, expected, "{path}");
        }
    }
}

#[test]
fn a_missing_comma_is_found_to_the_byte() {
    let Some(dir) = shared_exports() else { return };
    let content = fs::read(dir.join("innerdvations_telegram-chat-parser/error.json")).unwrap();
    let (byte_offset, cause) = refusal(&content);
    assert_eq!(byte_offset, 67);
    assert!(content[67..].starts_with(br#""messages""#));
    assert_eq!(cause, "expected `,` or `}`");
}

#[test]
fn an_empty_chat_is_a_valid_export() {
    let Some(dir) = shared_exports() else { return };
    let request = request(&dir.join("innerdvations_telegram-chat-parser/personal.json"));
    let summary = DesktopExport.validate(&request).unwrap();
    assert_eq!((summary.n_chats, summary.n_entries), (0, 0));
    assert!(entries(&request, 0).unwrap().is_empty());
}

#[test]
fn json_that_is_no_export_is_refused() {
    let Some(dir) = shared_exports() else { return };
    let mut n_refused = 0;
    for folder in fs::read_dir(dir.join("teknologi-umum_tgif")).unwrap() {
        let file = folder.unwrap().path().join("metadata.json");
        let (byte_offset, cause) = refusal(fs::read(&file).unwrap());
        assert_eq!(byte_offset, 0);
        assert!(
            cause.starts_with("no chats found: expected the `result.json`"),
            "{cause}"
        );
        n_refused += 1;
    }
    assert_eq!(n_refused, 6);
}

#[test]
fn the_table_names_every_file() {
    let Some(dir) = shared_exports() else { return };
    let mut n_files = 0;
    let mut folders = vec![dir.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if is_export(&path) {
                let name = path.strip_prefix(&dir).unwrap().to_str().unwrap();
                assert!(
                    COUNTS.iter().any(|(known, _)| *known == name),
                    "{name} is not in the table"
                );
                n_files += 1;
            }
        }
    }
    assert_eq!(n_files, COUNTS.len());
}

fn is_export(path: &Path) -> bool {
    let name = path
        .file_name()
        .and_then(|n| n.to_str())
        .unwrap_or_default();
    name.ends_with(".json") && name != "metadata.json" && name != "error.json"
}
