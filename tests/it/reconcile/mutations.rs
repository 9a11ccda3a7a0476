//! One fault at a time on each of three sides: the platform's rows, the mirror's, and the node's answers. Each is found
//! by its rule and laid at the right door, and when it is healed nothing is left.
//!
//! By default the first few are played; `STXWORX_RECONCILE_MUTATIONS` says how many.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use serde_json::Value as Json;
use stxworx::devnet::rpc;
use stxworx_indexer::audit::{DeepOptions, deep, prove_and_store};
use stxworx_reconciler::breaks::Action;
use stxworx_reconciler::engine::act;

use super::{Stage, node};
use crate::devnet::node_source::serve;
use crate::support::run;

/// What a node says otherwise than it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    None,
    /// Half of every balance.
    Less,
    /// A unit more on every balance.
    More,
    /// The last digit of what a function answers, where the question holds these digits.
    Answer(&'static str, &'static str),
}

type Lies = Arc<Mutex<Lie>>;

async fn altered(State(lies): State<Lies>, request: Request, next: Next) -> Response {
    let lie = *lies.lock().unwrap();
    let path = request.uri().path().to_owned();
    let (parts, body) = request.into_parts();
    let asked = to_bytes(body, 1 << 20).await.unwrap();
    let asked_text = String::from_utf8_lossy(&asked).into_owned();
    let answer = next
        .run(Request::from_parts(parts, Body::from(asked)))
        .await;
    let (parts, body) = answer.into_parts();
    let bytes = to_bytes(body, 1 << 24).await.unwrap();
    let bytes = match lie {
        Lie::Less | Lie::More if path.starts_with("/v2/accounts/") => {
            let mut told: Json = serde_json::from_slice(&bytes).unwrap();
            let digits = told["balance"].as_str().unwrap().trim_start_matches("0x");
            let units = u128::from_str_radix(digits, 16).unwrap();
            let units = if lie == Lie::More {
                units + 1
            } else {
                units / 2
            };
            told["balance"] = format!("0x{units:032x}").into();
            Bytes::from(told.to_string())
        }
        Lie::Answer(function, asked) if path.ends_with(function) && asked_text.contains(asked) => {
            let mut told: Json = serde_json::from_slice(&bytes).unwrap();
            let mut digits = told["result"].as_str().unwrap().to_owned();
            let last = digits.pop().and_then(|d| d.to_digit(16)).unwrap();
            digits.push(char::from_digit(last ^ 1, 16).unwrap());
            told["result"] = digits.into();
            Bytes::from(told.to_string())
        }
        _ => bytes,
    };
    let mut parts = parts;
    parts.headers.remove("content-length");
    Response::from_parts(parts, Body::from(bytes))
}

enum Side {
    /// Statements there. `PID` is a project, `UID` a user, `BID` a badge. What was there before is put back.
    Platform(&'static str),
    /// A value of the newest state of a thing of a projection: its path, and an expression of the old one `v`.
    Mirror(i16, &'static str, &'static str, &'static str),
    /// A lie.
    Node(Lie),
}

struct Mutation {
    name: &'static str,
    side: Side,
    /// Rules with who is at fault.
    finds: &'static [(&'static str, &'static str)],
}

const fn platform(
    name: &'static str,
    sql: &'static str,
    finds: &'static [(&'static str, &'static str)],
) -> Mutation {
    Mutation {
        name,
        side: Side::Platform(sql),
        finds,
    }
}

const fn mirror(
    name: &'static str,
    projection: i16,
    of: &'static str,
    (path, value): (&'static str, &'static str),
    finds: &'static [(&'static str, &'static str)],
) -> Mutation {
    Mutation {
        name,
        side: Side::Mirror(projection, of, path, value),
        finds,
    }
}

const fn lie(
    name: &'static str,
    lie: Lie,
    finds: &'static [(&'static str, &'static str)],
) -> Mutation {
    Mutation {
        name,
        side: Side::Node(lie),
        finds,
    }
}

/// A number as it stands in a question, without the type's byte for one: that of project 2.
const SECOND: &str = "0100000000000000000000000000000002";
const UNIT_MORE: &str = "to_jsonb(((v #>> '{}')::numeric + 1)::text)";

const MUTATIONS: &[Mutation] = &[
    platform(
        "a transaction that opened another project",
        "update projects set tx_id = (select tx_id from projects where id <> 'PID' order by id limit 1) where id = 'PID'",
        &[("P4", "platform")],
    ),
    platform(
        "a transaction that never was",
        "update projects set tx_id = '0x' || repeat('ab', 32) where id = 'PID'",
        &[("P4", "platform")],
    ),
    platform(
        "a project that was never linked",
        "update projects set on_chain_id = null, status = 'PENDING' where id = 'PID'",
        &[("P4", "platform"), ("P9", "platform")],
    ),
    platform(
        "a payment that was claimed early",
        "update projects set milestone_1_released = not milestone_1_released where id = 'PID'",
        &[("P11", "platform")],
    ),
    platform(
        "a refund that was never recorded",
        "update projects set status = 'ACTIVE' where id = (select min(id) from projects where status in ('REFUNDED', 'COMPLETED', 'CANCELLED'))",
        &[("P3", "platform")],
    ),
    platform(
        "a badge that was claimed and never minted",
        "insert into nft_achievements values ('xbadge', 'UID', 1700000000000, 'platinum', null)",
        &[("B7", "platform")],
    ),
    platform(
        "a badge with a number that was made up",
        "update nft_achievements set token_id = 1700000000000 where id = 'BID'",
        &[("B7", "platform")],
    ),
    platform(
        "a badge that another transaction minted",
        "update nft_achievements set mint_tx_id = '0x' || repeat('ab', 32) where id = 'BID'",
        &[("B7", "platform")],
    ),
    platform(
        "a badge that is shown twice",
        "insert into nft_achievements select 'xdouble', user_id, token_id, achievement_type, mint_tx_id from nft_achievements where id = 'BID'",
        &[("B8", "platform")],
    ),
    platform(
        "a badge that is not shown",
        "delete from nft_achievements where id = 'BID'",
        &[("B8", "platform")],
    ),
    platform(
        "a badge of a kind that is none",
        "update nft_achievements set achievement_type = 'on fire' where id = 'BID'",
        &[("B10", "platform"), ("B8", "platform")],
    ),
    platform(
        "sums of two assets as if they were one",
        "update users set total_earned = total_earned + 1 where id = 'UID'",
        &[("P5", "platform")],
    ),
    platform(
        "a project completed that was not",
        "update users set completed_projects = completed_projects + 1 where id = 'UID'",
        &[("P5", "platform")],
    ),
    platform(
        "an X account that nobody attested",
        "update x_integrations set verified = not verified where user_id = 'UID'",
        &[("P13", "platform")],
    ),
    platform(
        "a sum that is none",
        "update users set total_earned = 'NaN' where id = 'UID'",
        &[("P14", "platform")],
    ),
    mirror(
        "a project paid a unit more",
        10,
        "/2",
        ("{paid}", UNIT_MORE),
        &[("E1", "mirror"), ("E18", "mirror"), ("F7", "mirror")],
    ),
    mirror(
        "a project of another arbiter",
        10,
        "/2",
        (
            "{arbiter}",
            "to_jsonb('ST000000000000000000002AMW42H'::text)",
        ),
        &[("E18", "mirror")],
    ),
    mirror(
        "a unit more locked",
        11,
        "|STX",
        ("{locked}", UNIT_MORE),
        &[
            ("E16", "mirror"),
            ("E17", "mirror"),
            ("E18", "mirror"),
            ("F7", "mirror"),
        ],
    ),
    mirror(
        "a transfer that was missed",
        11,
        "|STX",
        ("{sent}", UNIT_MORE),
        &[("E16", "mirror"), ("E17", "mirror")],
    ),
    mirror(
        "a badge that the token gave to somebody else",
        13,
        "/1",
        (
            "{native_owner}",
            "to_jsonb('ST000000000000000000002AMW42H'::text)",
        ),
        &[("B6", "mirror"), ("E18", "mirror")],
    ),
    lie(
        "a node that tells half of a balance",
        Lie::Less,
        &[("E16", "node"), ("E18", "node")],
    ),
    lie(
        "a node that tells a unit too many",
        Lie::More,
        &[("E16", "node")],
    ),
    lie(
        "a node that tells another total of a project",
        Lie::Answer("/get-project", SECOND),
        &[("E18", "node")],
    ),
    lie(
        "a node with another cursor",
        Lie::Answer("freelance-logic/get-cursor", ""),
        &[("E18", "node")],
    ),
];

/// A stage with a node that lies when it is told to.
struct Theatre {
    stage: Stage,
    lies: Lies,
}

impl Theatre {
    async fn new() -> Self {
        let mut stage = Stage::new(34, 120).await;
        let lies: Lies = Arc::new(Mutex::new(Lie::None));
        let router = rpc::router(stage.served.chain.clone());
        let router = router.layer(from_fn_with_state(Arc::clone(&lies), altered));
        let url = format!("http://{}", serve(router).await);
        stage.settings.node = Some(node(&url));
        for _ in 0..20 {
            if stage.mirror.number(BADGES).await > 0 {
                break;
            }
            stage.grow(20).await;
        }
        stage.backend.follow(&stage.mirror).await;
        Self { stage, lies }
    }

    /// Compares the mirror with the node, as a daemon does now and then.
    async fn audit(&self, all: bool) {
        let node = self.stage.settings.node.as_ref().unwrap();
        let pool = &self.stage.mirror.pool;
        prove_and_store(pool, node).await.unwrap();
        let options = DeepOptions {
            all,
            ..DeepOptions::default()
        };
        deep(pool, node, None, &options).await.unwrap();
    }

    async fn open(&self) -> BTreeSet<(String, String)> {
        let found = self
            .stage
            .mirror
            .text("select string_agg(distinct rule || ' ' || fault, ',') from break where state in ('open', 'suspected')")
            .await;
        let found = found.unwrap_or_default();
        let pair = |text: &str| {
            let (rule, fault) = text.split_once(' ').unwrap();
            (rule.to_owned(), fault.to_owned())
        };
        found
            .split(',')
            .filter(|t| !t.is_empty())
            .map(pair)
            .collect()
    }

    async fn alter(&self, mutation: &Mutation) {
        match &mutation.side {
            Side::Node(lie) => *self.lies.lock().unwrap() = *lie,
            Side::Platform(sql) => {
                let db = &self.stage.backend.db;
                let pid = db
                    .text(
                        "select min(id) from projects where status in ('ACTIVE', 'UNDER_REVIEW') and milestone_1_funded
                             and not milestone_1_released and milestone_1_complete is false",
                    )
                    .await
                    .expect("an active project");
                let bid = db
                    .text("select min(id) from nft_achievements")
                    .await
                    .unwrap();
                let uid = db
                    .text("select min(id) from users where total_earned > 0")
                    .await
                    .expect("a user who earned something");
                let sql = sql
                    .replace("PID", &pid)
                    .replace("BID", &bid)
                    .replace("UID", &uid);
                let keep = "create table g1 as table projects; create table g2 as table users;
                    create table g3 as table x_integrations; create table g4 as table nft_achievements;";
                db.sql(keep).await;
                db.sql(sql).await;
            }
            Side::Mirror(projection, of, path, value) => {
                let value = value.replace("v #>>", &format!("(v.state #> '{path}') #>>"));
                let sql = format!(
                    "create table kept as select v.id, v.state from projection_version v
                         join projection_current k on k.version_id = v.id
                         where k.projection = {projection} and k.entity like '%{of}';
                     update projection_version v set state = jsonb_set(v.state, '{path}', {value})
                         from kept where kept.id = v.id"
                );
                self.stage.mirror.sql(sql).await;
            }
        }
    }

    async fn heal(&self, mutation: &Mutation) {
        match &mutation.side {
            Side::Node(_) => *self.lies.lock().unwrap() = Lie::None,
            Side::Platform(_) => {
                let back = "delete from projects; insert into projects table g1; delete from users; insert into users table g2;
                    delete from x_integrations; insert into x_integrations table g3;
                    delete from nft_achievements; insert into nft_achievements table g4;
                    drop table g1, g2, g3, g4";
                self.stage.backend.db.sql(back).await;
            }
            Side::Mirror(..) => {
                let back = "update projection_version v set state = kept.state from kept where kept.id = v.id; drop table kept";
                self.stage.mirror.sql(back).await;
            }
        }
    }

    /// The chain goes on until what was seen is final; what is left.
    async fn wait(&mut self, audited: bool) -> BTreeSet<(String, String)> {
        for _ in 0..10 {
            if audited {
                // What differed, and what changed since.
                self.audit(false).await;
            }
            self.stage.sweep().await;
            if self.open().await.is_empty() {
                break;
            }
            self.stage.grow(3).await;
            self.stage.backend.follow(&self.stage.mirror).await;
        }
        self.open().await
    }
}

const BADGES: &str =
    "select count(*) from projection_current k join projection_version v on v.id = k.version_id
    where k.projection = 13 and v.state->>'owner' is not null";

/// A row that was added and taken away again is gone, and that ends nothing: a person says so.
async fn resolve_gone(stage: &Stage) {
    let gone = "select string_agg(encode(id, 'hex'), ' ') from break where state = 'open' and what like 'row x%'";
    for id in stage.mirror.text(gone).await.unwrap_or_default().split(' ') {
        if id.is_empty() {
            continue;
        }
        let action = Action::Resolve {
            note: "the row was removed".to_owned(),
            onchain: false,
        };
        act(&stage.mirror.pool, id, "ann", &action).await.unwrap();
    }
}

#[test]
fn a_fault_on_any_side_is_found_laid_at_the_right_door_and_healed() {
    run(async {
        let mut theatre = Theatre::new().await;
        theatre.audit(true).await;
        let first = theatre.stage.sweep().await;
        assert_eq!(first.matched, first.considered, "{first:?}");
        let mut wrong = Vec::new();
        let many = std::env::var("STXWORX_RECONCILE_MUTATIONS")
            .ok()
            .map_or(4, |n| n.parse().unwrap());
        let played = &MUTATIONS[..MUTATIONS.len().min(many)];
        for mutation in played {
            let audited = !matches!(mutation.side, Side::Platform(_));
            theatre.alter(mutation).await;
            if audited {
                theatre.audit(true).await;
            }
            let wanted: BTreeSet<_> = mutation
                .finds
                .iter()
                .map(|(rule, fault)| ((*rule).to_owned(), (*fault).to_owned()))
                .collect();
            for _ in 0..2 {
                theatre.stage.sweep().await;
            }
            let found = theatre.open().await;
            if found != wanted {
                wrong.push(format!("{}: {found:?}", mutation.name));
            }
            theatre.heal(mutation).await;
            resolve_gone(&theatre.stage).await;
            let left = theatre.wait(audited).await;
            if !left.is_empty() {
                let rest = theatre
                    .stage
                    .mirror
                    .text("select string_agg(concat_ws(' ', rule, subject_kind, subject_key, what, state), '; ') from break where state <> 'resolved'")
                    .await;
                wrong.push(format!("{} is healed, and left: {rest:?}", mutation.name));
                break;
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        let resolved = theatre.stage.breaks(&["resolved"]).await;
        for (rule, _) in played.iter().flat_map(|mutation| mutation.finds) {
            let of_rule = |key: &&String| key.split(' ').next() == Some(*rule);
            assert!(
                resolved.keys().any(|key| of_rule(&key)),
                "{rule}: {resolved:?}"
            );
        }
        println!(
            "{} mutations, {} breaks resolved",
            played.len(),
            resolved.len()
        );
        // Each run stands again, the node's answers of then included.
        let newest = theatre
            .stage
            .mirror
            .number("select max(id) from reconcile_run")
            .await;
        for id in [newest / 3, newest / 2, newest] {
            let (_, same) = stxworx_reconciler::engine::rerun(&theatre.stage.mirror.pool, id)
                .await
                .unwrap();
            assert!(same, "run {id}");
        }
        theatre.stage.end().await;
    });
}
