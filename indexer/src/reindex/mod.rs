//! Re-indexing a range of heights while the mirror is followed: stored payloads are replayed beside it, block by
//! block, and compared with it; what differs can be swapped in one transaction, and back.
//!
//! A digest can be right while a row is wrong, because a row that was changed later leaves it alone. So rows are
//! always compared, and digests besides. States come from the mirror below the range and, inside it, from the
//! recomputed versions of each block that differs; a block that does not differ has the right ones.

mod replay;
mod rows;
mod select;

use serde::Serialize;
use serde_json::Value;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::model::FollowSet;
use crate::model::canonical::DIGEST_RULES;
use crate::project::{self, EntityKey};
use crate::store::reindex::swap::{self, Swapped};
use crate::store::reindex::{self as journal, Job, Range, report as noted};
use crate::store::{StoreError, load};
use crate::verify::{Mismatch, hexed};
use replay::Replay;

/// Blocks read at once.
const PAGE: i64 = 200;
/// Differences that a report shows; all are counted.
pub const SHOWN: usize = 1000;
/// Pointers that one run sets right.
const MAX_POINTERS: i64 = 10_000;

/// Why a range cannot be re-indexed.
#[derive(Debug, thiserror::Error)]
pub enum ReindexError {
    /// The database failed.
    #[error("the range cannot be re-indexed")]
    Store(#[from] StoreError),
    /// Nothing is mirrored.
    #[error("there is no mirror in this database yet; `stxworx run` begins one")]
    Empty,
    /// The heights make no range.
    #[error("--from {from} is above --to {to}: give the lower height first")]
    Backwards {
        /// First height.
        from: u32,
        /// Last height.
        to: u32,
    },
    /// The mirror does not reach so far.
    #[error("heights {from} to {to} are not all mirrored: the mirror has heights {low} to {high}")]
    Beyond {
        /// First height.
        from: u32,
        /// Last height.
        to: u32,
        /// Lowest stored height.
        low: i32,
        /// Highest stored height.
        high: i32,
    },
    /// Other rules made the rows.
    #[error(
        "the mirror's rows were made by other rules than this version's ({what}): every block would differ. Run the \
         version that made them, or `stxworx rebuild --yes` with this one"
    )]
    Rules {
        /// Which rules.
        what: String,
    },
    /// The role may not rewrite facts.
    #[error(
        "this database role does not own the mirror's tables, and no other may rewrite facts: connect as the owner, \
         as for `stxworx migrate`"
    )]
    NotOwner,
    /// One run at a time.
    #[error("another `stxworx reindex` is running on this mirror; wait for its end, or end it")]
    Busy,
    /// A run for one contract met rows of others.
    #[error(
        "block {block} (height {height}) has wrong rows of {contract} and of others, and one digest covers them all: \
         repair it without --contract. Nothing was changed"
    )]
    Others {
        /// The block.
        block: String,
        /// Its height.
        height: i32,
        /// The contract of the run.
        contract: String,
    },
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// First height.
    pub from: u32,
    /// Last height.
    pub to: u32,
    /// Only rows of this contract.
    pub contract: Option<String>,
    /// Swap what differs.
    pub apply: bool,
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Blocks compared, by this process and by those before it.
    pub blocks: u64,
    /// Blocks of the range, as far as is known.
    pub of: u64,
    /// Blocks that differ, seen by this process.
    pub differing: u64,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Ending {
    /// Nothing differs.
    Clean,
    /// Something differs, and was left as it is.
    Compared,
    /// What differed was swapped.
    Applied {
        /// Blocks whose rows were exchanged.
        exchanged: i64,
        /// Blocks above of which the digest was.
        digests: i64,
    },
    /// Nothing was changed, for this reason.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
    /// Stopped on the way; the same command goes on there.
    Stopped,
}

/// What a run found and did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Its number in `reindex_job`.
    pub job: i64,
    /// Did it go on where an earlier process stopped?
    pub resumed: bool,
    /// First height.
    pub from: u32,
    /// Last height.
    pub to: u32,
    /// The contract that it was limited to.
    pub contract: Option<String>,
    /// Blocks compared, of every fork.
    pub blocks: i64,
    /// Rows compared.
    pub rows: i64,
    /// Blocks that differ.
    pub differing_blocks: i64,
    /// Differences, all of them.
    pub differences: i64,
    /// The first of them.
    pub shown: Vec<Mismatch>,
    /// Blocks in which only rows of other contracts differ: left alone.
    pub others: i64,
    /// Versions above the range that may follow from wrong ones inside, and the highest height of one.
    pub later_versions: i64,
    /// See `later_versions`.
    pub later_height: Option<i32>,
    /// How it ended.
    #[serde(flatten)]
    pub ending: Ending,
}

/// Compares a range with its payloads, and swaps what differs if that is asked for.
///
/// # Errors
/// When the range, the rules, the role or another run forbids it, or the database fails. Differences are no error.
pub async fn run(
    pool: &PgPool,
    options: &Options,
    cancel: &CancellationToken,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report, ReindexError> {
    let lock = journal::lock(pool).await?.ok_or(ReindexError::Busy)?;
    let report = run_alone(pool, options, cancel, progress).await;
    lock.release().await;
    report
}

async fn run_alone(
    pool: &PgPool,
    options: &Options,
    cancel: &CancellationToken,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report, ReindexError> {
    let (rules, follow) = prepare(pool).await?;
    let range = range(pool, options).await?;
    let job = journal::begin(pool, &range, &rules).await?;
    let mut report = Report {
        job: job.id,
        resumed: job.resumed,
        from: options.from,
        to: options.to,
        contract: options.contract.clone(),
        blocks: job.blocks,
        rows: job.rows,
        differing_blocks: 0,
        differences: 0,
        shown: Vec::new(),
        others: 0,
        later_versions: 0,
        later_height: None,
        ending: Ending::Stopped,
    };
    let mut replay = Replay::new(pool, job.id, follow, options.contract.clone());
    let whole = match compare(&mut replay, &range, &job, cancel, &mut report, progress).await {
        Ok(whole) => whole,
        Err(error) => {
            if !matches!(error, ReindexError::Store(_)) {
                journal::end(
                    pool,
                    job.id,
                    "refused",
                    &crate::error_chain(&error).to_string(),
                )
                .await?;
            }
            return Err(error);
        }
    };
    if !whole {
        return Ok(report);
    }
    let pointers = gather(pool, &range, &mut report).await?;
    conclude(pool, &range, &rules, &pointers, &mut report).await?;
    Ok(report)
}

/// Puts back what the last swap replaced.
///
/// # Errors
/// When the role or another run forbids it, or the database fails.
pub async fn undo(pool: &PgPool) -> Result<Swapped, ReindexError> {
    let lock = journal::lock(pool).await?.ok_or(ReindexError::Busy)?;
    let swapped = match prepare(pool).await {
        Ok(_) => swap::undo(pool).await.map_err(Into::into),
        Err(error) => Err(error),
    };
    lock.release().await;
    swapped
}

/// The mirror's rules, which must be this version's, and what is followed.
async fn prepare(pool: &PgPool) -> Result<(Value, FollowSet), ReindexError> {
    if !journal::is_owner(pool).await? {
        return Err(ReindexError::NotOwner);
    }
    let rules = journal::rules(pool).await?;
    let follow = load::follow_set(pool).await?;
    let (Some(rules), Some(follow)) = (rules, follow) else {
        return Err(ReindexError::Empty);
    };
    check_rules(&rules)?;
    Ok((rules, follow))
}

fn check_rules(rules: &Value) -> Result<(), ReindexError> {
    let differ = |what: String| Err(ReindexError::Rules { what });
    if rules["digest_rules"] != DIGEST_RULES {
        return differ(format!(
            "digests {} and {DIGEST_RULES}",
            rules["digest_rules"]
        ));
    }
    for projection in project::registry() {
        let stored = &rules["projections"][projection.name()];
        if *stored != projection.version() {
            return differ(format!(
                "projection {} {stored} and {}",
                projection.name(),
                projection.version()
            ));
        }
    }
    Ok(())
}

async fn range(pool: &PgPool, options: &Options) -> Result<Range, ReindexError> {
    let (from, to) = (options.from, options.to);
    if from > to {
        return Err(ReindexError::Backwards { from, to });
    }
    let Some((low, high)) = journal::heights(pool).await? else {
        return Err(ReindexError::Empty);
    };
    match (i32::try_from(from), i32::try_from(to)) {
        (Ok(first), Ok(last)) if first >= low && last <= high => Ok(Range {
            from: first,
            to: last,
            contract: options.contract.clone(),
            applies: options.apply,
        }),
        _ => Err(ReindexError::Beyond {
            from,
            to,
            low,
            high,
        }),
    }
}

/// Compares what is left of the range; false when it was stopped on the way.
async fn compare(
    replay: &mut Replay<'_>,
    range: &Range,
    job: &Job,
    cancel: &CancellationToken,
    report: &mut Report,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<bool, ReindexError> {
    let pool = replay.pool;
    let heights = (range.from, range.to);
    let left = journal::count(pool, heights, job.after).await?;
    let of = u64::try_from(job.blocks + left).unwrap_or(0);
    let (mut after, mut differing) = (job.after, 0);
    loop {
        let page = journal::blocks(pool, heights, after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(true);
        };
        after = last.id;
        for head in &page {
            if cancel.is_cancelled() {
                return Ok(false);
            }
            let compared = replay.block(head).await?;
            let finding = compared.finding.as_ref();
            differing += u64::from(finding.is_some_and(|f| f.selected || f.fault));
            journal::note(pool, job.id, head, compared.rows, finding).await?;
            report.blocks += 1;
            report.rows += compared.rows;
            let blocks = u64::try_from(report.blocks).unwrap_or(0);
            progress(Progress {
                blocks,
                of: of.max(blocks),
                differing,
            });
        }
    }
}

/// Fills the report from the journal; the entities whose pointer is wrong.
async fn gather(
    pool: &PgPool,
    range: &Range,
    report: &mut Report,
) -> Result<Vec<EntityKey>, ReindexError> {
    let limit = i64::try_from(SHOWN).unwrap_or(i64::MAX);
    let (blocks, others) = noted::noted(pool, report.job, limit).await?;
    report.others = others;
    for block in &blocks {
        let text = |d: &Value, key: &str| d[key].as_str().unwrap_or_default().to_owned();
        for d in block.differences.as_array().into_iter().flatten() {
            report.shown.push(Mismatch {
                block: hexed(&block.index_block_hash),
                height: block.height,
                table: text(d, "table"),
                row: text(d, "row"),
                column: text(d, "column"),
                expected: text(d, "expected"),
                stored: text(d, "stored"),
            });
        }
    }
    let (differing, differences, _) = noted::totals(pool, report.job).await?;
    (report.differing_blocks, report.differences) = (differing, differences);
    let mut pointers = noted::wrong_pointers(pool, (range.from, range.to), MAX_POINTERS).await?;
    if let Some(contract) = &range.contract {
        pointers.retain(|(_, entity)| select::is_of(entity, contract));
    }
    report.differences += i64::try_from(pointers.len()).unwrap_or(i64::MAX);
    report
        .shown
        .extend(pointers.iter().map(|(projection, entity)| Mismatch {
            block: "0x".to_owned(),
            height: range.to,
            table: "projection_current".to_owned(),
            row: format!("{projection} {entity}"),
            column: "version_id".to_owned(),
            expected: "the newest canonical version".to_owned(),
            stored: "another".to_owned(),
        }));
    report.shown.truncate(SHOWN);
    (report.later_versions, report.later_height) =
        noted::later_versions(pool, report.job, range.to).await?;
    Ok(pointers)
}

async fn conclude(
    pool: &PgPool,
    range: &Range,
    rules: &Value,
    pointers: &[EntityKey],
    report: &mut Report,
) -> Result<(), ReindexError> {
    let (_, _, faults) = noted::totals(pool, report.job).await?;
    let (state, result, ending) = if report.differences == 0 {
        ("compared", "nothing differs".to_owned(), Ending::Clean)
    } else if !range.applies {
        let result = format!("{} differences", report.differences);
        ("compared", result, Ending::Compared)
    } else if faults > 0 {
        let reason = format!(
            "{faults} payloads of the range are missing, damaged, or cut down to another follow set, so its rows cannot \
             all be made again. Have these blocks delivered again, or choose a range without them"
        );
        ("refused", reason.clone(), Ending::Refused { reason })
    } else {
        match swap::apply(pool, report.job, rules, pointers).await? {
            Swapped::Done {
                blocks: exchanged,
                digests,
                ..
            } => {
                report.ending = Ending::Applied { exchanged, digests };
                return Ok(());
            }
            Swapped::Refused(why) => {
                let reason = format!("{why}. Run it again");
                ("refused", reason.clone(), Ending::Refused { reason })
            }
        }
    };
    journal::end(pool, report.job, state, &result).await?;
    report.ending = ending;
    Ok(())
}
