//! The minter's way to the chain: keys, signers and nodes.

mod node;
mod scripted;
mod signer;
mod tls;

use stxworx_clarity::codec::transaction::TESTNET_CHAIN_ID;
use stxworx_clarity::market::Actor;
use stxworx_reconciler::mint::signer::{Bounds, Key, LocalSigner};
use stxworx_reconciler::mint::types::{Call, LaneId, UnsignedMint};

/// What a devnet's minter may sign.
fn bounds() -> Bounds {
    let deployer = Actor::of("deployer");
    Bounds {
        chain_id: TESTNET_CHAIN_ID,
        badges: deployer.contract("freelance-badges"),
        noop_to: deployer.contract("freelance-security"),
        fee_cap: 100_000,
    }
}

/// A devnet's minter: its key is known to everybody.
pub fn minter() -> LocalSigner {
    let key = Key::from_bytes(&Actor::of("minter").secret.secret_bytes()).unwrap();
    LocalSigner::new(key, bounds())
}

fn lane() -> LaneId {
    LaneId {
        contract: bounds().badges.to_string(),
        sender: Actor::of("minter").address.to_string(),
    }
}

fn mint(recipient: &str, kind: u64, nonce: u64, fee: u64) -> UnsignedMint {
    UnsignedMint {
        contract: lane().contract,
        call: Call::Mint {
            recipient: recipient.to_owned(),
            kind,
        },
        nonce,
        fee,
    }
}

pub fn noop(nonce: u64, fee: u64) -> UnsignedMint {
    UnsignedMint {
        contract: lane().contract,
        call: Call::Noop {
            treasury: bounds().noop_to.to_string(),
        },
        nonce,
        fee,
    }
}
