//! Any path and query: every reading of a parameter returns, refusals have a hint, cursors have one text each.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stxworx_indexer::api::read;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = read::target(text);
    }
    read::forged_cursor(bytes, "/v1/events?topic=a");
});
