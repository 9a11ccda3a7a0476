//! The minter as a process of its own dies at every place that it has: before and behind each call of each port, among
//! them each commit. Beside it a devnet forks, and its node lies, loses, and answers 200 without storing. In the end every
//! award has its badge, and no place made two.

use std::time::Duration;

use nix::sys::signal::Signal;
use stxworx::daemon::Role;
use stxworx::devnet::{Devnet, Dials, RpcFaults};
use stxworx_clarity::market::Actor;
use stxworx_indexer::store::mint::act::{self, Acted, Wish};
use stxworx_indexer::store::mint::intent::{self, NewAward};
use stxworx_indexer::store::mint::{LaneRef, Written, pause};
use stxworx_reconciler::mint::crash::{Call, LAST_WORDS, Point, VARIABLE, When};
use stxworx_reconciler::mint::ports::Signer as _;
use tokio_util::sync::CancellationToken;

use super::ended::{everything_that_was_earned, minted, never_twice, on_the_chain, story};
use super::live::{indexer, minter, start};
use crate::mint_tx;
use crate::support::app::App;
use crate::support::db::TestDb;
use crate::support::{eventually, run};
use crate::tools::Daemon;

/// Calls that every day has: a pair of twins dies at them in turn. The others want a scene of their own.
const DAILY: [Call; 20] = [
    Call::Book,
    Call::Known,
    Call::Look,
    Call::Account,
    Call::Fee,
    Call::Preflight,
    Call::Mempool,
    Call::Untold,
    Call::Lease,
    Call::NoteAccount,
    Call::UpsertAward,
    Call::Reserve,
    Call::Sign,
    Call::RecordAttempt,
    Call::Submit,
    Call::RecordSend,
    Call::Observe,
    Call::Finish,
    Call::Tell,
    Call::Told,
];

/// What a run dies at that is not asked for more: a third, around what costs money. `STXWORX_MINT_CRASHES=all` asks.
const THIRD: [Call; 11] = [
    Call::OpenLane,
    Call::Lease,
    Call::UpsertAward,
    Call::Reserve,
    Call::Sign,
    Call::RecordAttempt,
    Call::Submit,
    Call::RecordSend,
    Call::Observe,
    Call::Finish,
    Call::Told,
];

const SIDES: [When; 2] = [When::Before, When::After];

fn dials() -> Dials {
    Dials {
        seed: 4,
        block_interval: Duration::from_millis(25),
        fork_every: 12,
        fork_depth: 3,
        minter_apart: true,
        faults: RpcFaults {
            swallowed_percent: 10,
            lost_percent: 5,
            unanswered_percent: 5,
            failed_percent: 5,
            absurd_fees_percent: 10,
        },
        ..Dials::default()
    }
}

/// A chain that is often no higher at the node than in the mirror. What a node says of nonces counts only then.
fn slow() -> Dials {
    Dials {
        block_interval: Duration::from_millis(400),
        hurry_to: 60,
        fork_every: 0,
        minter_apart: true,
        ..Dials::default()
    }
}

/// What is played, and where somebody died.
struct Play {
    db: TestDb,
    app: App,
    cancel: CancellationToken,
    node: String,
    devnet: Devnet,
    key: Actor,
    deaths: Vec<Point>,
    /// The transaction of the key that was made by hand, and its nonce.
    by_hand: Option<(u64, String)>,
}

fn at(call: Call, when: When) -> Point {
    Point { call, when, nth: 1 }
}

impl Play {
    async fn begin(dials: Dials) -> Self {
        let db = TestDb::new().await;
        let app = App::try_start(&db.url, &indexer(), &[Role::Indexer])
            .await
            .unwrap();
        let cancel = CancellationToken::new();
        let devnet = start(&app, dials, &cancel).await;
        Self {
            node: format!("http://{}", devnet.rpc),
            db,
            app,
            cancel,
            devnet,
            key: Actor::of("minter"),
            deaths: Vec::new(),
            by_hand: None,
        }
    }

    async fn end(mut self) {
        self.cancel.cancel();
        self.devnet.wait().await.unwrap();
        self.app.stop().await.unwrap();
        self.db.drop().await;
    }

    fn spawn(&self, point: Option<Point>, settings: &[(&str, &str)]) -> Daemon {
        let mut command = minter(&self.db, &self.node);
        command.env("STXWORX_MINT_FEE_BUDGET_PER_DAY", "1000000000");
        // A node that makes blocks on a busy machine answers between two of them.
        command.env("STXWORX_NODE_TIMEOUT_MS", "3000");
        // Less than the noop that is made by hand: a node keeps the dearer one of two.
        command.env("STXWORX_MINT_FEE_CAP", "40000");
        // The log's last words are read.
        command.env("STXWORX_LOG_LEVEL", "warn");
        for (name, value) in settings {
            command.env(name, value);
        }
        if let Some(point) = point {
            command.env(VARIABLE, point.to_string());
        }
        Daemon::spawn(command)
    }

    /// Waits until one of these is dead, and sees that it died where it should.
    async fn one_dies(&mut self, living: &mut Vec<(Point, Daemon)>) -> Point {
        let names: Vec<String> = living.iter().map(|(p, _)| p.to_string()).collect();
        let what = format!("a death at {}", names.join(" or "));
        let shared = std::cell::RefCell::new(&mut *living);
        let (place, code) = eventually(&what, || async {
            let dead = {
                let mut living = shared.borrow_mut();
                let mut all = living.iter_mut().enumerate();
                all.find_map(|(i, (_, daemon))| daemon.try_ended().map(|code| (i, code)))
            };
            match dead {
                Some(dead) => Ok(dead),
                None => Err(story(&self.db).await),
            }
        })
        .await;
        let (point, daemon) = living.remove(place);
        let here = format!("at={}:{}", point.call.as_str(), point.when.as_str());
        let said = daemon.lines().join("\n");
        assert_eq!(code, None, "it was to be killed {here}, and ended: {said}");
        let last = daemon.says(LAST_WORDS).await;
        assert!(last.contains(&here), "{last}");
        println!(
            "{point} at height {}",
            self.devnet.chain.lock().tip().header.height
        );
        self.nothing_is_out_that_is_not_stored(point).await;
        self.deaths.push(point);
        // The dead renews nothing; a lease that ran out is taken at once.
        self.db
            .sql("update mint_lane set expires_at = clock_timestamp()")
            .await;
        point
    }

    /// What the dead had sent is known to whoever comes next.
    async fn nothing_is_out_that_is_not_stored(&self, point: Point) {
        let by_node = {
            let chain = self.devnet.chain.lock();
            chain.next_nonce(&self.key.principal())
        };
        let stored = "select coalesce(max(nonce) + 1, 0) from tx_attempt";
        let stored = u64::try_from(self.number(stored).await).unwrap();
        let by_hand = self.by_hand.as_ref().map_or(0, |(nonce, _)| nonce + 1);
        assert!(
            by_node <= stored.max(by_hand),
            "{point}: a node has nonce {} of the key, and only those below {stored} are stored",
            by_node - 1
        );
    }

    /// A process alone, which dies here.
    async fn dies(&mut self, call: Call, when: When, settings: &[(&str, &str)]) {
        let point = at(call, when);
        let mut alone = vec![(point, self.spawn(Some(point), settings))];
        self.one_dies(&mut alone).await;
    }

    /// One dies before it, and one behind it.
    async fn die(&mut self, call: Call) {
        for when in SIDES {
            self.dies(call, when, &[]).await;
        }
    }

    /// Two processes at a time: when one dies, the other goes on to where it is to die, and a third one comes.
    async fn die_in_turn(&mut self, points: Vec<Point>) {
        let mut next = points.into_iter();
        let mut living = Vec::new();
        loop {
            while living.len() < 2
                && let Some(point) = next.next()
            {
                let daemon = self.spawn(Some(point), &[]);
                living.push((point, daemon));
            }
            if living.is_empty() {
                return;
            }
            self.one_dies(&mut living).await;
        }
    }

    async fn number(&self, query: &str) -> i64 {
        self.db.number(query).await
    }

    /// The lane's first nonce is one that a node invented: it is found out, and taken back.
    async fn a_lane_begins_too_high(&mut self) {
        self.dies(Call::OpenLane, When::Before, &[]).await;
        self.db
            .sql("update mint_lane set base_nonce = 7, next_nonce = 7 where base_nonce is null")
            .await;
        assert_eq!(self.number("select base_nonce from mint_lane").await, 7);
        self.die(Call::NoteUnexplained).await;
        self.db
            .sql("update mint_lane set unexplained_since = now() - interval '1 hour'")
            .await;
        self.die(Call::LowerBase).await;
        assert_eq!(self.number("select base_nonce from mint_lane").await, 0);
    }

    /// The intent of a slot in which nothing is signed.
    async fn reserved(&mut self) -> i64 {
        self.dies(Call::Reserve, When::After, &[]).await;
        let newest =
            "select intent_id from nonce_slot where state = 'reserved' and intent_id is not null
                      order by nonce desc limit 1";
        self.number(newest).await
    }

    /// The day's fees are spent, and then they are not.
    async fn a_budget_ends(&mut self) {
        self.reserved().await;
        let poor = [("STXWORX_MINT_FEE_BUDGET_PER_DAY", "1000")];
        for when in SIDES {
            self.dies(Call::Pause, when, &poor).await;
        }
        self.die(Call::Resume).await;
    }

    /// An intent is called off while it has a slot, and taken up again after it was let go.
    async fn an_operator_changes_his_mind(&mut self) {
        let intent = self.reserved().await;
        let wish = |wish| act::act(&self.db.pool, intent, wish, "ann", "a test", true);
        let acted = wish(Wish::Cancel).await.unwrap();
        assert_eq!(acted, Acted::Done("submitting".to_owned()));
        self.die(Call::LetGo).await;
        let wish = |wish| act::act(&self.db.pool, intent, wish, "ann", "a test", true);
        let acted = wish(Wish::Retry).await.unwrap();
        assert_eq!(acted, Acted::Done("queued".to_owned()));
        // As if it had not been earned for a while.
        let held = format!(
            "update mint_intent set state = 'held', reason = 'not_earned' where id = {intent}"
        );
        self.db.sql(held).await;
        self.die(Call::MoveIntent).await;
    }

    /// A noop of the key's that no slot knows, as after the loss of a database.
    async fn a_nonce_is_found_used(&mut self) {
        let next = format!(
            "select next_nonce from mint_lane where sender = '{}'",
            self.key.address
        );
        let nonce = u64::try_from(self.number(&next).await).unwrap();
        let signed = mint_tx::minter()
            .sign(&mint_tx::noop(nonce, 50_000))
            .await
            .unwrap();
        self.devnet.chain.lock().submit(&signed.bytes).unwrap();
        self.by_hand = Some((nonce, hex::encode(signed.txid.as_bytes())));
        self.die(Call::Adopt).await;
    }

    /// The chain leaves what had been final: bytes that were stored and never sent count as a mint that was.
    async fn what_was_final_is_left(&mut self) {
        let unsent = "select count(*) from nonce_slot s join tx_attempt a using (sender, nonce)
                      where s.state = 'live' and s.by_txid is null and a.kind = 'mint'
                        and not exists (select from tx_send t where t.txid = a.txid)";
        // What was signed last may be a noop.
        loop {
            self.dies(Call::RecordAttempt, When::After, &[]).await;
            if self.number(unsent).await > 0 {
                break;
            }
        }
        self.db
            .sql(
                "begin;
                 create temporary table left_one on commit drop as
                     select s.sender, s.nonce, s.intent_id, a.txid,
                            (select max(height) from burn_block) as known, (select max(height) from canonical) as tip
                     from nonce_slot s join tx_attempt a using (sender, nonce)
                     where s.state = 'live' and s.by_txid is null and a.kind = 'mint'
                       and not exists (select from tx_send t where t.txid = a.txid)
                     order by s.nonce desc limit 1;
                 update nonce_slot s set state = 'consumed', minted = true, by_txid = l.txid,
                     by_block = decode(repeat('b0', 32), 'hex'), by_height = l.tip - 30, by_burn_height = l.known - 9,
                     by_verdict = '{\"verdict\": \"success\", \"badge\": 9999}', seen_burn_height = l.known
                 from left_one l where (s.sender, s.nonce) = (l.sender, l.nonce);
                 insert into mint_effect (intent_id, kind, txid, badge_id)
                     select intent_id, 'minted', txid, 9999 from left_one;
                 update mint_intent set state = 'final_ok' where id = (select intent_id from left_one);
                 commit;",
            )
            .await;
        let invented =
            "select count(*) from mint_effect where badge_id = 9999 and taken_back_at is null";
        assert_eq!(self.number(invented).await, 1);
        self.die(Call::Retract).await;
        let lifted = pause::lift(&self.db.pool, ("global", ""), "deep_reorg", "ann").await;
        assert!(lifted.unwrap(), "nothing was paused");
        self.die(Call::Reopen).await;
        assert_eq!(self.number(invented).await, 0);
    }

    /// Somebody claims a badge for which there is an intent.
    async fn a_badge_is_there_already(&mut self) {
        let claimed = eventually("a badge that its owner claimed", || async {
            let found = self
                .db
                .text(
                    "select b.owner || ' ' || b.kind from api_v1.badges b
                     where b.via = 'claim' and b.revoked is null and b.minted_height < (select max(height) from canonical) - 100
                       and not exists (select from mint_award a where a.recipient = b.owner and a.kind = b.kind)
                     order by b.id limit 1",
                )
                .await;
            match found {
                Some(found) => Ok(found),
                None => Err(story(&self.db).await),
            }
        })
        .await;
        let (owner, kind) = claimed.split_once(' ').unwrap();
        let contract = Actor::of("deployer")
            .contract("freelance-badges")
            .to_string();
        let sender = self.key.address.to_string();
        let lane = LaneRef {
            contract: &contract,
            sender: &sender,
        };
        let epoch = format!("select epoch from mint_lane where sender = '{sender}'");
        let hash: [u8; 32] =
            sha2::Digest::finalize(<sha2::Sha256 as sha2::Digest>::new_with_prefix("{}")).into();
        let award = NewAward {
            recipient: owner,
            kind: kind.parse().unwrap(),
            seq: 1,
            evidence: "{}",
            evidence_hash: &hash,
            state: "queued",
        };
        let stored =
            intent::upsert_award(&self.db.pool, lane, self.number(&epoch).await, &award).await;
        assert!(matches!(stored.unwrap(), Written::Done(_)));
        self.die(Call::Settle).await;
    }

    /// It is asked to end, and dies of it.
    async fn an_end_in_order_is_none(&mut self) {
        for when in SIDES {
            let point = at(Call::Release, when);
            let daemon = self.spawn(Some(point), &[]);
            let mine = format!(
                "select count(*) from mint_lane where holder like '%:{}:%'",
                daemon.pid()
            );
            eventually("the lane", || async {
                match self.number(&mine).await {
                    0 => Err(story(&self.db).await),
                    _ => Ok(()),
                }
            })
            .await;
            daemon.signal(Signal::SIGTERM);
            self.one_dies(&mut vec![(point, daemon)]).await;
        }
    }

    /// Two that live: they bring to an end what the dead left.
    async fn the_living(&mut self) {
        let mut twins = [self.spawn(None, &[]), self.spawn(None, &[])];
        everything_that_was_earned(&self.db).await;
        for twin in &mut twins {
            twin.signal(Signal::SIGTERM);
            assert_eq!(twin.ended().await, Some(0), "{}", twin.lines().join("\n"));
        }
    }
}

/// Every place of these calls.
fn places(calls: &[Call]) -> Vec<Point> {
    let of = |call: &Call| SIDES.map(|when| at(*call, when));
    calls.iter().flat_map(of).collect()
}

#[test]
fn it_dies_at_every_place_and_every_award_is_minted_once() {
    run(async {
        let began = std::time::Instant::now();
        let asked = std::env::var("STXWORX_MINT_CRASHES").ok();
        let all = asked.is_some_and(|text| text == "all");
        let mut deaths = Vec::new();
        if all {
            let mut at_first = Play::begin(slow()).await;
            at_first.a_lane_begins_too_high().await;
            deaths.append(&mut at_first.deaths);
            at_first.end().await;
        }
        let mut play = Play::begin(dials()).await;
        play.die(Call::OpenLane).await;
        let daily = DAILY.into_iter().filter(|c| all || THIRD.contains(c));
        play.die_in_turn(places(&daily.collect::<Vec<_>>())).await;
        if all {
            play.a_budget_ends().await;
            play.an_operator_changes_his_mind().await;
            play.a_nonce_is_found_used().await;
            play.what_was_final_is_left().await;
            play.a_badge_is_there_already().await;
            play.an_end_in_order_is_none().await;
        }
        deaths.append(&mut play.deaths);
        let expected = places(if all { &Call::ALL } else { &THIRD });
        for point in &expected {
            assert!(deaths.contains(point), "nobody died at {point}");
        }
        play.the_living().await;
        never_twice(&play.db).await;
        let by_hand = play.by_hand.as_ref().map(|(_, txid)| txid.as_str());
        let (mints, refused) = on_the_chain(&play.db, &play.devnet, by_hand).await;
        assert!(mints > 0);
        println!(
            "{} places, {} deaths, {} forks; {mints} mints on the chain, {} of them final, {refused} refused, none twice; {:?}",
            expected.len(),
            deaths.len(),
            play.devnet.progress.produced().forks,
            minted(&play.db).await,
            began.elapsed(),
        );
        play.end().await;
    });
}
