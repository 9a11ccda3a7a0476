//! One changed byte anywhere is found and named.

use stxworx_indexer::verify::{Mismatch, verify};

use crate::support::app::{App, config};
use crate::support::db::TestDb;
use crate::support::mirror::{assert_verifies, settled, tip};
use crate::support::run;
use crate::tools::{SmallChain, small_chain, stdout, stxworx_on};

/// A mirror of the small chain; no daemon runs any more.
pub async fn mirrored() -> (TestDb, SmallChain) {
    let (db, small) = (TestDb::new().await, small_chain());
    let followed = small
        .chain
        .network()
        .followed_contracts()
        .map(|c| format!("\"{c}\""))
        .join(",");
    let contracts: &'static str = format!("[{followed}]").leak();
    let app = App::start(&db, &config(&[("follow.contracts", contracts)])).await;
    app.post(small.entries(), stxworx::post::Order::default())
        .await;
    settled(&db).await;
    app.stop().await.unwrap();
    assert_eq!(tip(&db).await, Some(small.tip()));
    assert_verifies(&db).await;
    (db, small)
}

async fn mismatches(db: &TestDb) -> Vec<Mismatch> {
    verify(&db.pool, &mut |_| {}).await.unwrap().mismatches
}

/// A change of one cell, the change back, and what must be said about it.
pub struct Case {
    /// `update … set … where …`
    pub change: String,
    pub back: String,
    pub table: &'static str,
    pub column: &'static str,
}

/// Changes `column` of one row of `table` by an expression.
pub fn cell(table: &'static str, column: &'static str, to: &str, row: &str) -> Case {
    let keep = format!("create table kept as select {column} as was from {table} where {row};");
    Case {
        change: format!("{keep} update {table} set {column} = {to} where {row};"),
        back: format!(
            "update {table} set {column} = (select was from kept) where {row}; drop table kept;"
        ),
        table,
        column,
    }
}

/// The first byte of a `bytea` with its lowest bit flipped.
pub fn flipped(column: &str) -> String {
    format!("set_byte({column}, 0, get_byte({column}, 0) # 1)")
}

const BLOCK: &str = "id = (select block_id from canonical where height = 1)";

pub fn block_cases() -> Vec<Case> {
    let bytes = [
        "parent",
        "block_hash",
        "burn_block_hash",
        "consensus_hash",
        "burn_view",
        "miner_txid",
        "rows_digest",
        "digest",
    ];
    let numbers = [
        "block_time",
        "burn_block_height",
        "burn_block_time",
        "tenure_height",
        "listed_transactions",
        "listed_events",
    ];
    let mut cases: Vec<_> = bytes.map(|c| cell("block", c, &flipped(c), BLOCK)).into();
    cases.extend(numbers.map(|c| cell("block", c, &format!("{c} + 1"), BLOCK)));
    cases
}

const IN_BLOCK: &str = "block_id = (select block_id from canonical where height = 1)";

pub fn transaction_cases() -> Vec<Case> {
    let call = format!("{IN_BLOCK} and tx_index = 2");
    let mut cases: Vec<_> = ["txid", "raw_tx", "raw_result"]
        .map(|c| cell("transaction", c, &flipped(c), &call))
        .into();
    for column in ["kind", "status", "function"] {
        cases.push(cell(
            "transaction",
            column,
            &format!("{column} || 'x'"),
            &call,
        ));
    }
    for column in ["nonce", "fee", "height"] {
        cases.push(cell("transaction", column, &format!("{column} + 1"), &call));
    }
    for column in ["vm_error", "burnchain_op"] {
        cases.push(cell("transaction", column, "'x'", &call));
    }
    let someone = "(select min(id) from principal where id <> sender)";
    cases.push(cell("transaction", "sender", someone, &call));
    cases.push(cell("transaction", "sponsor", "sender", &call));
    cases.push(cell("transaction", "contract", "sender", &call));
    cases
}

/// Of the call in block 1: a print (0), a transfer (1), coins minted (2), a pass minted (3).
pub fn event_cases() -> Vec<Case> {
    let of = |ordinal: i32| format!("{IN_BLOCK} and tx_index = 2 and ordinal = {ordinal}");
    let (print, coin) = (of(0), of(2));
    vec![
        cell("event", "value", &flipped("value"), &print),
        cell("event", "topic", "topic || 'x'", &print),
        cell("event", "contract", "contract + 1", &print),
        cell("event", "kind", "12", &print),
        cell("event", "height", "height + 1", &print),
        cell("event", "amount", "amount + 1", &coin),
        cell("event", "asset", "asset || 'x'", &coin),
        cell("event", "sender", "recipient", &coin),
        cell("event", "recipient", "null", &coin),
        cell("event", "unlock_height", "1", &coin),
    ]
}

pub fn projection_cases() -> Vec<Case> {
    let version = "id = (select min(id) from projection_version where projection = 1)";
    vec![
        cell(
            "projection_version",
            "state",
            "jsonb_set(state, '{prints}', '99')",
            version,
        ),
        cell("projection_version", "height", "height + 1", version),
    ]
}

async fn assert_found(db: &TestDb, case: &Case) {
    db.sql(case.change.clone()).await;
    let found = mismatches(db).await;
    let named = found
        .iter()
        .find(|m| m.table == case.table && m.column == case.column)
        .unwrap_or_else(|| panic!("{}\nnot named among {found:#?}", case.change));
    assert!(
        !named.row.is_empty() && named.expected != named.stored,
        "{named:?}"
    );
    assert!(named.block.len() == 66 && named.height == 1, "{named:?}");
    db.sql(case.back.clone()).await;
}

#[test]
fn one_changed_cell_of_a_row_is_named_with_block_table_row_and_column() {
    run(async {
        let (db, _) = mirrored().await;
        let cases = [
            block_cases(),
            transaction_cases(),
            event_cases(),
            projection_cases(),
        ];
        for case in cases.iter().flatten() {
            assert_found(&db, case).await;
        }
        assert_verifies(&db).await;
        db.drop().await;
    });
}

#[test]
fn a_row_too_few_and_a_row_too_many_are_named() {
    run(async {
        let (db, _) = mirrored().await;
        let has = |found: &[Mismatch], table: &str, column: &str| {
            found.iter().any(|m| m.table == table && m.column == column)
        };
        db.sql("create table kept as select * from event where height = 1; delete from event where height = 1").await;
        assert!(has(&mismatches(&db).await, "event", "missing row"));
        db.sql("insert into event select * from kept").await;
        db.sql("insert into event select block_id, tx_index, 77, height, kind from kept limit 1")
            .await;
        assert!(has(&mismatches(&db).await, "event", "surplus row"));
        db.sql("delete from event where ordinal = 77").await;
        assert_verifies(&db).await;
        db.drop().await;
    });
}

#[test]
fn a_moved_pointer_is_named() {
    run(async {
        let (db, small) = mirrored().await;
        let orphan = format!(
            "(select id from block where index_block_hash = '\\x{}')",
            &small.blocks[3].id()[2..]
        );
        let case = cell("canonical", "block_id", &orphan, "height = 3");
        db.sql(case.change.clone()).await;
        let found = mismatches(&db).await;
        assert!(
            found
                .iter()
                .any(|m| m.table == "canonical" && m.row == "3" && m.column == "block_id"),
            "{found:?}"
        );
        db.sql(case.back).await;
        db.sql("create table kept as select * from canonical where height = 4; delete from canonical where height = 4").await;
        let found = mismatches(&db).await;
        assert!(
            found
                .iter()
                .any(|m| m.table == "canonical" && m.row == "tip"),
            "{found:?}"
        );
        db.sql("insert into canonical select * from kept; drop table kept")
            .await;
        let case = cell(
            "mirror",
            "tip_block_id",
            "(select min(id) from block)",
            "true",
        );
        db.sql(case.change).await;
        let found = mismatches(&db).await;
        assert!(
            found
                .iter()
                .any(|m| m.table == "mirror" && m.column == "tip_block_id"),
            "{found:?}"
        );
        db.sql(case.back).await;
        assert_verifies(&db).await;
        db.drop().await;
    });
}

#[test]
fn a_moved_projection_pointer_is_named() {
    run(async {
        let (db, small) = mirrored().await;
        let [_, logic, ..] = small.chain.network().followed_contracts();
        let row = format!("projection = 1 and entity = '{logic}'");
        let older = format!("(select min(id) from projection_version where {row})");
        let case = cell("projection_current", "version_id", &older, &row);
        db.sql(case.change).await;
        let found = mismatches(&db).await;
        let named = found
            .iter()
            .find(|m| m.table == "projection_current")
            .expect("a mismatch");
        assert_eq!(
            (named.row.clone(), named.column.as_str()),
            (format!("1 {logic}"), "version_id")
        );
        db.sql(case.back).await;
        db.sql("delete from projection_current where projection = 2")
            .await;
        assert!(
            mismatches(&db)
                .await
                .iter()
                .any(|m| m.row.starts_with("2 "))
        );
        db.drop().await;
    });
}

#[test]
fn a_changed_payload_is_named() {
    run(async {
        let (db, _) = mirrored().await;
        let row = "id = (select inbox_id from block b join canonical c on c.block_id = b.id where c.height = 1)";
        let key = db
            .text(format!("select id::text from inbox where {row}"))
            .await
            .unwrap();
        let of = |found: Vec<Mismatch>, column: &str| {
            found
                .into_iter()
                .any(|m| m.table == "inbox" && m.row == key && m.column == column && m.height == 1)
        };
        let case = cell("inbox", "sha256", &flipped("sha256"), row);
        db.sql(case.change).await;
        assert!(of(mismatches(&db).await, "sha256"));
        db.sql(case.back).await;
        let bytes = db
            .number(&format!("select length(body) from inbox where {row}"))
            .await;
        // Not in the window size that the frame's head asks for: it has no bearing on the content.
        for at in [0, 20, bytes / 2, bytes - 1] {
            let case = cell(
                "inbox",
                "body",
                &format!("set_byte(body, {at}, get_byte(body, {at}) # 1)"),
                row,
            );
            db.sql(case.change).await;
            let found = mismatches(&db).await;
            let named = found.iter().any(|m| m.table == "inbox" && m.row == key);
            assert!(named, "byte {at} of {bytes}: {found:?}");
            db.sql(case.back).await;
        }
        db.sql(format!(
            "alter table inbox alter id set generated by default; update inbox set id = id + 1000 where {row}"
        ))
        .await;
        assert!(of(mismatches(&db).await, "missing"));
        db.drop().await;
    });
}

/// Bitcoin blocks decide which fork is canonical: they are rows like all others.
#[test]
fn a_changed_bitcoin_block_is_named() {
    run(async {
        let (db, _) = mirrored().await;
        let row = "inbox_id = (select min(inbox_id) from burn_block)";
        for (column, to) in [
            ("height", "height + 1".to_owned()),
            ("consensus_hash", flipped("consensus_hash")),
        ] {
            let case = cell("burn_block", column, &to, row);
            db.sql(case.change).await;
            let found = mismatches(&db).await;
            assert!(
                found.iter().any(|m| m.table == "burn_block"),
                "{column}: {found:?}"
            );
            db.sql(case.back).await;
        }
        db.drop().await;
    });
}

/// A side fork that vanished altogether, as no pointer leads to it.
#[test]
fn a_lost_side_block_is_named() {
    run(async {
        let (db, small) = mirrored().await;
        let orphan = &small.blocks[3].id()[2..];
        for table in ["transaction", "event", "projection_version"] {
            db.sql(format!("delete from {table} where block_id = (select id from block where index_block_hash = '\\x{orphan}')")).await;
        }
        db.sql(format!(
            "delete from block where index_block_hash = '\\x{orphan}'"
        ))
        .await;
        let found = mismatches(&db).await;
        assert!(
            !found.is_empty(),
            "an applied payload has no block any more"
        );
        db.drop().await;
    });
}

#[test]
fn the_command_exits_with_3_and_prints_what_it_found() {
    run(async {
        let (db, small) = mirrored().await;
        let sound = stxworx_on(&db, &["verify"]).await;
        assert_eq!(sound.status.code(), Some(0), "{sound:?}");
        assert!(
            stdout(&sound).starts_with("7 blocks, "),
            "{}",
            stdout(&sound)
        );
        assert!(
            stdout(&sound).contains(&format!(" 0 differences; tip {}, digest 0x", small.tip()))
        );

        db.sql("update event set amount = amount + 1 where kind = 7 and height = 1")
            .await;
        let unsound = stxworx_on(&db, &["verify"]).await;
        assert_eq!(unsound.status.code(), Some(3), "{unsound:?}");
        let a1 = small.blocks[1].id();
        let line = format!(
            "block {a1} (height 1), table event, row tx_index 2 ordinal 2, amount: expected 7, stored 8\n"
        );
        assert!(stdout(&unsound).contains(&line), "{}", stdout(&unsound));
        let json = stxworx_on(&db, &["verify", "--output", "json"]).await;
        assert_eq!(json.status.code(), Some(3));
        let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        let first = &json["mismatches"][0];
        let said = [
            &first["block"],
            &first["table"],
            &first["column"],
            &first["expected"],
            &first["stored"],
        ];
        assert_eq!(said, [&a1, "event", "amount", "7", "8"]);
        db.drop().await;
    });
}
