//! The mirror against a node, beyond cursors: what was altered is found, named, and dated.

use serde_json::Value as Json;
use stxworx::devnet::rpc::AUTH_TOKEN;
use stxworx_indexer::audit::{DeepOptions, DeepReport, NodeReader, deep};
use stxworx_indexer::model::IndexBlockHash;

use super::history::History;
use super::node_source::{Served, above_genesis};
use crate::support::app::{App, config};
use crate::support::chain::Engine;
use crate::support::db::TestDb;
use crate::support::run;
use crate::tools::{get, output, stderr, stdout, stxworx};

struct Audited {
    served: Served,
    db: TestDb,
    logic: String,
}

impl Audited {
    async fn new(seed: u64, steps: u32) -> Self {
        let mut served = Served::new(History::new(seed, steps)).await;
        let said = served.with(|history| {
            history.grow(steps);
            history.said()
        });
        let db = TestDb::new().await;
        let engine = Engine::start_with(&db, served.history.follow());
        engine.feed(&db, &above_genesis(said)).await;
        engine.stop().await;
        let logic = served.history.contracts().logic.to_string();
        Self { served, db, logic }
    }

    async fn deep(&self, options: DeepOptions) -> DeepReport {
        let node = NodeReader::new(&self.served.url, std::time::Duration::from_secs(20)).unwrap();
        let source = self.served.source();
        deep(&self.db.pool, &node, Some(&source), &options)
            .await
            .unwrap()
    }

    async fn everything(&self) -> DeepReport {
        let options = DeepOptions {
            all: true,
            ..DeepOptions::default()
        };
        self.deep(options).await
    }

    /// The command, with the node's token.
    async fn command(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut all = vec!["audit", "--node", &self.served.url];
        all.extend(arguments);
        let mut command = stxworx(&all);
        command.env("DATABASE_URL", &self.db.url);
        command.env("STXWORX_NODE_AUTH_TOKEN", AUTH_TOKEN);
        let done = output(command).await;
        (done.status.code(), stdout(&done) + &stderr(&done))
    }

    /// Alters the newest state of an entity.
    async fn alter(&self, projection: &str, entity: &str, path: &str, value: &str) {
        self.db
            .sql(format!(
                "update projection_version v set state = jsonb_set(v.state, '{path}', '{value}')
                 from projection_current c join projection p on p.id = c.projection
                 where v.id = c.version_id and p.name = '{projection}' and c.entity = '{entity}'"
            ))
            .await;
    }

    async fn one(&self, query: &str) -> String {
        self.db.text(query).await.unwrap()
    }
}

fn count(report: &DeepReport, kind: &str, verdict: &str) -> u64 {
    let verdicts = report.compared.get(kind);
    verdicts.and_then(|v| v.get(verdict)).copied().unwrap_or(0)
}

/// What differs, as `kind subject: detail`.
fn differing(report: &DeepReport) -> Vec<String> {
    let lines = report.findings.iter().map(|f| {
        let detail = f.detail.as_deref().unwrap_or_default();
        format!("{} {}: {detail}", f.subject_kind, f.subject)
    });
    lines.collect()
}

#[test]
fn a_sound_mirror_agrees_in_every_part_and_says_so_height_by_height() {
    run(async {
        let mirror = Audited::new(51, 60).await;
        let report = mirror.everything().await;
        assert_eq!(differing(&report), Vec::<String>::new());
        assert_eq!(report.notes, Vec::<String>::new());
        let stored = async |projection: &str| {
            let query = format!(
                "select count(*) from projection_current c join projection p on p.id = c.projection where p.name = '{projection}'"
            );
            u64::try_from(mirror.db.number(&query).await).unwrap()
        };
        for kind in ["projects", "assets", "badges"] {
            let agreed = count(&report, kind, "agrees");
            assert_eq!(agreed, stored(kind).await, "{kind}");
            assert!(agreed > 0, "{kind}");
        }
        assert_eq!(count(&report, "balances", "agrees"), stored("assets").await);
        assert!(count(&report, "treasury", "agrees") > 0);
        let touching = mirror
            .db
            .number("select count(distinct c.height) from canonical c join transaction t on t.block_id = c.block_id")
            .await;
        assert_eq!(
            count(&report, "block", "agrees"),
            u64::try_from(touching).unwrap()
        );
        // A sample of what changed since is empty now.
        let again = mirror.deep(DeepOptions::default()).await;
        assert_eq!(again.compared.len(), 0, "{again:?}");

        let follow = mirror.served.history.follow();
        let contracts = format!("{:?}", follow.contracts.iter().collect::<Vec<_>>());
        let principals = format!("{:?}", follow.principals.iter().collect::<Vec<_>>());
        let url = format!("{:?}", mirror.served.url);
        let token = format!("{AUTH_TOKEN:?}");
        let app = App::start(
            &mirror.db,
            &config(&[
                ("follow.mirror", "\"followed\""),
                ("follow.contracts", &contracts),
                ("follow.principals", &principals),
                ("node.rpc_url", &url),
                ("node.auth_token", &token),
                ("node.audit_pause_ms", "20"),
            ]),
        )
        .await;
        let tip = mirror.served.chain.lock().tip().header.height;
        let api = app.addresses.api.unwrap();
        let map = crate::support::eventually("proofs of all contracts", || async {
            let answer = get(api, "/v1/completeness").await.json();
            if answer["data"]["proved"] == true {
                Ok(answer["data"]["coverage"].clone())
            } else {
                Err(answer.to_string())
            }
        })
        .await;
        let map = map.as_array().unwrap();
        let levels: Vec<&str> = map
            .iter()
            .map(|i| i["evidence"].as_str().unwrap())
            .collect();
        assert_eq!(*levels.last().unwrap(), "state_reconciled", "{map:?}");
        assert!(levels.contains(&"replay_audited"), "{map:?}");
        assert_eq!(map.last().unwrap()["to_height"], tip);
        // Gapless from the origin up.
        let mut next = 1;
        for interval in map {
            assert_eq!(interval["from_height"], next, "{map:?}");
            next = interval["to_height"].as_u64().unwrap() + 1;
            assert!(interval["checked_at"].is_string(), "{interval}");
        }
        let early = get(api, "/v1/completeness?at_block=3").await.json();
        let last = early["data"]["coverage"]
            .as_array()
            .unwrap()
            .last()
            .cloned();
        assert_eq!(last.unwrap()["to_height"], 3);
        app.stop().await.unwrap();
        mirror.db.drop().await;
    });
}

#[test]
fn what_was_altered_is_named_with_both_words() {
    run(async {
        let mirror = Audited::new(51, 60).await;
        let logic = mirror.logic.clone();
        let project = format!("{logic}/1");
        let escrow = format!("{logic}|STX");
        mirror
            .alter("projects", &project, "{milestones,0,amount}", "\"7\"")
            .await;
        mirror
            .alter("assets", &escrow, "{received}", "\"999999999999999\"")
            .await;
        let badge = mirror
            .one(
                "select c.entity from projection_current c join projection p on p.id = c.projection
                 join projection_version v on v.id = c.version_id
                 where p.name = 'badges' and v.state ->> 'owner' is not null limit 1",
            )
            .await;
        mirror.alter("badges", &badge, "{kind}", "77").await;
        let treasury = mirror
            .one(
                "select entity from projection_current c join projection p on p.id = c.projection
                  where p.name = 'treasury' and entity like '%freelance-security|STX' limit 1",
            )
            .await;
        mirror
            .alter("treasury", &treasury, "{fees}", "\"888888888888888\"")
            .await;
        let event = mirror
            .one("select b.id || ' ' || e.tx_index || ' ' || e.ordinal || ' ' || '0x' || encode(b.index_block_hash, 'hex')
                      || ' ' || '0x' || encode(t.txid, 'hex')
                  from event e join canonical c on c.block_id = e.block_id join block b on b.id = e.block_id
                  join transaction t on t.block_id = e.block_id and t.tx_index = e.tx_index
                  where e.kind = 2 order by c.height offset 5 limit 1")
            .await;
        let parts: Vec<&str> = event.split(' ').collect();
        let [block, tx, ordinal, id, txid] = parts[..] else {
            panic!("{event}")
        };
        mirror
            .db
            .sql(format!(
                "update event set amount = amount + 1 where block_id = {block} and tx_index = {tx} and ordinal = {ordinal}"
            ))
            .await;

        let lines = differing(&mirror.everything().await);
        let expected = [
            (
                format!("projects {project}: milestone 1 amount: the mirror says 7"),
                "the contract ",
            ),
            (
                format!("balances {escrow}: balance of {logic} in STX"),
                "by the mirror it has at least 99999",
            ),
            (
                format!("badges {badge}: kind: the mirror says 77"),
                "the contract ",
            ),
            (
                format!("treasury {treasury}: balance of"),
                "by the mirror it has at least 88888",
            ),
            (
                format!(
                    "block {id}: event {ordinal} of transaction {txid}, amount: the node says "
                ),
                "the mirror ",
            ),
        ];
        for (begin, within) in &expected {
            let found = lines
                .iter()
                .filter(|l| l.starts_with(begin) && l.contains(within));
            assert_eq!(found.count(), 1, "{begin}\n{}", lines.join("\n"));
        }
        assert_eq!(lines.len(), expected.len(), "{}", lines.join("\n"));

        let (code, said) = mirror.command(&["--all"]).await;
        assert_eq!(code, Some(3), "{said}");
        for (begin, _) in &expected {
            let (subject, detail) = begin.split_once(": ").unwrap();
            assert!(
                said.contains(&format!("{subject} differs at block ")),
                "{subject}\n{said}"
            );
            assert!(said.contains(detail), "{detail}\n{said}");
        }
        // By heights: the block alone, and its neighbours.
        let height = mirror
            .one(&format!(
                "select height::text from block where id = {block}"
            ))
            .await;
        let (code, said) = mirror
            .command(&["--from", &height, "--to", &height, "--output", "json"])
            .await;
        assert_eq!(code, Some(3), "{said}");
        let json: Json = serde_json::from_str(&said).unwrap();
        assert_eq!(json["deep"]["compared"]["block"]["differs"], 1, "{said}");
        let below = (height.parse::<u32>().unwrap() - 1).to_string();
        let (_, said) = mirror.command(&["--from", &below, "--to", &below]).await;
        assert!(said.contains("block: 1 agrees\n"), "{said}");

        // A surplus row and a missing one.
        mirror
            .db
            .sql(format!("update event set amount = amount - 1 where block_id = {block} and tx_index = {tx} and ordinal = {ordinal};
                 delete from event where block_id = {block} and tx_index = {tx} and ordinal = {ordinal}"))
            .await;
        let (code, said) = mirror.command(&["--from", &height, "--to", &height]).await;
        assert_eq!(code, Some(3));
        let missing =
            format!("event {ordinal} of transaction {txid}: the node has it, the mirror has not");
        assert!(said.contains(&missing), "{said}");
        mirror.db.drop().await;
    });
}

#[test]
fn a_chain_of_events_that_went_wrong_is_bisected_to_the_block() {
    run(async {
        let mirror = Audited::new(53, 40).await;
        let (code, said) = mirror.command(&[]).await;
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(
            said.matches("equal to the contract's cursor").count(),
            4,
            "{said}"
        );
        let logic = &mirror.logic;
        let of = format!(
            "from projection_version v join canonical c on c.block_id = v.block_id
             join projection p on p.id = v.projection join block b on b.id = v.block_id
             where p.name = 'event_chain' and v.entity = '{logic}'"
        );
        let bad = mirror
            .one(&format!("select c.height || ' 0x' || encode(b.index_block_hash, 'hex') {of} group by c.height, b.id order by c.height offset 7 limit 1"))
            .await;
        let (height, id) = bad.split_once(' ').unwrap();
        mirror
            .db
            .sql(format!(
                "update projection_version set state = jsonb_set(state, '{{head}}', to_jsonb('0x' || repeat('ab', 32)))
                 where entity = '{logic}' and height >= {height}
                   and projection = (select id from projection where name = 'event_chain')"
            ))
            .await;
        let (code, said) = mirror.command(&[]).await;
        assert_eq!(code, Some(3), "{said}");
        let first = format!(
            "{logic}: the first block that differs is {id} (height {height}): the mirror has "
        );
        assert!(said.contains(&first), "{first}\n{said}");
        let (_, said) = mirror.command(&["--output", "json"]).await;
        let json: Json = serde_json::from_str(&said).unwrap();
        assert_eq!(json["first_bad"][0]["height"].to_string(), height);
        let compared = json["first_bad"][0]["compared"].as_u64().unwrap();
        assert!(
            compared <= 8,
            "{compared} comparisons for a handful of blocks"
        );
        // Wrong from its first block on: there is nothing right below.
        mirror
            .db
            .sql(format!(
                "update projection_version set state = jsonb_set(state, '{{head}}', to_jsonb('0x' || repeat('ab', 32)))
                 where entity = '{logic}' and projection = (select id from projection where name = 'event_chain')"
            ))
            .await;
        let (_, said) = mirror.command(&[]).await;
        assert!(
            said.contains("what is below cannot be compared; it differs from"),
            "{said}"
        );
        mirror.db.drop().await;
    });
}

#[test]
fn an_audit_that_cannot_be_is_refused_with_the_reason() {
    run(async {
        let mirror = Audited::new(54, 12).await;
        let tip = mirror.served.chain.lock().tip().header.height;
        let beyond = (tip + 1).to_string();
        for (arguments, code, words) in [
            (
                vec!["--from", "5", "--to", "4"],
                1,
                "--from 5 is after --to 4".to_owned(),
            ),
            (
                vec!["--from", "1", "--to", &beyond],
                1,
                format!("at height {tip}"),
            ),
            (vec!["--from", "1"], 2, "--to".to_owned()),
            (
                vec!["--from", "x", "--to", "4"],
                2,
                "invalid value".to_owned(),
            ),
        ] {
            let (status, said) = mirror.command(&arguments).await;
            assert_eq!(status, Some(code), "{arguments:?}: {said}");
            assert!(said.contains(&words), "{arguments:?}: {said}");
        }
        let mut bare = stxworx(&["audit"]);
        bare.env("DATABASE_URL", &mirror.db.url);
        let said = stderr(&output(bare).await);
        assert!(
            said.contains("give --node http://HOST:PORT, or set node.rpc_url"),
            "{said}"
        );
        let empty = TestDb::new().await;
        let mut nothing = stxworx(&["audit", "--node", &mirror.served.url]);
        nothing.env("DATABASE_URL", &empty.url);
        let said = stderr(&output(nothing).await);
        assert!(said.contains("the mirror is empty"), "{said}");
        // Without a token all but the blocks is compared, and that is said.
        let mut tokenless = stxworx(&["audit", "--deep", "--node", &mirror.served.url]);
        tokenless.env("DATABASE_URL", &mirror.db.url);
        let done = output(tokenless).await;
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
        assert!(
            stdout(&done).contains("blocks were not replayed: set connection_options.auth_token")
        );
        // A wrong one: the same, in the node's name.
        let mut wrong = stxworx(&["audit", "--deep", "--node", &mirror.served.url]);
        wrong.env("DATABASE_URL", &mirror.db.url);
        wrong.env("STXWORX_NODE_AUTH_TOKEN", "wrong-one");
        let done = output(wrong).await;
        let said = stdout(&done) + &stderr(&done);
        assert!(said.contains("with this token"), "{said}");
        assert!(!said.contains("wrong-one"), "the token is shown: {said}");
        // A block that the node does not know is no difference.
        let dead = mirror.served.chain.lock().tip().header.id;
        let node = NodeReader::new(&mirror.served.url, std::time::Duration::from_secs(20)).unwrap();
        let nowhere = IndexBlockHash([0x77; 32]);
        let error = node.balance(&mirror.logic, &nowhere).await.unwrap_err();
        assert!(
            error.to_string().contains("does not know block 0x7777"),
            "{error}"
        );
        assert!(
            node.balance(&mirror.logic, &IndexBlockHash(dead))
                .await
                .is_ok()
        );
        empty.drop().await;
        mirror.db.drop().await;
    });
}
