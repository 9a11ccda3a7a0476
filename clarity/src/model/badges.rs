//! `freelance-badges`.

use imbl::OrdMap;

use crate::codec::Principal;

use super::args::Args;
use super::data::number;
use super::ledger::Movement;
use super::{Call, Failure, Model, Outcome, ensure, yes};

const NOT_GOVERNOR: u128 = 1300;
const NOT_MINTER: u128 = 1301;
const UNKNOWN_KIND: u128 = 1302;
const SOULBOUND: u128 = 1303;
const NOT_EARNED: u128 = 1304;
const HELD: u128 = 1305;
const REVOKED: u128 = 1306;
const UNKNOWN_BADGE: u128 = 1307;
const NO_CHANGE: u128 = 1309;

/// What a kind of badge asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// Its name.
    pub name: String,
    /// Completed projects.
    pub projects: u128,
    /// Average rating times 100; zero asks for none.
    pub rating: u128,
    /// Whether an attested X account is needed.
    pub needs_x: bool,
}

/// A badge that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Badge {
    /// Whose it is.
    pub owner: Principal,
    /// Of what kind.
    pub kind: u128,
}

/// State of `freelance-badges`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Badges {
    /// Sequence number of the last event.
    pub seq: u128,
    /// Id of the last badge.
    pub last_id: u128,
    /// Where metadata lives.
    pub uri: String,
    /// Who may mint.
    pub minters: OrdMap<Principal, bool>,
    /// Kinds by number.
    pub kinds: OrdMap<u128, Kind>,
    /// Badges by id.
    pub badges: OrdMap<u128, Badge>,
    /// Badge by owner and kind.
    pub owned: OrdMap<(Principal, u128), u128>,
    /// Who cannot earn a kind again.
    pub barred: OrdMap<(Principal, u128), bool>,
}

impl Badges {
    /// As deployed: the first five kinds.
    pub(super) fn deployed() -> Self {
        let kind = |name: &str, projects, rating, needs_x| Kind {
            name: name.to_owned(),
            projects,
            rating,
            needs_x,
        };
        let kinds = [
            kind("bronze", 10, 400, false),
            kind("silver", 25, 450, true),
            kind("gold", 50, 480, true),
            kind("platinum", 100, 490, true),
            kind("verified", 0, 0, true),
        ];
        Self {
            seq: 6,
            last_id: 0,
            uri: "ipfs://stxworx-badges/{id}.json".to_owned(),
            minters: OrdMap::new(),
            kinds: (1_u128..).zip(kinds).collect(),
            badges: OrdMap::new(),
            owned: OrdMap::new(),
            barred: OrdMap::new(),
        }
    }

    fn is_minter(&self, who: &Principal) -> bool {
        self.minters.get(who).copied().unwrap_or_default()
    }

    fn is_barred(&self, who: &Principal, kind: u128) -> bool {
        self.barred
            .get(&(who.clone(), kind))
            .copied()
            .unwrap_or_default()
    }
}

impl Model {
    pub(super) fn call_badges(
        &mut self,
        call: &Call,
        function: &str,
        mut args: Args<'_>,
    ) -> Outcome {
        let caller = &call.caller;
        match function {
            "mint" => {
                let (recipient, kind) = (args.principal()?, args.uint()?);
                args.end()?;
                ensure(self.badges.is_minter(caller), NOT_MINTER)?;
                self.grant(call, &recipient, kind)
            }
            "claim" => {
                let kind = args.uint()?;
                args.end()?;
                self.grant(call, caller, kind)
            }
            "transfer" => {
                args.uint()?;
                args.principal()?;
                args.principal()?;
                args.end()?;
                Err(Failure::Code(SOULBOUND))
            }
            "set-minter" => {
                let (who, on) = (args.principal()?, args.flag()?);
                args.end()?;
                self.set_minter(caller, who, on)
            }
            "set-kind" => {
                let (number, name) = (args.uint()?, args.ascii(24)?);
                let (projects, rating, needs_x) = (args.uint()?, args.uint()?, args.flag()?);
                args.end()?;
                let kind = Kind {
                    name,
                    projects,
                    rating,
                    needs_x,
                };
                self.set_kind(caller, number, kind)
            }
            "set-uri" => {
                let uri = args.ascii(80)?;
                args.end()?;
                self.set_uri(caller, uri)
            }
            "revoke" => {
                let id = args.uint()?;
                args.buffer(32)?;
                args.end()?;
                self.revoke_badge(caller, id)
            }
            "migrate" => {
                let (id, to) = (args.uint()?, args.principal()?);
                args.end()?;
                self.migrate_badge(caller, id, to)
            }
            _ => Err(Failure::Aborted),
        }
    }

    fn grant(&mut self, call: &Call, user: &Principal, kind: u128) -> Outcome {
        ensure(self.badges.kinds.contains_key(&kind), UNKNOWN_KIND)?;
        ensure(!self.badges.is_barred(user, kind), REVOKED)?;
        ensure(self.earned(call.burn_height, user, kind)?, NOT_EARNED)?;
        let key = (user.clone(), kind);
        ensure(!self.badges.owned.contains_key(&key), HELD)?;
        let id = self.badges.last_id + 1;
        self.badges.owned.insert(key, id);
        self.badges.last_id = id;
        let owner = user.clone();
        self.badges.badges.insert(id, Badge { owner, kind });
        self.badges.seq += 1;
        number(id)
    }

    /// Whether a user's deeds are enough for a kind.
    fn earned(&self, burn_height: u128, user: &Principal, kind: u128) -> Result<bool, Failure> {
        let Some(kind) = self.badges.kinds.get(&kind) else {
            return Ok(false);
        };
        let stats = self.data.stats_of(user);
        if stats.completed < kind.projects {
            return Ok(false);
        }
        if kind.rating != 0 {
            let asked = kind.rating.checked_mul(stats.rating_count);
            let rated = stats.rating_count > 0
                && stats.rating_sum * 100 >= asked.ok_or(Failure::Aborted)?;
            if !rated {
                return Ok(false);
            }
        }
        Ok(!kind.needs_x || self.data.x_valid(user, burn_height))
    }

    pub(super) fn set_minter(&mut self, caller: &Principal, who: Principal, on: bool) -> Outcome {
        ensure(*caller == self.contracts.security, NOT_GOVERNOR)?;
        ensure(self.badges.is_minter(&who) != on, NO_CHANGE)?;
        self.badges.minters.insert(who, on);
        self.badges.seq += 1;
        yes()
    }

    pub(super) fn set_kind(&mut self, caller: &Principal, number: u128, kind: Kind) -> Outcome {
        ensure(*caller == self.contracts.security, NOT_GOVERNOR)?;
        self.badges.kinds.insert(number, kind);
        self.badges.seq += 1;
        yes()
    }

    pub(super) fn set_uri(&mut self, caller: &Principal, uri: String) -> Outcome {
        ensure(*caller == self.contracts.security, NOT_GOVERNOR)?;
        self.badges.uri = uri;
        self.badges.seq += 1;
        yes()
    }

    fn badge(&self, id: u128) -> Result<Badge, Failure> {
        let badge = self.badges.badges.get(&id).cloned();
        badge.ok_or(Failure::Code(UNKNOWN_BADGE))
    }

    pub(super) fn revoke_badge(&mut self, caller: &Principal, id: u128) -> Outcome {
        let badge = self.badge(id)?;
        ensure(*caller == self.contracts.security, NOT_GOVERNOR)?;
        let key = (badge.owner.clone(), badge.kind);
        self.badges.badges.remove(&id);
        self.badges.owned.remove(&key);
        self.badges.barred.insert(key, true);
        self.ledger.movements.push(Movement::Badge {
            id,
            from: badge.owner,
        });
        self.badges.seq += 1;
        yes()
    }

    pub(super) fn migrate_badge(&mut self, caller: &Principal, id: u128, to: Principal) -> Outcome {
        let Badge { owner, kind } = self.badge(id)?;
        ensure(*caller == self.contracts.security, NOT_GOVERNOR)?;
        ensure(!self.badges.is_barred(&to, kind), REVOKED)?;
        let key = (to.clone(), kind);
        ensure(!self.badges.owned.contains_key(&key), HELD)?;
        self.badges.owned.insert(key, id);
        self.badges.owned.remove(&(owner.clone(), kind));
        self.badges.barred.insert((owner.clone(), kind), true);
        self.badges.badges.insert(id, Badge { owner: to, kind });
        self.ledger
            .movements
            .push(Movement::Badge { id, from: owner });
        self.badges.seq += 1;
        yes()
    }
}
