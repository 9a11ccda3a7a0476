//! Closing a period: only over what is final, booked and proved, and sealed so that it cannot be changed unseen.

use base64::Engine as _;
use ring::signature::{self, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use stxworx_indexer::audit::NodeReader;
use stxworx_indexer::store::ledger::chain::ZERO;
use stxworx_indexer::store::ledger::seal::{self, Candidate, Seal};
use stxworx_indexer::store::{Pool, StoreError};

use super::proof::{self, Proof, ProofError};
use super::statement::Statement;

/// Why a period stays open.
#[derive(Debug, thiserror::Error)]
pub enum CloseError {
    /// No such block.
    #[error("no canonical block is at height {height}; give a height that the mirror has")]
    NoBlock {
        /// Where.
        height: i32,
    },
    /// It is in a closed one already.
    #[error("height {until} is in a closed period: the open one begins at {from}")]
    Closed {
        /// What was asked for.
        until: i32,
        /// The first open height.
        from: i32,
    },
    /// Not deep enough.
    #[error(
        "the block at height {until} is {depth} Bitcoin blocks deep, and final from {finality} on: close an earlier \
         height, or wait"
    )]
    NotFinal {
        /// What was asked for.
        until: i32,
        /// How deep it is.
        depth: i32,
        /// How deep it has to be.
        finality: u32,
    },
    /// The books are behind.
    #[error(
        "{unbooked} lines of the outbox are not booked and {pending} bookings up to there are pending: let the daemon \
         catch up, or run `stxworx ledger book`"
    )]
    Behind {
        /// Lines.
        unbooked: i64,
        /// Bookings.
        pending: i64,
    },
    /// Events may be missing.
    #[error(
        "{broken} contracts have breaks in their chains of events and {unread} payloads or blocks wait: see \
         `stxworx status` and `stxworx gaps`"
    )]
    NotCovered {
        /// Contracts.
        broken: i64,
        /// Payloads.
        unread: i64,
    },
    /// Something stands in suspense.
    #[error(
        "a suspense account is not empty: `stxworx ledger journal --account suspense:` says why. Explain it, then close \
         with --with-suspense"
    )]
    Suspense,
    /// The books are not what the chain says.
    #[error("the books differ from the chain: `stxworx ledger verify` says where")]
    Differs(Box<Proof>),
    /// The proof could not be made.
    #[error("the books cannot be proved")]
    Proof(#[from] ProofError),
    /// The key is none.
    #[error(
        "the key cannot be used: {detail}. It has 64 hexadecimal digits, or is the PEM file of \
         `openssl genpkey -algorithm ed25519`"
    )]
    Key {
        /// Why.
        detail: String,
    },
    /// The statement cannot be written.
    #[error("the statement cannot be written")]
    Statement(#[from] serde_json::Error),
    /// The database.
    #[error("the period cannot be closed")]
    Store(#[from] StoreError),
}

/// A key that signs seals.
pub struct Signer(Ed25519KeyPair);

impl std::fmt::Debug for Signer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Signer(0x{})", hex::encode(self.public_key()))
    }
}

impl Signer {
    /// From what a key file holds.
    ///
    /// # Errors
    /// When it is no Ed25519 key.
    pub fn from_text(text: &str) -> Result<Self, CloseError> {
        let refused = |detail: &str| CloseError::Key {
            detail: detail.to_owned(),
        };
        let text = text.trim();
        if text.contains("PRIVATE KEY") {
            let lines = text.lines().map(str::trim);
            let body: String = lines.filter(|l| !l.starts_with("-----")).collect();
            let der = base64::engine::general_purpose::STANDARD
                .decode(body)
                .map_err(|_| refused("its PEM is not base64"))?;
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der)
                .map_err(|_| refused("its PEM holds no Ed25519 key"))?;
            return Ok(Self(pair));
        }
        let seed = hex::decode(text.trim_start_matches("0x"))
            .map_err(|_| refused("it is neither PEM nor hexadecimal"))?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed)
            .map_err(|_| refused("it does not have 32 bytes"))?;
        Ok(Self(pair))
    }

    /// Its public key.
    pub fn public_key(&self) -> [u8; 32] {
        let key = self.0.public_key().as_ref();
        <[u8; 32]>::try_from(key).unwrap_or(ZERO)
    }
}

/// What is asked for.
#[derive(Debug)]
pub struct Request<'a> {
    /// The last height of the period.
    pub until: i32,
    /// Bitcoin blocks from which on a block is final.
    pub finality: u32,
    /// Close although something stands in suspense.
    pub with_suspense: bool,
    /// The node whose balances have to agree.
    pub node: Option<&'a NodeReader>,
    /// Who signs.
    pub signer: Option<&'a Signer>,
}

/// The daemon may book while a period is closed; the seal is over the head of the journal.
const ATTEMPTS: u32 = 10;

/// Closes the open period.
///
/// # Errors
/// When it cannot be closed; see [`CloseError`]. Nothing changes then.
pub async fn close(pool: &Pool, request: &Request<'_>) -> Result<Seal, CloseError> {
    let mut attempt = 1;
    loop {
        let candidate = checked(pool, request).await?;
        let seal = sealed(pool, &candidate, request).await?;
        match seal::insert(pool, &seal).await {
            Ok(()) => return Ok(seal),
            Err(error) => {
                let now = seal::candidate(pool, request.until).await?;
                let moved = now.is_some_and(|now| now.head_count != candidate.head_count);
                if !moved || attempt >= ATTEMPTS {
                    return Err(error.into());
                }
                attempt += 1;
            }
        }
    }
}

/// What closing would seal, without closing.
///
/// # Errors
/// As of [`close`].
pub async fn preview(pool: &Pool, request: &Request<'_>) -> Result<Seal, CloseError> {
    let candidate = checked(pool, request).await?;
    sealed(pool, &candidate, request).await
}

async fn checked(pool: &Pool, request: &Request<'_>) -> Result<Candidate, CloseError> {
    let until = request.until;
    let candidate = seal::candidate(pool, until)
        .await?
        .ok_or(CloseError::NoBlock { height: until })?;
    if until < candidate.from_height {
        return Err(CloseError::Closed {
            until,
            from: candidate.from_height,
        });
    }
    let depth = candidate
        .burn_height
        .saturating_sub(candidate.until_burn_height);
    if u32::try_from(depth).unwrap_or(0) < request.finality {
        return Err(CloseError::NotFinal {
            until,
            depth,
            finality: request.finality,
        });
    }
    if candidate.unbooked + candidate.pending > 0 {
        return Err(CloseError::Behind {
            unbooked: candidate.unbooked,
            pending: candidate.pending,
        });
    }
    if candidate.broken_chains + candidate.unread > 0 {
        return Err(CloseError::NotCovered {
            broken: candidate.broken_chains,
            unread: candidate.unread,
        });
    }
    let proof = proof::prove(pool, request.node, Some(until)).await?;
    if !proof.holds() {
        return Err(CloseError::Differs(Box::new(proof)));
    }
    Ok(candidate)
}

async fn sealed(
    pool: &Pool,
    candidate: &Candidate,
    request: &Request<'_>,
) -> Result<Seal, CloseError> {
    let mut snapshot = seal::snapshot(pool).await?;
    let statement = Statement::of(&mut snapshot, candidate).await?;
    drop(snapshot);
    if statement.has_suspense() && !request.with_suspense {
        return Err(CloseError::Suspense);
    }
    let mut seal = Seal {
        number: candidate.number,
        from_height: candidate.from_height,
        until_height: candidate.until_height,
        until_block: candidate.until_block,
        until_time: candidate.until_time,
        head_count: candidate.head_count,
        head_hash: candidate.head_hash,
        prev_seal: candidate.prev_seal,
        statement: statement.bytes()?,
        signed: None,
        seal: ZERO,
    };
    seal.seal = seal.hash();
    seal.signed = request.signer.map(|signer| {
        let signature = signer.0.sign(&seal.seal);
        (signer.public_key(), signature.as_ref().to_vec())
    });
    Ok(seal)
}

/// A seal as a file: it can be published, and stands for the books where the database is not believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealFile {
    /// The period's number.
    pub period: i32,
    /// Its first Stacks height.
    pub from_height: i32,
    /// Its last.
    pub until_height: i32,
    /// The block there, hexadecimal.
    pub until_block: String,
    /// Unix seconds of that block's Bitcoin block.
    pub until_time: i64,
    /// Journals when it was closed.
    pub head_count: i64,
    /// Hash of the last one, hexadecimal.
    pub head_hash: String,
    /// Seal of the period before, hexadecimal; zeros for the first.
    pub prev_seal: String,
    /// The statement, byte for byte: JSON.
    pub statement: String,
    /// SHA-256 over all that, hexadecimal.
    pub seal: String,
    /// Ed25519 public key, hexadecimal.
    pub public_key: Option<String>,
    /// Ed25519 signature over the 32 bytes of the seal, hexadecimal.
    pub signature: Option<String>,
}

impl From<&Seal> for SealFile {
    fn from(seal: &Seal) -> Self {
        Self {
            period: seal.number,
            from_height: seal.from_height,
            until_height: seal.until_height,
            until_block: hex::encode(seal.until_block),
            until_time: seal.until_time,
            head_count: seal.head_count,
            head_hash: hex::encode(seal.head_hash),
            prev_seal: hex::encode(seal.prev_seal),
            statement: seal.statement.clone(),
            seal: hex::encode(seal.seal),
            public_key: seal.signed.as_ref().map(|(key, _)| hex::encode(key)),
            signature: seal.signed.as_ref().map(|(_, s)| hex::encode(s)),
        }
    }
}

impl SealFile {
    /// What is wrong with the file by itself; none where it is whole, and signed properly if it is signed.
    pub fn fault(&self) -> Option<String> {
        let bytes = |text: &str| {
            let decoded = hex::decode(text.trim_start_matches("0x")).ok();
            decoded.and_then(|b| <[u8; 32]>::try_from(b).ok())
        };
        let fields = (
            bytes(&self.until_block),
            bytes(&self.head_hash),
            bytes(&self.prev_seal),
            bytes(&self.seal),
        );
        let (Some(until_block), Some(head_hash), Some(prev_seal), Some(seal)) = fields else {
            return Some("one of its hashes is not 64 hexadecimal digits".to_owned());
        };
        let whole = Seal {
            number: self.period,
            from_height: self.from_height,
            until_height: self.until_height,
            until_block,
            until_time: self.until_time,
            head_count: self.head_count,
            head_hash,
            prev_seal,
            statement: self.statement.clone(),
            signed: None,
            seal,
        };
        if whole.hash() != seal {
            return Some("it was changed: its seal is not over what it holds".to_owned());
        }
        let (key, signature) = match (&self.public_key, &self.signature) {
            (None, None) => return None,
            (Some(key), Some(signature)) => (hex::decode(key), hex::decode(signature)),
            _ => return Some("it has a key or a signature, and not both".to_owned()),
        };
        let (Ok(key), Ok(signature)) = (key, signature) else {
            return Some("its key or signature is not hexadecimal".to_owned());
        };
        UnparsedPublicKey::new(&signature::ED25519, key)
            .verify(&seal, &signature)
            .err()
            .map(|_| "its signature is not that of its key".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = "0x9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    /// The public key of the first test of RFC 8032.
    const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    const PEM: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";

    #[test]
    fn keys_are_read_from_digits_and_from_pem() {
        for text in [SEED, PEM] {
            let signer = Signer::from_text(text).unwrap();
            assert_eq!(hex::encode(signer.public_key()), PUBLIC);
            assert!(!format!("{signer:?}").contains("9d61"), "the seed is shown");
        }
        for text in ["", "0x12", "no key", "-----BEGIN PRIVATE KEY-----\nMC4=\n"] {
            assert!(
                matches!(Signer::from_text(text), Err(CloseError::Key { .. })),
                "{text}"
            );
        }
    }

    fn file() -> SealFile {
        let mut seal = Seal {
            number: 1,
            from_height: 1,
            until_height: 9,
            until_block: [1; 32],
            until_time: 5,
            head_count: 3,
            head_hash: [2; 32],
            prev_seal: ZERO,
            statement: "{}".into(),
            signed: None,
            seal: ZERO,
        };
        seal.seal = seal.hash();
        let signer = Signer::from_text(SEED).unwrap();
        let signature = signer.0.sign(&seal.seal).as_ref().to_vec();
        seal.signed = Some((signer.public_key(), signature));
        SealFile::from(&seal)
    }

    #[test]
    fn a_change_anywhere_in_a_seals_file_is_found() {
        let whole = file();
        assert_eq!(whole.fault(), None);
        let changes: [fn(&mut SealFile); 10] = [
            |f| f.period += 1,
            |f| f.from_height += 1,
            |f| f.until_height += 1,
            |f| f.until_block = hex::encode([9; 32]),
            |f| f.until_time += 1,
            |f| f.head_count -= 1,
            |f| f.head_hash = hex::encode([9; 32]),
            |f| f.prev_seal = hex::encode([9; 32]),
            |f| f.statement.push(' '),
            |f| f.signature = Some(hex::encode([9; 64])),
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut changed = whole.clone();
            change(&mut changed);
            assert!(changed.fault().is_some(), "change {number}");
        }
        let unsigned = SealFile {
            public_key: None,
            signature: None,
            ..whole.clone()
        };
        assert_eq!(unsigned.fault(), None);
        let half = SealFile {
            public_key: None,
            ..whole
        };
        assert!(half.fault().is_some());
    }
}
