//! The labelled files a model is trained from: which there are, how much each counts, and what is held back.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, BufReader},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use telesift_schemas::Class;
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    folds::fold_by,
    gathered,
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
pub const OWN: [&str; 28] = [
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
    "remarks",
    "chats",
    "posts",
    "spam-forms",
    "banter",
    "adverts",
    "spam-kinds",
    "remarks-en",
    "remarks-uk-ru",
    "registers-en",
    "code",
    "groups-id-more",
    "groups-en",
    "groups-uk",
    "groups-ru",
    "channels-more",
    "threads",
    "feeds",
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
            weight: match name {
                // Spam is judged apart, and its honest lines are mostly signal, by choice.
                name if name.starts_with("spam") => 0.2,
                // Many and much alike: in full they would outweigh the rest. Chosen on folds of the training data.
                "remarks-en" | "remarks-uk-ru" => 0.6,
                "groups-id-more" => 0.5,
                _ => 1.0,
            },
            // Honest posts hold much that spam holds; there are few of them here and many in the world.
            spam_weight: match name {
                "channels-ru" | "channels-uk-en" => 8.0,
                "posts" | "adverts" | "channels-more" => 4.0,
                _ => 1.0,
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
    /// On importance, read by a person of this project: posts, messages of groups, and honest lines of `spam`.
    pub read: Vec<Source>,
}

impl Further {
    /// All of it.
    pub fn into_sources(self) -> impl Iterator<Item = Source> {
        [self.importance, self.spam].into_iter().chain(self.read)
    }
}

/// What a person said of a text that is not in this repository: `training/read.jsonl`.
#[derive(Debug, Deserialize)]
struct Read {
    /// xxh3 of the text, hexadecimal.
    hash: String,
    /// What it is.
    class: Class,
}

/// Reads [`Further`] data; the labels of texts read stand in `training/read.jsonl`, by their hashes.
///
/// # Errors
/// When a file cannot be read.
pub fn further(folder: &Path, training: &Path) -> Result<Further, CorpusError> {
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
        read: read_by_hash(folder, &training.join("read.jsonl"))?,
    })
}

fn read_by_hash(folder: &Path, file: &Path) -> Result<Vec<Source>, CorpusError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        |cause| CorpusError::Io { path, cause }
    };
    let lines = fs::read_to_string(file).map_err(io(file))?;
    let mut classes = HashMap::new();
    for (i, line) in lines.lines().enumerate() {
        let read: Read = serde_json::from_str(line).map_err(|error| CorpusError::Label {
            path: file.to_owned(),
            cause: LabelError {
                line: i + 1,
                reason: error.to_string(),
            },
        })?;
        classes.insert(read.hash, read.class);
    }
    let honest = fs::read_to_string(folder.join("spam/ham.txt")).map_err(io(folder))?;
    let texts = [
        ("read posts", gathered::posts(folder).map_err(io(folder))?),
        ("read groups", gathered::groups(folder).map_err(io(folder))?),
        ("read ham", honest.lines().map(str::to_owned).collect()),
    ];
    let source = |(name, texts): (&str, Vec<String>)| {
        let mut left = classes.clone();
        let labels = texts.into_iter().filter_map(|text| {
            let class = left.remove(&hash_of(&text))?;
            Some(Labelled {
                text,
                lang: "und".to_owned(),
                class: Some(class),
                spam: Some(false),
                chat: None,
            })
        });
        Source {
            name: name.to_owned(),
            labels: labels.collect(),
            weight: READ_WEIGHT,
            spam_weight: 0.0,
        }
    };
    Ok(texts.into_iter().map(source).collect())
}

/// How `training/read.jsonl` names a text.
pub fn hash_of(text: &str) -> String {
    format!("{:016x}", xxh3_64(text.as_bytes()))
}

/// What a text read by a person counts beside one written for training: it is of the kind that is to be judged.
const READ_WEIGHT: f64 = 1.5;

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
