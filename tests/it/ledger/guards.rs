//! The rules that the database holds: each refuses something, and each is missed when it is gone.

use std::collections::BTreeSet;

use stxworx_indexer::store::ledger::chain::{Row, ZERO};
use stxworx_indexer::store::ledger::{Line, Side, Stamp};
use stxworx_indexer::store::{self, Access};
use stxworx_reconciler::ledger::keep;

use super::{FINALITY, assert_proved, booked};
use crate::devnet::history::History;
use crate::support::chain::Engine;
use crate::support::db::TestDb;
use crate::support::guards::{attempt, guards, raw};
use crate::support::run;

/// Guards that another one stands behind, so that nothing is missed when they alone are gone.
const DOUBLED: &[(&str, &str)] = &[
    (
        "journal_no_truncate",
        "posting refers to journal, and is never truncated",
    ),
    ("period_seal_pkey", "seal_fits lets no number come twice"),
    (
        "ledger_head_pkey",
        "head_by_journal_only lets no second row in",
    ),
    (
        "ledger_head_only_row_check",
        "head_by_journal_only lets no second row in",
    ),
];

const TABLES: &str = "('journal', 'posting', 'live_event', 'period_seal', 'ledger_head')";

fn line(account: &str, side: Side, amount: u128) -> Line {
    Line {
        account: account.into(),
        asset: "STX".into(),
        side,
        amount,
        part: "deposit".into(),
    }
}

fn two(amount: u128) -> Vec<Line> {
    vec![
        line("external:ST2", Side::Credit, amount),
        line("escrow:ST1.freelance-logic:1", Side::Debit, amount),
    ]
}

fn deposit(seq: i64, key: &str, height: i32) -> Row {
    Row {
        seq,
        kind: "deposit".into(),
        event_key: Some(key.into()),
        of_seq: None,
        stamp: Stamp {
            block: [7; 32],
            height,
            burn_height: 3,
            burn_time: 11,
        },
        txid: [8; 32],
        contract: Some("ST1.freelance-logic".into()),
        project: Some("1".into()),
        note: None,
        booked_at_us: 5,
        lines: two(100),
    }
}

fn mark(seq: i64, kind: &str, of: i64) -> Row {
    Row {
        kind: kind.into(),
        event_key: None,
        of_seq: Some(of),
        lines: Vec::new(),
        ..deposit(seq, "", 10)
    }
}

fn reversal(seq: i64, key: &str, of: i64, amount: u128) -> Row {
    let mut lines = two(amount);
    for line in &mut lines {
        line.side = line.side.opposite();
    }
    Row {
        kind: "reversal".into(),
        of_seq: Some(of),
        lines,
        ..deposit(seq, key, 10)
    }
}

fn text(field: &Option<String>) -> String {
    field.as_ref().map_or("null".into(), |f| format!("'{f}'"))
}

fn bytea(bytes: &[u8]) -> String {
    format!("decode('{}', 'hex')", hex::encode(bytes))
}

/// The statements that insert a journal with the hash that it says it has.
fn inserted(row: &Row, prev: &[u8], hash: &[u8]) -> String {
    let mut sql = format!(
        "insert into journal (seq, kind, event_key, of_seq, index_block_hash, height, burn_block_height, burn_block_time,
             txid, contract, project, note, booked_at_us, prev_hash, hash)
         values ({}, '{}', {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {});",
        row.seq,
        row.kind,
        text(&row.event_key),
        row.of_seq.map_or("null".into(), |s| s.to_string()),
        bytea(&row.stamp.block),
        row.stamp.height,
        row.stamp.burn_height,
        row.stamp.burn_time,
        bytea(&row.txid),
        text(&row.contract),
        row.project.clone().unwrap_or("null".into()),
        text(&row.note),
        row.booked_at_us,
        bytea(prev),
        bytea(hash),
    );
    for (number, l) in (1..).zip(&row.lines) {
        sql += &posting(row.seq, number, l, &l.amount.to_string(), l.side.as_str());
    }
    sql
}

fn posting(seq: i64, number: i32, l: &Line, amount: &str, side: &str) -> String {
    format!(
        "insert into posting (seq, line, account, asset, side, amount, part)
         values ({seq}, {number}, '{}', '{}', '{side}', {amount}, '{}');",
        l.account, l.asset, l.part
    )
}

fn whole(row: &Row, prev: &[u8]) -> String {
    inserted(row, prev, &row.hash(prev))
}

type Change<'a> = (&'a str, &'a str);

/// The row with its bytes changed by text, and its statements as well: for what a `Row` cannot say.
fn bent(row: &Row, prev: &[u8], in_bytes: Change<'_>, in_sql: Change<'_>) -> String {
    use sha2::{Digest as _, Sha256};
    let bytes = String::from_utf8(row.bytes()).unwrap();
    let sql = inserted(row, prev, &[0xEE; 32]);
    assert!(
        bytes.contains(in_bytes.0) && sql.contains(in_sql.0),
        "{in_bytes:?} {in_sql:?}"
    );
    let hash: [u8; 32] = Sha256::new()
        .chain_update(prev)
        .chain_update(bytes.replace(in_bytes.0, in_bytes.1))
        .finalize()
        .into();
    sql.replace(in_sql.0, in_sql.1)
        .replace(&bytea(&[0xEE; 32]), &bytea(&hash))
}

/// Pending 1; posted 2; reversed 4; void 7; posted 9 in the closed period 1.
async fn base(db: &TestDb) -> (i64, [u8; 32]) {
    let rows = [
        deposit(1, "a", 10),
        deposit(2, "b", 11),
        mark(3, "posted", 2),
        deposit(4, "c", 11),
        mark(5, "posted", 4),
        reversal(6, "c", 4, 100),
        deposit(7, "d", 12),
        mark(8, "void", 7),
        deposit(9, "e", 5),
        mark(10, "posted", 9),
    ];
    let mut prev = ZERO;
    for row in &rows {
        db.sql(format!("begin; {} commit;", whole(row, &prev)))
            .await;
        prev = row.hash(&prev);
    }
    db.sql(seal(1, 1, 5, 10, &prev, &ZERO, &[])).await;
    (10, prev)
}

fn seal(
    number: i32,
    from: i32,
    until: i32,
    count: i64,
    head: &[u8],
    before: &[u8],
    changes: &[(&str, &str)],
) -> String {
    let mut sql = format!(
        "insert into period_seal (number, from_height, until_height, until_block, until_time, head_count, head_hash,
             prev_seal, statement, seal, public_key, signature, sealed_at_us)
         values ({number}, {from}, {until}, {}, 1, {count}, {}, {}, 's', {}, NOKEY, NOSIGNATURE, 1);",
        bytea(&[0xBB; 32]),
        bytea(head),
        bytea(before),
        bytea(&[0xCC; 32]),
    );
    for (from, to) in changes {
        assert!(sql.contains(from));
        sql = sql.replace(from, to);
    }
    sql.replace("NOKEY", "null").replace("NOSIGNATURE", "null")
}

/// Everything that has to be refused, by name.
fn refused(count: i64, head: &[u8; 32]) -> Vec<(&'static str, String)> {
    let next = count + 1;
    let fresh = || deposit(next, "z", 20);
    let book = |row: Row| whole(&row, head);
    let with = |change: &dyn Fn(&mut Row)| {
        let mut row = fresh();
        change(&mut row);
        whole(&row, head)
    };
    let (block, txid) = (hex::encode([7; 32]), hex::encode([8; 32]));
    let (key, signature) = (bytea(&[1; 32]), bytea(&[2; 64]));
    let seal2 = |changes: &[(&str, &str)]| seal(2, 6, 9, count, head, &[0xCC; 32], changes);
    vec![
        ("a number is left out", book(deposit(next + 1, "z", 20))),
        ("another hash before", whole(&fresh(), &[9; 32])),
        ("debits without credits", with(&|r| r.lines[1].amount += 1)),
        (
            "assets that do not balance",
            with(&|r| r.lines[1].asset = "ST3.token".into()),
        ),
        ("no lines", with(&|r| r.lines.clear())),
        ("a mark with lines", {
            let mut row = mark(next, "posted", 1);
            row.lines = two(1);
            book(row)
        }),
        (
            "a hash of something else",
            inserted(&fresh(), head, &[3; 32]),
        ),
        ("half a reversal", book(reversal(next, "b", 2, 50))),
        (
            "reversal of what is pending",
            book(reversal(next, "a", 1, 100)),
        ),
        ("reversal of a reversal", {
            let mut row = reversal(next, "c", 6, 100);
            row.lines = two(100);
            book(row)
        }),
        ("void of a reversal", book(mark(next, "void", 6))),
        ("posted twice", book(mark(next, "posted", 2))),
        ("posted after void", book(mark(next, "posted", 7))),
        ("reversed twice", book(reversal(next, "c", 4, 100))),
        ("an event twice", book(deposit(next, "a", 20))),
        ("an unknown kind", with(&|r| r.kind = "gift".into())),
        (
            "a short block",
            bent(&fresh(), head, (&block, "07"), (&block, "07")),
        ),
        (
            "a short txid",
            bent(&fresh(), head, (&txid, "08"), (&txid, "08")),
        ),
        ("an empty note", with(&|r| r.note = Some(String::new()))),
        (
            "a note of two lines",
            with(&|r| r.note = Some("a\nb".into())),
        ),
        ("a mark with an event", {
            let mut row = mark(next, "posted", 1);
            row.event_key = Some("x".into());
            book(row)
        }),
        ("a deposit that refers", with(&|r| r.of_seq = Some(1))),
        ("a mark of nothing", book(mark(next, "posted", 99))),
        (
            "two lines of one number",
            bent(&fresh(), head, ("\n2\t", "\n1\t"), ("(11, 2,", "(11, 1,")),
        ),
        (
            "a line of no journal",
            posting(99, 1, &two(1)[0], "1", "debit"),
        ),
        (
            "an account of no kind",
            with(&|r| r.lines[0].account = "cash:ST2".into()),
        ),
        (
            "an asset with a space",
            with(&|r| r.lines.iter_mut().for_each(|l| l.asset = "S X".into())),
        ),
        (
            "a side that is none",
            bent(
                &fresh(),
                head,
                ("\tcredit\t", "\tboth\t"),
                ("'credit'", "'both'"),
            ),
        ),
        ("an amount of nothing", with(&|r| r.lines = two(0))),
        ("an amount past 128 bits", {
            let most = "340282366920938463463374607431768211456";
            let (bytes, sql) = (format!("\t{most}\t"), format!(", {most}, "));
            bent(&fresh(), head, ("\t100\t", &bytes), (", 100, ", &sql))
        }),
        (
            "a part with a sign",
            with(&|r| r.lines[0].part = "fee!".into()),
        ),
        ("late lines", {
            let lines = two(5);
            posting(1, 3, &lines[0], "5", "credit") + &posting(1, 4, &lines[1], "5", "debit")
        }),
        (
            "update a journal",
            "update journal set note = 'x' where seq = 1".into(),
        ),
        (
            "delete a journal",
            "delete from journal where seq = 10".into(),
        ),
        ("truncate the journal", "truncate journal cascade".into()),
        (
            "update a line",
            "update posting set amount = amount + 1 where seq = 1".into(),
        ),
        ("delete a line", "delete from posting where seq = 1".into()),
        ("truncate the lines", "truncate posting".into()),
        (
            "set the head back",
            "update ledger_head set count = 1".into(),
        ),
        ("delete the head", "delete from ledger_head".into()),
        (
            "a second head",
            "insert into ledger_head (count, hash) values (0, '\\x00')".into(),
        ),
        ("truncate the head", "truncate ledger_head".into()),
        (
            "forget what is live",
            "delete from live_event where seq = 1".into(),
        ),
        (
            "make up what is live",
            "insert into live_event (event_key, kind, seq) values ('y', 'spend', 1)".into(),
        ),
        ("truncate what is live", "truncate live_event".into()),
        (
            "a period left out",
            seal(3, 6, 9, count, head, &[0xCC; 32], &[]),
        ),
        (
            "a seal after another",
            seal(2, 6, 9, count, head, &[0xCD; 32], &[]),
        ),
        (
            "a hole between periods",
            seal(2, 7, 9, count, head, &[0xCC; 32], &[]),
        ),
        (
            "a seal of an older head",
            seal(2, 6, 9, count - 1, head, &[0xCC; 32], &[]),
        ),
        (
            "a period with what is pending",
            seal(2, 6, 10, count, head, &[0xCC; 32], &[]),
        ),
        (
            "a period that ends before it begins",
            seal(2, 6, 5, count, head, &[0xCC; 32], &[]),
        ),
        (
            "a period of a short block",
            seal2(&[(&bytea(&[0xBB; 32]), "'\\xbb'")]),
        ),
        (
            "a short seal",
            seal2(&[
                (&bytea(&[0xCC; 32])[..], "'\\xcc'"),
                ("'\\xcc', 's'", "decode(repeat('cc', 32), 'hex'), 's'"),
            ]),
        ),
        (
            "a short key",
            seal2(&[("NOKEY", "'\\x01'"), ("NOSIGNATURE", &signature)]),
        ),
        (
            "a short signature",
            seal2(&[("NOKEY", &key), ("NOSIGNATURE", "'\\x02'")]),
        ),
        ("a key without a signature", seal2(&[("NOKEY", &key)])),
        (
            "update a seal",
            "update period_seal set statement = 'x'".into(),
        ),
        ("delete a seal", "delete from period_seal".into()),
        ("truncate the seals", "truncate period_seal".into()),
    ]
}

#[test]
fn every_guard_is_missed_when_it_is_gone() {
    run(async {
        let db = TestDb::new().await;
        let (count, head) = base(&db).await;
        let statements = refused(count, &head);
        let mut tx = db.pool.begin().await.unwrap();
        // A control: what follows properly is taken.
        for row in [
            deposit(count + 1, "z", 20),
            mark(count + 1, "posted", 1),
            reversal(count + 1, "b", 2, 100),
        ] {
            attempt(&mut tx, &whole(&row, &head)).await.unwrap();
        }
        attempt(&mut tx, &seal(2, 6, 9, count, &head, &[0xCC; 32], &[]))
            .await
            .unwrap();
        for (name, sql) in &statements {
            let refused = attempt(&mut tx, sql).await;
            assert!(refused.is_err(), "{name} was taken");
        }
        tx.rollback().await.unwrap();
        let guards = guards(&db, TABLES).await;
        assert!(guards.len() > 45, "{guards:?}");
        let mut unmissed = BTreeSet::new();
        let mut missed = BTreeSet::new();
        for (guard, removal) in &guards {
            let mut tx = db.pool.begin().await.unwrap();
            raw(&mut tx, removal.clone()).await.unwrap();
            let before = missed.len();
            for (name, sql) in &statements {
                if attempt(&mut tx, sql).await.is_ok() {
                    missed.insert((guard.as_str(), *name));
                }
            }
            tx.rollback().await.unwrap();
            if missed.len() == before {
                unmissed.insert(guard.as_str());
            }
        }
        let doubled: BTreeSet<&str> = DOUBLED.iter().map(|(name, _)| *name).collect();
        assert_eq!(
            unmissed, doubled,
            "guards without a statement that needs them"
        );
        println!(
            "{} guards, {} statements, {} pairs",
            guards.len(),
            statements.len(),
            missed.len()
        );
        db.drop().await;
    });
}

#[test]
fn the_role_that_books_may_add_and_nothing_else() {
    run(async {
        let mut history = History::new(55, 40);
        let db = TestDb::new().await;
        let engine = Engine::start_with(&db, history.follow());
        history.grow(40);
        engine.feed(&db, &history.said()).await;
        engine.stop().await;
        let url = format!("{}&options=-c%20role=stxworx_writer", db.url);
        let pool = store::pool(&url, Access::Write, 2).unwrap();
        let done = keep::catch_up(&pool, FINALITY, true).await.unwrap();
        assert!(done.booked > 10 && done.posted > 0, "{done:?}");
        assert_proved(&db, &history).await;
        for statement in [
            "update journal set note = 'x'",
            "delete from journal",
            "truncate posting",
            "update posting set amount = 1",
            "delete from period_seal",
            "update ledger_head set count = 0",
            "delete from live_event",
            "alter table journal disable trigger all",
            "set session_replication_role = replica",
        ] {
            let refused = sqlx::raw_sql(statement).execute(&pool).await.unwrap_err();
            let refused = refused.to_string();
            let by_rights =
                refused.contains("permission denied") || refused.contains("must be owner");
            assert!(by_rights, "{statement}: {refused}");
        }
        pool.close().await;
        db.drop().await;
    });
}

#[test]
fn the_owner_and_a_replica_are_refused_as_well() {
    run(async {
        let mut history = History::new(56, 30);
        let (db, _) = booked(&mut history, 30, 30).await;
        for statement in [
            "update journal set note = 'x'",
            "delete from posting",
            "truncate live_event",
        ] {
            for setting in ["", "set local session_replication_role = replica;"] {
                let mut tx = db.pool.begin().await.unwrap();
                let refused = raw(&mut tx, format!("{setting} {statement}"))
                    .await
                    .unwrap_err();
                assert!(refused.contains("refused"), "{statement}: {refused}");
            }
        }
        db.drop().await;
    });
}
