//! No list reads a whole table: plans on a marketplace large enough for the planner to care.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use super::super::Bed;
use super::fair;
use super::seed::{escrow, who};
use crate::project::market::testing::contract;

/// So many more projects, users and fees, of whom each changed a few times, over as many blocks as there are.
async fn crowd(bed: &Bed) {
    bed.run(format!(
        "insert into block select 1000 + n, sha256(('c' || n)::bytea), sha256(('c' || n - 1)::bytea), 6 + n, block_hash,
                 block_time + n * 60, burn_block_hash, 108 + n / 10, burn_block_time, consensus_hash, burn_view, miner_txid,
                 tenure_height, 0, 0, rows_digest, sha256(('d' || n)::bytea), 0, seen_at
             from block, generate_series(1, 3000) n where id = 6;
         insert into projection_version
             select 1000000 + n * 4 + m, 10, 1000 + n, 6 + n, m, '{escrow}/' || (100 + n / 2),
                    v.state || jsonb_build_object('id', 100 + n / 2, 'opened_height', 6 + n - n % 2, 'total', (n * 7919 % 5000)::text)
             from projection_version v, generate_series(1, 3000) n, generate_series(1, 2) m
             where v.projection = 10 and v.entity = '{escrow}/13';
         insert into projection_version
             select 2000000 + n, 12, 1000 + n, 6 + n, n, '{data}/' || 'U' || n % 700, v.state
             from projection_version v, generate_series(1, 3000) n
             where v.projection = 12 and v.height = 5 and v.position = (select max(position) from projection_version where projection = 12);
         insert into projection_version
             select 3000000 + n, 17, 1000 + n, 6 + n, n, v.entity, v.state
             from projection_version v, generate_series(1, 3000) n where v.projection = 17 and v.height = 4;
         insert into projection_version
             select 4000000 + n, 3, 1000 + n % 3000, 6 + n % 3000, n, 'T' || n % 9000, '{{\"n\": 1}}' from generate_series(1, 30000) n;
         insert into canonical select height, id from block where id > 1000;
         insert into projection_current
             select distinct on (v.projection, v.entity) v.projection, v.entity, v.id
             from projection_version v join canonical c on c.height = v.height and c.block_id = v.block_id
             order by v.projection, v.entity, v.height desc, v.position desc
             on conflict do nothing;
         update mirror set tip_block_id = 4000;
         analyze;",
        escrow = escrow(),
        data = contract("freelance-data"),
    ))
    .await;
}

/// What the statements of a request read, table by table, without an index: rows.
async fn read_in_order(bed: &Bed, path: &str) -> Vec<(String, i64)> {
    counted(bed, async || {
        let reply = bed.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
    })
    .await
}

async fn counted(bed: &Bed, act: impl AsyncFnOnce()) -> Vec<(String, i64)> {
    let counts = "select relname::text, coalesce(seq_tup_read, 0) from pg_stat_user_tables
        where relname in ('projection_version', 'projection_current', 'event', 'transaction', 'block') order by 1";
    let mut admin = PgConnection::connect_with(&bed.options()).await.unwrap();
    sqlx::raw_sql("select pg_stat_force_next_flush()")
        .execute(&mut admin)
        .await
        .unwrap();
    let read = async |admin: &mut PgConnection| -> Vec<(String, i64)> {
        let rows = sqlx::raw_sql(AssertSqlSafe(counts.to_owned()))
            .fetch_all(admin)
            .await
            .unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    };
    let before = read(&mut admin).await;
    act().await;
    bed.flush_statistics().await;
    sqlx::raw_sql("select pg_stat_clear_snapshot()")
        .execute(&mut admin)
        .await
        .unwrap();
    let after = read(&mut admin).await;
    before
        .into_iter()
        .zip(after)
        .map(|((name, before), (_, after))| (name, after - before))
        .filter(|(_, rows)| *rows > 0)
        .collect()
}

#[tokio::test]
async fn no_list_reads_a_whole_table() {
    let Some(bed) = fair("market_plans").await else {
        return;
    };
    crowd(&bed).await;
    // A statement that does read a whole table is seen.
    let whole = counted(&bed, async || {
        bed.read("select count(*) from projection_version where state ->> 'none' = 'x'")
            .await;
    })
    .await;
    assert!(
        whole
            .iter()
            .any(|(name, rows)| name == "projection_version" && *rows > 30_000),
        "{whole:?}"
    );
    let (one, user) = (who(1), who(2));
    for path in [
        "/v1/projects".to_owned(),
        "/v1/projects?order=desc".into(),
        "/v1/projects?sort=opened".into(),
        "/v1/projects?sort=opened&order=asc&status=completed".into(),
        "/v1/projects?sort=updated".into(),
        "/v1/projects?sort=updated&order=asc".into(),
        "/v1/projects?sort=total".into(),
        "/v1/projects?sort=total&min_total=100&max_total=200".into(),
        "/v1/projects?opened_from_height=2900".into(),
        format!("/v1/projects?participant={user}"),
        format!("/v1/projects?client={one}&sort=total"),
        "/v1/projects?at_time=1700000600".into(),
        "/v1/projects?min_finality=burn_5".into(),
        "/v1/projects/1/milestones".into(),
        "/v1/disputes".into(),
        "/v1/settlements".into(),
        "/v1/profiles".into(),
        "/v1/profiles?handle=adam".into(),
        format!("/v1/profiles/{user}"),
        "/v1/treasury/fees".into(),
        format!("/v1/badges/{user}/eligibility"),
        // Of a day of two. Blocks are so few here that reading all of them may be the best plan.
        "/v1/stats/closed?from=2023-11-14&to=2023-11-14".into(),
    ] {
        let read = read_in_order(&bed, &path).await;
        let whole: Vec<_> = read
            .iter()
            .filter(|(name, _)| {
                name == "projection_version" || name == "block" && !path.contains("/stats/")
            })
            .collect();
        assert!(whole.is_empty(), "{path} reads without an index: {whole:?}");
    }
    bed.finish().await;
}
