//! Any bytes: both decoders agree, and what they accept encodes to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stxworx_clarity::codec::{Value, ValueRef};

fuzz_target!(|bytes: &[u8]| {
    let owned = Value::decode_exact(bytes);
    let borrowed = ValueRef::decode_exact(bytes);
    match (owned, borrowed) {
        (Ok(owned), Ok(borrowed)) => {
            let encoded = owned.encode();
            assert_eq!(borrowed.is_canonical(), encoded == bytes);
            assert_eq!(Value::decode_exact(&encoded).as_ref(), Ok(&owned));
            assert_eq!(borrowed.to_value(), owned);
            assert_eq!(borrowed.to_string(), owned.to_string());
        }
        (owned, borrowed) => assert_eq!(owned.err(), borrowed.err()),
    }
});
