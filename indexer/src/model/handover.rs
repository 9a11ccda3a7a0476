//! From history to the tip: one state, derived from what is stored, so that every process sees the same.

/// What is known about how the mirror is being filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// The next height of a backfill that is under way.
    pub backfilling_at: Option<u32>,
    /// Is a backfill stored whole, and not yet seen to connect?
    pub overlapping: bool,
    /// Blocks that others wait for, above the mirror's origin.
    pub gaps: u32,
    /// Those of them that were given up for now.
    pub given_up: u32,
    /// Those of them for which a source was asked.
    pub asked_for: u32,
    /// Does the mirror hold a block?
    pub has_tip: bool,
}

/// How the mirror is being filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandOver {
    /// Nothing has come yet.
    Idle,
    /// History is being stored, upwards.
    Backfilling {
        /// The next height.
        next: u32,
    },
    /// History is stored; the mirror has still to reach its end.
    Overlapping,
    /// At the tip, as far as anybody has told.
    Following,
    /// A block is missing, and nobody is asked for it: it may still arrive, or every source failed.
    Gap,
    /// A block is missing, and is being fetched.
    Repairing,
}

impl HandOver {
    /// Every name.
    pub const NAMES: [&'static str; 6] = [
        "idle",
        "backfilling",
        "overlapping",
        "following",
        "gap",
        "repairing",
    ];

    /// Name in metrics and in the API.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Backfilling { .. } => "backfilling",
            Self::Overlapping => "overlapping",
            Self::Following => "following",
            Self::Gap => "gap",
            Self::Repairing => "repairing",
        }
    }

    /// The state that these facts amount to. A backfill comes first: while it runs, waiting blocks are what it is for.
    pub fn of(facts: &Facts) -> Self {
        if let Some(next) = facts.backfilling_at {
            return Self::Backfilling { next };
        }
        if facts.gaps > 0 {
            return if facts.asked_for > facts.given_up {
                Self::Repairing
            } else {
                Self::Gap
            };
        }
        if facts.overlapping {
            return Self::Overlapping;
        }
        if facts.has_tip {
            Self::Following
        } else {
            Self::Idle
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_goes_through_every_state() {
        let mut facts = Facts::default();
        let mut seen = vec![HandOver::of(&facts)];
        facts.backfilling_at = Some(7);
        seen.push(HandOver::of(&facts));
        facts.backfilling_at = None;
        facts.overlapping = true;
        seen.push(HandOver::of(&facts));
        facts.overlapping = false;
        facts.has_tip = true;
        seen.push(HandOver::of(&facts));
        facts.gaps = 1;
        seen.push(HandOver::of(&facts));
        facts.asked_for = 1;
        seen.push(HandOver::of(&facts));
        let names: Vec<_> = seen.iter().map(HandOver::as_str).collect();
        assert_eq!(names, HandOver::NAMES);
        facts.given_up = 1;
        assert_eq!(
            HandOver::of(&facts),
            HandOver::Gap,
            "given up is not being repaired"
        );
    }
}
