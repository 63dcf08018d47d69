//! Batches as Fluvio encodes them, read as slices and written in one pass.
//!
//! Written after `Encoder` and `Decoder` of fluvio-protocol 0.50 for `SmartModuleInput`, `Record` and
//! `SmartModuleOutput`, which are byte by byte and allocate per record.

use fluvio_smartmodule::{
    RecordData,
    dataplane::smartmodule::{SmartModuleKind, SmartModuleTransformRuntimeError},
};

/// An encoded `SmartModuleInput`.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Offset of the batch; a record's true offset is this plus its delta.
    pub base_offset: i64,
    n_records: i32,
    records: &'a [u8],
}

impl<'a> Input<'a> {
    /// Reads the head; `None` if it is not one. What follows the records (params, timestamps) differs by protocol
    /// version and is not read.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        let base_offset = i64::from_be_bytes(*take_array(&mut rest)?);
        let n_bytes = u32::from_be_bytes(*take_array(&mut rest)?);
        let mut records = take(&mut rest, n_bytes as usize)?;
        let n_records = if records.is_empty() {
            0
        } else {
            i32::from_be_bytes(*take_array(&mut records)?)
        };
        Some(Input {
            base_offset,
            n_records,
            records,
        })
    }

    /// The records, in order; `None` once, at the end, where the bytes break off.
    pub fn records(&self) -> impl Iterator<Item = Option<RecordRef<'a>>> + use<'a> {
        let (mut left, mut rest) = (self.n_records, self.records);
        std::iter::from_fn(move || {
            (left > 0).then(|| {
                let record = RecordRef::take(&mut rest);
                left = if record.is_some() { left - 1 } else { 0 };
                record
            })
        })
    }
}

/// A record of a batch.
#[derive(Clone, Copy, Debug)]
pub struct RecordRef<'a> {
    /// Attributes, timestamp delta and offset delta, as encoded.
    preamble: &'a [u8],
    /// True offset less the batch's base offset.
    pub offset_delta: i64,
    /// The key, if any.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: &'a [u8],
}

impl<'a> RecordRef<'a> {
    fn take(rest: &mut &'a [u8]) -> Option<Self> {
        let n_bytes = usize::try_from(take_varint(rest)?).ok()?;
        let mut record = take(rest, n_bytes)?;
        let whole = record;
        let _attributes = take(&mut record, 1)?;
        let _timestamp_delta = take_varint(&mut record)?;
        let offset_delta = take_varint(&mut record)?;
        let preamble = &whole[..whole.len() - record.len()];
        let key = match take(&mut record, 1)? {
            [0] => None,
            _ => Some(take_data(&mut record)?),
        };
        let value = take_data(&mut record)?;
        Some(RecordRef {
            preamble,
            offset_delta,
            key,
            value,
        })
    }

    /// The error that says the rule failed on this record. It carries no content of the record: the engine logs it, and
    /// the host knows the record by its offset.
    pub(crate) fn runtime_error(
        &self,
        hint: String,
        base_offset: i64,
        kind: SmartModuleKind,
    ) -> SmartModuleTransformRuntimeError {
        SmartModuleTransformRuntimeError {
            hint,
            offset: base_offset + self.offset_delta,
            kind,
            record_key: None,
            record_value: RecordData::default(),
        }
    }
}

/// Writes the records of a `SmartModuleOutput`.
#[derive(Debug)]
pub struct BatchWriter<'o> {
    out: &'o mut Vec<u8>,
    n_records: i32,
}

impl<'o> BatchWriter<'o> {
    /// A batch at the start of `out`, which is emptied.
    pub fn new(out: &'o mut Vec<u8>) -> Self {
        out.clear();
        out.extend_from_slice(&[0; 4]);
        BatchWriter { out, n_records: 0 }
    }

    /// Appends `record` with the value `value`.
    pub fn push(&mut self, record: &RecordRef<'_>, value: &[u8]) {
        self.put(record.preamble, record.key, value);
    }

    /// Appends a new record, as a host does.
    pub fn push_new(&mut self, offset_delta: i64, key: Option<&[u8]>, value: &[u8]) {
        // No attributes, no timestamp.
        let mut preamble = [0; 12];
        let mut n_bytes = 2;
        let mut bits = ((offset_delta << 1) ^ (offset_delta >> 63)) as u64;
        while bits >= 0x80 {
            preamble[n_bytes] = (bits & 0x7f) as u8 | 0x80;
            n_bytes += 1;
            bits >>= 7;
        }
        preamble[n_bytes] = bits as u8;
        self.put(&preamble[..=n_bytes], key, value);
    }

    fn put(&mut self, preamble: &[u8], key: Option<&[u8]>, value: &[u8]) {
        let key_bytes = key.map_or(1, |k| 1 + varint_len(k.len()) + k.len());
        let n_bytes = preamble.len() + key_bytes + varint_len(value.len()) + value.len() + 1;
        self.out.reserve(n_bytes + 10);
        put_varint(self.out, n_bytes);
        self.out.extend_from_slice(preamble);
        match key {
            None => self.out.push(0),
            Some(key) => {
                self.out.push(1);
                put_data(self.out, key);
            }
        }
        put_data(self.out, value);
        self.out.push(0); // no headers
        self.n_records += 1;
    }

    /// Writes the count; returns it.
    pub fn finish(self) -> i32 {
        self.out[..4].copy_from_slice(&self.n_records.to_be_bytes());
        self.n_records
    }
}

fn take<'a>(rest: &mut &'a [u8], n_bytes: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(n_bytes)?;
    *rest = tail;
    Some(head)
}

fn take_array<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    take(rest, N)?.first_chunk()
}

/// A zigzag varint.
fn take_varint(rest: &mut &[u8]) -> Option<i64> {
    let mut bits = 0u64;
    for (i, &byte) in rest.iter().take(10).enumerate() {
        bits |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            *rest = &rest[i + 1..];
            return Some((bits >> 1) as i64 ^ -((bits & 1) as i64));
        }
    }
    None
}

fn take_data<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let n_bytes = usize::try_from(take_varint(rest)?).ok()?;
    take(rest, n_bytes)
}

fn put_varint(out: &mut Vec<u8>, length: usize) {
    let mut bits = (length as u64) << 1;
    while bits >= 0x80 {
        out.push((bits & 0x7f) as u8 | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}

fn varint_len(length: usize) -> usize {
    let bits = 65 - ((length as u64) << 1 | 1).leading_zeros() as usize;
    (bits - 1).div_ceil(7)
}

fn put_data(out: &mut Vec<u8>, data: &[u8]) {
    put_varint(out, data.len());
    out.extend_from_slice(data);
}

#[cfg(test)]
mod tests;
