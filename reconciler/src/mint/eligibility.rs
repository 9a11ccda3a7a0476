//! Who earned what, by the contract's own rule, from final facts alone.

use serde::Serialize;
use serde_json::json;

use super::policy::Policy;
use super::ports::Known;
use super::types::{AwardKey, Evidence, IntentState, Kind, Person, Tip};
use crate::evidence::{self, NotCanonical};

/// Something that a kind asks for and a user lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "missing")]
pub enum Missing {
    /// Completed projects.
    Projects {
        /// So many are asked for.
        needed: u64,
        /// So many are there.
        have: u64,
    },
    /// A rating: there is none.
    Ratings,
    /// An average rating, times 100.
    Rating {
        /// So much is asked for.
        needed: u64,
        /// So much is there, rounded down.
        have: u64,
    },
    /// An attested X account that holds at the last final Bitcoin height and at the newest one.
    X,
}

/// What `earned?` of the contract would say at the last final block, and whether the X account still holds at the tip.
pub fn missing(person: &Person, kind: &Kind, tip: &Tip) -> Vec<Missing> {
    let mut missing = Vec::new();
    if person.completed < kind.projects {
        missing.push(Missing::Projects {
            needed: kind.projects,
            have: person.completed,
        });
    }
    if kind.rating > 0 {
        let (sum, count) = (
            u128::from(person.rating_sum) * 100,
            u128::from(person.rating_count),
        );
        if count == 0 {
            missing.push(Missing::Ratings);
        } else if sum < u128::from(kind.rating) * count {
            missing.push(Missing::Rating {
                needed: kind.rating,
                have: u64::try_from(sum / count).unwrap_or(u64::MAX),
            });
        }
    }
    if kind.needs_x {
        let asked = u64::from(tip.burn_height.max(tip.final_burn_height));
        if person.x_expires.is_none_or(|expires| expires < asked) {
            missing.push(Missing::X);
        }
    }
    missing
}

/// The final facts on which an award rests.
///
/// # Errors
/// Never for what is made here: all numbers are whole.
pub fn evidence(person: &Person, kind: &Kind, tip: &Tip) -> Result<Evidence, NotCanonical> {
    let body = json!({
        "v": 1,
        "final_height": tip.final_height,
        "final_burn_height": tip.final_burn_height,
        "kind": kind,
        "user": {
            "user": person.user,
            "completed": person.completed,
            "rating_sum": person.rating_sum,
            "rating_count": person.rating_count,
            "x_expires": person.x_expires,
        },
        "facts": [
            { "what": "deeds", "block": person.changed_block.to_string(), "height": person.changed_height,
              "txid": person.changed_txid.map(|t| t.to_string()) },
            { "what": "kind", "height": kind.changed_height },
        ],
    });
    Ok(Evidence {
        json: evidence::canonical(&body)?,
        hash: evidence::hash(&body)?,
    })
}

/// Where a user stands with a kind, for the report that changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "standing")]
pub enum Standing {
    /// Would be minted now.
    Would,
    /// Would be, but this kind is not minted by itself.
    LeftOut,
    /// There is an intent already.
    Known {
        /// Where it stands.
        state: IntentState,
    },
    /// The user has it.
    Held {
        /// The token.
        id: u64,
    },
    /// It was revoked or moved away: the contract never gives it to this user again.
    Barred,
    /// Not earned.
    Not {
        /// What is missing.
        missing: Vec<Missing>,
    },
}

/// Where a user stands with a kind.
pub fn standing(
    person: &Person,
    kind: &Kind,
    tip: &Tip,
    known: Option<&Known>,
    policy: &Policy,
) -> Standing {
    if let Some(known) = known {
        return Standing::Known { state: known.state };
    }
    let mut badges = person.badges.iter().filter(|b| b.kind == kind.kind);
    if let Some(badge) = badges.clone().find(|b| !b.gone) {
        return Standing::Held { id: badge.id };
    }
    if badges.next().is_some() {
        return Standing::Barred;
    }
    let missing = missing(person, kind, tip);
    match (missing.is_empty(), policy.mints(kind.kind)) {
        (false, _) => Standing::Not { missing },
        (true, false) => Standing::LeftOut,
        (true, true) => Standing::Would,
    }
}

/// A line of the report: who would get what, and why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportLine {
    /// Who.
    pub user: String,
    /// Which kind.
    pub kind: u64,
    /// Its name.
    pub name: String,
    /// Where they stand.
    #[serde(flatten)]
    pub standing: Standing,
}

/// Who would get what, and why not: every user with every kind, in order.
pub fn report(
    people: &[Person],
    kinds: &[Kind],
    tip: &Tip,
    known: &[Known],
    policy: &Policy,
) -> Vec<ReportLine> {
    let mut lines = Vec::new();
    for person in people {
        for kind in kinds {
            lines.push(ReportLine {
                user: person.user.clone(),
                kind: kind.kind,
                name: kind.name.clone(),
                standing: standing(
                    person,
                    kind,
                    tip,
                    known_of(known, &person.user, kind.kind),
                    policy,
                ),
            });
        }
    }
    lines
}

/// The award of a user and kind, if there is one.
pub fn known_of<'a>(known: &'a [Known], user: &str, kind: u64) -> Option<&'a Known> {
    let of = known
        .iter()
        .filter(|k| k.award.recipient == user && k.award.kind == kind);
    of.max_by_key(|k| k.award.seq)
}

/// The first award of a user and kind. A later one would need a revoke that does not bar the owner, which the contract
/// does not have.
pub fn award(contract: &str, user: &str, kind: u64) -> AwardKey {
    AwardKey {
        contract: contract.to_owned(),
        recipient: user.to_owned(),
        kind,
        seq: 1,
    }
}

#[cfg(test)]
mod tests {
    use stxworx_indexer::model::{IndexBlockHash, TxId};

    use super::super::types::Held;
    use super::*;

    fn tip(burn_height: u32) -> Tip {
        Tip {
            block: IndexBlockHash::ZERO,
            height: 50,
            burn_height,
            final_height: Some(40),
            final_burn_height: burn_height - 6,
        }
    }

    fn person() -> Person {
        Person {
            user: "STX".to_owned(),
            completed: 25,
            rating_sum: 45,
            rating_count: 10,
            x_expires: Some(120),
            changed_height: 39,
            changed_block: IndexBlockHash::ZERO,
            changed_txid: Some(TxId::ZERO),
            badges: Vec::new(),
        }
    }

    fn silver() -> Kind {
        Kind {
            kind: 2,
            name: "silver".to_owned(),
            projects: 25,
            rating: 450,
            needs_x: true,
            changed_height: 1,
        }
    }

    #[test]
    fn each_condition_counts_at_its_very_edge() {
        assert_eq!(missing(&person(), &silver(), &tip(120)), []);
        assert_eq!(missing(&person(), &silver(), &tip(121)), [Missing::X]);
        let mut less = person();
        less.completed = 24;
        less.rating_sum = 44;
        less.x_expires = None;
        assert_eq!(
            missing(&less, &silver(), &tip(120)),
            [
                Missing::Projects {
                    needed: 25,
                    have: 24
                },
                Missing::Rating {
                    needed: 450,
                    have: 440
                },
                Missing::X
            ]
        );
        less.rating_count = 0;
        assert!(missing(&less, &silver(), &tip(120)).contains(&Missing::Ratings));
        // A kind that asks for nothing is earned by everybody.
        let free = Kind {
            projects: 0,
            rating: 0,
            needs_x: false,
            ..silver()
        };
        assert_eq!(missing(&less, &free, &tip(120)), []);
    }

    #[test]
    fn the_evidence_changes_with_each_fact_and_with_nothing_else() {
        let first = evidence(&person(), &silver(), &tip(120)).unwrap();
        assert_eq!(first, evidence(&person(), &silver(), &tip(120)).unwrap());
        let mut other = person();
        other.completed += 1;
        assert_ne!(
            first.hash,
            evidence(&other, &silver(), &tip(120)).unwrap().hash
        );
        assert!(first.json.starts_with("{\"facts\":["));
    }

    #[test]
    fn the_report_says_who_would_get_what_and_why_not() {
        let policy = Policy::careful("T");
        let mut held = person();
        held.user = "STY".to_owned();
        held.badges.push(Held {
            kind: 2,
            id: 9,
            minted: None,
            minted_height: 3,
            gone: false,
        });
        let mut barred = held.clone();
        barred.user = "STZ".to_owned();
        barred.badges[0].gone = true;
        let mut poor = person();
        poor.user = "STW".to_owned();
        poor.completed = 1;
        let known = [Known {
            award: award("C", "STV", 2),
            state: IntentState::Review,
            intent: 4,
        }];
        let mut waiting = person();
        waiting.user = "STV".to_owned();
        let people = [person(), held, barred, poor, waiting];
        let lines = report(&people, &[silver()], &tip(120), &known, &policy);
        let standings: Vec<_> = lines.into_iter().map(|l| l.standing).collect();
        assert_eq!(
            standings,
            [
                Standing::Would,
                Standing::Held { id: 9 },
                Standing::Barred,
                Standing::Not {
                    missing: vec![Missing::Projects {
                        needed: 25,
                        have: 1
                    }]
                },
                Standing::Known {
                    state: IntentState::Review
                },
            ]
        );
        let mut some = policy;
        some.kinds = vec![1];
        assert_eq!(
            standing(&person(), &silver(), &tip(120), None, &some),
            Standing::LeftOut
        );
    }
}
