//! Any text as a key or a token: nobody is let in who has no key.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use stxworx_indexer::api::access::TokenVerifier;
use stxworx_indexer::api::read;

/// Nobody signs with this secret.
static VERIFIER: LazyLock<TokenVerifier> = LazyLock::new(|| {
    TokenVerifier::new("stxworx", "stxworx-api")
        .with_secret(b"0123456789abcdef0123456789abcdef")
        .expect("a long secret")
});

fuzz_target!(|text: &str| read::credentials(text, &VERIFIER));
