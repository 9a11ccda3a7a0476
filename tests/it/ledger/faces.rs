//! The books as an operator meets them: proofs with a node, harms that are named, periods that are closed.

use serde_json::Value as Json;
use stxworx::post::Order;
use stxworx_indexer::audit::NodeReader;
use stxworx_reconciler::ledger::{keep, proof};

use crate::devnet::history::History;
use crate::devnet::node_source::Served;
use crate::support::app::{App, config};
use crate::support::chain::Engine;
use crate::support::db::TestDb;
use crate::support::mirror::settled;
use crate::support::{eventually, run};
use crate::tools::{metric, output, stderr, stdout, stxworx};

/// So that most of a short chain is final.
pub(super) const FINALITY: u32 = 2;

pub(super) struct Kept {
    pub served: Served,
    pub db: TestDb,
    engine: Engine,
}

impl Kept {
    pub async fn new(seed: u64, steps: u32) -> Self {
        Self::following(seed, steps, &[]).await
    }

    /// Follows these principals, too.
    pub async fn following(seed: u64, steps: u32, principals: &[String]) -> Self {
        let served = Served::new(History::new(seed, steps + 60)).await;
        let db = TestDb::new().await;
        let mut follow = served.history.follow();
        follow.principals.extend(principals.iter().cloned());
        let engine = Engine::start_final(&db, follow, FINALITY);
        let mut kept = Self { served, db, engine };
        kept.grow(steps).await;
        kept
    }

    pub async fn grow(&mut self, steps: u32) {
        let said = self.served.with(|history| {
            history.grow(steps);
            history.said()
        });
        self.engine.feed(&self.db, &said).await;
    }

    pub async fn book(&self) -> keep::Step {
        keep::catch_up(&self.db.pool, FINALITY, true).await.unwrap()
    }

    /// `stxworx ledger` with these arguments: exit code, output, errors. Its configuration says nothing of finality: what
    /// counts is what the process that writes noted.
    pub async fn ledger(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut all = vec!["ledger"];
        all.extend(arguments);
        let mut command = stxworx(&all);
        command.env("DATABASE_URL", &self.db.url);
        let done = output(command).await;
        (done.status.code().unwrap(), stdout(&done), stderr(&done))
    }

    /// As the owner, past every guard.
    async fn by_force(&self, statements: &str) {
        let tables = [
            "journal",
            "posting",
            "ledger_head",
            "live_event",
            "period_seal",
        ];
        let all = |what: &str| {
            tables
                .map(|t| format!("alter table {t} {what} trigger all;"))
                .concat()
        };
        let again = "do $$ declare g record; begin for g in select tgrelid::regclass as r, tgname from pg_trigger
                where not tgisinternal and tgrelid::regclass::text in ('journal','posting','ledger_head','live_event','period_seal')
            loop execute format('alter table %s enable always trigger %I', g.r, g.tgname); end loop; end $$;";
        let enabled = all("enable");
        let sql = format!(
            "begin; {} {statements}; {enabled} {again} commit;",
            all("disable")
        );
        self.db.sql(sql).await;
    }

    pub async fn stop(self) {
        self.engine.stop().await;
        self.db.drop().await;
    }
}

#[test]
fn the_books_are_what_a_node_says_and_every_harm_to_them_is_named() {
    run(async {
        let kept = Kept::new(61, 60).await;
        kept.book().await;
        let node = NodeReader::new(&kept.served.url, std::time::Duration::from_secs(20)).unwrap();
        let proof = proof::prove(&kept.db.pool, Some(&node), None)
            .await
            .unwrap();
        assert!(proof.holds(), "{proof:#?}");
        assert!(
            proof.projects_compared > 5 && proof.holders.len() >= 3,
            "{proof:#?}"
        );
        assert!(proof.holders.iter().all(|h| h.node.is_some()), "{proof:#?}");

        let url = kept.served.url.clone();
        let verify = ["verify", "--node", url.as_str()];
        let (code, said, error) = kept.ledger(&verify).await;
        assert_eq!(code, 0, "{said} {error}");
        assert!(
            said.contains("every hash follows") && said.contains(": agree\n"),
            "{said}"
        );

        let of = |kind: &str| format!("(select max(seq) from journal where kind = '{kind}')");
        let deposit = kept.db.number(&of("deposit")).await;
        let change = |sign: char| {
            format!("update posting set amount = amount {sign} 1 where seq = {deposit}")
        };
        kept.by_force(&change('+')).await;
        let (code, said, _) = kept.ledger(&verify).await;
        assert_eq!(code, 3, "{said}");
        assert!(
            said.contains(&format!("journal {deposit} was edited")),
            "{said}"
        );
        assert!(
            said.contains("1 faults") && said.contains("DIFFER"),
            "{said}"
        );
        kept.by_force(&change('-')).await;

        kept.by_force(&format!(
            "create table kept_j as select * from journal where seq = {deposit};
             create table kept_p as select * from posting where seq = {deposit};
             delete from posting where seq = {deposit}; delete from journal where seq = {deposit}"
        ))
        .await;
        let (code, said, _) = kept.ledger(&verify).await;
        assert_eq!(code, 3, "{said}");
        assert!(
            said.contains(&format!("journal {deposit} is missing")),
            "{said}"
        );
        kept.by_force("insert into journal select * from kept_j; insert into posting select * from kept_p; drop table kept_j, kept_p")
            .await;
        assert_eq!(kept.ledger(&verify).await.0, 0);

        let count = kept.db.number("select count from ledger_head").await;
        kept.by_force(&format!("delete from posting where seq > {count} - 3; delete from journal where seq > {count} - 3"))
            .await;
        let (code, said, _) = kept.ledger(&["verify", "--output", "json"]).await;
        assert_eq!(code, 3, "{said}");
        let report: Json = serde_json::from_str(&said).unwrap();
        assert_eq!(report["faults"][0]["what"], "truncated", "{said}");
        assert_eq!(report["faults"][0]["count"], count);
        assert_eq!(report["faults"][0]["last"], count - 3);
        kept.stop().await;
    });
}

/// A holder's balance in a statement's JSON, `opening` or `closing`.
fn at(statement: &Json, holder: &str, end: &str) -> String {
    let balances = statement["balances"].as_array().unwrap().iter();
    let found = balances.filter(|b| b["holder"] == holder && b["asset"] == "STX");
    found
        .map(|b| b[end].as_str().unwrap().to_owned())
        .next()
        .unwrap_or("0".to_owned())
}

#[test]
fn periods_are_closed_over_what_is_final_and_a_later_discovery_goes_to_the_open_one() {
    run(async {
        let mut kept = Kept::new(62, 60).await;
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(file("key"), "11".repeat(32)).unwrap();
        let treasury = format!("treasury:{}", kept.served.history.contracts().security);
        let logic = kept.served.history.contracts().logic.to_string();

        let final_height = "select max(height) from canonical_block where burn_block_height <= (select max(height) from burn_block) - 2";
        let until = kept.db.number(final_height).await.to_string();
        // A gift that the mirror does not have yet, and a fee without its transfer.
        let hidden = format!(
            "select e.* from event e join canonical c on c.block_id = e.block_id join principal r on r.id = e.recipient
             where e.kind = 2 and e.height <= {until} and r.name in ('{logic}', '{}')
               and not exists (select from event p where p.block_id = e.block_id and p.tx_index = e.tx_index and p.kind = 1)
             order by e.height limit 1",
            treasury.trim_start_matches("treasury:")
        );
        let fee = format!(
            "select e.* from event e join canonical c on c.block_id = e.block_id join principal s on s.id = e.sender
             join principal r on r.id = e.recipient
             where e.kind = 2 and e.height <= {until} and s.name = '{logic}' and r.name = '{}' order by e.height limit 1",
            treasury.trim_start_matches("treasury:")
        );
        kept.db
            .sql(format!(
                "create table hidden as {hidden}; create table fee as {fee}"
            ))
            .await;
        assert_eq!(
            kept.db.number("select count(*) from hidden").await,
            1,
            "a gift"
        );
        assert_eq!(kept.db.number("select count(*) from fee").await, 1, "a fee");
        let of = |table: &str| {
            format!(
                "delete from event e using {table} h where e.block_id = h.block_id and e.tx_index = h.tx_index and e.ordinal = h.ordinal;"
            )
        };
        kept.db.sql(of("hidden") + &of("fee")).await;
        let (code, _, error) = kept.ledger(&["close", "--until", &until]).await;
        assert!(code == 1 && error.contains("not booked"), "{error}");
        let (code, said, error) = kept.ledger(&["verify"]).await;
        assert!(
            code == 1 && said.contains("not compared") && error.contains("not booked"),
            "{said} {error}"
        );
        kept.book().await;

        let close = ["close", "--until", until.as_str(), "--yes"];
        let (code, _, error) = kept.ledger(&close).await;
        assert!(
            code == 1 && error.contains("--account suspense:"),
            "{error}"
        );
        let (_, said, _) = kept.ledger(&["journal", "--account", "suspense:"]).await;
        assert!(said.contains("has no transfer"), "{said}");
        // The fee's transfer turns up: what was posted is reversed, and booked again.
        kept.db.sql("insert into event select * from fee").await;
        let (code, said, error) = kept.ledger(&["book", "--again"]).await;
        assert!(
            code == 0 && said.contains(" 1 booked, 1 posted, 0 void, 1 reversed"),
            "{said} {error}"
        );

        let (code, said, error) = kept.ledger(&["close", "--until", &until]).await;
        assert_eq!(code, 0, "{error}");
        assert!(said.contains("nothing was closed; add --yes"), "{said}");
        let (code, _, error) = kept
            .ledger(&[
                "close",
                "--until",
                &until,
                "--node",
                &kept.served.url,
                "--yes",
            ])
            .await;
        assert!(
            code == 1 && error.contains("the books differ from the chain"),
            "the node knows of the gift: {error}"
        );
        let mut sealed = close.to_vec();
        let (seal, key) = (file("seal.json"), file("key"));
        sealed.extend(["--out", &seal, "--key", &key]);
        let (code, said, error) = kept.ledger(&sealed).await;
        assert!(
            code == 0 && said.contains("period 1 is closed; seal 0x"),
            "{said} {error}"
        );
        let (code, _, error) = kept.ledger(&sealed).await;
        assert!(code == 1 && error.contains("not written over"), "{error}");
        let (code, _, error) = kept.ledger(&close).await;
        assert!(
            code == 1 && error.contains("is in a closed period"),
            "{error}"
        );
        let (_, first, _) = kept
            .ledger(&["statement", "--period", "1", "--output", "json"])
            .await;
        let first: Json = serde_json::from_str(&first).unwrap();
        assert_eq!(at(&first, &treasury, "opening"), "0");
        assert!(!first["fees"].as_array().unwrap().is_empty());

        // The gift turns up, below a closed height.
        kept.db.sql("insert into event select * from hidden").await;
        let (code, said, _) = kept.ledger(&["book", "--again"]).await;
        assert!(code == 0 && said.contains(" 1 booked, 1 posted"), "{said}");
        let (_, again, _) = kept
            .ledger(&["statement", "--period", "1", "--output", "json"])
            .await;
        assert_eq!(
            serde_json::from_str::<Json>(&again).unwrap(),
            first,
            "a closed period stays"
        );
        let (_, open, _) = kept.ledger(&["statement", "--output", "json"]).await;
        let open: Json = serde_json::from_str(&open).unwrap();
        let transfers = open["flows"].as_array().unwrap().iter();
        assert!(
            transfers.filter(|f| f["part"] == "transfer").count() > 0,
            "{open}"
        );

        kept.grow(40).await;
        kept.book().await;
        let until = kept.db.number(final_height).await.to_string();
        let url = kept.served.url.clone();
        let (code, said, error) = kept
            .ledger(&["close", "--until", &until, "--node", &url, "--yes"])
            .await;
        assert!(
            code == 0 && said.contains("period 2 is closed"),
            "{said} {error}"
        );
        let (_, second, _) = kept
            .ledger(&["statement", "--period", "2", "--output", "json"])
            .await;
        let second: Json = serde_json::from_str(&second).unwrap();
        for holder in [treasury.clone(), format!("escrow:{logic}")] {
            assert_eq!(
                at(&first, &holder, "closing"),
                at(&second, &holder, "opening"),
                "{holder}"
            );
        }
        let (_, said, error) = kept.ledger(&["close", "--until", "999999"]).await;
        assert!(
            error.contains("no canonical block is at height 999999"),
            "{said} {error}"
        );
        let tip = kept
            .db
            .number("select max(height) from canonical")
            .await
            .to_string();
        let (_, _, error) = kept.ledger(&["close", "--until", &tip]).await;
        assert!(error.contains("final from 2 on"), "{error}");

        let (code, said, error) = kept
            .ledger(&["verify", "--node", &url, "--seal", &seal])
            .await;
        assert_eq!(code, 0, "{said} {error}");
        let text = std::fs::read_to_string(&seal).unwrap();
        std::fs::write(
            &seal,
            text.replacen("\"head_count\": ", "\"head_count\": 1", 1),
        )
        .unwrap();
        let (code, said, _) = kept.ledger(&["verify", "--seal", &seal]).await;
        assert!(
            code == 3 && said.contains("its seal is not over what it holds"),
            "{said}"
        );
        kept.by_force("update period_seal set until_time = until_time + 1 where number = 1")
            .await;
        let (code, said, _) = kept.ledger(&["verify"]).await;
        assert!(
            code == 3 && said.contains("the seal of period 1: the period was edited"),
            "{said}"
        );
        kept.stop().await;
    });
}

/// The process that writes the mirror keeps its books, without being asked, and tells how they stand.
#[test]
fn a_daemon_keeps_the_books() {
    run(async {
        let mut history = History::new(64, 40);
        history.grow(40);
        let follow = history.follow();
        let contracts = format!("{:?}", follow.contracts.iter().collect::<Vec<_>>());
        let principals = format!("{:?}", follow.principals.iter().collect::<Vec<_>>());
        let config = config(&[
            ("follow.mirror", "\"followed\""),
            ("follow.contracts", &contracts),
            ("follow.principals", &principals),
            ("chain.finality_burn_blocks", "2"),
        ]);
        let db = TestDb::new().await;
        let app = App::start(&db, &config).await;
        app.post(history.said(), Order::default()).await;
        settled(&db).await;
        eventually("booked and final", || async {
            let last = metric(&app, "stxworx_ledger_last_journal").await;
            let unbooked = db.number("select count(*) from outbox where id > (select outbox_watermark from ledger_progress)").await;
            let ripe = db.number(
                "select count(*) from live_event l join journal j on j.seq = l.seq where l.pending
                     and j.burn_block_height <= (select max(height) from burn_block) - 2");
            let (ripe, count) = (ripe.await, db.number("select count from ledger_head").await);
            #[expect(clippy::cast_precision_loss, reason = "a small number")]
            let told = last == count as f64;
            if unbooked == 0 && ripe == 0 && count > 20 && told { Ok(()) } else { Err(format!("{last} {unbooked} {ripe} {count}")) }
        })
        .await;
        let posted = metric(&app, "stxworx_ledger_bookings_total{act=\"posted\"}").await;
        let pending = metric(&app, "stxworx_ledger_pending_bookings").await;
        let booked = metric(&app, "stxworx_ledger_bookings_total{act=\"booked\"}").await;
        assert!(
            posted > 0.0 && booked >= posted + pending,
            "{booked} {posted} {pending}"
        );
        assert_eq!(metric(&app, "stxworx_ledger_failures_total").await, 0.0);
        assert_eq!(metric(&app, "stxworx_ledger_suspense_accounts").await, 0.0);
        app.stop().await.unwrap();
        super::assert_proved(&db, &history).await;
        db.drop().await;
    });
}

#[test]
fn balances_and_journal_are_shown() {
    run(async {
        let kept = Kept::new(63, 30).await;
        let (code, said, error) = kept.ledger(&["book"]).await;
        assert!(code == 0 && said.contains(" booked, "), "{said} {error}");
        let (_, said, _) = kept.ledger(&["balances", "--account", "escrow:"]).await;
        let first = said.lines().next().unwrap();
        assert!(
            first.starts_with("escrow:ST") && first.contains(" STX"),
            "{said}"
        );
        let (_, said, _) = kept.ledger(&["balances", "--output", "json"]).await;
        let balances: Json = serde_json::from_str(&said).unwrap();
        assert!(balances.as_array().unwrap().len() > 3);
        let (_, said, _) = kept
            .ledger(&["journal", "--limit", "2", "--output", "json"])
            .await;
        let journal: Json = serde_json::from_str(&said).unwrap();
        assert_eq!(journal.as_array().unwrap().len(), 2);
        assert!(journal[0]["lines"].as_array().unwrap().len() >= 2);
        for format in ["csv", "hledger", "beancount"] {
            let (code, said, error) = kept.ledger(&["export", "--format", format]).await;
            assert!(code == 0 && said.len() > 1_000, "{format}: {error}");
        }
        let (_, _, error) = kept.ledger(&["close", "--until", "1969-12-31"]).await;
        assert!(
            error.contains("no block up to the end of 1969-12-31"),
            "{error}"
        );
        // The last block of a day to come is the newest one.
        let tip = kept.db.number("select max(height) from canonical").await;
        let by_day = kept.ledger(&["close", "--until", "2999-12-31"]).await;
        assert_eq!(
            by_day,
            kept.ledger(&["close", "--until", &tip.to_string()]).await
        );
        let (code, _, error) = kept.ledger(&["close", "--until", "soon"]).await;
        assert!(
            code == 1 && error.contains("write 120 or 2026-11-30"),
            "{error}"
        );
        kept.stop().await;
    });
}
