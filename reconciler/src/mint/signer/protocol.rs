//! What a minter and a remote signer say to each other, and how each knows that it is the other.
//!
//! Both have one secret, which never travels. Each side's message carries an HMAC-SHA256 of it: the request's over
//! time, a random number, path and body; the answer's over the same number, status and body. So the signer signs for
//! the minter only, the minter believes the signer only, and neither message is of use a second time. The messages
//! themselves are no secret: they are about transactions that everybody will see.

use std::fmt;

use ring::hmac;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::mint::tx::{Call, UnsignedTx};

/// Asks for a signature.
pub const SIGN: &str = "/v1/sign";
/// Asks whose key it is.
pub const KEY: &str = "/v1/key";
/// Unix seconds of the request.
pub const TIME_HEADER: &str = "x-stxworx-time";
/// 16 random bytes in hexadecimal digits.
pub const NUMBER_HEADER: &str = "x-stxworx-number";
/// HMAC in hexadecimal digits.
pub const MAC_HEADER: &str = "x-stxworx-mac";
/// Largest message, bytes.
pub const LARGEST: usize = 16 * 1024;
/// Shortest secret, in characters.
const SHORTEST_SECRET: usize = 32;

/// Why a secret will not do.
#[derive(Debug, thiserror::Error)]
pub enum SharedSecretError {
    /// Too easy to guess.
    #[error(
        "the secret that is shared with the signer is too short: at least {SHORTEST_SECRET} characters, for instance of `openssl rand -hex 32`"
    )]
    Short,
}

/// What both sides have. Printed by nothing.
#[derive(Clone)]
pub struct SharedSecret(hmac::Key);

impl fmt::Debug for SharedSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SharedSecret")
    }
}

impl SharedSecret {
    /// The secret of a text; white space around it is not part of it.
    ///
    /// # Errors
    /// When it is too short.
    pub fn new(text: String) -> Result<Self, SharedSecretError> {
        let text = Zeroizing::new(text);
        let secret = text.trim();
        if secret.len() < SHORTEST_SECRET {
            return Err(SharedSecretError::Short);
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())))
    }

    fn context(&self, parts: &[&str], body: &[u8]) -> hmac::Context {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(part.as_bytes());
            // No part holds an end of line: two lists of parts never read the same.
            context.update(b"\n");
        }
        context.update(body);
        context
    }

    /// The HMAC of a request.
    pub fn of_request(&self, time: u64, number: &str, path: &str, body: &[u8]) -> String {
        let parts = ["stxworx signer 1 request", &time.to_string(), number, path];
        hex::encode(self.context(&parts, body).sign())
    }

    /// The HMAC of an answer.
    pub fn of_answer(&self, number: &str, status: u16, body: &[u8]) -> String {
        let parts = ["stxworx signer 1 answer", number, &status.to_string()];
        hex::encode(self.context(&parts, body).sign())
    }

    /// Whether an HMAC is the one that was computed; takes the same time wherever they differ.
    pub fn is_same(computed: &str, given: &str) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"comparison");
        let tag = hmac::sign(&key, computed.as_bytes());
        hmac::verify(&key, given.as_bytes(), tag.as_ref()).is_ok()
    }
}

/// What a transaction does, in words for the signer's log and policy. The signer reads the bytes, not this; where the
/// two differ it signs nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meaning {
    /// `mint` or `noop`.
    pub call: String,
    /// The contract that is called or paid.
    pub contract: String,
    /// Who gets the badge; none in a noop.
    pub recipient: Option<String>,
    /// The badge's kind, as digits; none in a noop.
    pub kind: Option<String>,
    /// The account.
    pub sender: String,
    /// Its sequence number.
    pub nonce: u64,
    /// The fee, micro-STX.
    pub fee: u64,
    /// The chain's id.
    pub chain_id: u32,
}

impl Meaning {
    /// What a transaction does.
    pub fn of(unsigned: &UnsignedTx) -> Self {
        let (call, contract, recipient, kind) = match &unsigned.call {
            Call::Mint {
                contract,
                recipient,
                kind,
            } => (
                "mint",
                contract,
                Some(recipient.to_string()),
                Some(kind.to_string()),
            ),
            Call::Noop { to } => ("noop", to, None, None),
        };
        Self {
            call: call.to_owned(),
            contract: contract.to_string(),
            recipient,
            kind,
            sender: unsigned.sender().to_string(),
            nonce: unsigned.nonce,
            fee: unsigned.fee,
            chain_id: unsigned.chain_id,
        }
    }
}

/// Body of [`SIGN`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignRequest {
    /// The transaction without a signature, in hexadecimal digits.
    pub transaction: String,
    /// What it does.
    pub means: Meaning,
}

/// Answer of [`SIGN`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignAnswer {
    /// Recovery id, r and s, in hexadecimal digits.
    pub signature: String,
}

/// Answer of [`KEY`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyAnswer {
    /// The compressed public key, in hexadecimal digits.
    pub public_key: String,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorAnswer {
    /// Why, and what to do.
    pub error: String,
}
