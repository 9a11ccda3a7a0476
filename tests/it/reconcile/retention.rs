//! What old runs saw is removed, in bounded steps, and what reruns and open breaks need is not.

use stxworx_indexer::error_chain;
use stxworx_reconciler::engine::prune::{Bounds, Pruned, prune};
use stxworx_reconciler::engine::rerun;

use super::Stage;
use crate::support::run;

const DAYS: u32 = 30;

async fn rows(stage: &Stage, which: &str) -> i64 {
    let query = format!("select count(*) from platform_row where {which}");
    stage.mirror.number(&query).await
}

async fn refused(stage: &Stage, run: i64) -> String {
    match rerun(&stage.mirror.pool, run).await {
        Ok(_) => panic!("run {run} was carried out again"),
        Err(error) => error_chain(&error).to_string(),
    }
}

/// Until a pass finds nothing more.
async fn all(stage: &Stage, bounds: Bounds) -> (Pruned, u32) {
    let (mut sum, mut passes) = (Pruned::default(), 0);
    loop {
        let pruned = prune(&stage.mirror.pool, DAYS, bounds).await.unwrap();
        passes += 1;
        sum.rows += pruned.rows;
        sum.emptied += pruned.emptied;
        sum.runs += pruned.runs;
        if !pruned.more {
            return (sum, passes);
        }
    }
}

const TOUCH: &str = "update projects set description = coalesce(description, '') || 'x', total_amount = total_amount";

#[test]
fn what_no_rerun_and_no_open_break_needs_is_removed() {
    run(async {
        let mut stage = Stage::new(38, 60).await;
        // The description is a part of the row here, so that every run sees other rows.
        let query = stage
            .settings
            .source
            .projects_query
            .replace("select id as key", "select description, id as key");
        stage.settings.source.projects_query = query;
        let mut runs = Vec::new();
        for _ in 0..6 {
            stage.backend.db.sql(TOUCH).await;
            runs.push(stage.sweep().await.run);
        }
        // One row is wrong, and its break stays open; another run again.
        let wrong = "update projects set total_amount = total_amount + 1 where id = (select min(id) from projects)";
        stage.backend.db.sql(wrong).await;
        for _ in 0..3 {
            stage.backend.db.sql(TOUCH).await;
            runs.push(stage.sweep().await.run);
        }
        for _ in 0..2 {
            runs.push(stage.sweep().await.run);
        }
        assert_eq!(stage.live().await.len(), 1);
        let number = stage.backend.db.text("select min(on_chain_id)::text from projects where id = (select min(id) from projects)").await.unwrap();
        let (of_break, all_of) = (
            format!("entity = 'projects' and place = {number}"),
            "entity = 'projects'",
        );
        let (kept_before, before) = (rows(&stage, &of_break).await, rows(&stage, all_of).await);

        // Nothing is old enough.
        let none = prune(&stage.mirror.pool, DAYS, Bounds::default())
            .await
            .unwrap();
        assert_eq!(none, Pruned::default());
        let aged = runs[7];
        stage
            .mirror
            .sql(format!("update reconcile_run set started_at = started_at - interval '40 days', finished_at = finished_at - interval '40 days' where id < {aged}"))
            .await;
        let bounds = Bounds {
            batch: 5,
            batches: 2,
        };
        let (pruned, passes) = all(&stage, bounds).await;
        assert!(passes > 1, "{pruned:?}");
        assert_eq!(
            rows(&stage, &of_break).await,
            kept_before,
            "the evidence stays"
        );
        let after = rows(&stage, all_of).await;
        assert_eq!(before - after, i64::try_from(pruned.rows).unwrap());
        assert!(after < before / 2, "{before} rows before, {after} after");
        let gone = format!("to_run <= {aged} and place <> {number} and entity = 'projects'");
        assert_eq!(rows(&stage, &gone).await, 0);
        // Runs of the window say the same again; older ones say that they cannot.
        for run in &runs[7..] {
            let (_, same) = rerun(&stage.mirror.pool, *run).await.unwrap();
            assert!(same, "run {run}");
        }
        for run in &runs[..7] {
            let why = refused(&stage, *run).await;
            assert!(why.contains("platform.keep_days"), "{why}");
        }
        // Again: nothing is left to do. And reconciling goes on.
        let again = prune(&stage.mirror.pool, DAYS, bounds).await.unwrap();
        assert_eq!((again.rows, again.emptied), (0, 0));
        stage.incremental().await;
        stage.sweep().await;
        stage.end().await;
    });
}

#[test]
fn a_filled_database_is_emptied_in_bounded_steps_and_its_guards_hold() {
    run(async {
        let stage = Stage::new(39, 40).await;
        let first = stage.sweep().await.run;
        let fill = "
            insert into reconcile_run (kind, applies, started_at, finished_at, state, anchor, verdict_digest)
                select 'incremental', true, now() - interval '90 days' + n * interval '1 minute', now() - interval '80 days',
                       'done', '{}', sha256('x')
                from generate_series(1, 3000) n;
            insert into platform_row (entity, place, key, copy, hash, cells, from_run, to_run)
                select 'projects', 700000 + n % 97, 'old' || n, 0, sha256('x'), '{}', r.id, r.id + 1
                from generate_series(1, 30000) n
                cross join lateral (select min(id) + n % 2900 as id from reconcile_run where started_at < now() - interval '70 days') r;";
        // Runs are numbered in the order of time: the first one is as old as those that follow it here.
        let aged = format!(
            "update reconcile_run set started_at = started_at - interval '100 days' where id = {first}"
        );
        stage.mirror.sql(aged).await;
        stage.mirror.sql(fill).await;
        let last = stage.sweep().await.run;
        let runs = stage
            .mirror
            .number("select count(*) from reconcile_run")
            .await;
        let standing = rows(&stage, "to_run is null").await;
        let bounds = Bounds {
            batch: 1_000,
            batches: 4,
        };
        let started = std::time::Instant::now();
        let first_pass = prune(&stage.mirror.pool, DAYS, bounds).await.unwrap();
        assert_eq!(
            (first_pass.rows, first_pass.more),
            (4_000, true),
            "a pass is bounded"
        );
        let (rest, passes) = all(&stage, bounds).await;
        println!(
            "30000 rows and 3000 runs in {} passes, {:?}",
            passes + 1,
            started.elapsed()
        );
        assert_eq!(first_pass.rows + rest.rows, 30_000);
        assert_eq!(first_pass.runs + rest.runs, 3_000);
        assert_eq!(
            stage
                .mirror
                .number("select count(*) from reconcile_run")
                .await,
            runs - 3_000
        );
        assert_eq!(rows(&stage, "to_run is null").await, standing);
        let (_, same) = rerun(&stage.mirror.pool, last).await.unwrap();
        assert!(same);
        // By hand, what stands and what can be carried out again cannot be removed, by nobody.
        for statement in [
            "delete from platform_row where to_run is null".to_owned(),
            format!("delete from reconcile_run where id = {last}"),
            "truncate platform_row".to_owned(),
            "truncate reconcile_run cascade".to_owned(),
        ] {
            let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(statement.clone()))
                .execute(&stage.mirror.pool)
                .await;
            assert!(refused.is_err(), "{statement}");
        }
        stage.end().await;
    });
}
