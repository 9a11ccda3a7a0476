//! One fault on each of three sides: the platform's rows, the mirror's, and the node's answers. Each is found by its rule
//! and laid at the right door, and when it is healed nothing is left.
//!
//! Faults of different things are played together: a round takes as many as have a thing of their own. By default the
//! first two rounds are played, which are most of them; `STXWORX_RECONCILE_ROUNDS=20` plays all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use serde_json::Value as Json;
use stxworx::devnet::rpc;
use stxworx_indexer::audit::{DeepOptions, deep, prove_and_store};
use stxworx_reconciler::breaks::Action;
use stxworx_reconciler::engine::act;

use super::mutants::{MUTATIONS, Mutation, Side, Thing};
use super::{Stage, node};
use crate::devnet::node_source::serve;
use crate::support::run;

/// What a node says otherwise than it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lie {
    /// Half of what the escrow has.
    Less,
    /// A unit more than it has.
    More,
    /// The last digit of what a function answers, where the question holds these digits.
    Answer(&'static str, String),
    /// Nothing at all.
    Silent,
}

type Lies = Arc<Mutex<Vec<Lie>>>;

async fn altered(State(lies): State<Lies>, request: Request, next: Next) -> Response {
    let lies = lies.lock().unwrap().clone();
    let path = request.uri().path().to_owned();
    let (parts, body) = request.into_parts();
    let asked = to_bytes(body, 1 << 20).await.unwrap();
    let asked_text = String::from_utf8_lossy(&asked).into_owned();
    let answer = next
        .run(Request::from_parts(parts, Body::from(asked)))
        .await;
    let (mut parts, body) = answer.into_parts();
    let mut bytes = to_bytes(body, 1 << 24).await.unwrap();
    for lie in lies {
        match lie {
            Lie::Silent => parts.status = StatusCode::INTERNAL_SERVER_ERROR,
            Lie::Less | Lie::More
                if path.starts_with("/v2/accounts/") && path.ends_with(".freelance-logic") =>
            {
                let mut told: Json = serde_json::from_slice(&bytes).unwrap();
                let digits = told["balance"].as_str().unwrap().trim_start_matches("0x");
                let units = u128::from_str_radix(digits, 16).unwrap();
                let units = if lie == Lie::More {
                    units + 1
                } else {
                    units / 2
                };
                told["balance"] = format!("0x{units:032x}").into();
                bytes = Bytes::from(told.to_string());
            }
            Lie::Answer(function, asked)
                if path.ends_with(function) && asked_text.contains(&asked) =>
            {
                let mut told: Json = serde_json::from_slice(&bytes).unwrap();
                let mut digits = told["result"].as_str().unwrap().to_owned();
                let last = digits.pop().and_then(|d| d.to_digit(16)).unwrap();
                digits.push(char::from_digit(last ^ 1, 16).unwrap());
                told["result"] = digits.into();
                bytes = Bytes::from(told.to_string());
            }
            _ => {}
        }
    }
    parts.headers.remove("content-length");
    Response::from_parts(parts, Body::from(bytes))
}

/// A mutation with the thing that it is done to.
struct Cast {
    mutation: &'static Mutation,
    /// Names of the thing, by placeholder.
    names: BTreeMap<&'static str, String>,
}

impl Cast {
    fn fill(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        for (placeholder, name) in &self.names {
            filled = filled.replace(placeholder, name);
        }
        filled
    }

    /// What nobody else may touch in the same round.
    fn holds(&self) -> BTreeSet<String> {
        let shared = self.mutation.holds.iter().map(|text| self.fill(text));
        shared.collect()
    }

    fn wanted(&self) -> BTreeSet<String> {
        self.mutation.finds.iter().map(|it| self.fill(it)).collect()
    }
}

/// A stage with a node that lies when it is told to.
struct Theatre {
    stage: Stage,
    lies: Lies,
    /// Runs that saw rows of the mirror which were altered where they stand: nobody can see those again.
    of_altered: BTreeSet<i64>,
}

/// Tables of the platform that are put back.
const TABLES: [&str; 5] = [
    "projects",
    "users",
    "x_integrations",
    "nft_achievements",
    "dao_transactions",
];

impl Theatre {
    async fn new() -> Self {
        let mut stage = Stage::new(34, 120).await;
        let lies: Lies = Arc::default();
        let router = rpc::router(stage.served.chain.clone());
        let router = router.layer(from_fn_with_state(Arc::clone(&lies), altered));
        let url = format!("http://{}", serve(router).await);
        stage.settings.node = Some(node(&url));
        for _ in 0..20 {
            if stage.mirror.number(BADGES).await > 1 {
                break;
            }
            stage.grow(20).await;
        }
        stage.backend.follow(&stage.mirror).await;
        Self {
            stage,
            lies,
            of_altered: BTreeSet::new(),
        }
    }

    /// Compares the mirror with the node, as a daemon does now and then. A node that is silent compares nothing.
    async fn audit(&self, all: bool) {
        let node = self.stage.settings.node.as_ref().unwrap();
        let pool = &self.stage.mirror.pool;
        let silent = self.lies.lock().unwrap().contains(&Lie::Silent);
        let proved = prove_and_store(pool, node).await;
        let options = DeepOptions {
            all,
            ..DeepOptions::default()
        };
        let compared = deep(pool, node, None, &options).await;
        assert!(silent || (proved.is_ok() && compared.is_ok()));
    }

    /// What is found: rule, subject without its contract, who is at fault, and the state where it is not open.
    async fn found(&self) -> BTreeSet<String> {
        let found = self
            .stage
            .mirror
            .text(
                "select string_agg(distinct concat_ws(' ', rule, subject_kind,
                     case when strpos(subject_key, '|') > 0 then split_part(subject_key, '|', 2)
                          when strpos(subject_key, '/') > 0 then substr(subject_key, strpos(subject_key, '/') + 1)
                          else regexp_replace(subject_key, '^S[^.]*\\.', '') end,
                     fault, case when state <> 'open' then state end), E'\n')
                 from break where state <> 'resolved'",
            )
            .await;
        let found = found.unwrap_or_default();
        found.lines().map(str::to_owned).collect()
    }

    /// The things of a kind that there are.
    async fn things(&self, thing: Thing) -> Vec<BTreeMap<&'static str, String>> {
        let query = format!(
            "select string_agg(concat_ws(' ', {}), E'\n' order by ordinal) from ({}) as things",
            thing.names().map(|(column, _)| column).join(", "),
            thing.query()
        );
        let told = self.stage.backend.db.text(query).await.unwrap_or_default();
        let named = |line: &str| {
            let names = thing.names().into_iter().zip(line.split(' '));
            let mut names: BTreeMap<_, _> = names
                .filter(|((column, _), _)| !column.is_empty())
                .map(|((_, placeholder), name)| (placeholder, name.to_owned()))
                .collect();
            if let Some(number) = names.get("{N}").and_then(|n| n.parse::<u128>().ok()) {
                names.insert("{HEX}", format!("01{number:032x}"));
            }
            names
        };
        told.lines().map(named).collect()
    }

    /// Those that can be played together, each with a thing of its own; the others are left.
    async fn cast(&self, left: &mut Vec<&'static Mutation>) -> Vec<Cast> {
        let (mut casts, mut taken) = (Vec::<Cast>::new(), BTreeSet::new());
        let mut later = Vec::new();
        for mutation in left.drain(..) {
            let mut free = None;
            for names in self.things(mutation.thing).await {
                let cast = Cast { mutation, names };
                if cast.holds().is_disjoint(&taken) && !taken.contains("everything") {
                    free = Some(cast);
                    break;
                }
            }
            let alone = mutation.holds.contains(&"everything") && !casts.is_empty();
            match free.filter(|_| !alone) {
                Some(cast) => {
                    taken.extend(cast.holds());
                    casts.push(cast);
                }
                None => later.push(mutation),
            }
        }
        *left = later;
        casts
    }

    async fn alter(&self, casts: &[Cast]) {
        let db = &self.stage.backend.db;
        for table in TABLES {
            db.sql(format!("create table kept_{table} as table {table}"))
                .await;
        }
        for (number, cast) in casts.iter().enumerate() {
            match &cast.mutation.side {
                Side::Node(lie) => {
                    let lie = match lie {
                        Lie::Answer(function, asked) => Lie::Answer(function, cast.fill(asked)),
                        other => other.clone(),
                    };
                    self.lies.lock().unwrap().push(lie);
                }
                Side::Platform(sql) => db.sql(cast.fill(sql)).await,
                Side::Mirror(projection, of, path, value) => {
                    let of = cast.fill(of);
                    let value = value.replace("v #>>", &format!("(v.state #> '{path}') #>>"));
                    let sql = format!(
                        "create table kept_{number} as select v.id, v.state from projection_version v
                             join projection_current k on k.version_id = v.id
                             where k.projection = {projection} and k.entity like '%{of}';
                         update projection_version v set state = jsonb_set(v.state, '{path}', {value})
                             from kept_{number} k where k.id = v.id"
                    );
                    self.stage.mirror.sql(sql).await;
                }
            }
        }
    }

    async fn heal(&self, casts: &[Cast]) {
        self.lies.lock().unwrap().clear();
        for table in TABLES {
            let back = format!(
                "delete from {table}; insert into {table} table kept_{table}; drop table kept_{table}"
            );
            self.stage.backend.db.sql(back).await;
        }
        for (number, cast) in casts.iter().enumerate() {
            if let Side::Mirror(..) = cast.mutation.side {
                let back = format!(
                    "update projection_version v set state = k.state from kept_{number} k where k.id = v.id;
                     drop table kept_{number}"
                );
                self.stage.mirror.sql(back).await;
            }
        }
    }

    /// The chain goes on until what was seen is final; what is left.
    async fn wait(&mut self, audited: bool) -> BTreeSet<String> {
        for _ in 0..10 {
            if audited {
                // What differed, and what changed since.
                self.audit(false).await;
            }
            self.stage.sweep().await;
            if self.found().await.is_empty() {
                break;
            }
            self.stage.grow(3).await;
            self.stage.backend.follow(&self.stage.mirror).await;
        }
        self.found().await
    }

    /// The newest run.
    async fn newest(&self) -> i64 {
        let newest = "select max(id) from reconcile_run";
        self.stage.mirror.number(newest).await
    }

    /// One round; what was not as it should be.
    async fn play(&mut self, casts: &[Cast]) -> Vec<String> {
        let is_of_platform = |cast: &Cast| matches!(cast.mutation.side, Side::Platform(_));
        let audited = !casts.iter().all(is_of_platform);
        self.alter(casts).await;
        if audited {
            self.audit(true).await;
        }
        let mut wrong = Vec::new();
        let is_of_mirror = |cast: &Cast| matches!(cast.mutation.side, Side::Mirror(..));
        for _ in 0..2 {
            let report = self.stage.sweep().await;
            if casts.iter().any(is_of_mirror) {
                self.of_altered.insert(self.newest().await);
            }
            for cast in casts.iter().filter(|cast| cast.mutation.finds.is_empty()) {
                // Nothing is found, and nothing is called good.
                if report.skips["node_error"].as_u64().unwrap_or(0) == 0 {
                    wrong.push(format!("{}: {}", cast.mutation.name, report.skips));
                }
            }
        }
        let found = self.found().await;
        let wanted: BTreeSet<_> = casts.iter().flat_map(Cast::wanted).collect();
        for cast in casts {
            let missed: Vec<_> = cast.wanted().difference(&found).cloned().collect();
            if !missed.is_empty() {
                let name = cast.mutation.name;
                wrong.push(format!("{name} ({:?}): not found: {missed:?}", cast.names));
            }
        }
        let more: Vec<_> = found.difference(&wanted).collect();
        if !more.is_empty() {
            wrong.push(format!("found besides: {more:?}"));
        }
        self.heal(casts).await;
        resolve_gone(&self.stage).await;
        let left = self.wait(audited).await;
        if !left.is_empty() {
            wrong.push(format!("healed, and left: {left:?}"));
        }
        wrong
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
        let started = std::time::Instant::now();
        let mut theatre = Theatre::new().await;
        theatre.audit(true).await;
        let first = theatre.stage.sweep().await;
        assert_eq!(first.matched, first.considered, "{first:?}");
        println!("a stage, {:?}", started.elapsed());
        let mut left: Vec<_> = MUTATIONS.iter().collect();
        let (mut wrong, mut rounds, mut played) = (Vec::new(), 0, 0);
        let most: usize = std::env::var("STXWORX_RECONCILE_ROUNDS")
            .ok()
            .map_or(2, |n| n.parse().unwrap());
        while !left.is_empty() && rounds < most {
            let casts = theatre.cast(&mut left).await;
            if casts.is_empty() {
                // The chain has no such thing now.
                theatre.stage.grow(10).await;
                theatre.stage.backend.follow(&theatre.stage.mirror).await;
            }
            (rounds, played) = (rounds + 1, played + casts.len());
            let round = std::time::Instant::now();
            wrong.extend(theatre.play(&casts).await);
            println!(
                "round {rounds}: {} mutations, {:?}",
                casts.len(),
                round.elapsed()
            );
        }
        let names: Vec<_> = left.iter().map(|mutation| mutation.name).collect();
        println!("{played} played, {} left: {names:?}", names.len());
        assert!(played >= 35, "{played} in {rounds} rounds");
        assert!(
            names.is_empty() || rounds == 2,
            "nothing to play these with: {names:?}"
        );
        assert!(wrong.is_empty(), "{wrong:#?}");
        let resolved = theatre.stage.breaks(&["resolved"]).await;
        let is_played = |mutation: &&Mutation| !names.contains(&mutation.name);
        let all = MUTATIONS.iter().filter(is_played);
        for found in all.flat_map(|mutation| mutation.finds) {
            let rule = found.split(' ').next();
            assert!(
                resolved.keys().any(|key| key.split(' ').next() == rule),
                "{found}: {resolved:?}"
            );
        }
        println!(
            "{played} mutations in {rounds} rounds, {} breaks resolved, {:?}",
            resolved.len(),
            started.elapsed()
        );
        // Runs stand again, the node's answers of then included.
        let newest = theatre.newest().await;
        let runs = (1..=newest).filter(|run| !theatre.of_altered.contains(run));
        for id in runs {
            let (_, same) = stxworx_reconciler::engine::rerun(&theatre.stage.mirror.pool, id)
                .await
                .unwrap();
            assert!(
                same,
                "run {id}, where {:?} saw altered rows",
                theatre.of_altered
            );
        }
        theatre.stage.end().await;
    });
}
