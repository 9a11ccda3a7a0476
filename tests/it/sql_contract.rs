//! The views of schema `api_v1` are what docs/sql-api.md says, column by column.

use std::fmt::Write as _;

use crate::support::db::TestDb;
use crate::support::run;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/sql-api.md");
/// What stands in front of the tables.
const HEAD: &str = include_str!("snapshots/sql_api_head.md");

/// View, its comment, column, type, comment.
type Column = (String, Option<String>, String, String, Option<String>);

/// The page as the database's own comments make it.
async fn page(db: &TestDb) -> String {
    let rows = db
        .text(
            "select json_agg(json_build_array(c.relname, obj_description(c.oid), a.attname,
                        format_type(a.atttypid, a.atttypmod), col_description(c.oid, a.attnum)) order by c.relname, a.attnum)::text
             from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
             where c.relnamespace = 'api_v1'::regnamespace",
        )
        .await
        .unwrap();
    let rows: Vec<Column> = serde_json::from_str(&rows).unwrap();
    let mut text = HEAD.to_owned();
    let mut last = String::new();
    for (view, about, column, kind, meaning) in rows {
        let about = about.unwrap_or_else(|| panic!("{view} has no comment"));
        let meaning = meaning.unwrap_or_else(|| panic!("{view}.{column} has no comment"));
        if view != last {
            write!(
                text,
                "\n## {view}\n\n{about}\n\n| column | type | meaning |\n|---|---|---|\n"
            )
            .unwrap();
            last = view;
        }
        writeln!(text, "| `{column}` | {kind} | {meaning} |").unwrap();
    }
    text
}

#[test]
fn the_views_are_what_the_page_says() {
    run(async {
        let db = TestDb::new().await;
        let made = page(&db).await;
        if std::env::var_os("STXWORX_WRITE_DOCS").is_some() {
            std::fs::write(PAGE, &made).unwrap();
        }
        let committed = std::fs::read_to_string(PAGE).unwrap();
        assert!(
            committed == made,
            "docs/sql-api.md is not what the views are. A column that is renamed, moved, retyped or gone needs a new schema \
             beside api_v1; for one that is added at the end, or a comment, run this test with STXWORX_WRITE_DOCS=1"
        );
        db.drop().await;
    });
}

#[test]
fn the_reader_reads_the_views_and_nobody_writes_them() {
    run(async {
        let db = TestDb::new().await;
        let views = db
            .text("select string_agg(relname, ',' order by relname) from pg_class where relnamespace = 'api_v1'::regnamespace and relkind = 'v'")
            .await
            .unwrap();
        assert!(views.split(',').count() > 15, "{views}");
        for view in views.split(',') {
            for (role, what, allowed) in [
                ("stxworx_reader", "select", true),
                ("stxworx_reader", "insert", false),
                ("stxworx_writer", "update", false),
                ("public", "select", false),
            ] {
                let has = db
                    .text(format!(
                        "select has_table_privilege('{role}', 'api_v1.{view}', '{what}')::text"
                    ))
                    .await;
                assert_eq!(
                    has.as_deref(),
                    Some(if allowed { "true" } else { "false" }),
                    "{role} {what} {view}"
                );
            }
        }
        db.drop().await;
    });
}
