//! How records and the log's own facts lie on disk.
//!
//! A record's key is its offset, big-endian, in a keyspace of its partition: keys only ascend, so tables never overlap and
//! are never rewritten. Its value is a header of 29 bytes (version, checksum, time, bytes before, key length), the key,
//! the value.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use telesift_ports::record_log::{Bounds, NewRecord, Retention, StoredRecord};
use telesift_schemas::{Offset, Topic};
use xxhash_rust::xxh3::xxh3_64_with_seed;

const VERSION: u8 = 1;
const CHECKED_FROM: usize = 9;
const HEADER: usize = 29;

/// A partition by number: the topic's id in the high half, the partition's in the low.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Slot(pub(crate) u64);

impl Slot {
    pub(crate) fn new(topic_id: u32, partition: u32) -> Self {
        Slot(u64::from(topic_id) << 32 | u64::from(partition))
    }

    /// What the names of keyspaces of records begin with.
    pub(crate) const KEYSPACES: &str = "records-";

    /// The name of the keyspace that holds its records.
    pub(crate) fn keyspace_name(self) -> String {
        let (topic, partition) = (self.0 >> 32, self.0 & 0xffff_ffff);
        format!("{}{topic}-{partition}", Self::KEYSPACES)
    }
}

pub(crate) fn record_key(offset: Offset) -> [u8; 8] {
    offset.0.to_be_bytes()
}

pub(crate) fn offset_of_key(key: &[u8]) -> Option<Offset> {
    Some(Offset(u64::from_be_bytes(key.try_into().ok()?)))
}

/// A record's header and payload, with a checksum over where it stands and everything after the checksum.
pub(crate) fn encode_record(
    slot: Slot,
    offset: Offset,
    tail: &Tail,
    record: &NewRecord,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + record.key.len() + record.value.len());
    out.push(VERSION);
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&tail.last_appended_ms.to_le_bytes());
    out.extend_from_slice(&tail.n_bytes.to_le_bytes());
    out.extend_from_slice(&(record.key.len() as u32).to_le_bytes());
    out.extend_from_slice(&record.key);
    out.extend_from_slice(&record.value);
    let checksum = checksum(slot, offset, &out[CHECKED_FROM..]);
    out[1..CHECKED_FROM].copy_from_slice(&checksum.to_le_bytes());
    out
}

fn checksum(slot: Slot, offset: Offset, checked: &[u8]) -> u64 {
    xxh3_64_with_seed(checked, slot.0.rotate_left(17) ^ offset.0)
}

/// A record on disk whose checksum holds.
pub(crate) struct EncodedRecord<'a> {
    offset: Offset,
    appended_at: Timestamp,
    /// Bytes of values in the partition before this one.
    pub(crate) n_bytes_before: u64,
    key: &'a [u8],
    value: &'a [u8],
}

impl<'a> EncodedRecord<'a> {
    /// Reads what [`encode_record`] wrote; `None` if it is damaged.
    pub(crate) fn decode(slot: Slot, offset: Offset, bytes: &'a [u8]) -> Option<Self> {
        let (header, payload) = bytes.split_at_checked(HEADER)?;
        let stored = u64::from_le_bytes(header[1..CHECKED_FROM].try_into().ok()?);
        if header[0] != VERSION || checksum(slot, offset, &bytes[CHECKED_FROM..]) != stored {
            return None;
        }
        let appended_ms = i64::from_le_bytes(header[9..17].try_into().ok()?);
        let key_len = u32::from_le_bytes(header[25..29].try_into().ok()?);
        let (key, value) = payload.split_at_checked(key_len as usize)?;
        Some(EncodedRecord {
            offset,
            appended_at: Timestamp::from_millisecond(appended_ms).ok()?,
            n_bytes_before: u64::from_le_bytes(header[17..25].try_into().ok()?),
            key,
            value,
        })
    }

    pub(crate) fn appended_at(&self) -> Timestamp {
        self.appended_at
    }

    pub(crate) fn n_bytes(&self) -> usize {
        self.key.len() + self.value.len()
    }

    pub(crate) fn to_stored(&self) -> StoredRecord {
        StoredRecord {
            offset: self.offset,
            appended_at: self.appended_at,
            key: Bytes::copy_from_slice(self.key),
            value: Bytes::copy_from_slice(self.value),
        }
    }
}

/// Where a partition starts and ends, written in the same batch as its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    pub(crate) start: Offset,
    pub(crate) end: Offset,
    /// When the last record was appended; the next one is no earlier.
    pub(crate) last_appended_ms: i64,
    /// Bytes of all values ever appended.
    pub(crate) n_bytes: u64,
}

impl Tail {
    pub(crate) const NEW: Tail = Tail {
        start: Offset::ZERO,
        end: Offset::ZERO,
        last_appended_ms: i64::MIN,
        n_bytes: 0,
    };

    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            start: self.start,
            end: self.end,
        }
    }

    pub(crate) fn encode(&self) -> [u8; 32] {
        let mut out = [0; 32];
        out[..8].copy_from_slice(&self.start.0.to_le_bytes());
        out[8..16].copy_from_slice(&self.end.0.to_le_bytes());
        out[16..24].copy_from_slice(&self.last_appended_ms.to_le_bytes());
        out[24..].copy_from_slice(&self.n_bytes.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let field = |n: usize| bytes.get(n * 8..n * 8 + 8)?.try_into().ok();
        let tail = Tail {
            start: Offset(u64::from_le_bytes(field(0)?)),
            end: Offset(u64::from_le_bytes(field(1)?)),
            last_appended_ms: i64::from_le_bytes(field(2)?),
            n_bytes: u64::from_le_bytes(field(3)?),
        };
        (bytes.len() == 32 && tail.start <= tail.end).then_some(tail)
    }
}

/// A topic as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TopicMeta {
    /// Its number, never given to another topic.
    pub(crate) id: u32,
    pub(crate) partitions: u32,
    pub(crate) retention: Retention,
}

/// Keys of the keyspace `meta`.
pub(crate) mod meta_key {
    use super::{Slot, Topic};

    pub(crate) const EPOCH: &[u8] = b"epoch";
    pub(crate) const TOPICS: &[u8] = b"topic/";
    pub(crate) const STATES: &[u8] = b"state/";
    /// The highest id of a deleted topic, in the four bytes of a little-endian number.
    pub(crate) const DELETED: &[u8] = b"deleted-topic";

    pub(crate) fn topic(topic: &Topic) -> Vec<u8> {
        [TOPICS, topic.as_str().as_bytes()].concat()
    }

    pub(crate) fn tail(slot: Slot) -> Vec<u8> {
        [b"tail/".as_slice(), &slot.0.to_be_bytes()].concat()
    }

    pub(crate) fn state(key: &str) -> Vec<u8> {
        [STATES, key.as_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded() -> Vec<u8> {
        let record = NewRecord {
            key: Bytes::from_static(b"key"),
            value: Bytes::from_static(b"value"),
            unique: Vec::new(),
        };
        let tail = Tail {
            last_appended_ms: 1_767_607_200_123,
            n_bytes: 77,
            ..Tail::NEW
        };
        encode_record(Slot::new(3, 1), Offset(9), &tail, &record)
    }

    #[test]
    fn records_read_what_they_write() {
        let bytes = encoded();
        let record = EncodedRecord::decode(Slot::new(3, 1), Offset(9), &bytes).unwrap();
        assert_eq!(record.n_bytes_before, 77);
        assert_eq!(record.appended_at().as_millisecond(), 1_767_607_200_123);
        let stored = record.to_stored();
        assert_eq!(
            (&stored.key[..], &stored.value[..]),
            (&b"key"[..], &b"value"[..])
        );
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = encoded();
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(
                EncodedRecord::decode(Slot::new(3, 1), Offset(9), &damaged).is_none(),
                "bit {bit}"
            );
        }
        for len in 0..bytes.len() {
            assert!(EncodedRecord::decode(Slot::new(3, 1), Offset(9), &bytes[..len]).is_none());
        }
    }

    #[test]
    fn a_record_in_the_wrong_place_is_noticed() {
        let bytes = encoded();
        assert!(EncodedRecord::decode(Slot::new(3, 1), Offset(8), &bytes).is_none());
        assert!(EncodedRecord::decode(Slot::new(3, 0), Offset(9), &bytes).is_none());
    }
}
