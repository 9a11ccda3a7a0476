//! What operators decide over the API.

use std::net::SocketAddr;

use serde_json::{Value as Json, json};
use stxworx::daemon::Role;

use super::Stage;
use crate::support::app::{App, config};
use crate::support::run;
use crate::tools::{stdout, stxworx_on};

const SPOIL: &str =
    "update projects set total_amount = total_amount + 1 where id = (select min(id) from projects)";

struct Caller {
    client: reqwest::Client,
    at: SocketAddr,
    key: String,
}

impl Caller {
    async fn new(stage: &Stage, app: &App, role: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let arguments = ["keys", "create", "--name", role, "--role", role];
        let made = stxworx_on(&stage.mirror, &arguments).await;
        assert_eq!(made.status.code(), Some(0), "{made:?}");
        Self {
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            at: app.addresses.api.unwrap(),
            key: stdout(&made).trim().to_owned(),
        }
    }

    async fn decide(&self, id: &str, body: Json) -> (u16, Json) {
        let url = format!("http://{}/v1/breaks/{id}/decisions", self.at);
        let request = self.client.post(url).header("x-api-key", &self.key);
        let reply = request.body(body.to_string()).send().await.unwrap();
        let status = reply.status().as_u16();
        let text = reply.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or_default())
    }
}

#[test]
fn an_operator_decides_over_the_api_and_both_logs_name_them() {
    run(async {
        let stage = Stage::new(38, 60).await;
        stage.backend.db.sql(SPOIL).await;
        stage.sweep().await;
        stage.sweep().await;
        let id = stage
            .mirror
            .text("select encode(id, 'hex') from break")
            .await
            .unwrap();
        let app = App::try_start(&stage.mirror.url, &config(&[]), &[Role::Api])
            .await
            .unwrap();
        let reader = Caller::new(&stage, &app, "reader").await;
        let (status, _) = reader.decide(&id, json!({ "action": "reopen" })).await;
        assert_eq!(status, 403);
        let operator = Caller::new(&stage, &app, "operator").await;
        for (id, body, expected) in [
            (id.as_str(), json!({ "action": "shrug" }), 400),
            (id.as_str(), json!({ "action": "reopen" }), 400),
            (
                id.as_str(),
                json!({ "action": "accept", "note": "known" }),
                400,
            ),
            (
                id.as_str(),
                json!({ "action": "accept", "note": " ", "for_seconds": 9 }),
                400,
            ),
            (
                id.as_str(),
                json!({ "action": "accept", "note": "known", "for_seconds": 0 }),
                400,
            ),
            ("abcdef0123", json!({ "action": "acknowledge" }), 404),
            ("nothing", json!({ "action": "acknowledge" }), 400),
        ] {
            let (status, said) = operator.decide(id, body.clone()).await;
            assert_eq!(status, expected, "{body}: {said}");
        }
        let none = "select count(*) from admin_action where action like 'break.%'";
        assert_eq!(stage.mirror.number(none).await, 0);

        for (body, state) in [
            (json!({ "action": "acknowledge" }), "acknowledged"),
            (
                json!({ "action": "accept", "note": "known", "for_seconds": 3600 }),
                "resolved",
            ),
            (json!({ "action": "reopen" }), "open"),
            (
                json!({ "action": "resolve", "note": "done", "onchain": true }),
                "resolved",
            ),
            (json!({ "action": "reopen" }), "open"),
            (
                json!({ "action": "false_positive", "note": "no" }),
                "resolved",
            ),
        ] {
            let (status, said) = operator.decide(&id[..12], body.clone()).await;
            assert_eq!(
                (status, said["data"]["state"].as_str()),
                (200, Some(state)),
                "{body}: {said}"
            );
        }
        let log = stage
            .mirror
            .text("select string_agg(actor || ' ' || action, ', ' order by id) from admin_action where action like 'break.%'")
            .await;
        assert_eq!(
            log.unwrap(),
            "operator break.acknowledge, operator break.accept, operator break.reopen, operator break.resolve, \
             operator break.reopen, operator break.false_positive"
        );
        let history =
            "select string_agg(who, ',' order by seq) from break_event where who <> 'reconciler'";
        let history = stage.mirror.text(history).await.unwrap();
        assert_eq!(history, ["operator"; 6].join(","));
        app.stop().await.unwrap();
        stage.end().await;
    });
}
