//! A range is replayed beside the mirror, compared, swapped and put back, while the mirror is followed.

use sqlx::{Connection as _, PgConnection};
use stxworx::workload::Block;
use stxworx_indexer::reindex::{self, Ending, Options, ReindexError, Report};
use stxworx_indexer::store::reindex::swap::Swapped;
use stxworx_indexer::store::{self, Access};
use tokio_util::sync::CancellationToken;

use crate::support::app::{App, config};
use crate::support::db::TestDb;
use crate::support::eventually;
use crate::support::mirror::{assert_verifies, fingerprint, settled, tip};
use crate::support::run;
use crate::tamper::{
    block_cases, event_cases, flipped, mirrored, projection_cases, transaction_cases,
};
use crate::tools::{Daemon, SmallChain, deliver, stderr, stdout, stxworx, stxworx_on, trade};

fn options(from: u32, to: u32, apply: bool) -> Options {
    Options {
        from,
        to,
        contract: None,
        apply,
    }
}

async fn try_run(db: &TestDb, options: &Options) -> Result<Report, ReindexError> {
    reindex::run(&db.pool, options, &CancellationToken::new(), &mut |_| {}).await
}

async fn compare(db: &TestDb, from: u32, to: u32) -> Report {
    try_run(db, &options(from, to, false)).await.unwrap()
}

async fn apply(db: &TestDb, from: u32, to: u32) -> Report {
    try_run(db, &options(from, to, true)).await.unwrap()
}

fn shows(report: &Report, table: &str, column: &str) -> bool {
    let mut shown = report.shown.iter();
    shown.any(|m| m.table == table && m.column == column)
}

async fn assert_undone(db: &TestDb) {
    let undone = reindex::undo(&db.pool).await.unwrap();
    assert!(matches!(undone, Swapped::Done { .. }), "{undone:?}");
}

/// Everything that the tables hold, local numbers included.
async fn contents(db: &TestDb) -> String {
    db.text(
        "select concat_ws(E'\\n',
             (select string_agg(b::text, E'\\n' order by id) from block b),
             (select string_agg(t::text, E'\\n' order by block_id, tx_index) from transaction t),
             (select string_agg(e::text, E'\\n' order by block_id, tx_index, ordinal) from event e),
             (select string_agg(v::text, E'\\n' order by id) from projection_version v),
             (select string_agg(p::text, E'\\n' order by projection, entity) from projection_current p))",
    )
    .await
    .unwrap()
}

#[test]
fn a_sound_range_has_no_difference_and_a_swap_of_nothing_changes_nothing() {
    run(async {
        let (db, _) = mirrored().await;
        let before = contents(&db).await;
        let report = compare(&db, 0, 4).await;
        assert_eq!(report.ending, Ending::Clean, "{report:?}");
        assert_eq!((report.blocks, report.differences), (7, 0));
        let rows = db
            .number(
                "select (select count(*) from block) + (select count(*) from transaction)
                     + (select count(*) from event) + (select count(*) from projection_version)",
            )
            .await;
        assert_eq!(report.rows, rows);
        assert_eq!(apply(&db, 0, 4).await.ending, Ending::Clean);
        assert_eq!(contents(&db).await, before);
        db.drop().await;
    });
}

#[test]
fn every_kind_of_wrong_cell_is_shown_repaired_put_back_and_repaired_again() {
    run(async {
        let (db, _) = mirrored().await;
        let right = contents(&db).await;
        let cases = [
            block_cases(),
            transaction_cases(),
            event_cases(),
            projection_cases(),
        ];
        // A block that says another height is found in the range of that height.
        let cases = cases.iter().flatten();
        for case in cases {
            db.sql(format!("drop table if exists kept; {}", case.change))
                .await;
            let wrong = contents(&db).await;
            assert_ne!(wrong, right, "{}", case.change);
            let dry = compare(&db, 1, 1).await;
            assert_eq!(dry.ending, Ending::Compared, "{}", case.change);
            assert!(
                shows(&dry, case.table, case.column),
                "{}\n{dry:#?}",
                case.change
            );
            assert_eq!(contents(&db).await, wrong, "a rehearsal changes nothing");
            for _ in 0..2 {
                let done = apply(&db, 1, 1).await;
                assert!(matches!(done.ending, Ending::Applied { .. }), "{done:?}");
                assert_eq!(contents(&db).await, right, "{}", case.change);
                assert_undone(&db).await;
                assert_eq!(contents(&db).await, wrong, "{}", case.change);
            }
            apply(&db, 1, 1).await;
            assert_eq!(contents(&db).await, right, "{}", case.change);
        }
        assert_verifies(&db).await;
        db.drop().await;
    });
}

#[test]
fn rows_too_few_and_too_many_and_wrong_pointers_are_repaired() {
    run(async {
        let (db, _) = mirrored().await;
        let right = fingerprint(&db).await;
        let changes = [
            ("event", "missing row", "delete from event where height = 1"),
            (
                "event",
                "surplus row",
                "insert into event (block_id, tx_index, ordinal, height, kind)
                 select block_id, tx_index, 77, height, kind from event where height = 1 limit 1",
            ),
            (
                "transaction",
                "missing row",
                "delete from transaction where height = 1 and tx_index = 2",
            ),
            (
                "projection_version",
                "missing row",
                "delete from projection_version where height = 1",
            ),
            (
                "projection_version",
                "surplus row",
                "insert into projection_version select 1000000, projection, block_id, height, position, entity || 'x', state
                 from projection_version where height = 4 and projection = 2 limit 1",
            ),
            (
                "projection_current",
                "version_id",
                "update projection_current set version_id =
                     (select min(id) from projection_version where projection = 1) where projection = 1",
            ),
            ("projection_current", "version_id", "delete from projection_current where projection = 2"),
        ];
        for (table, column, change) in changes {
            db.sql(change).await;
            let dry = compare(&db, 0, 4).await;
            assert!(shows(&dry, table, column), "{change}\n{dry:#?}");
            let done = apply(&db, 0, 4).await;
            assert!(matches!(done.ending, Ending::Applied { .. }), "{done:?}");
            assert_verifies(&db).await;
            assert_eq!(fingerprint(&db).await, right);
        }
        db.drop().await;
    });
}

/// Payloads for a daemon in another process.
async fn post(at: std::net::SocketAddr, block: &Block) {
    let entry = block.entry();
    let reply = crate::tools::request(at, "POST", &entry.path, &entry.body).await;
    assert_eq!(reply.status(), 200);
}

async fn arrived(db: &TestDb, block: &Block) {
    eventually("the block at the tip", || async {
        let now = tip(db).await;
        if now == Some(block.id()) {
            Ok(())
        } else {
            Err(format!("{now:?}"))
        }
    })
    .await;
}

/// A daemon as a process on a database that was filled before.
async fn daemon(db: &TestDb, small: &SmallChain) -> (Daemon, std::net::SocketAddr) {
    let followed = small.chain.network().followed_contracts();
    let followed: Vec<_> = followed.iter().map(ToString::to_string).collect();
    let mut command = stxworx(&["run"]);
    command
        .env("DATABASE_URL", &db.url)
        .env("STXWORX_FOLLOW_CONTRACTS", followed.join(","));
    let daemon = Daemon::spawn(command);
    let at = daemon.address("observer").await;
    (daemon, at)
}

#[test]
fn a_running_daemon_goes_on_through_swap_undo_and_swap() {
    run(async {
        let (db, small) = mirrored().await;
        let (mut daemon, at) = daemon(&db, &small).await;
        let right = fingerprint(&db).await;
        let mut last = trade(&small.chain, small.fork.last().unwrap(), 100).build();
        post(at, &last).await;
        arrived(&db, &last).await;
        let epoch = db.number("select writer_epoch from mirror").await;
        db.sql(
            "update event set amount = amount + 1 where height = 3 and kind = 7;
             update projection_version set state = jsonb_set(state, '{prints}', '99')
             where height = 2 and projection = 1;",
        )
        .await;
        let dry = stxworx_on(&db, &["reindex", "--from", "0", "--to", "4"]).await;
        assert_eq!(dry.status.code(), Some(3), "{dry:?}");
        assert!(
            stdout(&dry)
                .contains("table event, row tx_index 0 ordinal 2, amount: stored 8, recomputed 7"),
            "{}",
            stdout(&dry)
        );
        assert!(stdout(&dry).contains("nothing was changed; add --apply"));
        let wrong = "select count(*) from event where kind = 7 and amount <> 7";
        for round in 0..2 {
            let done = stxworx_on(&db, &["reindex", "--from", "0", "--to", "4", "--apply"]).await;
            assert_eq!(done.status.code(), Some(0), "{done:?}");
            assert!(stdout(&done).contains("swapped: "), "{}", stdout(&done));
            last = trade(&small.chain, &last, 200 + round).build();
            post(at, &last).await;
            arrived(&db, &last).await;
            assert_eq!(db.number(wrong).await, 0);
            let verified = stxworx_on(&db, &["verify"]).await;
            assert_eq!(verified.status.code(), Some(0), "{}", stdout(&verified));
            if round == 0 {
                let undone = stxworx_on(&db, &["reindex", "--undo"]).await;
                assert_eq!(undone.status.code(), Some(0), "{undone:?}");
                assert_ne!(db.number(wrong).await, 0, "the wrong row is back");
                let again = stxworx_on(&db, &["reindex", "--undo"]).await;
                assert_eq!(again.status.code(), Some(3), "{again:?}");
            }
        }
        // The blocks that were there have the digests that they had, and one writer wrote all of it.
        let (blocks, _) = fingerprint(&db).await;
        for line in right.0.lines() {
            assert!(blocks.contains(line), "{line}");
        }
        assert_eq!(
            db.number("select writer_epoch from mirror").await,
            epoch,
            "the daemon kept its claim"
        );
        assert_eq!(daemon.interrupt().await, Some(0));
        db.drop().await;
    });
}

#[test]
fn a_range_with_a_bad_payload_is_refused_and_nothing_changes() {
    run(async {
        let (db, _) = mirrored().await;
        db.sql("update event set amount = amount + 1 where height = 1 and kind = 7")
            .await;
        let row = "id = (select inbox_id from block b join canonical c on c.block_id = b.id where c.height = 3)";
        db.sql(format!(
            "alter table inbox alter id set generated by default;
             create table saved as select * from inbox where {row}"
        ))
        .await;
        let back = "delete from inbox where id in (select id from saved); insert into inbox select * from saved";
        let bad = [
            ("missing", format!("delete from inbox where {row}")),
            (
                "sha256",
                format!(
                    "update inbox set sha256 = {} where {row}",
                    flipped("sha256")
                ),
            ),
            (
                "body",
                format!(
                    "update inbox set body = set_byte(body, 20, get_byte(body, 20) # 1) where {row}"
                ),
            ),
            (
                "scope",
                format!("update inbox set scope = sha256('another') where {row}"),
            ),
        ];
        for (column, change) in bad {
            db.sql(change).await;
            let before = contents(&db).await;
            let report = apply(&db, 1, 4).await;
            assert!(
                matches!(&report.ending, Ending::Refused { reason } if reason.contains("payloads of the range")),
                "{column}: {report:?}"
            );
            assert!(
                report.shown.iter().any(|m| m.table == "inbox"),
                "{column}: {report:?}"
            );
            assert!(shows(&report, "event", "amount"), "the rest is shown, too");
            assert_eq!(contents(&db).await, before);
            db.sql(back).await;
        }
        // A range without it is repaired.
        apply(&db, 1, 1).await;
        assert_verifies(&db).await;
        db.drop().await;
    });
}

#[test]
fn other_rules_other_roles_and_ranges_that_are_none_are_refused() {
    run(async {
        let (db, _) = mirrored().await;
        let refused = |error: Result<Report, ReindexError>| error.unwrap_err().to_string();
        let backwards = refused(try_run(&db, &options(3, 2, true)).await);
        assert!(
            backwards.contains("--from 3 is above --to 2"),
            "{backwards}"
        );
        let beyond = refused(try_run(&db, &options(3, 9, true)).await);
        assert!(beyond.contains("the mirror has heights 0 to 4"), "{beyond}");
        let command = stxworx_on(&db, &["reindex", "--from", "3", "--to", "9"]).await;
        assert_eq!(command.status.code(), Some(1), "{command:?}");
        assert!(stderr(&command).contains("heights 3 to 9 are not all mirrored"));
        let usage = stxworx_on(&db, &["reindex", "--from", "3"]).await;
        assert_eq!(usage.status.code(), Some(2), "{usage:?}");
        db.sql("update projection set version = version + 1 where name = 'transfers'")
            .await;
        let rules = refused(try_run(&db, &options(0, 4, false)).await);
        assert!(rules.contains("projection transfers 2 and 1"), "{rules}");
        db.sql("update projection set version = version - 1 where name = 'transfers'; update mirror set digest_rules = 1")
            .await;
        let rules = refused(try_run(&db, &options(0, 4, false)).await);
        assert!(rules.contains("digests 1 and 2"), "{rules}");
        db.sql("update mirror set digest_rules = 2").await;
        let url = format!("{}&options=-c%20role=stxworx_writer", db.url);
        let writer = store::pool(&url, Access::Write, 4).unwrap();
        let error = reindex::run(
            &writer,
            &options(0, 4, false),
            &CancellationToken::new(),
            &mut |_| {},
        )
        .await
        .unwrap_err();
        assert!(matches!(error, ReindexError::NotOwner), "{error:?}");
        writer.close().await;
        let empty = TestDb::new().await;
        assert!(matches!(
            try_run(&empty, &options(0, 4, false)).await,
            Err(ReindexError::Empty)
        ));
        empty.drop().await;
        db.drop().await;
    });
}

#[test]
fn one_run_at_a_time() {
    run(async {
        let (db, _) = mirrored().await;
        let held = stxworx_indexer::store::reindex::lock(&db.pool).await;
        let held = held.unwrap().expect("nobody holds it");
        let error = try_run(&db, &options(0, 4, false)).await.unwrap_err();
        assert!(matches!(error, ReindexError::Busy), "{error:?}");
        held.release().await;
        assert_eq!(compare(&db, 0, 4).await.ending, Ending::Clean);
        db.drop().await;
    });
}

/// Starts a swap as a process, kills it at a statement that a trigger holds up, and lets the statement go.
async fn killed_at(db: &TestDb, trigger: &str) {
    let mut gate = PgConnection::connect(&db.url).await.unwrap();
    let sql = |text: String| sqlx::raw_sql(sqlx::AssertSqlSafe(text));
    sql("select pg_advisory_lock(77)".to_owned())
        .execute(&mut gate)
        .await
        .unwrap();
    db.sql(format!(
        "create function hold() returns trigger language plpgsql as $$
         begin perform pg_advisory_lock(77); return new; end $$;
         create trigger hold {trigger} execute function hold();"
    ))
    .await;
    let mut command = stxworx(&["reindex", "--from", "0", "--to", "4", "--apply"]);
    command.env("DATABASE_URL", &db.url);
    let mut process = Daemon::spawn(command);
    eventually("the process at the gate", || async {
        let waiting = db
            .number("select count(*) from pg_locks where locktype = 'advisory' and objid = 77 and not granted")
            .await;
        if waiting == 1 {
            Ok(())
        } else {
            Err(waiting.to_string())
        }
    })
    .await;
    process.signal(nix::sys::signal::Signal::SIGKILL);
    assert_eq!(process.ended().await, None, "killed");
    gate.close().await.unwrap();
    // The statement goes on, finds nobody to answer, and its transaction is rolled back.
    eventually("the end of its connections", || async {
        let left = db
            .number(
                "select count(*) from pg_stat_activity where datname = current_database()
                     and pid <> pg_backend_pid() and state <> 'idle'",
            )
            .await;
        let locks = db
            .number(
                "select count(*) from pg_locks where locktype = 'advisory'
                     and database = (select oid from pg_database where datname = current_database())",
            )
            .await;
        if left + locks == 0 {
            Ok(())
        } else {
            Err(format!("{left} statements, {locks} locks"))
        }
    })
    .await;
    db.sql("drop function hold cascade").await;
}

#[test]
fn a_run_that_was_killed_goes_on_at_the_next_block() {
    run(async {
        let (db, _) = mirrored().await;
        let right = fingerprint(&db).await;
        db.sql(
            "update event set amount = amount + 1 where kind = 7 and height in (1, 2);
             update transaction set status = 'success' where height = 3",
        )
        .await;
        let wrong = contents(&db).await;
        killed_at(
            &db,
            "before update on reindex_job for each row when (new.blocks = 4)",
        )
        .await;
        assert_eq!(contents(&db).await, wrong);
        let noted = "select blocks from reindex_job where state = 'running'";
        assert_eq!(db.number(noted).await, 3, "three blocks were noted");
        // Another question is another run.
        let other = compare(&db, 4, 4).await;
        assert!(!other.resumed && other.blocks == 1, "{other:?}");
        assert_eq!(
            db.number("select count(*) from reindex_job where state = 'abandoned'")
                .await,
            1
        );
        killed_at(
            &db,
            "before update on reindex_job for each row when (new.blocks = 4)",
        )
        .await;
        let first = db.number("select max(id) from reindex_job").await;
        let done = apply(&db, 0, 4).await;
        assert!(done.resumed && done.job == first, "{done:?}");
        assert_eq!(done.blocks, 7);
        assert!(matches!(done.ending, Ending::Applied { .. }), "{done:?}");
        assert!(shows(&done, "event", "amount") && shows(&done, "transaction", "status"));
        assert_eq!(fingerprint(&db).await, right);
        assert_verifies(&db).await;
        db.drop().await;
    });
}

#[test]
fn a_run_that_was_killed_in_the_swap_swaps_when_it_is_run_again() {
    run(async {
        let (db, _) = mirrored().await;
        for trigger in [
            "before delete on event for each statement",
            "before update of generation on mirror for each statement",
            "before update on reindex_job for each row when (new.state = 'applied')",
        ] {
            db.sql("update event set amount = amount + 1 where kind = 7 and height in (1, 2)")
                .await;
            let wrong = contents(&db).await;
            killed_at(&db, trigger).await;
            assert_eq!(contents(&db).await, wrong, "{trigger}: all or nothing");
            let done = apply(&db, 0, 4).await;
            assert!(done.resumed, "{done:?}");
            assert!(matches!(done.ending, Ending::Applied { .. }), "{done:?}");
            assert_verifies(&db).await;
        }
        db.drop().await;
    });
}

#[test]
fn a_stopped_run_keeps_its_place() {
    run(async {
        let (db, _) = mirrored().await;
        db.sql("update event set amount = amount + 1 where kind = 7 and height = 1")
            .await;
        let cancel = CancellationToken::new();
        let stop = cancel.clone();
        let report = reindex::run(&db.pool, &options(0, 4, true), &cancel, &mut |p| {
            if p.blocks == 3 {
                stop.cancel();
            }
        })
        .await
        .unwrap();
        assert_eq!((report.ending, report.blocks), (Ending::Stopped, 3));
        let done = apply(&db, 0, 4).await;
        assert!(done.resumed && done.blocks == 7, "{done:?}");
        assert_verifies(&db).await;
        db.drop().await;
    });
}

/// A state is judged by the branch on which it stands, and by recomputed states below it.
#[test]
fn forks_inside_the_range_are_judged_each_by_its_own_branch() {
    run(async {
        let (db, small) = mirrored().await;
        let right = contents(&db).await;
        // The common ancestor of both branches, and a block of the one that was left.
        let orphan = &small.blocks[3].id()[2..];
        db.sql(format!(
            "update projection_version set state = '{{\"prints\": 50, \"head\": \"0x{}\", \"height\": 1}}'
             where height = 1 and projection = 1;
             update event set topic = 'x' where kind = 1 and block_id =
                 (select id from block where index_block_hash = '\\x{orphan}')",
            "00".repeat(32)
        ))
        .await;
        let dry = compare(&db, 0, 4).await;
        assert_eq!(dry.differing_blocks, 2, "{dry:#?}");
        let orphan = small.blocks[3].id();
        let mut blocks: Vec<_> = dry
            .shown
            .iter()
            .map(|m| (m.height, m.block.clone()))
            .collect();
        blocks.dedup();
        assert_eq!(blocks, [(1, small.blocks[1].id()), (3, orphan)]);
        // The block left behind alone: its states come from the mirror below the range.
        let above = compare(&db, 2, 4).await;
        assert!(
            above.differing_blocks >= 2,
            "they do not follow from the wrong state: {above:#?}"
        );
        apply(&db, 0, 4).await;
        assert_eq!(contents(&db).await, right);
        db.drop().await;
    });
}

#[test]
fn states_above_the_range_that_may_follow_are_said() {
    run(async {
        let (db, _) = mirrored().await;
        db.sql("update projection_version set state = jsonb_set(state, '{prints}', '99') where height = 1 and projection = 1")
            .await;
        let said = stxworx_on(&db, &["reindex", "--from", "1", "--to", "1"]).await;
        let text = stdout(&said);
        assert!(
            text.contains(
                "states above the range, up to height 4, are of entities whose states differ inside"
            ) && text.contains("--from 2 --to 4"),
            "{text}"
        );
        db.drop().await;
    });
}

#[test]
fn a_run_for_one_contract_leaves_others_alone_or_is_refused() {
    run(async {
        let (db, small) = mirrored().await;
        let right = contents(&db).await;
        let [data, logic, ..] = small.chain.network().followed_contracts();
        let of = |contract: &dyn std::fmt::Display, apply| Options {
            contract: Some(contract.to_string()),
            ..options(0, 4, apply)
        };
        db.sql(format!(
            "update event set topic = 'x' where height = 1 and kind = 1;
             update projection_version set state = jsonb_set(state, '{{prints}}', '99')
             where height = 4 and projection = 1 and entity = '{logic}';
             update event set amount = 8 where height = 3 and kind = 7"
        ))
        .await;
        let report = try_run(&db, &of(&logic, true)).await.unwrap();
        assert!(
            matches!(report.ending, Ending::Applied { .. }),
            "{report:?}"
        );
        assert!(shows(&report, "event", "topic") && shows(&report, "projection_version", "state"));
        assert!(
            !shows(&report, "event", "amount"),
            "it is of {data}: {report:#?}"
        );
        assert_eq!(report.others, 2, "height 3 on both branches");
        assert_ne!(contents(&db).await, right);
        let report = try_run(&db, &of(&data, true)).await.unwrap();
        assert!(
            matches!(report.ending, Ending::Applied { .. }),
            "{report:?}"
        );
        assert_eq!(contents(&db).await, right);
        db.sql("update event set topic = 'x' where height = 1 and kind = 1; update event set amount = 8 where height = 1 and kind = 7")
            .await;
        let wrong = contents(&db).await;
        let error = try_run(&db, &of(&logic, true)).await.unwrap_err();
        assert!(
            matches!(&error, ReindexError::Others { height: 1, .. }),
            "{error:?}"
        );
        assert_eq!(contents(&db).await, wrong);
        apply(&db, 0, 4).await;
        assert_eq!(contents(&db).await, right);
        db.drop().await;
    });
}

#[test]
fn the_digest_chain_above_follows_and_goes_back() {
    run(async {
        let (db, small) = mirrored().await;
        let tip_row = "id = (select block_id from canonical where height = 4)";
        let right_tip = db
            .text(format!(
                "select encode(digest, 'hex') from block where {tip_row}"
            ))
            .await;
        db.sql(format!(
            "update block set digest = {}, rows_digest = {} where {tip_row}",
            flipped("digest"),
            flipped("rows_digest")
        ))
        .await;
        // Two blocks are chained to the wrong digest by a writer that loads it.
        let followed = small.chain.network().followed_contracts();
        let contracts: &'static str = format!("{:?}", followed.map(|c| c.to_string())).leak();
        let app = App::start(&db, &config(&[("follow.contracts", contracts)])).await;
        let mut last = small.fork.last().unwrap().clone();
        for number in 60..62 {
            last = trade(&small.chain, &last, number).build();
            assert_eq!(deliver(&app, &last.entry()).await.status(), 200);
        }
        settled(&db).await;
        let wrong = fingerprint(&db).await;
        let done = apply(&db, 4, 4).await;
        assert_eq!(
            done.ending,
            Ending::Applied {
                exchanged: 1,
                digests: 2
            }
        );
        assert_eq!(
            db.text(format!(
                "select encode(digest, 'hex') from block where {tip_row}"
            ))
            .await,
            right_tip
        );
        assert_verifies(&db).await;
        assert_undone(&db).await;
        assert_eq!(fingerprint(&db).await, wrong);
        apply(&db, 4, 4).await;
        // A block that came after the swap follows the digests that an undo puts back.
        last = trade(&small.chain, &last, 62).build();
        assert_eq!(deliver(&app, &last.entry()).await.status(), 200);
        settled(&db).await;
        assert_verifies(&db).await;
        assert_undone(&db).await;
        let only = compare(&db, 5, 7).await;
        assert_eq!(only.differences, 0, "{only:#?}");
        apply(&db, 4, 4).await;
        assert_verifies(&db).await;
        app.stop().await.unwrap();
        db.drop().await;
    });
}

#[test]
fn an_undo_is_refused_when_something_has_moved_over_it() {
    run(async {
        let (db, _) = mirrored().await;
        let none = reindex::undo(&db.pool).await.unwrap();
        assert!(matches!(none, Swapped::Refused(_)), "{none:?}");
        db.sql("update event set amount = amount + 1 where kind = 7 and height = 1")
            .await;
        apply(&db, 1, 1).await;
        db.sql("update event set topic = 'y' where kind = 1 and height = 1")
            .await;
        let moved = contents(&db).await;
        let refused = reindex::undo(&db.pool).await.unwrap();
        assert!(
            matches!(&refused, Swapped::Refused(why) if why.contains("have changed since run")),
            "{refused:?}"
        );
        assert_eq!(contents(&db).await, moved);
        // The next swap is another one to undo.
        apply(&db, 1, 1).await;
        assert_undone(&db).await;
        assert_eq!(contents(&db).await, moved);
        db.drop().await;
    });
}
