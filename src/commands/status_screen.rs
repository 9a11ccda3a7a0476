//! A mirror's status on one screen, and on one line.

use std::fmt::Write as _;

use serde_json::Value;
use stxworx_indexer::store::doctor::Work;

/// Names listed on a line at most.
const NAMES: usize = 3;

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value
        .pointer(path)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn number(value: &Value, path: &str) -> u64 {
    value
        .pointer(path)
        .and_then(Value::as_u64)
        .unwrap_or_default()
}

/// An age as people say it.
fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A hash, cut.
fn short(hash: &str) -> &str {
    hash.get(..18).unwrap_or(hash)
}

/// The names of a list, the first few.
fn names(of: &Value) -> String {
    let all: Vec<&str> = of
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let more = all.len().saturating_sub(NAMES);
    let mut list = all[..all.len().min(NAMES)].join(", ");
    if more > 0 {
        let _ = write!(list, " and {more} more");
    }
    list
}

/// One line: what changes from look to look.
pub(super) fn line(status: &Value) -> String {
    let tip = status
        .pointer("/as_of/height")
        .map_or("-".to_owned(), Value::to_string);
    format!(
        "height {tip}  final {}  Bitcoin {}  reorgs {}  waiting {}  detached {}  quarantined {}  {}",
        number(status, "/as_of/finality_height"),
        number(status, "/as_of/burn_height"),
        number(status, "/as_of/generation"),
        number(status, "/data/inbox/received"),
        number(status, "/data/inbox/detached"),
        number(status, "/data/inbox/quarantined"),
        text(status, "/data/sync/state"),
    )
}

/// A screen for a person.
pub(super) fn screen(status: &Value, completeness: Option<&Value>, work: Option<&Work>) -> String {
    let mut out = String::new();
    let mut put = |name: &str, line: String| {
        let _ = writeln!(out, "{name:<11} {line}");
    };
    let follow = &status["data"]["follow"];
    let contracts = names(&follow["contracts"]);
    put(
        "stxworx",
        format!(
            "{} on {}, mirrors {}{}",
            text(status, "/data/version"),
            text(status, "/data/network"),
            text(follow, "/mirror"),
            if contracts.is_empty() {
                String::new()
            } else {
                format!(": {contracts}")
            }
        ),
    );
    position(status, work, &mut put);
    filling(status, work, &mut put);
    if let Some(reorg) = status["data"]["last_reorg"].as_object() {
        let reorg = Value::Object(reorg.clone());
        put(
            "last reorg",
            format!(
                "{} blocks down to height {}, by {}{}",
                number(&reorg, "/depth"),
                number(&reorg, "/common_ancestor/height"),
                text(&reorg, "/cause"),
                if reorg["left_final"] == true {
                    "; A FINAL BLOCK WAS LEFT"
                } else {
                    ""
                }
            ),
        );
    }
    if let Some(complete) = completeness {
        put("complete", proofs(&complete["data"]));
    }
    if let Some(work) = work {
        put("books", format!("{} lines are not booked", work.unbooked));
        let breaks = match work.reconciled_seconds.and_then(|s| u64::try_from(s).ok()) {
            Some(seconds) => format!("{} open breaks; compared {} ago", work.breaks, age(seconds)),
            None => "never compared".to_owned(),
        };
        put("platform", breaks);
    }
    out.push_str(&troubles(status, work));
    out
}

fn position(status: &Value, work: Option<&Work>, put: &mut impl FnMut(&str, String)) {
    let Some(as_of) = status["as_of"].as_object() else {
        put("tip", "none: the mirror is empty".to_owned());
        return;
    };
    let as_of = Value::Object(as_of.clone());
    let since = work.and_then(|w| w.tip_age_seconds);
    let since = since.and_then(|s| u64::try_from(s).ok());
    put(
        "tip",
        format!(
            "height {}, block {}{}, Bitcoin {}",
            number(&as_of, "/height"),
            short(text(&as_of, "/index_block_hash")),
            since.map_or(String::new(), |s| format!(", {} old", age(s))),
            number(&as_of, "/burn_height"),
        ),
    );
    let count = number(status, "/data/finality_burn_blocks");
    let final_to = as_of["finality_height"]
        .as_u64()
        .map_or("nothing yet".to_owned(), |height| {
            format!("up to height {height}")
        });
    put("final", format!("{final_to}, after {count} Bitcoin blocks"));
    put("digest", text(&as_of, "/digest").to_owned());
}

fn filling(status: &Value, work: Option<&Work>, put: &mut impl FnMut(&str, String)) {
    let silent = work.and_then(|w| w.silent_seconds);
    let silent = silent.and_then(|s| u64::try_from(s).ok());
    put(
        "inbox",
        format!(
            "{} waiting, {} detached, {} quarantined, processed {} of {}{}",
            number(status, "/data/inbox/received"),
            number(status, "/data/inbox/detached"),
            number(status, "/data/inbox/quarantined"),
            number(status, "/data/inbox/watermark"),
            number(status, "/data/inbox/last"),
            silent.map_or(String::new(), |s| format!(
                "; the last one came {} ago",
                age(s)
            )),
        ),
    );
    let sync = &status["data"]["sync"];
    let writer = match sync["lease"].as_object() {
        None => "nobody ever wrote".to_owned(),
        Some(_) => {
            let (holder, epoch) = (text(sync, "/lease/holder"), number(sync, "/lease/epoch"));
            if sync["lease"]["held"] == true {
                let ago = number(sync, "/lease/renewed_ms_ago");
                format!("{holder}, epoch {epoch}, renewed {ago} ms ago")
            } else {
                format!("NOBODY; the last one was {holder}, epoch {epoch}")
            }
        }
    };
    put("writer", writer);
    put(
        "filled by",
        format!(
            "{}, {} gaps, {} given up",
            text(sync, "/state"),
            number(sync, "/gaps"),
            number(sync, "/gaps_given_up"),
        ),
    );
    for job in sync["backfills"].as_array().into_iter().flatten() {
        put(
            "backfill",
            format!(
                "{} from {}, {} at {}",
                number(job, "/from"),
                text(job, "/source"),
                text(job, "/state"),
                number(job, "/next"),
            ),
        );
    }
    let reorgs = number(status, "/as_of/generation");
    put("reorgs", reorgs.to_string());
}

fn proofs(complete: &Value) -> String {
    let contracts = complete["contracts"].as_array();
    let of = contracts.map_or(0, Vec::len);
    let proved = contracts.into_iter().flatten();
    let proved = proved.filter(|c| c["proof"]["verdict"] == "proved").count();
    if of == 0 {
        return "nothing to prove yet: no contract of ours has printed".to_owned();
    }
    let says = match (complete["complete"] == true, complete["proved"] == true) {
        (true, true) => "no event is missing, proved at a node",
        (true, false) => "no event is missing as far as the mirror can tell",
        (false, _) => "AN EVENT IS MISSING",
    };
    format!("{says}; {proved} of {of} contracts proved")
}

/// What somebody should look at; nothing where all is well.
fn troubles(status: &Value, work: Option<&Work>) -> String {
    let mut out = String::new();
    for row in status["data"]["quarantined"]
        .as_array()
        .into_iter()
        .flatten()
        .take(NAMES)
    {
        let (id, path) = (number(row, "/inbox_id"), text(row, "/endpoint"));
        let _ = writeln!(
            out,
            "! payload {id} ({path}) cannot be read: {}",
            text(row, "/error")
        );
    }
    for row in status["data"]["detached"]
        .as_array()
        .into_iter()
        .flatten()
        .take(NAMES)
    {
        let (block, parent) = (text(row, "/index_block_hash"), text(row, "/missing_parent"));
        let _ = writeln!(out, "! block {} waits for {}", short(block), short(parent));
    }
    let disagreements = number(status, "/data/sync/disagreements");
    if disagreements > 0 {
        let _ = writeln!(out, "! sources told {disagreements} blocks differently");
    }
    if let Some(error) = work.and_then(|w| w.reconcile_error.as_ref()) {
        let _ = writeln!(out, "! the last reconciliation failed: {error}");
    }
    if let Some(work) = work.filter(|w| w.unproved + w.audited_otherwise > 0) {
        let (cursors, states) = (work.unproved, work.audited_otherwise);
        let _ = writeln!(
            out,
            "! a node tells {cursors} cursors and {states} states otherwise"
        );
    }
    if !out.is_empty() {
        out.push_str("  `stxworx doctor` says more, and what to do\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status() -> Value {
        json!({
            "as_of": {
                "index_block_hash": "0x6b476a7e0182a8a0aca4752cccb64dd6449ba4f0f510c0426cb06b8c547bc0d4",
                "height": 60, "burn_height": 140, "finality_height": 31, "generation": 2, "digest": "0x4c99eb",
            },
            "data": {
                "version": "0.1.0", "network": "devnet", "finality_burn_blocks": 153,
                "follow": { "mirror": "followed", "contracts": ["a", "b", "c", "d", "e"] },
                "inbox": { "received": 1, "detached": 2, "quarantined": 3, "watermark": 7, "last": 8 },
                "quarantined": [{ "inbox_id": 4, "endpoint": "new_block", "error": "no JSON" }],
                "detached": [], "last_reorg": null,
                "sync": { "state": "following", "gaps": 0, "gaps_given_up": 0, "backfills": [], "disagreements": 0,
                    "lease": { "holder": "h:1:2.0", "epoch": 5, "renewed_ms_ago": 400, "held": true } },
            },
        })
    }

    #[test]
    fn a_screen_has_a_line_for_each_thing_and_what_is_wrong_below() {
        let complete = json!({"data": {"complete": true, "proved": true, "contracts": [{"proof": {"verdict": "proved"}}]}});
        let text = screen(&status(), Some(&complete), None);
        assert_eq!(
            text,
            "stxworx     0.1.0 on devnet, mirrors followed: a, b, c and 2 more\n\
             tip         height 60, block 0x6b476a7e0182a8a0, Bitcoin 140\n\
             final       up to height 31, after 153 Bitcoin blocks\n\
             digest      0x4c99eb\n\
             inbox       1 waiting, 2 detached, 3 quarantined, processed 7 of 8\n\
             writer      h:1:2.0, epoch 5, renewed 400 ms ago\n\
             filled by   following, 0 gaps, 0 given up\n\
             reorgs      2\n\
             complete    no event is missing, proved at a node; 1 of 1 contracts proved\n\
             ! payload 4 (new_block) cannot be read: no JSON\n\
             \x20 `stxworx doctor` says more, and what to do\n"
        );
    }

    #[test]
    fn an_empty_mirror_and_a_writer_that_left_are_said() {
        let mut status = status();
        status["as_of"] = Value::Null;
        status["data"]["sync"]["lease"]["held"] = json!(false);
        status["data"]["quarantined"] = json!([]);
        let text = screen(&status, None, None);
        assert!(
            text.contains("tip         none: the mirror is empty\n"),
            "{text}"
        );
        assert!(
            text.contains("writer      NOBODY; the last one was h:1:2.0"),
            "{text}"
        );
        assert!(!text.contains('!'), "{text}");
        assert!(
            line(&status).starts_with("height -  final 0  Bitcoin 0"),
            "{}",
            line(&status)
        );
    }

    #[test]
    fn ages_are_said_as_people_do() {
        let said = [5, 119, 121, 7_199, 7_300, 200_000].map(age);
        assert_eq!(said, ["5 s", "119 s", "2 min", "119 min", "2 h", "2 days"]);
    }
}
