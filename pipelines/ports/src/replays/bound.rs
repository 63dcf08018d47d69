//! One end of a range of the log, as people write it: `earliest`, `latest`, a cursor or a time of append.

use std::{fmt, str::FromStr};

use telesift_schemas::{Cursor, Timestamp};

/// One end of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The first record kept.
    Earliest,
    /// The end of the log, when the range is fixed.
    Latest,
    /// The first record appended at this time or later.
    Time(Timestamp),
    /// The next offsets of a cursor; only its partitions are read.
    Cursor(Cursor),
}

/// A text that is none of these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected `earliest`, `latest`, a cursor of `telegram-raw` or a time of append such as 2026-01-05T10:00:00Z, found `{0}`"
)]
pub struct BoundError(pub String);

impl FromStr for Bound {
    type Err = BoundError;
    fn from_str(text: &str) -> Result<Self, BoundError> {
        match text {
            "earliest" => Ok(Bound::Earliest),
            "latest" => Ok(Bound::Latest),
            text => text
                .parse()
                .map(Bound::Cursor)
                .or_else(|_| text.parse().map(Bound::Time))
                .map_err(|_| BoundError(text.to_owned())),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::Earliest => f.write_str("earliest"),
            Bound::Latest => f.write_str("latest"),
            Bound::Time(time) => time.fmt(f),
            Bound::Cursor(cursor) => cursor.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_read_what_they_write() {
        for text in [
            "earliest",
            "latest",
            "g1@k3/0:7,2:0",
            "2026-01-05T10:00:00Z",
        ] {
            assert_eq!(text.parse::<Bound>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_refused_by_name() {
        for text in ["", "yesterday", "g1@/0:1", "2026-01-05"] {
            let refused = text.parse::<Bound>().unwrap_err();
            assert!(
                refused.to_string().contains(&format!("`{text}`")),
                "{refused}"
            );
        }
    }
}
