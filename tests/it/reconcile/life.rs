//! The life of breaks and runs: races, killed runs, people, repetition.

use stxworx_indexer::store::reconcile::{Writing, events, run as runs};
use stxworx_reconciler::breaks::Action;
use stxworx_reconciler::engine::prune::{Bounds, prune};
use stxworx_reconciler::engine::{ActError, At, EngineError, Wanted, act, diff, reconcile, rerun};

use super::{Stage, map};
use crate::support::eventually;
use crate::support::run;

/// The first row of the platform.
const SPOIL: &str =
    "update projects set total_amount = total_amount + 1 where id = (select min(id) from projects)";
const REPAIR: &str =
    "update projects set total_amount = total_amount - 1 where id = (select min(id) from projects)";

async fn count(stage: &Stage, query: &str) -> i64 {
    stage.mirror.number(query).await
}

#[test]
fn a_row_that_changes_in_between_is_looked_at_anew() {
    run(async {
        let stage = Stage::new(41, 60).await;
        stage.sweep().await;
        for _ in 0..3 {
            stage.backend.db.sql(SPOIL).await;
            stage.incremental().await;
            let states: Vec<_> = stage.live().await.into_values().collect();
            assert_eq!(states, ["suspected"]);
        }
        stage.incremental().await;
        let states: Vec<_> = stage.live().await.into_values().collect();
        assert_eq!(states, ["open"]);
        stage.end().await;
    });
}

#[test]
fn a_difference_that_passes_is_dropped_and_its_history_stays() {
    run(async {
        let stage = Stage::new(42, 60).await;
        stage.sweep().await;
        stage.backend.db.sql(SPOIL).await;
        stage.incremental().await;
        stage.backend.db.sql(REPAIR).await;
        let report = stage.incremental().await;
        assert_eq!(report.changes.get("dropped"), Some(&1));
        assert_eq!(stage.live().await, map(&[]));
        assert_eq!(count(&stage, "select count(*) from break_event").await, 2);
        stage.end().await;
    });
}

#[test]
fn a_platform_that_is_away_or_vanishes_opens_and_heals_nothing() {
    run(async {
        let mut stage = Stage::new(43, 60).await;
        stage.backend.db.sql(SPOIL).await;
        stage.sweep().await;
        stage.sweep().await;
        let before = stage
            .mirror
            .text("select string_agg(body::text, '') from break")
            .await;
        let good = stage.settings.source.url.clone();

        stage.settings.source.url = good.replace("dbname", "x") + "&dbname=nowhere";
        let away = reconcile(&stage.mirror.pool, &stage.settings, &Wanted::Sweep).await;
        let away = away.expect_err("there is no such database");
        assert!(matches!(away, EngineError::Platform(_)), "{away}");

        // In the middle: a statement that takes longer than it may stands for a connection that breaks.
        stage.settings.source.url.clone_from(&good);
        let query = stage.settings.source.projects_query.clone();
        stage.settings.source.projects_query = format!("{query} where pg_sleep(0.05) is not null");
        stage.settings.source.statement_timeout = std::time::Duration::from_millis(40);
        let broken = reconcile(&stage.mirror.pool, &stage.settings, &Wanted::Sweep).await;
        assert!(
            matches!(broken, Err(EngineError::Platform(_))),
            "{broken:?}"
        );

        let failed = "select count(*) from reconcile_run where state = 'failed' and error like '%the platform%'";
        assert_eq!(count(&stage, failed).await, 2);
        let after = stage
            .mirror
            .text("select string_agg(body::text, '') from break")
            .await;
        assert_eq!(before, after);
        stage.end().await;
    });
}

#[test]
fn a_run_that_is_killed_is_harmless_and_the_next_one_says_so() {
    run(async {
        let mut stage = Stage::new(44, 60).await;
        stage.backend.db.sql(SPOIL).await;
        stage.sweep().await;
        let rows = "select (select count(*) from platform_row) + (select count(*) from break) + (select count(*) from break_event)";
        let before = count(&stage, rows).await;
        let query = stage.settings.source.projects_query.clone();
        stage.settings.source.projects_query = format!("{query} where pg_sleep(0.2) is not null");
        let (pool, settings) = (stage.mirror.pool.clone(), stage.settings.clone());
        let running =
            tokio::spawn(async move { reconcile(&pool, &settings, &Wanted::Sweep).await });
        eventually("a run", || async {
            match count(
                &stage,
                "select count(*) from reconcile_run where state = 'running'",
            )
            .await
            {
                1 => Ok(()),
                n => Err(n.to_string()),
            }
        })
        .await;
        // Meanwhile another process is refused, and changes nothing.
        let other = reconcile(&stage.mirror.pool, &stage.settings, &Wanted::Sweep).await;
        assert!(matches!(other, Err(EngineError::Busy)), "{other:?}");
        running.abort();
        assert!(running.await.is_err());
        assert_eq!(count(&stage, rows).await, before);
        stage.settings.source.projects_query = query;
        let report = eventually("the right to run", || async {
            let result = reconcile(&stage.mirror.pool, &stage.settings, &Wanted::Sweep).await;
            result.map_err(|e| e.to_string())
        })
        .await;
        assert!(report.broken > 0);
        let said = "select count(*) from reconcile_run where state = 'failed' and error like 'it was interrupted%'";
        assert_eq!(count(&stage, said).await, 1);
        stage.end().await;
    });
}

#[test]
fn people_decide_and_the_history_names_them() {
    run(async {
        let mut stage = Stage::new(45, 60).await;
        stage.backend.db.sql(SPOIL).await;
        stage.sweep().await;
        stage.sweep().await;
        let id = stage
            .mirror
            .text("select encode(id, 'hex') from break")
            .await
            .unwrap();
        let pool = stage.mirror.pool.clone();
        let refused = act(&pool, &id, "ann", &Action::Reopen).await;
        assert!(matches!(refused, Err(ActError::Refused(_))), "{refused:?}");
        let unknown = act(&pool, "ffffffff", "ann", &Action::Acknowledge).await;
        assert!(matches!(unknown, Err(ActError::Unknown(_))), "{unknown:?}");
        act(&pool, &id[..12], "ann", &Action::Acknowledge)
            .await
            .unwrap();
        stage.sweep().await;
        assert_eq!(
            stage.live().await.into_values().collect::<Vec<_>>(),
            ["acknowledged"]
        );
        let accept = Action::Accept {
            note: "a unit more is a unit less".to_owned(),
            until_s: u64::from(u32::MAX),
        };
        act(&pool, &id, "bob", &accept).await.unwrap();
        let report = stage.incremental().await;
        assert_eq!((report.broken, report.tolerated), (0, 1));
        // The same again changes nothing; another amount would be another matter, and so is the end of the time.
        stage
            .mirror
            .sql("update break set body = jsonb_set(body, '{how,until_s}', '1')")
            .await;
        let report = stage.incremental().await;
        assert_eq!(report.changes.get("reopened"), Some(&1), "{report:?}");
        let who = stage
            .mirror
            .text("select string_agg(who || ' ' || change, ', ' order by seq) from break_event")
            .await;
        assert_eq!(
            who.unwrap(),
            "reconciler suspected, reconciler opened, ann acknowledged, bob accepted, reconciler reopened"
        );
        stage.grow(1).await;
        stage.end().await;
    });
}

#[test]
fn a_changed_or_missing_line_of_the_history_is_found() {
    run(async {
        let stage = Stage::new(46, 60).await;
        for _ in 0..3 {
            stage.backend.db.sql(SPOIL).await;
            stage.sweep().await;
            stage.backend.db.sql(REPAIR).await;
            stage.sweep().await;
        }
        let pool = stage.mirror.pool.clone();
        let whole = events::verify(&pool).await.unwrap();
        assert_eq!((whole.lines, whole.fault), (6, None));
        for statement in [
            "update break_event set who = 'nobody'",
            "delete from break_event",
            "truncate break_event",
        ] {
            let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned()))
                .execute(&pool)
                .await;
            assert!(
                refused
                    .unwrap_err()
                    .to_string()
                    .contains("only appended to"),
                "{statement}"
            );
        }
        // The owner can: then it shows.
        let (lines, fault) = plain(
            &stage,
            "update break_event set who = 'nobody' where seq = 3",
        )
        .await;
        assert_eq!(
            (lines, fault.as_str()),
            (2, "line 3 is not what its hash says")
        );
        let (lines, fault) = plain(&stage, "delete from break_event where seq = 4").await;
        assert_eq!((lines, fault.as_str()), (3, "line 4 is missing"));
        let walk = events::verify(&pool).await.unwrap();
        assert_eq!(walk.fault, None);
        stage.end().await;
    });
}

/// What a walk says after a change by the table's owner, which is taken back.
async fn plain(stage: &Stage, change: &str) -> (i64, String) {
    stage
        .mirror
        .sql("alter table break_event disable trigger all")
        .await;
    stage
        .mirror
        .sql("create table kept as table break_event")
        .await;
    stage.mirror.sql(change).await;
    let walk = events::verify(&stage.mirror.pool).await.unwrap();
    stage
        .mirror
        .sql("delete from break_event; insert into break_event select * from kept; drop table kept")
        .await;
    stage
        .mirror
        .sql("alter table break_event enable trigger all")
        .await;
    (walk.lines, walk.fault.unwrap_or_default())
}

#[test]
fn a_run_again_says_the_same_byte_for_byte_even_on_a_fork_that_was_left() {
    run(async {
        let mut stage = Stage::new(47, 80).await;
        let mut made = Vec::new();
        for round in 0..8 {
            stage.backend.db.sql(format!(
                "update projects set total_amount = total_amount + {round} where on_chain_id % 7 = {round};
                 insert into projects (id, status) values ('x{round}', 'ACTIVE')"
            ))
            .await;
            made.push(if round % 2 == 0 {
                stage.sweep().await
            } else {
                stage.incremental().await
            });
            stage.grow(9).await;
        }
        let canonical = stage.mirror.text(
            "select string_agg('0x' || encode(b.index_block_hash, 'hex'), ' ') from canonical c join block b on b.id = c.block_id",
        );
        let canonical = canonical.await.unwrap();
        let left = made
            .iter()
            .filter(|r| !canonical.contains(&r.anchor.block.to_string()))
            .count();
        let kinds: Vec<_> = made.iter().map(|report| report.kind).collect();
        assert!(kinds.contains(&"incremental"), "{kinds:?}");
        for report in &made {
            let (again, same) = rerun(&stage.mirror.pool, report.run).await.unwrap();
            assert!(same, "run {} ({})", report.run, report.kind);
            assert_eq!(again.verdict_digest, report.verdict_digest);
            assert_eq!(again.considered, report.considered);
        }
        println!(
            "{left} of {} runs stood on blocks that were left",
            made.len()
        );
        let found = diff(&stage.mirror.pool, made[0].run, made[2].run)
            .await
            .unwrap();
        assert!(
            found
                .iter()
                .any(|d| d.subject_key == "x2" && d.first.is_none()),
            "{found:?}"
        );
        let none = diff(&stage.mirror.pool, made[2].run, made[2].run)
            .await
            .unwrap();
        assert_eq!(none, []);

        // An image that somebody changed shows.
        stage
            .mirror
            .sql("alter table platform_row disable trigger all")
            .await;
        stage
            .mirror
            .sql("update platform_row set cells = jsonb_set(cells, '{total}', '\"1\"')")
            .await;
        let (_, same) = rerun(&stage.mirror.pool, made[0].run).await.unwrap();
        assert!(!same);
        stage.end().await;
    });
}

#[test]
fn a_look_at_a_past_block_moves_nothing() {
    run(async {
        let mut stage = Stage::new(48, 80).await;
        stage.sweep().await;
        let height = stage
            .mirror
            .number("select max(height) from canonical")
            .await;
        stage.grow(20).await;
        stage.backend.follow(&stage.mirror).await;
        let at = At::Height(u32::try_from(height).unwrap());
        let report = stage.run(Wanted::At(at)).await;
        assert!(!report.applies && report.broken > 0, "{report:?}");
        assert_eq!(count(&stage, "select count(*) from break").await, 0);
        let refused = rerun(&stage.mirror.pool, report.run).await;
        assert!(
            matches!(refused, Err(EngineError::NotRepeatable { .. })),
            "{refused:?}"
        );
        let nowhere = Wanted::At(At::Height(999_999));
        let refused = reconcile(&stage.mirror.pool, &stage.settings, &nowhere).await;
        assert!(
            matches!(refused, Err(EngineError::NoBlock(_))),
            "{refused:?}"
        );
        stage.end().await;
    });
}

#[test]
fn too_many_breaks_at_once_are_a_note_and_no_breaks() {
    run(async {
        let mut stage = Stage::new(49, 150).await;
        stage.settings.open_limit = 3;
        stage
            .backend
            .db
            .sql("update projects set total_amount = total_amount + 1")
            .await;
        stage.sweep().await;
        let report = stage.sweep().await;
        let note = report.notes.iter().find(|n| n["kind"] == "too_many");
        assert_eq!(note.unwrap()["rule"], "P2", "{report:?}");
        assert_eq!(stage.breaks(&["open"]).await, map(&[]));
        assert_eq!(
            count(
                &stage,
                "select count(*) from break_event where change = 'opened'"
            )
            .await,
            0
        );
        stage.settings.open_limit = 10_000;
        let report = stage.sweep().await;
        assert!(report.changes["opened"] > 3, "{report:?}");
        stage.end().await;
    });
}

/// What a service's role may do with what must stay.
#[test]
fn the_writer_adds_to_the_history_and_changes_nothing_of_it() {
    run(async {
        let stage = Stage::new(50, 60).await;
        stage.backend.db.sql(SPOIL).await;
        let url = format!("{}&options=-c%20role=stxworx_writer", stage.mirror.url);
        let writer =
            stxworx_indexer::store::pool(&url, stxworx_indexer::store::Access::Write, 4).unwrap();
        for _ in 0..2 {
            let done = reconcile(&writer, &stage.settings, &Wanted::Sweep).await;
            assert!(done.is_ok(), "{done:?}");
        }
        stage.backend.db.sql(REPAIR).await;
        reconcile(&writer, &stage.settings, &Wanted::Incremental)
            .await
            .unwrap();
        for (statement, says) in [
            ("update break_event set who = who", "permission denied"),
            ("delete from break_event", "permission denied"),
            ("truncate break_event", "permission denied"),
            ("update platform_row set cells = cells", "permission denied"),
            // It may remove what is old, and what is not is guarded.
            ("delete from platform_row", "is only appended to"),
            ("delete from reconcile_run", "is only appended to"),
        ] {
            let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned()))
                .execute(&writer)
                .await;
            let error = refused.expect_err(statement).to_string();
            assert!(error.contains(says), "{statement}: {error}");
        }
        prune(&writer, 1, Bounds::default()).await.unwrap();
        let last = runs::last_good(&writer, None).await.unwrap();
        assert!(last.is_some());
        let writing = Writing::begin(&writer).await.unwrap();
        assert!(writing.is_some());
        drop(writing);
        writer.close().await;
        stage.end().await;
    });
}
