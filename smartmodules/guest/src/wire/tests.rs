//! Our wire forms against Fluvio's own.

use fluvio_smartmodule::{
    Record,
    dataplane::{
        core::{Decoder, Encoder},
        smartmodule::{SmartModuleInput, SmartModuleKind, SmartModuleOutput},
    },
};

use super::*;
use crate::{filter_batch, map_batch, transform_batch};

const VERSION: i16 = fluvio_smartmodule::SMARTMODULE_TIMESTAMPS_VERSION;

fn input(values: &[&[u8]], base_offset: i64) -> Vec<u8> {
    let records = values
        .iter()
        .enumerate()
        .map(|(i, value)| {
            let mut record = match i % 2 {
                0 => Record::new(value.to_vec()),
                _ => Record::new_key_value(format!("key {i}"), value.to_vec()),
            };
            record.preamble.set_offset_delta(i as i64 * 1000);
            record.preamble.set_timestamp_delta(-(i as i64));
            record
        })
        .collect();
    let mut input = SmartModuleInput::try_from_records(records, VERSION).unwrap();
    input.set_base_offset(base_offset);
    input.set_base_timestamp(1_700_000_000_000);
    let mut bytes = Vec::new();
    input.encode(&mut bytes, VERSION).unwrap();
    bytes
}

fn output(bytes: &[u8]) -> SmartModuleOutput {
    let mut output = SmartModuleOutput::default();
    let mut rest = bytes;
    output.decode(&mut rest, VERSION).unwrap();
    assert!(rest.is_empty(), "{} bytes too many", rest.len());
    output
}

#[test]
fn reads_what_fluvio_writes_and_writes_what_fluvio_reads() {
    let long = vec![b'x'; 70_000];
    let values: [&[u8]; 7] = [
        b"",
        b"a",
        &long[..62],
        &long[..63],
        &long[..64],
        &long[..8191],
        &long,
    ];
    let mut out = Vec::new();
    let n = map_batch(&input(&values, 41), VERSION, &mut out, |value, out| {
        out.extend_from_slice(value);
        out.push(b'!');
    });
    assert_eq!(n, 7);
    let output = output(&out);
    assert!(output.error.is_none());
    for (i, record) in output.successes.iter().enumerate() {
        assert_eq!(record.value.as_ref(), [values[i], b"!"].concat());
        assert_eq!(record.offset_delta(), i as i64 * 1000);
        assert_eq!(record.timestamp_delta(), -(i as i64));
        let key = record.key.as_ref().map(|k| k.as_ref().to_vec());
        assert_eq!(key, (i % 2 == 1).then(|| format!("key {i}").into_bytes()));
    }
}

#[test]
fn a_filter_keeps_offsets() {
    let mut out = Vec::new();
    let n = filter_batch(&input(&[b"a", b"bb", b"c"], 0), VERSION, &mut out, |v| {
        v.len() == 1
    });
    assert_eq!(n, 2);
    let deltas: Vec<i64> = output(&out)
        .successes
        .iter()
        .map(Record::offset_delta)
        .collect();
    assert_eq!(deltas, [0, 2000]);
}

#[test]
fn an_error_ends_the_batch_and_names_the_true_offset() {
    let mut out = Vec::new();
    let input = input(&[b"a", b"bb", b"c"], 500);
    transform_batch(
        &input,
        VERSION,
        &mut out,
        SmartModuleKind::Map,
        |record, batch| {
            if record.value == b"bb" {
                return Err("no".into());
            }
            batch.push(&record, record.value);
            Ok(())
        },
    );
    let output = output(&out);
    assert_eq!(output.successes.len(), 1);
    let error = output.error.unwrap();
    assert_eq!((error.offset, error.hint.as_str()), (1500, "no"));
}

#[test]
fn a_truncated_batch_is_refused_not_read_past_its_end() {
    let whole = input(&[b"abc", b"def"], 0);
    for n in 0..whole.len() {
        let mut out = Vec::new();
        map_batch(&whole[..n], VERSION, &mut out, |v, out| {
            out.extend_from_slice(v)
        });
    }
    // The length of the second record says more than there is.
    let mut broken = whole.clone();
    let at = broken.windows(3).position(|w| w == b"def").unwrap();
    broken[at - 1] = 0x7e;
    let mut out = Vec::new();
    let status = map_batch(&broken, VERSION, &mut out, |v, out| {
        out.extend_from_slice(v)
    });
    assert!(status < 0);
}

#[test]
fn an_empty_batch_gives_an_empty_batch() {
    let mut out = Vec::new();
    assert_eq!(map_batch(&input(&[], 0), VERSION, &mut out, |_, _| ()), 0);
    assert!(output(&out).successes.is_empty());
}

#[test]
fn new_records_read_as_fluvio_records() {
    let deltas = [0, 1, 63, 64, 8191, 8192, 1 << 31, (1 << 40) + 5];
    let mut bytes = Vec::new();
    let mut batch = BatchWriter::new(&mut bytes);
    for (i, delta) in deltas.into_iter().enumerate() {
        batch.push_new(delta, (i % 2 == 0).then_some(b"key".as_slice()), b"value");
    }
    batch.finish();
    let records: Vec<Record> = Decoder::decode_from(&mut bytes.as_slice(), VERSION).unwrap();
    assert_eq!(
        records.iter().map(Record::offset_delta).collect::<Vec<_>>(),
        deltas
    );
    assert_eq!(records[0].key.as_ref().unwrap().as_ref(), b"key");
    assert!(records[1].key.is_none());
    assert!(
        records
            .iter()
            .all(|r| r.value.as_ref() == b"value" && r.timestamp_delta() == 0)
    );
}
