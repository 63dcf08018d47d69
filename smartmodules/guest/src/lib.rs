//! The exports of a SmartModule around a pure rule: an encoded batch comes in, the rule sees one value after the other,
//! an encoded batch leaves.
//!
//! Fluvio's own `#[smartmodule(map)]` leaks the output of every call into the guest's memory, so that under a memory
//! limit of 64 MB a guest lives for some ten thousand messages only, and it moves batches byte by byte through several
//! copies. The exports made here speak the same protocol (tested against Fluvio's own encoder and decoder), keep one output
//! buffer, and hand the rule slices of the input.

#[doc(hidden)]
pub mod raw;
pub mod wire;

pub use fluvio_smartmodule::dataplane::smartmodule::SmartModuleExtraParams as Params;
pub use wire::{BatchWriter, RecordRef};

use std::sync::Mutex;

use fluvio_smartmodule::dataplane::{
    core::{Decoder, Encoder},
    smartmodule::{
        SmartModuleInitErrorStatus, SmartModuleInitInput, SmartModuleInitOutput,
        SmartModuleInitRuntimeError, SmartModuleKind, SmartModuleTransformErrorStatus,
    },
};
use wire::Input;

/// Exports `map`, made of a rule `fn(value: &[u8], out: &mut Vec<u8>)` that appends the new value to `out`. The key is
/// kept. A rule has no error to return: what it cannot use, it passes on or marks.
///
/// ```text
/// telesift_guest::map!(|value, out| out.extend_from_slice(&score_record(value, rules())));
/// ```
#[macro_export]
macro_rules! map {
    ($rule:expr) => {
        #[doc(hidden)]
        #[unsafe(export_name = "map")]
        pub extern "C" fn __export_map(ptr: *mut u8, len: usize, version: i16) -> i32 {
            let rule: fn(&[u8], &mut Vec<u8>) = $rule;
            // SAFETY: the engine calls this with a buffer of `alloc`.
            unsafe {
                $crate::raw::transform(ptr, len, version, |input, version, out| {
                    $crate::map_batch(input, version, out, rule)
                })
            }
        }
    };
}

/// Exports `filter`, made of a rule `fn(value: &[u8]) -> bool`; what gets `true` passes, unchanged.
#[macro_export]
macro_rules! filter {
    ($rule:expr) => {
        #[doc(hidden)]
        #[unsafe(export_name = "filter")]
        pub extern "C" fn __export_filter(ptr: *mut u8, len: usize, version: i16) -> i32 {
            let rule: fn(&[u8]) -> bool = $rule;
            // SAFETY: the engine calls this with a buffer of `alloc`.
            unsafe {
                $crate::raw::transform(ptr, len, version, |input, version, out| {
                    $crate::filter_batch(input, version, out, rule)
                })
            }
        }
    };
}

/// Exports `filter_map`, made of a rule `fn(RecordRef, &mut BatchWriter) -> Result<(), String>` that pushes what it
/// likes. Its error ends the batch there.
#[macro_export]
macro_rules! filter_map {
    ($rule:expr) => {
        #[doc(hidden)]
        #[unsafe(export_name = "filter_map")]
        pub extern "C" fn __export_filter_map(ptr: *mut u8, len: usize, version: i16) -> i32 {
            let rule: $crate::FilterMapRule = $rule;
            // SAFETY: the engine calls this with a buffer of `alloc`.
            unsafe {
                $crate::raw::transform(ptr, len, version, |input, version, out| {
                    $crate::filter_map_batch(input, version, out, rule)
                })
            }
        }
    };
}

/// Exports `init`, made of a `fn(&Params) -> Result<(), String>` that is called once, before the first batch. Its error
/// refuses the module.
#[macro_export]
macro_rules! init {
    ($init:expr) => {
        #[doc(hidden)]
        #[unsafe(export_name = "init")]
        pub extern "C" fn __export_init(ptr: *mut u8, len: usize, version: i16) -> i32 {
            let init: fn(&$crate::Params) -> Result<(), String> = $init;
            // SAFETY: the engine calls this with a buffer of `alloc`.
            unsafe {
                $crate::raw::transform(ptr, len, version, |input, version, out| {
                    $crate::run_init(input, version, out, init)
                })
            }
        }
    };
}

/// A batch through a map rule. Returns what the export returns: the number of records, or an error status.
pub fn map_batch(
    input: &[u8],
    version: i16,
    out: &mut Vec<u8>,
    rule: fn(&[u8], &mut Vec<u8>),
) -> i32 {
    let mut value = VALUE.lock().unwrap_or_else(|e| e.into_inner());
    transform_batch(
        input,
        version,
        out,
        SmartModuleKind::Map,
        |record, batch| {
            value.clear();
            rule(record.value, &mut value);
            batch.push(&record, &value);
            Ok(())
        },
    )
}

/// A batch through a filter rule.
pub fn filter_batch(input: &[u8], version: i16, out: &mut Vec<u8>, rule: fn(&[u8]) -> bool) -> i32 {
    transform_batch(
        input,
        version,
        out,
        SmartModuleKind::Filter,
        |record, batch| {
            if rule(record.value) {
                batch.push(&record, record.value);
            }
            Ok(())
        },
    )
}

/// The rule of [`filter_map!`].
pub type FilterMapRule = fn(RecordRef<'_>, &mut BatchWriter<'_>) -> Result<(), String>;

/// A batch through a filter-map rule.
pub fn filter_map_batch(input: &[u8], version: i16, out: &mut Vec<u8>, rule: FilterMapRule) -> i32 {
    transform_batch(input, version, out, SmartModuleKind::FilterMap, rule)
}

/// A batch through anything: `rule` pushes to the output what it likes. Its error ends the batch there, as Fluvio has
/// it.
pub fn transform_batch(
    input: &[u8],
    version: i16,
    out: &mut Vec<u8>,
    kind: SmartModuleKind,
    mut rule: impl FnMut(RecordRef<'_>, &mut BatchWriter<'_>) -> Result<(), String>,
) -> i32 {
    let Some(input) = Input::parse(input) else {
        return SmartModuleTransformErrorStatus::DecodingBaseInput as i32;
    };
    let mut batch = BatchWriter::new(out);
    let mut error = None;
    for record in input.records() {
        let Some(record) = record else {
            return SmartModuleTransformErrorStatus::DecodingRecords as i32;
        };
        if let Err(hint) = rule(record, &mut batch) {
            error = Some((record, hint));
            break;
        }
    }
    let n_records = batch.finish();
    let encoded = error
        .map(|(record, hint)| record.runtime_error(hint, input.base_offset, kind))
        .encode(out, version);
    match encoded {
        Ok(()) => n_records,
        Err(_) => SmartModuleTransformErrorStatus::EncodingOutput as i32,
    }
}

/// The call of `init` with the params the chain was built with.
pub fn run_init(
    input: &[u8],
    version: i16,
    out: &mut Vec<u8>,
    init: fn(&Params) -> Result<(), String>,
) -> i32 {
    let mut params = SmartModuleInitInput::default();
    let mut bytes = input;
    if params.decode(&mut bytes, version).is_err() {
        return SmartModuleInitErrorStatus::DecodingInput as i32;
    }
    let Err(hint) = init(&params.params) else {
        return 0;
    };
    let output = SmartModuleInitOutput {
        error: SmartModuleInitRuntimeError { hint },
    };
    match output.encode(out, version) {
        Ok(()) => SmartModuleInitErrorStatus::InitError as i32,
        Err(_) => SmartModuleInitErrorStatus::EncodingOutput as i32,
    }
}

/// The value a map rule is writing, kept for its capacity.
static VALUE: Mutex<Vec<u8>> = Mutex::new(Vec::new());
