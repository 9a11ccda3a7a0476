//! Headers and transactions into the form of `/new_block`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value as Json, json};
use stxworx_clarity::codec::Principal;
use stxworx_clarity::codec::transaction::PayloadKind;

use super::memory::Joined;
use super::wire::{Asset, BlockRow, EventBody, EventHead, RawEvent, TxRow};
use crate::model::{
    BlockHash, BlockRef, BurnBlockHash, ConsensusHash, EventKind, IndexBlockHash, TxId,
};
use crate::source::http::FetchError;
use crate::source::pull::Fetched;

/// The chain's own address, on mainnet and on testnets: what it sends was not sent on Bitcoin.
const BOOT: [&str; 2] = [
    "SP000000000000000000002Q6VF78",
    "ST000000000000000000002AMW42H",
];
/// What a node writes for the bytes of an operation that was sent on Bitcoin.
const BURNCHAIN_RAW_TX: &str = "0x00";

#[derive(Serialize)]
struct NewBlock<'a> {
    index_block_hash: IndexBlockHash,
    parent_index_block_hash: IndexBlockHash,
    block_height: u32,
    block_hash: BlockHash,
    block_time: Option<u64>,
    burn_block_hash: BurnBlockHash,
    burn_block_height: u32,
    burn_block_time: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    miner_txid: Option<TxId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenure_height: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    burn_view: Option<ConsensusHash>,
    listed_transactions: u32,
    transactions: Vec<Transaction<'a>>,
    events: Vec<Json>,
}

#[derive(Serialize)]
struct Transaction<'a> {
    txid: TxId,
    tx_index: u32,
    status: &'a str,
    raw_result: &'a str,
    raw_tx: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    vm_error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    facts: Option<Facts<'a>>,
}

#[derive(Serialize)]
struct Facts<'a> {
    kind: &'static str,
    sender: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sponsor: Option<&'a str>,
    nonce: u64,
    fee: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    contract: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<&'a str>,
}

/// One payload for each header, with the transactions that stand there.
pub(super) fn blocks(
    rows: &[BlockRow],
    joined: &BTreeMap<(u32, u32), Joined>,
) -> Result<Vec<Fetched>, FetchError> {
    rows.iter()
        .map(|row| {
            let inside = joined.range((row.height, 0)..=(row.height, u32::MAX));
            let body = block(row, inside.map(|((_, index), joined)| (*index, joined)))?;
            Ok(Fetched {
                block: BlockRef {
                    id: row.index_block_hash,
                    height: row.height,
                },
                parent: row.parent_index_block_hash,
                body,
            })
        })
        .collect()
}

fn block<'a>(
    row: &BlockRow,
    inside: impl Iterator<Item = (u32, &'a Joined)>,
) -> Result<Vec<u8>, FetchError> {
    let mut transactions = Vec::new();
    let mut events = Vec::new();
    let mut burn_view = None;
    for (index, joined) in inside {
        let what = format!("transaction {}", joined.row.tx_id);
        if index >= row.tx_count {
            let why = format!("it is number {index} of a block of {}", row.tx_count);
            return Err(FetchError::unusable(what, why));
        }
        let change = joined.row.tenure_change.as_ref();
        burn_view = change.map(|c| c.burn_view_consensus_hash).or(burn_view);
        transactions.push(
            transaction(index, &joined.row).map_err(|why| FetchError::unusable(&*what, why))?,
        );
        // A node numbers events through the block; here they are numbered within a transaction.
        let said = joined.events.as_deref().unwrap_or_default();
        let said = in_order(said, &joined.row).map_err(|why| FetchError::unusable(what, why))?;
        for mut event in said {
            if let Some(object) = event.as_object_mut() {
                object.insert("event_index".to_owned(), json!(events.len()));
            }
            events.push(event);
        }
    }
    let block = NewBlock {
        index_block_hash: row.index_block_hash,
        parent_index_block_hash: row.parent_index_block_hash,
        block_height: row.height,
        block_hash: row.hash,
        block_time: own_time(row),
        burn_block_hash: row.burn_block_hash,
        burn_block_height: row.burn_block_height,
        burn_block_time: row.burn_block_time,
        miner_txid: row.miner_txid,
        tenure_height: row.tenure_height.and_then(|h| u32::try_from(h).ok()),
        burn_view,
        listed_transactions: row.tx_count,
        transactions,
        events,
    };
    let what = || format!("block {}", row.index_block_hash);
    serde_json::to_vec(&block).map_err(|e| FetchError::unusable(what(), e))
}

/// Blocks before epoch 3.0 have no time of their own, and the API writes Bitcoin's in its place. There each block is
/// a tenure, so that both heights are equal; later ones are equal only while every tenure had one block, and such a
/// block has Bitcoin's very second by chance only.
fn own_time(row: &BlockRow) -> Option<u64> {
    let of_epoch_2 =
        row.tenure_height == Some(i64::from(row.height)) && row.block_time == row.burn_block_time;
    (!of_epoch_2).then_some(row.block_time)
}

fn hexadecimal(name: &str, text: &str) -> Result<(), String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if digits.len().is_multiple_of(2) && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(());
    }
    Err(format!("{name} is not hexadecimal: {:?}", cut(text)))
}

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

fn principal(name: &str, text: &str) -> Result<(), String> {
    let parsed = text.parse::<Principal>();
    parsed
        .map(|_| ())
        .map_err(|e| format!("{name} {:?} is no principal: {e}", cut(text)))
}

fn number(name: &str, text: &str) -> Result<(), String> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse::<u128>() {
        Ok(_) if digits => Ok(()),
        _ => Err(format!("{name} {:?} is no amount", cut(text))),
    }
}

fn transaction(index: u32, row: &TxRow) -> Result<Transaction<'_>, String> {
    let result = row
        .result
        .as_ref()
        .ok_or("its result is missing, which was asked for")?;
    hexadecimal("its result", &result.hex)?;
    let facts = facts(row)?;
    let on_bitcoin = is_on_bitcoin(row, &facts);
    Ok(Transaction {
        txid: row.tx_id,
        tx_index: index,
        status: &row.status,
        raw_result: &result.hex,
        raw_tx: if on_bitcoin { BURNCHAIN_RAW_TX } else { "" },
        vm_error: row.vm_error.as_deref(),
        facts: (!on_bitcoin).then_some(facts),
    })
}

fn is_on_bitcoin(row: &TxRow, facts: &Facts<'_>) -> bool {
    let free = facts.fee == 0 && facts.nonce == 0 && facts.sponsor.is_none();
    let kind = ["token_transfer", "contract_call"].contains(&&*row.kind);
    free && kind && !BOOT.contains(&facts.sender)
}

fn facts(row: &TxRow) -> Result<Facts<'_>, String> {
    principal("its sender", &row.sender.address)?;
    if let Some(sponsor) = &row.sponsor {
        principal("its sponsor", &sponsor.address)?;
    }
    let fee = row
        .fee_rate
        .parse()
        .map_err(|_| format!("its fee {:?} is none", cut(&row.fee_rate)))?;
    let missing = || format!("it is a {} and does not say of what", row.kind);
    let (mut contract, mut function) = (None, None);
    let kind = match &*row.kind {
        "token_transfer" => PayloadKind::TokenTransfer,
        "poison_microblock" => PayloadKind::PoisonMicroblock,
        "tenure_change" => PayloadKind::TenureChange,
        "smart_contract" => {
            let deployed = row.smart_contract.as_ref().ok_or_else(missing)?;
            contract = Some(&*deployed.contract_id);
            match deployed.clarity_version {
                Some(_) => PayloadKind::VersionedSmartContract,
                None => PayloadKind::SmartContract,
            }
        }
        "contract_call" => {
            let called = row.contract_call.as_ref().ok_or_else(missing)?;
            contract = Some(&*called.contract_id);
            function = Some(&*called.function_name);
            PayloadKind::ContractCall
        }
        "coinbase" => {
            let coinbase = row.coinbase.as_ref().ok_or_else(missing)?;
            match (&coinbase.vrf_proof, &coinbase.alt_recipient) {
                (Some(_), _) => PayloadKind::NakamotoCoinbase,
                (None, Some(_)) => PayloadKind::CoinbaseToAltRecipient,
                (None, None) => PayloadKind::Coinbase,
            }
        }
        // A kind of a later API is what a later payload is to the codec.
        _ => PayloadKind::Unknown,
    };
    if let Some(contract) = contract {
        principal("its contract", contract)?;
    }
    Ok(Facts {
        kind: kind.as_str(),
        sender: &row.sender.address,
        sponsor: row.sponsor.as_ref().map(|s| &*s.address),
        nonce: row.sender.nonce,
        fee,
        contract,
        function,
    })
}

/// Events in their order, which must be 0, 1, 2 and so on, each without the number that it has in the block.
fn in_order(said: &[RawEvent], row: &TxRow) -> Result<Vec<Json>, String> {
    let mut events: Vec<(EventHead, &RawEvent)> = Vec::with_capacity(said.len());
    for raw in said {
        let head: EventHead =
            serde_json::from_str(raw.get()).map_err(|e| format!("an event cannot be read: {e}"))?;
        events.push((head, raw));
    }
    events.sort_by_key(|(head, _)| head.event_index);
    let locker = locker(&events, row);
    (0u32..)
        .zip(events)
        .map(|(index, (head, raw))| {
            if head.event_index != index {
                return Err(format!(
                    "event {index} is missing, or {} is there twice",
                    head.event_index
                ));
            }
            let (kind, body) = event(&head, raw, locker.as_deref())
                .map_err(|why| format!("event {index}: {why}"))?;
            Ok(json!({ "txid": row.tx_id, "committed": true, "type": kind, kind: body }))
        })
        .collect()
}

/// The stacking contract at work in a transaction: the one that prints, or else is called.
fn locker(events: &[(EventHead, &RawEvent)], row: &TxRow) -> Option<String> {
    let stacks = |id: &str| {
        let parts = id.split_once('.');
        parts.is_some_and(|(issuer, name)| BOOT.contains(&issuer) && name.starts_with("pox"))
    };
    events
        .iter()
        .filter(|(head, _)| head.kind == "contract_log")
        .filter_map(|(_, raw)| {
            serde_json::from_str::<EventBody>(raw.get())
                .ok()?
                .contract_log
        })
        .map(|log| log.contract_id)
        .chain(row.contract_call.as_ref().map(|c| c.contract_id.clone()))
        .find(|id| stacks(id))
}

fn event(head: &EventHead, raw: &RawEvent, locker: Option<&str>) -> Result<(String, Json), String> {
    let body: EventBody = serde_json::from_str(raw.get()).map_err(|e| e.to_string())?;
    let missing = || format!("its {} is missing", head.kind);
    match &*head.kind {
        "contract_log" => {
            let log = body.contract_log.ok_or_else(missing)?;
            principal("its contract", &log.contract_id)?;
            hexadecimal("its value", &log.value.hex)?;
            let body = json!({
                "contract_identifier": log.contract_id, "topic": "print", "raw_value": log.value.hex,
            });
            Ok((EventKind::Contract.as_str().to_owned(), body))
        }
        "stx_lock" => {
            let lock = body.stx_lock.ok_or_else(missing)?;
            principal("its address", &lock.address)?;
            number("its amount", &lock.amount)?;
            let body = json!({
                "locked_amount": lock.amount, "unlock_height": lock.unlock_bitcoin_height.to_string(),
                "locked_address": lock.address, "contract_identifier": locker,
            });
            Ok((EventKind::StxLock.as_str().to_owned(), body))
        }
        "stx_asset" => asset("stx", &body.stx_asset.ok_or_else(missing)?),
        "ft_asset" => asset("ft", &body.ft_asset.ok_or_else(missing)?),
        "nft_asset" => asset("nft", &body.nft_asset.ok_or_else(missing)?),
        // Of a later API: kept as it is, and counted when it is decoded.
        other => {
            let raw = serde_json::from_str(raw.get()).map_err(|e| e.to_string())?;
            Ok((other.to_owned(), raw))
        }
    }
}

/// A movement: everything that such an event of a node has must be there, and nothing else.
fn asset(of: &str, asset: &Asset) -> Result<(String, Json), String> {
    let kind = format!("{of}_{}_event", asset.act);
    let known =
        EventKind::from_name(&kind).ok_or_else(|| format!("{:?} is no movement", cut(&kind)))?;
    let mut body = serde_json::Map::new();
    let mut put = |name: &str, text: &str| body.insert(name.to_owned(), json!(text));
    let sides = match &*asset.act {
        "mint" => [None, Some(("recipient", &asset.recipient))],
        "burn" => [Some(("sender", &asset.sender)), None],
        _ => [
            Some(("sender", &asset.sender)),
            Some(("recipient", &asset.recipient)),
        ],
    };
    for (name, who) in sides.into_iter().flatten() {
        let who = who
            .as_deref()
            .ok_or_else(|| format!("its {name} is missing"))?;
        principal(name, who)?;
        put(name, who);
    }
    if of != "stx" {
        let id = asset.asset_identifier.as_deref().unwrap_or_default();
        let (contract, _) = id
            .split_once("::")
            .ok_or_else(|| format!("{:?} is no asset", cut(id)))?;
        principal("its asset's contract", contract)?;
        put("asset_identifier", id);
    }
    if of == "nft" {
        let value = asset.value.as_ref().ok_or("its value is missing")?;
        hexadecimal("its value", &value.hex)?;
        put("raw_value", &value.hex);
    } else {
        let amount = asset.amount.as_deref().ok_or("its amount is missing")?;
        number("its amount", amount)?;
        put("amount", amount);
    }
    if known == EventKind::StxTransfer {
        let memo = asset.memo.as_ref().map_or("", |m| &*m.hex);
        hexadecimal("its memo", memo)?;
        put("memo", memo.strip_prefix("0x").unwrap_or(memo));
    }
    Ok((kind, Json::Object(body)))
}
