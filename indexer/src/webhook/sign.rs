//! Signatures, and the secrets behind them.

use std::fmt::Write as _;

use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

/// How a secret begins, so that scanners find one that leaked.
const PREFIX: &str = "whsec_";
const SECRET_BYTES: usize = 32;

/// The machine gave no random bytes.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the system gives no random bytes; try again")]
pub struct NoRandom;

/// A new secret.
///
/// # Errors
/// When the system gives no random bytes.
pub fn new_secret() -> Result<String, NoRandom> {
    let mut bytes = [0; SECRET_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandom)?;
    Ok(format!("{PREFIX}{}", hex::encode(bytes)))
}

fn signed(unix: u64, body: &[u8]) -> Vec<u8> {
    let mut text = format!("{unix}.").into_bytes();
    text.extend_from_slice(body);
    text
}

/// The header `Stxworx-Signature`: the time, and a signature for each valid secret.
pub fn header(secrets: &[String], unix: u64, body: &[u8]) -> String {
    let text = signed(unix, body);
    let mut header = format!("t={unix}");
    for secret in secrets {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let _ = write!(header, ",v1={}", hex::encode(hmac::sign(&key, &text)));
    }
    header
}

/// Checks a header as a receiver does: some signature is right, and the time is no further away than `window_s`.
pub fn verify(header: &str, body: &[u8], secret: &str, now: u64, window_s: u64) -> bool {
    let mut time = None;
    let mut signatures = Vec::new();
    for field in header.split(',') {
        match field.split_once('=') {
            Some(("t", value)) => time = value.parse::<u64>().ok(),
            Some(("v1", value)) => signatures.extend(hex::decode(value)),
            _ => {}
        }
    }
    let Some(time) = time.filter(|time| time.abs_diff(now) <= window_s) else {
        return false;
    };
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let text = signed(time, body);
    // In constant time.
    signatures
        .iter()
        .any(|signature| hmac::verify(&key, &text, signature).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_standard() {
        // Made with `printf '1700000000.{}' | openssl dgst -sha256 -hmac whsec_test`.
        let header = header(&["whsec_test".to_owned()], 1_700_000_000, b"{}");
        assert_eq!(
            header,
            "t=1700000000,v1=35495024f4ef3f94e5a93e22221544c4b75e9a42300cd965ab81cb85cd994e91"
        );
        assert!(verify(&header, b"{}", "whsec_test", 1_700_000_100, 300));
    }

    #[test]
    fn what_was_changed_is_refused() {
        let secrets = [new_secret().unwrap(), new_secret().unwrap()];
        assert_ne!(secrets[0], secrets[1]);
        let header = header(&secrets, 1_000, b"body");
        for secret in &secrets {
            assert!(verify(&header, b"body", secret, 1_300, 300));
        }
        assert!(!verify(&header, b"body", "whsec_other", 1_000, 300));
        assert!(!verify(&header, b"bodx", &secrets[0], 1_000, 300));
        assert!(
            !verify(&header, b"body", &secrets[0], 1_301, 300),
            "too old"
        );
        let later = header.replace("t=1000", "t=1001");
        assert!(!verify(&later, b"body", &secrets[0], 1_001, 300));
        for junk in [
            "",
            "t=",
            "t=1000",
            "v1=00",
            "t=x,v1=00",
            ",,,=",
            "t=1000,v1=zz",
        ] {
            assert!(!verify(junk, b"body", &secrets[0], 1_000, 300), "{junk}");
        }
    }
}
