//! How the stage works.

use std::time::Duration;

/// How the stage works.
#[derive(Clone, Debug, PartialEq)]
pub struct ExtractConfig {
    /// Units asked for at once.
    pub workers: usize,
    /// Tries of a unit whose answers cannot be used, before it becomes a dead letter.
    pub max_unusable: u32,
    /// Characters of one message an extractor is given; quotes are checked against all of it.
    pub max_text_chars: usize,
    /// How long to wait for stories that do not get on, and, once the index has passed by, for messages to be in the
    /// store.
    pub patience: Duration,
    /// The longest pause without news.
    pub max_pause: Duration,
    /// Cosine similarity from which on two claims of one kind say the same.
    pub same_atom: f32,
    /// Cosine similarity from which on two names mean one subject.
    pub same_subject: f32,
}

impl Default for ExtractConfig {
    fn default() -> Self {
        ExtractConfig {
            workers: 16,
            max_unusable: 3,
            max_text_chars: 6_000,
            patience: Duration::from_secs(30),
            max_pause: Duration::from_secs(15),
            same_atom: 0.97,
            same_subject: 0.85,
        }
    }
}
