//! Adopting a platform: one without fault, one with every fault, and one whose mirror is still to be filled.

use std::collections::BTreeMap;
use std::process::Output;

use serde_json::Value as Json;
use stxworx::devnet::backend::{Backend as Erring, Persona, prepare};
use stxworx::devnet::rpc::AUTH_TOKEN;
use stxworx_clarity::market::Actor;

use crate::devnet::history::History;
use crate::devnet::node_source::Served;
use crate::reconcile::Stage;
use crate::support::chain::Engine;
use crate::support::db::TestDb;
use crate::support::mirror::assert_verifies;
use crate::support::run;
use crate::tools::{output, stderr, stdout, stxworx};

struct Adopt<'a> {
    mirror: &'a str,
    platform: &'a str,
    query: &'a str,
    node: Option<&'a str>,
    /// Role whose key mints.
    minter: Option<&'a str>,
}

fn logic(history: &History) -> String {
    history.contracts().logic.to_string()
}

impl Adopt<'_> {
    async fn command(&self, history: &History, more: &[&str]) -> Output {
        let contract = logic(history);
        let mut arguments = vec!["adopt", "--contract", &contract];
        arguments.extend(more);
        let mut command = stxworx(&arguments);
        let follow = history.follow();
        let contracts: Vec<_> = follow.contracts.into_iter().collect();
        let principals: Vec<_> = follow.principals.into_iter().collect();
        let token = history.contracts().token.to_string();
        command
            .env("DATABASE_URL", self.mirror)
            .env("STXWORX_PLATFORM_URL", self.platform)
            .env("STXWORX_PLATFORM_PROJECTS_QUERY", self.query)
            .env("STXWORX_PLATFORM_ASSETS", format!("sBTC={token}"))
            .env("STXWORX_FOLLOW_MIRROR", "followed")
            .env("STXWORX_FOLLOW_CONTRACTS", contracts.join(","))
            .env("STXWORX_FOLLOW_PRINCIPALS", principals.join(","));
        if let Some(node) = self.node {
            command
                .env("STXWORX_NODE_RPC_URL", node)
                .env("STXWORX_NODE_AUTH_TOKEN", AUTH_TOKEN);
        }
        if let Some(role) = self.minter {
            let secret = hex::encode(Actor::of(role).secret.secret_bytes());
            command
                .env("STXWORX_MINT_KEY_ENV", "ADOPTED_KEY")
                .env("ADOPTED_KEY", secret);
        }
        output(command).await
    }

    async fn json(&self, history: &History, more: &[&str]) -> (Option<i32>, Json) {
        let mut all = more.to_vec();
        all.extend(["--output", "json"]);
        let done = self.command(history, &all).await;
        let json = serde_json::from_str(&stdout(&done));
        (
            done.status.code(),
            json.unwrap_or_else(|e| panic!("{e}: {}{}", stdout(&done), stderr(&done))),
        )
    }
}

/// Counts by class, those of nothing left out.
fn counts(report: &Json) -> BTreeMap<String, u64> {
    let classes = report["linked"]["classes"].as_array().unwrap().iter();
    let all = classes.map(|c| {
        (
            c["class"].as_str().unwrap().to_owned(),
            c["count"].as_u64().unwrap(),
        )
    });
    all.filter(|(_, count)| *count > 0).collect()
}

/// All rows of the platform, for comparison: it must not change.
async fn rows(db: &TestDb) -> Option<String> {
    db.text("select string_agg(p::text, E'\\n' order by p.id::text) from projects p")
        .await
}

#[test]
fn a_platform_without_fault_links_whole_and_each_fault_is_counted() {
    run(async {
        let stage = Stage::new(91, 80).await;
        let adopt = Adopt {
            mirror: &stage.mirror.url,
            platform: &stage.backend.db.url,
            query: &stage.settings.source.projects_query,
            node: None,
            minter: None,
        };
        let (code, clean) = adopt.json(&stage.served.history, &[]).await;
        assert_eq!(code, Some(0), "{clean:#}");
        let all = clean["linked"]["rows"].as_u64().unwrap();
        assert!(all >= 12, "{all} projects are too few for this test");
        assert_eq!(counts(&clean), BTreeMap::from([("linked".to_owned(), all)]));

        let db = &stage.backend.db;
        let ids = db
            .text("select string_agg(on_chain_id::text, ',' order by on_chain_id) from projects")
            .await
            .unwrap();
        let id: Vec<&str> = ids.split(',').collect();
        db.sql(format!(
            "update projects set total_amount = total_amount + 1 where on_chain_id = {};
             update projects set client_address = freelancer_address where on_chain_id = {};
             update projects set token_type = 'DOGE' where on_chain_id = {};
             update projects set on_chain_id = null, status = 'ACTIVE' where on_chain_id = {};
             update projects set on_chain_id = null, status = 'PENDING' where on_chain_id = {};
             update projects set on_chain_id = 999999 where on_chain_id = {};
             delete from projects where on_chain_id = {};
             insert into projects (id, on_chain_id, status) select 'copy', on_chain_id, status from projects where on_chain_id = {};",
            id[0], id[1], id[2], id[3], id[4], id[5], id[6], id[7]
        ))
        .await;
        let before = rows(db).await;
        let (code, report) = adopt
            .json(&stage.served.history, &["--examples", "2"])
            .await;
        assert_eq!(code, Some(3), "{report:#}");
        let expected = [
            ("linked", all - 8),
            ("off_chain", 1),
            ("amounts_differ", 1),
            ("parties_differ", 1),
            ("asset_differs", 1),
            ("twice", 2),
            ("without_number", 1),
            ("points_nowhere", 1),
            ("without_row", 4),
        ];
        let expected: BTreeMap<_, _> = expected.map(|(c, n)| (c.to_owned(), n)).into();
        assert_eq!(counts(&report), expected, "{report:#}");
        let classes = report["linked"]["classes"].as_array().unwrap();
        let of =
            |class: &str| classes.iter().find(|c| c["class"] == class).unwrap()["examples"].clone();
        let hint = of("without_number")[0].as_str().unwrap().to_owned();
        assert!(
            hint.contains(&format!(
                "perhaps {}/{}",
                logic(&stage.served.history),
                id[3]
            )),
            "{hint}"
        );
        assert_eq!(of("without_row").as_array().unwrap().len(), 2);

        let page = adopt
            .command(&stage.served.history, &["--output", "markdown"])
            .await;
        let page = stdout(&page);
        assert!(
            page.contains("| twice | 2 |") && page.contains("### rows without a number"),
            "{page}"
        );
        let text = stdout(&adopt.command(&stage.served.history, &[]).await);
        assert!(
            text.ends_with("NOT EVERYTHING LINKS; nothing was changed\n"),
            "{text}"
        );
        assert_eq!(rows(db).await, before, "the platform was changed");
        stage.end().await;
    });
}

#[test]
fn a_platform_that_errs_as_real_ones_do() {
    run(async {
        const SEED: u64 = 5;
        let mut history = History::new(24, 80);
        history.grow(80);
        let (mirror, platform) = (TestDb::new().await, TestDb::empty().await);
        let engine = Engine::start_with(&mirror, history.follow());
        engine.feed(&mirror, &history.said()).await;
        engine.stop().await;
        prepare(&platform.url, "postgres", &platform.url)
            .await
            .unwrap();
        let mut backend = Erring::new(mirror.pool.clone(), &platform.url, SEED).unwrap();
        backend.step().await.unwrap();
        drop(backend);
        let adopt = Adopt {
            mirror: &mirror.url,
            platform: &platform.url,
            query: "",
            node: None,
            minter: None,
        };
        let (code, report) = adopt.json(&history, &[]).await;
        assert_eq!(code, Some(3), "{report:#}");
        let model = history.model(&history.chain.tip().header.id);
        let mut personas: BTreeMap<Persona, u64> = BTreeMap::new();
        for id in model.logic.projects.keys() {
            let persona = Persona::of(SEED, u64::try_from(*id).unwrap());
            *personas.entry(persona).or_default() += 1;
        }
        let of = |persona| personas.get(&persona).copied().unwrap_or(0);
        let found = counts(&report);
        let count = |class: &str| found.get(class).copied().unwrap_or(0);
        assert_eq!(count("twice"), 2 * of(Persona::TwiceLinked));
        assert_eq!(count("points_nowhere"), of(Persona::WrongLink));
        assert_eq!(
            count("without_row"),
            of(Persona::Orphan) + of(Persona::WrongLink)
        );
        assert_eq!(count("parties_differ"), of(Persona::BadPrincipal));
        assert_eq!(count("amounts_differ"), of(Persona::Overflow));
        let projects = u64::try_from(model.logic.projects.len()).unwrap();
        let rest = projects
            - of(Persona::TwiceLinked)
            - of(Persona::WrongLink)
            - of(Persona::Orphan)
            - of(Persona::BadPrincipal)
            - of(Persona::Overflow);
        assert_eq!(count("linked"), rest, "{report:#}");
        let errs = projects - rest;
        assert!(errs > 0, "no error in {projects} projects");
        mirror.drop().await;
        platform.drop().await;
    });
}

#[test]
fn what_is_missing_is_said_and_with_yes_fetched() {
    run(async {
        let mut history = History::new(92, 40);
        history.grow(40);
        let served = Served::new(history).await;
        let (mirror, platform) = (TestDb::new().await, TestDb::empty().await);
        prepare(&platform.url, "postgres", &platform.url)
            .await
            .unwrap();
        let adopt = Adopt {
            mirror: &mirror.url,
            platform: &platform.url,
            query: "",
            node: Some(&served.url),
            minter: None,
        };
        let (code, plan) = adopt.json(&served.history, &[]).await;
        assert_eq!((code, &plan["linked"]), (Some(3), &Json::Null), "{plan:#}");
        let published = plan["deployments"][0]["publish_height"].as_u64().unwrap();
        let step = format!("stxworx backfill --source node --from {published} --to tip");
        assert_eq!(plan["steps"][0]["run"], step, "{plan:#}");

        let (code, done) = adopt.json(&served.history, &["--yes"]).await;
        assert_eq!(done["steps"], Json::Array(Vec::new()), "{done:#}");
        assert_eq!(done["deployments"][0]["complete"], true, "{done:#}");
        let model = served.history.model(&served.chain.lock().tip().header.id);
        let projects = u64::try_from(model.logic.projects.len()).unwrap();
        assert!(projects > 0);
        assert_eq!(
            counts(&done),
            BTreeMap::from([("without_row".to_owned(), projects)])
        );
        assert_eq!(code, Some(3));
        assert_verifies(&mirror).await;

        // A deployment that is not there, and one that is not followed.
        let other = "ST000000000000000000002AMW42H.freelance-logic@5";
        let (code, two) = adopt.json(&served.history, &["--contract", other]).await;
        assert_eq!(code, Some(3));
        assert_eq!(two["deployments"][1]["exists"], false, "{two:#}");
        assert_eq!(two["not_followed"].as_array().unwrap().len(), 4, "{two:#}");
        let same = adopt
            .command(
                &served.history,
                &[
                    "--contract",
                    "ST000000000000000000002AMW42H.freelance-logic",
                ],
            )
            .await;
        assert_eq!(same.status.code(), Some(2));
        assert!(
            stderr(&same).contains("say @HEIGHT for the later one"),
            "{}",
            stderr(&same)
        );
        mirror.drop().await;
        platform.drop().await;
    });
}

/// Whoever has a badge keeps it; nobody may mint before the first mints are looked at and the key is authorised.
#[test]
fn badges_of_before_are_counted_and_a_minter_is_told_what_it_lacks() {
    run(async {
        let mut history = History::new(73, 150);
        history.grow(90);
        let (mirror, platform) = (TestDb::new().await, TestDb::empty().await);
        let engine = Engine::start_with(&mirror, history.follow());
        engine.feed(&mirror, &history.said()).await;
        engine.stop().await;
        prepare(&platform.url, "postgres", &platform.url)
            .await
            .unwrap();
        let adopt = Adopt {
            mirror: &mirror.url,
            platform: &platform.url,
            query: "",
            node: None,
            minter: None,
        };
        let (_, report) = adopt.json(&history, &[]).await;
        let model = history.model(&history.chain.tip().header.id);
        let held = model.badges.badges.len();
        assert!(held > 0, "nobody has a badge in this history");
        let badges = &report["badges"];
        assert_eq!(badges["held"].as_u64(), u64::try_from(held).ok());
        let (minter, began) = (badges["minter"].as_bool(), badges["began"].as_bool());
        assert_eq!((minter, began), (Some(false), Some(false)), "{badges}");
        for (role, authorised) in [("nobody", false), ("minter", true)] {
            let with_key = Adopt {
                minter: Some(role),
                ..adopt
            };
            let (code, report) = with_key.json(&history, &[]).await;
            assert_eq!(code, Some(3), "{report:#}");
            let steps = report["steps"].to_string();
            for wanted in ["mint.approve_first = 3", "nodes: none"] {
                assert!(steps.contains(wanted), "{wanted}: {steps}");
            }
            let lacks = steps.contains("authorisation: no minter of");
            assert_eq!(lacks, !authorised, "{role}: {steps}");
        }
        mirror.drop().await;
        platform.drop().await;
    });
}
