//! Each class of fault in the platform's rows opens its break and no other, and ends when it is repaired.

use std::collections::BTreeSet;

use stxworx_reconciler::engine::Wanted;

use super::Stage;
use crate::support::run;

/// A platform that knows everything has no break, whatever the chain does.
#[test]
fn a_clean_system_has_no_breaks_through_forks() {
    run(async {
        let mut stage = Stage::new(31, 150).await;
        let first = stage.sweep().await;
        assert!(first.considered > 50, "{first:?}");
        assert_eq!(first.canary, "found");
        for round in 0..12 {
            stage.grow(8).await;
            stage.backend.follow(&stage.mirror).await;
            let report = stage.incremental().await;
            assert_eq!(report.kind, "incremental", "round {round}");
            assert_eq!(
                report.broken + report.tolerated + report.skipped,
                0,
                "{report:?}"
            );
        }
        let (forks, replaced) = stage.served.history.forks;
        assert!(forks > 10, "{forks} forks, {replaced} blocks");
        let last = stage.sweep().await;
        assert_eq!(last.matched, last.considered, "{last:?}");
        assert_eq!(last.notes, Vec::<serde_json::Value>::new());
        assert_eq!(
            stage
                .mirror
                .number("select count(*) from break_event")
                .await,
            0
        );
        stage.end().await;
    });
}

/// A fault: what is done to the project's row, what opens.
struct Fault {
    name: &'static str,
    sql: &'static str,
    opens: &'static [&'static str],
}

const FAULTS: &[Fault] = &[
    Fault {
        name: "one unit too many",
        sql: "update projects set total_amount = total_amount + 1 where id = 'PID'",
        opens: &["P2 row PID total"],
    },
    Fault {
        name: "an amount that int4 cut off",
        sql: "update projects set milestone_1_amount = 2147483647 where id = 'PID'",
        opens: &["P2 row PID milestone_1_amount"],
    },
    Fault {
        name: "an amount that is none",
        sql: "update projects set total_amount = 'NaN' where id = 'PID'",
        opens: &["P8 row PID total"],
    },
    Fault {
        name: "a fraction",
        sql: "update projects set total_amount = total_amount + 0.5 where id = 'PID'",
        opens: &["P8 row PID total"],
    },
    Fault {
        name: "another client",
        sql: "update projects set client_address = 'ST000000000000000000002AMW42H' where id = 'PID'",
        opens: &["P2 row PID client"],
    },
    Fault {
        name: "an address with a wrong checksum",
        sql: "update projects set client_address = 'ST000000000000000000002AMW42X' where id = 'PID'",
        opens: &["P8 row PID client"],
    },
    Fault {
        name: "no freelancer",
        sql: "update projects set freelancer_address = null where id = 'PID'",
        opens: &["P2 row PID freelancer"],
    },
    Fault {
        name: "a txid that was made up",
        sql: "update projects set tx_id = '0xabc123...' where id = 'PID'",
        opens: &["P8 row PID tx_id"],
    },
    Fault {
        name: "a status that is no word",
        sql: "update projects set status = 'ON FIRE' where id = 'PID'",
        opens: &["P8 row PID status"],
    },
    Fault {
        name: "no status",
        sql: "update projects set status = null where id = 'PID'",
        opens: &["P3 row PID status"],
    },
    Fault {
        name: "a status of long ago",
        sql: "update projects set status = 'PENDING' where id = 'PID'",
        opens: &["P3 row PID status"],
    },
    Fault {
        name: "money that was never locked",
        sql: "update projects set milestone_1_funded = false where id = 'PID'",
        opens: &["P11 row PID milestone_1_funded"],
    },
    Fault {
        name: "a milestone that is not there",
        sql: "update projects set milestone_9_amount = 5 where id = 'PID'",
        opens: &["P2 row PID milestone_9_amount"],
    },
    Fault {
        name: "two rows for one project",
        sql: "insert into projects select (jsonb_populate_record(p, '{\"id\": \"xdouble\"}')).* from projects p where id = 'PID'",
        opens: &["P1 row PID", "P1 row xdouble"],
    },
    Fault {
        name: "a project that does not exist",
        sql: "insert into projects (id, on_chain_id, status) values ('xnowhere', 987654321, 'ACTIVE')",
        opens: &["P9 row xnowhere"],
    },
    Fault {
        name: "active, and pointing nowhere",
        sql: "insert into projects (id, status) values ('xactive', 'ACTIVE')",
        opens: &["P9 row xactive"],
    },
    Fault {
        name: "a row that was lost",
        sql: "delete from projects where id = 'PID'",
        opens: &["P9 row"],
    },
];

/// A project that is active and has a milestone, so that each fault is one.
async fn active(stage: &Stage) -> String {
    let id = stage
        .backend
        .db
        .text(
            "select min(id) from projects where status in ('ACTIVE', 'UNDER_REVIEW') and milestone_9_amount is null
                 and milestone_1_funded and total_amount < 9007199254740992",
        )
        .await;
    id.expect("an active project")
}

#[test]
fn each_fault_opens_its_break_and_ends_when_it_is_repaired() {
    run(async {
        let mut stage = Stage::new(32, 120).await;
        stage.sweep().await;
        let mut met = BTreeSet::new();
        for fault in FAULTS {
            let id = active(&stage).await;
            stage
                .backend
                .db
                .sql("create table good as select * from projects")
                .await;
            stage.backend.db.sql(fault.sql.replace("PID", &id)).await;
            let expected: Vec<_> = fault
                .opens
                .iter()
                .map(|it| it.replace("PID", &id))
                .collect();
            let states = async || stage.live().await;
            // First it may be a race; with the same row again, it is one. Of a row that is gone, no time tells.
            let wanted = if fault.sql.starts_with("delete") {
                Wanted::Sweep
            } else {
                Wanted::Incremental
            };
            stage.run(wanted).await;
            let seen: Vec<_> = states().await.into_iter().collect();
            // What was resolved and is there again is not a race any more.
            let mut first = |it: &String| match met.insert(it.clone()) {
                true => (it.clone(), "suspected".to_owned()),
                false => (it.clone(), "open".to_owned()),
            };
            let suspected: Vec<_> = expected.iter().map(&mut first).collect();
            assert_eq!(seen, suspected, "{}", fault.name);
            let report = stage.incremental().await;
            let open: Vec<_> = expected
                .iter()
                .map(|it| (it.clone(), "open".to_owned()))
                .collect();
            let seen: Vec<_> = states().await.into_iter().collect();
            assert_eq!(seen, open, "{}", fault.name);
            assert!(report.broken > 0, "{}: {report:?}", fault.name);

            stage
                .backend
                .db
                .sql("delete from projects; insert into projects select * from good")
                .await;
            // A row that was put back with an old time is seen by a sweep.
            stage.sweep().await;
            assert_eq!(
                states().await.len(),
                expected.len(),
                "one pass ends nothing: {}",
                fault.name
            );
            // A row that does not exist any more ends nothing: a person has to say so.
            let stays: Vec<_> = expected
                .iter()
                .filter(|it| it.contains("row x"))
                .cloned()
                .collect();
            // The chain goes on until what was seen is final.
            let mut left = expected;
            for _ in 0..6 {
                if left == stays {
                    break;
                }
                stage.grow(3).await;
                stage.backend.follow(&stage.mirror).await;
                stage.incremental().await;
                left = stage.live().await.into_keys().collect();
            }
            assert_eq!(left, stays, "{}", fault.name);
            for rest in stays {
                resolve(&stage, &rest).await;
            }
            stage.backend.db.sql("drop table good").await;
        }
        let resolved = stage.breaks(&["resolved"]).await;
        assert!(resolved.len() > 12, "{resolved:?}");
        let last = stage.run(Wanted::Sweep).await;
        assert_eq!(last.broken + last.tolerated, 0, "{last:?}");
        stage.end().await;
    });
}

async fn resolve(stage: &Stage, named: &str) {
    let id = stage
        .mirror
        .text(format!(
            "select encode(id, 'hex') from break where rule || ' ' || what = '{named}' and state = 'open'"
        ))
        .await
        .unwrap();
    let action = stxworx_reconciler::breaks::Action::Resolve {
        note: "the row was removed".to_owned(),
        onchain: false,
    };
    stxworx_reconciler::engine::act(&stage.mirror.pool, &id, "ann", &action)
        .await
        .unwrap();
}

/// What the mirror itself has wrong is told from what the platform has, and waits for nothing.
#[test]
fn a_wrong_mirror_is_named_as_the_one_at_fault() {
    run(async {
        let stage = Stage::new(33, 80).await;
        stage.sweep().await;
        let current = "from projection_current k where k.version_id = v.id and k.projection = 10
                       and k.entity = (select min(entity) from projection_current where projection = 10)";
        let change = |sign: &str| {
            format!(
                "update projection_version v set state = jsonb_set(v.state, '{{paid}}',
                     to_jsonb(((v.state->>'paid')::numeric {sign} 1)::text)) {current}"
            )
        };
        stage.mirror.sql(change("+")).await;
        let report = stage.sweep().await;
        assert_eq!(report.changes.get("opened"), Some(&2), "{report:?}");
        let who = stage
            .mirror
            .text("select string_agg(distinct rule || ' ' || fault || ' ' || severity, ', ') from break where rule = 'E1'")
            .await;
        assert_eq!(who.as_deref(), Some("E1 mirror critical"));
        stage.mirror.sql(change("-")).await;
        stage.end().await;
    });
}
