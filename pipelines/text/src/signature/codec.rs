//! A signature as a short text and back: base64url of version, word count, feature count, exact hash and the sketch.

use std::{fmt, str::FromStr};

use super::{
    Signature,
    sketch::{MAX_HASHES, Sketch},
};

/// The version of the formula. Signatures of another version are not compared.
const VERSION: u8 = 1;
/// Version, word count, feature count, exact hash: a multiple of three, so that no padding is needed.
const HEAD_BYTES: usize = 1 + 1 + 2 + 8;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A text that is no signature of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureError;

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a story signature of this version")
    }
}

impl std::error::Error for SignatureError {}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + 3 * self.sketch.hashes.len());
        // How many words beyond 255 makes no difference to anybody.
        bytes.extend([VERSION, u8::try_from(self.n_words).unwrap_or(u8::MAX)]);
        bytes.extend(self.sketch.n_features.to_be_bytes());
        bytes.extend(self.exact.to_be_bytes());
        for hash in &self.sketch.hashes {
            bytes.extend(&hash.to_be_bytes()[1..]);
        }
        let mut text = String::with_capacity(bytes.len() / 3 * 4);
        for triple in bytes.chunks_exact(3) {
            let bits = triple.iter().fold(0usize, |n, b| n << 8 | usize::from(*b));
            text.extend([18, 12, 6, 0].map(|shift| char::from(ALPHABET[bits >> shift & 63])));
        }
        f.write_str(&text)
    }
}

impl FromStr for Signature {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, SignatureError> {
        let bytes = decode(text).ok_or(SignatureError)?;
        let (head, hashes) = bytes
            .split_at_checked(HEAD_BYTES)
            .filter(|(_, hashes)| hashes.len() <= 3 * MAX_HASHES)
            .ok_or(SignatureError)?;
        let &[VERSION, n_words, high, low, ref exact @ ..] = head else {
            return Err(SignatureError);
        };
        let hashes: Vec<u32> = hashes
            .chunks_exact(3)
            .map(|h| h.iter().fold(0, |n, b| n << 8 | u32::from(*b)))
            .collect();
        if hashes.windows(2).any(|w| w[0] >> 1 >= w[1] >> 1) {
            return Err(SignatureError);
        }
        Ok(Signature {
            exact: exact.iter().fold(0, |n, b| n << 8 | u64::from(*b)),
            n_words: n_words.into(),
            sketch: Sketch {
                hashes,
                n_features: u16::from_be_bytes([high, low]),
            },
        })
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let fours = text.as_bytes().chunks_exact(4);
    if !fours.remainder().is_empty() {
        return None;
    }
    for four in fours {
        let mut bits = 0u32;
        for &c in four {
            bits = bits << 6 | digit(c)?;
        }
        bytes.extend(&bits.to_be_bytes()[1..]);
    }
    Some(bytes)
}

fn digit(c: u8) -> Option<u32> {
    let digit = match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    };
    Some(digit.into())
}
