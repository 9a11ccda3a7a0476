//! A platform that knows everything has no break, whatever the chain does. How long it is watched is in
//! `STXWORX_RECONCILE_BLOCKS` (steps of the chain, by default 200).

use super::Stage;
use crate::support::run;

const STEPS: u32 = 25;

#[test]
fn a_clean_system_opens_nothing_however_long_it_runs() {
    run(async {
        let blocks: u32 = std::env::var("STXWORX_RECONCILE_BLOCKS")
            .ok()
            .map_or(200, |n| n.parse().unwrap());
        let started = std::time::Instant::now();
        let mut stage = Stage::long(35, 60, blocks + 200).await;
        let (mut considered, mut runs, mut swept) = (0, 0, 0);
        for round in 0..blocks.div_ceil(STEPS) {
            stage.grow(STEPS).await;
            stage.backend.follow(&stage.mirror).await;
            let report = if round % 20 == 0 {
                stage.sweep().await
            } else {
                stage.incremental().await
            };
            runs += 1;
            swept += u32::from(report.kind == "sweep");
            considered += report.considered;
            assert_eq!(
                report.matched, report.considered,
                "round {round}: {report:?}"
            );
            assert_eq!(report.notes, Vec::<serde_json::Value>::new());
        }
        let last = stage.sweep().await;
        assert_eq!(last.matched, last.considered, "{last:?}");
        let said = "select count(*) from break_event";
        assert_eq!(stage.mirror.number(said).await, 0);
        let (forks, replaced) = stage.served.history.forks;
        let height = stage
            .mirror
            .number("select max(height) from canonical")
            .await;
        println!(
            "{height} canonical blocks, {forks} forks that replaced {replaced}, {runs} runs ({swept} sweeps), \
             {considered} comparisons, the last sweep {}, in {:?}",
            last.considered,
            started.elapsed()
        );
        stage.end().await;
    });
}
