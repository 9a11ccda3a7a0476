//! Taking a schema's guards away, one by one.

use std::collections::BTreeMap;

use super::db::TestDb;

/// A transaction of the database under test.
pub type Tx = sqlx::Transaction<'static, sqlx::Postgres>;

/// Runs statements as they stand.
pub async fn raw(tx: &mut Tx, sql: String) -> Result<(), String> {
    let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
        .execute(&mut **tx)
        .await;
    done.map(|_| ()).map_err(|e| e.to_string())
}

/// Runs statements to where a commit would judge them, and takes them back.
pub async fn attempt(tx: &mut Tx, sql: &str) -> Result<(), String> {
    raw(tx, "savepoint here".into()).await.unwrap();
    let done = raw(tx, format!("{sql}; set constraints all immediate")).await;
    let back = "rollback to savepoint here; set constraints all deferred";
    raw(tx, back.into()).await.unwrap();
    done
}

/// Name and the statement that removes it, of every trigger, constraint and unique index of these tables.
pub async fn guards(db: &TestDb, tables: &str) -> BTreeMap<String, String> {
    let listed = db
        .text(format!(
            "select string_agg(name || '|' || removal, E'\\n') from (
                 select tgname::text as name, format('drop trigger %I on %s', tgname, tgrelid::regclass) as removal
                 from pg_trigger where not tgisinternal and tgrelid::regclass::text in {tables}
                 union all
                 select conname, format('alter table %s drop constraint %I cascade', conrelid::regclass, conname)
                 from pg_constraint where contype in ('c', 'p', 'u', 'f') and conrelid::regclass::text in {tables}
                 union all
                 select indexrelid::regclass::text, format('drop index %s', indexrelid::regclass)
                 from pg_index i where indisunique and indrelid::regclass::text in {tables}
                   and not exists (select from pg_constraint c where c.conindid = i.indexrelid)) guards"
        ))
        .await
        .unwrap();
    let pair = |l: &str| l.split_once('|').map(|(n, r)| (n.to_owned(), r.to_owned()));
    listed.lines().filter_map(pair).collect()
}
