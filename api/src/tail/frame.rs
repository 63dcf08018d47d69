//! Frames as text: one JSON object each, stored values put in byte for byte.

use telesift_ports::record_log::Gap;
use telesift_schemas::{Cursor, PartitionId, Topic};

use super::feed::LiveRecord;
use crate::splice;

/// A frame on its way to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// `heartbeat`, `record` or `gap`.
    pub(super) kind: &'static str,
    /// Where the client stands once it has this frame.
    pub(super) cursor: String,
    /// The JSON object.
    pub(super) json: String,
}

impl Frame {
    pub(super) fn heartbeat(cursor: &Cursor, head: &Cursor) -> Frame {
        let cursor = cursor.to_string();
        Frame {
            kind: "heartbeat",
            json: format!("{{\"type\":\"heartbeat\",\"cursor\":\"{cursor}\",\"head\":\"{head}\"}}"),
            cursor,
        }
    }

    pub(super) fn gap(partition: PartitionId, gap: &Gap, cursor: &Cursor) -> Frame {
        let cursor = cursor.to_string();
        let json = serde_json::json!({
            "type": "gap", "partition": partition, "from": gap.from, "to": gap.to, "reason": gap.reason,
            "cursor": cursor,
        });
        Frame {
            kind: "gap",
            json: json.to_string(),
            cursor,
        }
    }

    pub(super) fn record(
        topic: &Topic,
        partition: PartitionId,
        record: &LiveRecord,
        cursor: &Cursor,
    ) -> Frame {
        let cursor = cursor.to_string();
        // All but the cursor is the same for every client, and is written once.
        let encoded = record
            .encoded
            .get_or_init(|| encode(topic, partition, record));
        let mut json = Vec::with_capacity(encoded.len() + cursor.len() + 32);
        json.extend_from_slice(b"{\"type\":\"record\",\"cursor\":\"");
        json.extend_from_slice(cursor.as_bytes());
        json.extend_from_slice(b"\",");
        json.extend_from_slice(encoded);
        Frame {
            kind: "record",
            // Every piece of it was text; a lossy conversion of text changes nothing.
            json: String::from_utf8(json)
                .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()),
            cursor,
        }
    }
}

fn encode(topic: &Topic, partition: PartitionId, record: &LiveRecord) -> Vec<u8> {
    let stored = &record.stored;
    let mut out = Vec::with_capacity(stored.value.len() + 160);
    out.extend_from_slice(b"\"topic\":");
    splice::string(&mut out, topic.as_str());
    let middle = format!(
        ",\"partition\":{partition},\"offset\":{},\"appended_at\":\"{}\"",
        stored.offset, stored.appended_at
    );
    out.extend_from_slice(middle.as_bytes());
    splice::data_member(&mut out, &stored.value);
    out.push(b'}');
    out
}
