//! Where a state comes from: each field from the event that last set it, the event from its block, the block from
//! its stored payload, the payload from its source. Reads only, in one snapshot.

mod cause;
pub mod lineage;
mod transaction;
mod view;

use serde_json::Value;
use sqlx::PgPool;

pub use view::{Audit, BlockView, Change, EventView, Explanation, Field, Touched, TransactionView};

use crate::model::{IndexBlockHash, TxId};
use crate::store::read::explain::{self as read, LineVersion};
use crate::store::read::{ReadError, Snapshot, completeness};
use lineage::Lineage;

/// Versions that one explanation walks down; fields that were set before stay open.
pub const MAX_VERSIONS: usize = 20_000;
/// Versions read at once.
const PAGE: i64 = 500;

/// What is to be explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A project, by its number.
    Project(String),
    /// A badge, by its number.
    Badge(String),
    /// A governed action, by its number.
    Action(String),
    /// A user.
    Profile(String),
    /// An asset of the escrow: `STX`, or a token's contract.
    Asset(String),
}

impl Subject {
    /// The projection that holds it, what joins contract and key in the entity's name, and the key.
    fn place(&self) -> (&'static str, char, &str) {
        match self {
            Self::Project(id) => ("projects", '/', id),
            Self::Badge(id) => ("badges", '/', id),
            Self::Action(id) => ("governance_actions", '/', id),
            Self::Profile(who) => ("profiles", '/', who),
            Self::Asset(asset) => ("assets", '|', asset),
        }
    }

    fn name(&self) -> String {
        let (what, key) = match self {
            Self::Project(id) => ("project", id),
            Self::Badge(id) => ("badge", id),
            Self::Action(id) => ("action", id),
            Self::Profile(who) => ("profile", who),
            Self::Asset(asset) => ("asset", asset),
        };
        format!("{what} {key}")
    }
}

/// As of which block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The canonical block of this height.
    Height(u32),
    /// This block, of any fork.
    Block(IndexBlockHash),
}

/// Why there is no explanation.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The database failed.
    #[error("the mirror cannot be asked")]
    Read(#[from] ReadError),
    /// Nothing is mirrored yet.
    #[error("the mirror is empty; `stxworx run` fills it")]
    Empty,
    /// There is no such block.
    #[error("there is no block {block} in the mirror; `stxworx status` says how far it reaches")]
    NoBlock {
        /// As it was named.
        block: String,
    },
    /// There is nothing of this name.
    #[error("there is no {subject} in the mirror as of block {block}{hint}")]
    Nothing {
        /// What was asked for.
        subject: String,
        /// As of which block.
        block: String,
        /// What may help.
        hint: &'static str,
    },
    /// Several deployments have one.
    #[error("several contracts have a {subject}: {contracts}; choose one with --contract")]
    Several {
        /// What was asked for.
        subject: String,
        /// Who has it.
        contracts: String,
    },
}

/// The block as of which a state is explained.
#[derive(Debug, Clone)]
struct Stand {
    id: Vec<u8>,
    text: String,
    height: u32,
    canonical: bool,
}

async fn stand(snapshot: &mut Snapshot, at: Option<At>) -> Result<Stand, ExplainError> {
    let found = match at {
        None => {
            let Some(tip) = &snapshot.tip else {
                return Err(ExplainError::Empty);
            };
            let id = tip.id.0.clone();
            snapshot.block_by_hash(&id).await?
        }
        Some(At::Height(height)) => {
            let height = i32::try_from(height).unwrap_or(i32::MAX);
            snapshot.block_by_height(height).await?
        }
        Some(At::Block(id)) => snapshot.block_by_hash(id.as_bytes()).await?,
    };
    let found = found.ok_or_else(|| ExplainError::NoBlock {
        block: match at {
            None => "at the tip".to_owned(),
            Some(At::Height(height)) => format!("of height {height} on the canonical chain"),
            Some(At::Block(id)) => id.to_string(),
        },
    })?;
    Ok(Stand {
        text: found.id.to_string(),
        id: found.id.0,
        height: found.height.0,
        canonical: found.canonical,
    })
}

/// Explains a state: what it is as of a block, and where each of its fields comes from.
///
/// # Errors
/// When there is no such thing, or several, or the database fails.
pub async fn explain(
    pool: &PgPool,
    subject: &Subject,
    contract: Option<&str>,
    at: Option<At>,
    finality_burn_blocks: u32,
) -> Result<Explanation, ExplainError> {
    let mut snapshot = Snapshot::open(pool).await?;
    let stand = stand(&mut snapshot, at).await?;
    let entity = entity(&mut snapshot, subject, contract, &stand).await?;
    let (projection, ..) = subject.place();
    let walk = walk(&mut snapshot, &stand, projection, &entity).await?;
    let Some(newest) = walk.states.first() else {
        return Err(ExplainError::Nothing {
            subject: subject.name(),
            block: stand.text,
            hint: "; it may have come later, or on another fork",
        });
    };
    let state = newest.state.clone();
    let (changes, mut fields) = changes(&mut snapshot, subject, &entity, &walk).await?;
    for (path, value) in lineage::leaves(&state) {
        let open = !walk.lineage.set_by().contains_key(&path);
        if open {
            fields.push(Field {
                path,
                value: value.clone(),
                set_by: None,
            });
        }
    }
    fields.sort_by(|a, b| a.path.cmp(&b.path));
    let burn_tip = snapshot.tip.as_ref().map_or(0, |t| t.burn_height);
    let blocks = blocks(&mut snapshot, &changes, burn_tip, finality_burn_blocks).await?;
    let audits = audits(&mut snapshot, &changes).await?;
    let hash_of = |id: i64| blocks.iter().find(|(known, _)| *known == id);
    let changes = changes
        .into_iter()
        .map(|(block_id, mut change)| {
            if let Some((_, block)) = hash_of(block_id) {
                change.block.clone_from(&block.index_block_hash);
                change.height = block.height;
                change.finality.clone_from(&block.finality);
            }
            change
        })
        .collect();
    Ok(Explanation {
        subject: subject.name(),
        projection: projection.to_owned(),
        entity,
        as_of: stand.text,
        as_of_height: stand.height,
        as_of_canonical: stand.canonical,
        versions: walk.states.len(),
        whole: walk.whole,
        state,
        fields,
        changes,
        blocks: blocks.into_iter().map(|(_, block)| block).collect(),
        audits,
    })
}

/// Which entity is meant.
async fn entity(
    snapshot: &mut Snapshot,
    subject: &Subject,
    contract: Option<&str>,
    stand: &Stand,
) -> Result<String, ExplainError> {
    let (projection, joint, key) = subject.place();
    if let Some(contract) = contract {
        return Ok(format!("{contract}{joint}{key}"));
    }
    let ending = format!("{joint}{key}");
    let mut found = read::entities_ending(snapshot.connection(), projection, &ending).await?;
    match (found.len(), found.pop()) {
        (1, Some(entity)) => Ok(entity),
        (_, None) => Err(ExplainError::Nothing {
            subject: subject.name(),
            block: stand.text.clone(),
            hint: "; is its contract followed?",
        }),
        (_, Some(last)) => {
            found.push(last);
            let contracts: Vec<_> = found
                .iter()
                .map(|e| e.strip_suffix(&ending).unwrap_or(e))
                .collect();
            Err(ExplainError::Several {
                subject: subject.name(),
                contracts: contracts.join(", "),
            })
        }
    }
}

/// The versions of an entity, newest first, as far down as a field was open.
struct Walk {
    states: Vec<LineVersion>,
    lineage: Lineage,
    /// Is every field's setter found?
    whole: bool,
}

async fn walk(
    snapshot: &mut Snapshot,
    stand: &Stand,
    projection: &str,
    entity: &str,
) -> Result<Walk, ExplainError> {
    let mut states: Vec<LineVersion> = Vec::new();
    let mut lineage: Option<Lineage> = None;
    let mut below = (i32::MAX, i64::MAX);
    loop {
        let page = read::versions(
            snapshot.connection(),
            &stand.id,
            (projection, entity),
            below,
            PAGE,
        )
        .await?;
        let ended = i64::try_from(page.len()).unwrap_or(PAGE) < PAGE;
        for version in page {
            below = (version.height, version.position);
            match &mut lineage {
                None => lineage = Some(Lineage::of(&version.state)),
                Some(lineage) => lineage.step(Some(&version.state)),
            }
            states.push(version);
            // The one below the last setter is kept: it tells what the setter changed.
            if lineage.as_ref().is_some_and(|l| !l.is_open()) {
                break;
            }
        }
        let open = lineage.as_ref().is_some_and(Lineage::is_open);
        if let (true, true, Some(lineage)) = (ended, open, &mut lineage) {
            lineage.step(None);
        }
        if ended || !open || states.len() >= MAX_VERSIONS {
            let lineage = lineage.unwrap_or_else(|| Lineage::of(&Value::Null));
            return Ok(Walk {
                whole: !lineage.is_open(),
                states,
                lineage,
            });
        }
    }
}

/// The versions that set a field of the state, oldest first, with their causes; and the fields.
async fn changes(
    snapshot: &mut Snapshot,
    subject: &Subject,
    entity: &str,
    walk: &Walk,
) -> Result<(Vec<(i64, Change)>, Vec<Field>), ExplainError> {
    let mut setters: Vec<usize> = walk.lineage.set_by().values().copied().collect();
    setters.sort_unstable_by(|a, b| b.cmp(a));
    setters.dedup();
    let places: Vec<(i64, i32)> = setters
        .iter()
        .map(|at| {
            (
                walk.states[*at].block_id,
                cause::place(walk.states[*at].position).0,
            )
        })
        .collect();
    let events = read::causes(snapshot.connection(), &places).await?;
    let changes: Vec<_> = setters
        .iter()
        .map(|at| {
            let version = &walk.states[*at];
            let before = walk.states.get(at + 1).map(|v| &v.state);
            let change = Change {
                block: String::new(),
                height: 0,
                finality: None,
                events: cause::of(subject, entity, version, &events),
                fields: lineage::changes(before, &version.state),
            };
            (version.block_id, change)
        })
        .collect();
    let newest = walk.states.first().map(|v| lineage::leaves(&v.state));
    let newest = newest.unwrap_or_default();
    let fields = walk.lineage.set_by().iter().map(|(path, version)| Field {
        path: path.clone(),
        value: newest.get(path).map_or(Value::Null, |v| (*v).clone()),
        set_by: setters.iter().position(|s| s == version),
    });
    Ok((changes, fields.collect()))
}

/// The blocks of the changes with their payloads, upwards.
async fn blocks(
    snapshot: &mut Snapshot,
    changes: &[(i64, Change)],
    burn_tip: u32,
    finality_burn_blocks: u32,
) -> Result<Vec<(i64, BlockView)>, ExplainError> {
    let mut ids: Vec<i64> = changes.iter().map(|(id, _)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    let rows = read::origins(snapshot.connection(), &ids).await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            (
                row.block_id,
                BlockView::new(row, burn_tip, finality_burn_blocks),
            )
        })
        .collect())
}

/// What a node said of the chains of the contracts whose events are named.
async fn audits(
    snapshot: &mut Snapshot,
    changes: &[(i64, Change)],
) -> Result<Vec<Audit>, ExplainError> {
    let events = changes.iter().flat_map(|(_, change)| &change.events);
    let mut contracts: Vec<String> = events.filter_map(|e| e.contract.clone()).collect();
    contracts.sort_unstable();
    contracts.dedup();
    let proofs = completeness::proofs(snapshot.connection(), &contracts).await?;
    Ok(contracts
        .into_iter()
        .map(|contract| {
            let proof = proofs.iter().find(|p| p.contract == contract);
            Audit::new(contract, proof)
        })
        .collect())
}

/// Explains a transaction: where it stands, its events, and what they changed.
///
/// # Errors
/// When the mirror does not have it, or the database fails.
pub async fn explain_transaction(
    pool: &PgPool,
    txid: TxId,
    finality_burn_blocks: u32,
) -> Result<Vec<TransactionView>, ExplainError> {
    let mut snapshot = Snapshot::open(pool).await?;
    transaction::explain(&mut snapshot, txid, finality_burn_blocks).await
}
