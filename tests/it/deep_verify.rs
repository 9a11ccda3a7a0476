//! Each kind of inconsistency that no row's comparison shows is found and named.

use stxworx_indexer::store::migrate;
use stxworx_indexer::verify::deep::{DeepReport, verify_deep};
use stxworx_indexer::verify::{ALL_HEIGHTS, Mismatch};

use crate::support::db::TestDb;
use crate::support::run;
use crate::tamper::{flipped, mirrored};
use crate::tools::{stderr, stdout, stxworx_on};

async fn deep(db: &TestDb) -> DeepReport {
    verify_deep(&db.pool, ALL_HEIGHTS, &mut |_| {})
        .await
        .unwrap()
}

#[test]
fn a_sound_mirror_passes_and_the_counts_say_what_was_looked_at() {
    run(async {
        let (db, _) = mirrored().await;
        let report = deep(&db).await;
        assert_eq!(report.mismatches, []);
        let with_bytes =
            "select count(*) from transaction where raw_tx <> '' and kind <> 'burnchain_op'";
        let expected = [
            db.number("select count(*) from block where consensus_hash is not null")
                .await,
            db.number(with_bytes).await,
            db.number("select count(*) from inbox").await,
        ];
        let found = [report.identities, report.transactions, report.payloads];
        assert_eq!(found.map(|n| i64::try_from(n).unwrap()), expected);
        assert!(expected.iter().all(|n| *n > 5), "{expected:?}");
        db.drop().await;
    });
}

/// The list that is read from the migrations is what a migrated database has.
#[test]
fn the_expected_indexes_are_those_of_a_migrated_database() {
    run(async {
        let db = TestDb::new().await;
        let there = db
            .text(
                "select string_agg(indexname, ',' order by indexname collate \"C\") from pg_indexes
                 where schemaname = current_schema() and tablename <> '_sqlx_migrations'",
            )
            .await
            .unwrap();
        assert_eq!(migrate::indexes().join(","), there);
        db.drop().await;
    });
}

/// A planted inconsistency: what is done, what undoes it, and how it must be named.
struct Plant {
    change: String,
    back: String,
    table: &'static str,
    column: &'static str,
}

fn plant(
    table: &'static str,
    column: &'static str,
    change: impl Into<String>,
    back: impl Into<String>,
) -> Plant {
    Plant {
        change: change.into(),
        back: back.into(),
        table,
        column,
    }
}

/// Changes a column of some rows; the table is put back as a whole.
fn cell(
    table: &'static str,
    column: &'static str,
    change: impl std::fmt::Display,
    rows: &str,
) -> Plant {
    let change =
        format!("create table kept as table {table}; update {table} set {change} where {rows}");
    plant(
        table,
        column,
        change,
        format!("{}; drop table kept", put_back(table)),
    )
}

/// Rows as they were, into a table that others may refer to.
fn put_back(table: &str) -> String {
    let all = match table {
        "inbox" => "overriding system value",
        "outbox" => "overriding system value",
        _ => "",
    };
    format!(
        "set session_replication_role = replica; delete from {table}; insert into {table} {all} select * from kept;
         set session_replication_role = origin"
    )
}

/// Removes some rows behind the back of every constraint.
fn gone(table: &'static str, rows: &str, named: (&'static str, &'static str)) -> Plant {
    let change = format!(
        "create table kept as table {table}; set session_replication_role = replica;
         delete from {table} where {rows}; set session_replication_role = origin"
    );
    plant(
        named.0,
        named.1,
        change,
        format!("{}; drop table kept", put_back(table)),
    )
}

const FIRST: &str = "block_id = (select block_id from canonical where height = 1)";
const OF_FIRST: &str =
    "id = (select inbox_id from block b join canonical c on c.block_id = b.id where c.height = 1)";

fn identities_and_payloads() -> Vec<Plant> {
    let transaction = format!("{FIRST} and tx_index = 2");
    let block = "id = (select block_id from canonical where height = 1)";
    vec![
        cell(
            "transaction",
            "txid",
            format!("txid = {}", flipped("txid")),
            &transaction,
        ),
        cell(
            "transaction",
            "txid",
            format!("raw_tx = {}", flipped("raw_tx")),
            &transaction,
        ),
        cell(
            "block",
            "index_block_hash",
            format!("block_hash = {}", flipped("block_hash")),
            block,
        ),
        cell(
            "block",
            "index_block_hash",
            format!("consensus_hash = {}", flipped("consensus_hash")),
            block,
        ),
        // Not only those of blocks.
        cell(
            "inbox",
            "sha256",
            format!("sha256 = {}", flipped("sha256")),
            "endpoint = 2 and id = (select min(id) from inbox where endpoint = 2)",
        ),
        cell(
            "inbox",
            "body",
            "body = set_byte(body, 0, get_byte(body, 0) # 1)",
            "id = (select min(id) from inbox where endpoint = 2)",
        ),
        cell(
            "inbox",
            "body_bytes",
            "body_bytes = body_bytes + 1",
            OF_FIRST,
        ),
        cell("inbox", "scope", "scope = sha256('another')", OF_FIRST),
        cell(
            "inbox",
            "index_block_hash",
            format!("index_block_hash = {}", flipped("index_block_hash")),
            OF_FIRST,
        ),
        cell(
            "inbox",
            "parent_index_block_hash",
            "parent_index_block_hash = null",
            OF_FIRST,
        ),
        cell("inbox", "endpoint", "endpoint = 99", OF_FIRST),
        // A body of another endpoint.
        cell("inbox", "body", "endpoint = 4", OF_FIRST),
    ]
}

fn inbox_states() -> Vec<Plant> {
    let burn = "id = (select min(id) from inbox where endpoint = 2)";
    let mut plants: Vec<_> = [2, 3, 5, 6, 9]
        .map(|state| cell("inbox", "state", format!("state = {state}"), OF_FIRST))
        .into();
    plants.extend([
        cell("inbox", "error", "error = 'why'", OF_FIRST),
        cell("inbox", "error", "state = 4", OF_FIRST),
        cell("inbox", "state", "state = 5", burn),
        gone("burn_block", "true", ("inbox", "state")),
        plant(
            "inbox",
            "state",
            "insert into inbox (id, endpoint, state, body_bytes, sha256, body)
             overriding system value values (900, 9, 1, 0, sha256(''), '\\x')",
            "delete from inbox where id = 900",
        ),
    ]);
    plants
}

fn orphans() -> Vec<Plant> {
    let side = "id = (select max(b.id) from block b where not exists (select from canonical c where c.block_id = b.id))";
    let first = "height = 1 and block_id = (select block_id from canonical where height = 1)";
    vec![
        gone("block", side, ("transaction", "block_id")),
        gone("block", side, ("projection_version", "block_id")),
        gone("block", side, ("inbox", "state")),
        gone("block", "id = (select block_id from canonical where height = 1)", ("canonical", "block_id")),
        gone("block", "id = (select block_id from canonical where height = 1)", ("outbox", "block_id")),
        gone("block", "id = (select block_id from canonical where height = 1)", ("block", "parent")),
        gone("transaction", first, ("event", "tx_index")),
        gone("projection_version", "projection = 1", ("projection_current", "version_id")),
        gone("projection", "id = 1", ("projection_version", "projection")),
        gone("principal", "id = (select min(sender) from transaction)", ("transaction", "sender")),
        gone("principal", "id = (select min(recipient) from event)", ("event", "recipient")),
        gone("inbox", OF_FIRST, ("block", "inbox_id")),
        gone("inbox", "endpoint = 2", ("burn_block", "inbox_id")),
        plant(
            "inbox_chunk",
            "inbox_id",
            "set session_replication_role = replica; insert into inbox_chunk values (901, 1, '\\x00');
             set session_replication_role = origin",
            "delete from inbox_chunk",
        ),
        plant(
            "mempool_sighting",
            "inbox_id",
            "insert into mempool_sighting (txid, first_seen, inbox_id) values (sha256('t'), now(), 902)",
            "delete from mempool_sighting",
        ),
        cell(
            "projection_current",
            "version_id",
            "version_id = (select min(id) from projection_version where projection = 1)",
            "projection = 2",
        ),
    ]
}

fn numbers_and_history() -> Vec<Plant> {
    vec![
        plant(
            "mirror",
            "last_value",
            "select setval(pg_get_serial_sequence('inbox', 'id'), 1)",
            "select setval(pg_get_serial_sequence('inbox', 'id'), (select max(id) from inbox))",
        ),
        plant(
            "mirror",
            "last_value",
            "select setval(pg_get_serial_sequence('outbox', 'id'), 1)",
            "select setval(pg_get_serial_sequence('outbox', 'id'), (select max(id) from outbox))",
        ),
        cell(
            "projection_version",
            "id",
            "id = -1",
            "id = (select max(id) from projection_version)",
        ),
        cell(
            "mirror",
            "inbox_watermark",
            "inbox_watermark = 5000",
            "true",
        ),
        cell(
            "mirror",
            "origin",
            format!("origin = {}", flipped("origin")),
            "true",
        ),
        cell("reorg", "depth", "depth = depth + 1", "true"),
        cell(
            "reorg",
            "depth",
            "depth = depth + 1, old_tip_height = old_tip_height + 1",
            "true",
        ),
        cell(
            "reorg",
            "old_tip_height",
            "depth = depth + 1, old_tip_height = old_tip_height + 1",
            "true",
        ),
        cell("mirror", "generation", "generation = 0", "true"),
        // A reorg that no outbox line tells of, and lines of a reorg that is not there.
        cell(
            "outbox",
            "generation",
            "generation = generation - 1",
            "kind = 'retracted'",
        ),
        cell(
            "outbox",
            "generation",
            "generation = 7",
            "kind = 'retracted'",
        ),
        cell(
            "outbox",
            "block_id",
            "kind = 'applied'",
            "kind = 'retracted'",
        ),
        gone(
            "outbox",
            "id = (select max(id) from outbox)",
            ("outbox", "block_id"),
        ),
        gone(
            "outbox",
            "id = (select min(id) + 1 from outbox)",
            ("outbox", "block_id"),
        ),
        cell(
            "outbox",
            "block_id",
            "block_id = (select max(block_id) from outbox)",
            "id = (select min(id) from outbox)",
        ),
        plant(
            "pg_index",
            "indisvalid",
            "drop index event_contract",
            "create index event_contract on event (contract, height, tx_index, ordinal) where contract is not null",
        ),
        plant(
            "pg_index",
            "indisvalid",
            "update pg_index set indisvalid = false where indexrelid = 'block_parent'::regclass",
            "update pg_index set indisvalid = true where indexrelid = 'block_parent'::regclass",
        ),
    ]
}

async fn assert_found(db: &TestDb, plant: &Plant) {
    db.sql(plant.change.clone()).await;
    let found = deep(db).await.mismatches;
    let named = found
        .iter()
        .find(|m| m.table == plant.table && m.column == plant.column);
    assert!(
        named.is_some_and(|m| !m.row.is_empty() && m.expected != m.stored),
        "{}\nnot named as {}.{} among {found:#?}",
        plant.change,
        plant.table,
        plant.column
    );
    db.sql(plant.back.clone()).await;
    let left: Vec<Mismatch> = deep(db).await.mismatches;
    assert_eq!(left, [], "put back with {}", plant.back);
}

#[test]
fn wrong_identities_and_bad_payloads_are_named() {
    run(async {
        let (db, _) = mirrored().await;
        for plant in identities_and_payloads() {
            assert_found(&db, &plant).await;
        }
        db.drop().await;
    });
}

#[test]
fn inbox_states_that_do_not_fit_the_tables_are_named() {
    run(async {
        let (db, _) = mirrored().await;
        for plant in inbox_states() {
            assert_found(&db, &plant).await;
        }
        db.drop().await;
    });
}

#[test]
fn orphans_are_named() {
    run(async {
        let (db, _) = mirrored().await;
        for plant in orphans() {
            assert_found(&db, &plant).await;
        }
        db.drop().await;
    });
}

#[test]
fn wrong_numbers_history_and_indexes_are_named() {
    run(async {
        let (db, _) = mirrored().await;
        for plant in numbers_and_history() {
            assert_found(&db, &plant).await;
        }
        db.drop().await;
    });
}

#[test]
fn the_command_exits_with_3_and_its_range_is_for_blocks_only() {
    run(async {
        let (db, _) = mirrored().await;
        let sound = stxworx_on(&db, &["verify", "--deep"]).await;
        assert_eq!(sound.status.code(), Some(0), "{sound:?}");
        assert!(
            stdout(&sound).contains(" identities and "),
            "{}",
            stdout(&sound)
        );
        db.sql(format!(
            "update transaction set txid = {}, raw_tx = {} where height = 1",
            flipped("txid"),
            flipped("raw_tx")
        ))
        .await;
        let unsound = stxworx_on(&db, &["verify", "--deep", "--output", "json"]).await;
        assert_eq!(unsound.status.code(), Some(3), "{unsound:?}");
        let json: serde_json::Value = serde_json::from_slice(&unsound.stdout).unwrap();
        let hashed = json["mismatches"].as_array().unwrap().iter();
        let ids = hashed.filter(|m| m["column"] == "txid" && m["height"] == 1);
        assert!(ids.count() >= 2, "{json:#}");
        assert_eq!(
            json["deep"]["payloads"],
            db.number("select count(*) from inbox").await
        );
        let above = stxworx_on(&db, &["verify", "--deep", "--from", "2", "--to", "4"]).await;
        assert_eq!(above.status.code(), Some(0), "{}", stdout(&above));
        db.sql("update mirror set inbox_watermark = 5000").await;
        let above = stxworx_on(&db, &["verify", "--deep", "--from", "2"]).await;
        assert_eq!(
            above.status.code(),
            Some(3),
            "what belongs to no block is checked"
        );
        let line = "table mirror, row position, inbox_watermark: expected at most ";
        assert!(stdout(&above).contains(line), "{}", stdout(&above));
        let backwards = stxworx_on(&db, &["verify", "--deep", "--from", "4", "--to", "2"]).await;
        assert_eq!(backwards.status.code(), Some(1));
        assert!(stderr(&backwards).contains("--from 4 is above --to 2"));
        let shallow = stxworx_on(&db, &["verify", "--from", "2"]).await;
        assert_eq!(shallow.status.code(), Some(2), "a range needs --deep");
        db.drop().await;
    });
}
