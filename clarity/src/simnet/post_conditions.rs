//! Whether what moved is what the transaction's post-conditions allow (SIP-005).

use std::collections::{HashMap, HashSet};

use clarity::vm::contexts::{AssetMap, AssetMapEntry};
use clarity::vm::types::{AssetIdentifier, PrincipalData};

use super::convert;
use crate::codec::Principal;
use crate::codec::transaction::{
    Asset, ConditionPrincipal, FungibleCode, NonFungibleCode, Payload, PostCondition,
    PostConditionMode, Transaction,
};

fn who(principal: &ConditionPrincipal, origin: &PrincipalData) -> PrincipalData {
    match principal {
        ConditionPrincipal::Origin => origin.clone(),
        ConditionPrincipal::Standard(address) => convert::principal(&Principal::Standard(*address)),
        ConditionPrincipal::Contract(id) => convert::principal(&Principal::Contract(id.clone())),
    }
}

fn asset_id(asset: &Asset) -> AssetIdentifier {
    AssetIdentifier {
        contract_identifier: convert::contract(&asset.contract),
        asset_name: asset.name.as_str().into(),
    }
}

fn compares(code: FungibleCode, sent: u128, amount: u64) -> bool {
    let amount = u128::from(amount);
    match code {
        FungibleCode::Equal => sent == amount,
        FungibleCode::Greater => sent > amount,
        FungibleCode::GreaterOrEqual => sent >= amount,
        FungibleCode::Less => sent < amount,
        FungibleCode::LessOrEqual => sent <= amount,
        FungibleCode::Unknown(_) => false,
    }
}

/// What the conditions spoke about, so that the deny mode can find what they did not.
#[derive(Default)]
struct Covered {
    stx: HashSet<PrincipalData>,
    tokens: HashSet<(PrincipalData, AssetIdentifier)>,
    pieces: HashMap<(PrincipalData, AssetIdentifier), HashSet<Vec<u8>>>,
}

/// Why the transaction must be undone; none if it may stand.
pub(super) fn violation(
    transaction: &Transaction,
    origin: &PrincipalData,
    moved: &AssetMap,
) -> Option<String> {
    // A transfer says itself what it moves: the chain gives it no conditions, and does not look at its mode
    // (stacks-core `process_transaction_payload`).
    if matches!(transaction.payload, Payload::TokenTransfer { .. }) {
        return None;
    }
    let mut covered = Covered::default();
    for condition in &transaction.post_conditions {
        if let Some(why) = breach(condition, origin, moved, &mut covered) {
            return Some(why);
        }
    }
    let denies = match transaction.post_condition_mode {
        PostConditionMode::Allow => return None,
        PostConditionMode::Originator => Some(origin),
        PostConditionMode::Deny | PostConditionMode::Unknown(_) => None,
    };
    for (principal, assets) in moved.clone().to_table() {
        if denies.is_some_and(|only| *only != principal) {
            continue;
        }
        for (asset, entry) in assets {
            let named = match &entry {
                AssetMapEntry::STX(_) | AssetMapEntry::Burn(_) => covered.stx.contains(&principal),
                AssetMapEntry::Token(_) => {
                    covered.tokens.contains(&(principal.clone(), asset.clone()))
                }
                AssetMapEntry::Asset(ids) => {
                    let named = covered.pieces.get(&(principal.clone(), asset.clone()));
                    ids.iter()
                        .all(|id| named.is_some_and(|n| n.contains(&convert::to_bytes(id))))
                }
            };
            if !named {
                return Some(format!(
                    "{principal} moved {asset}, which no post-condition names"
                ));
            }
        }
    }
    None
}

fn breach(
    condition: &PostCondition,
    origin: &PrincipalData,
    moved: &AssetMap,
    covered: &mut Covered,
) -> Option<String> {
    match condition {
        PostCondition::Stx {
            principal,
            code,
            amount,
        } => {
            let principal = who(principal, origin);
            let sent = moved
                .get_stx(&principal)
                .unwrap_or(0)
                .saturating_add(moved.get_stx_burned(&principal).unwrap_or(0));
            let holds = compares(*code, sent, *amount);
            let why = (!holds).then(|| {
                format!("{principal} sent {sent} uSTX, the post-condition is {code:?} {amount}")
            });
            covered.stx.insert(principal);
            why
        }
        PostCondition::Fungible {
            principal,
            asset,
            code,
            amount,
        } => {
            let (principal, asset) = (who(principal, origin), asset_id(asset));
            let sent = moved.get_fungible_tokens(&principal, &asset).unwrap_or(0);
            let holds = compares(*code, sent, *amount);
            let why = (!holds).then(|| {
                format!(
                    "{principal} sent {sent} of {asset}, the post-condition is {code:?} {amount}"
                )
            });
            covered.tokens.insert((principal, asset));
            why
        }
        PostCondition::NonFungible {
            principal,
            asset,
            id,
            code,
        } => {
            let (principal, asset) = (who(principal, origin), asset_id(asset));
            let bytes = id.as_bytes().to_vec();
            let sent = moved
                .get_nonfungible_tokens(&principal, &asset)
                .is_some_and(|ids| ids.iter().any(|i| convert::to_bytes(i) == bytes));
            let holds = match code {
                NonFungibleCode::Sent => sent,
                NonFungibleCode::NotSent => !sent,
                NonFungibleCode::MaySend => true,
                NonFungibleCode::Unknown(_) => false,
            };
            let why = (!holds).then(|| {
                format!("{principal} and {asset}: the post-condition {code:?} does not hold")
            });
            covered
                .pieces
                .entry((principal, asset))
                .or_default()
                .insert(bytes);
            why
        }
        // Nothing can be stacked here, so at most nothing is; a condition that asks for some fails.
        PostCondition::Staking { code, amount, .. } => (!compares(*code, 0, *amount))
            .then(|| "nothing can be stacked on this network".to_owned()),
        PostCondition::Pox { code, .. } => (*code == crate::codec::transaction::PoxCode::Performed)
            .then(|| "nothing can be stacked on this network".to_owned()),
    }
}
