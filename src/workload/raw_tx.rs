//! The bytes of the workload's transactions. The signatures are random: nothing here is meant to be verified.

use super::network::Network;
use super::tx::seeded_by;
use stxworx_clarity::codec::transaction::{
    AnchorMode, Arguments, Auth, Authorization, ClarityVersion, KeyEncoding, MAINNET_VERSION,
    MessageSignature, Payload, PostConditionMode, SingleSigMode, SpendingCondition,
    TESTNET_VERSION, TenureCause, TenureChange, Transaction,
};
use stxworx_clarity::codec::{
    ClarityName, ContractId, ContractName, Principal, StandardPrincipal, Value,
};

/// Who sends a transaction.
pub(super) struct Origin {
    pub(super) network: Network,
    pub(super) sender: StandardPrincipal,
    pub(super) nonce: u64,
    /// µSTX.
    pub(super) fee: u64,
}

impl Origin {
    fn encode(&self, mode: PostConditionMode, payload: Payload) -> Vec<u8> {
        let signature = MessageSignature::EMPTY;
        let mut transaction = self.transaction(mode, payload, signature);
        let mut random = seeded_by(&transaction.txid()).bytes::<65>();
        random[0] &= 1;
        transaction.auth = self.auth(MessageSignature(random));
        transaction.encode()
    }

    fn transaction(
        &self,
        post_condition_mode: PostConditionMode,
        payload: Payload,
        signature: MessageSignature,
    ) -> Transaction {
        Transaction {
            version: match self.network {
                Network::Mainnet => MAINNET_VERSION,
                Network::Testnet => TESTNET_VERSION,
            },
            chain_id: self.network.chain_id(),
            auth: self.auth(signature),
            anchor_mode: AnchorMode::Any,
            post_condition_mode,
            post_conditions: Vec::new(),
            payload,
        }
    }

    fn auth(&self, signature: MessageSignature) -> Auth {
        Auth::Standard(SpendingCondition {
            signer: *self.sender.hash160(),
            nonce: self.nonce,
            fee: self.fee,
            authorization: Authorization::Single {
                mode: SingleSigMode::P2pkh,
                key_encoding: KeyEncoding::Compressed,
                signature,
            },
        })
    }
}

/// A contract call.
///
/// # Panics
/// If the function's name is not legal or an argument is past the format's limits: both come out of code.
pub(super) fn call(
    origin: &Origin,
    contract: &ContractId,
    function: &str,
    arguments: &[Value],
) -> Vec<u8> {
    let payload = Payload::ContractCall {
        contract: contract.clone(),
        function: ClarityName::new(function).expect("a legal function name"),
        arguments: Arguments::new(arguments).expect("arguments within the limits"),
    };
    origin.encode(PostConditionMode::Allow, payload)
}

/// A transfer of STX.
pub(super) fn transfer(
    origin: &Origin,
    recipient: &StandardPrincipal,
    amount: u64,
    memo: [u8; 34],
) -> Vec<u8> {
    let recipient = Principal::Standard(*recipient);
    origin.encode(
        PostConditionMode::Deny,
        Payload::TokenTransfer {
            recipient,
            amount,
            memo,
        },
    )
}

/// A deployment.
pub(super) fn deploy(origin: &Origin, name: &ContractName, code: &str) -> Vec<u8> {
    let (name, code) = (name.clone(), code.to_owned());
    let version = Some(ClarityVersion::Clarity3);
    origin.encode(
        PostConditionMode::Allow,
        Payload::SmartContract {
            version,
            name,
            code,
        },
    )
}

/// The transaction that begins a tenure.
pub(super) fn tenure_change(
    origin: &Origin,
    consensus_hash: &[u8; 20],
    previous_consensus_hash: &[u8; 20],
    previous_tenure_end: &[u8; 32],
    previous_tenure_blocks: u32,
) -> Vec<u8> {
    let change = TenureChange {
        tenure_consensus_hash: *consensus_hash,
        previous_tenure_consensus_hash: *previous_consensus_hash,
        burn_view_consensus_hash: *consensus_hash,
        previous_tenure_end: *previous_tenure_end,
        previous_tenure_blocks,
        cause: TenureCause::BlockFound,
        public_key_hash: *origin.sender.hash160(),
    };
    origin.encode(PostConditionMode::Allow, Payload::TenureChange(change))
}

/// The miner's reward.
pub(super) fn coinbase(origin: &Origin) -> Vec<u8> {
    // Decoders may check that the proof begins with a point of the curve: this is the generator of Ed25519.
    let mut vrf_proof = Box::new([0x66; 80]);
    vrf_proof[0] = 0x58;
    vrf_proof[79] = 0;
    let payload = Payload::NakamotoCoinbase {
        data: [0; 32],
        recipient: None,
        vrf_proof,
    };
    origin.encode(PostConditionMode::Allow, payload)
}

/// The synthetic transfer of 0 from and to the boot address (stacks-core `generate_phantom_unlock_tx`).
pub(super) fn phantom_unlock(network: Network, block_height: u64) -> Vec<u8> {
    let boot = network.boot_address();
    let origin = Origin {
        network,
        sender: boot,
        nonce: 0,
        fee: 0,
    };
    let payload = Payload::TokenTransfer {
        recipient: Principal::Standard(boot),
        amount: 0,
        memo: memo(&format!("Block {block_height} token unlocks")),
    };
    origin
        .transaction(PostConditionMode::Allow, payload, MessageSignature::EMPTY)
        .encode()
}

/// A memo, filled up with zero bytes; what is too long is cut off.
pub(super) fn memo(text: &str) -> [u8; 34] {
    let mut memo = [0; 34];
    for (to, from) in memo.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    memo
}
