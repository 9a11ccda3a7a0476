//! Blocks with events of the contracts, written as the contracts write them. For tests.

#![allow(missing_docs)]

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use stxworx_clarity::codec::{Principal, StandardPrincipal};
use stxworx_clarity::events::field::{Ascii, Hash, Uint};
use stxworx_clarity::events::{self, Envelope, MilestoneTerms, badges, data, logic, security};

use crate::model::{EventBody, EventKind};

pub const ADDRESS: &str = "ST000000000000000000002AMW42H";

pub fn contract(name: &str) -> String {
    format!("{ADDRESS}.{name}")
}

pub fn person(n: u8) -> Principal {
    Principal::Standard(StandardPrincipal::new(26, [n; 20]).expect("a version"))
}

pub fn text(text: &str) -> Ascii {
    Ascii(text.to_owned())
}

/// Prints with the links that the contracts would make.
#[derive(Default, Clone)]
pub struct Printer {
    heads: BTreeMap<&'static str, (u128, [u8; 32])>,
}

impl Printer {
    pub fn print(&mut self, event: events::Event) -> EventBody {
        let name = match &event {
            events::Event::Data(_) => data::DataEvent::CONTRACT,
            events::Event::Logic(_) => logic::LogicEvent::CONTRACT,
            events::Event::Badges(_) => badges::BadgesEvent::CONTRACT,
            events::Event::Security(_) => security::SecurityEvent::CONTRACT,
        };
        let (seq, prev) = self.heads.entry(name).or_default();
        *seq += 1;
        let topic = event.topic();
        let envelope = Envelope {
            seq: *seq,
            prev: *prev,
            burn_height: 100,
            by: person(9),
            event,
        };
        let raw = envelope.write().expect("a tuple").encode();
        *prev = Sha256::digest(&raw).into();
        let mut body = EventBody::new(EventKind::Contract);
        body.contract = Some(contract(name));
        body.topic = Some(topic.to_owned());
        body.value = Some(raw);
        body
    }

    pub fn logic(&mut self, event: logic::LogicEvent) -> EventBody {
        self.print(events::Event::Logic(event))
    }
}

/// 5,000 micro-STX in two milestones.
pub fn opened() -> logic::LogicEvent {
    let terms = |amount| MilestoneTerms {
        amount: Uint(amount),
        due: Uint(150),
    };
    logic::LogicEvent::ProjectOpened(logic::ProjectOpened {
        project: Uint(1),
        client: person(1),
        freelancer: person(2),
        arbiter: person(3),
        asset: None,
        total: Uint(5_000),
        fee_bps: Uint(1_000),
        split_bps: Uint(5_000),
        accept_until: Uint(110),
        review: Uint(6),
        resolve: Uint(6),
        grace: Uint(6),
        milestones: vec![terms(2_000), terms(3_000)],
        meta: Hash([4; 32]),
        locked_after: Uint(5_000),
    })
}

pub fn accepted() -> logic::LogicEvent {
    logic::LogicEvent::ProjectAccepted(logic::ProjectAccepted { project: Uint(1) })
}

/// The first milestone: 1,800 to the freelancer, 200 to the treasury.
pub fn settled() -> logic::MilestoneSettled {
    logic::MilestoneSettled {
        project: Uint(1),
        m: Uint(1),
        asset: None,
        cause: text("release"),
        bps: Uint(10_000),
        amount: Uint(2_000),
        payout: Uint(1_800),
        fee: Uint(200),
        refund: Uint(0),
        treasury: person(8),
        status: Uint(3),
        project_status: Uint(1),
        locked_after: Uint(3_000),
        recorded: true,
    }
}

pub fn transfer(from: &str, to: &str, amount: u128) -> EventBody {
    let mut body = EventBody::new(EventKind::StxTransfer);
    body.sender = Some(from.to_owned());
    body.recipient = Some(to.to_owned());
    body.amount = Some(amount);
    body
}

pub fn badge_minted(id: u128, owner: &Principal) -> badges::BadgesEvent {
    badges::BadgesEvent::BadgeMinted(badges::BadgeMinted {
        id: Uint(id),
        owner: owner.clone(),
        kind: Uint(1),
        via: text("mint"),
    })
}

pub fn native_mint(id: u128, owner: &Principal) -> EventBody {
    let mut body = EventBody::new(EventKind::NftMint);
    body.contract = Some(contract("freelance-badges"));
    body.asset = Some("badge".to_owned());
    body.recipient = Some(owner.to_string());
    body.value = Some(stxworx_clarity::codec::Value::UInt(id).encode());
    body
}

/// One event for each projection of the marketplace.
pub fn example() -> Vec<EventBody> {
    let mut printer = Printer::default();
    let escrow = contract("freelance-logic");
    let genesis = security::SecurityEvent::Genesis(security::Genesis {
        ver: text("1"),
        signers: vec![person(5), person(6)],
        critical: Uint(3),
        routine: Uint(2),
        emergency: Uint(2),
    });
    let proposed = security::SecurityEvent::ActionProposed(security::ActionProposed {
        id: Uint(1),
        class: Uint(1),
        kind: text("set-fee"),
        args: events::ActionArgs {
            p1: None,
            p2: Some(person(1)),
            n1: Uint(500),
            n2: Uint(0),
            n3: Uint(0),
            n4: Uint(0),
            b: false,
            h: Hash([0; 32]),
            s: text(""),
        },
        eta: Uint(244),
        expires: Uint(2_260),
        epoch: Uint(1),
    });
    let profile = data::DataEvent::ProfileSet(data::ProfileSet {
        user: person(2),
        handle: text("ada"),
        meta: Hash([1; 32]),
    });
    let mut strange = EventBody::new(EventKind::Contract);
    strange.contract = Some(escrow.clone());
    strange.value = Some(vec![3]);
    vec![
        transfer(&person(1).to_string(), &escrow, 5_000),
        printer.logic(opened()),
        printer.logic(accepted()),
        transfer(&escrow, &person(2).to_string(), 1_800),
        transfer(&escrow, &person(8).to_string(), 200),
        printer.logic(logic::LogicEvent::MilestoneSettled(settled())),
        printer.print(events::Event::Data(profile)),
        native_mint(1, &person(2)),
        printer.print(events::Event::Badges(badge_minted(1, &person(2)))),
        printer.print(events::Event::Security(genesis)),
        printer.print(events::Event::Security(proposed)),
        strange,
    ]
}
