//! Dying on purpose, at a named place. Debug builds only: a release does not contain it.
//!
//! Every port of the minter is wrapped, so that there is a place before and one behind each call by construction:
//! `STXWORX_MINT_CRASH=reserve:after:2` ends the process, without any clean-up, when its second reservation was committed
//! and nobody has heard of it yet. What a test then starts finds what a power cut would have left.

mod ports;

use std::sync::atomic::{AtomicU32, Ordering};

pub use ports::{Mortal, MortalMinter, MortalPorts, ports};

/// The variable that names the place.
pub const VARIABLE: &str = "STXWORX_MINT_CRASH";

/// What the log says last.
pub const LAST_WORDS: &str = "this process ends itself here, as it was asked to";

/// The calls of the ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // Each is the method of its name.
pub enum Call {
    Lease,
    Release,
    Book,
    Known,
    NoteAccount,
    OpenLane,
    LowerBase,
    UpsertAward,
    MoveIntent,
    Reserve,
    LetGo,
    RecordAttempt,
    RecordSend,
    Observe,
    Finish,
    Settle,
    Retract,
    Reopen,
    Adopt,
    NoteUnexplained,
    Pause,
    Resume,
    Untold,
    Told,
    Sign,
    Account,
    Fee,
    Submit,
    Mempool,
    Preflight,
    Look,
    Tell,
}

impl Call {
    /// All of them, in the order of the ports.
    pub const ALL: [Self; 32] = [
        Self::Lease,
        Self::Release,
        Self::Book,
        Self::Known,
        Self::NoteAccount,
        Self::OpenLane,
        Self::LowerBase,
        Self::UpsertAward,
        Self::MoveIntent,
        Self::Reserve,
        Self::LetGo,
        Self::RecordAttempt,
        Self::RecordSend,
        Self::Observe,
        Self::Finish,
        Self::Settle,
        Self::Retract,
        Self::Reopen,
        Self::Adopt,
        Self::NoteUnexplained,
        Self::Pause,
        Self::Resume,
        Self::Untold,
        Self::Told,
        Self::Sign,
        Self::Account,
        Self::Fee,
        Self::Submit,
        Self::Mempool,
        Self::Preflight,
        Self::Look,
        Self::Tell,
    ];

    /// The method's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lease => "lease",
            Self::Release => "release",
            Self::Book => "book",
            Self::Known => "known",
            Self::NoteAccount => "note_account",
            Self::OpenLane => "open_lane",
            Self::LowerBase => "lower_base",
            Self::UpsertAward => "upsert_award",
            Self::MoveIntent => "move_intent",
            Self::Reserve => "reserve",
            Self::LetGo => "let_go",
            Self::RecordAttempt => "record_attempt",
            Self::RecordSend => "record_send",
            Self::Observe => "observe",
            Self::Finish => "finish",
            Self::Settle => "settle",
            Self::Retract => "retract",
            Self::Reopen => "reopen",
            Self::Adopt => "adopt",
            Self::NoteUnexplained => "note_unexplained",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Untold => "untold",
            Self::Told => "told",
            Self::Sign => "sign",
            Self::Account => "account",
            Self::Fee => "fee",
            Self::Submit => "submit",
            Self::Mempool => "mempool",
            Self::Preflight => "preflight",
            Self::Look => "look",
            Self::Tell => "tell",
        }
    }

    /// Does it change anything outside of the process? The others only read.
    pub fn has_effect(self) -> bool {
        !matches!(
            self,
            Self::Book
                | Self::Known
                | Self::Untold
                | Self::Account
                | Self::Fee
                | Self::Mempool
                | Self::Preflight
                | Self::Look
        )
    }
}

/// On which side of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// Nothing of it was done.
    Before,
    /// It was done, for good, and nobody heard of it. A write that found its ground changed was not done.
    After,
}

impl When {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

/// Where a process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// At which call.
    pub call: Call,
    /// On which side of it.
    pub when: When,
    /// The how manieth of this process, from 1.
    pub nth: u32,
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (call, when) = (self.call.as_str(), self.when.as_str());
        write!(f, "{call}:{when}:{}", self.nth)
    }
}

/// The variable names no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{VARIABLE} is {given:?}, which is no place to die at; write CALL:before or CALL:after, with :N for the Nth time"
)]
pub struct NoSuchPoint {
    /// What it is.
    pub given: String,
}

impl std::str::FromStr for Point {
    type Err = NoSuchPoint;

    fn from_str(text: &str) -> Result<Self, NoSuchPoint> {
        let point = || {
            let mut parts = text.split(':');
            let name = parts.next()?;
            let call = Call::ALL.into_iter().find(|c| c.as_str() == name)?;
            let side = parts.next()?;
            let when = [When::Before, When::After]
                .into_iter()
                .find(|w| w.as_str() == side)?;
            let nth = parts.next().map_or(Some(1), |n| n.parse().ok())?;
            let whole = parts.next().is_none() && nth > 0;
            whole.then_some(Self { call, when, nth })
        };
        point().ok_or_else(|| NoSuchPoint {
            given: text.to_owned(),
        })
    }
}

/// Counts down to the death of the process.
#[derive(Debug, Default)]
pub struct Fuse {
    armed: Option<Point>,
    passed: AtomicU32,
}

impl Fuse {
    /// One that burns down at a place, or never.
    pub fn new(armed: Option<Point>) -> Self {
        Self {
            armed,
            passed: AtomicU32::new(0),
        }
    }

    /// Is this the place?
    fn is_here(&self, call: Call, when: When) -> bool {
        self.armed.is_some_and(|point| {
            (point.call, point.when) == (call, when)
                && self.passed.fetch_add(1, Ordering::Relaxed) + 1 == point.nth
        })
    }

    fn pass(&self, call: Call, when: When) {
        if self.is_here(call, when) {
            tracing::error!(at = %format_args!("{}:{}", call.as_str(), when.as_str()), "{LAST_WORDS}");
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The methods of the ports, as their source has them.
    fn methods() -> Vec<&'static str> {
        let source = include_str!("../ports.rs");
        let traits = source.split("\npub trait ").skip(1);
        let bodies = traits.map(|text| text.split("\n}").next().unwrap());
        let lines = bodies.flat_map(str::lines);
        let named = lines.filter_map(|line| line.strip_prefix("    fn "));
        let names = named.map(|rest| rest.split('(').next().unwrap());
        // An address is a field that is read: nothing is called.
        names.filter(|name| *name != "address").collect()
    }

    #[test]
    fn every_call_of_every_port_has_its_points() {
        let names: Vec<&str> = Call::ALL.into_iter().map(Call::as_str).collect();
        assert_eq!(names, methods());
    }

    #[test]
    fn each_wrapped_method_passes_its_own_points() {
        let source = include_str!("ports.rs");
        for call in Call::ALL {
            let start = format!("async fn {}(", call.as_str());
            let bodies: Vec<&str> = source.split(&start).skip(1).collect();
            let [body] = bodies[..] else {
                panic!("{start} stands {} times", bodies.len());
            };
            let body = body.split("async fn ").next().unwrap();
            let own = format!("Call::{call:?},");
            assert_eq!(body.matches("Call::").count(), 1, "{start}");
            assert!(body.contains(&own), "{start} does not pass {own}");
        }
    }

    #[test]
    fn a_place_is_written_as_it_is_read() {
        for call in Call::ALL {
            for when in [When::Before, When::After] {
                let point = Point { call, when, nth: 3 };
                assert_eq!(point.to_string().parse(), Ok(point));
            }
        }
        let once: Point = "reserve:after".parse().unwrap();
        assert_eq!(once.to_string(), "reserve:after:1");
        for wrong in [
            "",
            "reserve",
            "reserve:later",
            "reserve:after:0",
            "x:after",
            "reserve:after:1:",
        ] {
            let error = wrong.parse::<Point>().unwrap_err();
            assert!(error.to_string().contains("CALL:before"), "{error}");
        }
    }

    #[test]
    fn it_burns_at_its_place_at_its_time_and_nowhere_else() {
        let fuse = Fuse::new(Some("reserve:after:2".parse().unwrap()));
        assert!(!fuse.is_here(Call::Reserve, When::Before));
        assert!(!fuse.is_here(Call::Sign, When::After));
        assert!(!fuse.is_here(Call::Reserve, When::After));
        assert!(fuse.is_here(Call::Reserve, When::After));
        assert!(!fuse.is_here(Call::Reserve, When::After));
        assert!(!Fuse::default().is_here(Call::Reserve, When::After));
    }
}
