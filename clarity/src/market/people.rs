//! Profiles, attestations, badges, leaderboards, and what has nothing to do with any of it.

use super::view::View;
use super::{Actor, Marketplace, call};
use crate::codec::transaction::Payload;
use crate::codec::value::AsciiString;
use crate::codec::{Principal, Value};
use crate::simnet::Simnet;

fn uint(n: u128) -> Value {
    Value::UInt(n)
}

fn ascii(text: &str) -> Value {
    AsciiString::new(text).map_or(Value::None, Value::Ascii)
}

impl Marketplace {
    /// One freelancer, or somebody about him.
    pub(super) fn person(&mut self, chain: &mut Simnet, out: &mut Vec<Vec<u8>>) {
        let number = if self.rng.percent(60) {
            self.rng.between(1, 3)
        } else {
            self.rng.between(1, self.freelancers)
        };
        let actor = Actor::of(&format!("freelancer-{number}"));
        let who = actor.principal();
        let attestor = Actor::of("attestor");
        let view = View::new(chain, &self.contracts);
        let burn = view.burn_height;
        let hash = Value::Buffer(self.rng.bytes::<32>().to_vec());
        if !view.has_profile(&who) || self.rng.percent(3) {
            let handle = ascii(&format!("worker-{number}-{}", self.rng.below(4)));
            return self.send(
                chain,
                &actor,
                call(&self.contracts.data, "set-profile", &[handle, hash]),
                None,
                out,
            );
        }
        let x = view.x_until(&who);
        let attests = view.is_attestor(&attestor.principal());
        if attests && x.is_none_or(|until| until < burn) && !number.is_multiple_of(5) {
            let account = Value::Buffer(
                crate::codec::sha512_256(format!("x-account-{number}").as_bytes()).to_vec(),
            );
            let arguments = [
                Value::Principal(who),
                account,
                uint(burn + u128::from(self.rng.between(3, 400))),
            ];
            return self.send(
                chain,
                &attestor,
                call(&self.contracts.data, "attest-x", &arguments),
                None,
                out,
            );
        }
        if attests && x.is_some() && self.rng.percent(4) {
            return self.send(
                chain,
                &attestor,
                call(&self.contracts.data, "revoke-x", &[Value::Principal(who)]),
                None,
                out,
            );
        }
        self.badge(chain, &actor, number, out);
    }

    /// The first badge that was earned and is not held; sometimes one that was not earned.
    fn badge(&mut self, chain: &mut Simnet, actor: &Actor, number: u64, out: &mut Vec<Vec<u8>>) {
        let who = actor.principal();
        let view = View::new(chain, &self.contracts);
        let (completed, sum, count) = view.stats(&who);
        let valid_x = view
            .x_until(&who)
            .is_some_and(|until| until >= view.burn_height);
        let earned = (1..=5).find(|kind| {
            view.kind(*kind).is_some_and(|(projects, rating, needs_x)| {
                let rated = rating == 0 || (count > 0 && sum * 100 >= rating * count);
                completed >= projects
                    && rated
                    && (!needs_x || valid_x)
                    && !view.holds_badge(&who, *kind)
            })
        });
        let kind = match earned {
            Some(kind) => kind,
            None if self.rng.percent(4) => 4,
            None => return,
        };
        if self.rng.percent(50) {
            if self.minter_apart {
                return;
            }
            let minter = Actor::of("minter");
            let arguments = [Value::Principal(who), uint(kind)];
            self.send(
                chain,
                &minter,
                call(&self.contracts.badges, "mint", &arguments),
                None,
                out,
            );
        } else if !self.minter_apart || number.is_multiple_of(4) {
            self.send(
                chain,
                actor,
                call(&self.contracts.badges, "claim", &[uint(kind)]),
                None,
                out,
            );
        }
    }

    /// Everything else that a chain sees.
    pub(super) fn noise(&mut self, chain: &mut Simnet, out: &mut Vec<Vec<u8>>) {
        let client = Actor::of(&format!("client-{}", self.rng.between(1, self.clients)));
        let memo = *b"noise\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        let transfer = |recipient, amount| Payload::TokenTransfer {
            recipient,
            amount,
            memo,
        };
        match self.rng.below(8) {
            0 => {
                let burn = View::new(chain, &self.contracts).burn_height;
                let root = Value::Buffer(self.rng.bytes::<32>().to_vec());
                let arguments = [
                    uint(burn / 10),
                    ascii("earnings"),
                    root,
                    uint(10),
                    ascii("sha256-v1"),
                    uint(burn - 10),
                    uint(burn),
                ];
                let payload = call(&self.contracts.data, "publish-leaderboard", &arguments);
                self.send(chain, &Actor::of("attestor"), payload, None, out);
            }
            // A gift to the escrow: its balance grows, what it owes does not.
            1 => {
                let escrow = Principal::Contract(self.contracts.logic.clone());
                let amount = self.rng.between(1, 1_000);
                self.send(chain, &client, transfer(escrow, amount), None, out);
            }
            2 => {
                let treasury = Principal::Contract(self.contracts.security.clone());
                let amount = self.rng.between(1, 1_000);
                self.send(chain, &client, transfer(treasury, amount), None, out);
            }
            3 => {
                let arguments = [
                    uint(self.rng.below(10_000_000_000).into()),
                    Value::Principal(client.principal()),
                ];
                self.send(
                    chain,
                    &client,
                    call(&self.contracts.token, "mint", &arguments),
                    None,
                    out,
                );
            }
            4 => {
                let arguments = [
                    uint(1),
                    Value::Principal(client.principal()),
                    Value::Principal(Actor::of("keeper").principal()),
                ];
                self.send(
                    chain,
                    &client,
                    call(&self.contracts.badges, "transfer", &arguments),
                    None,
                    out,
                );
            }
            5 => self.send(
                chain,
                &client,
                call(&self.contracts.logic, "set-fee", &[uint(0)]),
                None,
                out,
            ),
            6 => {
                let payload = call(
                    &self.contracts.logic,
                    "release",
                    &[uint(u128::MAX), uint(u128::MAX), Value::None],
                );
                self.send(chain, &client, payload, None, out);
            }
            _ => {
                let amount = self.rng.between(1, 5_000);
                self.send(
                    chain,
                    &client,
                    transfer(Actor::of("keeper").principal(), amount),
                    None,
                    out,
                );
            }
        }
    }
}
