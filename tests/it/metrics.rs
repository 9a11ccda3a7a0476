//! Every metric is documented, and every documented metric is there.

use std::collections::BTreeMap;

use stxworx::post::Order;
use stxworx::recording::Entry;
use stxworx::workload::Event;

use crate::support::app::{App, config};
use crate::support::db::TestDb;
use crate::support::eventually;
use crate::support::mirror::settled;
use crate::support::run;
use crate::tools::{deliver, get, metric, small_chain, trade};

/// Name to type and labels.
type Metrics = BTreeMap<String, (String, String)>;

/// What is exposed only where something else is the case, as its description says.
const APPEARS_ONLY: &str = "Appears only";

/// The table of `docs/metrics.md`: name, type, labels, meaning, what to do.
fn documented(there: &Metrics) -> Metrics {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md")).unwrap();
    let mut metrics = Metrics::new();
    for line in text.lines().filter(|l| l.starts_with("| `")) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, meaning, cure] = cells[..] else {
            panic!("five columns: {line}")
        };
        assert!(
            meaning.len() > 10 && cure.len() > 10,
            "no meaning or no cure: {line}"
        );
        let name = name.trim_matches('`').to_owned();
        if meaning.contains(APPEARS_ONLY) && !there.contains_key(&name) {
            continue;
        }
        let label = labels.split(['`', ':']).nth(1).unwrap_or_default();
        let entry = (kind.to_owned(), label.to_owned());
        assert!(metrics.insert(name, entry).is_none(), "twice: {line}");
    }
    metrics
}

/// What an exposition text holds.
fn exposed(text: &str) -> Metrics {
    let mut metrics = Metrics::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|l| l.split_once(' ')) {
            metrics.insert(name.to_owned(), (kind.to_owned(), String::new()));
        }
    }
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        if let Some((name, rest)) = line.split_once('{')
            // A histogram's samples have names of their own; its count has all of its labels.
            && let Some(entry) = metrics.get_mut(name.strip_suffix("_count").unwrap_or(name))
        {
            entry.1 = rest.split('=').next().unwrap_or_default().to_owned();
        }
    }
    metrics
}

/// Lets everything happen that is counted: a family without a sample is not exposed.
async fn provoke(app: &App, db: &TestDb) {
    let small = small_chain();
    app.post(small.entries(), Order::default()).await;
    assert_eq!(deliver(app, &small.entries()[0]).await.status(), 200);
    assert_eq!(
        deliver(app, &Entry::new("/nowhere", "x")).await.status(),
        404
    );
    let of_tomorrow = Event::Other {
        kind: "of_tomorrow".into(),
        body: serde_json::json!({}),
    };
    let (alice, bob) = (small.chain.account("alice"), small.chain.account("bob"));
    let tx = small.chain.transfer(&alice, &bob, 1, "").event(of_tomorrow);
    let next = trade(&small.chain, small.fork.last().unwrap(), 50)
        .tx(tx)
        .build();
    assert_eq!(deliver(app, &next.entry()).await.status(), 200);
    settled(db).await;
}

#[test]
fn the_documented_metrics_are_those_that_are_exposed() {
    run(async {
        let db = TestDb::new().await;
        // With a finality of one Bitcoin block, the small chain's fork leaves final blocks.
        let app = App::start(&db, &config(&[("chain.finality_burn_blocks", "1")])).await;
        provoke(&app, &db).await;
        eventually("the height in the database", || async {
            let height = metric(&app, "stxworx_height{stage=\"in_db\"}").await;
            if height == 5.0 {
                Ok(())
            } else {
                Err(height.to_string())
            }
        })
        .await;
        let reply = get(app.addresses.metrics.unwrap(), "/metrics").await;
        assert_eq!(
            reply.header("content-type"),
            Some("text/plain; version=0.0.4")
        );
        // Sizes are measured a moment after the start.
        eventually("the documented metrics", || async {
            let there = exposed(&get(app.addresses.metrics.unwrap(), "/metrics").await.text());
            let wanted = documented(&there);
            let only = |a: &Metrics, b: &Metrics| -> Vec<_> {
                let other = a.iter().filter(|(name, entry)| b.get(*name) != Some(entry));
                other
                    .map(|(name, entry)| format!("{name} {entry:?}"))
                    .collect()
            };
            let (undocumented, missing) = (only(&there, &wanted), only(&wanted, &there));
            if undocumented.is_empty() && missing.is_empty() {
                Ok(())
            } else {
                Err(format!(
                    "undocumented {undocumented:?}, missing {missing:?}"
                ))
            }
        })
        .await;
        app.stop().await.unwrap();
        db.drop().await;
    });
}

#[test]
fn the_numbers_are_those_of_what_happened() {
    run(async {
        let db = TestDb::new().await;
        let app = App::start(&db, &config(&[("chain.finality_burn_blocks", "1")])).await;
        provoke(&app, &db).await;
        let expected = [
            ("stxworx_received_total{endpoint=\"new_block\"}", 8.0),
            ("stxworx_received_total{endpoint=\"new_burn_block\"}", 2.0),
            ("stxworx_repeated_total{endpoint=\"new_block\"}", 1.0),
            ("stxworx_refused_total{reason=\"unknown_path\"}", 1.0),
            ("stxworx_undecoded_total{kind=\"other_event\"}", 1.0),
            ("stxworx_blocks_total", 8.0),
            ("stxworx_processed_total", 10.0),
            ("stxworx_height{stage=\"committed\"}", 5.0),
            ("stxworx_burn_height", 102.0),
            ("stxworx_reorgs_total{cause=\"stacks\"}", 1.0),
            ("stxworx_reorg_depth_blocks_count", 1.0),
            ("stxworx_invariant_violation_total{id=\"CH-3\"}", 1.0),
            ("stxworx_writer_epoch", 1.0),
            ("stxworx_store_seconds_count", 11.0),
        ];
        for (name, value) in expected {
            assert_eq!(metric(&app, name).await, value, "{name}");
        }
        for (table, query) in [
            ("transaction", "select count(*) from transaction"),
            ("event", "select count(*) from event"),
        ] {
            let name = format!("stxworx_rows_total{{table=\"{table}\"}}");
            #[expect(clippy::cast_precision_loss, reason = "a small number")]
            let rows = db.number(query).await as f64;
            assert_eq!(metric(&app, &name).await, rows, "{name}");
        }
        eventually("nothing to do", || async {
            let idle = metric(&app, "stxworx_stage{stage=\"idle\"}").await;
            if idle == 1.0 {
                Ok(())
            } else {
                Err(idle.to_string())
            }
        })
        .await;
        app.stop().await.unwrap();
        db.drop().await;
    });
}
