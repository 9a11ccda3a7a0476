//! One transaction against a state.

use clarity::vm::costs::ExecutionCost;
use clarity::vm::database::ClarityDatabase;
use clarity::vm::events::StacksTransactionEvent;
use clarity::vm::types::PrincipalData;
use clarity::vm::{ClarityVersion as VmVersion, Value as VmValue};
use secp256k1::SecretKey;

use super::block::{BurnBlock, Header, Receipt, SimEvent, TxId, TxStatus};
use super::convert::{self, ConvertError};
use super::machine::{Executed, Failure, Machine};
use super::mempool::Waiting;
use super::store::State;
use super::{Account, post_conditions};
use crate::codec::transaction::AnchorMode;
use crate::codec::transaction::{
    Arguments, Auth, ClarityVersion, Payload, PostConditionMode, Role, SignerKey,
    SpendingCondition, TESTNET_CHAIN_ID, TESTNET_VERSION, TenureCause, TenureChange, Transaction,
};
use crate::codec::{ContractId, Principal, hash160};

/// What became of a transaction that was picked.
pub(super) enum Applied {
    /// It is in the block, whatever its result.
    Included(Box<Receipt>, State),
    /// Its account cannot pay any more; it is left out.
    Unpaid,
}

/// `(err none)`, the result of an error at run time.
const ERROR_NONE: [u8; 2] = [0x08, 0x09];

/// Balance and nonce, read without the machine: nothing is ever locked here.
pub(super) fn account(state: &State, who: &Principal) -> Account {
    let principal = convert::principal(who);
    let balance = state
        .get(ClarityDatabase::make_key_for_account_balance(&principal).as_str())
        .and_then(|text| text.get(..32))
        .and_then(|text| u128::from_str_radix(text, 16).ok());
    let nonce = state
        .get(ClarityDatabase::make_key_for_account_nonce(&principal).as_str())
        .and_then(|text| text.parse().ok());
    Account {
        balance: balance.unwrap_or(0),
        nonce: nonce.unwrap_or(0),
    }
}

/// Where the height of a contract's block stands; a key of our own among the machine's.
const PUBLISHED: &str = "published";

fn metadata_key(contract: &ContractId, suffix: &str) -> String {
    format!("meta|{}|{suffix}", convert::contract(contract))
}

fn metadata(state: &State, contract: &ContractId, suffix: &str) -> Option<String> {
    let key = metadata_key(contract, suffix);
    state.get(key.as_str()).map(ToString::to_string)
}

/// Height of the block that deployed a contract.
pub(super) fn published(state: &State, contract: &ContractId) -> Option<u32> {
    metadata(state, contract, PUBLISHED)?.parse().ok()
}

pub(super) fn source(state: &State, contract: &ContractId) -> Option<String> {
    metadata(state, contract, "vm-metadata::9::contract-src")
}

pub(super) fn has_contract(state: &State, contract: &ContractId) -> bool {
    source(state, contract).is_some()
}

pub(super) fn arguments(arguments: &Arguments) -> Result<Vec<VmValue>, ConvertError> {
    arguments
        .iter()
        .map(|v| convert::to_machine(&v.to_value().encode()))
        .collect()
}

/// Takes the fee and counts the nonces, then does what the transaction asks for.
pub(super) fn apply(machine: &Machine<'_>, state: &State, waiting: &Waiting) -> Applied {
    let transaction = &*waiting.transaction;
    let origin = transaction.origin_address();
    let sponsor = transaction.sponsor_address();
    let payer = sponsor.as_ref().unwrap_or(&origin);
    let fee = u128::from(transaction.fee());
    if account(state, payer).balance < fee {
        return Applied::Unpaid;
    }
    let sender = convert::principal(&origin);
    let paid = machine.database(state, |database| {
        let mut account = database.get_stx_balance_snapshot(&convert::principal(payer));
        account.debit(fee);
        account.save();
        database.set_account_nonce(&sender, transaction.nonce() + 1);
        if let (Some(sponsor), Some(condition)) = (&sponsor, transaction.auth.sponsor()) {
            database.set_account_nonce(&convert::principal(sponsor), condition.nonce + 1);
        }
    });
    let Ok(((), charged)) = paid else {
        return Applied::Unpaid;
    };
    let sponsor = sponsor.map(|s| convert::principal(&s));
    let outcome = execute(machine, &charged, transaction, &sender, sponsor.as_ref());
    let (receipt, state) = conclude(waiting.txid, transaction, &sender, charged, outcome);
    Applied::Included(Box::new(receipt), state)
}

type Outcome = Result<(Executed, Option<serde_json::Value>, State), Failure>;

fn execute(
    machine: &Machine<'_>,
    state: &State,
    transaction: &Transaction,
    sender: &PrincipalData,
    sponsor: Option<&PrincipalData>,
) -> Outcome {
    match &transaction.payload {
        Payload::TokenTransfer {
            recipient,
            amount,
            memo,
        } => {
            let (done, state) = machine.transfer(
                state,
                sender,
                &convert::principal(recipient),
                u128::from(*amount),
                memo,
            )?;
            Ok((done, None, state))
        }
        Payload::ContractCall {
            contract,
            function,
            arguments: given,
        } => {
            let values = arguments(given).map_err(|e| Failure::Runtime(e.to_string()))?;
            let contract = convert::contract(contract);
            let (done, state) =
                machine.call(state, sender, sponsor, &contract, function.as_str(), values)?;
            Ok((done, None, state))
        }
        Payload::SmartContract { version, code, .. } => {
            let version = match version {
                Some(ClarityVersion::Clarity1) => VmVersion::Clarity1,
                // What is written for a later version runs as Clarity 2 here, if it is of the common subset.
                _ => VmVersion::Clarity2,
            };
            let Some(id) = transaction.contract_id() else {
                return Err(Failure::Runtime("no contract".to_owned()));
            };
            let (done, interface, mut state) =
                machine.deploy(state, &convert::contract(&id), version, code)?;
            let height = machine.open.height.to_string();
            state.insert(metadata_key(&id, PUBLISHED).into(), height.as_str().into());
            Ok((done, Some(interface), state))
        }
        _ => Err(Failure::Runtime("not supported on this network".to_owned())),
    }
}

fn conclude(
    txid: TxId,
    transaction: &Transaction,
    sender: &PrincipalData,
    charged: State,
    outcome: Outcome,
) -> (Receipt, State) {
    let mut receipt = Receipt {
        txid,
        transaction: transaction.clone(),
        status: TxStatus::AbortByResponse,
        raw_result: ERROR_NONE.to_vec(),
        events: Vec::new(),
        vm_error: None,
        interface: None,
    };
    let (done, interface, after) = match outcome {
        Ok(done) => done,
        Err(failure) => {
            receipt.vm_error = Some(failure.vm_error());
            return (receipt, charged);
        }
    };
    receipt.raw_result = convert::to_bytes(&done.value);
    let committed = match &done.value {
        VmValue::Response(response) => response.committed,
        _ => true,
    };
    if !committed {
        return (receipt, charged);
    }
    if let Some(why) = post_conditions::violation(transaction, sender, &done.assets) {
        receipt.status = TxStatus::AbortByPostCondition;
        receipt.vm_error = Some(why);
        return (receipt, charged);
    }
    receipt.status = TxStatus::Success;
    receipt.events = done.events.iter().filter_map(event).collect();
    receipt.interface = interface;
    (receipt, after)
}

/// An event in the node's form of today: the decoded `value` beside `raw_value` is no longer sent.
fn event(event: &StacksTransactionEvent) -> Option<SimEvent> {
    const KINDS: [&str; 11] = [
        "contract_event",
        "stx_transfer_event",
        "stx_mint_event",
        "stx_burn_event",
        "stx_lock_event",
        "nft_transfer_event",
        "nft_mint_event",
        "nft_burn_event",
        "ft_transfer_event",
        "ft_mint_event",
        "ft_burn_event",
    ];
    let mut json = event.json_serialize(0, &"", true);
    let kind = json.get("type")?.as_str()?.to_owned();
    let kind = KINDS.into_iter().find(|k| *k == kind)?;
    let mut body = json.get_mut(kind)?.take();
    if let Some(object) = body.as_object_mut() {
        object.remove("value");
        // The machine prints an empty memo as 0x; the node sends bare hexadecimal digits.
        if let Some(memo) = object.get_mut("memo") {
            let bare = memo
                .as_str()
                .unwrap_or_default()
                .trim_start_matches("0x")
                .to_owned();
            *memo = serde_json::Value::String(bare);
        }
    }
    Some(SimEvent { kind, body })
}

/// The transaction that hands out the first STX; nobody signed it.
pub(super) fn genesis_receipts(grants: &[(Principal, u128)]) -> Vec<Receipt> {
    let condition = SpendingCondition::single_sig(
        SignerKey::of_secret(&crate::market::secret_key("genesis")),
        0,
        0,
    );
    let transaction = Transaction {
        version: TESTNET_VERSION,
        chain_id: TESTNET_CHAIN_ID,
        auth: Auth::Standard(condition),
        anchor_mode: AnchorMode::OnChainOnly,
        post_condition_mode: PostConditionMode::Allow,
        post_conditions: Vec::new(),
        payload: Payload::Coinbase { data: [0; 32] },
    };
    let events = grants
        .iter()
        .map(|(who, amount)| SimEvent {
            kind: "stx_mint_event",
            body: serde_json::json!({ "recipient": who.to_string(), "amount": amount.to_string() }),
        })
        .collect();
    vec![Receipt {
        txid: transaction.txid(),
        transaction,
        status: TxStatus::Success,
        raw_result: convert::to_bytes(&VmValue::okay_true()),
        events,
        vm_error: None,
        interface: None,
    }]
}

/// Tenure change and coinbase, as a miner puts them in front of a tenure's first block.
pub(super) fn tenure_receipts(
    miner: &SecretKey,
    parent: &Header,
    burn: &BurnBlock,
    previous_tenure_blocks: u32,
) -> Vec<Receipt> {
    let key = SignerKey::of_secret(miner);
    let change = Payload::TenureChange(TenureChange {
        tenure_consensus_hash: burn.consensus_hash,
        previous_tenure_consensus_hash: parent.burn.consensus_hash,
        burn_view_consensus_hash: burn.consensus_hash,
        previous_tenure_end: parent.id,
        previous_tenure_blocks,
        cause: TenureCause::BlockFound,
        public_key_hash: hash160(&key.key.serialize()),
    });
    let coinbase = Payload::NakamotoCoinbase {
        data: [0; 32],
        recipient: None,
        vrf_proof: Box::new([0; 80]),
    };
    // The miner's account is not kept: its nonces only make its transactions differ.
    let nonce = u64::from(burn.height) * 2;
    let mut receipts = Vec::new();
    for (payload, nonce) in [(change, nonce), (coinbase, nonce + 1)] {
        let mut transaction = Transaction {
            version: TESTNET_VERSION,
            chain_id: TESTNET_CHAIN_ID,
            auth: Auth::Standard(SpendingCondition::single_sig(key, nonce, 0)),
            anchor_mode: AnchorMode::OnChainOnly,
            post_condition_mode: PostConditionMode::Deny,
            post_conditions: Vec::new(),
            payload,
        };
        if transaction.sign(Role::Origin, miner).is_err() {
            continue;
        }
        receipts.push(Receipt {
            txid: transaction.txid(),
            transaction,
            status: TxStatus::Success,
            raw_result: convert::to_bytes(&VmValue::okay_true()),
            events: Vec::new(),
            vm_error: None,
            interface: None,
        });
    }
    receipts
}

/// Costs are not counted.
pub(super) fn no_cost() -> serde_json::Value {
    let zero = ExecutionCost::zero();
    serde_json::json!({
        "read_count": zero.read_count, "read_length": zero.read_length, "runtime": zero.runtime,
        "write_count": zero.write_count, "write_length": zero.write_length
    })
}
