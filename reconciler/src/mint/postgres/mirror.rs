//! What the mirror says, on one block.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use stxworx_clarity::codec::transaction::{Payload as TxPayload, Transaction};
use stxworx_clarity::codec::{Principal, Value};
use stxworx_clarity::events::badges::BadgesEvent;
use stxworx_clarity::events::data::DataEvent;
use stxworx_clarity::events::{self, Event as Typed};
use stxworx_indexer::model::TxStatus;
use stxworx_indexer::store::Pool;
use stxworx_indexer::store::mint::chain::{self, OwnRow, PersonRow};
use stxworx_indexer::store::read::market::{BadgeState, ProfileState, SETTINGS, SettingState};
use stxworx_indexer::store::read::projection::{self, EntityFilter, VersionRow};
use stxworx_indexer::store::read::{Snapshot, Tip as MirrorTip};

use super::super::ports::{Mirror, PortError};
use super::super::types::{
    ChainView, Held, Inclusion, Kind, LaneId, Meaning, OwnTx, Person, Tip, Verdict, Wanted,
};
use super::{block, failed, height, lane_ref, small, txid, unread, unusable};
use crate::rule::Class;
use crate::rules::project_rules;

/// Rules about badges and the key that are compared on the chain's side alone.
const KEY_RULES: [&str; 2] = ["B3", "T13"];
/// Kinds of a contract that are read at most.
const KINDS: u32 = 200;

/// The mirror in a database.
#[derive(Debug)]
pub struct PgMirror {
    pool: Pool,
    final_after: u32,
    /// Up to this final block, no transaction of the lane is unknown: height and id.
    searched: Mutex<BTreeMap<LaneId, (i32, Vec<u8>)>>,
}

type Answered<T> = Result<T, PortError>;

const LOOK: &str = "reading the mirror";

impl PgMirror {
    /// On a database, where a block is final after so many Bitcoin blocks.
    pub fn new(pool: Pool, final_after_burn_blocks: u32) -> Self {
        Self {
            pool,
            final_after: final_after_burn_blocks,
            searched: Mutex::default(),
        }
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    async fn tip(&self, snapshot: &mut Snapshot) -> Answered<Tip> {
        let tip: MirrorTip = snapshot
            .tip
            .clone()
            .ok_or_else(|| unusable(LOOK, "the mirror is empty; it fills by itself"))?;
        let final_height = snapshot
            .height_at_burn_depth(tip.burn_height, self.final_after)
            .await
            .map_err(unread(LOOK))?;
        let mut final_burn_height = 0;
        if let Some(at) = final_height {
            let found = snapshot.block_by_height(height(at)).await;
            let found = found.map_err(unread(LOOK))?;
            final_burn_height = found.map_or(0, |b| b.burn_block_height.0);
        }
        Ok(Tip {
            block: block(&tip.id.0)?,
            height: tip.height,
            burn_height: tip.burn_height,
            final_height,
            final_burn_height,
        })
    }

    /// The height from which unknown transactions of the lane are searched for.
    async fn search_from(
        &self,
        snapshot: &mut Snapshot,
        lane: &LaneId,
        tip: &Tip,
    ) -> Answered<i32> {
        let bound = chain::lower_bound(snapshot.connection(), lane_ref(lane)).await;
        let bound = bound.map_err(failed(LOOK))?;
        let known = {
            let searched = self.searched.lock().unwrap_or_else(PoisonError::into_inner);
            searched.get(lane).cloned()
        };
        let last_final = tip.final_height.map_or(0, height);
        let mut from = bound.unwrap_or(last_final).min(last_final);
        if let Some((at, id)) = known
            && at > from
        {
            let found = snapshot.block_by_hash(&id).await.map_err(unread(LOOK))?;
            if found.is_some_and(|b| b.canonical) {
                from = at;
            }
        }
        Ok(from)
    }

    async fn own(
        &self,
        snapshot: &mut Snapshot,
        wanted: &Wanted,
        tip: &Tip,
    ) -> Answered<Vec<OwnTx>> {
        let lane = &wanted.lane;
        let from = self.search_from(snapshot, lane, tip).await?;
        let rows = chain::own(
            snapshot.connection(),
            lane_ref(lane),
            wanted.from_nonce,
            from,
        )
        .await
        .map_err(failed(LOOK))?;
        // What is not a slot's keeps being found until a slot knows it.
        let lowest = rows.iter().map(|r| r.height).filter(|h| *h >= from).min();
        if let Some(at) = tip.final_height.map(height)
            && lowest.is_none_or(|lowest| lowest > at)
            && let Some(id) = snapshot
                .block_by_height(at)
                .await
                .map_err(unread(LOOK))?
                .map(|b| b.id.0)
        {
            let mut searched = self.searched.lock().unwrap_or_else(PoisonError::into_inner);
            searched.insert(lane.clone(), (at, id));
        }
        rows.iter().map(|row| own_tx(row, lane)).collect()
    }

    async fn people(
        &self,
        snapshot: &mut Snapshot,
        wanted: &Wanted,
        tip: &Tip,
    ) -> Answered<(Vec<Person>, Option<String>)> {
        let Some(at) = tip.final_height.map(height) else {
            return Ok((Vec::new(), None));
        };
        let data = sibling(&wanted.lane.contract, DataEvent::CONTRACT);
        let page = wanted
            .walk
            .as_ref()
            .map(|(after, limit)| (after.as_deref().unwrap_or(""), *limit));
        let connection = snapshot.connection();
        let rows = chain::people(connection, &data, &wanted.users, page, at)
            .await
            .map_err(failed(LOOK))?;
        let mut next = None;
        if let Some((after, limit)) = page {
            next = chain::page_end(connection, &data, after, limit)
                .await
                .map_err(failed(LOOK))?;
        }
        let users: Vec<String> = rows.iter().map(|r| r.user.clone()).collect();
        let contract = &wanted.lane.contract;
        let badges = chain::badges(connection, contract, &users, height(tip.height)).await;
        let badges = badges.map_err(failed(LOOK))?;
        let mut had: BTreeMap<&str, Vec<Held>> = BTreeMap::new();
        for row in &badges {
            let badge: BadgeState = parsed(&row.state)?;
            had.entry(&row.user).or_default().push(Held {
                kind: badge.kind,
                id: badge.id,
                minted: badge.minted,
                minted_height: badge.minted_height,
                gone: !row.held,
            });
        }
        let mut people = Vec::with_capacity(rows.len());
        for row in rows {
            let badges = had.remove(row.user.as_str()).unwrap_or_default();
            people.push(person(row, badges)?);
        }
        Ok((people, next))
    }
}

impl Mirror for PgMirror {
    async fn look(&self, wanted: &Wanted) -> Answered<ChainView> {
        let mut snapshot = Snapshot::open(&self.pool).await.map_err(unread(LOOK))?;
        let tip = self.tip(&mut snapshot).await?;
        let own = self.own(&mut snapshot, wanted, &tip).await?;
        let (people, next) = self.people(&mut snapshot, wanted, &tip).await?;
        let lane = &wanted.lane;
        let kinds = kinds(&mut snapshot, &lane.contract, tip.final_height).await?;
        let minter = is_minter(&mut snapshot, lane, tip.height).await?;
        let mut rules: Vec<String> = KEY_RULES.iter().map(ToString::to_string).collect();
        for rule in project_rules() {
            let info = rule.info();
            if matches!(info.class, Class::Custody | Class::Mirror) {
                rules.push(info.id.to_owned());
            }
        }
        let connection = snapshot.connection();
        let breaks = chain::open_breaks(connection, &rules).await;
        let address = lane.contract.split_once('.').map_or("", |(a, _)| a);
        let violations = chain::violations(connection, address).await;
        Ok(ChainView {
            tip,
            minter,
            kinds,
            own,
            people,
            next,
            breaks: breaks.map_err(failed(LOOK))?,
            violations: violations.map_err(failed(LOOK))?,
        })
    }
}

/// The contract of a name at the same address.
pub(super) fn sibling(contract: &str, name: &str) -> String {
    let address = contract.split_once('.').map_or("", |(address, _)| address);
    format!("{address}.{name}")
}

fn parsed<T: serde::de::DeserializeOwned>(state: &str) -> Answered<T> {
    serde_json::from_str(state).map_err(|e| unusable("reading a projected state", e.to_string()))
}

fn person(row: PersonRow, badges: Vec<Held>) -> Answered<Person> {
    let state: ProfileState = match &row.state {
        Some(state) => parsed(state)?,
        None => ProfileState::default(),
    };
    let changed_block = match &row.block {
        Some(bytes) => block(bytes)?,
        None => stxworx_indexer::model::IndexBlockHash([0; 32]),
    };
    Ok(Person {
        user: row.user,
        completed: state.completed,
        rating_sum: state.rating_sum,
        rating_count: state.rating_count,
        x_expires: state.x.map(|x| x.expires),
        changed_height: row.height.map_or(0, small),
        changed_block,
        changed_txid: row.txid.as_deref().map(txid).transpose()?,
        badges,
    })
}

/// A kind as the projection has it: numbers are digits.
#[derive(Deserialize)]
struct KindTerms {
    kind: String,
    name: String,
    projects: String,
    rating: String,
    needs_x: bool,
}

fn kind(row: &VersionRow) -> Answered<Kind> {
    let setting: SettingState = parsed(&row.state)?;
    let terms = KindTerms::deserialize(&setting.value)
        .map_err(|e| unusable("reading a kind of badge", e.to_string()))?;
    // A kind that asks for more than fits is asked for by nobody's deeds.
    let number = |text: &str| {
        let wide: u128 = text
            .parse()
            .map_err(|_| unusable("reading a kind of badge", format!("{text:?} is no number")))?;
        Ok::<_, PortError>(u64::try_from(wide).unwrap_or(u64::MAX))
    };
    Ok(Kind {
        kind: number(&terms.kind)?,
        name: terms.name,
        projects: number(&terms.projects)?,
        rating: number(&terms.rating)?,
        needs_x: terms.needs_x,
        changed_height: row.height.0,
    })
}

async fn kinds(
    snapshot: &mut Snapshot,
    contract: &str,
    final_height: Option<u32>,
) -> Answered<Vec<Kind>> {
    let Some(at) = final_height else {
        return Ok(Vec::new());
    };
    let filter = EntityFilter {
        projection: SETTINGS.id,
        at: height(at),
        prefix: Some(format!("{contract}/kind-set/")),
        limit: KINDS,
        ..EntityFilter::default()
    };
    let found = projection::entities(snapshot.connection(), &filter).await;
    let found = found.map_err(unread(LOOK))?;
    let mut kinds: Vec<Kind> = found.rows.iter().map(kind).collect::<Answered<_>>()?;
    kinds.sort_by_key(|k| k.kind);
    Ok(kinds)
}

async fn is_minter(snapshot: &mut Snapshot, lane: &LaneId, at: u32) -> Answered<bool> {
    let names = [SETTINGS.name.to_owned()];
    let entity = format!("{}/minter-set/{}", lane.contract, lane.sender);
    let rows = projection::at_height(snapshot.connection(), &names, &[entity], height(at)).await;
    let rows = rows.map_err(unread(LOOK))?;
    let Some(row) = rows.first() else {
        return Ok(false);
    };
    let setting: SettingState = parsed(&row.state)?;
    Ok(setting.value["on"].as_bool().unwrap_or(false))
}

fn own_tx(row: &OwnRow, lane: &LaneId) -> Answered<OwnTx> {
    let meaning = meaning(row, lane);
    Ok(OwnTx {
        nonce: row.nonce,
        fee: row.fee,
        bytes: row.raw_tx.clone(),
        inclusion: Inclusion {
            txid: txid(&row.txid)?,
            block: block(&row.block)?,
            height: small(row.height),
            burn_height: small(row.burn_height),
            verdict: verdict(row, &meaning, &lane.contract),
        },
        meaning,
    })
}

/// What a transaction does, by its bytes; by its events where the source had no bytes.
fn meaning(row: &OwnRow, lane: &LaneId) -> Meaning {
    let treasury = sibling(&lane.contract, "freelance-security");
    let Ok(tx) = Transaction::decode(&row.raw_tx) else {
        return by_events(row, lane, &treasury);
    };
    match &tx.payload {
        TxPayload::ContractCall {
            contract,
            function,
            arguments,
        } if contract.to_string() == lane.contract && function.as_str() == "mint" => {
            let values: Vec<Option<Value>> = arguments
                .iter()
                .map(|a| Value::decode_exact(a.as_bytes()).ok())
                .collect();
            let [Some(recipient), Some(kind)] = &values[..] else {
                return Meaning::Other;
            };
            let kind = kind.as_u128().and_then(|k| u64::try_from(k).ok());
            match (recipient.as_principal().map(Principal::to_string), kind) {
                (Some(recipient), Some(kind)) => Meaning::Mint { recipient, kind },
                _ => Meaning::Other,
            }
        }
        TxPayload::TokenTransfer {
            recipient, amount, ..
        } if recipient.to_string() == treasury && *amount == 1 => Meaning::Noop,
        _ => Meaning::Other,
    }
}

fn by_events(row: &OwnRow, lane: &LaneId, treasury: &str) -> Meaning {
    if row.contract.as_deref() == Some(lane.contract.as_str())
        && row.function.as_deref() == Some("mint")
        && let Some((_, recipient, kind)) = minted(row, &lane.contract)
    {
        return Meaning::Mint { recipient, kind };
    }
    let is_noop = row.contract.is_none()
        && row.events.len() == 1
        && row.events.iter().all(|e| {
            e.kind == 2
                && e.recipient.as_deref() == Some(treasury)
                && e.amount.as_deref() == Some("1")
        });
    if is_noop {
        Meaning::Noop
    } else {
        Meaning::Other
    }
}

/// Number, owner and kind of the badge that a transaction minted: by the contract's event and by the token's, which must
/// say the same.
fn minted(row: &OwnRow, contract: &str) -> Option<(u64, String, u64)> {
    let name = contract.split_once('.').map_or("", |(_, name)| name);
    let printed = row.events.iter().find_map(|event| {
        let raw = event.value.as_deref().filter(|_| event.kind == 1)?;
        match events::decode(name, raw).ok()?.event {
            Typed::Badges(BadgesEvent::BadgeMinted(e)) => {
                Some((e.id.0, e.owner.to_string(), e.kind.0))
            }
            _ => None,
        }
    })?;
    let native = row.events.iter().any(|event| {
        let id = event.value.as_deref().filter(|_| event.kind == 10);
        let id = id.and_then(|raw| Value::decode_exact(raw).ok()?.as_u128());
        id == Some(printed.0) && event.recipient.as_deref() == Some(printed.1.as_str())
    });
    let kind = u64::try_from(printed.2).ok()?;
    let id = u64::try_from(printed.0).ok().filter(|_| native)?;
    Some((id, printed.1, kind))
}

fn verdict(row: &OwnRow, meaning: &Meaning, contract: &str) -> Verdict {
    match TxStatus::from_name(&row.status) {
        TxStatus::Success => match meaning {
            Meaning::Mint { recipient, kind } => match minted(row, contract) {
                Some((id, owner, of)) if owner == *recipient && of == *kind => {
                    Verdict::Success { badge: Some(id) }
                }
                _ => Verdict::Odd {
                    detail: "a mint that succeeded shows no such badge".to_owned(),
                },
            },
            _ => Verdict::Success { badge: None },
        },
        TxStatus::AbortByResponse => Verdict::Aborted {
            code: code(&row.raw_result),
        },
        TxStatus::AbortByPostCondition => Verdict::PostCondition,
        TxStatus::ProblematicSkipped => Verdict::Skipped,
        TxStatus::Other(word) => Verdict::Odd {
            detail: format!("the node says {word:?}"),
        },
    }
}

/// The number in `(err uN)`.
fn code(raw_result: &[u8]) -> Option<u64> {
    let value = Value::decode_exact(raw_result).ok()?;
    let Err(inner) = value.as_response()? else {
        return None;
    };
    u64::try_from(inner.as_u128()?).ok()
}
