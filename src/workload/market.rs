//! What happens on the made-up marketplace.

use super::SeededRng;
use super::chain::ChainBuilder;
use super::event::{Event, asset};
use super::network::{FOLLOWED, contract};
use super::tx::Tx;
use super::values::{account, ascii, event, uint};
use stxworx_clarity::codec::{ContractId, StandardPrincipal, Value};

const STX: u64 = 1_000_000;
/// Fee of a released milestone, in hundredths of a percent.
const FEE_BASIS_POINTS: u64 = 500;
/// Projects known at a time; the oldest is forgotten.
const OPEN_PROJECTS: usize = 500;

/// The accounts, contracts and open projects.
#[derive(Debug)]
pub(super) struct Market {
    rng: SeededRng,
    users: Vec<StandardPrincipal>,
    treasury: StandardPrincipal,
    followed: [ContractId; 4],
    others: Vec<ContractId>,
    projects: Vec<Project>,
    last_project: u64,
    last_badge: u64,
}

#[derive(Clone, Debug)]
struct Project {
    id: u64,
    client: StandardPrincipal,
    freelancer: StandardPrincipal,
    milestones: Vec<u64>,
    released: usize,
}

/// A call in the making.
struct Deed {
    function: &'static str,
    arguments: Vec<Value>,
    events: Vec<Event>,
    result: Value,
}

impl Market {
    /// A marketplace with at least one user and one contract of others.
    pub(super) fn new(chain: &ChainBuilder, users: u32, other_contracts: u32) -> Self {
        const OTHERS: [&str; 4] = ["amm-pool", "lending-vault", "gig-board", "name-registry"];
        let network = chain.network();
        let other = |number: u32| {
            let name = OTHERS[usize::try_from(number).unwrap_or(0) % OTHERS.len()];
            contract(
                &network.account(&format!("other-{number}")),
                &format!("{name}-{number}"),
            )
        };
        Self {
            rng: SeededRng::new(chain.options().seed ^ 0x6d61_726b_6574),
            users: (0..users.max(1))
                .map(|number| network.account(&format!("user-{number}")))
                .collect(),
            treasury: network.account("treasury"),
            followed: network.followed_contracts(),
            others: (0..other_contracts.max(1)).map(other).collect(),
            projects: Vec::new(),
            last_project: 0,
            last_badge: 0,
        }
    }

    /// The deployments of the followed contracts.
    pub(super) fn deployments(&self, chain: &ChainBuilder) -> Vec<Tx> {
        let deployer = chain.network().deployer();
        let deploy = |name: &str| {
            let code = format!(";; A stand-in for {name}.\n(define-public (noop) (ok true))\n");
            chain.deploy(&deployer, name, &code)
        };
        FOLLOWED.iter().map(|name| deploy(name)).collect()
    }

    /// A transfer between users.
    pub(super) fn transfer(&mut self, chain: &ChainBuilder) -> Tx {
        let (sender, recipient) = (self.user(), self.user());
        let memo = if self.rng.percent(30) {
            format!("invoice {}", self.rng.below(10_000))
        } else {
            String::new()
        };
        chain.transfer(
            &sender,
            &recipient,
            self.rng.between(1, 5_000) * STX / 10,
            &memo,
        )
    }

    /// A call that fails in one of the ways in which calls fail.
    pub(super) fn failure(&mut self, chain: &ChainBuilder) -> Tx {
        let (user, contract) = (self.user(), self.some_contract());
        let milestone = uint(self.rng.between(1, 4));
        let project = uint(self.rng.between(1, self.last_project.max(1)));
        let tx = chain.call(
            &user,
            &contract,
            "complete-milestone",
            &[project, milestone],
        );
        match self.rng.below(10) {
            0 => tx.runtime_error("DivisionByZero"),
            1 => tx
                .event(Event::stx_transfer(user, &contract, 7))
                .post_condition_failed(),
            _ => tx.refused(u128::from(self.rng.between(1_200, 1_230))),
        }
    }

    /// A call that prints exactly `prints` values, by a followed contract or by another one.
    pub(super) fn activity(&mut self, chain: &ChainBuilder, is_followed: bool, prints: u32) -> Tx {
        let contract = if is_followed {
            self.some_followed()
        } else {
            self.some_other()
        };
        let user = self.user();
        let mut deeds: Vec<Deed> = (0..prints).map(|_| self.deed(&contract, &user)).collect();
        let events: Vec<Event> = deeds
            .iter_mut()
            .flat_map(|deed| std::mem::take(&mut deed.events))
            .collect();
        let tx = match deeds.pop() {
            Some(deed) => chain
                .call(&user, &contract, deed.function, &deed.arguments)
                .ok(deed.result),
            None => chain.call(&user, &contract, "ping", &[]),
        };
        tx.events(events)
    }

    fn user(&mut self) -> StandardPrincipal {
        let index = self.rng.index(self.users.len());
        self.users.get(index).copied().unwrap_or(self.treasury)
    }

    fn some_contract(&mut self) -> ContractId {
        if self.rng.percent(50) {
            self.some_followed()
        } else {
            self.some_other()
        }
    }

    fn some_other(&mut self) -> ContractId {
        let [data, ..] = &self.followed;
        self.rng.pick(&self.others).unwrap_or(data).clone()
    }

    fn some_followed(&mut self) -> ContractId {
        let [data, logic, security, badges] = &self.followed;
        match self.rng.below(100) {
            0..60 => logic,
            60..80 => data,
            80..95 => badges,
            _ => security,
        }
        .clone()
    }

    /// Something that prints one value.
    fn deed(&mut self, contract: &ContractId, user: &StandardPrincipal) -> Deed {
        match &*contract.name {
            "freelance-data" => self.profile(contract, user),
            "freelance-security" => self.proposal(contract, user),
            "freelance-badges" => self.badge(contract),
            "freelance-logic" => self.project(contract, user),
            _ => self.swap(contract, user),
        }
    }

    fn project(&mut self, contract: &ContractId, user: &StandardPrincipal) -> Deed {
        let is_open = |project: &Project| project.released < project.milestones.len();
        self.projects.retain(is_open);
        if self.projects.is_empty() || self.rng.percent(35) {
            return self.create_project(contract, user);
        }
        let at = self.rng.index(self.projects.len());
        match self.rng.below(10) {
            0..4 => self.complete_milestone(contract, at),
            4..9 => self.release_milestone(contract, at),
            _ => self.refund(contract, at),
        }
    }

    fn create_project(&mut self, contract: &ContractId, client: &StandardPrincipal) -> Deed {
        self.last_project += 1;
        let (id, freelancer) = (self.last_project, self.user());
        let milestones: Vec<u64> = (0..self.rng.between(1, 4))
            .map(|_| self.rng.between(1, 50) * STX)
            .collect();
        let total: u64 = milestones.iter().sum();
        let mut arguments = vec![account(&freelancer)];
        arguments.extend(milestones.iter().map(|amount| uint(*amount)));
        let count = uint(u64::try_from(milestones.len()).unwrap_or(0));
        let print = event(
            "project-created",
            [
                ("project-id", uint(id)),
                ("client", account(client)),
                ("freelancer", account(&freelancer)),
                ("total", uint(total)),
                ("milestones", count),
                ("token", ascii("STX")),
            ],
        );
        self.projects.push(Project {
            id,
            client: *client,
            freelancer,
            milestones,
            released: 0,
        });
        if self.projects.len() > OPEN_PROJECTS {
            self.projects.remove(0);
        }
        let events = vec![
            Event::stx_transfer(client, contract, u128::from(total)),
            Event::print(contract, print),
        ];
        Deed {
            function: "create-project",
            arguments,
            events,
            result: uint(id),
        }
    }

    fn complete_milestone(&mut self, contract: &ContractId, at: usize) -> Deed {
        let project = &self.projects[at];
        let milestone = u64::try_from(project.released + 1).unwrap_or(1);
        let arguments = vec![uint(project.id), uint(milestone)];
        let print = event(
            "milestone-completed",
            [
                ("project-id", uint(project.id)),
                ("milestone", uint(milestone)),
            ],
        );
        let events = vec![Event::print(contract, print)];
        Deed {
            function: "complete-milestone",
            arguments,
            events,
            result: Value::Bool(true),
        }
    }

    fn release_milestone(&mut self, contract: &ContractId, at: usize) -> Deed {
        let project = &mut self.projects[at];
        let amount = project
            .milestones
            .get(project.released)
            .copied()
            .unwrap_or(STX);
        project.released += 1;
        let milestone = u64::try_from(project.released).unwrap_or(1);
        let fee = amount * FEE_BASIS_POINTS / 10_000;
        let payout = amount - fee;
        let print = event(
            "milestone-released",
            [
                ("project-id", uint(project.id)),
                ("milestone", uint(milestone)),
                ("payout", uint(payout)),
                ("fee", uint(fee)),
            ],
        );
        let events = vec![
            Event::stx_transfer(contract, project.freelancer, u128::from(payout)),
            Event::stx_transfer(contract, self.treasury, u128::from(fee)),
            Event::print(contract, print),
        ];
        let arguments = vec![uint(project.id), uint(milestone)];
        Deed {
            function: "release-milestone",
            arguments,
            events,
            result: uint(payout),
        }
    }

    fn refund(&mut self, contract: &ContractId, at: usize) -> Deed {
        let project = self.projects.remove(at);
        let amount: u64 = project.milestones.iter().skip(project.released).sum();
        let print = event(
            "full-refund",
            [("project-id", uint(project.id)), ("amount", uint(amount))],
        );
        let events = vec![
            Event::stx_transfer(contract, project.client, u128::from(amount)),
            Event::print(contract, print),
        ];
        Deed {
            function: "request-refund",
            arguments: vec![uint(project.id)],
            events,
            result: uint(amount),
        }
    }

    fn profile(&mut self, contract: &ContractId, user: &StandardPrincipal) -> Deed {
        if self.rng.percent(40) {
            let username = format!("worker{}", self.rng.below(1_000_000));
            let print = event(
                "user-created",
                [("user", account(user)), ("username", ascii(&username))],
            );
            return Deed {
                function: "create-profile",
                arguments: vec![ascii(&username)],
                events: vec![Event::print(contract, print)],
                result: Value::Bool(true),
            };
        }
        let earned = self.rng.between(1, 500) * STX;
        let print = event(
            "stats-updated",
            [("user", account(user)), ("earned", uint(earned))],
        );
        Deed {
            function: "update-stats",
            arguments: vec![account(user), uint(earned)],
            events: vec![Event::print(contract, print)],
            result: Value::Bool(true),
        }
    }

    fn proposal(&mut self, contract: &ContractId, user: &StandardPrincipal) -> Deed {
        let proposal = uint(self.rng.between(1, 40));
        let print = event(
            "proposal-approved",
            [
                ("proposal-id", proposal.clone()),
                ("approver", account(user)),
            ],
        );
        Deed {
            function: "approve-proposal",
            arguments: vec![proposal],
            events: vec![Event::print(contract, print)],
            result: Value::Bool(true),
        }
    }

    fn badge(&mut self, contract: &ContractId) -> Deed {
        self.last_badge += 1;
        let (id, recipient, kind) = (self.last_badge, self.user(), self.rng.between(1, 5));
        let print = event(
            "badge-minted",
            [
                ("token-id", uint(id)),
                ("recipient", account(&recipient)),
                ("kind", uint(kind)),
            ],
        );
        let badge = asset(contract, "badge");
        Deed {
            function: "mint-badge",
            arguments: vec![account(&recipient), uint(kind)],
            events: vec![
                Event::nft_mint(&badge, recipient, uint(id)),
                Event::print(contract, print),
            ],
            result: uint(id),
        }
    }

    fn swap(&mut self, contract: &ContractId, user: &StandardPrincipal) -> Deed {
        let (amount, out) = (
            self.rng.between(1, 900) * STX / 100,
            self.rng.between(1, 1_000_000),
        );
        let token = asset(contract, "share");
        let print = event(
            "swap",
            [
                ("sender", account(user)),
                ("dx", uint(amount)),
                ("dy", uint(out)),
                ("pool", ascii("STX-SHARE")),
            ],
        );
        let events = vec![
            Event::stx_transfer(user, contract, u128::from(amount)),
            Event::ft_mint(&token, user, u128::from(out)),
            Event::print(contract, print),
        ];
        Deed {
            function: "swap",
            arguments: vec![uint(amount), uint(out / 2)],
            events,
            result: uint(out),
        }
    }
}
