//! What the backend believes of what it heard, and how it errs. Pure: seed and state decide.

use stxworx_clarity::rng::SeededRng;
use stxworx_indexer::project::market::projects::{Milestone, MilestoneStatus};
use stxworx_indexer::store::read::market::{BadgeState, ProfileState, ProjectState, ProjectStatus};

/// The largest value of a column of type `integer`.
const INT4: u128 = 2_147_483_647;

/// How a row of a project comes about. Each but the first is an error that platforms were seen to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Persona {
    /// As it should be.
    Right,
    /// Amounts went through a column of type `integer`, or through whole coins.
    Overflow,
    /// The form was sent twice: two rows point to one project.
    TwiceLinked,
    /// What ended otherwise than by payment is never heard of.
    EndMissed,
    /// A payment is noted when the client says that it was sent.
    ClaimedEarly,
    /// Anybody may set the number, and somebody set another.
    WrongLink,
    /// The browser was closed before the number was sent.
    Orphan,
    /// An address was typed by hand.
    BadPrincipal,
    /// Four milestones are waited for where there are fewer.
    NeverCompleted,
}

impl Persona {
    /// The one of a project.
    pub fn of(seed: u64, project: u64) -> Self {
        let mut rng = SeededRng::new(seed ^ project.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        match rng.below(100) {
            0..60 => Self::Right,
            60..65 => Self::Overflow,
            65..70 => Self::TwiceLinked,
            70..78 => Self::EndMissed,
            78..85 => Self::ClaimedEarly,
            85..88 => Self::WrongLink,
            88..92 => Self::Orphan,
            92..96 => Self::BadPrincipal,
            _ => Self::NeverCompleted,
        }
    }
}

/// A project's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectRow {
    /// Which of the project's rows.
    pub copy: u8,
    /// Its number at the contract.
    pub on_chain_id: Option<i32>,
    /// The transaction.
    pub tx_id: Option<String>,
    /// Who pays.
    pub client: String,
    /// Who works.
    pub freelancer: String,
    /// Base units.
    pub total: String,
    /// `STX` or `sBTC`.
    pub token: String,
    /// One word.
    pub status: &'static str,
    /// Amount, funded, complete, released.
    pub milestones: [Option<(String, bool, bool, bool)>; 4],
}

fn word(state: &ProjectState) -> &'static str {
    let any = |status| state.milestones.iter().any(|m| m.status == status);
    match state.status {
        ProjectStatus::Open => "ACTIVE",
        ProjectStatus::Active if any(MilestoneStatus::Disputed) => "DISPUTED",
        ProjectStatus::Active if any(MilestoneStatus::Submitted) => "UNDER_REVIEW",
        ProjectStatus::Active => "ACTIVE",
        ProjectStatus::Completed => "COMPLETED",
        ProjectStatus::Refunded => "REFUNDED",
        ProjectStatus::Settled => "SETTLED",
        ProjectStatus::Cancelled => "CANCELLED",
    }
}

fn milestone(it: &Milestone) -> (String, bool, bool, bool) {
    use MilestoneStatus as M;
    let complete = matches!(it.status, M::Submitted | M::Disputed | M::Released);
    (
        it.amount.to_string(),
        true,
        complete,
        it.status == M::Released,
    )
}

/// Through a column that is too narrow; what fits it, in whole coins.
fn narrow(units: u128) -> String {
    if units > INT4 {
        INT4.to_string()
    } else {
        (units / 1_000_000).to_string()
    }
}

/// The rows of a project: none, one or two.
pub fn of_project(persona: Persona, state: &ProjectState) -> Vec<ProjectRow> {
    let mut milestones = [const { None }; 4];
    for (place, it) in milestones.iter_mut().zip(&state.milestones) {
        *place = Some(milestone(it));
    }
    let is_stx = state.asset == "STX";
    let right = ProjectRow {
        copy: 0,
        on_chain_id: i32::try_from(state.id).ok(),
        tx_id: state.opened.map(|id| id.to_string()),
        client: state.client.clone(),
        freelancer: state.freelancer.clone(),
        total: state.total.to_string(),
        token: if is_stx { "STX" } else { "sBTC" }.to_owned(),
        status: word(state),
        milestones,
    };
    let mut row = right.clone();
    match persona {
        Persona::Right => {}
        Persona::Overflow => {
            row.total = narrow(state.total.0);
            for (place, it) in row.milestones.iter_mut().zip(&state.milestones) {
                if let Some((amount, ..)) = place {
                    *amount = narrow(it.amount.0);
                }
            }
        }
        Persona::TwiceLinked => return vec![right.clone(), ProjectRow { copy: 1, ..right }],
        Persona::EndMissed => {
            use ProjectStatus as S;
            if matches!(state.status, S::Refunded | S::Settled | S::Cancelled) {
                row.status = "ACTIVE";
            }
        }
        Persona::ClaimedEarly => {
            let next = row.milestones.iter_mut().flatten().find(|m| !m.3);
            if let Some(next) = next {
                (next.2, next.3) = (true, true);
            }
        }
        Persona::WrongLink => {
            row.on_chain_id = row.on_chain_id.map(|id| id.saturating_add(1_000_000))
        }
        Persona::Orphan => return Vec::new(),
        Persona::BadPrincipal => {
            // The last letter belongs to the checksum.
            let last = if row.client.ends_with('0') { '1' } else { '0' };
            row.client.pop();
            row.client.push(last);
        }
        Persona::NeverCompleted => {
            if state.status == ProjectStatus::Completed && state.milestones.len() < 4 {
                row.status = "ACTIVE";
            }
        }
    }
    vec![row]
}

/// A badge's row: whose, which kind, which token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadgeRow {
    /// The principal.
    pub user: String,
    /// The kind's number at the contract.
    pub kind: u64,
    /// The token's number, or what was made up for it.
    pub token: i64,
}

/// Names of kinds, as the platform writes them.
pub fn kind_name(kind: u64) -> String {
    match kind {
        1 => "bronze".to_owned(),
        2 => "silver".to_owned(),
        3 => "gold".to_owned(),
        4 => "platinum".to_owned(),
        5 => "verified".to_owned(),
        other => other.to_string(),
    }
}

/// The rows of a live badge. Every fifth has the milliseconds of a clock in place of its number, every seventh is shown
/// twice.
pub fn of_badge(seed: u64, badge: &BadgeState) -> Vec<BadgeRow> {
    let Some(user) = &badge.owner else {
        return Vec::new();
    };
    let mut rng = SeededRng::new(seed ^ badge.id.wrapping_mul(0xd134_2543_de82_ef95));
    let made_up = rng.below(5) == 0;
    let token = if made_up {
        1_760_000_000_000
    } else {
        i64::try_from(badge.id).unwrap_or(i64::MAX)
    };
    let row = BadgeRow {
        user: user.clone(),
        kind: badge.kind,
        token,
    };
    if rng.below(7) == 0 {
        vec![row.clone(), row]
    } else {
        vec![row]
    }
}

/// The X account that a user says is theirs: no two users have one.
pub fn handle_of(user: &str) -> String {
    let end: String = user.chars().rev().take(12).collect();
    format!("x_{}", end.to_lowercase())
}

/// A fee, as the backend notes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeeRow {
    /// Of which milestone.
    pub m: u64,
    /// Base units.
    pub amount: String,
    /// The transaction.
    pub tx_id: String,
}

/// The fees that a project paid. Of every ninth project they are forgotten, and of another ninth a unit too many is noted.
pub fn of_fees(seed: u64, state: &ProjectState) -> Vec<FeeRow> {
    let mut rng = SeededRng::new(seed ^ state.id.wrapping_mul(0xa076_1d64_78bd_642f));
    let way = rng.below(9);
    let paid = state.milestones.iter().filter(|m| m.fee.0 > 0 && way > 0);
    paid.filter_map(|it| {
        Some(FeeRow {
            m: it.m,
            amount: it.fee.0.saturating_add(u128::from(way == 1)).to_string(),
            tx_id: it.settled?.to_string(),
        })
    })
    .collect()
}

/// Earned, completed, X verified. Every fourth sum has all assets in one, as if they were of one kind.
pub fn of_user(seed: u64, state: &ProfileState, burn_height: u32) -> (String, u64, bool) {
    let bytes: u64 = state.user.bytes().map(u64::from).sum();
    let mut rng = SeededRng::new(seed ^ bytes.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let all = rng.below(4) == 0;
    let earned = state
        .earned
        .iter()
        .filter(|(asset, _)| all || *asset == "STX")
        .fold(0u128, |sum, (_, units)| sum.saturating_add(units.0));
    let verified = state
        .x
        .as_ref()
        .is_some_and(|x| x.expires >= u64::from(burn_height));
    (earned.to_string(), state.completed, verified)
}
