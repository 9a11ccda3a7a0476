//! Whatever happens on both sides, looking at what changed finds what looking at everything finds.

use std::collections::BTreeSet;

use stxworx_clarity::rng::SeededRng;
use stxworx_reconciler::engine::Wanted;

use super::Stage;
use crate::support::run;

/// Sequences, and steps of each.
const SEEDS: [u64; 2] = [71, 72];
const STEPS: u32 = 14;

/// Something that a platform, or somebody who can write there, does.
fn mutation(rng: &mut SeededRng, step: u32) -> String {
    let some = format!("id = (select id from projects order by md5(id || '{step}') limit 1)");
    match rng.between(0, 9) {
        0 => format!("update projects set total_amount = total_amount + 1 where {some}"),
        1 => format!("update projects set status = 'PENDING' where {some}"),
        2 => format!("update projects set on_chain_id = on_chain_id + 1 where {some}"),
        3 => format!("update projects set on_chain_id = null where {some}"),
        4 => format!("update projects set on_chain_id = 5000 + {step} where {some}"),
        5 => format!("delete from projects where {some}"),
        6 => format!(
            "insert into projects (id, on_chain_id, status) values ('y{step}', {step}, 'ACTIVE')"
        ),
        7 => format!("update projects set client_address = 'nobody' where {some}"),
        8 => format!(
            "update projects set milestone_1_released = not milestone_1_released where {some}"
        ),
        _ => format!("insert into projects (id, status) values ('z{step}', 'FUNDED')"),
    }
}

async fn failing(stage: &Stage) -> BTreeSet<String> {
    let ids = stage
        .mirror
        .text(
            "select string_agg(rule || ' ' || subject_kind || ' ' || subject_key || ' ' || what, E'\\n') from break
             where state <> 'resolved'",
        )
        .await;
    ids.unwrap_or_default().lines().map(str::to_owned).collect()
}

/// With a time of the last change in each row, or by looking at all rows; `deletes` are seen by the latter alone.
async fn play(seed: u64, tells: bool) {
    let mut stage = Stage::new(seed, 60).await;
    // Numbers as text find their rows in another way than whole numbers do.
    if seed.is_multiple_of(2) {
        let query = stage.settings.source.projects_query.clone();
        let query = query.replace(" on_chain_id,", " on_chain_id::text as on_chain_id,");
        assert!(query.contains("::text"), "{query}");
        stage.settings.source.projects_query = query;
    }
    if !tells {
        let query = stage
            .settings
            .source
            .projects_query
            .replace(", updated_at", "");
        stage.settings.source.projects_query = query;
    }
    // What is opened and healed depends on how often one looked; what fails does not. So nothing is ever healed here.
    stage.settings.policy.passes = 1_000;
    stage.sweep().await;
    let mut rng = SeededRng::new(seed);
    let mut incrementals = 0;
    for step in 0..STEPS {
        for some in 0..rng.between(0, 3) {
            let sql = mutation(&mut rng, step * 10 + u32::try_from(some).unwrap());
            if !(tells && sql.starts_with("delete")) {
                stage.backend.db.sql(sql).await;
            }
        }
        if rng.between(0, 2) > 0 {
            stage.grow(u32::try_from(rng.between(1, 6)).unwrap()).await;
        }
        if rng.between(0, 3) == 0 {
            stage.backend.follow(&stage.mirror).await;
        }
        let report = stage.incremental().await;
        incrementals += u32::from(report.kind == "incremental");
        let before = failing(&stage).await;
        let look = stage.run(Wanted::Sweep).await;
        let after = failing(&stage).await;
        assert_eq!(before, after, "seed {seed}, step {step}: {look:?}");
        for change in ["suspected", "dropped", "reopened"] {
            assert_eq!(
                look.changes.get(change),
                None,
                "seed {seed}, step {step}: {look:?}"
            );
        }
    }
    assert!(incrementals > STEPS / 2, "{incrementals}");
    assert!(!failing(&stage).await.is_empty());
    stage.end().await;
}

#[test]
fn what_changed_gives_the_same_breaks_as_everything() {
    run(async {
        for seed in SEEDS {
            play(seed, false).await;
        }
    });
}

#[test]
fn the_time_of_the_last_change_is_enough_but_for_deletions() {
    run(async {
        for seed in SEEDS {
            play(seed + 10, true).await;
        }
    });
}
