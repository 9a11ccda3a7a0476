//! A platform's database in the seed's schema, as a backend without fault would have filled it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value as Json;
use stxworx_reconciler::anchor::Window;
use stxworx_reconciler::breaks::{Policy, Windows};
use stxworx_reconciler::engine::Settings;
use stxworx_reconciler::platform::postgres::PlatformSource;

use crate::support::db::TestDb;

/// The seed's table of projects, with amounts as wide as they have to be.
const SCHEMA: &str = "
    create table projects (
        id text primary key, on_chain_id bigint, tx_id text, client_address text, freelancer_address text,
        total_amount numeric, token_type text, status text, description text,
        milestone_1_amount numeric, milestone_1_funded boolean, milestone_1_complete boolean, milestone_1_released boolean,
        milestone_2_amount numeric, milestone_2_funded boolean, milestone_2_complete boolean, milestone_2_released boolean,
        milestone_3_amount numeric, milestone_3_funded boolean, milestone_3_complete boolean, milestone_3_released boolean,
        milestone_4_amount numeric, milestone_4_funded boolean, milestone_4_complete boolean, milestone_4_released boolean,
        updated_at timestamptz not null default clock_timestamp()
    );
    create table users (id text primary key, stx_address text, total_earned numeric, completed_projects integer);
    create table x_integrations (user_id text primary key, verified boolean);
    create table nft_achievements (id text primary key, user_id text, token_id bigint, achievement_type text,
        mint_tx_id text);
    create table dao_transactions (id text primary key, from_address text, to_address text, amount numeric,
        token_type text, tx_id text);
    create function touched() returns trigger language plpgsql as
        $$ begin new.updated_at = clock_timestamp(); return new; end $$;
    create trigger touched before update on projects for each row execute function touched();";

/// A query for projects with more milestones than the seed's schema has: those of the contract's own ten.
const MORE: [u32; 6] = [5, 6, 7, 8, 9, 10];

/// The platform.
pub struct Backend {
    pub db: TestDb,
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// What the platform writes for a project of the mirror.
fn values(state: &Json) -> BTreeMap<String, String> {
    let text = |name: &str| state[name].as_str().unwrap().to_owned();
    let mut row = BTreeMap::from([
        ("on_chain_id".to_owned(), state["id"].to_string()),
        ("tx_id".to_owned(), quoted(&text("opened"))),
        ("client_address".to_owned(), quoted(&text("client"))),
        ("freelancer_address".to_owned(), quoted(&text("freelancer"))),
        ("total_amount".to_owned(), text("total")),
        ("token_type".to_owned(), quoted(&text("asset"))),
    ]);
    let milestones = state["milestones"].as_array().unwrap();
    let any = |wanted: &str| milestones.iter().any(|m| m["status"] == wanted);
    let status = match state["status"].as_str().unwrap() {
        "active" if any("disputed") => "DISPUTED",
        "active" if any("submitted") => "UNDER_REVIEW",
        other => &other.to_uppercase(),
    };
    row.insert("status".to_owned(), quoted(status));
    // Another fork's project of the same number may have had more of them.
    for m in 1..=10 {
        for part in ["amount", "funded", "complete", "released"] {
            row.insert(format!("milestone_{m}_{part}"), "null".to_owned());
        }
    }
    for it in milestones {
        let m = &it["m"];
        let released = it["status"] == "released";
        let complete = released || it["status"] == "submitted" || it["status"] == "disputed";
        let mut set = |part: &str, value: String| {
            row.insert(format!("milestone_{m}_{part}"), value);
        };
        set("amount", it["amount"].as_str().unwrap().to_owned());
        set("funded", "true".to_owned());
        set("complete", complete.to_string());
        set("released", released.to_string());
    }
    row
}

impl Backend {
    pub async fn new() -> Self {
        let db = TestDb::empty().await;
        db.sql(SCHEMA).await;
        for m in MORE {
            db.sql(format!(
                "alter table projects add milestone_{m}_amount numeric, add milestone_{m}_funded boolean,
                     add milestone_{m}_complete boolean, add milestone_{m}_released boolean"
            ))
            .await;
        }
        Self { db }
    }

    /// All columns by the names that are compared.
    pub fn query() -> String {
        let mut query = "select id as key, on_chain_id, tx_id, client_address as client, freelancer_address as freelancer,
                             total_amount as total, token_type as asset, status, updated_at"
            .to_owned();
        for m in 1..=10 {
            for part in ["amount", "funded", "complete", "released"] {
                query.push_str(&format!(", milestone_{m}_{part}"));
            }
        }
        query + " from projects"
    }

    /// Brings every project of the mirror to where it stands, and forgets those that a fork took away.
    pub async fn follow(&self, mirror: &TestDb) {
        let states = mirror
            .text(
                "select coalesce(jsonb_agg(v.state order by k.entity), '[]')::text from projection_current k
                 join projection_version v on v.id = k.version_id where k.projection = 10",
            )
            .await
            .unwrap();
        let states: Vec<Json> = serde_json::from_str(&states).unwrap();
        let mut statements = String::new();
        let mut ids = vec!["-1".to_owned()];
        for state in &states {
            let row = values(state);
            ids.push(state["id"].to_string());
            let names: Vec<_> = row.keys().cloned().collect();
            let these: Vec<_> = row.values().cloned().collect();
            let (names, these) = (names.join(", "), these.join(", "));
            let id = format!("p{}", state["id"]);
            statements.push_str(&format!(
                "insert into projects (id, {names}) values ('{id}', {these})
                 on conflict (id) do update set ({names}) = row({these})
                 where row({}) is distinct from row({these});\n",
                row.keys()
                    .map(|n| format!("projects.{n}"))
                    .collect::<Vec<_>>()
                    .join(", ")
            ));
        }
        statements.push_str(&format!(
            "delete from projects where id like 'p%' and on_chain_id not in ({});",
            ids.join(",")
        ));
        self.db.sql(statements).await;
        self.follow_people(mirror).await;
    }

    /// The same with users and badges.
    async fn follow_people(&self, mirror: &TestDb) {
        let all = async |query: &str| -> Vec<Json> {
            let text = mirror.text(query).await.unwrap();
            serde_json::from_str(&text).unwrap()
        };
        let users = all(
            "select coalesce(jsonb_agg(jsonb_build_object('user', v.state->>'user',
                 'earned', coalesce(v.state->'earned'->>'STX', '0'), 'completed', v.state->'completed',
                 'x', coalesce((v.state->'x'->>'expires')::bigint >= (select max(height) from burn_block), false))), '[]')::text
             from projection_current k join projection_version v on v.id = k.version_id where k.projection = 12",
        )
        .await;
        let mut statements = "delete from users where id like 'u%'; delete from x_integrations;
            delete from nft_achievements where id like 'b%';"
            .to_owned();
        for it in &users {
            let user = quoted(it["user"].as_str().unwrap());
            let (earned, completed, x) = (&it["earned"], &it["completed"], &it["x"]);
            let earned = earned.as_str().unwrap();
            statements.push_str(&format!(
                "insert into users values ('u' || {user}, {user}, {earned}, {completed});
                 insert into x_integrations values ('u' || {user}, {x});\n"
            ));
        }
        let badges = all(
            "select coalesce(jsonb_agg(v.state), '[]')::text from projection_current k
             join projection_version v on v.id = k.version_id
             where k.projection = 13 and v.state->>'owner' is not null",
        )
        .await;
        for it in &badges {
            let (id, kind) = (&it["id"], &it["kind"]);
            let user = quoted(it["owner"].as_str().unwrap());
            let minted = quoted(it["minted"].as_str().unwrap());
            statements.push_str(&format!(
                "insert into users values ('u' || {user}, {user}, null, null) on conflict do nothing;
                 insert into nft_achievements values ('b{id}', 'u' || {user}, {id}, '{kind}', {minted});\n"
            ));
        }
        self.db.sql(statements).await;
        self.follow_treasury(mirror).await;
    }

    /// The same with fees and payments.
    async fn follow_treasury(&self, mirror: &TestDb) {
        let moved = mirror
            .text(
                "select coalesce(jsonb_agg(distinct jsonb_build_object(
                     'tx', '0x' || encode(t.txid, 'hex'), 'n', e.ordinal, 'from', s.name, 'to', r.name,
                     'asset', case when e.kind = 2 then 'STX' else k.name end, 'amount', e.amount::text)), '[]')::text
                 from projection_version v
                 join canonical c on c.block_id = v.block_id
                 join transaction t on t.block_id = v.block_id and t.tx_index = (v.position >> 32)
                 join event e on e.block_id = t.block_id and e.tx_index = t.tx_index and e.kind in (2, 6)
                 left join principal s on s.id = e.sender
                 left join principal r on r.id = e.recipient
                 left join principal k on k.id = e.contract
                 where v.projection = 17 and split_part(v.entity, '|', 1) in (s.name, r.name)",
            )
            .await
            .unwrap();
        let moved: Vec<Json> = serde_json::from_str(&moved).unwrap();
        let mut statements = "delete from dao_transactions where id like 'd%';".to_owned();
        for it in &moved {
            let text = |name: &str| quoted(it[name].as_str().unwrap());
            let (tx, from, to, asset) = (text("tx"), text("from"), text("to"), text("asset"));
            let (n, amount) = (&it["n"], it["amount"].as_str().unwrap());
            statements.push_str(&format!(
                "insert into dao_transactions values ('d{n}-' || {tx}, {from}, {to}, {amount}, {asset}, {tx});\n"
            ));
        }
        self.db.sql(statements).await;
    }

    /// What the engine is told, with windows of no time: two sightings open, two passes at final blocks end.
    pub fn settings(&self) -> Settings {
        let none = Window::NONE;
        Settings {
            source: PlatformSource {
                url: self.db.url.clone(),
                projects_query: Self::query(),
                statement_timeout: Duration::from_secs(60),
                ..PlatformSource::default()
            },
            contract: None,
            assets: BTreeMap::new(),
            finality_burn_blocks: 1,
            policy: Policy {
                windows: Windows {
                    platform_behind: none,
                    platform_ahead: none,
                    badge_pending: none,
                    unattributed: none,
                },
                ..Policy::default()
            },
            earned_asset: "STX".to_owned(),
            node: None,
            open_limit: 200,
            incremental_limit: 10_000,
        }
    }
}
