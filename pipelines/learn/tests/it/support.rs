//! Where data lies, and messages from it.

use std::path::{Path, PathBuf};

use telesift_signal_score::{MessageView, Rules, Scored};

/// The folder of signal-score.
pub(crate) fn signal_score() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../smartmodules/signal-score")
}

/// Where training starts.
pub(crate) fn prior() -> Rules {
    let toml = std::fs::read_to_string(signal_score().join("rules/prior.toml")).unwrap();
    Rules::from_toml(&toml).unwrap()
}

/// The shared data beside the checkout, if it is there; says so if not.
pub(crate) fn shared() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: no ../shared/data beside the checkout");
    None
}

/// What the shipped rules make of a text.
pub(crate) fn judge(text: &str) -> Scored {
    Scored::new(&MessageView::of_text(text), &Rules::default())
}

/// Texts of the posts.
pub(crate) fn posts(shared: &Path) -> Vec<String> {
    let files = std::fs::read_dir(shared.join("posts")).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.to_string_lossy().ends_with("_messages.json"))
        .flat_map(|path| {
            let posts: Vec<serde_json::Value> =
                serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            let text = |post: serde_json::Value| post["text"].as_str().map(str::to_owned);
            posts.into_iter().filter_map(text).collect::<Vec<_>>()
        })
        .collect()
}

/// Texts of the exports of public groups.
pub(crate) fn groups(shared: &Path) -> Vec<String> {
    let folders = std::fs::read_dir(shared.join("exports/teknologi-umum_tgif")).unwrap();
    folders
        .flat_map(|folder| {
            let file = std::fs::read(folder.unwrap().path().join("exported.json")).unwrap();
            let export: serde_json::Value = serde_json::from_slice(&file).unwrap();
            let messages = export["messages"].as_array().unwrap().clone();
            messages
                .iter()
                .map(|m| plain(&m["text"]))
                .collect::<Vec<_>>()
        })
        .filter(|text| !text.is_empty())
        .collect()
}

/// A string, or the parts of one.
fn plain(text: &serde_json::Value) -> String {
    match text {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(parts) => {
            let part = |p: &serde_json::Value| p.as_str().or(p["text"].as_str()).map(str::to_owned);
            parts.iter().filter_map(part).collect()
        }
        _ => String::new(),
    }
}
