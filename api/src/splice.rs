//! Puts stored values into JSON without parsing and writing them again, so that they stay byte for byte.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::de::IgnoredAny;
use telesift_ports::record_log::StoredRecord;
use telesift_schemas::PartitionId;

/// `{"partition", "offset", "appended_at", "key", "data"}` of one record.
pub(crate) fn record_item(out: &mut Vec<u8>, partition: PartitionId, record: &StoredRecord) {
    let head = format!(
        "{{\"partition\":{partition},\"offset\":{},\"appended_at\":\"{}\",\"key\":",
        record.offset, record.appended_at
    );
    out.extend_from_slice(head.as_bytes());
    match std::str::from_utf8(&record.key) {
        Ok(key) => string(out, key),
        Err(_) => {
            out.extend_from_slice(b"null,\"key_base64\":");
            string(out, &STANDARD.encode(&record.key));
        }
    }
    data_member(out, &record.value);
    out.push(b'}');
}

/// `,"data":<value>`, or `,"data":null,"data_base64":"…"` for what is no JSON.
pub(crate) fn data_member(out: &mut Vec<u8>, value: &[u8]) {
    out.extend_from_slice(b",\"data\":");
    if is_json(value) {
        out.extend_from_slice(value);
    } else {
        out.extend_from_slice(b"null,\"data_base64\":");
        string(out, &STANDARD.encode(value));
    }
}

/// Whether `value` is one JSON value. Numbers of any size and repeated members pass: nothing is converted.
fn is_json(value: &[u8]) -> bool {
    std::str::from_utf8(value).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

/// A JSON string.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    // A string always serialises, and a Vec always takes it.
    let json = serde_json::to_vec(text).unwrap_or_else(|_| b"\"\"".to_vec());
    out.extend_from_slice(&json);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(value: &[u8]) -> String {
        let mut out = Vec::new();
        data_member(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_is_put_in_byte_for_byte() {
        for value in [
            r#"{"a":1e400,"a":123456789012345678901234567890}"#,
            " [1 , 2]\n",
            r#""\u0416""#,
            "0.10",
        ] {
            assert_eq!(data(value.as_bytes()), format!(",\"data\":{value}"));
        }
    }

    #[test]
    fn what_is_no_json_comes_as_base64() {
        for value in [&b"{\"a\":"[..], b"", b"\xff", b"{} {}", b"\"\xc3\x28\""] {
            let text = data(value);
            let encoded = STANDARD.encode(value);
            assert_eq!(
                text,
                format!(",\"data\":null,\"data_base64\":\"{encoded}\"")
            );
        }
    }
}
