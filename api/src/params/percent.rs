//! Percent-decoding that refuses what it cannot read, where the usual decoders replace it.

use crate::problem::{Code, Problem, Result};

/// Decodes a name or value of a query; `+` is a space.
///
/// # Errors
/// 400 on a broken escape or bytes that are no UTF-8.
pub(super) fn decode(text: &str) -> Result<String> {
    let malformed = |what: &str| {
        Problem::new(
            Code::MalformedRequest,
            format!("the query holds {what}: percent-encode it as UTF-8"),
        )
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digit = |b: Option<u8>| char::from(b?).to_digit(16);
                let (high, low) = (digit(rest.next()), digit(rest.next()));
                let (Some(high), Some(low)) = (high, low) else {
                    return Err(malformed("a broken percent escape"));
                };
                bytes.push((high * 16 + low) as u8);
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).map_err(|_| malformed("bytes that are no UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn reads_what_browsers_send() {
        assert_eq!(decode("a+b%20c%2Bd").unwrap(), "a b c+d");
        assert_eq!(decode("%D1%82%D0%B0%D0%BA").unwrap(), "так");
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        for broken in ["%", "%4", "%zz", "%ff", "%D1", "%+1"] {
            assert!(decode(broken).is_err(), "{broken}");
        }
    }
}
