//! Webhooks by the API: who may, what is refused, and what is noted.

use std::net::SocketAddr;

use serde_json::{Value as Json, json};
use stxworx::post::Order;

use super::hooks::{Receiver, settings};
use crate::support::app::{App, config};
use crate::support::db::TestDb;
use crate::support::mirror::{settled, tip};
use crate::support::{eventually, run};
use crate::tools::{small_chain, stdout, stxworx_on};

struct Operator {
    client: reqwest::Client,
    at: SocketAddr,
    key: String,
}

impl Operator {
    async fn new(db: &TestDb, app: &App, role: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let made = stxworx_on(db, &["keys", "create", "--name", role, "--role", role]).await;
        assert_eq!(made.status.code(), Some(0), "{made:?}");
        Self {
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            at: app.addresses.api.unwrap(),
            key: stdout(&made).trim().to_owned(),
        }
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Json>) -> (u16, Json) {
        let body = body.map(|json| json.to_string()).unwrap_or_default();
        self.send(method, path, body).await
    }

    async fn send(&self, method: &str, path: &str, body: String) -> (u16, Json) {
        let url = format!("http://{}/v1/webhooks{path}", self.at);
        let method = method.parse().unwrap();
        let request = self
            .client
            .request(method, url)
            .header("x-api-key", &self.key);
        let reply = request.body(body).send().await.unwrap();
        let status = reply.status().as_u16();
        let text = reply.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or_default())
    }
}

#[test]
fn an_operator_makes_changes_and_removes_webhooks() {
    run(async {
        let (db, small) = (TestDb::new().await, small_chain());
        let app = App::start(&db, &settings()).await;
        app.post(small.entries(), Order::default()).await;
        settled(&db).await;
        let operator = Operator::new(&db, &app, "operator").await;
        let receiver = Receiver::start(0).await;
        let wish =
            json!({ "url": receiver.url(), "from": "start", "filter": { "include": "states" } });
        let (status, made) = operator.ask("POST", "", Some(wish)).await;
        assert_eq!(status, 201, "{made}");
        let secret = made["data"]["secret"].as_str().unwrap();
        receiver.trust(secret);
        assert_eq!(made["data"]["webhook"]["owner"], "operator");
        let id = made["data"]["webhook"]["id"].as_i64().unwrap();
        let wanted = tip(&db).await;
        eventually("the tip", || async {
            let top = receiver.top();
            if top == wanted {
                Ok(())
            } else {
                Err(format!("{top:?}"))
            }
        })
        .await;

        let (status, tested) = operator.ask("POST", &format!("/{id}/test"), None).await;
        assert_eq!((status, &tested["data"]["kind"]), (202, &json!("test")));
        let (status, rotated) = operator.ask("POST", &format!("/{id}/rotate"), None).await;
        assert_eq!(
            (status, &rotated["data"]["webhook"]["secrets"]),
            (200, &json!(2))
        );
        let newer = rotated["data"]["secret"].as_str().unwrap();
        assert_ne!(newer, secret);
        let change = json!({ "state": "disabled", "max_attempts": 3 });
        let (status, changed) = operator.ask("PATCH", &format!("/{id}"), Some(change)).await;
        assert_eq!(
            (status, &changed["data"]["state"]),
            (200, &json!("disabled"))
        );
        assert_eq!(changed["data"]["filter"]["include"], "states");
        let (status, letters) = operator
            .ask("GET", &format!("/{id}/deliveries?limit=2"), None)
            .await;
        assert_eq!(
            (status, letters["data"].as_array().unwrap().len()),
            (200, 2)
        );
        let next = letters["next_cursor"].as_str().unwrap();
        let path = format!("/{id}/deliveries?limit=2&cursor={next}");
        let (_, more) = operator.ask("GET", &path, None).await;
        assert_ne!(more["data"][0]["delivery"], letters["data"][0]["delivery"]);
        let (_, dead) = operator
            .ask("GET", &format!("/{id}/dead-letters"), None)
            .await;
        assert_eq!(dead["data"], json!([]));
        let (status, _) = operator
            .ask("POST", &format!("/{id}/dead-letters/1.1/redrive"), None)
            .await;
        assert_eq!(status, 404);
        let (_, list) = operator.ask("GET", "", None).await;
        assert_eq!(list["data"].as_array().unwrap().len(), 1);
        let (status, _) = operator.ask("DELETE", &format!("/{id}"), None).await;
        assert_eq!(status, 204);
        assert_eq!(operator.ask("GET", &format!("/{id}"), None).await.0, 404);

        let log = db
            .text("select string_agg(action, ' ' order by id) from admin_action where target like 'webhook/%'")
            .await;
        assert_eq!(
            log.as_deref(),
            Some("webhook.create webhook.test webhook.rotate webhook.change webhook.remove")
        );
        let everything = db
            .text("select jsonb_agg(to_jsonb(a))::text from admin_action a")
            .await
            .unwrap();
        for hidden in [secret, newer, "/hook"] {
            assert!(
                !everything.contains(hidden),
                "{hidden} is in the log of actions"
            );
        }
        app.stop().await.unwrap();
        db.drop().await;
    });
}

#[test]
fn others_and_wrong_wishes_are_refused() {
    run(async {
        let (db, small) = (TestDb::new().await, small_chain());
        // The strict rules: nothing private, https alone.
        let app = App::start(&db, &config(&[])).await;
        app.post(small.entries(), Order::default()).await;
        settled(&db).await;
        let reader = Operator::new(&db, &app, "reader").await;
        let good = json!({ "url": "https://example.com/hook" });
        assert_eq!(reader.ask("GET", "", None).await.0, 403);
        assert_eq!(reader.ask("POST", "", Some(good.clone())).await.0, 403);
        let nobody = Operator {
            key: String::new(),
            ..Operator::new(&db, &app, "admin").await
        };
        let (status, problem) = nobody.ask("GET", "", None).await;
        assert!(status == 401 || status == 403, "{status} {problem}");

        let operator = Operator::new(&db, &app, "operator").await;
        for url in [
            "http://example.com/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://169.254.169.254/latest",
            "https://10.0.0.1:8443/",
            "https://user:pw@example.com/",
            "ftp://example.com/",
            "",
            "nonsense",
            "https://2130706433/",
            "https://[::ffff:192.168.0.1]/",
        ] {
            let (status, problem) = operator.ask("POST", "", Some(json!({ "url": url }))).await;
            assert_eq!(
                (status, &problem["parameter"]),
                (400, &json!("url")),
                "{url}: {problem}"
            );
        }
        let with = |name: &str, value: Json| {
            let mut wish = good.clone();
            wish[name] = value;
            wish
        };
        for wish in [
            json!({}),
            json!([]),
            json!({ "url": 5 }),
            with("nonsense", json!(1)),
            with("min_finality", json!("burn_99")),
            with("on_failure", json!("panic")),
            with("max_attempts", json!(0)),
            with("max_attempts", json!(1_001)),
            with("max_attempts", json!("9")),
            with("from", json!("yesterday")),
            with("filter", json!({ "contract": ["nobody"] })),
            with("filter", json!({ "principal": "nobody" })),
            with("filter", json!({ "topic": vec!["t"; 21] })),
            with("filter", json!({ "unknown": true })),
        ] {
            let (status, problem) = operator.ask("POST", "", Some(wish.clone())).await;
            assert_eq!(status, 400, "{wish}: {problem}");
            assert!(problem["code"].is_string(), "{wish}: {problem}");
        }
        for (method, path, status) in [
            ("GET", "/x", 400),
            ("GET", "/0", 400),
            ("GET", "/7", 404),
            ("PATCH", "/7", 404),
            ("DELETE", "/7", 404),
            ("POST", "/7/rotate", 404),
            ("POST", "/7/test", 404),
            ("GET", "/7/deliveries", 404),
            ("GET", "?cursor=x", 400),
            ("GET", "?limit=0", 400),
            ("POST", "/7/dead-letters/x/redrive", 400),
            ("POST", "/7/dead-letters/1.1/redrive", 404),
        ] {
            let (found, problem) = operator.ask(method, path, None).await;
            assert_eq!(found, status, "{method} {path}: {problem}");
        }
        let (status, problem) = operator.send("POST", "", "{".to_owned()).await;
        assert_eq!((status, &problem["code"]), (400, &json!("bad_request")));
        assert_eq!(db.number("select count(*) from webhook").await, 0);
        app.stop().await.unwrap();
        db.drop().await;
    });
}
