//! Is this an archive of the mirror's own chain? Asked before each part is stored, until the answer is known.

use sqlx::PgPool;
use stxworx_clarity::codec::transaction::{MAINNET_CHAIN_ID, TESTNET_CHAIN_ID, TESTNET_VERSION};

use super::ArchiveError;
use super::wire::NETWORK_DIGITS;
use crate::store::archive::{self, Place};

/// So many transactions of another network, and none of this one, are proof enough.
const FOREIGN_TRANSACTIONS: u64 = 4;
/// So many heights where the mirror has another block, and not one block or parent that it has: it is another chain,
/// not a fork.
const FOREIGN_HEIGHTS: u64 = 12;

/// What was seen of where an archive is from.
#[derive(Debug, Default)]
pub(super) struct Origin {
    own: u64,
    foreign: u64,
    example: Option<[u8; NETWORK_DIGITS]>,
    agrees: bool,
    compared: u64,
}

impl Origin {
    /// Notes how transactions begin.
    pub(super) fn note(&mut self, network: &str, begins: &[[u8; NETWORK_DIGITS]]) {
        for digits in begins {
            match belongs(network, digits) {
                Some(true) => self.own += 1,
                Some(false) => {
                    self.foreign += 1;
                    self.example = Some(*digits);
                }
                None => {}
            }
        }
    }

    /// Refuses what is certainly of another network or chain. At the end of an archive less is enough.
    pub(super) async fn check(
        &mut self,
        pool: &PgPool,
        network: &str,
        blocks: &[Place],
        is_end: bool,
    ) -> Result<(), ArchiveError> {
        let enough = self.foreign >= FOREIGN_TRANSACTIONS || is_end;
        if let (0, true, Some(digits)) = (self.own, enough, self.example) {
            return Err(ArchiveError::OtherNetwork {
                network: network.to_owned(),
                found: String::from_utf8_lossy(&digits).into_owned(),
            });
        }
        if self.agrees || blocks.is_empty() {
            return Ok(());
        }
        let agreement = archive::agreement(pool, blocks).await?;
        self.agrees = agreement.known > 0;
        self.compared += agreement.compared;
        let enough = self.compared >= FOREIGN_HEIGHTS || is_end;
        match agreement.example {
            Some((height, mirror)) if !self.agrees && enough => Err(ArchiveError::OtherChain {
                height,
                mirror,
                compared: self.compared,
            }),
            _ => Ok(()),
        }
    }
}

/// Does a transaction that begins so belong to the network? Nothing where it does not say.
fn belongs(network: &str, digits: &[u8; NETWORK_DIGITS]) -> Option<bool> {
    let bytes = hex::decode(digits).ok()?;
    let (version, chain_id) = bytes.split_first()?;
    let chain_id = u32::from_be_bytes(chain_id.try_into().ok()?);
    let is_mainnet = version & TESTNET_VERSION == 0;
    Some(match network {
        // What a chain's first block deploys has no chain id.
        "mainnet" => is_mainnet && [MAINNET_CHAIN_ID, 0].contains(&chain_id),
        "testnet" => !is_mainnet && [TESTNET_CHAIN_ID, 0].contains(&chain_id),
        _ => !is_mainnet,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_tell_their_network() {
        for (digits, own) in [
            (b"0000000001", ["mainnet"].as_slice()),
            (b"8080000000", &["testnet", "devnet"]),
            (b"8000000000", &["testnet", "devnet"]),
            (b"8000000099", &["devnet"]),
            (b"0080000000", &[]),
        ] {
            for network in ["mainnet", "testnet", "devnet"] {
                assert_eq!(
                    belongs(network, digits),
                    Some(own.contains(&network)),
                    "{network} {:?}",
                    String::from_utf8_lossy(digits)
                );
            }
        }
        assert_eq!(belongs("mainnet", b"no digits!"), None);
    }
}
