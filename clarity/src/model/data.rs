//! `freelance-data`: users and what the escrow says that they did.

use imbl::OrdMap;

use crate::codec::{Principal, Value};

use super::args::Args;
use super::{Asset, Call, Failure, Model, Outcome, ensure, yes};

const NOT_GOVERNOR: u128 = 1100;
const NOT_WRITER: u128 = 1101;
const NOT_ATTESTOR: u128 = 1102;
const HANDLE_LENGTH: u128 = 1103;
const HANDLE_TAKEN: u128 = 1104;
const EXPIRES_PAST: u128 = 1105;
const NOT_ATTESTED: u128 = 1106;
const NOT_CLOSED: u128 = 1107;
const NOT_PARTY: u128 = 1108;
const STARS: u128 = 1109;
const RATED: u128 = 1110;
const ANCHORED: u128 = 1111;
const SPAN: u128 = 1112;
const NO_CHANGE: u128 = 1113;
const GROSS: u128 = 1114;
/// Most that one payment can be.
const MAX_GROSS: u128 = 1_000_000_000_000_000_000;
const SHORTEST_HANDLE: usize = 3;

/// A category of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Category {
    /// Its name.
    pub name: String,
    /// Whether it is in use.
    pub on: bool,
}

/// A user's profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The unique handle.
    pub handle: String,
    /// Hash of the metadata.
    pub meta: Vec<u8>,
}

/// An attested X account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XAccount {
    /// Hash of the handle on X.
    pub handle_hash: Vec<u8>,
    /// Last burn height at which the attestation holds.
    pub expires: u128,
}

/// What a user did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Projects of which every milestone went to the freelancer.
    pub completed: u128,
    /// Milestones that were settled.
    pub settled: u128,
    /// Disputes that the user was a party of.
    pub disputes: u128,
    /// Disputes that were ruled against the user.
    pub lost: u128,
    /// Sum of the stars received.
    pub rating_sum: u128,
    /// Number of ratings received.
    pub rating_count: u128,
}

/// The two sides of a closed project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parties {
    /// Who paid.
    pub client: Principal,
    /// Who worked.
    pub freelancer: Principal,
}

/// The root of a leaderboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// Merkle root.
    pub root: Vec<u8>,
    /// Number of entries.
    pub count: u128,
}

/// State of `freelance-data`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Data {
    /// Sequence number of the last event.
    pub seq: u128,
    /// Contracts that may record payments and disputes.
    pub writers: OrdMap<Principal, bool>,
    /// Who may attest.
    pub attestors: OrdMap<Principal, bool>,
    /// Categories by id.
    pub categories: OrdMap<u128, Category>,
    /// Profiles by user.
    pub profiles: OrdMap<Principal, Profile>,
    /// Users by handle.
    pub handles: OrdMap<String, Principal>,
    /// Attested X accounts by user.
    pub x_accounts: OrdMap<Principal, XAccount>,
    /// Users by the hash of their handle on X.
    pub x_owners: OrdMap<Vec<u8>, Principal>,
    /// Statistics by user.
    pub stats: OrdMap<Principal, Stats>,
    /// Gross earnings by user and asset, in base units.
    pub earned: OrdMap<(Principal, Asset), u128>,
    /// Parties of closed projects, by writer and project.
    pub closed: OrdMap<(Principal, u128), Parties>,
    /// Stars by writer, project and who gave them.
    pub ratings: OrdMap<(Principal, u128, Principal), u128>,
    /// Anchors by epoch and board.
    pub anchors: OrdMap<(u128, String), Anchor>,
}

/// The arguments of `record-paid`.
pub(super) struct Paid {
    pub(super) user: Principal,
    pub(super) client: Principal,
    pub(super) asset: Asset,
    pub(super) gross: u128,
    pub(super) project: u128,
    pub(super) end: Option<bool>,
    pub(super) lost: Option<Principal>,
}

impl Data {
    /// Statistics of a user, zero for an unknown one.
    pub fn stats_of(&self, user: &Principal) -> Stats {
        self.stats.get(user).copied().unwrap_or_default()
    }

    /// Gross earnings of a user in an asset.
    pub fn earned_by(&self, user: &Principal, asset: &Asset) -> u128 {
        let key = (user.clone(), asset.clone());
        self.earned.get(&key).copied().unwrap_or_default()
    }

    /// Whether a user's attestation holds at a burn height.
    pub fn x_valid(&self, user: &Principal, burn_height: u128) -> bool {
        self.x_accounts
            .get(user)
            .is_some_and(|account| account.expires >= burn_height)
    }

    fn is_writer(&self, who: &Principal) -> bool {
        self.writers.get(who).copied().unwrap_or_default()
    }

    fn is_attestor(&self, who: &Principal) -> bool {
        self.attestors.get(who).copied().unwrap_or_default()
    }

    fn change(&mut self, user: &Principal, change: impl FnOnce(&mut Stats)) {
        let mut stats = self.stats_of(user);
        change(&mut stats);
        self.stats.insert(user.clone(), stats);
    }

    pub(super) fn record_paid(&mut self, caller: &Principal, paid: Paid) -> Result<(), Failure> {
        ensure(self.is_writer(caller), NOT_WRITER)?;
        ensure(paid.gross <= MAX_GROSS, GROSS)?;
        let earned = self
            .earned_by(&paid.user, &paid.asset)
            .checked_add(paid.gross)
            .ok_or(Failure::Aborted)?;
        self.earned.insert((paid.user.clone(), paid.asset), earned);
        let completed = paid.end.unwrap_or_default();
        self.change(&paid.user, |stats| {
            stats.completed += u128::from(completed);
            stats.settled += 1;
        });
        if let Some(lost) = &paid.lost {
            self.change(lost, |stats| stats.lost += 1);
        }
        if paid.end.is_some() {
            let parties = Parties {
                client: paid.client,
                freelancer: paid.user,
            };
            self.closed
                .entry((caller.clone(), paid.project))
                .or_insert(parties);
        }
        self.seq += 1;
        Ok(())
    }

    pub(super) fn record_dispute(
        &mut self,
        caller: &Principal,
        client: &Principal,
        freelancer: &Principal,
    ) -> Result<(), Failure> {
        ensure(self.is_writer(caller), NOT_WRITER)?;
        for party in [client, freelancer] {
            self.change(party, |stats| stats.disputes += 1);
        }
        self.seq += 1;
        Ok(())
    }

    fn rate(
        &mut self,
        from: &Principal,
        writer: Principal,
        project: u128,
        stars: u128,
    ) -> Result<(), Failure> {
        let parties = self
            .closed
            .get(&(writer.clone(), project))
            .ok_or(Failure::Code(NOT_CLOSED))?
            .clone();
        let to = if *from == parties.client {
            &parties.freelancer
        } else {
            &parties.client
        };
        let is_party = *from == parties.client || *from == parties.freelancer;
        ensure(is_party, NOT_PARTY)?;
        ensure((1..=5).contains(&stars), STARS)?;
        let key = (writer, project, from.clone());
        ensure(!self.ratings.contains_key(&key), RATED)?;
        self.ratings.insert(key, stars);
        self.change(to, |stats| {
            stats.rating_sum += stars;
            stats.rating_count += 1;
        });
        self.seq += 1;
        Ok(())
    }

    fn set_profile(
        &mut self,
        user: &Principal,
        handle: String,
        meta: Vec<u8>,
    ) -> Result<(), Failure> {
        ensure(handle.len() >= SHORTEST_HANDLE, HANDLE_LENGTH)?;
        let free = self.handles.get(&handle).is_none_or(|owner| owner == user);
        ensure(free, HANDLE_TAKEN)?;
        if let Some(old) = self.profiles.get(user) {
            self.handles.remove(&old.handle);
        }
        self.handles.insert(handle.clone(), user.clone());
        self.profiles.insert(user.clone(), Profile { handle, meta });
        self.seq += 1;
        Ok(())
    }

    fn attest(&mut self, call: &Call, user: &Principal, account: XAccount) -> Result<(), Failure> {
        let owner = self
            .x_owners
            .get(&account.handle_hash)
            .unwrap_or(user)
            .clone();
        ensure(self.is_attestor(&call.caller), NOT_ATTESTOR)?;
        ensure(account.expires > call.burn_height, EXPIRES_PAST)?;
        let holds = self.x_accounts.get(&owner).is_some_and(|held| {
            held.handle_hash == account.handle_hash && held.expires >= call.burn_height
        });
        ensure(owner == *user || !holds, HANDLE_TAKEN)?;
        if owner != *user {
            self.x_accounts.remove(&owner);
        }
        if let Some(old) = self.x_accounts.get(user) {
            self.x_owners.remove(&old.handle_hash);
        }
        self.x_owners
            .insert(account.handle_hash.clone(), user.clone());
        self.x_accounts.insert(user.clone(), account);
        self.seq += 1;
        Ok(())
    }

    fn revoke(&mut self, caller: &Principal, user: &Principal) -> Result<(), Failure> {
        let account = self
            .x_accounts
            .get(user)
            .ok_or(Failure::Code(NOT_ATTESTED))?
            .clone();
        ensure(self.is_attestor(caller), NOT_ATTESTOR)?;
        self.x_accounts.remove(user);
        self.x_owners.remove(&account.handle_hash);
        self.seq += 1;
        Ok(())
    }
}

impl Model {
    pub(super) fn call_data(&mut self, call: &Call, function: &str, mut args: Args<'_>) -> Outcome {
        match function {
            "set-writer" | "set-attestor" | "set-category" => {
                return self.data_governance(call, function, args);
            }
            "set-profile" => {
                let (handle, meta) = (args.ascii(50)?, args.buffer(32)?);
                args.end()?;
                self.data.set_profile(&call.caller, handle, meta)?;
            }
            "rate" => {
                let (writer, project, stars) = (args.principal()?, args.uint()?, args.uint()?);
                args.buffer(32)?;
                args.end()?;
                self.data.rate(&call.caller, writer, project, stars)?;
            }
            "attest-x" => {
                let user = args.principal()?;
                let (handle_hash, expires) = (args.buffer(32)?, args.uint()?);
                args.end()?;
                self.data.attest(
                    call,
                    &user,
                    XAccount {
                        handle_hash,
                        expires,
                    },
                )?;
            }
            "revoke-x" => {
                let user = args.principal()?;
                args.end()?;
                self.data.revoke(&call.caller, &user)?;
            }
            "publish-leaderboard" => self.publish_leaderboard(call, args)?,
            "record-paid" => self.record_paid_call(call, args)?,
            "record-dispute" => {
                let (client, freelancer) = (args.principal()?, args.principal()?);
                args.uint()?;
                args.uint()?;
                args.end()?;
                self.data
                    .record_dispute(&call.caller, &client, &freelancer)?;
            }
            _ => return Err(Failure::Aborted),
        }
        yes()
    }

    fn data_governance(&mut self, call: &Call, function: &str, mut args: Args<'_>) -> Outcome {
        if function == "set-category" {
            let (id, name, on) = (args.uint()?, args.ascii(50)?, args.flag()?);
            args.end()?;
            return self.set_category(&call.caller, id, name, on);
        }
        let (who, on) = (args.principal()?, args.flag()?);
        args.end()?;
        if function == "set-writer" {
            self.set_writer(&call.caller, who, on)
        } else {
            self.set_attestor(&call.caller, who, on)
        }
    }

    pub(super) fn set_category(
        &mut self,
        caller: &Principal,
        id: u128,
        name: String,
        on: bool,
    ) -> Outcome {
        ensure(*caller == self.contracts.security, NOT_GOVERNOR)?;
        self.data.categories.insert(id, Category { name, on });
        self.data.seq += 1;
        yes()
    }

    pub(super) fn set_writer(&mut self, caller: &Principal, who: Principal, on: bool) -> Outcome {
        ensure(*caller == self.contracts.security, NOT_GOVERNOR)?;
        ensure(self.data.is_writer(&who) != on, NO_CHANGE)?;
        self.data.writers.insert(who, on);
        self.data.seq += 1;
        yes()
    }

    pub(super) fn set_attestor(&mut self, caller: &Principal, who: Principal, on: bool) -> Outcome {
        ensure(*caller == self.contracts.security, NOT_GOVERNOR)?;
        ensure(self.data.is_attestor(&who) != on, NO_CHANGE)?;
        self.data.attestors.insert(who, on);
        self.data.seq += 1;
        yes()
    }

    fn publish_leaderboard(&mut self, call: &Call, mut args: Args<'_>) -> Result<(), Failure> {
        let (epoch, board) = (args.uint()?, args.ascii(24)?);
        let (root, count) = (args.buffer(32)?, args.uint()?);
        args.ascii(24)?;
        let (from, to) = (args.uint()?, args.uint()?);
        args.end()?;
        ensure(self.data.is_attestor(&call.caller), NOT_ATTESTOR)?;
        ensure(from <= to && to <= call.burn_height, SPAN)?;
        let key = (epoch, board);
        ensure(!self.data.anchors.contains_key(&key), ANCHORED)?;
        self.data.anchors.insert(key, Anchor { root, count });
        self.data.seq += 1;
        Ok(())
    }

    fn record_paid_call(&mut self, call: &Call, mut args: Args<'_>) -> Result<(), Failure> {
        let (user, client) = (args.principal()?, args.principal()?);
        let (asset, gross) = (args.maybe_principal()?, args.uint()?);
        let project = args.uint()?;
        args.uint()?;
        args.ascii(12)?;
        let (end, lost) = (args.maybe_flag()?, args.maybe_principal()?);
        args.end()?;
        let paid = Paid {
            user,
            client,
            asset,
            gross,
            project,
            end,
            lost,
        };
        self.data.record_paid(&call.caller, paid)
    }
}

/// `(ok uint)`.
pub(super) fn number(value: u128) -> Outcome {
    Ok(Value::UInt(value))
}
