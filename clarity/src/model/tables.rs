//! The model's state as the Clarity values that the chain keeps, to compare the two.

use crate::codec::{BuildError, Principal, Value};

use super::data::Stats;
use super::logic::{Milestone, Project};
use super::security::{Action, ActionArgs};
use super::{Asset, Model};

/// An entry of a contract's map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The contract.
    pub contract: Principal,
    /// The map.
    pub map: &'static str,
    /// The key.
    pub key: Value,
    /// The value.
    pub value: Value,
}

/// A data variable of a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// The contract.
    pub contract: Principal,
    /// The variable.
    pub name: &'static str,
    /// Its value.
    pub value: Value,
}

/// Collects entries of one contract.
struct Table<'a> {
    contract: &'a Principal,
    entries: &'a mut Vec<Entry>,
}

impl Table<'_> {
    fn put(&mut self, map: &'static str, key: Value, value: Value) {
        self.entries.push(Entry {
            contract: self.contract.clone(),
            map,
            key,
            value,
        });
    }
}

fn principal(who: &Principal) -> Value {
    Value::Principal(who.clone())
}

fn optional(asset: &Asset) -> Value {
    match asset {
        None => Value::None,
        Some(who) => Value::some(principal(who)),
    }
}

fn uint(number: u128) -> Value {
    Value::UInt(number)
}

fn bytes(buffer: &[u8]) -> Value {
    Value::Buffer(buffer.to_vec())
}

impl Model {
    /// Every entry of every map of the four contracts, except the constant map of action kinds.
    ///
    /// # Errors
    /// A text of the state is no ASCII, which no call can bring about.
    pub fn entries(&self) -> Result<Vec<Entry>, BuildError> {
        let mut entries = Vec::new();
        self.data_entries(&mut entries)?;
        self.logic_entries(&mut entries)?;
        self.badge_entries(&mut entries)?;
        self.security_entries(&mut entries)?;
        Ok(entries)
    }

    /// Every data variable of the four contracts but the heads of the hash chains.
    ///
    /// # Errors
    /// As [`Model::entries`].
    pub fn variables(&self) -> Result<Vec<Variable>, BuildError> {
        let at = &self.contracts;
        let config = &self.logic.config;
        let config = Value::tuple([
            ("fee-bps", uint(config.fee_bps)),
            ("treasury", principal(&config.treasury)),
            ("arbiter", principal(&config.arbiter)),
            ("accept", uint(config.accept)),
            ("review", uint(config.review)),
            ("resolve", uint(config.resolve)),
            ("grace", uint(config.grace)),
            ("paused-until", uint(config.paused_until)),
        ])?;
        let variable = |contract: &Principal, name, value| Variable {
            contract: contract.clone(),
            name,
            value,
        };
        Ok(vec![
            variable(&at.data, "seq", uint(self.data.seq)),
            variable(&at.logic, "seq", uint(self.logic.seq)),
            variable(&at.logic, "last-project", uint(self.logic.last_project)),
            variable(&at.logic, "config", config),
            variable(&at.badges, "seq", uint(self.badges.seq)),
            variable(&at.badges, "last-id", uint(self.badges.last_id)),
            variable(&at.badges, "uri", Value::ascii(&self.badges.uri)?),
            variable(&at.security, "seq", uint(self.security.seq)),
            variable(&at.security, "epoch", uint(self.security.epoch)),
            variable(&at.security, "last-action", uint(self.security.last_action)),
        ])
    }

    fn data_entries(&self, entries: &mut Vec<Entry>) -> Result<(), BuildError> {
        let data = &self.data;
        let mut table = Table {
            contract: &self.contracts.data,
            entries,
        };
        for (map, flags) in [("writers", &data.writers), ("attestors", &data.attestors)] {
            for (who, on) in flags {
                table.put(map, principal(who), Value::Bool(*on));
            }
        }
        for (id, category) in &data.categories {
            let name = Value::ascii(&category.name)?;
            let value = Value::tuple([("name", name), ("on", Value::Bool(category.on))])?;
            table.put("categories", uint(*id), value);
        }
        for (user, profile) in &data.profiles {
            let handle = Value::ascii(&profile.handle)?;
            let value = Value::tuple([("handle", handle), ("meta", bytes(&profile.meta))])?;
            table.put("profiles", principal(user), value);
        }
        for (handle, user) in &data.handles {
            table.put("handles", Value::ascii(handle)?, principal(user));
        }
        for (user, account) in &data.x_accounts {
            let hash = ("handle-hash", bytes(&account.handle_hash));
            let value = Value::tuple([hash, ("expires", uint(account.expires))])?;
            table.put("x-accounts", principal(user), value);
        }
        for (hash, user) in &data.x_owners {
            table.put("x-owners", bytes(hash), principal(user));
        }
        for (user, stats) in &data.stats {
            table.put("stats", principal(user), stats_value(stats)?);
        }
        for ((user, asset), gross) in &data.earned {
            let key = Value::tuple([("user", principal(user)), ("asset", optional(asset))])?;
            table.put("earned", key, uint(*gross));
        }
        for ((writer, project), parties) in &data.closed {
            let key = Value::tuple([("writer", principal(writer)), ("project", uint(*project))])?;
            let value = Value::tuple([
                ("client", principal(&parties.client)),
                ("freelancer", principal(&parties.freelancer)),
            ])?;
            table.put("closed", key, value);
        }
        for ((writer, project, from), stars) in &data.ratings {
            let key = Value::tuple([
                ("writer", principal(writer)),
                ("project", uint(*project)),
                ("from", principal(from)),
            ])?;
            table.put("ratings", key, uint(*stars));
        }
        for ((epoch, board), anchor) in &data.anchors {
            let board = Value::ascii(board)?;
            let key = Value::tuple([("epoch", uint(*epoch)), ("board", board)])?;
            let root = ("root", bytes(&anchor.root));
            let value = Value::tuple([root, ("count", uint(anchor.count))])?;
            table.put("anchors", key, value);
        }
        Ok(())
    }

    fn logic_entries(&self, entries: &mut Vec<Entry>) -> Result<(), BuildError> {
        let mut table = Table {
            contract: &self.contracts.logic,
            entries,
        };
        for (id, project) in &self.logic.projects {
            table.put("projects", uint(*id), project_value(project)?);
        }
        for ((p, m), milestone) in &self.logic.milestones {
            let value = milestone_value(milestone)?;
            table.put("milestones", pair(*p, *m)?, value);
        }
        for ((p, m), offer) in &self.logic.offers {
            let by = ("by", principal(&offer.by));
            let value = Value::tuple([by, ("bps", uint(offer.bps)), ("until", uint(offer.until))])?;
            table.put("offers", pair(*p, *m)?, value);
        }
        for (asset, terms) in &self.logic.assets {
            let value = Value::tuple([
                ("enabled", Value::Bool(terms.enabled)),
                ("max", uint(terms.max)),
                ("decimals", uint(terms.decimals)),
            ])?;
            table.put("assets", optional(asset), value);
        }
        for (asset, locked) in &self.logic.locked {
            table.put("locked", optional(asset), uint(*locked));
        }
        Ok(())
    }

    fn badge_entries(&self, entries: &mut Vec<Entry>) -> Result<(), BuildError> {
        let badges = &self.badges;
        let mut table = Table {
            contract: &self.contracts.badges,
            entries,
        };
        for (who, on) in &badges.minters {
            table.put("minters", principal(who), Value::Bool(*on));
        }
        for (number, kind) in &badges.kinds {
            let value = Value::tuple([
                ("name", Value::ascii(&kind.name)?),
                ("projects", uint(kind.projects)),
                ("rating", uint(kind.rating)),
                ("needs-x", Value::Bool(kind.needs_x)),
            ])?;
            table.put("kinds", uint(*number), value);
        }
        for (id, badge) in &badges.badges {
            let owner = ("owner", principal(&badge.owner));
            let value = Value::tuple([owner, ("kind", uint(badge.kind))])?;
            table.put("badges", uint(*id), value);
        }
        let key = |user: &Principal, kind: u128| {
            Value::tuple([("user", principal(user)), ("kind", uint(kind))])
        };
        for ((user, kind), id) in &badges.owned {
            table.put("owned", key(user, *kind)?, uint(*id));
        }
        for ((user, kind), barred) in &badges.barred {
            table.put("barred", key(user, *kind)?, Value::Bool(*barred));
        }
        Ok(())
    }

    fn security_entries(&self, entries: &mut Vec<Entry>) -> Result<(), BuildError> {
        let security = &self.security;
        let mut table = Table {
            contract: &self.contracts.security,
            entries,
        };
        for (who, on) in &security.signers {
            table.put("signers", principal(who), Value::Bool(*on));
        }
        for (id, action) in &security.actions {
            table.put("actions", uint(*id), action_value(action)?);
        }
        let votes = [
            ("approved", &security.approved),
            ("rejected", &security.rejected),
        ];
        for (map, votes) in votes {
            for ((id, who), on) in votes {
                let key = Value::tuple([("id", uint(*id)), ("who", principal(who))])?;
                table.put(map, key, Value::Bool(*on));
            }
        }
        for (asset, budget) in &security.budgets {
            let value = Value::tuple([
                ("amount", uint(budget.amount)),
                ("period", uint(budget.period)),
                ("since", uint(budget.since)),
                ("spent", uint(budget.spent)),
            ])?;
            table.put("budgets", optional(asset), value);
        }
        Ok(())
    }
}

fn pair(p: u128, m: u128) -> Result<Value, BuildError> {
    Value::tuple([("p", uint(p)), ("m", uint(m))])
}

fn stats_value(stats: &Stats) -> Result<Value, BuildError> {
    Value::tuple([
        ("completed", uint(stats.completed)),
        ("settled", uint(stats.settled)),
        ("disputes", uint(stats.disputes)),
        ("lost", uint(stats.lost)),
        ("rating-sum", uint(stats.rating_sum)),
        ("rating-count", uint(stats.rating_count)),
    ])
}

fn project_value(project: &Project) -> Result<Value, BuildError> {
    Value::tuple([
        ("client", principal(&project.client)),
        ("freelancer", principal(&project.freelancer)),
        ("arbiter", principal(&project.arbiter)),
        ("asset", optional(&project.asset)),
        ("total", uint(project.total)),
        ("paid", uint(project.paid)),
        ("refunded", uint(project.refunded)),
        ("open", uint(project.open)),
        ("fee-bps", uint(project.fee_bps)),
        ("split-bps", uint(project.split_bps)),
        ("accept-until", uint(project.accept_until)),
        ("review", uint(project.review)),
        ("resolve", uint(project.resolve)),
        ("grace", uint(project.grace)),
        ("status", project.status.into()),
        ("meta", bytes(&project.meta)),
    ])
}

fn milestone_value(milestone: &Milestone) -> Result<Value, BuildError> {
    Value::tuple([
        ("amount", uint(milestone.amount)),
        ("due", uint(milestone.due)),
        ("status", milestone.status.into()),
        ("rev", uint(milestone.rev)),
        ("review-until", uint(milestone.review_until)),
        ("resolve-until", uint(milestone.resolve_until)),
        ("payout", uint(milestone.payout)),
        ("fee", uint(milestone.fee)),
        ("refund", uint(milestone.refund)),
    ])
}

fn action_value(action: &Action) -> Result<Value, BuildError> {
    Value::tuple([
        ("kind", Value::ascii(&action.kind)?),
        ("class", uint(action.class.code())),
        ("proposer", principal(&action.proposer)),
        ("epoch", uint(action.epoch)),
        ("eta", uint(action.eta)),
        ("expires", uint(action.expires)),
        ("approvals", uint(action.approvals)),
        ("rejections", uint(action.rejections)),
        ("status", uint(action.status.code())),
        ("args", action.args.to_value()?),
    ])
}

impl ActionArgs {
    /// The tuple that `propose` takes.
    ///
    /// # Errors
    /// The text is no ASCII.
    pub fn to_value(&self) -> Result<Value, BuildError> {
        Value::tuple([
            ("p1", optional(&self.p1)),
            ("p2", optional(&self.p2)),
            ("n1", uint(self.n1)),
            ("n2", uint(self.n2)),
            ("n3", uint(self.n3)),
            ("n4", uint(self.n4)),
            ("b", Value::Bool(self.b)),
            ("h", bytes(&self.h)),
            ("s", Value::ascii(&self.s)?),
        ])
    }
}
