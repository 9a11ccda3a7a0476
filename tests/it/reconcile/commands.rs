//! The commands and the role, as an operator meets them.

use std::process::Output;

use serde_json::Value as Json;
use stxworx::daemon::Role;

use super::Stage;
use crate::support::app::{App, config};
use crate::support::eventually;
use crate::support::run;
use crate::tools::{get, output, stderr, stdout, stxworx, stxworx_on};

const SPOIL: &str =
    "update projects set total_amount = total_amount + 1 where id = (select min(id) from projects)";

impl Stage {
    async fn command(&self, arguments: &[&str]) -> Output {
        let mut command = stxworx(arguments);
        command
            .env("DATABASE_URL", &self.mirror.url)
            .env("STXWORX_PLATFORM_URL", &self.backend.db.url)
            .env(
                "STXWORX_PLATFORM_PROJECTS_QUERY",
                &self.settings.source.projects_query,
            )
            .env("STXWORX_CHAIN_FINALITY_BURN_BLOCKS", "1");
        output(command).await
    }

    async fn json(&self, arguments: &[&str]) -> Json {
        let mut all = arguments.to_vec();
        all.extend(["--output", "json"]);
        let said = self.command(&all).await;
        serde_json::from_str(&stdout(&said)).unwrap_or_else(|e| panic!("{e}: {said:?}"))
    }
}

#[test]
fn an_operator_compares_looks_and_decides() {
    run(async {
        let mut stage = Stage::new(81, 60).await;
        let without = stxworx_on(&stage.mirror, &["reconcile", "--once"]).await;
        assert_eq!(without.status.code(), Some(2), "{}", stderr(&without));
        assert!(stderr(&without).contains("set platform.url"));

        let clean = stage.command(&["reconcile", "--once"]).await;
        assert_eq!(
            clean.status.code(),
            Some(0),
            "{}{}",
            stdout(&clean),
            stderr(&clean)
        );
        assert!(
            stdout(&clean).contains("canary found") && stdout(&clean).contains("0 open breaks")
        );
        stage.backend.db.sql(SPOIL).await;
        let first = stage
            .command(&["reconcile", "--once", "--incremental"])
            .await;
        assert_eq!(first.status.code(), Some(0), "{}", stderr(&first));
        assert!(stdout(&first).contains("(incremental)") && stdout(&first).contains("1 suspected"));
        let second = stage.command(&["reconcile", "--once"]).await;
        assert_eq!(second.status.code(), Some(3), "{}", stdout(&second));

        let list = stage.command(&["breaks", "list"]).await;
        let line = stdout(&list);
        assert!(
            line.contains(" open ") && line.contains("P2 project ") && line.ends_with("1 breaks\n"),
            "{line}"
        );
        let id = line.split(' ').next().unwrap().to_owned();
        let shown = stdout(&stage.command(&["breaks", "show", &id]).await);
        assert!(
            shown.contains("update projects set total") && shown.contains("2 opened by reconciler"),
            "{shown}"
        );
        let acked = stage.command(&["breaks", "ack", &id, "--by", "ann"]).await;
        assert!(
            stdout(&acked).contains("is acknowledged"),
            "{}",
            stderr(&acked)
        );
        let refused = stage
            .command(&[
                "breaks", "accept", &id, "--by", "ann", "--note", " ", "--for", "1h",
            ])
            .await;
        assert_eq!(refused.status.code(), Some(1));
        assert!(stderr(&refused).contains("say why"), "{}", stderr(&refused));
        let accepted = stage
            .command(&[
                "breaks", "accept", &id, "--by", "ann", "--note", "known", "--for", "1h",
            ])
            .await;
        assert_eq!(accepted.status.code(), Some(0), "{}", stderr(&accepted));
        assert_eq!(
            stage.command(&["reconcile", "--once"]).await.status.code(),
            Some(0)
        );
        let again = stage.json(&["breaks", "reopen", &id, "--by", "bob"]).await;
        assert_eq!(again["state"], "open");

        let verified = stage.json(&["breaks", "events", "verify"]).await;
        assert_eq!(
            (&verified["lines"], &verified["fault"]),
            (&5.into(), &Json::Null)
        );
        let rules = stage.json(&["breaks", "rules"]).await;
        assert!(
            rules
                .as_array()
                .unwrap()
                .iter()
                .any(|rule| rule["id"] == "P2")
        );
        let csv = stdout(
            &stage
                .command(&["breaks", "report", "--format", "csv"])
                .await,
        );
        assert_eq!(csv.lines().count(), 2, "{csv}");
        let markdown = stdout(&stage.command(&["breaks", "report"]).await);
        assert!(markdown.contains("| high | P2 |"), "{markdown}");

        let rerun = stage.command(&["reconcile", "rerun", "3"]).await;
        assert_eq!(
            rerun.status.code(),
            Some(0),
            "{}{}",
            stdout(&rerun),
            stderr(&rerun)
        );
        assert!(stdout(&rerun).contains("byte for byte"));
        let diff = stage.json(&["reconcile", "diff", "1", "3"]).await;
        assert_eq!(diff.as_array().unwrap().len(), 1, "{diff}");
        stage.grow(1).await;
        let past = stage
            .json(&["reconcile", "--once", "--at-block", "3"])
            .await;
        assert_eq!(past["report"]["applies"], false, "{past}");
        stage.end().await;
    });
}

#[test]
fn the_role_finds_a_break_and_shows_it_while_one_of_two_works() {
    run(async {
        let stage = Stage::new(82, 60).await;
        let url = format!("{:?}", stage.backend.db.url);
        let query = format!("{:?}", stage.settings.source.projects_query);
        let settings = [
            ("platform.url", url.as_str()),
            ("platform.projects_query", query.as_str()),
            ("platform.pause_ms", "100"),
            ("platform.sweep_pause_ms", "500"),
        ];
        let alone = App::try_start(&stage.mirror.url, &config(&[]), &[Role::Reconciler]).await;
        assert!(alone.is_err(), "there is no platform");
        let config = config(&settings);
        let first = App::try_start(&stage.mirror.url, &config, &[Role::Reconciler])
            .await
            .unwrap();
        let second = App::try_start(&stage.mirror.url, &config, &[Role::Reconciler])
            .await
            .unwrap();
        stage.backend.db.sql(SPOIL).await;
        for app in [&first, &second] {
            let at = app.addresses.metrics.unwrap();
            eventually("the metric of a break", || async {
                let text = get(at, "/metrics").await.text();
                let sample = "stxworx_breaks{fault=\"platform\",rule=\"P2\",severity=\"high\",state=\"open\"} 1";
                if text.contains(sample) {
                    Ok(())
                } else {
                    Err(text.lines().filter(|l| l.starts_with("stxworx_breaks")).collect())
                }
            })
            .await;
        }
        let running = "select count(*) from reconcile_run where state = 'failed'";
        assert_eq!(stage.mirror.number(running).await, 0, "two at once");
        first.stop().await.unwrap();
        second.stop().await.unwrap();
        stage.end().await;
    });
}
