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
