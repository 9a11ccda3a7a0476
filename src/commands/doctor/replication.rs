//! Replicas of the database, and slots for them.

use stxworx_indexer::store::Pool;
use stxworx_indexer::store::doctor::{self, Replication};

use super::database::failed;
use super::finding::Finding;

/// How far a replica may be behind, in bytes and seconds.
const BEHIND: (i64, i64) = (64 << 20, 30);
/// Replicas, slots, and this server as a replica.
pub(super) async fn replication(pool: Pool) -> Vec<Finding> {
    const CHECK: &str = "database.replication";
    match doctor::replication(&pool).await {
        Err(error) => vec![failed(CHECK, &error)],
        Ok(none) if none.is_empty() => vec![Finding::skipped(CHECK, "no replica, no slot")],
        Ok(all) => all.iter().map(replica).collect(),
    }
}

fn replica(it: &Replication) -> Finding {
    const CHECK: &str = "database.replication";
    let behind = it.bytes.unwrap_or(0) > BEHIND.0 || it.seconds.unwrap_or(0) > BEHIND.1;
    let gone = ["inactive", "disconnected"].contains(&it.state.as_str());
    let bytes = it
        .bytes
        .map_or("an unknown part".to_owned(), |b| format!("{} MiB", b >> 20));
    let seconds = it.seconds.map_or(String::new(), |s| format!(", {s} s"));
    let says = format!(
        "{} {}: {}, behind by {bytes}{seconds}",
        it.kind, it.name, it.state
    );
    match it.kind.as_str() {
        "slot" if gone => Finding::warning(CHECK, says)
            .why("the log is kept for it until the disk is full")
            .remedy(format!(
                "bring its replica back, or select pg_drop_replication_slot('{}')",
                it.name
            ))
            .see("docs/deploy.md#replicas"),
        _ if gone || behind => Finding::warning(CHECK, says)
            .why("whoever reads from it reads an older mirror; `as_of` of each answer says which")
            .remedy("look at the replica's log and disk, and at the network between")
            .see("docs/deploy.md#replicas"),
        _ => Finding::fine(CHECK, says),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;

    #[test]
    fn replicas_and_slots_are_judged_by_what_they_are() {
        let of = |kind: &str, state: &str, bytes, seconds| {
            let it = Replication {
                kind: kind.to_owned(),
                name: "x".to_owned(),
                state: state.to_owned(),
                bytes,
                seconds,
            };
            replica(&it).severity
        };
        assert_eq!(of("replica", "streaming", Some(1), Some(0)), Severity::Fine);
        assert_eq!(
            of("replica", "streaming", Some(100 << 20), None),
            Severity::Warning
        );
        assert_eq!(of("slot", "active", Some(0), None), Severity::Fine);
        assert_eq!(of("slot", "inactive", Some(0), None), Severity::Warning);
        assert_eq!(of("self", "disconnected", None, None), Severity::Warning);
        assert_eq!(
            of("self", "streaming", Some(0), Some(31)),
            Severity::Warning
        );
    }
}
