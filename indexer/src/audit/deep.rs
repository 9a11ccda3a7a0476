//! Beyond chains of events: states, balances and whole blocks against a node.

use std::collections::BTreeMap;

use sqlx::PgPool;

use super::node::NodeReader;
use super::{AuditError, replay, states};
use crate::model::FollowSet;
use crate::source::http::FetchError;
use crate::source::node::NodeSource;
use crate::store::evidence::{self, AuditBlock, AuditResult, AuditVerdict, EntityState};
use crate::store::load;

/// How much is compared.
#[derive(Debug, Clone, Copy)]
pub struct DeepOptions {
    /// Every entity and every block with mirrored transactions, rather than a sample of what changed.
    pub all: bool,
    /// Every block between these heights, both included, instead of a sample.
    pub range: Option<(u32, u32)>,
    /// Entities in a sample.
    pub entities: u32,
    /// Blocks in a sample.
    pub blocks: u32,
}

impl Default for DeepOptions {
    fn default() -> Self {
        Self {
            all: false,
            range: None,
            entities: 50,
            blocks: 10,
        }
    }
}

/// What was compared, and what did not agree.
#[derive(Debug, Default, serde::Serialize)]
pub struct DeepReport {
    /// How many of each kind, by verdict.
    pub compared: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
    /// Results that are no agreement, the first thousand.
    pub findings: Vec<AuditResult>,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

/// Results that a report holds at most.
const FINDINGS: usize = 1_000;
/// Entities and blocks that are read at once.
const PAGE: u32 = 200;

impl DeepReport {
    /// Does anything differ?
    pub fn differs(&self) -> bool {
        let of =
            |verdicts: &BTreeMap<&str, u64>| verdicts.get(AuditVerdict::Differs.as_str()).copied();
        self.compared.values().any(|v| of(v).unwrap_or(0) > 0)
    }

    async fn take(&mut self, pool: &PgPool, result: AuditResult) -> Result<(), AuditError> {
        evidence::store(pool, &result).await?;
        let verdicts = self.compared.entry(result.subject_kind).or_default();
        *verdicts.entry(result.verdict.as_str()).or_default() += 1;
        if result.verdict != AuditVerdict::Agrees && self.findings.len() < FINDINGS {
            self.findings.push(result);
        }
        Ok(())
    }
}

/// Compares states and balances with the contracts' own, and blocks with their replay; results are stored. Without a
/// source blocks are left out.
///
/// # Errors
/// When mirror or node cannot be read; what differs is no error but in the report.
pub async fn deep(
    pool: &PgPool,
    node: &NodeReader,
    source: Option<&NodeSource>,
    options: &DeepOptions,
) -> Result<DeepReport, AuditError> {
    let mut report = DeepReport::default();
    let Some(follow) = load::follow_set(pool).await? else {
        return Ok(report);
    };
    all_states(pool, node, options, &mut report).await?;
    match source {
        None => report.notes.push(
            "blocks were not replayed: set connection_options.auth_token in the node and node.auth_token here"
                .to_owned(),
        ),
        Some(source) => match all_blocks(pool, source, &follow, options, &mut report).await {
            // A node that replays nothing for us can still be asked for all else.
            Err(AuditError::Source(error @ FetchError::Unfit { .. })) => {
                report.notes.push(format!("blocks were not replayed: {error}"));
            }
            other => other?,
        },
    }
    Ok(report)
}

async fn all_states(
    pool: &PgPool,
    node: &NodeReader,
    options: &DeepOptions,
    report: &mut DeepReport,
) -> Result<(), AuditError> {
    let names = states::PROJECTIONS.map(str::to_owned);
    if !options.all {
        let changed = evidence::changed_entities(pool, &names, options.entities).await?;
        return some_states(pool, node, &changed, report).await;
    }
    let mut after = (String::new(), String::new());
    loop {
        let place = (after.0.as_str(), after.1.as_str());
        let page = evidence::entities_after(pool, &names, place, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = (last.projection.clone(), last.entity.clone());
        some_states(pool, node, &page, report).await?;
    }
}

async fn some_states(
    pool: &PgPool,
    node: &NodeReader,
    entities: &[EntityState],
    report: &mut DeepReport,
) -> Result<(), AuditError> {
    for entity in entities {
        for result in states::judge(node, entity).await? {
            report.take(pool, result).await?;
        }
    }
    Ok(())
}

async fn all_blocks(
    pool: &PgPool,
    source: &NodeSource,
    follow: &FollowSet,
    options: &DeepOptions,
    report: &mut DeepReport,
) -> Result<(), AuditError> {
    let (from, to) = match options.range {
        Some(range) => range,
        None if options.all => (1, u32::MAX),
        None => {
            let sample = evidence::unaudited_blocks(pool, options.blocks).await?;
            return some_blocks(pool, source, follow, &sample, report).await;
        }
    };
    let touching = options.range.is_none();
    let mut next = from;
    loop {
        let page = evidence::blocks_between(pool, next, to, touching, PAGE).await?;
        some_blocks(pool, source, follow, &page, report).await?;
        match page
            .last()
            .and_then(|last| last.block.height.checked_add(1))
        {
            Some(above) if above <= to => next = above,
            _ => return Ok(()),
        }
    }
}

async fn some_blocks(
    pool: &PgPool,
    source: &NodeSource,
    follow: &FollowSet,
    blocks: &[AuditBlock],
    report: &mut DeepReport,
) -> Result<(), AuditError> {
    for block in blocks {
        let result = replay::audit_block(pool, source, follow, *block).await?;
        report.take(pool, result).await?;
    }
    Ok(())
}
