//! The books over HTTP: the journal as it was when a walk began, statements, and tags that move with the books.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::Value as Json;
use stxworx::post::Order;
use stxworx_clarity::market::Actor;

use crate::devnet::history::History;
use crate::devnet::node_source::Served;
use crate::support::app::{App, config};
use crate::support::db::TestDb;
use crate::support::mirror::settled;
use crate::support::{eventually, run};
use crate::tools::{Reply, get, metric, output, stdout, stxworx};

struct Stage {
    served: Served,
    db: TestDb,
    app: App,
}

impl Stage {
    async fn new(seed: u64, steps: u32) -> Self {
        let served = Served::new(History::new(seed, steps + 60)).await;
        let follow = served.history.follow();
        let minter = Actor::of("minter").principal().to_string();
        let contracts = format!("{:?}", follow.contracts.iter().collect::<Vec<_>>());
        let principals = follow.principals.iter().chain([&minter]);
        let principals = format!("{:?}", principals.collect::<Vec<_>>());
        let config = config(&[
            ("follow.mirror", "\"followed\""),
            ("follow.contracts", &contracts),
            ("follow.principals", &principals),
            ("chain.finality_burn_blocks", "2"),
            ("node.rpc_url", &format!("{:?}", served.url)),
            ("ledger.fee_payers", &format!("[{minter:?}]")),
        ]);
        let db = TestDb::new().await;
        let app = App::start(&db, &config).await;
        let mut stage = Self { served, db, app };
        stage.grow(steps).await;
        stage
    }

    /// Grows the chain, and waits until all of it is booked and proved.
    async fn grow(&mut self, steps: u32) {
        let said = self.served.with(|history| {
            history.grow(steps);
            history.said()
        });
        self.app.post(said, Order::default()).await;
        settled(&self.db).await;
        eventually("booked, final and proved", || async {
            let left = self.db.number(
                "select (select count(*) from outbox where id > (select outbox_watermark from ledger_progress))
                      + (select count(*) from live_event l join journal j on j.seq = l.seq where l.pending
                         and j.burn_block_height <= (select max(height) from burn_block) - 2)
                      + (select h.count - p.proved_seq from ledger_head h, ledger_proof_progress p)",
            );
            match left.await {
                0 => Ok(()),
                left => Err(format!("{left} are left")),
            }
        })
        .await;
    }

    fn api(&self) -> SocketAddr {
        self.app.addresses.api.unwrap()
    }

    async fn ask(&self, path: &str) -> Json {
        let reply = get(self.api(), path).await;
        assert_eq!(reply.status(), 200, "{path}: {}", reply.text());
        reply.json()
    }

    /// Every booking, as the books are now.
    async fn whole(&self, order: &str) -> Vec<Json> {
        let path = format!("/v1/treasury/ledger?limit=200&order={order}");
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.ask(&format!("{path}{cursor}")).await;
            found.extend(rows(&page));
            match page["next_cursor"].as_str() {
                None => return found,
                Some(next) => cursor = format!("&cursor={next}"),
            }
        }
    }

    async fn conditional(&self, path: &str, etag: &str) -> Reply {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = tokio::net::TcpStream::connect(self.api()).await.unwrap();
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {etag}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        Reply::parse(&answer)
    }
}

fn rows(page: &Json) -> Vec<Json> {
    page["data"].as_array().unwrap().clone()
}

/// Journal numbers and states of a page.
fn states(rows: &[Json]) -> BTreeMap<i64, String> {
    let of = |row: &Json| (row["seq"].as_i64().unwrap(), row["state"].to_string());
    rows.iter().map(of).collect()
}

#[test]
fn a_walk_reads_the_books_of_its_first_page_whatever_is_booked_meanwhile() {
    run(async {
        let mut stage = Stage::new(81, 60).await;
        let before = stage.whole("asc").await;
        assert!(before.len() > 60, "{}", before.len());
        let pending = before.iter().filter(|r| r["state"] == "pending").count();
        assert!(pending > 0, "nothing changes later");
        for row in &before {
            let mut sums: BTreeMap<String, i128> = BTreeMap::new();
            for line in row["lines"].as_array().unwrap() {
                let amount: i128 = line["amount"].as_str().unwrap().parse().unwrap();
                let sign = if line["side"] == "debit" { 1 } else { -1 };
                *sums.entry(line["asset"].to_string()).or_default() += sign * amount;
            }
            assert!(sums.values().all(|sum| *sum == 0), "{row}");
        }
        for order in ["asc", "desc"] {
            let path = format!("/v1/treasury/ledger?limit=13&order={order}");
            let (mut walked, mut cursor) = (Vec::new(), String::new());
            let first = stage.ask(&path).await["books"].clone();
            let whole = stage.whole(order).await;
            loop {
                let page = stage.ask(&format!("{path}{cursor}")).await;
                assert_eq!(page["books"]["head"], first["head"]);
                walked.extend(rows(&page));
                match page["next_cursor"].as_str() {
                    None => break,
                    Some(next) => cursor = format!("&cursor={next}"),
                }
                if walked.len() == 13 {
                    stage.grow(9).await;
                }
            }
            assert_eq!(walked, whole, "{order}");
            let now = states(&stage.whole("asc").await);
            let then = states(&walked);
            assert!(
                now.iter()
                    .any(|(seq, state)| then.get(seq).is_some_and(|s| s != state))
            );
        }
        stage.app.stop().await.unwrap();
        stage.db.drop().await;
    });
}

#[test]
fn filters_tags_statements_and_figures_are_those_of_the_books() {
    run(async {
        let mut stage = Stage::new(82, 80).await;
        let logic = stage.served.history.contracts().logic.to_string();
        let sql = |what: &str| format!("select count(*) from ledger_booking b where {what}");
        let with = |what: &str| {
            sql(&format!(
                "exists (select from posting p where p.seq = b.seq and {what})"
            ))
        };
        let cases = [
            ("kind=settlement", sql("kind = 'settlement'")),
            ("state=void", sql("state = 'void'")),
            ("account=treasury:", with("p.account like 'treasury:%'")),
            (
                "asset=stx&account=minter:",
                with("p.account like 'minter:%' and p.asset = 'STX'"),
            ),
            (&*format!("contract={logic}&project=2"), sql("project = 2")),
            (
                "from_height=20&to_height=30",
                sql("height between 20 and 30"),
            ),
        ];
        for (query, counted) in cases {
            let page = stage
                .ask(&format!("/v1/treasury/ledger?limit=200&{query}"))
                .await;
            let expected = stage.db.number(&counted).await;
            assert!(expected > 0, "{query}");
            assert_eq!(
                i64::try_from(rows(&page).len()).unwrap(),
                expected.min(200),
                "{query}"
            );
        }
        for wrong in [
            "kind=fee",
            "state=open",
            "period=x",
            "project=-1",
            "asset=gold",
            "cursor=AAAA",
        ] {
            let reply = get(stage.api(), &format!("/v1/treasury/ledger?{wrong}")).await;
            assert_eq!(reply.status(), 400, "{wrong}: {}", reply.text());
        }

        let path = "/v1/treasury/ledger?limit=1";
        let etag = get(stage.api(), path)
            .await
            .header("etag")
            .unwrap()
            .to_owned();
        assert_eq!(stage.conditional(path, &etag).await.status(), 304);
        // A journal more, and the tip stays: the tag is another.
        let count = stage.db.number("select count from ledger_head").await;
        stage
            .db
            .sql("update ledger_progress set booked_height = booked_height - 1")
            .await;
        assert_eq!(stage.conditional(path, &etag).await.status(), 200);
        assert_eq!(
            stage.db.number("select count from ledger_head").await,
            count
        );
        stage.grow(1).await;

        let ledger = |arguments: &[&str]| {
            let mut all = vec!["ledger"];
            all.extend(arguments);
            let mut command = stxworx(&all);
            command.env("DATABASE_URL", &stage.db.url);
            command.env("STXWORX_CHAIN_FINALITY_BURN_BLOCKS", "2");
            output(command)
        };
        let open = stage.ask("/v1/treasury/statements/open").await;
        assert!(open["data"]["closed"].is_null());
        let shown = stdout(&ledger(&["statement", "--output", "json"]).await);
        let shown: Json = serde_json::from_str(&shown).unwrap();
        assert_eq!(open["data"]["statement"], shown);
        assert_eq!(
            get(stage.api(), "/v1/treasury/statements/1").await.status(),
            404
        );
        let until = stage.db.number(
            "select max(c.height) from canonical c join block b on b.id = c.block_id
             where b.burn_block_height <= (select max(height) from burn_block) - 2",
        );
        let until = until.await.to_string();
        let closed = ledger(&[
            "close",
            "--until",
            &until,
            "--node",
            &stage.served.url,
            "--yes",
        ])
        .await;
        assert_eq!(
            closed.status.code(),
            Some(0),
            "{}",
            crate::tools::stderr(&closed)
        );
        let list = stage.ask("/v1/treasury/statements").await;
        assert_eq!(list["data"][0]["period"], 1);
        assert_eq!(list["books"]["periods"], 1);
        let one = stage.ask("/v1/treasury/statements/1").await;
        assert_eq!(one["data"]["closed"], list["data"][0]);
        let shown = stdout(&ledger(&["statement", "--period", "1", "--output", "json"]).await);
        let shown: Json = serde_json::from_str(&shown).unwrap();
        assert_eq!(one["data"]["statement"], shown);
        assert!(!shown["fees"].as_array().unwrap().is_empty());
        let of_period = stage.ask("/v1/treasury/ledger?period=1&limit=200").await;
        assert!(
            rows(&of_period)
                .iter()
                .all(|r| r["period"] == 1 && r["state"] == "posted")
        );
        assert!(!rows(&of_period).is_empty());

        let page = get(stage.api(), "/v1/treasury/statements/1?format=html").await;
        assert_eq!(
            page.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        let policy = page.header("content-security-policy").unwrap();
        assert!(
            policy.contains("default-src 'none'; style-src 'sha256-"),
            "{policy}"
        );
        let seal = one["data"]["closed"]["seal"].as_str().unwrap();
        let html = page.text();
        assert!(html.contains(seal) && html.contains("<svg"), "{html}");
        if let Ok(folder) = std::env::var("STXWORX_KEEP_PAGE") {
            std::fs::write(std::path::Path::new(&folder).join("statement.html"), html).unwrap();
        }

        let dao = stage.ask("/v1/treasury/dao").await;
        let told = stdout(&ledger(&["dao", "--output", "json"]).await);
        let told: Json = serde_json::from_str(&told).unwrap();
        for part in [
            "treasuries",
            "by_day",
            "by_category",
            "by_client",
            "budgets",
            "actions",
        ] {
            assert_eq!(dao["data"][part], told[part], "{part}");
            assert!(!told[part].as_array().unwrap().is_empty(), "{part}");
        }
        let reply = get(stage.api(), "/v1/treasury/dao?from=2000-01-01").await;
        // Earlier than a year before the last day is a year before it, and the answer says so.
        assert_eq!(reply.json()["data"]["from"], dao["data"]["from"]);

        let agrees = metric(
            &stage.app,
            "stxworx_ledger_proofs_total{verdict=\"agrees\"}",
        )
        .await;
        assert!(agrees > 10.0, "{agrees}");
        for quiet in [
            "stxworx_ledger_proofs_total{verdict=\"differs\"}",
            "stxworx_ledger_differing_balances",
        ] {
            assert_eq!(metric(&stage.app, quiet).await, 0.0, "{quiet}");
        }
        stage.app.stop().await.unwrap();
        stage.db.drop().await;
    });
}
