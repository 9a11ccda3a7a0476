//! The mirror's facts of a block against the same block, executed once more by a node.

use std::collections::BTreeMap;

use sqlx::PgPool;

use super::AuditError;
use crate::decode::decode_block_for;
use crate::model::FollowSet;
use crate::source::http::FetchError;
use crate::source::node::NodeSource;
use crate::source::pull::Pull as _;
use crate::store::evidence::{AuditBlock, AuditResult, AuditVerdict, Evidence};
use crate::store::proof::{self, Row, TableRows};

/// Kind of these subjects.
pub(super) const BLOCK: &str = "block";
/// Differences of a block that are told.
const TOLD: usize = 5;
/// Columns that not every source knows.
const NOT_PORTABLE: [&str; 9] = [
    "consensus_hash",
    "burn_view",
    "miner_txid",
    "tenure_height",
    "listed_transactions",
    "listed_events",
    "raw_tx",
    "burnchain_op",
    "vm_error",
];
/// Senders of what a node adds to a block when tokens unlock.
const BOOT: [&str; 2] = [
    "SP000000000000000000002Q6VF78",
    "ST000000000000000000002AMW42H",
];

/// Rows by table and by a name that does not depend on places, which differ where a source leaves something out.
type Portable = BTreeMap<(&'static str, String), BTreeMap<&'static str, String>>;

fn field<'a>(row: &'a Row, name: &str) -> &'a str {
    let found = row.fields.iter().find(|(column, _)| *column == name);
    found.map_or("", |(_, value)| value)
}

/// Is this a transaction that a replay does not tell?
fn is_not_replayed(row: &Row) -> bool {
    match field(row, "kind") {
        "burnchain_op" | "unlisted" => true,
        "token_transfer" => BOOT.contains(&field(row, "sender")),
        _ => false,
    }
}

fn portable(tables: &[TableRows]) -> Portable {
    let mut txids: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    let mut all = Portable::new();
    for table in tables {
        for row in &table.rows {
            let name = match table.table {
                "block" => "header".to_owned(),
                "transaction" => {
                    let txid = field(row, "txid");
                    if is_not_replayed(row) {
                        txids.insert(&row.key, None);
                        continue;
                    }
                    txids.insert(&row.key, Some(txid));
                    format!("transaction {txid}")
                }
                "event" => {
                    let (place, ordinal) =
                        row.key.split_once(" ordinal ").unwrap_or((&row.key, ""));
                    match txids.get(place) {
                        Some(None) => continue,
                        Some(Some(txid)) => format!("event {ordinal} of transaction {txid}"),
                        None => format!("event {ordinal} of no transaction ({place})"),
                    }
                }
                _ => continue,
            };
            let fields = row.fields.iter();
            let fields = fields.filter(|(column, _)| !NOT_PORTABLE.contains(column));
            all.insert(
                (table.table, name),
                fields.map(|(c, v)| (*c, v.clone())).collect(),
            );
        }
    }
    all
}

fn differences(node: &Portable, mirror: &Portable) -> Vec<String> {
    let mut found = Vec::new();
    for ((table, name), theirs) in node {
        let Some(ours) = mirror.get(&(*table, name.clone())) else {
            found.push(format!("{name}: the node has it, the mirror has not"));
            continue;
        };
        for (column, value) in theirs {
            let stored = ours.get(column).map_or("nothing", String::as_str);
            if stored != value {
                let cut = |text: &str| text.chars().take(200).collect::<String>();
                found.push(format!(
                    "{name}, {column}: the node says {}, the mirror {}",
                    cut(value),
                    cut(stored)
                ));
            }
        }
    }
    let surplus = mirror.keys().filter(|key| !node.contains_key(*key));
    found.extend(surplus.map(|(_, name)| format!("{name}: the mirror has it, the node has not")));
    found
}

/// Replays one block and compares.
///
/// # Errors
/// When mirror or node cannot be read; what differs, or cannot be replayed, is no error but a verdict.
pub(super) async fn audit_block(
    pool: &PgPool,
    node: &NodeSource,
    follow: &FollowSet,
    of: AuditBlock,
) -> Result<AuditResult, AuditError> {
    let result = |verdict, detail| AuditResult {
        subject_kind: BLOCK,
        subject: of.block.id.to_string(),
        index_block_hash: of.block.id,
        height: of.block.height,
        evidence: Evidence::ReplayAudited,
        verdict,
        detail,
    };
    let unavailable = |why: String| result(AuditVerdict::Unavailable, Some(why));
    let fetched = match node.block(&of.block.id).await {
        Ok(fetched) => fetched,
        Err(
            error @ (FetchError::NotFound { .. }
            | FetchError::NotOffered { .. }
            | FetchError::TooLarge { .. }
            | FetchError::Unusable { .. }),
        ) => return Ok(unavailable(error.to_string())),
        Err(error) => return Err(AuditError::Source(error)),
    };
    let block = match decode_block_for(&fetched.body, follow) {
        Ok(block) => block,
        Err(error) => return Ok(unavailable(crate::error_chain(&error).to_string())),
    };
    let theirs = portable(&proof::expected(&block, &[]));
    let ours = portable(&proof::stored(pool, of.id).await?);
    let mut found = differences(&theirs, &ours);
    if found.is_empty() {
        return Ok(result(AuditVerdict::Agrees, None));
    }
    let more = found.len().saturating_sub(TOLD);
    found.truncate(TOLD);
    if more > 0 {
        found.push(format!("and {more} more"));
    }
    Ok(result(AuditVerdict::Differs, Some(found.join("; "))))
}
