//! Repairs that are allowed are carried out once, on the platform alone, and the rule looks at them.

use stxworx_reconciler::engine::repair::{Repaired, Repairs, repair};

use super::Stage;
use crate::support::run;

fn allowed(stage: &Stage, what: &[(&str, &str)]) -> Repairs {
    let own = |(rule, kind): &(&str, &str)| ((*rule).to_owned(), (*kind).to_owned());
    Repairs {
        url: stage.backend.db.url.clone(),
        allowed: what.iter().map(own).collect(),
        statement_timeout: std::time::Duration::from_secs(20),
    }
}

const SPOIL: &str = "update projects set status = 'PENDING', total_amount = total_amount + 1
    where id = (select min(id) from projects)";

async fn state(stage: &Stage, column: &str) -> String {
    let query = format!("select string_agg({column}, ',' order by id) from repair_outbox");
    stage.mirror.text(&query).await.unwrap_or_default()
}

#[test]
fn what_is_allowed_is_repaired_once_and_verified_by_its_rule() {
    run(async {
        let mut stage = Stage::new(36, 60).await;
        let right = stage.backend.db.text("select string_agg(p::text, '') from (select id, status from projects order by id) p").await;
        stage.backend.db.sql(SPOIL).await;
        stage.sweep().await;
        let report = stage.sweep().await;
        // Nothing is allowed: nothing is done.
        let pool = stage.mirror.pool.clone();
        let nothing = repair(&pool, &allowed(&stage, &[]), report.run)
            .await
            .unwrap();
        assert_eq!(
            (nothing, state(&stage, "state").await),
            (Repaired::default(), String::new())
        );

        let only = allowed(&stage, &[("P3", "status")]);
        let came = repair(&pool, &only, report.run).await.unwrap();
        assert_eq!(
            (came.done, came.refused, came.failed),
            (1, 0, 0),
            "{came:?}"
        );
        let now = stage.backend.db.text("select string_agg(p::text, '') from (select id, status from projects order by id) p").await;
        assert_eq!(
            now, right,
            "the status is what it was, and the rest was not touched"
        );
        // A second time there is nothing to do, though the break is open still.
        let again = repair(&pool, &only, report.run).await.unwrap();
        assert_eq!(again, Repaired::default());
        for _ in 0..6 {
            stage.grow(3).await;
            stage
                .backend
                .db
                .sql("update projects set total_amount = total_amount")
                .await;
            stage.incremental().await;
        }
        let came = repair(&pool, &only, report.run).await.unwrap();
        assert_eq!(came.verified, 1, "{came:?}");
        assert_eq!(state(&stage, "state").await, "verified");
        let said = stage
            .mirror
            .text("select actor || ' ' || action from admin_action")
            .await;
        assert_eq!(said.as_deref(), Some("reconciler break.repair"));
        let open = stage
            .mirror
            .text("select string_agg(rule, ',') from break where state = 'open' and rule = 'P2'")
            .await;
        assert_eq!(open.as_deref(), Some("P2"), "what is not allowed stays");
        stage.end().await;
    });
}

#[test]
fn a_row_that_changed_meanwhile_is_left_alone_and_what_fails_is_not_tried_again() {
    run(async {
        let stage = Stage::new(37, 60).await;
        stage.backend.db.sql(SPOIL).await;
        stage.sweep().await;
        let report = stage.sweep().await;
        stage
            .backend
            .db
            .sql(
                "update projects set status = 'DISPUTED' where id = (select min(id) from projects)",
            )
            .await;
        let (pool, only) = (
            stage.mirror.pool.clone(),
            allowed(&stage, &[("P3", "status"), ("P2", "total")]),
        );
        stage
            .backend
            .db
            .sql("alter table projects add check (total_amount < 0) not valid")
            .await;
        let came = repair(&pool, &only, report.run).await.unwrap();
        assert_eq!(
            (came.done, came.refused, came.failed),
            (0, 1, 1),
            "{came:?}"
        );
        let again = repair(&pool, &only, report.run).await.unwrap();
        assert_eq!(again, Repaired::default());
        // Begun, and nobody knows whether it ended.
        stage.mirror.sql("update repair_outbox set state = 'executing', executed_at = now() - interval '1 day' where state = 'failed'").await;
        let lost = repair(&pool, &only, report.run).await.unwrap();
        assert_eq!(lost.unknown, 1, "{lost:?}");
        assert_eq!(
            repair(&pool, &only, report.run).await.unwrap(),
            Repaired::default()
        );
        stage.end().await;
    });
}
