//! Addresses and constants of the two networks, and the contracts of the made-up marketplace.

use stxworx_clarity::codec::{
    ContractId, MAINNET_SINGLE_SIG, StandardPrincipal, TESTNET_SINGLE_SIG, sha512_256,
};

/// Names of the contracts that a follower of the workload follows, all of one deployer.
pub const FOLLOWED: [&str; 4] = [
    "freelance-data",
    "freelance-logic",
    "freelance-security",
    "freelance-badges",
];

/// Which network's addresses and version bytes the workload uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Network {
    /// Addresses `SP…`, chain id 1.
    Mainnet,
    /// Addresses `ST…`, chain id 0x80000000.
    #[default]
    Testnet,
}

impl Network {
    /// Version byte of single-signature addresses.
    pub fn address_version(self) -> u8 {
        match self {
            Self::Mainnet => MAINNET_SINGLE_SIG,
            Self::Testnet => TESTNET_SINGLE_SIG,
        }
    }

    /// Chain id in transactions.
    pub fn chain_id(self) -> u32 {
        match self {
            Self::Mainnet => 0x0000_0001,
            Self::Testnet => 0x8000_0000,
        }
    }

    /// The account that belongs to a name: the same name is always the same account.
    pub fn account(self, name: &str) -> StandardPrincipal {
        let digest = sha512_256(format!("account:{name}").as_bytes());
        let mut hash160 = [0; 20];
        hash160.copy_from_slice(&digest[..20]);
        self.address(hash160)
    }

    /// The address of the boot contracts, whose hash is zero.
    pub fn boot_address(self) -> StandardPrincipal {
        self.address([0; 20])
    }

    /// The account that deployed the followed contracts.
    pub fn deployer(self) -> StandardPrincipal {
        self.account("deployer")
    }

    /// The followed contracts, in the order of [`FOLLOWED`].
    pub fn followed_contracts(self) -> [ContractId; 4] {
        FOLLOWED.map(|name| contract(&self.deployer(), name))
    }

    fn address(self, hash160: [u8; 20]) -> StandardPrincipal {
        StandardPrincipal::new(self.address_version(), hash160).expect("both versions are below 32")
    }
}

/// A contract whose name is written in the code.
///
/// # Panics
/// If the name is not a legal contract name.
pub fn contract(issuer: &StandardPrincipal, name: &str) -> ContractId {
    issuer.contract(name).expect("a legal contract name")
}
