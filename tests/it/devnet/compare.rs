//! The projections against the model: after every block what changed, now and then everything.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use stxworx_clarity::codec::transaction::Payload;
use stxworx_clarity::codec::{ContractId, Principal, Value};
use stxworx_clarity::model::{
    Action, ActionStatus, Asset, Class, MilestoneStatus, Model, ProjectStatus,
};

use super::history::History;
use crate::support::db::TestDb;

/// Projection and entity, with the fields that the model knows.
pub type Image = BTreeMap<(&'static str, String), Json>;

/// After every block, unless there are more than so many: then after every second, third …
const LOOKS: usize = 600;
/// So many looks lie between two at everything.
const EVERYTHING_EVERY: usize = 50;
/// So many blocks are read at once.
const STRETCH: usize = 500;

fn asset_name(asset: &Asset) -> String {
    asset.as_ref().map_or("STX".to_owned(), ToString::to_string)
}

fn hex0x(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn milestone_status(status: MilestoneStatus) -> &'static str {
    match status {
        MilestoneStatus::Funded => "funded",
        MilestoneStatus::Submitted => "submitted",
        MilestoneStatus::Disputed => "disputed",
        MilestoneStatus::Released => "released",
        MilestoneStatus::Refunded => "refunded",
        MilestoneStatus::Split => "split",
    }
}

fn project_status(status: ProjectStatus) -> &'static str {
    match status {
        ProjectStatus::Open => "open",
        ProjectStatus::Active => "active",
        ProjectStatus::Completed => "completed",
        ProjectStatus::Refunded => "refunded",
        ProjectStatus::Settled => "settled",
        ProjectStatus::Cancelled => "cancelled",
    }
}

fn projects(model: &Model, image: &mut Image) {
    let logic = &model.logic;
    let contract = model.contracts.logic.to_string();
    for (id, project) in &logic.projects {
        let of_it = logic.milestones.range((*id, 0)..=(*id, u128::MAX));
        let mut fees = 0;
        let milestones: Vec<_> = of_it
            .map(|((_, m), it)| {
                fees += it.fee;
                let offer = logic.offers.get(&(*id, *m)).map(
                    |o| json!({"by": o.by.to_string(), "bps": small(o.bps), "until": small(o.until)}),
                );
                json!({
                    "m": small(*m), "amount": it.amount.to_string(), "due": small(it.due), "rev": small(it.rev),
                    "status": milestone_status(it.status), "payout": it.payout.to_string(),
                    "fee": it.fee.to_string(), "refund": it.refund.to_string(), "offer": offer,
                })
            })
            .collect();
        let fields = json!({
            "id": small(*id), "contract": contract, "client": project.client.to_string(),
            "freelancer": project.freelancer.to_string(), "arbiter": project.arbiter.to_string(),
            "asset": asset_name(&project.asset), "status": project_status(project.status),
            "total": project.total.to_string(), "paid": (project.paid - fees).to_string(),
            "fees": fees.to_string(), "refunded": project.refunded.to_string(),
            "fee_bps": small(project.fee_bps), "split_bps": small(project.split_bps),
            "accept_until": small(project.accept_until), "review": small(project.review),
            "resolve": small(project.resolve), "grace": small(project.grace),
            "meta": hex0x(&project.meta), "milestones": milestones,
        });
        image.insert(("projects", format!("{contract}/{id}")), fields);
    }
}

fn assets(model: &Model, image: &mut Image) {
    let contract = model.contracts.logic.to_string();
    for (asset, terms) in &model.logic.assets {
        let name = asset_name(asset);
        let fields = json!({
            "contract": contract, "asset": name, "enabled": terms.enabled, "max": terms.max.to_string(),
            "decimals": small(terms.decimals), "locked": model.logic.locked_of(asset).to_string(),
        });
        image.insert(("assets", format!("{contract}|{name}")), fields);
    }
}

fn profiles(model: &Model, image: &mut Image) {
    let data = &model.data;
    let users = data
        .stats
        .keys()
        .chain(data.profiles.keys())
        .chain(data.x_accounts.keys());
    for user in users {
        let stats = data.stats.get(user).cloned().unwrap_or_default();
        let profile = data.profiles.get(user);
        let x = data
            .x_accounts
            .get(user)
            .map(|x| json!({"handle_hash": hex0x(&x.handle_hash), "expires": small(x.expires)}));
        let earned: serde_json::Map<_, _> = data
            .earned
            .iter()
            .filter(|((who, _), _)| who == user)
            .map(|((_, asset), amount)| (asset_name(asset), amount.to_string().into()))
            .collect();
        let fields = json!({
            "user": user.to_string(), "handle": profile.map(|p| &p.handle),
            "meta": profile.map(|p| hex0x(&p.meta)), "x": x, "completed": small(stats.completed),
            "settled": small(stats.settled), "disputes": small(stats.disputes), "lost": small(stats.lost),
            "rating_sum": small(stats.rating_sum), "rating_count": small(stats.rating_count), "earned": earned,
        });
        let entity = format!("{}/{user}", model.contracts.data);
        image.insert(("profiles", entity), fields);
    }
}

fn badges(model: &Model, image: &mut Image) {
    let contract = model.contracts.badges.to_string();
    for id in 1..=model.badges.last_id {
        let badge = model.badges.badges.get(&id);
        let owner = badge.map(|b| b.owner.to_string());
        let mut fields = json!({"id": small(id), "owner": owner, "native_owner": owner});
        if let Some(badge) = badge {
            fields["kind"] = small(badge.kind).into();
        }
        image.insert(("badges", format!("{contract}/{id}")), fields);
    }
}

fn signatories<'a>(
    votes: impl Iterator<Item = (&'a (u128, Principal), &'a bool)>,
    id: u128,
) -> Vec<String> {
    let mut names: Vec<_> = votes
        .filter(|((of, _), on)| *of == id && **on)
        .map(|((_, who), _)| who.to_string())
        .collect();
    names.sort();
    names
}

fn governance(model: &Model, image: &mut Image) {
    let security = &model.security;
    let contract = model.contracts.security.to_string();
    for (id, action) in &security.actions {
        let Action {
            kind,
            class,
            proposer,
            epoch,
            eta,
            expires,
            status,
            ..
        } = action;
        let class = match class {
            Class::Critical => 1,
            Class::Routine => 2,
            Class::Emergency => 3,
        };
        let status = match status {
            ActionStatus::Pending => "pending",
            ActionStatus::Executed => "executed",
            ActionStatus::Cancelled => "cancelled",
        };
        let fields = json!({
            "id": small(*id), "contract": contract, "kind": kind, "class": class, "proposer": proposer.to_string(),
            "epoch": small(*epoch), "eta": small(*eta), "expires": small(*expires), "status": status,
            "approvals": signatories(security.approved.iter(), *id),
            "rejections": signatories(security.rejected.iter(), *id),
        });
        image.insert(("governance_actions", format!("{contract}/{id}")), fields);
    }
    let mut signers: Vec<_> = security.signers.keys().map(ToString::to_string).collect();
    signers.sort();
    let fields = json!({"epoch": small(security.epoch), "signers": signers});
    image.insert(("signers", contract), fields);
}

fn chains(model: &Model, image: &mut Image) {
    let at = &model.contracts;
    for (contract, seq) in [
        (&at.data, model.data.seq),
        (&at.logic, model.logic.seq),
        (&at.badges, model.badges.seq),
        (&at.security, model.security.seq),
    ] {
        let fields = json!({"seq": seq.to_string(), "from_seq": "1", "breaks": 0});
        image.insert(("event_chain", contract.to_string()), fields);
    }
}

/// All that the model knows.
pub fn image(model: &Model) -> Image {
    let mut image = Image::new();
    projects(model, &mut image);
    assets(model, &mut image);
    profiles(model, &mut image);
    badges(model, &mut image);
    governance(model, &mut image);
    chains(model, &mut image);
    image
}

fn small(value: u128) -> u64 {
    u64::try_from(value).unwrap()
}

/// Projections whose every entity the model knows.
pub const JUDGED: [&str; 6] = [
    "projects",
    "assets",
    "badges",
    "governance_actions",
    "signers",
    "event_chain",
];
/// Lists whose order is the mirror's own business.
const UNORDERED: [&str; 3] = ["approvals", "rejections", "signers"];

/// Everything that the model says is in the state.
pub fn agrees(expected: &Json, state: &Json, field: &str) -> Result<(), String> {
    match (expected, state) {
        (Json::Object(expected), Json::Object(state)) if field != "earned" => {
            expected.iter().try_for_each(|(name, value)| {
                let stored = state.get(name).unwrap_or(&Json::Null);
                agrees(value, stored, name).map_err(|e| format!("{name}: {e}"))
            })
        }
        (Json::Array(expected), Json::Array(state)) if expected.len() == state.len() => {
            let mut state: Vec<_> = state.iter().collect();
            if UNORDERED.contains(&field) {
                state.sort_by_key(|v| v.to_string());
            }
            expected
                .iter()
                .zip(state)
                .try_for_each(|(e, s)| agrees(e, s, field))
        }
        (expected, state) if expected == state => Ok(()),
        (expected, state) => Err(format!("the model says {expected}, the mirror {state}")),
    }
}

type States = BTreeMap<String, Vec<(String, String, Json)>>;

/// What the mirror holds of the blocks of a stretch: by block, projection, entity and the state after the block.
async fn states(db: &TestDb, from: usize, below: usize) -> States {
    let rows = db
        .text(format!(
            "select coalesce(jsonb_agg(jsonb_build_array(s.block, s.name, s.entity, s.state)), '[]')::text from (
                 select distinct on (v.block_id, v.projection, v.entity)
                        encode(b.index_block_hash, 'hex') as block, p.name, v.entity, v.state
                 from projection_version v
                 join canonical c on c.block_id = v.block_id
                 join block b on b.id = v.block_id
                 join projection p on p.id = v.projection
                 where c.height >= {from} and c.height < {below}
                 order by v.block_id, v.projection, v.entity, v.position desc) s"
        ))
        .await
        .unwrap();
    let rows: Vec<(String, String, String, Json)> = serde_json::from_str(&rows).unwrap();
    let mut of_block = States::new();
    for (block, name, entity, state) in rows {
        of_block
            .entry(block)
            .or_default()
            .push((name, entity, state));
    }
    of_block
}

/// Compares the projections with the model along the canonical chain. Returns how many states were compared.
pub async fn assert_projections_are_the_models(db: &TestDb, history: &History) -> usize {
    let mut rows = States::new();
    let mut mirror: BTreeMap<(String, String), Json> = BTreeMap::new();
    let mut compared = 0;
    let mut before = Image::new();
    let canonical = history.canonical();
    let step = canonical.len().div_ceil(LOOKS);
    // Block 0 has no contracts; from block 1 on they are there, all of them.
    for (number, block) in canonical.iter().enumerate().skip(1) {
        let id = hex::encode(block.header.id);
        if (number - 1).is_multiple_of(STRETCH) {
            rows = states(db, number, number + STRETCH).await;
        }
        for (name, entity, state) in rows.remove(&id).unwrap_or_default() {
            mirror.insert((name, entity), state);
        }
        let last = number + 1 == canonical.len();
        if !number.is_multiple_of(step) && !last {
            continue;
        }
        let after = image(history.model(&block.header.id));
        let whole = (number / step).is_multiple_of(EVERYTHING_EVERY) || last;
        for (key, expected) in &after {
            if !whole && before.get(key) == Some(expected) {
                continue;
            }
            let (name, entity) = key;
            let stored = mirror.get(&((*name).to_owned(), entity.clone()));
            let verdict = match stored {
                Some(state) => agrees(expected, state, name),
                None => Err("nothing stored".to_owned()),
            };
            if let Err(error) = verdict {
                panic!("{name} {entity} after block {number} (0x{id}): {error}");
            }
            compared += 1;
        }
        // A profile may have nothing left of what it once had; all else stays what it is.
        let mut strange = mirror.keys().filter(|(name, entity)| {
            let name = JUDGED.iter().find(|j| *j == name);
            name.is_some_and(|name| !after.contains_key(&(*name, entity.clone())))
        });
        assert_eq!(
            strange.next().filter(|_| whole),
            None,
            "nothing that the model knows"
        );
        before = after;
    }
    compared
}

/// The mirror's chains of events end where the contracts' own cursors stand.
pub async fn assert_cursors(db: &TestDb, history: &History) {
    let tip = history.chain.tip().header.id;
    let at = history.contracts();
    for contract in [&at.data, &at.logic, &at.badges, &at.security] {
        let id: &ContractId = contract.as_contract().unwrap();
        let cursor = history
            .chain
            .call_read(&tip, contract, id, "get-cursor", &[]);
        let cursor = cursor.unwrap();
        let field = |name: &str| cursor.get(name).cloned().unwrap();
        let (Value::UInt(seq), Value::Buffer(head)) = (field("seq"), field("head")) else {
            panic!("{cursor}")
        };
        let stored = db
            .text(format!(
                "select v.state ->> 'seq' || ' ' || (v.state ->> 'head')
                 from projection_current c join projection_version v on v.id = c.version_id
                 where c.projection = 4 and c.entity = '{contract}'"
            ))
            .await;
        assert_eq!(
            stored,
            Some(format!("{seq} {}", hex0x(&head))),
            "{contract}"
        );
    }
}

/// Micro-STX that people gave to a principal for nothing.
fn gifts(history: &History, to: &Principal) -> u128 {
    let mut given = 0;
    for block in history.canonical() {
        for receipt in &block.receipts {
            match &receipt.transaction.payload {
                Payload::TokenTransfer {
                    recipient, amount, ..
                } if recipient == to => given += u128::from(*amount),
                _ => {}
            }
        }
    }
    given
}

/// What the treasury has is what the projection says came and went, and gifts.
pub async fn assert_treasury(db: &TestDb, history: &History) {
    let model = history.model(&history.chain.tip().header.id);
    let treasury = &model.contracts.security;
    for asset in model.logic.assets.keys() {
        let stored = db
            .text(format!(
                "select (v.state ->> 'fees')::numeric - (v.state ->> 'spent')::numeric || ''
                 from projection_current c join projection_version v on v.id = c.version_id
                 where c.projection = 17 and c.entity = '{treasury}|{}'",
                asset_name(asset)
            ))
            .await;
        let given = if asset.is_none() {
            gifts(history, treasury)
        } else {
            0
        };
        let earned = model.balance(asset, treasury) - given;
        assert_eq!(
            stored.unwrap_or("0".to_owned()),
            earned.to_string(),
            "{}",
            asset_name(asset)
        );
    }
}
