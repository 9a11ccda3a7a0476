//! Every field is traced to the event that last set it: held against the events of the chain, folded by hand.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use stxworx_clarity::events::logic::LogicEvent;
use stxworx_clarity::events::{self, Event};
use stxworx_indexer::explain::{
    At, ExplainError, Explanation, Subject, explain, explain_transaction,
};

use stxworx_indexer::reindex::{self, Ending, Options};
use stxworx_indexer::verify::ALL_HEIGHTS;
use stxworx_indexer::verify::deep::verify_deep;
use tokio_util::sync::CancellationToken;

use crate::devnet::history::History;
use crate::support::chain::Engine;
use crate::support::db::TestDb;
use crate::support::run;
use crate::tools::{stderr, stdout, stxworx_on};

#[test]
fn states_and_transactions_are_traced_to_events_blocks_and_payloads() {
    run(async {
        let (db, history) = mirrored().await;
        nothing_differs(&db).await;
        every_field_of_every_project_names_the_event_that_set_it(&db, &history).await;
        an_explanation_leads_to_the_payload_and_stands_where_it_is_asked_to(&db, &history).await;
        badges_actions_profiles_and_assets_are_explained_to_the_last_field(&db, &history).await;
        a_transaction_is_explained_by_what_it_changed(&db, &history).await;
        the_command_prints_for_people_and_for_tools(&db, &history).await;
        db.drop().await;
    });
}

/// A marketplace of some hundred blocks with forks, mirrored.
async fn mirrored() -> (TestDb, History) {
    let mut history = History::new(31, 120);
    let db = TestDb::new().await;
    let engine = Engine::start_with(&db, history.follow());
    history.grow(120);
    engine.feed(&db, &history.said()).await;
    engine.stop().await;
    (db, history)
}

/// Real transactions, forks of both chains and a follow set: nothing to find for the deep checks and a re-index.
async fn nothing_differs(db: &TestDb) {
    let started = std::time::Instant::now();
    let deep = verify_deep(&db.pool, ALL_HEIGHTS, &mut |_| {})
        .await
        .unwrap();
    assert_eq!(deep.mismatches, []);
    let verified = started.elapsed();
    let to = db.number("select max(height) from block").await;
    let options = Options {
        from: 0,
        to: u32::try_from(to).unwrap(),
        contract: None,
        apply: false,
    };
    let started = std::time::Instant::now();
    let cancel = CancellationToken::new();
    let report = reindex::run(&db.pool, &options, &cancel, &mut |_| {})
        .await
        .unwrap();
    assert_eq!(report.ending, Ending::Clean, "{report:#?}");
    println!(
        "deep: {} payloads, {} transactions in {verified:?}; reindex: {} blocks, {} rows in {:?}",
        deep.payloads,
        deep.transactions,
        report.blocks,
        report.rows,
        started.elapsed()
    );
}

/// A print of the escrow on the canonical chain.
struct Print {
    block: String,
    txid: String,
    ordinal: i64,
    seq: String,
    topic: &'static str,
    by: String,
    event: LogicEvent,
}

/// Every print of the escrow, in chain order.
async fn prints(db: &TestDb, contract: &str) -> Vec<Print> {
    let rows = db
        .text(format!(
            "select jsonb_agg(jsonb_build_array('0x' || encode(b.index_block_hash, 'hex'),
                 '0x' || encode(e.txid, 'hex'), e.ordinal, encode(e.value, 'hex'))
                 order by e.height, e.tx_index, e.ordinal)::text
             from canonical_event e join canonical_block b on b.height = e.height
             where e.contract = '{contract}' and e.kind = 1"
        ))
        .await
        .unwrap();
    let rows: Vec<(String, String, i64, String)> = serde_json::from_str(&rows).unwrap();
    rows.into_iter()
        .map(|(block, txid, ordinal, value)| {
            let envelope = events::decode("freelance-logic", &hex::decode(value).unwrap()).unwrap();
            let topic = envelope.event.topic();
            let Event::Logic(event) = envelope.event else {
                panic!("another contract's")
            };
            Print {
                block,
                txid,
                ordinal,
                seq: envelope.seq.to_string(),
                topic,
                by: envelope.by.to_string(),
                event,
            }
        })
        .collect()
}

/// Fields by path, each with the print that last changed it.
#[derive(Default)]
struct Hand {
    fields: BTreeMap<String, (Json, usize)>,
}

impl Hand {
    fn set(&mut self, path: impl Into<String>, value: impl Into<Json>, by: usize) {
        let (path, value) = (path.into(), value.into());
        if self.fields.get(&path).is_none_or(|(was, _)| *was != value) {
            self.fields.insert(path, (value, by));
        }
    }

    fn add(&mut self, path: &str, amount: u128, by: usize) {
        let was = self.fields[path]
            .0
            .as_str()
            .unwrap()
            .parse::<u128>()
            .unwrap();
        self.set(path, (was + amount).to_string(), by);
    }

    /// What a print of the project did; the numbers of the contract are spelt out.
    fn fold(&mut self, number: usize, print: &Print) {
        let ms = |m: u128, field: &str| format!("milestones[{}].{field}", m - 1);
        let small = |n: u128| u64::try_from(n).unwrap();
        match &print.event {
            LogicEvent::ProjectOpened(e) => {
                for (path, value) in [
                    ("client", e.client.to_string()),
                    ("freelancer", e.freelancer.to_string()),
                    ("arbiter", e.arbiter.to_string()),
                    ("status", "open".to_owned()),
                    ("total", e.total.0.to_string()),
                    ("paid", "0".to_owned()),
                    ("fees", "0".to_owned()),
                    ("refunded", "0".to_owned()),
                ] {
                    self.set(path, value, number);
                }
                for (m, terms) in (1u128..).zip(&e.milestones) {
                    self.set(ms(m, "amount"), terms.amount.0.to_string(), number);
                    self.set(ms(m, "due"), small(terms.due.0), number);
                    self.set(ms(m, "rev"), 0, number);
                    self.set(ms(m, "status"), "funded", number);
                    for empty in [
                        "offer",
                        "review_until",
                        "resolve_until",
                        "disputed_by",
                        "settled",
                        "cause",
                    ] {
                        self.set(ms(m, empty), Json::Null, number);
                    }
                    for money in ["payout", "fee", "refund"] {
                        self.set(ms(m, money), "0", number);
                    }
                }
            }
            LogicEvent::ProjectAccepted(_) => self.set("status", "active", number),
            LogicEvent::ProjectCancelled(e) => {
                self.set("status", "cancelled", number);
                self.add("refunded", e.refunded.0, number);
            }
            LogicEvent::MilestoneSubmitted(e) => {
                self.set(ms(e.m.0, "status"), "submitted", number);
                self.set(ms(e.m.0, "review_until"), small(e.review_until.0), number);
            }
            LogicEvent::MilestoneRejected(e) => {
                self.set(ms(e.m.0, "status"), "funded", number);
                self.set(ms(e.m.0, "rev"), small(e.rev.0), number);
                self.set(ms(e.m.0, "due"), small(e.due.0), number);
            }
            LogicEvent::DueExtended(e) => self.set(ms(e.m.0, "due"), small(e.new.0), number),
            LogicEvent::DisputeOpened(e) => {
                self.set(ms(e.m.0, "status"), "disputed", number);
                self.set(ms(e.m.0, "resolve_until"), small(e.resolve_until.0), number);
                self.set(ms(e.m.0, "disputed_by"), e.role.0.clone(), number);
            }
            LogicEvent::SettlementOffered(e) => {
                self.fields.remove(&ms(e.m.0, "offer"));
                self.set(ms(e.m.0, "offer.by"), print.by.clone(), number);
                self.set(ms(e.m.0, "offer.bps"), small(e.bps.0), number);
                self.set(ms(e.m.0, "offer.until"), small(e.until.0), number);
            }
            LogicEvent::SettlementWithdrawn(e) => self.no_offer(e.m.0, number),
            LogicEvent::MilestoneSettled(e) => {
                self.add("paid", e.payout.0, number);
                self.add("fees", e.fee.0, number);
                self.add("refunded", e.refund.0, number);
                let status = [
                    "open",
                    "active",
                    "completed",
                    "refunded",
                    "settled",
                    "cancelled",
                ];
                let place = usize::try_from(e.project_status.0).unwrap();
                self.set("status", status[place], number);
                self.set(ms(e.m.0, "payout"), e.payout.0.to_string(), number);
                self.set(ms(e.m.0, "fee"), e.fee.0.to_string(), number);
                self.set(ms(e.m.0, "refund"), e.refund.0.to_string(), number);
                self.set(ms(e.m.0, "cause"), e.cause.0.clone(), number);
                self.set(ms(e.m.0, "settled"), print.txid.clone(), number);
                let status = [
                    "funded",
                    "submitted",
                    "disputed",
                    "released",
                    "refunded",
                    "split",
                ];
                let place = usize::try_from(e.status.0).unwrap();
                self.set(ms(e.m.0, "status"), status[place], number);
                self.no_offer(e.m.0, number);
            }
            _ => {}
        }
    }

    fn no_offer(&mut self, m: u128, by: usize) {
        let offer = format!("milestones[{}].offer", m - 1);
        self.fields
            .retain(|path, _| !path.starts_with(&format!("{offer}.")));
        self.set(offer, Json::Null, by);
    }
}

fn project_of(event: &LogicEvent) -> Option<u128> {
    let json = serde_json::to_value(event).unwrap();
    json.get("project")
        .and_then(Json::as_str)
        .map(|id| id.parse().unwrap())
}

async fn ask(db: &TestDb, subject: Subject, at: Option<At>) -> Result<Explanation, ExplainError> {
    explain(&db.pool, &subject, None, at, 6).await
}

/// Compares every field that the hand knows; how many there were.
fn assert_explained(e: &Explanation, hand: &Hand, prints: &[&Print]) -> usize {
    assert!(e.whole, "{e:#?}");
    for field in &e.fields {
        assert!(field.set_by.is_some(), "{field:?}");
    }
    for (path, (value, by)) in &hand.fields {
        let field = e.fields.iter().find(|f| f.path == *path);
        let field = field.unwrap_or_else(|| panic!("{}: no {path}", e.entity));
        assert_eq!(field.value, *value, "{} {path}", e.entity);
        let change = &e.changes[field.set_by.unwrap()];
        let [event] = &change.events[..] else {
            panic!("{path}: {change:#?}")
        };
        let print = prints[*by];
        let said = (
            event.seq.as_deref(),
            event.topic.as_deref(),
            event.txid.as_str(),
            i64::from(event.ordinal),
            change.block.as_str(),
        );
        let expected = (
            Some(print.seq.as_str()),
            Some(print.topic),
            print.txid.as_str(),
            print.ordinal,
            print.block.as_str(),
        );
        assert_eq!(said, expected, "{} {path}", e.entity);
    }
    hand.fields.len()
}

async fn every_field_of_every_project_names_the_event_that_set_it(db: &TestDb, history: &History) {
    let contract = history.contracts().logic.to_string();
    let all = prints(db, &contract).await;
    let mut of_project: BTreeMap<u128, Vec<&Print>> = BTreeMap::new();
    for print in &all {
        if let Some(id) = project_of(&print.event) {
            of_project.entry(id).or_default().push(print);
        }
    }
    let (mut fields, mut versions) = (0, 0);
    for (id, prints) in &of_project {
        let mut hand = Hand::default();
        for (number, print) in prints.iter().enumerate() {
            hand.fold(number, print);
        }
        let explained = ask(db, Subject::Project(id.to_string()), None)
            .await
            .unwrap();
        fields += assert_explained(&explained, &hand, prints);
        versions += explained.versions;
    }
    println!(
        "{} projects, {fields} fields, {versions} versions walked",
        of_project.len()
    );
    assert!(of_project.len() >= 20 && versions > of_project.len());
}

async fn an_explanation_leads_to_the_payload_and_stands_where_it_is_asked_to(
    db: &TestDb,
    history: &History,
) {
    let contract = history.contracts().logic.to_string();
    let all = prints(db, &contract).await;
    let of_one: Vec<&Print> = all
        .iter()
        .filter(|p| project_of(&p.event) == Some(1))
        .collect();
    assert!(of_one.len() > 1, "the project lived");
    let newest = ask(db, Subject::Project("1".into()), None).await.unwrap();
    for block in &newest.blocks {
        let expected = db
                .text(format!(
                    "select concat_ws(' ', i.id, '0x' || encode(i.sha256, 'hex'), i.deliveries)
                     from block b join inbox i on i.id = b.inbox_id where b.index_block_hash = '\\x{}'",
                    &block.index_block_hash[2..]
                ))
                .await;
        let said = format!(
            "{} {} {}",
            block.inbox_id,
            block.sha256.as_ref().unwrap(),
            block.deliveries.unwrap()
        );
        assert_eq!(Some(said), expected);
        assert_eq!(block.source, Some("observer"));
    }
    // As of the block of its first event, only that one has spoken.
    let first = of_one[0];
    let at = At::Block(first.block.parse().unwrap());
    let then = ask(db, Subject::Project("1".into()), Some(at))
        .await
        .unwrap();
    assert_eq!(then.as_of, first.block);
    let mut hand = Hand::default();
    hand.fold(0, first);
    if of_one[1].block != first.block {
        assert_explained(&then, &hand, &of_one);
    }
    let before = ask(db, Subject::Project("1".into()), Some(At::Height(0))).await;
    assert!(
        matches!(before, Err(ExplainError::Nothing { .. })),
        "{before:?}"
    );
    let nowhere = ask(
        db,
        Subject::Project("1".into()),
        Some(At::Height(1_000_000)),
    )
    .await;
    assert!(
        matches!(nowhere, Err(ExplainError::NoBlock { .. })),
        "{nowhere:?}"
    );
    let none = ask(db, Subject::Project("99999".into()), None).await;
    assert!(
        matches!(none, Err(ExplainError::Nothing { .. })),
        "{none:?}"
    );
}

type Kind = fn(String) -> Subject;

/// Entities of a projection.
async fn keys(db: &TestDb, projection: &str, joint: char) -> Vec<String> {
    let keys = db
        .text(format!(
            "select string_agg(split_part(c.entity, '{joint}', 2), ',' order by c.entity)
             from projection_current c join projection p on p.id = c.projection where p.name = '{projection}'"
        ))
        .await;
    keys.unwrap_or_default()
        .split(',')
        .map(str::to_owned)
        .collect()
}

async fn badges_actions_profiles_and_assets_are_explained_to_the_last_field(
    db: &TestDb,
    history: &History,
) {
    let at = history.contracts();
    let mut asked = 0;
    let kinds: [(&str, char, Kind, String); 4] = [
        ("badges", '/', Subject::Badge, at.badges.to_string()),
        (
            "governance_actions",
            '/',
            Subject::Action,
            at.security.to_string(),
        ),
        ("profiles", '/', Subject::Profile, at.data.to_string()),
        ("assets", '|', Subject::Asset, at.logic.to_string()),
    ];
    for (projection, joint, subject, contract) in kinds {
        let mut of_kind = 0;
        for key in keys(db, projection, joint).await {
            let e = ask(db, subject(key.clone()), None).await.unwrap();
            assert!(e.whole, "{e:#?}");
            for change in &e.changes {
                assert!(!change.events.is_empty(), "{projection} {key}: {change:#?}");
                assert!(!change.fields.is_empty() && !change.block.is_empty());
                let touches = change.events.iter().any(|event| {
                    [&event.contract, &event.sender, &event.recipient]
                        .iter()
                        .any(|name| name.as_deref() == Some(contract.as_str()))
                });
                assert!(touches, "{projection} {key}: {change:#?}");
            }
            of_kind += 1;
        }
        assert!(of_kind > 0, "{projection}");
        asked += of_kind;
    }
    println!("{asked} entities explained");
}

async fn a_transaction_is_explained_by_what_it_changed(db: &TestDb, history: &History) {
    let contract = history.contracts().logic.to_string();
    let all = prints(db, &contract).await;
    let opened = all.iter().find(|p| p.topic == "project-opened").unwrap();
    let id = project_of(&opened.event).unwrap();
    let views = explain_transaction(&db.pool, opened.txid.parse().unwrap(), 6)
        .await
        .unwrap();
    let view = views
        .iter()
        .find(|v| v.block.index_block_hash == opened.block)
        .unwrap();
    let project = view
        .touched
        .iter()
        .find(|t| t.projection == "projects" && t.entity == format!("{contract}/{id}"))
        .unwrap();
    let total = project.fields.iter().find(|f| f.path == "total").unwrap();
    assert!(total.before.is_none() && total.after.is_some(), "{total:?}");
    let event = view
        .events
        .iter()
        .find(|e| i64::from(e.ordinal) == opened.ordinal)
        .unwrap();
    assert_eq!(event.seq.as_ref(), Some(&opened.seq));
    let unknown = explain_transaction(&db.pool, "ab".repeat(32).parse().unwrap(), 6).await;
    assert!(
        matches!(unknown, Err(ExplainError::Nothing { .. })),
        "{unknown:?}"
    );
}

async fn the_command_prints_for_people_and_for_tools(db: &TestDb, history: &History) {
    let contract = history.contracts().logic.to_string();
    let said = stxworx_on(db, &["explain", "project", "1"]).await;
    assert_eq!(said.status.code(), Some(0), "{}", stderr(&said));
    let text = stdout(&said);
    assert!(
        text.starts_with(&format!("project 1 ({contract}/1) as of block 0x")),
        "{text}"
    );
    for part in [
        "\n  status = ",
        " <- [1]\n",
        "<- project-opened, event ",
        &format!(" of {contract}, called by ST"),
        ", from observer, delivered 1 times",
        "not compared with a node yet",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    let arguments = [
        "explain",
        "project",
        "1",
        "--contract",
        &contract,
        "--output",
        "json",
    ];
    let json = stxworx_on(db, &arguments).await;
    let json: Json = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["projection"], "projects");
    assert!(
        json["fields"]
            .as_array()
            .unwrap()
            .iter()
            .all(|f| f["set_by"].is_u64())
    );
    let opened = json["state"]["opened"].as_str().unwrap().to_owned();
    let transaction = stxworx_on(db, &["explain", "transaction", &opened]).await;
    assert_eq!(
        transaction.status.code(),
        Some(0),
        "{}",
        stderr(&transaction)
    );
    assert!(stdout(&transaction).contains(&format!("projects {contract}/1\n")));
    let none = stxworx_on(db, &["explain", "badge", "4711"]).await;
    assert_eq!(none.status.code(), Some(1));
    assert!(
        stderr(&none).contains("there is no badge 4711 in the mirror"),
        "{}",
        stderr(&none)
    );
    let usage = stxworx_on(db, &["explain", "project", "1", "--at-block", "0x12"]).await;
    assert_eq!(usage.status.code(), Some(2));
}
