//! The books against a node at every block that moved money, with what comes of a difference; and who pays for mints.

use std::time::Duration;

use stxworx_clarity::market::Actor;
use stxworx_indexer::audit::NodeReader;
use stxworx_reconciler::ledger::keep::{self, Rules};
use stxworx_reconciler::ledger::proof;
use stxworx_reconciler::ledger::prover::{MOST, Prover, Round};

use super::faces::{FINALITY, Kept};
use crate::devnet::history::History;
use crate::devnet::node_source::Served;
use crate::support::chain::Engine;
use crate::support::db::TestDb;
use crate::support::run;

fn node(url: &str) -> NodeReader {
    NodeReader::new(url, Duration::from_secs(20)).unwrap()
}

fn prover(kept: &Kept) -> Prover {
    Prover::new(kept.db.pool.clone(), node(&kept.served.url), FINALITY)
}

fn assert_agree(round: &Round) {
    for proved in &round.proved {
        assert!(proved.agrees && proved.node.is_some(), "{proved:?}");
    }
}

/// Blocks of the canonical chain that moved money of somebody who holds it.
const TOUCHED: &str =
    "select count(distinct j.height) from live_event l join journal j on j.seq = l.seq";
const STORED: &str = "select count(distinct p.height) from ledger_proof p
    join block b on b.index_block_hash = p.index_block_hash join canonical c on c.block_id = b.id";

#[test]
fn every_block_that_moved_money_is_proved_and_too_many_at_once_are_left_to_the_newest() {
    run(async {
        let mut kept = Kept::new(71, 70).await;
        let mut prover = prover(&kept);
        assert_eq!(
            prover.round(true, true).await.unwrap().height,
            None,
            "nothing is booked"
        );
        kept.book().await;
        let first = prover.round(false, false).await.unwrap();
        assert_agree(&first);
        let touched = kept.db.number(TOUCHED).await;
        let most = i64::try_from(MOST).unwrap();
        assert!(touched > most, "{touched}");
        assert_eq!(i64::try_from(first.left_to_later).unwrap(), touched - most);
        assert_eq!(kept.db.number(STORED).await, most);
        let again = prover.round(false, false).await.unwrap();
        assert_eq!(again, Round::default(), "nothing moved since");
        // Little by little, as a daemon does: forks and all, no block that stays is left out.
        let begun = kept.db.number("select max(height) from ledger_proof").await;
        for _ in 0..24 {
            kept.grow(1).await;
            kept.book().await;
            assert_agree(&prover.round(false, false).await.unwrap());
        }
        let behind = format!("j.height > {begun}");
        let touched = kept.db.number(&format!("{TOUCHED} where {behind}")).await;
        let stored = format!(
            "select count(*) from (select distinct j.height, j.index_block_hash from live_event l
                 join journal j on j.seq = l.seq where {behind}
                 intersect select height, index_block_hash from ledger_proof) both_sides"
        );
        assert_eq!(kept.db.number(&stored).await, touched);
        assert!(touched > 10, "{touched}");
        let swept = prover.round(true, true).await.unwrap();
        assert_agree(&swept);
        assert!(
            swept.proved.len() >= 3,
            "escrow and treasury, STX and token: {swept:?}"
        );
        assert_eq!(kept.db.number("select count(*) from break").await, 0);
        println!(
            "{touched} blocks proved one by one, {} at once",
            first.proved.len()
        );
        kept.stop().await;
    });
}

#[test]
fn a_balance_that_differs_opens_a_break_and_ends_it_when_it_does_not_any_more() {
    run(async {
        let mut kept = Kept::new(72, 60).await;
        let at = kept.served.history.contracts();
        // A transfer that the mirror lost: the last gift to the escrow, or the last fee.
        kept.db
            .sql(format!(
                "create table lost as select e.* from event e join canonical c on c.block_id = e.block_id
                     join principal r on r.id = e.recipient
                     where e.kind = 2 and r.name = '{}' order by e.height desc limit 1;
                 delete from event e using lost l
                     where e.block_id = l.block_id and e.tx_index = l.tx_index and e.ordinal = l.ordinal",
                at.security
            ))
            .await;
        assert_eq!(kept.db.number("select count(*) from lost").await, 1);
        kept.book().await;
        let mut prover = prover(&kept);
        let round = prover.round(false, false).await.unwrap();
        assert!(
            round.proved.iter().any(|p| p.verdict() == "differs"),
            "{round:?}"
        );
        let open = "select string_agg(rule || ' ' || subject_kind || ' ' || what || ' ' || state, ', ' order by rule, what)
                    from break";
        let said = kept.db.text(open).await.unwrap();
        // A fee without its transfer stands in suspense, which is a break of its own.
        assert!(
            said.contains("E16 escrow balance open, F5 escrow suspense open"),
            "{said}"
        );
        // Nothing is booked of the treasury there: a sweep finds it.
        prover.round(true, true).await.unwrap();
        let said = kept.db.text(open).await.unwrap();
        assert!(said.contains("F5 treasury balance open"), "{said}");
        let amount = kept.db.text("select amount::text from lost").await;
        let at_risk = "select amount::text from break where rule = 'F5' and what = 'balance'";
        assert_eq!(kept.db.text(at_risk).await, amount, "to the last unit");
        let (code, shown, error) = kept.ledger(&["verify", "--node", &kept.served.url]).await;
        assert_eq!(code, 3, "{shown} {error}");

        kept.db.sql("insert into event select * from lost").await;
        let (code, _, error) = kept.ledger(&["book", "--again"]).await;
        assert_eq!(code, 0, "{error}");
        for _ in 0..6 {
            kept.grow(6).await;
            kept.book().await;
            prover.round(false, true).await.unwrap();
        }
        let live = "select count(*) from break where state <> 'resolved'";
        assert_eq!(
            kept.db.number(live).await,
            0,
            "{:?}",
            kept.db.text(open).await
        );
        let changes = "select string_agg(distinct change, ' ' order by change) from break_event where who = 'ledger'";
        assert_eq!(
            kept.db.text(changes).await.as_deref(),
            Some("opened resolved")
        );
        kept.stop().await;
    });
}

/// What a minter paid, whatever came of it, is what a node says is gone.
#[test]
fn a_minters_account_is_what_it_had_without_its_fees() {
    run(async {
        let minter = Actor::of("minter").principal().to_string();
        let mut kept = Kept::following(73, 90, std::slice::from_ref(&minter)).await;
        let rules = Rules {
            finality: FINALITY,
            fee_payers: vec![minter.clone()],
        };
        keep::catch_up(&kept.db.pool, rules.clone(), true)
            .await
            .unwrap();
        let fees = format!(
            "select coalesce(sum(p.amount), 0)::bigint from posting p join live_event l on l.seq = p.seq
             where p.account = 'minter:{minter}' and p.part = 'network_fee'"
        );
        let paid = kept.db.number(&fees).await;
        let told = "select coalesce(sum(t.fee), 0)::bigint from transaction t join canonical c on c.block_id = t.block_id
                    join principal p on p.id = coalesce(t.sponsor, t.sender) where p.name = ";
        assert_eq!(paid, kept.db.number(&format!("{told} '{minter}'")).await);
        assert!(paid > 0, "nobody was minted a badge");
        let held = format!(
            "select coalesce(sum(posted + pending), 0)::bigint from ledger_balance where account = 'minter:{minter}'"
        );
        let tip = kept.served.with(|h| h.chain.tip().header.id);
        let who = Actor::of("minter").principal();
        let has = kept.served.history.model(&tip).balance(&None, &who);
        assert_eq!(kept.db.number(&held).await, i64::try_from(has).unwrap());

        let asked = node(&kept.served.url);
        let proof = proof::prove(&kept.db.pool, Some(&asked), None)
            .await
            .unwrap();
        assert!(proof.holds(), "{proof:#?}");
        let of_minter = proof.holders.iter().find(|h| h.holder == minter).unwrap();
        // What it was given in the first block of the chain, the mirror has seen.
        assert_eq!(of_minter.opening, "0");
        assert_eq!(of_minter.node, Some(has.to_string()));
        let round = prover(&kept).round(true, true).await.unwrap();
        assert_agree(&round);
        assert!(round.proved.iter().any(|p| p.pair.0 == minter), "{round:?}");

        // Another setting: everything is looked at again, and only what is meant is booked otherwise.
        let (code, said, error) = kept.ledger(&["book"]).await;
        assert_eq!(code, 0, "{said} {error}");
        assert_eq!(kept.db.number(&fees).await, 0);
        keep::catch_up(&kept.db.pool, rules, true).await.unwrap();
        assert_eq!(kept.db.number(&fees).await, paid);
        super::assert_proved(&kept.db, &kept.served.history).await;
        kept.grow(1).await;
        kept.stop().await;
    });
}

/// A mirror that began late proves what moved since: what was there before is the opening.
#[test]
fn a_mirror_that_began_late_has_openings() {
    run(async {
        let mut served = Served::new(History::new(76, 140)).await;
        let said = served.with(|history| {
            history.grow(70);
            history.said()
        });
        let db = TestDb::new().await;
        let engine = Engine::start_with(&db, served.history.follow());
        let blocks = said.iter().filter(|e| e.path == "/new_block").count();
        let mut seen = 0;
        let late: Vec<_> = said
            .into_iter()
            .filter(|e| {
                seen += usize::from(e.path == "/new_block");
                e.path != "/new_block" || seen > blocks / 2
            })
            .collect();
        engine.feed(&db, &late).await;
        engine.stop().await;
        keep::catch_up(&db.pool, FINALITY, true).await.unwrap();
        assert!(db.number("select min(height) from canonical").await > 1);
        let asked = node(&served.url);
        let told = proof::prove(&db.pool, Some(&asked), None).await.unwrap();
        assert!(told.holders.iter().all(proof::Told::agrees), "{told:#?}");
        assert!(told.holders.iter().any(|h| h.opening != "0"), "{told:#?}");
        let mut prover = Prover::new(db.pool.clone(), asked, FINALITY);
        let round = prover.round(true, true).await.unwrap();
        assert!(round.proved.iter().any(|p| p.opening != "0"), "{round:?}");
        assert_agree(&round);
        db.drop().await;
    });
}

/// Nobody prunes the outbox; who tries does not come past what is booked.
#[test]
fn the_outbox_stays_until_it_is_booked() {
    run(async {
        let kept = Kept::new(74, 20).await;
        let lines = "select count(*) from outbox";
        let all = kept.db.number(lines).await;
        let pruned = |until: &str| {
            let sql = format!("delete from outbox where id <= {until}");
            let pool = kept.db.pool.clone();
            async move { sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&pool).await }
        };
        let refused = pruned("(select max(id) from outbox)").await.unwrap_err();
        assert!(refused.to_string().contains("is not booked"), "{refused}");
        assert_eq!(kept.db.number(lines).await, all);
        kept.book().await;
        kept.db
            .sql("update ledger_progress set outbox_watermark = outbox_watermark - 1")
            .await;
        assert!(pruned("(select max(id) from outbox)").await.is_err());
        pruned("(select outbox_watermark from ledger_progress)")
            .await
            .unwrap();
        assert_eq!(kept.db.number(lines).await, 1);
        let done = kept.book().await;
        assert_eq!(
            (done.booked, done.voided, done.reversed),
            (0, 0, 0),
            "{done:?}"
        );
        super::assert_proved(&kept.db, &kept.served.history).await;
        kept.stop().await;
    });
}
