//! The border to the engine's memory: the input buffer it had us allocate is taken back, the output buffer is shown to
//! it and kept for the next call. All unsafe code of the guests stands here.
#![expect(
    unsafe_code,
    reason = "the protocol of SmartModules hands over raw pointers"
)]

use std::sync::Mutex;

/// Above this capacity the output buffer is given back after use, so that one huge batch does not stay for ever.
const KEEP_BYTES: usize = 8 << 20;

/// What the last call returned. The engine reads it after the call, so it must outlive it; the next call reuses it.
static OUTPUT: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Runs `body(input, version, out)` on the buffer that the engine got from `alloc(len)` and filled, and shows it `out`.
/// Returns what `body` returns. For the exports made by this crate's macros.
///
/// # Safety
/// `ptr` must come from `alloc(len)`, be filled with `len` bytes, and not be used again.
pub unsafe fn transform(
    ptr: *mut u8,
    len: usize,
    version: i16,
    body: impl FnOnce(&[u8], i16, &mut Vec<u8>) -> i32,
) -> i32 {
    // SAFETY: `alloc` (fluvio_smartmodule::memory) made this buffer as a `Vec<u8>` of capacity `len` and forgot it; the
    // engine has written all `len` bytes and passes it to exactly one call.
    let input = unsafe { Vec::from_raw_parts(ptr, len, len) };
    let mut out = OUTPUT.lock().unwrap_or_else(|e| e.into_inner());
    if out.capacity() > KEEP_BYTES {
        *out = Vec::new();
    }
    out.clear();
    let status = body(&input, version, &mut out);
    show(&out);
    status
}

#[cfg(target_arch = "wasm32")]
fn show(out: &[u8]) {
    unsafe extern "C" {
        fn copy_records(ptr: i32, len: i32);
    }
    // SAFETY: the engine notes pointer and length and reads them after this export has returned; `OUTPUT` is not touched
    // before the next call.
    unsafe { copy_records(out.as_ptr() as i32, out.len() as i32) }
}

/// There is no engine to show it to.
#[cfg(not(target_arch = "wasm32"))]
fn show(_out: &[u8]) {}
