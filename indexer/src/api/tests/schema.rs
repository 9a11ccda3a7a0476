//! The document and the service say the same: every documented path answers in its documented shape.

use serde_json::Value;
use sqlx::postgres::PgPoolOptions;

use super::market::seed::{marketplace, who};
use super::{Bed, CONTRACT, get, hash, known_as, state, well};
use crate::api::access::Role;
use crate::project::market::testing::contract;

/// All routes, so that none appears or vanishes unnoticed.
const PATHS: [&str; 58] = [
    "/console",
    "/console/{file}",
    "/docs",
    "/health/lag",
    "/health/live",
    "/health/ready",
    "/v1/assets",
    "/v1/audit-log",
    "/v1/badges",
    "/v1/badges/images/{file}",
    "/v1/badges/metadata/{file}",
    "/v1/badges/{id}",
    "/v1/badges/{principal}/eligibility",
    "/v1/blocks",
    "/v1/blocks/{id}",
    "/v1/breaks",
    "/v1/breaks/{id}",
    "/v1/completeness",
    "/v1/contracts",
    "/v1/contracts/{id}",
    "/v1/contracts/{id}/cursor",
    "/v1/coverage",
    "/v1/disputes",
    "/v1/events",
    "/v1/governance/actions",
    "/v1/governance/actions/{id}",
    "/v1/governance/signers",
    "/v1/keys",
    "/v1/leaderboards/{board}",
    "/v1/leaderboards/{board}/proof",
    "/v1/mints",
    "/v1/mints/{id}",
    "/v1/openapi.json",
    "/v1/profiles",
    "/v1/profiles/{principal}",
    "/v1/projections/{name}",
    "/v1/projections/{name}/{entity}",
    "/v1/projections/{name}/{entity}/history",
    "/v1/projects",
    "/v1/projects/{id}",
    "/v1/projects/{id}/milestones",
    "/v1/projects/{id}/timeline",
    "/v1/projects/{id}/why",
    "/v1/reorgs",
    "/v1/settings",
    "/v1/settlements",
    "/v1/stats/{series}",
    "/v1/status",
    "/v1/transactions",
    "/v1/transactions/{txid}",
    "/v1/transactions/{txid}/events",
    "/v1/treasury",
    "/v1/treasury/dao",
    "/v1/treasury/fees",
    "/v1/treasury/ledger",
    "/v1/treasury/statements",
    "/v1/treasury/statements/{period}",
    "/v1/whoami",
];

/// Routes whose answers have no end, or are none of HTTP.
const STREAMS: [&str; 2] = ["/v1/stream", "/v1/stream/ws"];

/// Routes that write, and those beside them, which the writer's connections serve.
const WRITING: [&str; 9] = [
    "/v1/breaks/{id}/decisions",
    "/v1/keys/{id}",
    "/v1/webhooks",
    "/v1/webhooks/{id}",
    "/v1/webhooks/{id}/dead-letters",
    "/v1/webhooks/{id}/dead-letters/{delivery}/redrive",
    "/v1/webhooks/{id}/deliveries",
    "/v1/webhooks/{id}/rotate",
    "/v1/webhooks/{id}/test",
];

fn document() -> Value {
    serde_json::to_value(crate::api::openapi()).unwrap()
}

fn concrete(path: &str) -> String {
    let id = if path.contains("/contracts/") {
        CONTRACT
    } else if path.contains("/blocks/") {
        "latest"
    } else if path.contains("/breaks/") {
        super::breaks::ID
    } else {
        "1"
    };
    let file = if path.contains("/images/") {
        "1.svg"
    } else if path.starts_with("/console/") {
        "main.js"
    } else {
        "1.json"
    };
    path.replace("{id}", id)
        .replace("{file}", file)
        .replace("{txid}", &hash("txa5.0"))
        .replace("{name}", "contract_cursor")
        .replace("{entity}", CONTRACT)
        .replace("{principal}", &who(2))
        .replace("{board}", "badges")
        .replace("{series}", "fees")
        .replace("{period}", "open")
}

/// What a route cannot do without.
fn needed(path: &str) -> String {
    if path.ends_with("/proof") {
        format!("principal={}", who(2))
    } else {
        String::new()
    }
}

/// The path with a query of its own, and what the route cannot do without.
fn asked(path: &str, query: &str) -> String {
    let needed = needed(path);
    let joined = [needed.as_str(), query].map(str::to_owned);
    let joined: Vec<_> = joined.into_iter().filter(|part| !part.is_empty()).collect();
    format!("{}?{}", concrete(path), joined.join("&"))
}

fn example(path: &str, parameter: &str) -> String {
    let deployed = |name| contract(&format!("freelance-{name}"));
    match (path, parameter) {
        (_, "limit") => "2".to_owned(),
        ("/v1/breaks", "state") => "open".to_owned(),
        ("/v1/mints", "state") => "held".to_owned(),
        ("/v1/mints", "recipient") => who(2),
        ("/v1/mints", "contract") => deployed("badges"),
        ("/v1/breaks", "severity") => "low".to_owned(),
        ("/v1/breaks", "fault") => "platform".to_owned(),
        (_, "at_time" | "opened_from" | "opened_to") => "1700000004".to_owned(),
        (_, "min_finality") => "burn_2".to_owned(),
        (_, "sort") if path.contains("profiles") => "ratings".to_owned(),
        (_, "sort") => "updated".to_owned(),
        ("/v1/disputes", "status") => "open".to_owned(),
        ("/v1/settlements", "status") => "settled".to_owned(),
        ("/v1/treasury/ledger", "kind") => "reversal".to_owned(),
        ("/v1/treasury/ledger", "state") => "posted".to_owned(),
        ("/v1/treasury/dao", "from" | "to") => "2023-11-14".to_owned(),
        (_, "format") => "json".to_owned(),
        (_, "cause") => "release".to_owned(),
        (_, "role") => "freelancer".to_owned(),
        (_, "handle") => "ada".to_owned(),
        (_, "window") => "30d".to_owned(),
        ("/v1/stats/{series}", "from" | "to") => "2023-11-14".to_owned(),
        (_, "min_total" | "max_total") => "5000".to_owned(),
        (_, "order") => "asc".to_owned(),
        ("/v1/projects", "status") => "open".to_owned(),
        ("/v1/governance/actions", "status") => "pending".to_owned(),
        (_, "status") => "success".to_owned(),
        ("/v1/transactions", "kind") => "contract_call".to_owned(),
        ("/v1/events" | "/v1/transactions", "contract") => CONTRACT.to_owned(),
        (_, "contract") if path.contains("badges") => deployed("badges"),
        (_, "contract") if path.contains("governance") => deployed("security"),
        (_, "contract") if path.contains("profiles") || path.contains("leaderboards") => {
            deployed("data")
        }
        (_, "contract") => deployed("logic"),
        (_, "client" | "freelancer" | "arbiter" | "participant" | "owner" | "treasury") => who(2),
        (_, "asset") => "stx".to_owned(),
        (_, "type") => "contract_event".to_owned(),
        (_, "topic") => "created".to_owned(),
        (_, "txid") => hash("txa5.0"),
        // A height at which all of it is there.
        (_, "at_block") => "4".to_owned(),
        _ => "3".to_owned(),
    }
}

/// The parts of a flattened object as one object.
fn joined(document: &Value, parts: &[Value]) -> Value {
    let (mut properties, mut required) = (serde_json::Map::new(), Vec::new());
    for part in parts {
        let part = match part["$ref"].as_str() {
            Some(reference) => document
                .pointer(reference.trim_start_matches('#'))
                .unwrap_or_else(|| panic!("{reference}")),
            None => part,
        };
        let inner;
        let part = match part["allOf"].as_array() {
            Some(parts) => {
                inner = joined(document, parts);
                &inner
            }
            None => part,
        };
        properties.extend(part["properties"].as_object().cloned().unwrap_or_default());
        required.extend(part["required"].as_array().cloned().unwrap_or_default());
    }
    serde_json::json!({ "type": "object", "properties": properties, "required": required })
}

/// Is `value` of this schema? Knows the part of JSON Schema that the document uses.
fn check(document: &Value, schema: &Value, value: &Value, place: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#'));
        return check(
            document,
            target.unwrap_or_else(|| panic!("{reference}")),
            value,
            place,
        );
    }
    if let Some(parts) = schema["allOf"].as_array() {
        return check(document, &joined(document, parts), value, place);
    }
    if let Some(either) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        let fits = either
            .iter()
            .any(|one| std::panic::catch_unwind(|| check(document, one, value, place)).is_ok());
        assert!(fits, "{place}: {value} fits none of {schema}");
        return;
    }
    if let Some(words) = schema["enum"].as_array() {
        assert!(
            words.contains(value),
            "{place}: {value} is none of {words:?}"
        );
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let allowed = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().any(|one| one == kind),
        Value::Null => true,
        one => one == kind,
    };
    assert!(allowed, "{place}: {value} is no {}", schema["type"]);
    if let Value::Array(items) = value {
        for (index, item) in items.iter().enumerate() {
            check(
                document,
                &schema["items"],
                item,
                &format!("{place}[{index}]"),
            );
        }
    }
    if let (Value::Object(fields), Some(known)) = (value, schema["properties"].as_object()) {
        for (name, field) in fields {
            let schema = known
                .get(name)
                .unwrap_or_else(|| panic!("{place}.{name} is undocumented"));
            check(document, schema, field, &format!("{place}.{name}"));
        }
        for name in schema["required"].as_array().into_iter().flatten() {
            assert!(
                fields.contains_key(name.as_str().unwrap()),
                "{place}: {name} is missing"
            );
        }
    }
}

#[test]
fn the_document_lists_every_route_and_explains_every_field() {
    let document = document();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths: Vec<_> = document["paths"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let mut expected = PATHS.to_vec();
    expected.extend(STREAMS);
    expected.extend(WRITING);
    expected.sort_unstable();
    let mut sorted = paths.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let flattened = schema["allOf"].as_array().into_iter().flatten();
        let objects = std::iter::once(schema).chain(flattened);
        let fields = objects.filter_map(|object| object["properties"].as_object());
        for (field, schema) in fields.flatten() {
            let text = schema
                .get("description")
                .or(schema["oneOf"].pointer("/0/description"));
            assert!(
                text.is_some(),
                "{name}.{field} has no description: {schema}"
            );
        }
    }
    let text = document.to_string();
    for reference in text
        .split("\"#")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
    {
        assert!(
            document.pointer(reference).is_some(),
            "{reference} leads nowhere"
        );
    }
    let codes = &document["components"]["schemas"]["ErrorCode"];
    for code in super::super::ErrorCode::ALL {
        assert!(codes.to_string().contains(code.as_str()));
    }
}

/// Two types of one name would be one schema, and one of the two would be documented wrongly.
#[test]
fn no_two_types_share_a_schema() {
    fn sources(folder: &std::path::Path, out: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                out.push(std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut all = Vec::new();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    sources(&folder, &mut all);
    let mut names: Vec<&str> = Vec::new();
    for text in &all {
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if !(line.starts_with("#[derive(") && line.contains("ToSchema")) {
                continue;
            }
            let item = lines
                .by_ref()
                .find(|line| line.contains("struct ") || line.contains("enum "))
                .unwrap();
            let name = item
                .split(' ')
                .skip_while(|word| !["struct", "enum"].contains(word))
                .nth(1)
                .unwrap();
            names.push(name.split(['<', '(', ';']).next().unwrap());
        }
    }
    assert!(names.len() > 40, "{names:?}");
    names.sort_unstable();
    let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

#[test]
fn every_example_has_the_shape_of_its_route() {
    let document = document();
    let examples: Value = serde_json::from_str(include_str!("../examples.json")).unwrap();
    let examples = examples.as_object().unwrap();
    assert!(examples.len() > 15);
    for (path, example) in examples {
        let content =
            &document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"];
        assert_eq!(content["example"], example["response"], "{path}");
        check(&document, &content["schema"], &example["response"], path);
    }
}

#[tokio::test]
async fn every_documented_path_answers_in_its_shape() {
    let Some(bed) = Bed::new("schema").await else {
        return;
    };
    marketplace(&bed).await;
    bed.switch().await;
    super::breaks::reconciled(&bed).await;
    bed.sql(
        "update ledger_progress set (booked_height, booked_block) =
             (select b.height, b.index_block_hash from mirror m join block b on b.id = m.tip_block_id)",
    )
    .await;
    super::mints::minted(&bed).await;
    let document = document();
    let router = known_as(&bed.router, Role::Admin);
    for path in PATHS {
        let reply = get(&router, &asked(path, "")).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
        let content = &document["paths"][path]["get"]["responses"]["200"]["content"];
        if reply.header("content-type") == "application/json" {
            let schema = &content["application/json"]["schema"];
            assert!(schema.is_object(), "{path} documents no shape");
            check(&document, schema, &reply.json, path);
        }
        let operation = &document["paths"][path]["get"];
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap();
            if parameter["in"] != "query" || needed(path).starts_with(&format!("{name}=")) {
                continue;
            }
            assert_eq!(parameter["required"], false, "{path} {name}");
            let value = example(path, name);
            let reply = get(&router, &asked(path, &format!("{name}={value}"))).await;
            // Without their sum of assets, `asset` means nothing to these.
            let alone =
                name == "asset" && (path.contains("leaderboards") || path == "/v1/profiles");
            let expected = if name == "cursor" || alone { 400 } else { 200 };
            assert_eq!(reply.status, expected, "{path}?{name}: {}", reply.text);
        }
    }
    bed.finish().await;
}

#[tokio::test]
async fn a_parameter_that_is_not_documented_is_refused() {
    let pool = PgPoolOptions::new()
        .connect_lazy("postgres://nobody@127.0.0.1:1/none")
        .unwrap();
    let router = known_as(&crate::api::router(state(pool, well())), Role::Admin);
    let document = document();
    for path in PATHS
        .iter()
        .filter(|path| !["/docs", "/health/live", "/v1/openapi.json"].contains(path))
        .filter(|path| !path.starts_with("/console"))
    {
        let reply = get(&router, &format!("{}?undocumented=1", concrete(path))).await;
        assert_eq!(reply.code(), "invalid_parameter", "{path}");
        let schema = &document["components"]["schemas"]["Problem"];
        check(&document, schema, &reply.json, path);
    }
}

#[tokio::test]
async fn the_page_needs_no_other_host() {
    let pool = PgPoolOptions::new()
        .connect_lazy("postgres://nobody@127.0.0.1:1/none")
        .unwrap();
    let page = get(&crate::api::router(state(pool, well())), "/docs").await;
    assert!(page.text.contains("</html>") && !page.text.contains("/*SCRIPT*/"));
    assert!(!page.text.contains("http://") && !page.text.contains("https://"));
    assert!(!page.text.contains("innerHTML"));
    assert_eq!(
        page.header("content-security-policy")
            .matches("sha256-")
            .count(),
        2
    );
}
