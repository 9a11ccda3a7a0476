//! The mirror's work: who writes, how old the tip is, what waits, what was found wrong.

use stxworx_indexer::store::doctor::{self, Work};
use stxworx_indexer::store::{Pool, StoreError};

use super::database::failed;
use super::finding::Finding;
use crate::config::{Config, Network};

/// Age of the tip, in seconds, that is not usual any more; and that is none of a living chain.
const TIP_AGE: (i64, i64) = (1_800, 21_600);
/// How long a block may wait for its parent, in seconds.
const DETACHED: i64 = 600;
/// Payloads that wait, above which the writer is behind.
const BACKLOG: i64 = 1_000;
/// Lines of the outbox that may wait for the books.
const UNBOOKED: i64 = 10_000;

/// Is the database's mirror the configured one?
pub(super) async fn mirror(pool: Pool, config: Config) -> Vec<Finding> {
    const CHECK: &str = "mirror.kind";
    let network = config.network.as_str();
    match doctor::same_mirror(&pool, network, &config.follow).await {
        Ok(()) => vec![Finding::fine(CHECK, format!("of {network}, as configured"))],
        Err(error @ StoreError::OtherMirror { .. }) => vec![
            Finding::fault(CHECK, error.to_string())
                .why("the writer refuses to start")
                .remedy("set network and follow.* back, or stxworx rebuild --yes after a backup")
                .see("docs/runbook.md#changing-what-is-followed"),
        ],
        Err(error) => vec![failed(CHECK, &error)],
    }
}

/// Everything that the database knows of the work.
pub(super) async fn work(pool: Pool, config: Config) -> Vec<Finding> {
    match doctor::work(&pool).await {
        Err(error) => vec![failed("mirror.work", &error)],
        Ok(work) => {
            let mut findings = vec![lease(&work, &config), tip(&work, config.network)];
            waits(&work, &mut findings);
            proofs(&work, &mut findings);
            findings.push(books(&work));
            findings.push(reconciler(&work, &config));
            findings
        }
    }
}

fn lease(work: &Work, config: &Config) -> Finding {
    const CHECK: &str = "mirror.writer";
    let Some(holder) = &work.holder else {
        return Finding::skipped(CHECK, "nobody ever wrote this mirror");
    };
    if work.is_held != Some(true) {
        return Finding::warning(CHECK, format!("nobody writes; the last one was {holder}"))
            .why("payloads are stored, if an observer runs, and nothing is made of them")
            .remedy(
                "start a process with the role indexer; if one runs, its log says why it stands by",
            )
            .see("docs/runbook.md#writer-taken-over");
    }
    let (theirs, ours) = (work.finality_burn_blocks, config.finality_burn_blocks);
    if let Some(theirs) = theirs
        && u32::try_from(theirs) != Ok(ours)
    {
        return Finding::warning(
            CHECK,
            format!("{holder} counts a block as final after {theirs} Bitcoin blocks, this configuration after {ours}"),
        )
        .why("what one process calls final another one does not")
        .remedy("give every process the same chain.finality_burn_blocks")
        .see("docs/deploy.md#one-configuration");
    }
    Finding::fine(CHECK, format!("{holder} writes"))
}

fn tip(work: &Work, network: Network) -> Finding {
    const CHECK: &str = "mirror.tip";
    let (Some(height), Some(age)) = (work.tip_height, work.tip_age_seconds) else {
        return Finding::skipped(CHECK, "the mirror is empty");
    };
    let silent = work.silent_seconds.unwrap_or(0);
    let says = format!("height {height}, {age} s old; the last payload came {silent} s ago");
    // A devnet's clock is its own.
    if network == Network::Devnet || age < TIP_AGE.0 {
        return Finding::fine(CHECK, says);
    }
    let finding = if age < TIP_AGE.1 {
        Finding::warning(CHECK, says)
    } else {
        Finding::fault(CHECK, says)
    };
    finding
        .why("readers are told an old state; between Bitcoin blocks the chain itself may rest for a while")
        .remedy("is the node at its own tip, and does it post here? is a source set up that is asked?")
        .see("docs/runbook.md#node-frozen-or-deliveries-refused")
}

fn waits(work: &Work, findings: &mut Vec<Finding>) {
    let before = findings.len();
    if work.received > BACKLOG {
        findings.push(
            Finding::warning("mirror.inbox", format!("{} payloads wait to be processed", work.received))
                .why("what is read is older than what is known")
                .remedy("during a backfill, nothing; else look for the stage that stands still in /health/ready")
                .see("docs/runbook.md#database-away"),
        );
    }
    if work.quarantined > 0 {
        findings.push(
            Finding::warning(
                "mirror.inbox",
                format!("{} payloads could not be read", work.quarantined),
            )
            .why("if one is a block, its descendants wait, and the mirror stands below it")
            .remedy(
                "`stxworx status --output json` names them; a version that can read them is needed",
            )
            .see("docs/runbook.md#quarantine"),
        );
    }
    let waited = work.detached_seconds.unwrap_or(0);
    if work.given_up > 0 || (work.detached > 0 && waited > DETACHED) {
        let (detached, given_up) = (work.detached, work.given_up);
        findings.push(
            Finding::warning(
                "mirror.gaps",
                format!("{detached} blocks wait for a parent, the oldest for {waited} s; {given_up} gaps were given up"),
            )
            .why("the mirror stands below the gap")
            .remedy("`stxworx gaps` says what is missing and why it did not come; fetch it with `stxworx backfill`")
            .see("docs/runbook.md#detached-blocks"),
        );
    }
    if findings.len() == before {
        findings.push(Finding::fine(
            "mirror.inbox",
            format!("{} wait, none is unreadable, no gap", work.received),
        ));
    }
}

fn proofs(work: &Work, findings: &mut Vec<Finding>) {
    let before = findings.len();
    if work.unproved > 0 {
        findings.push(
            Finding::fault(
                "mirror.proofs",
                format!(
                    "{} contracts have another cursor at the node",
                    work.unproved
                ),
            )
            .why("an event is missing or altered")
            .remedy(
                "stop what pays or mints by the mirror; stxworx audit names the first bad block",
            )
            .see("docs/runbook.md#ev-1-ev-2-an-event-is-missing-or-altered"),
        );
    }
    if work.audited_otherwise > 0 {
        let count = work.audited_otherwise;
        findings.push(
            Finding::fault(
                "mirror.proofs",
                format!("a node tells {count} states, balances or blocks otherwise"),
            )
            .why("either the mirror or the node is wrong")
            .remedy("stxworx audit --deep, against a second node")
            .see("docs/runbook.md#au-1-the-node-says-another-thing"),
        );
    }
    if work.disagreements > 0 {
        let count = work.disagreements;
        findings.push(
            Finding::warning(
                "mirror.proofs",
                format!("sources told {count} blocks differently"),
            )
            .why("the first telling is mirrored; it may be the wrong one")
            .remedy("compare the block with a third source")
            .see("docs/runbook.md#sources-disagree"),
        );
    }
    if findings.len() == before {
        findings.push(Finding::fine(
            "mirror.proofs",
            "no comparison found a difference",
        ));
    }
}

fn books(work: &Work) -> Finding {
    const CHECK: &str = "ledger";
    let says = format!("{} lines are not booked", work.unbooked);
    if work.unbooked <= UNBOOKED {
        return Finding::fine(CHECK, says);
    }
    Finding::warning(CHECK, says)
        .why("balances and statements are older than the mirror")
        .remedy(
            "the writer books; its log says why it does not. `stxworx ledger book` does it once",
        )
        .see("docs/ledger.md")
}

fn reconciler(work: &Work, config: &Config) -> Finding {
    const CHECK: &str = "reconciler";
    const SEE: &str = "docs/runbook.md#a-break-is-open";
    let Some(platform) = &config.platform else {
        return Finding::skipped(CHECK, "platform.url is empty: nothing is compared");
    };
    if let Some(error) = &work.reconcile_error {
        return Finding::warning(CHECK, format!("the last run failed: {error}"))
            .why("nothing opens and nothing heals while runs fail")
            .remedy("mend what it says, then stxworx reconcile --once")
            .see(SEE);
    }
    let longest = platform
        .pauses
        .incremental
        .max(platform.pauses.sweep)
        .as_secs()
        * 2
        + 60;
    match work.reconciled_seconds {
        None => Finding::warning(CHECK, "no run has ended well yet")
            .why("nobody knows whether the platform agrees with the chain")
            .remedy("run a process with the role reconciler, or stxworx reconcile --once")
            .see(SEE),
        Some(age) if u64::try_from(age).unwrap_or(0) > longest => Finding::warning(
            CHECK,
            format!("the last good run ended {age} s ago"),
        )
        .why("nobody knows whether the platform still agrees with the chain")
        .remedy(
            "run a process with the role reconciler; the table reconcile_run says why runs fail",
        )
        .see(SEE),
        Some(age) if work.breaks > 0 => Finding::warning(
            CHECK,
            format!(
                "the last good run ended {age} s ago; {} breaks are open",
                work.breaks
            ),
        )
        .why("the platform or the mirror is wrong about somebody's money")
        .remedy("stxworx breaks list")
        .see(SEE),
        Some(age) => Finding::fine(
            CHECK,
            format!("the last good run ended {age} s ago; no break is open"),
        ),
    }
}

/// Deliveries that were given up, and webhooks that stand still.
pub(super) async fn webhooks(pool: Pool) -> Vec<Finding> {
    const CHECK: &str = "webhooks";
    const SEE: &str = "docs/streams.md";
    let dead = stxworx_indexer::store::webhook::delivery::waiting(&pool).await;
    let paused = doctor::paused_webhooks(&pool).await;
    let (dead, paused) = match (dead, paused) {
        (Ok((_, dead)), Ok(paused)) => (dead, paused),
        (Err(error), _) | (_, Err(error)) => return vec![failed(CHECK, &error)],
    };
    let mut findings = Vec::new();
    if dead > 0 {
        findings.push(
            Finding::warning(CHECK, format!("{dead} dead letters"))
                .why("a receiver was not told of something, and will not be by itself")
                .remedy("mend the receiver, then send them again: POST /v1/webhooks/{id}/dead-letters/{delivery}/redrive")
                .see(SEE),
        );
    }
    if paused > 0 {
        findings.push(
            Finding::warning(CHECK, format!("{paused} webhooks are paused"))
                .why("their receivers are told nothing until somebody resumes them")
                .remedy("mend the receiver, then resume it: PATCH /v1/webhooks/{id}")
                .see(SEE),
        );
    }
    if findings.is_empty() {
        findings.push(Finding::fine(CHECK, "no dead letter, none is paused"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;

    fn work() -> Work {
        Work {
            holder: Some("h".to_owned()),
            is_held: Some(true),
            finality_burn_blocks: Some(6),
            tip_height: Some(9),
            tip_age_seconds: Some(5),
            silent_seconds: Some(5),
            received: 0,
            detached: 0,
            detached_seconds: None,
            quarantined: 0,
            given_up: 0,
            unproved: 0,
            audited_otherwise: 0,
            disagreements: 0,
            unbooked: 0,
            breaks: 0,
            reconciled_seconds: None,
            reconcile_error: None,
        }
    }

    #[test]
    fn a_tip_grows_old_where_the_clock_is_the_worlds() {
        let at = |age, network| {
            let work = Work {
                tip_age_seconds: Some(age),
                ..work()
            };
            tip(&work, network).severity
        };
        assert_eq!(at(1_799, Network::Mainnet), Severity::Fine);
        assert_eq!(at(1_800, Network::Mainnet), Severity::Warning);
        assert_eq!(at(21_600, Network::Testnet), Severity::Fault);
        assert_eq!(at(21_600, Network::Devnet), Severity::Fine);
    }

    #[test]
    fn what_waits_and_what_was_found_is_said() {
        let worst = |work: &Work| {
            let mut findings = Vec::new();
            waits(work, &mut findings);
            proofs(work, &mut findings);
            findings.iter().map(|f| f.severity).max().unwrap()
        };
        assert_eq!(worst(&work()), Severity::Fine);
        let late = Work {
            detached: 1,
            detached_seconds: Some(10),
            ..work()
        };
        assert_eq!(worst(&late), Severity::Fine, "a block may be late");
        for bad in [
            Work {
                received: 1_001,
                ..work()
            },
            Work {
                quarantined: 1,
                ..work()
            },
            Work {
                detached: 1,
                detached_seconds: Some(601),
                ..work()
            },
            Work {
                given_up: 1,
                ..work()
            },
            Work {
                disagreements: 1,
                ..work()
            },
        ] {
            assert_eq!(worst(&bad), Severity::Warning, "{bad:?}");
        }
        assert_eq!(
            worst(&Work {
                unproved: 1,
                ..work()
            }),
            Severity::Fault
        );
        assert_eq!(
            worst(&Work {
                audited_otherwise: 1,
                ..work()
            }),
            Severity::Fault
        );
    }
}
