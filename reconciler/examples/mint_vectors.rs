//! Prints transactions of the minter, one JSON object a line, for `scripts/mint-parity`: COUNT of them, chosen by SEED.

use std::io::Write as _;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use stxworx_clarity::codec::transaction::{MAINNET_CHAIN_ID, TESTNET_CHAIN_ID};
use stxworx_clarity::codec::{ContractId, Principal, StandardPrincipal};
use stxworx_reconciler::mint::signer::{Bounds, Key, LocalSigner};
use stxworx_reconciler::mint::tx::{Call, UnsignedTx, account};

/// Numbers that follow from a seed.
struct Dice {
    seed: u64,
    thrown: u64,
}

impl Dice {
    fn bytes(&mut self) -> [u8; 32] {
        self.thrown += 1;
        Sha256::digest(format!("mint vectors {} {}", self.seed, self.thrown)).into()
    }

    fn number(&mut self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.bytes();
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.number() % limit
    }

    /// A small number, a large one, or one at the edge.
    fn wide(&mut self) -> u64 {
        match self.below(6) {
            0 => 0,
            1 => u64::MAX,
            2 => self.number(),
            _ => self.below(10_000),
        }
    }
}

fn recipient(dice: &mut Dice, chain_id: u32) -> Result<Principal, Box<dyn std::error::Error>> {
    let mut hash = [0; 20];
    hash.copy_from_slice(&dice.bytes()[..20]);
    if dice.below(10) == 0 {
        hash = [0; 20];
    }
    let single = account(chain_id, hash);
    // Multi-signature addresses have a version of their own.
    let version = match (dice.below(4), chain_id) {
        (0, MAINNET_CHAIN_ID) => 20,
        (0, _) => 21,
        _ => single.version(),
    };
    let address = StandardPrincipal::new(version, hash)?;
    Ok(match dice.below(3) {
        0 => {
            let length = usize::try_from(1 + dice.below(40))?;
            let name: String = "wallet-of-a-team-".chars().cycle().take(length).collect();
            let name = name.trim_end_matches('-');
            Principal::Contract(address.contract(name)?)
        }
        _ => Principal::Standard(address),
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| match arguments.next() {
        Some(text) => text.parse(),
        None => Ok(default),
    };
    let (count, seed) = (number(100)?, number(1)?);
    let mut dice = Dice { seed, thrown: 0 };
    let mut out = std::io::stdout().lock();
    for _ in 0..count {
        let chain_id = [MAINNET_CHAIN_ID, TESTNET_CHAIN_ID][usize::try_from(dice.below(2))?];
        let secret = dice.bytes();
        let key = Key::from_bytes(&secret)?;
        let mut deployer = [0; 20];
        deployer.copy_from_slice(&dice.bytes()[..20]);
        let contract = |name: &str| account(chain_id, deployer).contract(name);
        let bounds = Bounds {
            chain_id,
            badges: contract("freelance-badges")?,
            noop_to: contract("freelance-security")?,
            fee_cap: u64::MAX,
        };
        let call = if dice.below(4) == 0 {
            Call::Noop {
                to: bounds.noop_to.clone(),
            }
        } else {
            Call::Mint {
                contract: bounds.badges.clone(),
                recipient: recipient(&mut dice, chain_id)?,
                kind: match dice.below(4) {
                    0 => u128::MAX,
                    1 => (u128::from(dice.number()) << 64) | u128::from(dice.number()),
                    _ => u128::from(dice.wide()),
                },
            }
        };
        let unsigned = UnsignedTx {
            chain_id,
            signer: key.hash160(),
            nonce: dice.wide(),
            fee: dice.wide().max(1),
            call,
        };
        let signed = LocalSigner::new(key, bounds).sign_tx(&unsigned)?;
        let (name, contract, recipient, kind): (_, &ContractId, _, _) = match &unsigned.call {
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
        let line = json!({
            "chain_id": chain_id,
            "secret": hex::encode(secret),
            "call": name,
            "contract": contract.to_string(),
            "recipient": recipient,
            "kind": kind,
            "nonce": unsigned.nonce.to_string(),
            "fee": unsigned.fee.to_string(),
            "bytes": hex::encode(&signed.bytes),
            "txid": hex::encode(signed.txid),
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}
