//! Keys of a devnet's actors.

use secp256k1::SecretKey;
use sha2::{Digest as _, Sha256};

use crate::codec::transaction::{
    AnchorMode, Arguments, Auth, ClarityVersion, Payload, PostCondition, PostConditionMode, Role,
    SignerKey, SpendingCondition, TESTNET_CHAIN_ID, TESTNET_VERSION, Transaction,
};
use crate::codec::{
    ContractId, ContractName, Principal, StandardPrincipal, TESTNET_SINGLE_SIG, Value, hash160,
};

/// Somebody who signs on a devnet.
///
/// The key follows from the role's name and is known to everybody: it must never hold anything of
/// value. Roles in use: `deployer`, `signer-1` to `signer-5` (the signers of freelance-security on a
/// devnet), `client-N`, `freelancer-N`, `arbiter`, `attestor`, `minter`, `keeper`.
#[derive(Debug, Clone)]
pub struct Actor {
    /// The secret key: SHA-256 of `stxworx devnet ` and the role.
    pub secret: SecretKey,
    /// The account.
    pub address: StandardPrincipal,
}

impl Actor {
    /// The actor of a role.
    pub fn of(role: &str) -> Self {
        let secret = secret_key(role);
        let hash = hash160(&SignerKey::of_secret(&secret).key.serialize());
        Self {
            secret,
            address: StandardPrincipal::of_known_version(TESTNET_SINGLE_SIG, hash),
        }
    }

    /// The account, as a principal.
    pub fn principal(&self) -> Principal {
        Principal::Standard(self.address)
    }

    /// A contract of this account.
    ///
    /// # Panics
    /// When the name is none; names are written in the code.
    pub fn contract(&self, name: &str) -> ContractId {
        self.address.contract(name).expect("a contract's name")
    }

    /// A signed transaction on a devnet's chain id.
    pub fn sign(
        &self,
        nonce: u64,
        fee: u64,
        payload: Payload,
        conditions: Conditions,
    ) -> Transaction {
        let (post_condition_mode, post_conditions) = match conditions {
            Conditions::None => (PostConditionMode::Allow, Vec::new()),
            Conditions::Exactly(conditions) => (PostConditionMode::Deny, conditions),
        };
        let mut transaction = Transaction {
            version: TESTNET_VERSION,
            chain_id: TESTNET_CHAIN_ID,
            auth: Auth::Standard(SpendingCondition::single_sig(
                SignerKey::of_secret(&self.secret),
                nonce,
                fee,
            )),
            anchor_mode: AnchorMode::Any,
            post_condition_mode,
            post_conditions,
            payload,
        };
        transaction
            .sign(Role::Origin, &self.secret)
            .expect("a fresh single signature has nothing before it");
        transaction
    }
}

/// What a transaction lets move.
#[derive(Debug, Clone)]
pub enum Conditions {
    /// Anything.
    None,
    /// What is named, and nothing else.
    Exactly(Vec<PostCondition>),
}

/// A call's payload.
///
/// # Panics
/// When the function's name is none or the arguments nest too deeply; both are written in the code.
pub fn call(contract: &ContractId, function: &str, arguments: &[Value]) -> Payload {
    Payload::ContractCall {
        contract: contract.clone(),
        function: crate::codec::ClarityName::new(function).expect("a function's name"),
        arguments: Arguments::new(arguments).expect("arguments that can be encoded"),
    }
}

/// A deployment's payload, as Clarity 2.
///
/// # Panics
/// When the name is none; names are written in the code.
pub fn deploy(name: &str, source: &str) -> Payload {
    Payload::SmartContract {
        version: Some(ClarityVersion::Clarity2),
        name: ContractName::new(name).expect("a contract's name"),
        code: source.to_owned(),
    }
}

/// The secret key of a role.
pub(crate) fn secret_key(role: &str) -> SecretKey {
    let mut digest: [u8; 32] = Sha256::digest(format!("stxworx devnet {role}")).into();
    loop {
        match SecretKey::from_byte_array(digest) {
            Ok(key) => return key,
            // One digest in 2^128 is no key; the next one is.
            Err(_) => digest = crate::codec::sha512_256(&digest),
        }
    }
}
