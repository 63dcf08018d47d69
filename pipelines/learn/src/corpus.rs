//! The labelled files a model is trained from: which there are, how much each counts, and what is held back.

use std::{
    fs::{self, File},
    io::{self, BufReader},
    path::{Path, PathBuf},
};

use telesift_schemas::Class;

use crate::{
    folds::fold_by,
    labels::{self, LabelError, Labelled},
    train::Source,
};

/// Of ten folds by text, those below this one of the further data on importance are held out of a training that is to be
/// measured on them. Fixed before the first training.
pub const HELD_OUT_FOLDS: u64 = 3;

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// Not there, or not readable.
    #[error("cannot read {}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A line that is no label.
    #[error("{}: {cause}", path.display())]
    Label {
        /// The file.
        path: PathBuf,
        /// The line and why.
        cause: LabelError,
    },
}

/// The project's own labelled files, by name.
pub const OWN: [&str; 10] = [
    "uk",
    "ru",
    "en",
    "other",
    "short",
    "channels-ru",
    "channels-uk-en",
    "groups-id",
    "spam",
    "spam-more",
];

/// The sources in `training`, one per file.
///
/// # Errors
/// When a file cannot be read.
pub fn own(training: &Path) -> Result<Vec<Source>, CorpusError> {
    let source = |name: &str| {
        Ok(Source {
            name: name.to_owned(),
            labels: read_labels(&training.join(format!("{name}.jsonl")))?,
            // Spam is judged apart, and its honest lines are mostly signal, by choice.
            weight: if name.starts_with("spam") { 0.2 } else { 1.0 },
            // Honest posts hold much that spam holds; there are few of them here and many in the world.
            spam_weight: if name.starts_with("channels") {
                8.0
            } else {
                1.0
            },
        })
    };
    OWN.iter().map(|name| source(name)).collect()
}

/// Further labelled data: `importance/messages.jsonl`, `spam/spam.txt` and `spam/ham.txt` in `folder`.
#[derive(Clone, Debug)]
pub struct Further {
    /// On importance.
    pub importance: Source,
    /// On spam.
    pub spam: Source,
}

/// Reads [`Further`] data.
///
/// # Errors
/// When a file cannot be read.
pub fn further(folder: &Path) -> Result<Further, CorpusError> {
    let mut spam = read_lines(&folder.join("spam/spam.txt"), true)?;
    spam.extend(read_lines(&folder.join("spam/ham.txt"), false)?);
    Ok(Further {
        importance: Source {
            name: "importance".to_owned(),
            labels: read_labels(&folder.join("importance/messages.jsonl"))?,
            // Few, but of another hand than all the others: together they count as much as those.
            weight: 8.0,
            spam_weight: 0.0,
        },
        spam: Source {
            name: "spam and ham".to_owned(),
            labels: spam,
            weight: 0.0,
            spam_weight: 3.0,
        },
    })
}

impl Further {
    /// Takes what is held out off the training data.
    pub fn hold_out(&mut self) -> Vec<Labelled> {
        self.hold_out_by(0)
    }

    /// Takes another part of the same size off the training data, one for each `seed`; 0 is that of [`hold_out`](Self::hold_out).
    pub fn hold_out_by(&mut self, seed: u64) -> Vec<Labelled> {
        let all = std::mem::take(&mut self.importance.labels);
        let (held_out, rest) = all
            .into_iter()
            .partition(|l| fold_by(seed, &l.text, 10) < HELD_OUT_FOLDS);
        self.importance.labels = rest;
        held_out
    }
}

fn read_labels(path: &Path) -> Result<Vec<Labelled>, CorpusError> {
    let io = |cause| CorpusError::Io {
        path: path.to_owned(),
        cause,
    };
    let file = File::open(path).map_err(io)?;
    labels::read(BufReader::new(file)).map_err(|cause| CorpusError::Label {
        path: path.to_owned(),
        cause,
    })
}

/// One text a line. Spam is noise, too.
fn read_lines(path: &Path, spam: bool) -> Result<Vec<Labelled>, CorpusError> {
    let text = fs::read_to_string(path).map_err(|cause| CorpusError::Io {
        path: path.to_owned(),
        cause,
    })?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    Ok(lines
        .map(|line| Labelled {
            text: line.to_owned(),
            lang: "und".to_owned(),
            class: spam.then_some(Class::Noise),
            spam: Some(spam),
            chat: None,
        })
        .collect())
}
