//! What the API computes of the marketplace, computed a second time from the model; the SQL views beside the API;
//! and the examples in the API's description, which are answers of this very devnet.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde_json::{Map, Value as Json, json};
use stxworx_clarity::codec::Principal;
use stxworx_clarity::model::{Model, ProjectStatus};

use super::history::History;
use super::mirrored;
use crate::support::app::{App, config};
use crate::support::db::TestDb;
use crate::support::run;
use crate::tools::get;

/// Steps of the chain; the examples depend on them.
const STEPS: u32 = 260;
const DAY: u64 = 86_400;
/// As the documentation of the boards has them.
const WEIGHTS: [(&str, u128); 5] = [
    ("bronze", 10),
    ("silver", 25),
    ("gold", 50),
    ("platinum", 100),
    ("verified", 5),
];

async fn ask(at: SocketAddr, path: &str) -> Json {
    let reply = get(at, path).await;
    assert_eq!(reply.status(), 200, "{path}: {}", reply.text());
    reply.json()
}

/// Every row of a list, page by page.
async fn all(at: SocketAddr, path: &str) -> Vec<Json> {
    let mark = if path.contains('?') { '&' } else { '?' };
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = ask(at, &format!("{path}{mark}limit=7{cursor}")).await;
        rows.extend(page["data"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            None => return rows,
            Some(next) => cursor = format!("&cursor={next}"),
        }
    }
}

fn text(value: &Json) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value}"))
        .to_owned()
}

fn asset_name(asset: &Option<Principal>) -> String {
    asset.as_ref().map_or("STX".to_owned(), ToString::to_string)
}

/// Scores as the model has them, ranked.
fn ranked(mut scores: Vec<(String, u128)>) -> Vec<(u64, String, String)> {
    scores.retain(|(_, score)| *score > 0);
    scores.sort_by(|(a, x), (b, y)| y.cmp(x).then(a.cmp(b)));
    let all = scores.clone();
    scores
        .into_iter()
        .map(|(user, score)| {
            let better = all.iter().filter(|(_, other)| *other > score).count();
            (better as u64 + 1, user, score.to_string())
        })
        .collect()
}

/// What each board shows of a model, less what it showed of an earlier one.
fn boards(model: &Model, earlier: Option<&Model>) -> BTreeMap<String, Vec<(u64, String, String)>> {
    let mut found = BTreeMap::new();
    let assets: BTreeSet<_> = model
        .data
        .earned
        .keys()
        .map(|(_, asset)| asset.clone())
        .collect();
    for asset in assets {
        let earned = |model: &Model, user| model.data.earned_by(user, &asset);
        let users = model
            .data
            .earned
            .keys()
            .filter(|(_, other)| *other == asset);
        let scores = users.map(|(user, _)| {
            let before = earlier.map_or(0, |earlier| earned(earlier, user));
            (user.to_string(), earned(model, user) - before)
        });
        let name = asset_name(&asset);
        let query = if name == "STX" {
            "stx".to_owned()
        } else {
            name
        };
        found.insert(format!("earnings?asset={query}"), ranked(scores.collect()));
    }
    let stats = |user: &Principal| {
        let (now, before) = (
            model.data.stats_of(user),
            earlier
                .map(|earlier| earlier.data.stats_of(user))
                .unwrap_or_default(),
        );
        (
            now.completed - before.completed,
            now.rating_sum - before.rating_sum,
            now.rating_count - before.rating_count,
        )
    };
    let users: Vec<_> = model.data.stats.keys().cloned().collect();
    let completed = users.iter().map(|user| (user.to_string(), stats(user).0));
    found.insert("completions?".to_owned(), ranked(completed.collect()));
    let ratings = users.iter().filter_map(|user| {
        let (_, sum, count) = stats(user);
        Some((user.to_string(), (sum * 100).checked_div(count)?))
    });
    found.insert("ratings?".to_owned(), ranked(ratings.collect()));
    if earlier.is_none() {
        let mut weights: BTreeMap<String, u128> = BTreeMap::new();
        for badge in model.badges.badges.values() {
            let name = &model.badges.kinds[&badge.kind].name;
            let weight = WEIGHTS
                .iter()
                .find(|(known, _)| known == name)
                .map_or(1, |(_, w)| *w);
            *weights.entry(badge.owner.to_string()).or_default() += weight;
        }
        found.insert("badges?".to_owned(), ranked(weights.into_iter().collect()));
    }
    found
}

async fn assert_board(at: SocketAddr, query: &str, expected: &[(u64, String, String)]) {
    let rows = all(at, &format!("/v1/leaderboards/{query}")).await;
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row["rank"].as_u64().unwrap(),
                text(&row["user"]),
                text(&row["score"]),
            )
        })
        .collect();
    assert_eq!(told, expected, "{query}");
}

async fn assert_boards(at: SocketAddr, history: &History) -> usize {
    let canonical = history.canonical();
    let mut compared = 0;
    for number in [canonical.len() - 1, canonical.len() / 2] {
        let block = &canonical[number];
        let model = history.model(&block.header.id);
        for (query, expected) in boards(model, None) {
            assert_board(at, &format!("{query}&at_block={number}"), &expected).await;
            compared += expected.len();
        }
    }
    // Windows: between two Bitcoin heights.
    let last = canonical.last().unwrap();
    let border = &canonical[canonical.len() * 2 / 3];
    let burn_of = |n: usize| canonical[n].header.burn.height;
    let border = border.header.burn.height;
    let first_in = (0..canonical.len())
        .find(|n| burn_of(*n) >= border)
        .unwrap();
    let earlier = history.model(&canonical[first_in - 1].header.id);
    let model = history.model(&last.header.id);
    for (query, expected) in boards(model, Some(earlier)) {
        let window = format!("{query}&window=burn:{border}-{}", i32::MAX);
        assert_board(at, &window, &expected).await;
        compared += expected.len();
    }
    compared
}

/// Money and counts at the end of each day by the model, against the series.
async fn assert_series(at: SocketAddr, history: &History) -> usize {
    #[derive(Default, Clone)]
    struct Sums {
        assets: BTreeMap<String, [i128; 5]>,
        closed: BTreeMap<String, i128>,
    }
    let sums = |model: &Model| {
        let mut sums = Sums::default();
        for (id, project) in &model.logic.projects {
            let of = sums.assets.entry(asset_name(&project.asset)).or_default();
            let signed = |n: u128| i128::try_from(n).unwrap();
            of[0] += 1;
            of[1] += signed(project.total);
            let mut fees = 0;
            for (_, it) in model.logic.milestones.range((*id, 0)..=(*id, u128::MAX)) {
                fees += it.fee;
            }
            of[2] += signed(project.paid);
            of[3] += signed(fees);
            of[4] += signed(project.refunded);
            let status = match project.status {
                ProjectStatus::Completed => "completed",
                ProjectStatus::Refunded => "refunded",
                ProjectStatus::Settled => "settled",
                ProjectStatus::Cancelled => "cancelled",
                ProjectStatus::Open | ProjectStatus::Active => continue,
            };
            *sums.closed.entry(status.to_owned()).or_default() += 1;
        }
        sums
    };
    let canonical = history.canonical();
    let mut days: BTreeMap<u64, Sums> = BTreeMap::new();
    for block in canonical.iter().skip(1) {
        let day = block.header.time.unwrap() / DAY;
        days.insert(day, sums(history.model(&block.header.id)));
    }
    let (first, last) = (
        days.keys().next().copied().unwrap(),
        days.keys().last().copied().unwrap(),
    );
    let mut compared = 0;
    for (series, place) in [
        ("opened", 0),
        ("deposited", 1),
        ("volume", 2),
        ("fees", 3),
        ("refunded", 4),
        ("closed", 9),
    ] {
        let from = day_text(first);
        let told = ask(at, &format!("/v1/stats/{series}?from={from}")).await;
        let mut figures: BTreeMap<(String, String), i128> = BTreeMap::new();
        for figure in told["data"]["figures"].as_array().unwrap() {
            let value = text(&figure["value"]).parse().unwrap();
            figures.insert((text(&figure["day"]), text(&figure["key"])), value);
        }
        figures.retain(|_, value| *value != 0);
        let mut before = Sums::default();
        let mut expected = BTreeMap::new();
        for day in first..=last {
            let Some(now) = days.get(&day) else { continue };
            let text = day_text(day);
            if place == 9 {
                for (status, count) in &now.closed {
                    let earlier = before.closed.get(status).copied().unwrap_or_default();
                    expected.insert((text.clone(), status.clone()), count - earlier);
                }
            } else {
                for (asset, values) in &now.assets {
                    let earlier = before.assets.get(asset).copied().unwrap_or_default();
                    expected.insert(
                        (text.clone(), asset.clone()),
                        values[place] - earlier[place],
                    );
                }
            }
            before = now.clone();
        }
        expected.retain(|_, value| *value != 0);
        assert_eq!(figures, expected, "{series}");
        compared += expected.len();
    }
    compared
}

/// A day as text: another opinion than the API's own.
fn day_text(day: u64) -> String {
    // Counted, year by year and month by month.
    let (mut year, mut left) = (1970, day);
    let leap = |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
    loop {
        let length = if leap(year) { 366 } else { 365 };
        if left < length {
            break;
        }
        left -= length;
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}", left + 1)
}

/// Fees one by one add up to what the model's milestones paid, by asset.
async fn assert_fees(at: SocketAddr, model: &Model) -> usize {
    let rows = all(at, "/v1/treasury/fees").await;
    let mut told: BTreeMap<(String, String), String> = BTreeMap::new();
    for row in &rows {
        let twice = told.insert((text(&row["project"]), text(&row["m"])), text(&row["fee"]));
        assert_eq!(twice, None, "{row}");
    }
    let paid = model.logic.milestones.iter().filter(|(_, it)| it.fee > 0);
    let expected: BTreeMap<_, _> = paid
        .map(|((project, m), it)| ((project.to_string(), m.to_string()), it.fee.to_string()))
        .collect();
    assert_eq!(told, expected);
    rows.len()
}

/// What every user lacks for a badge is what the model's rule says, kind by kind.
async fn assert_eligibility(at: SocketAddr, model: &Model, burn_height: u128) -> usize {
    let mut compared = 0;
    for user in model.data.stats.keys() {
        let answer = ask(at, &format!("/v1/badges/{user}/eligibility")).await;
        for told in answer["data"]["kinds"].as_array().unwrap() {
            let number: u128 = text(&told["kind"]).parse().unwrap();
            let kind = &model.badges.kinds[&number];
            let stats = model.data.stats_of(user);
            let earned = stats.completed >= kind.projects
                && (kind.rating == 0
                    || stats.rating_count > 0
                        && 100 * stats.rating_sum >= kind.rating * stats.rating_count)
                && (!kind.needs_x || model.data.x_valid(user, burn_height));
            let key = (user.clone(), number);
            let expected = if model.badges.owned.contains_key(&key) {
                "held"
            } else if model.badges.barred.get(&key) == Some(&true) {
                "barred"
            } else if earned {
                "earned"
            } else {
                "missing"
            };
            assert_eq!(told["standing"], expected, "{user} {told}");
            let unmet = told["requirements"]
                .as_array()
                .unwrap()
                .iter()
                .any(|one| one["met"] == false);
            assert_eq!(unmet, !earned, "{user} {told}");
            compared += 1;
        }
    }
    compared
}

/// Rows of a view as JSON, numbers as text.
async fn view(db: &TestDb, columns: &str, name: &str) -> BTreeSet<String> {
    let rows = db
        .text(format!(
            "select coalesce(jsonb_agg(to_jsonb(x)), '[]')::text from (select {columns} from api_v1.{name}) x"
        ))
        .await
        .unwrap();
    let rows: Vec<Json> = serde_json::from_str(&rows).unwrap();
    rows.iter().map(ToString::to_string).collect()
}

fn picked(rows: &[Json], fields: &[(&str, &str)]) -> BTreeSet<String> {
    rows.iter()
        .map(|row| {
            let field = |path: &str| match row.pointer(path).cloned().unwrap_or_default() {
                Json::Number(number) => Json::String(number.to_string()),
                other => other,
            };
            let fields = fields
                .iter()
                .map(|(name, path)| ((*name).to_owned(), field(path)));
            Json::Object(fields.collect::<Map<_, _>>()).to_string()
        })
        .collect()
}

/// A list, a view, the view's columns with the place of each in a row of the list, and which rows of the view.
type Case = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
);

/// The views say what the API says.
async fn assert_views(db: &TestDb, at: SocketAddr) -> usize {
    let mut compared = 0;
    let cases: [Case; 9] = [
        (
            "/v1/projects",
            "projects",
            &[
                ("contract", "/contract"),
                ("id", "/id"),
                ("client", "/client"),
                ("freelancer", "/freelancer"),
                ("arbiter", "/arbiter"),
                ("asset", "/asset"),
                ("status", "/status"),
                ("total", "/total"),
                ("paid", "/paid"),
                ("fees", "/fees"),
                ("refunded", "/refunded"),
                ("opened_txid", "/opened"),
                ("closed_txid", "/closed"),
                ("changed_height", "/changed/height"),
                ("changed_index_block_hash", "/changed/index_block_hash"),
            ],
            "",
        ),
        (
            "/v1/disputes",
            "disputes",
            &[
                ("project", "/project"),
                ("m", "/milestone/m"),
                ("arbiter", "/arbiter"),
                ("status", "/status"),
                ("disputed_by", "/milestone/disputed_by"),
                ("resolve_until", "/milestone/resolve_until"),
                ("cause", "/milestone/cause"),
                ("payout", "/milestone/payout"),
                ("refund", "/milestone/refund"),
            ],
            "",
        ),
        (
            "/v1/settlements",
            "milestones",
            &[
                ("project", "/project"),
                ("m", "/milestone/m"),
                ("amount", "/milestone/amount"),
                ("status", "/milestone/status"),
                ("cause", "/milestone/cause"),
                ("payout", "/milestone/payout"),
                ("fee", "/milestone/fee"),
                ("refund", "/milestone/refund"),
                ("settled_txid", "/milestone/settled"),
            ],
            "where settled_txid is not null",
        ),
        (
            "/v1/treasury/fees",
            "treasury_fees",
            &[
                ("contract", "/contract"),
                ("project", "/project"),
                ("m", "/m"),
                ("asset", "/asset"),
                ("amount", "/amount"),
                ("fee", "/fee"),
                ("cause", "/cause"),
                ("txid", "/txid"),
            ],
            "",
        ),
        (
            "/v1/profiles",
            "profiles",
            &[
                ("contract", "/contract"),
                ("principal", "/user"),
                ("handle", "/handle"),
                ("completed", "/completed"),
                ("settled", "/settled"),
                ("disputes", "/disputes"),
                ("lost", "/lost"),
                ("rating_sum", "/rating_sum"),
                ("rating_count", "/rating_count"),
                ("x_expires", "/x/expires"),
            ],
            "",
        ),
        (
            "/v1/badges",
            "badges",
            &[
                ("id", "/id"),
                ("kind", "/kind"),
                ("owner", "/owner"),
                ("via", "/via"),
                ("minted_height", "/minted_height"),
                ("minted_txid", "/minted"),
                ("revoked", "/revoked"),
            ],
            "",
        ),
        (
            "/v1/governance/actions",
            "governance_actions",
            &[
                ("id", "/id"),
                ("kind", "/kind"),
                ("class", "/class"),
                ("proposer", "/proposer"),
                ("eta", "/eta"),
                ("expires", "/expires"),
                ("epoch", "/epoch"),
                ("status", "/status"),
                ("executed_txid", "/executed"),
            ],
            "",
        ),
        (
            "/v1/assets",
            "assets",
            &[
                ("contract", "/contract"),
                ("asset", "/asset"),
                ("locked", "/locked"),
                ("deposited", "/deposited"),
                ("paid", "/paid"),
                ("fees", "/fees"),
                ("refunded", "/refunded"),
                ("projects", "/projects"),
                ("settlements", "/settlements"),
            ],
            "",
        ),
        (
            "/v1/blocks",
            "blocks",
            &[
                ("height", "/height"),
                ("index_block_hash", "/index_block_hash"),
                ("parent_index_block_hash", "/parent_index_block_hash"),
                ("burn_block_height", "/burn_block/height"),
            ],
            "",
        ),
    ];
    for (path, name, fields, filter) in cases {
        let rows = all(at, path).await;
        assert!(!rows.is_empty(), "{path}");
        let columns: Vec<_> = fields
            .iter()
            .map(|(column, _)| {
                if column.ends_with("_hash") {
                    format!("'0x' || encode({column}, 'hex') as {column}")
                } else {
                    format!("{column}::text as {column}")
                }
            })
            .collect();
        let told = view(db, &columns.join(", "), &format!("{name} {filter}")).await;
        let expected = picked(&rows, fields);
        let strange = told.symmetric_difference(&expected).next();
        assert_eq!(strange, None, "{name}: in one of the two only");
        compared += rows.len();
    }
    compared
}

/// Routes whose answers are the examples of the description, with what is asked.
fn examples(model: &Model) -> Vec<(&'static str, String)> {
    let user = model.data.stats.keys().next().unwrap().to_string();
    let mut all = vec![
        ("/v1/projects/{id}", "/v1/projects/2".to_owned()),
        (
            "/v1/projects/{id}/milestones",
            "/v1/projects/2/milestones".into(),
        ),
        (
            "/v1/projects/{id}/timeline",
            "/v1/projects/2/timeline?limit=1".into(),
        ),
        ("/v1/badges/{id}", "/v1/badges/1".into()),
        (
            "/v1/badges/{principal}/eligibility",
            format!("/v1/badges/{user}/eligibility"),
        ),
        ("/v1/profiles/{principal}", format!("/v1/profiles/{user}")),
        (
            "/v1/governance/actions/{id}",
            "/v1/governance/actions/1".into(),
        ),
        (
            "/v1/leaderboards/{board}",
            "/v1/leaderboards/earnings?asset=stx&limit=2".into(),
        ),
        (
            "/v1/leaderboards/{board}/proof",
            format!("/v1/leaderboards/completions/proof?principal={user}"),
        ),
        ("/v1/stats/{series}", "/v1/stats/closed".into()),
        ("/v1/mints", "/v1/mints?limit=1".into()),
        ("/v1/mints/{id}", "/v1/mints/1".into()),
    ];
    for list in [
        "projects",
        "disputes",
        "settlements",
        "profiles",
        "badges",
        "governance/actions",
        "governance/signers",
        "assets",
        "treasury",
        "treasury/fees",
        "settings",
    ] {
        let path: &'static str = format!("/v1/{list}").leak();
        all.push((path, format!("{path}?limit=1")));
    }
    all
}

/// A mint that is over, of somebody whom nothing else here asks about, at times that are the same in each run.
async fn mint_one(db: &TestDb, contract: &str) {
    let who = stxworx_clarity::market::Actor::of("somebody-who-earned");
    let (recipient, b32) = (who.principal(), |byte: u8| {
        format!("decode(repeat('{byte:02x}', 32), 'hex')")
    });
    let (time, txid, block) = ("to_timestamp(1764000000)", b32(0xa1), b32(0xb0));
    let evidence = "{\"v\":1}";
    db.sql(format!(
        "begin;
         alter table mint_event alter column at set default {time};
         alter table mint_intent disable trigger intent_moves;
         insert into mint_lane (sender, contract, base_nonce, next_nonce, epoch, holder, expires_at, final_after)
             values ('ST1', '{contract}', 5, 6, 1, 'h', {time}, 6);
         insert into mint_award (contract, recipient, kind, award_seq, evidence, evidence_hash, made_at)
             values ('{contract}', '{recipient}', 1, 1, '{evidence}', sha256('{evidence}'), {time});
         insert into mint_intent (award_id, state, made_at, changed_at) values (1, 'queued', {time}, {time});
         insert into nonce_slot (sender, nonce, intent_id, epoch) values ('ST1', 5, 1, 1);
         update mint_intent set state = 'submitting' where id = 1;
         insert into tx_attempt (txid, sender, nonce, kind, intent_id, fee, fee_cap, raw_tx, epoch, signed_height)
             values ({txid}, 'ST1', 5, 'mint', 1, 400, 1000, '\\x00', 1, 9);
         update nonce_slot set state = 'live', by_txid = {txid}, by_block = {block}, by_height = 10, by_burn_height = 50,
             by_verdict = '{{\"verdict\": \"success\"}}' where nonce = 5;
         update mint_intent set state = 'included' where id = 1;
         update nonce_slot set state = 'consumed', seen_burn_height = 56, minted = true where nonce = 5;
         insert into mint_effect (intent_id, kind, txid, badge_id) values (1, 'minted', {txid}, 7);
         update mint_intent set state = 'final_ok' where id = 1;
         commit"
    ))
    .await;
}

async fn assert_examples(at: SocketAddr, model: &Model) {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/indexer/src/api/examples.json");
    let mut told = Map::new();
    for (route, path) in examples(model) {
        told.insert(
            route.to_owned(),
            json!({"request": path, "response": ask(at, &path).await}),
        );
    }
    let told = Json::Object(told);
    if std::env::var_os("STXWORX_WRITE_EXAMPLES").is_some() {
        std::fs::write(file, serde_json::to_string_pretty(&told).unwrap() + "\n").unwrap();
    }
    let committed: Json = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    for (route, example) in told.as_object().unwrap() {
        assert_eq!(
            &committed[route], example,
            "the example of {route} is not what is answered: run this test with STXWORX_WRITE_EXAMPLES=1, then `make openapi`"
        );
    }
    assert_eq!(
        committed.as_object().unwrap().len(),
        told.as_object().unwrap().len()
    );
}

#[test]
fn what_the_api_computes_is_what_the_model_says() {
    run(async {
        let mut history = History::new(31, STEPS);
        history.grow(STEPS);
        let said = history.said();
        let db = mirrored(&history, std::iter::once(said)).await;
        let app = App::try_start(&db.url, &config(&[]), &[stxworx::daemon::Role::Api])
            .await
            .unwrap();
        let at = app.addresses.api.unwrap();
        let tip = history.chain.tip().header.id;
        let model = history.model(&tip);
        mint_one(&db, &history.contracts().badges.to_string()).await;
        assert_examples(at, model).await;
        let ranks = assert_boards(at, &history).await;
        let figures = assert_series(at, &history).await;
        let fees = assert_fees(at, model).await;
        let burn_height = u128::from(
            ask(at, "/v1/projects?limit=1").await["as_of"]["burn_height"]
                .as_u64()
                .unwrap(),
        );
        let standings = assert_eligibility(at, model, burn_height).await;
        let rows = assert_views(&db, at).await;
        println!(
            "{ranks} ranks, {figures} figures, {fees} fees, {standings} standings and {rows} rows compared"
        );
        assert!(ranks > 20 && figures > 5 && fees > 10 && standings > 20 && rows > 100);
        app.stop().await.unwrap();
        db.drop().await;
    });
}
