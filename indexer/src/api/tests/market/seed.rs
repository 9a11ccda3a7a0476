//! A marketplace on the seeded blocks: its events as the contracts print them, its states as the
//! projections make them.
//!
//! a1 sets up, a2 opens projects 1 to 12, a3 accepts, a4 settles and awards, a5 ends project 1, a6 opens
//! project 13. b5 parts behind a4 and cancels project 3 instead.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use stxworx_clarity::events::field::{Hash, Uint};
use stxworx_clarity::events::{ActionArgs, Event as Typed, badges, data, logic, security};

use super::super::{Bed, hash};
use crate::model::{
    Block, BlockHash, BlockHeader, BurnBlockHash, Event, EventBody, EventKind, FollowSet,
    IndexBlockHash, Mirror, Transaction, TxId, TxKind, TxStatus,
};
use crate::project::market::testing::{
    self, Printer, badge_minted, contract, native_mint, opened, person, settled, text, transfer,
};
use crate::project::{States, apply_all, registry};

/// Address of a second deployment.
pub(crate) const SECOND: &str = "ST2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKQ9H6DPR";
/// The token that some projects are paid in.
pub(crate) const TOKEN: &str = "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM.token";

pub(crate) fn who(n: u8) -> String {
    person(n).to_string()
}

pub(crate) fn escrow() -> String {
    contract("freelance-logic")
}

/// One fork while it is told.
#[derive(Clone, Default)]
struct Fork {
    printer: Printer,
    states: States,
    locked: u128,
    /// A deployment at this address instead of the usual one.
    address: Option<&'static str>,
}

impl Fork {
    fn logic(&mut self, event: logic::LogicEvent) -> EventBody {
        self.printer.logic(event)
    }

    fn data(&mut self, event: data::DataEvent) -> EventBody {
        self.printer.print(Typed::Data(event))
    }

    fn security(&mut self, event: security::SecurityEvent) -> EventBody {
        self.printer.print(Typed::Security(event))
    }

    fn badges(&mut self, event: badges::BadgesEvent) -> EventBody {
        self.printer.print(Typed::Badges(event))
    }

    /// Project `n`, with its money. Odd ones are of client 1, the first six of freelancer 2, every third
    /// of arbiter 3; 4 and 8 are paid in the token.
    fn open(&mut self, n: u8) -> Vec<EventBody> {
        let logic::LogicEvent::ProjectOpened(mut event) = opened() else {
            return Vec::new();
        };
        event.project = Uint(n.into());
        event.client = person(if n % 2 == 1 { 1 } else { 11 });
        event.freelancer = person(if n <= 6 { 2 } else { 12 });
        event.arbiter = person(if n.is_multiple_of(3) { 3 } else { 13 });
        let mut money = transfer(&event.client.to_string(), &self.escrow(), event.total.0);
        if [4, 8].contains(&n) {
            event.asset = Some(TOKEN.parse().expect("a contract"));
            event.locked_after = Uint(if n == 4 { 5_000 } else { 10_000 });
            money.kind = EventKind::FtTransfer;
            money.contract = Some(TOKEN.to_owned());
            money.asset = Some("coin".to_owned());
        } else {
            self.locked += 5_000;
            event.locked_after = Uint(self.locked);
        }
        let print = self.logic(logic::LogicEvent::ProjectOpened(event));
        vec![money, print]
    }

    fn escrow(&self) -> String {
        self.here(escrow())
    }

    fn here(&self, contract: String) -> String {
        match self.address {
            None => contract,
            Some(address) => contract.replace(testing::ADDRESS, address),
        }
    }

    /// Applies the block's transactions; returns the statements that store it.
    fn block(&mut self, id: i64, height: u32, transactions: Vec<Vec<EventBody>>) -> String {
        // The seed has transactions 0 and 1.
        let first = if self.address.is_none() { 2 } else { 8 };
        let mut block = block(id, height);
        for (tx_index, bodies) in (first..).zip(transactions) {
            block
                .transactions
                .push(transaction(id, tx_index, &self.escrow()));
            for (ordinal, mut body) in (0..).zip(bodies) {
                body.contract = body.contract.map(|contract| self.here(contract));
                block.events.push(Event {
                    tx_index,
                    ordinal,
                    body,
                });
            }
        }
        let change = apply_all(&registry(), &block, &follow(), &mut self.states).expect("states");
        let mut sql = String::new();
        stored(&mut sql, id, &block);
        for version in change.versions {
            writeln!(
                sql,
                "insert into projection_version select greatest(max(id), 10000) + 1, {}, {id}, {height}, {}, '{}', '{}' from projection_version;",
                version.projection,
                version.position,
                version.entity,
                version.state.to_string().replace('\'', "''"),
            )
            .expect("a string");
        }
        sql
    }
}

fn follow() -> FollowSet {
    let names = ["data", "logic", "badges", "security"].map(|name| format!("freelance-{name}"));
    let both = |name: &String| [contract(name), format!("{SECOND}.{name}")];
    FollowSet {
        mirror: Mirror::Followed,
        contracts: names.iter().flat_map(both).collect(),
        principals: BTreeSet::new(),
    }
}

fn block(id: i64, height: u32) -> Block {
    let fork = if id > 10 { "b" } else { "a" };
    let name = |height: u32| hash(&format!("{fork}{height}"));
    Block {
        header: BlockHeader {
            id: name(height).parse().expect("a hash"),
            parent: IndexBlockHash::ZERO,
            height,
            block_hash: BlockHash::ZERO,
            block_time: None,
            burn_block_hash: BurnBlockHash::ZERO,
            burn_block_height: 100,
            burn_block_time: 0,
            consensus_hash: None,
            burn_view: None,
            miner_txid: Some(TxId::ZERO),
            tenure_height: None,
        },
        listed_transactions: 0,
        listed_events: 0,
        transactions: Vec::new(),
        events: Vec::new(),
    }
}

fn transaction(id: i64, tx_index: u32, contract: &str) -> Transaction {
    Transaction {
        tx_index,
        txid: hash(&format!("market{id}.{tx_index}"))
            .parse()
            .expect("a hash"),
        kind: TxKind::Undecoded,
        status: TxStatus::Success,
        sender: None,
        sponsor: None,
        nonce: None,
        fee: None,
        contract: Some(contract.to_owned()),
        function: None,
        raw_tx: vec![0],
        raw_result: vec![3],
        burnchain_op: None,
        vm_error: None,
    }
}

/// The block's transactions and events as rows.
fn stored(sql: &mut String, id: i64, block: &Block) {
    let height = block.header.height;
    for t in &block.transactions {
        writeln!(
            sql,
            "insert into transaction values ({id}, {}, {height}, '\\x{}', 'contract_call', 'success', 3, null, \
             null, 1, 1, 'act', '\\x80', '\\x03', null, null);",
            t.tx_index,
            hex::encode(t.txid.as_bytes())
        )
        .expect("a string");
    }
    for event in &block.events {
        let body = &event.body;
        let mut name = |name: &Option<String>| match name {
            None => "null".to_owned(),
            Some(name) => {
                writeln!(
                    sql,
                    "insert into principal select max(id) + 1, '{name}' from principal on conflict do nothing;"
                )
                .expect("a string");
                format!("(select id from principal where name = '{name}')")
            }
        };
        let (contract, sender, recipient) = (
            name(&body.contract),
            name(&body.sender),
            name(&body.recipient),
        );
        let quoted = |text: &Option<String>| {
            text.as_ref()
                .map_or("null".to_owned(), |text| format!("'{text}'"))
        };
        writeln!(
            sql,
            "insert into event values ({id}, {}, {}, {height}, {}, {contract}, {sender}, {recipient}, {}, null, {}, {}, {});",
            event.tx_index,
            event.ordinal,
            body.kind.code(),
            body.amount.map_or("null".to_owned(), |a| a.to_string()),
            quoted(&body.asset),
            quoted(&body.topic),
            body.value
                .as_ref()
                .map_or("null".to_owned(), |v| format!("'\\x{}'", hex::encode(v))),
        )
        .expect("a string");
    }
}

fn arguments() -> ActionArgs {
    ActionArgs {
        p1: None,
        p2: None,
        n1: Uint(500),
        n2: Uint(0),
        n3: Uint(0),
        n4: Uint(0),
        b: false,
        h: Hash([0; 32]),
        s: text(""),
    }
}

fn proposed(id: u128, kind: &str) -> security::SecurityEvent {
    security::SecurityEvent::ActionProposed(security::ActionProposed {
        id: Uint(id),
        class: Uint(1),
        kind: text(kind),
        args: arguments(),
        eta: Uint(244),
        expires: Uint(2_260),
        epoch: Uint(1),
    })
}

/// What was set when the contracts were new.
fn set_up(fork: &mut Fork) -> Vec<EventBody> {
    use logic::LogicEvent::{AssetSet, FeeSet};
    let asset = |asset: Option<&str>| logic::AssetSet {
        asset: asset.map(|id| id.parse().expect("a contract")),
        enabled: true,
        max: Uint(u128::MAX),
        decimals: Uint(6),
    };
    let genesis = security::Genesis {
        ver: text("1"),
        signers: vec![person(5), person(6)],
        critical: Uint(3),
        routine: Uint(2),
        emergency: Uint(2),
    };
    let budget = security::BudgetSet {
        asset: None,
        amount: Uint(9_000),
        period: Uint(144),
    };
    let kind = badges::KindSet {
        kind: Uint(1),
        name: text("first"),
        projects: Uint(1),
        rating: Uint(0),
        needs_x: false,
    };
    vec![
        fork.security(security::SecurityEvent::Genesis(genesis)),
        fork.security(security::SecurityEvent::BudgetSet(budget)),
        fork.logic(FeeSet(logic::FeeSet {
            old: Uint(500),
            new: Uint(1_000),
        })),
        fork.logic(AssetSet(asset(None))),
        fork.logic(AssetSet(asset(Some(TOKEN)))),
        fork.badges(badges::BadgesEvent::KindSet(kind)),
    ]
}

/// Milestone `m` of project 1 ends in favour of the freelancer.
fn settle(fork: &mut Fork, m: u128) -> Vec<EventBody> {
    let amount = 1_000 + m * 1_000;
    fork.locked -= amount;
    let event = logic::MilestoneSettled {
        m: Uint(m),
        amount: Uint(amount),
        payout: Uint(amount / 10 * 9),
        fee: Uint(amount / 10),
        project_status: Uint(m),
        locked_after: Uint(fork.locked),
        ..settled()
    };
    let paid = data::PaidRecorded {
        writer: person(9),
        user: person(2),
        client: person(1),
        asset: None,
        gross: Uint(amount),
        project: Uint(1),
        m: Uint(m),
        cause: text("release"),
        completed: m == 2,
        closed: m == 2,
        lost: None,
    };
    vec![
        transfer(&escrow(), &who(2), amount / 10 * 9),
        transfer(&escrow(), &who(8), amount / 10),
        fork.logic(logic::LogicEvent::MilestoneSettled(event)),
        fork.data(data::DataEvent::PaidRecorded(paid)),
    ]
}

fn award(fork: &mut Fork, id: u128, owner: u8, kind: u128) -> Vec<EventBody> {
    let mut event = badge_minted(id, &person(owner));
    if let badges::BadgesEvent::BadgeMinted(minted) = &mut event {
        minted.kind = Uint(kind);
    }
    vec![native_mint(id, &person(owner)), fork.badges(event)]
}

fn revoke(fork: &mut Fork, id: u128, owner: u8) -> Vec<EventBody> {
    let mut burn = EventBody::new(EventKind::NftBurn);
    burn.contract = Some(contract("freelance-badges"));
    burn.asset = Some("badge".to_owned());
    burn.sender = Some(who(owner));
    burn.value = Some(stxworx_clarity::codec::Value::UInt(id).encode());
    let event = badges::BadgeRevoked {
        id: Uint(id),
        owner: person(owner),
        kind: Uint(2),
        reason: Hash([7; 32]),
    };
    vec![burn, fork.badges(badges::BadgesEvent::BadgeRevoked(event))]
}

/// Blocks a2 to a4.
fn begun(fork: &mut Fork) -> String {
    let profile = data::DataEvent::ProfileSet(data::ProfileSet {
        user: person(2),
        handle: text("ada"),
        meta: Hash([1; 32]),
    });
    let mut two: Vec<_> = (1..=12).map(|n| fork.open(n)).collect();
    two.push(vec![fork.data(profile)]);
    let mut sql = fork.block(2, 2, two);
    let accepted = [1, 2].map(|n| {
        let event = logic::ProjectAccepted { project: Uint(n) };
        fork.logic(logic::LogicEvent::ProjectAccepted(event))
    });
    sql += &fork.block(3, 3, vec![accepted.to_vec()]);
    let mut strange = EventBody::new(EventKind::Contract);
    strange.contract = Some(escrow());
    strange.value = Some(vec![3]);
    let actions = vec![
        fork.security(proposed(1, "set-fee")),
        fork.security(proposed(2, "pause")),
        strange,
    ];
    let four = vec![
        settle(fork, 1),
        award(fork, 1, 2, 1),
        award(fork, 2, 2, 2),
        award(fork, 3, 1, 1),
        actions,
    ];
    sql + &fork.block(4, 4, four)
}

/// Blocks a5 and a6.
fn ended(fork: &mut Fork) -> String {
    let rated = data::DataEvent::Rated(data::Rated {
        writer: person(9),
        project: Uint(1),
        from: person(1),
        to: person(2),
        stars: Uint(5),
        comment: Hash([2; 32]),
    });
    let executed = security::SecurityEvent::ActionExecuted(security::ActionExecuted {
        id: Uint(1),
        kind: text("set-fee"),
    });
    let spent = security::SecurityEvent::Spent(security::Spent {
        asset: None,
        amount: Uint(70),
        to: person(7),
        reference: Hash([3; 32]),
        action: Uint(1),
    });
    let governed = vec![fork.security(executed), fork.security(spent)];
    let five = vec![
        settle(fork, 2),
        vec![fork.data(rated)],
        revoke(fork, 2, 2),
        governed,
    ];
    let sql = fork.block(5, 5, five);
    let last = fork.open(13);
    sql + &fork.block(6, 6, vec![last])
}

/// Block b5.
fn other_fork(fork: &mut Fork) -> String {
    fork.locked -= 5_000;
    let cancelled = logic::LogicEvent::ProjectCancelled(logic::ProjectCancelled {
        project: Uint(3),
        asset: None,
        cause: text("withdrawn"),
        refunded: Uint(5_000),
        locked_after: Uint(fork.locked),
    });
    let events = vec![transfer(&escrow(), &who(1), 5_000), fork.logic(cancelled)];
    fork.block(15, 5, vec![events])
}

/// The mirror follows the contracts of the usual deployment, and a node agrees with two of their chains.
const FOLLOWED: &str = "
update mirror set follow = jsonb_set(follow, '{contracts}', (follow -> 'contracts') || '[
    \"ST000000000000000000002AMW42H.freelance-data\", \"ST000000000000000000002AMW42H.freelance-logic\",
    \"ST000000000000000000002AMW42H.freelance-badges\", \"ST000000000000000000002AMW42H.freelance-security\"]');
insert into cursor_proof (contract, index_block_hash, height, seq, head, node_seq, node_head, verdict, checked_at)
    select v.entity, b.index_block_hash, 6, (v.state->>'seq')::numeric, decode(substr(v.state->>'head', 3), 'hex'),
           (v.state->>'seq')::numeric, decode(substr(v.state->>'head', 3), 'hex'), 'proved', '2026-01-02 03:04:06Z'
    from projection_current k join projection_version v on v.id = k.version_id
    cross join block b
    where k.projection = 4 and b.index_block_hash = h('a6')
      and split_part(k.entity, '.', 2) in ('freelance-logic', 'freelance-data');
";

/// Puts the marketplace on the seeded blocks.
pub(crate) async fn marketplace(bed: &Bed) {
    let mut sql = String::new();
    for projection in registry().iter().filter(|p| p.id() > 3) {
        writeln!(
            sql,
            "insert into projection values ({}, '{}', {});",
            projection.id(),
            projection.name(),
            projection.version()
        )
        .expect("a string");
    }
    let mut fork = Fork::default();
    let first = set_up(&mut fork);
    sql += &fork.block(1, 1, vec![first]);
    sql += &begun(&mut fork);
    let mut other = fork.clone();
    sql += &ended(&mut fork);
    sql += &other_fork(&mut other);
    sql += "select test_canonical('{1,2,3,4,5,6}');";
    sql += FOLLOWED;
    bed.run(sql).await;
}

/// A second deployment whose only project is opened in a5.
pub(crate) async fn second(bed: &Bed) {
    let mut fork = Fork {
        address: Some(SECOND),
        ..Fork::default()
    };
    let events = fork.open(1);
    let sql = fork.block(5, 5, vec![events]);
    bed.run(sql + "select test_canonical('{1,2,3,4,5,6}');")
        .await;
}
