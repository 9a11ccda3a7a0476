//! Any bytes: what the decoder accepts encodes to the same bytes and answers every question.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stxworx_clarity::codec::Transaction;
use stxworx_clarity::codec::transaction::HighS;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(transaction) = Transaction::decode(bytes) {
        assert_eq!(transaction.encode(), bytes);
        assert_eq!(
            Transaction::decode_prefix(bytes),
            Ok((transaction.clone(), bytes.len()))
        );
        let _ = transaction.verify(HighS::Allow);
        let _ = (
            transaction.txid(),
            transaction.origin_address(),
            transaction.contract_id(),
        );
    }
});
