//! How good the evidence is, height by height: intervals of the canonical chain with the best that is known of each.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::store::evidence::Evidence;

/// Canonical heights with the same best evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct CoverageView {
    /// Lowest height.
    from_height: u32,
    /// Highest height, included.
    to_height: u32,
    /// `ingested`: the block is here. `hash_linked`: it names the block below. `cursor_proved`: by the
    /// contracts' own cursors no event up to here is missing or altered. `replay_audited`: a node executed the
    /// block again and the same came out. `state_reconciled`: the contracts' own state at this block, as far as
    /// it was asked for, is the mirror's.
    evidence: Evidence,
    /// When a node was asked, RFC 3339; the first time of several. Null where none was.
    checked_at: Option<String>,
}

/// What is known of one height.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Point {
    pub height: u32,
    pub evidence: Evidence,
    pub checked_at: String,
}

/// Intervals from the origin to a height, lowest first. `proved` is the height up to which every contract was proved,
/// and when.
pub(super) fn coverage(
    origin: (u32, bool),
    to: u32,
    proved: Option<(u32, String)>,
    points: Vec<Point>,
) -> Vec<CoverageView> {
    let (origin, is_genesis) = origin;
    let mut best: BTreeMap<u32, (Evidence, String)> = BTreeMap::new();
    for point in points {
        if !(origin..=to).contains(&point.height) {
            continue;
        }
        let new = (point.evidence, point.checked_at);
        match best.get(&point.height) {
            Some((known, _)) if *known >= new.0 => {}
            _ => {
                best.insert(point.height, new);
            }
        }
    }
    let ground = |height: u32| match &proved {
        Some((up_to, at)) if height <= *up_to => (Evidence::CursorProved, Some(at.clone())),
        _ if height == origin && !is_genesis => (Evidence::Ingested, None),
        _ => (Evidence::HashLinked, None),
    };
    // Evidence changes only at these heights.
    let mut edges: Vec<u32> = vec![origin, origin.saturating_add(1)];
    edges.extend(proved.as_ref().map(|(up_to, _)| up_to.saturating_add(1)));
    edges.extend(best.keys().flat_map(|h| [*h, h.saturating_add(1)]));
    edges.retain(|edge| (origin..=to).contains(edge));
    edges.sort_unstable();
    edges.dedup();
    let mut intervals: Vec<CoverageView> = Vec::new();
    for (place, from) in edges.iter().enumerate() {
        let end = edges.get(place + 1).map_or(to, |next| next - 1);
        let (evidence, checked_at) = match best.get(from) {
            Some((evidence, at)) if *evidence > ground(*from).0 => (*evidence, Some(at.clone())),
            _ => ground(*from),
        };
        match intervals.last_mut() {
            Some(last) if last.evidence == evidence => {
                last.to_height = end;
                // The form sorts by time.
                last.checked_at = last.checked_at.take().min(checked_at);
            }
            _ => intervals.push(CoverageView {
                from_height: *from,
                to_height: end,
                evidence,
                checked_at,
            }),
        }
    }
    intervals
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(height: u32, evidence: Evidence, at: &str) -> Point {
        Point {
            height,
            evidence,
            checked_at: at.to_owned(),
        }
    }

    fn told(intervals: &[CoverageView]) -> Vec<(u32, u32, &str, Option<&str>)> {
        intervals
            .iter()
            .map(|i| {
                let at = i.checked_at.as_deref();
                (i.from_height, i.to_height, i.evidence.as_str(), at)
            })
            .collect()
    }

    #[test]
    fn without_a_node_blocks_are_linked_from_the_origin_on() {
        let late = coverage((5, false), 9, None, Vec::new());
        assert_eq!(
            told(&late),
            [(5, 5, "ingested", None), (6, 9, "hash_linked", None)]
        );
        let whole = coverage((0, true), 9, None, Vec::new());
        assert_eq!(told(&whole), [(0, 9, "hash_linked", None)]);
        let single = coverage((0, true), 0, None, Vec::new());
        assert_eq!(told(&single), [(0, 0, "hash_linked", None)]);
    }

    #[test]
    fn the_best_of_a_height_wins_and_neighbours_join() {
        let points = vec![
            point(3, Evidence::ReplayAudited, "t4"),
            point(4, Evidence::ReplayAudited, "t3"),
            point(4, Evidence::CursorProved, "t9"),
            point(7, Evidence::StateReconciled, "t5"),
            point(7, Evidence::ReplayAudited, "t6"),
            point(99, Evidence::ReplayAudited, "t7"),
        ];
        let intervals = coverage((0, true), 9, Some((7, "t1".into())), points);
        assert_eq!(
            told(&intervals),
            [
                (0, 2, "cursor_proved", Some("t1")),
                (3, 4, "replay_audited", Some("t3")),
                (5, 6, "cursor_proved", Some("t1")),
                (7, 7, "state_reconciled", Some("t5")),
                (8, 9, "hash_linked", None),
            ]
        );
    }
}
