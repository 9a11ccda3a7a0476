//! The secret key, in memory only for as long as it must be.

use std::fmt;

use ring::rand::{SecureRandom as _, SystemRandom};
use secp256k1::SecretKey;
use stxworx_clarity::codec::hash160;
use stxworx_clarity::codec::transaction::{MessageSignature, Role, SignerKey};
use zeroize::Zeroizing;

use crate::mint::tx::{SignedTx, TxRefused, UnsignedTx};

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The system has no random numbers.
    #[error("the operating system gives no random numbers, so no key can be made")]
    Random,
    /// Not a key. The text is a secret and is not shown.
    #[error(
        "the secret is no key: expected 64 hexadecimal digits, or 66 that end in 01, of a number in the curve's range"
    )]
    NotAKey,
}

/// A secret key of one account. It is erased when it is dropped, and printed by nothing.
pub struct Key {
    secret: Zeroizing<[u8; 32]>,
    public: [u8; 33],
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Key")
            .field("public", &hex::encode(self.public))
            .finish_non_exhaustive()
    }
}

impl Key {
    /// A new key.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn random() -> Result<Self, KeyError> {
        let mut secret = Zeroizing::new([0; 32]);
        // All but one in 2^128 numbers are keys: the second attempt is for the reader.
        for _ in 0..8 {
            SystemRandom::new()
                .fill(secret.as_mut())
                .map_err(|_| KeyError::Random)?;
            if let Ok(key) = Self::from_bytes(&secret) {
                return Ok(key);
            }
        }
        Err(KeyError::Random)
    }

    /// The key of 32 bytes.
    ///
    /// # Errors
    /// When they are none.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let mut secret = SecretKey::from_byte_array(*bytes).map_err(|_| KeyError::NotAKey)?;
        let public = SignerKey::of_secret(&secret).key.serialize();
        secret.non_secure_erase();
        Ok(Self {
            secret: Zeroizing::new(*bytes),
            public,
        })
    }

    /// A key as wallets write it: hexadecimal digits, with 01 behind them or not.
    ///
    /// # Errors
    /// When the text is none.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let digits = text.trim();
        let digits = digits.strip_prefix("0x").unwrap_or(digits);
        let digits = match digits.len() {
            66 => digits.strip_suffix("01").ok_or(KeyError::NotAKey)?,
            _ => digits,
        };
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(digits, bytes.as_mut()).map_err(|_| KeyError::NotAKey)?;
        Self::from_bytes(&bytes)
    }

    /// The compressed public key.
    pub fn public(&self) -> [u8; 33] {
        self.public
    }

    /// The hash160 that is the account's address.
    pub fn hash160(&self) -> [u8; 20] {
        hash160(&self.public)
    }

    /// The secret itself, to be sealed.
    pub(super) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// Signs with RFC 6979 and a low s: the same transaction gets the same signature each time.
    ///
    /// # Errors
    /// When the transaction is of another account.
    pub(super) fn sign(&self, unsigned: &UnsignedTx) -> Result<SignedTx, TxRefused> {
        if unsigned.signer != self.hash160() {
            return Err(TxRefused::Sender {
                found: unsigned.sender(),
                expected: crate::mint::tx::account(unsigned.chain_id, self.hash160()),
            });
        }
        let mut secret =
            SecretKey::from_byte_array(*self.secret).expect("was a key when it was read");
        let mut transaction = unsigned.with(MessageSignature::EMPTY);
        let signed = transaction.sign(Role::Origin, &secret);
        secret.non_secure_erase();
        signed?;
        Ok(SignedTx {
            txid: transaction.txid(),
            bytes: transaction.encode(),
            unsigned: unsigned.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_wallets_write_it_and_shown_by_nothing() {
        let digits = "edf9aee84d9b7abc145504dde6726c64f369d37ee34ded868fabd876c26570bc";
        let key = Key::parse(digits).expect("a key");
        let with_suffix = Key::parse(&format!("  {digits}01\n")).expect("a key");
        assert_eq!(key.public(), with_suffix.public());
        assert!(!format!("{key:?}").contains(&digits[..16]));
        for wrong in [
            "",
            "00",
            &digits[..63],
            &format!("{digits}02"),
            &"0".repeat(64),
            &"f".repeat(64),
        ] {
            let error = Key::parse(wrong).unwrap_err();
            assert!(matches!(error, KeyError::NotAKey));
            assert!(wrong.len() < 16 || !error.to_string().contains(wrong));
        }
    }

    #[test]
    fn two_random_keys_differ() {
        let (a, b) = (Key::random().unwrap(), Key::random().unwrap());
        assert_ne!(a.public(), b.public());
    }
}
