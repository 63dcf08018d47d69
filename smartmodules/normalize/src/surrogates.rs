//! JSON in, the same JSON out whose escapes are all characters.
//!
//! `\ud83d` without its other half is no character, and makes the parser refuse the text it stands in; a cut emoji shall not cost
//! a message its words.

use std::borrow::Cow;

/// Half a character becomes U+FFFD. Lengths and places stay as they are.
pub(crate) fn mended(json: &[u8]) -> Cow<'_, [u8]> {
    let mut mended = Cow::Borrowed(json);
    let mut at = 0;
    while let Some(escape) = json[at..].iter().position(|b| *b == b'\\') {
        at += escape;
        at += match (unit(json, at), unit(json, at + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                mended.to_mut()[at + 2..at + 6].copy_from_slice(b"fffd");
                6
            }
            (Some(_), _) => 6,
            (None, _) => 2, // such as \n, or a backslash
        };
        if at >= json.len() {
            break;
        }
    }
    mended
}

/// The code unit of the escape `\uXXXX` at `at`.
fn unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let digits = std::str::from_utf8(digits).ok()?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_halves_are_replaced() {
        for (json, wanted) in [
            (r#""plain ї""#, r#""plain ї""#),
            (r#""\ud83d\ude00 \u0416\n""#, r#""\ud83d\ude00 \u0416\n""#),
            (r#""a \ud83d""#, r#""a \ufffd""#),
            (r#""a \uDE00 b""#, r#""a \ufffd b""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\\ud83d \\\ud83d""#, r#""\\ud83d \\\ufffd""#),
            (r#""\ud8"#, r#""\ud8"#),
            (r#""\"#, r#""\"#),
        ] {
            let mended = mended(json.as_bytes());
            assert_eq!(std::str::from_utf8(&mended).unwrap(), wanted);
        }
    }
}
