//! Whom an attestor should attest: users who have everything a badge asks for but an X account that holds, and whom the
//! platform calls verified. What comes of this is a proposal, and nothing else: the platform's word is no fact here, and
//! nothing is signed.

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use stxworx_clarity::codec::{Principal, Value};

use super::eligibility::{Missing, known_of, missing};
use super::ports::Known;
use super::types::{Kind, Person, Tip};
use crate::platform::{Cell, PlatformUser};

/// The contract's function.
pub const FUNCTION: &str = "attest-x";
/// Longest name of an X account.
const LONGEST: usize = 15;

/// Why a user whom the platform calls verified is not proposed, or not with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// The platform keeps no address, or one that cannot be read.
    NoAddress,
    /// The platform's row has no name of an X account.
    NoHandle,
    /// The name is none that an X account can have.
    BadHandle,
    /// Another user whom the platform calls verified says the same.
    SharedHandle,
    /// Another user has the account by an attestation that holds: the contract would refuse with `u1104`.
    Taken,
}

impl Problem {
    /// The same for people.
    pub fn says(self) -> &'static str {
        match self {
            Self::NoAddress => "the platform keeps no address that can be read",
            Self::NoHandle => "the platform keeps no name of the X account",
            Self::BadHandle => "the name is none that an X account can have",
            Self::SharedHandle => "two users of the platform say that this account is theirs",
            Self::Taken => "another user has this account by an attestation that holds",
        }
    }
}

/// A kind of badge that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// Its number.
    pub kind: u64,
    /// Its name.
    pub name: String,
}

/// One argument of the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Argument {
    /// Its name at the contract.
    pub name: &'static str,
    /// As it stands in a source of Clarity.
    pub repr: String,
    /// Serialised, `0x` and hexadecimal.
    pub hex: String,
}

impl Argument {
    fn new(name: &'static str, value: &Value) -> Self {
        // In a source, a principal has a quote before it.
        let repr = match value {
            Value::Principal(who) => format!("'{who}"),
            other => other.to_string(),
        };
        Self {
            name,
            repr,
            hex: format!("0x{}", hex::encode(value.encode())),
        }
    }
}

/// The call that an attestor would sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call {
    /// The contract.
    pub contract: String,
    /// The function.
    pub function: &'static str,
    /// Its arguments, in order.
    pub arguments: Vec<Argument>,
}

/// A user to attest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proposal {
    /// Who; none where the platform keeps no address.
    pub user: Option<String>,
    /// The platform's key of the row that says verified.
    pub platform_key: String,
    /// The X account's name, as the platform has it.
    pub handle: Option<String>,
    /// Badges that wait for the attestation alone.
    pub waits: Vec<Waiting>,
    /// The call; none where something is in the way.
    pub call: Option<Call>,
    /// What is in the way.
    pub problem: Option<Problem>,
}

/// A name of an X account as it is hashed: without the `@`, in lower case, because X does not tell the cases apart.
pub fn normal(handle: &str) -> Option<String> {
    let bare = handle.trim();
    let bare = bare.strip_prefix('@').unwrap_or(bare);
    let fits = (1..=LONGEST).contains(&bare.len())
        && bare.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    fits.then(|| bare.to_ascii_lowercase())
}

/// The hash by which the contract knows an X account: SHA-256 of its [`normal`] name.
pub fn handle_hash(normal: &str) -> [u8; 32] {
    Sha256::digest(normal.as_bytes()).into()
}

/// A hash as the mirror's states have it.
pub fn hex0x(hash: &[u8; 32]) -> String {
    format!("0x{}", hex::encode(hash))
}

/// The kinds of which a user lacks the attestation and nothing else, neither has nor had, and that are not over.
pub fn waits(person: &Person, kinds: &[Kind], tip: &Tip, known: &[Known]) -> Vec<Waiting> {
    let open = |kind: &&Kind| {
        let had = person.badges.iter().any(|badge| badge.kind == kind.kind);
        let over = known_of(known, &person.user, kind.kind).is_some_and(|k| k.state.is_over());
        !had && !over && missing(person, kind, tip) == [Missing::X]
    };
    let waiting = |kind: &Kind| Waiting {
        kind: kind.kind,
        name: kind.name.clone(),
    };
    kinds.iter().filter(open).map(waiting).collect()
}

/// A row of the platform that says verified, as far as it can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The platform's key.
    pub key: String,
    /// Who.
    pub user: Option<Principal>,
    /// The name as it stands there.
    pub handle: Option<String>,
    /// The name as it is hashed, and its hash.
    pub account: Option<(String, [u8; 32])>,
}

impl Claim {
    /// Of a row; none where the platform does not call the account verified.
    pub fn of(row: &PlatformUser) -> Option<Self> {
        if row.x_verified != Cell::Is(true) {
            return None;
        }
        let handle = row.row.text("x_handle").map(str::to_owned);
        let account = handle.as_deref().and_then(normal);
        Some(Self {
            key: row.key.clone(),
            user: row.principal.value().cloned(),
            account: account.map(|name| {
                let hash = handle_hash(&name);
                (name, hash)
            }),
            handle,
        })
    }

    fn problem(&self) -> Option<Problem> {
        match (&self.user, &self.handle, &self.account) {
            (None, _, _) => Some(Problem::NoAddress),
            (_, None, _) => Some(Problem::NoHandle),
            (_, _, None) => Some(Problem::BadHandle),
            _ => None,
        }
    }
}

/// What else is known of X accounts.
#[derive(Debug, Clone, Default)]
pub struct Accounts {
    /// How many users of the platform claim each hash.
    pub claims: BTreeMap<[u8; 32], u32>,
    /// Who has each hash by an attestation, and until which burn height.
    pub owners: BTreeMap<String, (String, u64)>,
}

/// The proposal for a claim of somebody for whom badges wait.
pub fn propose(
    claim: &Claim,
    waits: Vec<Waiting>,
    accounts: &Accounts,
    data: &str,
    (tip, for_blocks): (&Tip, u32),
) -> Proposal {
    let user = claim.user.as_ref().map(Principal::to_string);
    let mut problem = claim.problem();
    let mut call = None;
    if let (None, Some(principal), Some((_, hash))) = (problem, &claim.user, &claim.account) {
        let owner = accounts.owners.get(&hex0x(hash));
        let taken = owner.is_some_and(|(owner, until)| {
            Some(owner) != user.as_ref() && *until >= u64::from(tip.burn_height)
        });
        if accounts.claims.get(hash).is_some_and(|claims| *claims > 1) {
            problem = Some(Problem::SharedHandle);
        } else if taken {
            problem = Some(Problem::Taken);
        } else {
            let expires = u128::from(tip.burn_height) + u128::from(for_blocks);
            call = Some(Call {
                contract: data.to_owned(),
                function: FUNCTION,
                arguments: vec![
                    Argument::new("user", &Value::Principal(principal.clone())),
                    Argument::new("handle-hash", &Value::Buffer(hash.to_vec())),
                    Argument::new("expires", &Value::UInt(expires)),
                ],
            });
        }
    }
    Proposal {
        user,
        platform_key: claim.key.clone(),
        handle: claim.handle.clone(),
        waits,
        call,
        problem,
    }
}

#[cfg(test)]
mod tests {
    use stxworx_indexer::model::{IndexBlockHash, TxId};

    use super::super::eligibility::award;
    use super::super::types::{Held, IntentState};
    use super::*;
    use crate::platform::Row;

    const ANN: &str = "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM";
    const BOB: &str = "ST2CY5V39NHDPWSXMW9QDT3HC3GD6Q6XX4CFRK9AG";

    fn tip() -> Tip {
        Tip {
            block: IndexBlockHash::ZERO,
            height: 50,
            burn_height: 120,
            final_height: Some(40),
            final_burn_height: 114,
        }
    }

    fn person(completed: u64) -> Person {
        Person {
            user: ANN.to_owned(),
            completed,
            rating_sum: 45,
            rating_count: 10,
            x_expires: None,
            changed_height: 39,
            changed_block: IndexBlockHash::ZERO,
            changed_txid: Some(TxId::ZERO),
            badges: Vec::new(),
        }
    }

    fn kinds() -> Vec<Kind> {
        let kind = |kind: u64, name: &str, projects: u64, needs_x: bool| Kind {
            kind,
            name: name.to_owned(),
            projects,
            rating: 0,
            needs_x,
            changed_height: 1,
        };
        vec![
            kind(1, "bronze", 10, false),
            kind(2, "silver", 25, true),
            kind(5, "verified", 0, true),
        ]
    }

    fn claim(user: &str, handle: &str) -> Claim {
        let cells = [
            ("key", "k1"),
            ("principal", user),
            ("x_handle", handle),
            ("x_verified", "t"),
        ];
        let cells = cells.map(|(name, text)| (name.to_owned(), Some(text.to_owned())));
        let row = PlatformUser::read(Row(cells.into())).unwrap();
        Claim::of(&row).unwrap()
    }

    fn proposed(claim: &Claim, accounts: &Accounts) -> Proposal {
        propose(
            claim,
            Vec::new(),
            accounts,
            "ST1.freelance-data",
            (&tip(), 1_000),
        )
    }

    #[test]
    fn names_that_x_does_not_tell_apart_have_one_hash() {
        assert_eq!(normal(" @Alice_99 "), normal("alice_99"));
        for none in ["", "@", "@@alice", "al ice", "ålice", "sixteen_letters_"] {
            assert_eq!(normal(none), None, "{none:?}");
        }
        assert_eq!(
            hex0x(&handle_hash("alice_99")),
            "0x8d5c69d99a885efe66ac6a1d0eb45f6f3844e474608799b54e7c74fcf4fead23"
        );
    }

    #[test]
    fn only_what_waits_for_the_attestation_alone_is_waited_for() {
        let numbers = |person: &Person, known: &[Known]| -> Vec<u64> {
            let waits = waits(person, &kinds(), &tip(), known);
            waits.into_iter().map(|w| w.kind).collect()
        };
        assert_eq!(numbers(&person(25), &[]), [2, 5]);
        assert_eq!(
            numbers(&person(24), &[]),
            [5],
            "projects are missing as well"
        );
        let mut attested = person(25);
        attested.x_expires = Some(120);
        assert_eq!(numbers(&attested, &[]), [0; 0]);
        attested.x_expires = Some(119);
        assert_eq!(numbers(&attested, &[]), [2, 5], "it does not hold any more");
        let mut barred = person(25);
        barred.badges.push(Held {
            kind: 2,
            id: 9,
            minted: None,
            minted_height: 3,
            gone: true,
        });
        assert_eq!(numbers(&barred, &[]), [5]);
        let known = |state| {
            [Known {
                award: award("C", ANN, 5),
                state,
                intent: 4,
            }]
        };
        assert_eq!(numbers(&person(25), &known(IntentState::Held)), [2, 5]);
        assert_eq!(numbers(&person(25), &known(IntentState::FinalOk)), [2]);
    }

    #[test]
    fn the_call_is_what_the_contract_takes() {
        let claim = claim(ANN, "@Alice");
        let call = proposed(&claim, &Accounts::default()).call.unwrap();
        assert_eq!(
            (call.contract.as_str(), call.function),
            ("ST1.freelance-data", "attest-x")
        );
        let hash = hex0x(&handle_hash("alice"));
        let reprs: Vec<_> = call.arguments.iter().map(|a| a.repr.as_str()).collect();
        assert_eq!(reprs, [format!("'{ANN}").as_str(), hash.as_str(), "u1120"]);
        for argument in &call.arguments {
            let bytes = hex::decode(&argument.hex[2..]).unwrap();
            let value = Value::decode_exact(&bytes).unwrap().to_string();
            assert_eq!(value, argument.repr.trim_start_matches('\''));
        }
    }

    #[test]
    fn what_is_in_the_way_is_said_and_no_call_given() {
        let alice = claim(ANN, "alice");
        let hash = handle_hash("alice");
        let of = |owner: &str, until: u64| Accounts {
            owners: BTreeMap::from([(hex0x(&hash), (owner.to_owned(), until))]),
            ..Accounts::default()
        };
        let problem = |claim: &Claim, accounts: &Accounts| {
            let proposal = proposed(claim, accounts);
            assert_eq!(proposal.call.is_none(), proposal.problem.is_some());
            proposal.problem
        };
        let nothing = Accounts::default();
        assert_eq!(problem(&alice, &of(BOB, 120)), Some(Problem::Taken));
        assert_eq!(problem(&alice, &of(BOB, 119)), None, "that one has expired");
        assert_eq!(problem(&alice, &of(ANN, 500)), None, "it is the user's own");
        let shared = Accounts {
            claims: BTreeMap::from([(hash, 2)]),
            ..Accounts::default()
        };
        assert_eq!(problem(&alice, &shared), Some(Problem::SharedHandle));
        assert_eq!(
            problem(&claim("nobody", "alice"), &nothing),
            Some(Problem::NoAddress)
        );
        assert_eq!(problem(&claim(ANN, " "), &nothing), Some(Problem::NoHandle));
        assert_eq!(
            problem(&claim(ANN, "no name!"), &nothing),
            Some(Problem::BadHandle)
        );
    }

    #[test]
    fn what_the_platform_does_not_call_verified_is_no_claim() {
        for verified in [Some("f"), None, Some("perhaps")] {
            let cells = [
                ("key".to_owned(), Some("k".to_owned())),
                ("x_verified".to_owned(), verified.map(str::to_owned)),
            ];
            let row = PlatformUser::read(Row(cells.into())).unwrap();
            assert_eq!(Claim::of(&row), None, "{verified:?}");
        }
    }
}
