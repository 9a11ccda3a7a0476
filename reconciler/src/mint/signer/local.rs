//! A signer whose key is in this process.

use super::key::Key;
use super::{Bounds, refused, signed, unsigned};
use crate::mint::ports::{self, PortError};
use crate::mint::tx::{Allowed, SignedTx, TxRefused, UnsignedTx, account};
use crate::mint::types::{Signed, UnsignedMint};

/// A key with the list of what it signs.
#[derive(Debug)]
pub struct LocalSigner {
    key: Key,
    allowed: Allowed,
    address: String,
}

impl LocalSigner {
    /// A key that signs nothing but this.
    pub fn new(key: Key, bounds: Bounds) -> Self {
        let allowed = bounds.of(key.hash160());
        let address = account(allowed.chain_id, key.hash160()).to_string();
        Self {
            key,
            allowed,
            address,
        }
    }

    /// The list of what it signs.
    pub fn allowed(&self) -> &Allowed {
        &self.allowed
    }

    /// Its public key.
    pub fn public(&self) -> [u8; 33] {
        self.key.public()
    }

    /// Signs, and reads anew what it signed.
    ///
    /// # Errors
    /// When it is not on the list.
    pub fn sign_tx(&self, unsigned: &UnsignedTx) -> Result<SignedTx, TxRefused> {
        self.allowed.permits(unsigned)?;
        self.allowed.check(&self.key.sign(unsigned)?.bytes)
    }
}

impl ports::Signer for LocalSigner {
    fn address(&self) -> &str {
        &self.address
    }

    async fn sign(&self, wanted: &UnsignedMint) -> Result<Signed, PortError> {
        let tx = unsigned(wanted, &self.allowed).map_err(|e| refused(&e))?;
        self.sign_tx(&tx).map(signed).map_err(|e| refused(&e))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use stxworx_clarity::codec::transaction::TESTNET_CHAIN_ID;

    use super::*;
    use crate::mint::ports::Signer as _;
    use crate::mint::types::Call;

    pub(crate) fn bounds() -> Bounds {
        let issuer = account(TESTNET_CHAIN_ID, [7; 20]);
        Bounds {
            chain_id: TESTNET_CHAIN_ID,
            badges: issuer.contract("freelance-badges").expect("legal"),
            noop_to: issuer.contract("freelance-security").expect("legal"),
            fee_cap: 10_000,
        }
    }

    pub(crate) fn wanted(nonce: u64) -> UnsignedMint {
        UnsignedMint {
            contract: bounds().badges.to_string(),
            call: Call::Mint {
                recipient: account(TESTNET_CHAIN_ID, [1; 20]).to_string(),
                kind: 2,
            },
            nonce,
            fee: 400,
        }
    }

    #[tokio::test]
    async fn it_signs_what_is_on_the_list_and_nothing_else() {
        let signer = LocalSigner::new(Key::random().unwrap(), bounds());
        assert!(signer.address().starts_with("ST"));
        let mint = signer.sign(&wanted(4)).await.unwrap();
        let checked = signer.allowed().check(&mint.bytes).unwrap();
        assert_eq!(checked.unsigned.nonce, 4);
        assert_eq!(TxIdBytes(checked.txid), TxIdBytes(mint.txid.0));
        let noop = UnsignedMint {
            call: Call::Noop {
                treasury: bounds().noop_to.to_string(),
            },
            ..wanted(5)
        };
        signer.sign(&noop).await.unwrap();
        for (what, wrong) in [
            (
                "not on the list",
                UnsignedMint {
                    contract: bounds().noop_to.to_string(),
                    ..wanted(6)
                },
            ),
            (
                "not from 1 to 10000",
                UnsignedMint {
                    fee: 10_001,
                    ..wanted(6)
                },
            ),
            (
                "no principal",
                UnsignedMint {
                    call: Call::Mint {
                        recipient: "nobody".to_owned(),
                        kind: 1,
                    },
                    ..wanted(6)
                },
            ),
        ] {
            let error = signer.sign(&wrong).await.unwrap_err();
            assert!(matches!(error, PortError::Refused { .. }));
            assert!(error.to_string().contains(what), "{error}");
        }
    }

    #[derive(Debug, PartialEq)]
    struct TxIdBytes([u8; 32]);
}
