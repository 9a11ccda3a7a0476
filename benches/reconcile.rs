//! How fast the platform is compared with the mirror. Prints a table in Markdown.
//!
//! `cargo bench --bench reconcile -- [NUMBER…]`: numbers of projects, by default 10000 and 100000. Both sides are made
//! by the database, without a chain: one block, and a platform that agrees with it. Reading both sides once, in the same
//! order and without judging, is what a sweep is measured against.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, PgPool};
use stxworx::embedded::{EmbeddedPostgres, Options};
use stxworx_indexer::project::market::projects::{Milestone, MilestoneStatus};
use stxworx_indexer::store::read::Snapshot;
use stxworx_indexer::store::read::market::{ProjectState, ProjectStatus, Units};
use stxworx_indexer::store::reconcile::mirror::{self, Standing};
use stxworx_indexer::store::{self, Access, migrate};
use stxworx_reconciler::breaks::Policy;
use stxworx_reconciler::engine::{RunReport, Settings, Wanted, reconcile};
use stxworx_reconciler::platform::postgres::{Entity, Filter, Platform, PlatformSource};

type Failure = Box<dyn std::error::Error>;

const CONTRACT: &str = "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM.freelance-logic";
const CLIENT: &str = "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM";
const FREELANCER: &str = "ST2CY5V39NHDPWSXMW9QDT3HC3GD6Q6XX4CFRK9AG";

fn main() -> Result<(), Failure> {
    let numbers: Vec<u32> = std::env::args()
        .skip(1)
        .filter_map(|a| a.parse().ok())
        .collect();
    let numbers = if numbers.is_empty() {
        vec![10_000, 100_000]
    } else {
        numbers
    };
    let runtime = tokio::runtime::Runtime::new()?;
    println!(
        "| projects | both sides read once | first sweep (keeps every row) | sweep | ratio | 0.1 % changed, by time | by hash | peak memory |\n\
         |---|---|---|---|---|---|---|---|"
    );
    for number in numbers {
        runtime.block_on(measure(number))?;
    }
    Ok(())
}

fn project() -> ProjectState {
    let milestone = |m, amount| Milestone {
        m,
        amount: Units(amount),
        status: MilestoneStatus::Funded,
        ..Milestone::default()
    };
    ProjectState {
        contract: CONTRACT.to_owned(),
        client: CLIENT.to_owned(),
        freelancer: FREELANCER.to_owned(),
        asset: "STX".to_owned(),
        status: ProjectStatus::Active,
        total: Units(3_000_000_000),
        fee_bps: 500,
        milestones: vec![
            milestone(1, 1_000_000_000),
            milestone(2, 1_250_000_000),
            milestone(3, 750_000_000),
        ],
        ..ProjectState::default()
    }
}

async fn sql(pool: &PgPool, statements: String) -> Result<(), Failure> {
    sqlx::raw_sql(AssertSqlSafe(statements))
        .execute(pool)
        .await?;
    Ok(())
}

async fn fill(mirror: &PgPool, platform: &PgPool, number: u32) -> Result<(), Failure> {
    let state = serde_json::to_string(&project())?;
    sql(
        mirror,
        format!(
            "insert into projection values (10, 'projects', 1), (4, 'event_chain', 1) on conflict do nothing;
             insert into block (id, index_block_hash, parent, height, block_hash, burn_block_hash, burn_block_height,
                 burn_block_time, miner_txid, listed_transactions, listed_events, rows_digest, digest, inbox_id)
             select 1, h, h, 1, h, h, 1, 1, h, 0, 0, h, h, 0 from (select sha256('one') as h) x;
             insert into canonical values (1, 1);
             insert into mirror (network, follow, tip_block_id) values ('devnet', '{{}}', 1);
             insert into projection_version (id, projection, block_id, height, position, entity, state)
                 select n, 10, 1, 1, n, '{CONTRACT}/' || n, '{state}'::jsonb || jsonb_build_object('id', n)
                 from generate_series(1, {number}) n;
             insert into projection_version values (0, 4, 1, 1, 0, '{CONTRACT}', '{{}}');
             insert into projection_current select projection, entity, id from projection_version;
             analyze;"
        ),
    )
    .await?;
    sql(
        platform,
        format!(
            "create table projects (id text primary key, on_chain_id bigint, tx_id text, client_address text,
                 freelancer_address text, total_amount bigint, token_type text, status text,
                 milestone_1_amount bigint, milestone_1_funded boolean, milestone_1_complete boolean, milestone_1_released boolean,
                 milestone_2_amount bigint, milestone_2_funded boolean, milestone_2_complete boolean, milestone_2_released boolean,
                 milestone_3_amount bigint, milestone_3_funded boolean, milestone_3_complete boolean, milestone_3_released boolean,
                 milestone_4_amount bigint, milestone_4_funded boolean, milestone_4_complete boolean, milestone_4_released boolean,
                 updated_at timestamptz);
             insert into projects select gen_random_uuid(), n, null, '{CLIENT}', '{FREELANCER}', 3000000000, 'STX', 'ACTIVE',
                 1000000000, true, false, false, 1250000000, true, false, false, 750000000, true, false, false,
                 null, null, null, null, now() - n * interval '1 minute' from generate_series(1, {number}) n;
             create index on projects (updated_at); create index on projects (on_chain_id); analyze;"
        ),
    )
    .await
}

fn settings(url: String, query: &str) -> Settings {
    Settings {
        source: PlatformSource {
            url,
            projects_query: query.to_owned(),
            statement_timeout: Duration::from_secs(600),
            ..PlatformSource::default()
        },
        contract: None,
        assets: BTreeMap::new(),
        finality_burn_blocks: 6,
        policy: Policy::default(),
        earned_asset: "STX".to_owned(),
        node: None,
        open_limit: 200,
        incremental_limit: 10_000,
    }
}

/// Pages of both sides, and nothing done with them.
async fn read_once(pool: &PgPool, source: &PlatformSource) -> Result<Duration, Failure> {
    let started = Instant::now();
    let mut snapshot = Snapshot::open(pool).await?;
    let at = Standing {
        height: 1,
        canonical_to: 1,
        fork: Vec::new(),
    };
    let mut after = String::new();
    loop {
        let (rows, more) =
            mirror::projects(snapshot.connection(), CONTRACT, &at, &after, 1_000).await?;
        if let Some(last) = rows.last() {
            after.clone_from(&last.entity);
        }
        if !more {
            break;
        }
    }
    let mut platform = Platform::open(source).await?;
    platform.read(Entity::Projects, &Filter::All).await?;
    while !platform.page().await?.is_empty() {}
    platform.close().await;
    Ok(started.elapsed())
}

async fn timed(
    pool: &PgPool,
    settings: &Settings,
    wanted: Wanted,
) -> Result<(Duration, RunReport), Failure> {
    let started = Instant::now();
    let report = reconcile(pool, settings, &wanted).await?;
    Ok((started.elapsed(), report))
}

/// One in a thousand rows says another thing.
async fn change(platform: &PgPool) -> Result<(), Failure> {
    let statement = "update projects set status = 'UNDER_REVIEW', updated_at = now() where on_chain_id % 1000 = 7";
    sql(platform, statement.to_owned()).await
}

fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024)
}

async fn measure(number: u32) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let server = EmbeddedPostgres::start(Options::new(folder.path().join("pg"), "bench")).await?;
    let mirror = store::pool(&server.url(), Access::Write, 6)?;
    migrate::migrate(&mirror).await?;
    sql(&mirror, "create database platform".to_owned()).await?;
    let url = server.url_of("platform");
    let platform = store::pool(&url, Access::Write, 2)?;
    fill(&mirror, &platform, number).await?;

    let told = settings(url.clone(), "");
    let read = read_once(&mirror, &told.source).await?;
    let (first, report) = timed(&mirror, &told, Wanted::Sweep).await?;
    let equal = report.matched == report.considered && report.canary == "found";
    if !equal {
        return Err(format!("both sides should agree: {report:?}").into());
    }
    let read = read.min(read_once(&mirror, &told.source).await?);
    let (sweep, _) = timed(&mirror, &told, Wanted::Sweep).await?;
    change(&platform).await?;
    let (by_time, report) = timed(&mirror, &told, Wanted::Incremental).await?;
    let expected = u64::from(number / 1_000);
    if report.kind != "incremental" || report.tolerated != expected {
        return Err(format!("{expected} projects changed: {report:?}").into());
    }
    // The same without a time in the rows: another query, so a sweep first.
    let query = "select id as key, on_chain_id, client_address as client, freelancer_address as freelancer,
        token_type as asset, total_amount as total, status, tx_id, milestone_1_amount, milestone_1_funded,
        milestone_1_complete, milestone_1_released, milestone_2_amount, milestone_2_funded, milestone_2_complete,
        milestone_2_released, milestone_3_amount, milestone_3_funded, milestone_3_complete, milestone_3_released
        from projects";
    let blind = settings(url, query);
    timed(&mirror, &blind, Wanted::Sweep).await?;
    let (by_hash, _) = timed(&mirror, &blind, Wanted::Incremental).await?;
    let ms = |time: Duration| format!("{} ms", time.as_millis());
    println!(
        "| {number} | {} | {} | {} | {:.2} | {} | {} | {} MiB |",
        ms(read),
        ms(first),
        ms(sweep),
        sweep.as_secs_f64() / read.as_secs_f64(),
        ms(by_time),
        ms(by_hash),
        peak_mib().unwrap_or(0),
    );
    mirror.close().await;
    platform.close().await;
    server.stop().await?;
    Ok(())
}
