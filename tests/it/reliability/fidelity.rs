//! Values that are legal and unusual, and stretches of chain that ask for nothing, come out as they went in.

use serde_json::{Value as Json, json};
use stxworx::post::Order;
use stxworx::recording::Entry;
use stxworx::workload::{Block, ChainBuilder, Event, asset, event, tuple, uint};
use stxworx_clarity::codec::{ContractId, Principal, Value};
use stxworx_indexer::model::{FollowSet, Mirror};

use crate::forks::{assert_sound, burn_entries, chain, start};
use crate::support::app::{App, config};
use crate::support::chain::{Engine, busy_tx, entries, in_state, mirror_of};
use crate::support::db::TestDb;
use crate::support::mirror::{assert_verifies, fingerprint, settled, tip};
use crate::support::run;
use crate::tools::{Daemon, deliver, get, request, small_chain, stxworx, trade};

fn utf8(text: &str) -> Value {
    Value::Utf8(text.to_owned())
}

/// Lists in lists, as deep as a printed value may be with what is around it.
fn deep(levels: usize) -> Value {
    (0..levels).fold(uint(7u32), |inner, _| Value::List(vec![inner]))
}

/// Every kind of value at its limits, by name.
fn limits() -> Vec<(&'static str, Value)> {
    vec![
        ("largest-uint", uint(u128::MAX)),
        ("zero", uint(0u32)),
        ("largest-int", Value::Int(i128::MAX)),
        ("smallest-int", Value::Int(i128::MIN)),
        ("minus-one", Value::Int(-1)),
        ("empty-buffer", Value::Buffer(vec![])),
        ("nul-buffer", Value::Buffer(vec![0, 0, 1, 0])),
        ("empty-ascii", Value::ascii("").unwrap()),
        ("empty-utf8", utf8("")),
        ("nul-utf8", utf8("a\0b")),
        ("emoji", utf8("👩🏽‍💻 \u{202e}é \u{10ffff}")),
        (
            "quotes",
            Value::ascii("\"\\'; drop table block; --").unwrap(),
        ),
        ("none", Value::None),
        ("some-none", Value::some(Value::None)),
        ("error", Value::err(Value::ok(uint(u128::MAX)))),
        ("empty-list", Value::List(vec![])),
        ("deep", deep(24)),
        (
            "nested",
            tuple([("a", tuple([("b", Value::List(vec![Value::None]))]))]),
        ),
    ]
}

/// Prints of every value, alone and as a field, and amounts at their limits.
fn awkward(chain: &ChainBuilder, parent: &Block, logic: &ContractId) -> Block {
    let (alice, bob) = (chain.account("alice"), chain.account("bob"));
    let coin = asset(logic, "coin");
    let mut tx = chain.call(&alice, logic, "awkward", &[]);
    for (name, value) in limits() {
        tx = tx
            .print(logic, value.clone())
            .print(logic, event(name, [("v", value)]));
    }
    let tx = tx
        .event(Event::ft_mint(&coin, bob, u128::MAX))
        .event(Event::ft_burn(&coin, bob, u128::MAX))
        .event(Event::ft_mint(&coin, alice, u128::MAX))
        .event(Event::ft_burn(&coin, alice, u128::MAX))
        .event(Event::ft_mint(&coin, alice, u128::MAX))
        .event(Event::stx_transfer(alice, bob, 1))
        .event(Event::nft_mint(&asset(logic, "odd"), bob, utf8("\0👾")));
    chain.block(parent).tx(tx).build()
}

/// All events of height 1, as the API tells them.
async fn told(app: &App) -> Vec<Json> {
    let path = "/v1/events?from_height=1&to_height=1&limit=100&order=asc";
    let page = get(app.addresses.api.unwrap(), path).await.json();
    page["data"].as_array().unwrap().clone()
}

#[test]
fn values_at_their_limits_come_out_as_they_went_in() {
    run(async {
        let chain = chain(71);
        // A name as long as a contract's can be.
        let long = format!("c{}", "x".repeat(127));
        let logic: ContractId = format!("{}.{long}", chain.account("alice"))
            .parse()
            .unwrap();
        let block = awkward(&chain, &chain.root(), &logic);
        let db = TestDb::new().await;
        let alice = chain.account("alice").to_string();
        let follow = [("follow.principals", format!("[\"{alice}\"]"))];
        let follow: Vec<_> = follow.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let app = App::start(&db, &config(&follow)).await;
        for entry in [chain.root().entry(), block.entry()] {
            assert_eq!(deliver(&app, &entry).await.status(), 200);
        }
        settled(&db).await;
        assert_eq!(
            tip(&db).await,
            Some(block.id()),
            "the block is not mirrored"
        );
        let told = told(&app).await;
        let values = limits();
        assert_eq!(told.len(), 2 * values.len() + 7);
        for (place, (name, value)) in values.iter().enumerate() {
            let wrapped = event(name, [("v", value.clone())]);
            for (told, value) in [(&told[2 * place], value), (&told[2 * place + 1], &wrapped)] {
                let hex = format!("0x{}", hex::encode(value.encode()));
                assert!(
                    told["value"].to_string().contains(&hex),
                    "{name}: {hex} is told as {told}"
                );
                assert_eq!(told["contract"], logic.to_string());
            }
            assert_eq!(told[2 * place + 1]["topic"], *name);
        }
        let amounts = told[2 * values.len()..].iter().map(|e| &e["amount"]);
        let largest = json!(u128::MAX.to_string());
        let amounts: Vec<_> = amounts.take(5).collect();
        assert_eq!(amounts, [&largest; 5]);
        let received = db
            .text(format!(
                "select v.state ->> 'received' from projection_current c
                 join projection_version v on v.id = c.version_id
                 where c.entity = '{alice}|{}'",
                asset(&logic, "coin")
            ))
            .await;
        // Twice the largest number there is.
        assert_eq!(
            received.as_deref(),
            Some("680564733841876926926749214863536422910")
        );
        assert_eq!(in_state(&db, 4).await, 0);
        app.stop().await.unwrap();
        assert_verifies(&db).await;
        db.drop().await;
    });
}

/// The node's numbers of events are no key: they may be as large as 32 bits hold, and begin anywhere.
#[test]
fn event_numbers_near_32_bits_keep_their_order() {
    run(async {
        let small = small_chain();
        let block = trade(&small.chain, &small.blocks[0], 1).build();
        let mut body: Json = serde_json::from_slice(&block.entry().body).unwrap();
        let events = body["events"].as_array_mut().unwrap();
        let count = events.len();
        for event in events {
            let number = event["event_index"].as_u64().unwrap();
            event["event_index"] = json!(0xffff_ffe2_u32 + u32::try_from(number).unwrap());
        }
        let shifted = Entry::new("/new_block", body.to_string());
        let (db, plain) = (TestDb::new().await, TestDb::new().await);
        mirror_of(&db, &[small.blocks[0].entry(), shifted]).await;
        mirror_of(&plain, &[small.blocks[0].entry(), block.entry()]).await;
        assert_eq!(tip(&db).await, Some(block.id()));
        let stored = db
            .number("select count(*) from event where height = 1")
            .await;
        assert_eq!(usize::try_from(stored).unwrap(), count);
        assert_eq!(fingerprint(&db).await, fingerprint(&plain).await);
        assert_sound(&db).await;
        db.drop().await;
        plain.drop().await;
    });
}

/// With and without what is not followed: either way there is nothing to store but headers.
#[test]
fn five_hundred_blocks_without_anything_move_the_tip() {
    run(async {
        let chain = chain(72);
        let mut blocks = vec![chain.root()];
        for number in 0..500u32 {
            let mut block = chain.block(blocks.last().unwrap());
            if number == 0 {
                block = block.tenure(&chain.first_tenure());
            } else if number > 250 {
                let (alice, bob) = (chain.account("alice"), chain.account("bob"));
                block = block.transfer(&alice, &bob, number.into());
            }
            blocks.push(block.build());
        }
        let [_, logic, ..] = chain.network().followed_contracts();
        let follow = FollowSet {
            mirror: Mirror::Followed,
            contracts: [logic.to_string()].into(),
            principals: [].into(),
        };
        let db = TestDb::new().await;
        let engine = Engine::start_with(&db, follow);
        engine.feed(&db, &[chain.first_tenure().entry()]).await;
        engine.feed(&db, &entries(&blocks)).await;
        engine.stop().await;
        assert_eq!(tip(&db).await, Some(blocks[500].id()));
        assert_eq!(db.number("select count(*) from canonical").await, 501);
        assert_eq!(db.number("select count(*) from event").await, 0);
        let listed = db
            .number("select sum(listed_transactions) from block where height > 300")
            .await;
        assert!(listed >= 200, "{listed} transactions were listed");
        assert_sound(&db).await;
        db.drop().await;
    });
}

/// Every row but the times at which this mirror saw something.
async fn rows(db: &TestDb) -> Vec<String> {
    let mut all = Vec::new();
    for table in [
        "burn_block",
        "block",
        "canonical",
        "transaction",
        "event",
        "projection",
        "projection_version",
        "projection_current",
        "reorg",
        "outbox",
        "principal",
    ] {
        let rows = db
            .text(format!(
                "select string_agg(line, E'\\n' order by line) from
                     (select (to_jsonb(t) - 'at' - 'seen_at')::text as line from {table} t) l"
            ))
            .await;
        all.push(format!("{table}\n{}", rows.unwrap_or_default()));
    }
    all
}

/// The same payloads in the same order give the same rows, down to the numbers that the mirror gives by itself.
#[test]
fn two_runs_give_identical_rows() {
    run(async {
        let chain = chain(73);
        let (blocks, payloads) = start(&chain, 30);
        let fork = chain.fork(&blocks, 7);
        let payloads = [payloads, fork.entries].concat();
        let mut seen = Vec::new();
        for _ in 0..2 {
            let db = TestDb::new().await;
            let engine = Engine::start(&db);
            for entry in &payloads {
                engine.feed(&db, [entry]).await;
            }
            engine.stop().await;
            seen.push(rows(&db).await);
            db.drop().await;
        }
        let second = seen.pop().unwrap();
        for (first, second) in seen.pop().unwrap().iter().zip(&second) {
            assert!(first.lines().count() > 1, "{first}");
            assert_eq!(first, second);
        }
        assert!(!burn_entries(&payloads).is_empty());
    });
}

/// What somebody else's contract makes a followed one do is seen, although no transaction names it.
#[test]
fn a_call_through_a_contract_that_is_not_followed_is_seen() {
    run(async {
        let chain = chain(74);
        let [_, logic, ..] = chain.network().followed_contracts();
        let alice = chain.account("alice");
        let router: ContractId = format!("{}.router", chain.account("bob")).parse().unwrap();
        let through = chain
            .call(&alice, &router, "pay-through", &[])
            .print(&logic, event("paid", [("n", uint(1u32))]))
            .event(Event::stx_transfer(
                alice,
                Principal::Contract(logic.clone()),
                5,
            ));
        let elsewhere = chain
            .call(&alice, &router, "something-else", &[])
            .print(&router, event("other", [("n", uint(2u32))]));
        let txid = through.id();
        let block = chain.block(&chain.root()).tx(through).tx(elsewhere).build();
        let follow = FollowSet {
            mirror: Mirror::Followed,
            contracts: [logic.to_string()].into(),
            principals: [].into(),
        };
        let db = TestDb::new().await;
        let engine = Engine::start_with(&db, follow);
        engine
            .feed(&db, &[chain.root().entry(), block.entry()])
            .await;
        engine.stop().await;
        let kept =
            "select string_agg('0x' || encode(txid, 'hex'), ',') from transaction where height = 1";
        assert_eq!(db.text(kept).await, Some(txid));
        assert_eq!(
            db.number("select count(*) from event where height = 1")
                .await,
            2
        );
        let prints = db
            .text(format!(
                "select v.state ->> 'prints' from projection_current c
                 join projection_version v on v.id = c.version_id
                 join projection p on p.id = c.projection
                 where p.name = 'contract_cursor' and c.entity = '{logic}'"
            ))
            .await;
        assert_eq!(prints.as_deref(), Some("1"));
        assert_sound(&db).await;
        db.drop().await;
    });
}

/// A payload that no version can read is met again at every start: the process stays up, and so does what follows.
#[test]
fn a_payload_that_cannot_be_read_makes_no_crash_loop() {
    run(async {
        let small = small_chain();
        let db = TestDb::new().await;
        let poison = [
            Entry::new("/new_block", "{\"block_height\": 1e99}"),
            Entry::new("/new_burn_block", "[]"),
            Entry::new("/new_block", vec![0u8; 100_000]),
        ];
        let mut payloads = small.entries().into_iter();
        for start in 1..=4 {
            let mut command = stxworx(&["run"]);
            command.env("DATABASE_URL", &db.url);
            let mut daemon = Daemon::spawn(command);
            let at = daemon.address("observer").await;
            for entry in poison.iter().cloned().chain(payloads.by_ref().take(3)) {
                let reply = request(at, "POST", &entry.path, &entry.body).await;
                assert_eq!(reply.status(), 200);
            }
            settled(&db).await;
            assert!(!daemon.has_ended(), "start {start}");
            assert_eq!(in_state(&db, 4).await, 3, "start {start}");
            assert_eq!(daemon.interrupt().await, Some(0), "start {start}");
        }
        assert_eq!(tip(&db).await, Some(small.tip()));
        assert_verifies(&db).await;
        db.drop().await;
    });
}

/// The same transaction succeeds on one branch, fails on the other, and both are true for their branch.
#[test]
fn one_transaction_on_both_branches_is_told_by_branch() {
    run(async {
        let chain = chain(75);
        let (blocks, payloads) = start(&chain, 2);
        let top = blocks.last().unwrap();
        let tx = busy_tx(&chain, 7);
        let tenure = chain.burn_block(&chain.burn_tip());
        let old = chain.block(top).tx(tx.clone()).build();
        let new = chain
            .block(top)
            .tenure(&tenure)
            .tx(tx.clone().post_condition_failed())
            .build();
        let db = TestDb::new().await;
        let app = App::start(&db, &config(&[])).await;
        app.post(payloads, Order::default()).await;
        let path = format!("/v1/transactions/{}", tx.id());
        for (block, status, events) in [
            (&[old.entry()][..], "success", 3),
            (&[tenure.entry(), new.entry()], "abort_by_post_condition", 0),
        ] {
            app.post(block.to_vec(), Order::default()).await;
            settled(&db).await;
            let told = get(app.addresses.api.unwrap(), &path).await.json();
            assert!(
                told["data"].to_string().contains(status),
                "{status}: {told}"
            );
            let path = format!("{path}/events");
            let told = get(app.addresses.api.unwrap(), &path).await.json();
            assert_eq!(told["data"].as_array().unwrap().len(), events, "{told}");
        }
        app.stop().await.unwrap();
        assert_verifies(&db).await;
        db.drop().await;
    });
}
