//! The faults that are played, each with the class of drift that it stands for, and what must be found.

use super::mutations::Lie;

/// What a fault is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thing {
    /// A project under way of which nothing was handed in or paid.
    Active,
    /// A project that nobody accepted yet.
    Open,
    /// A project that is over.
    Ended,
    /// A project that paid a milestone.
    Paid,
    /// Somebody who earned something.
    User,
    /// The same, with a kind of badge that they do not have.
    Unbadged,
    /// A badge.
    Badge,
    /// A fee, or a payment of the treasury.
    Transfer,
    /// Nothing of its own.
    Whole,
}

impl Thing {
    /// Columns with the placeholders that they fill.
    pub fn names(self) -> [(&'static str, &'static str); 3] {
        match self {
            Self::Active | Self::Open | Self::Ended | Self::Paid => {
                [("id", "{P}"), ("on_chain_id", "{N}"), ("token_type", "{T}")]
            }
            Self::User => [("id", "{U}"), ("address", "{A}"), ("ordinal", "{O}")],
            Self::Unbadged => [("id", "{U}"), ("address", "{A}"), ("kind", "{K}")],
            Self::Badge => [("id", "{B}"), ("holder", "{H}"), ("token_id", "{N}")],
            Self::Transfer => [("id", "{D}"), ("tx_id", "{X}"), ("amount", "{Z}")],
            Self::Whole => [("ordinal", "{O}"), ("1", "{X}"), ("1", "{Y}")],
        }
    }

    /// Those that the platform has.
    pub fn query(self) -> &'static str {
        match self {
            Self::Active => {
                "select *, on_chain_id as ordinal from projects where status in ('ACTIVE', 'UNDER_REVIEW')
                 and milestone_1_funded and not milestone_1_released and milestone_1_complete is false"
            }
            Self::Open => {
                "select *, on_chain_id as ordinal from projects where status = 'OPEN'"
            }
            Self::Ended => {
                "select *, on_chain_id as ordinal from projects where status in ('REFUNDED', 'COMPLETED', 'CANCELLED')"
            }
            Self::Paid => {
                "select *, on_chain_id as ordinal from projects where milestone_1_released and status = 'COMPLETED'"
            }
            Self::User => {
                "select id, stx_address as address, row_number() over (order by id) as ordinal from users
                 where total_earned > 0"
            }
            Self::Unbadged => {
                "select u.id, u.stx_address as address, k as kind, row_number() over (order by u.id, k) as ordinal
                 from users u cross join generate_series(1, 5) k where u.total_earned > 0
                 and not exists (select from nft_achievements a where a.user_id = u.id and a.achievement_type = k::text)"
            }
            Self::Badge => {
                "select a.id, u.stx_address || '/' || a.achievement_type as holder, a.token_id, a.token_id as ordinal
                 from nft_achievements a join users u on u.id = a.user_id"
            }
            Self::Transfer => {
                "select *, row_number() over (order by id) as ordinal from dao_transactions where amount > 1
                 and tx_id in (select tx_id from dao_transactions group by 1 having count(*) = 1)"
            }
            Self::Whole => "select 1 as ordinal",
        }
    }
}

/// Where the fault is.
#[derive(Debug, Clone)]
pub enum Side {
    /// A statement there.
    Platform(&'static str),
    /// A value of the newest state of an entity (the end of its name) of a projection: its path, and an expression of
    /// the old one, `v`.
    Mirror(i16, &'static str, &'static str, &'static str),
    /// A lie.
    Node(Lie),
}

/// A fault.
#[derive(Debug)]
pub struct Mutation {
    pub name: &'static str,
    pub side: Side,
    pub thing: Thing,
    /// What nobody else may touch meanwhile.
    pub holds: &'static [&'static str],
    /// Rule, kind and key of the subject, who is at fault.
    pub finds: &'static [&'static str],
}

type Finds = &'static [&'static str];

const fn project(name: &'static str, sql: &'static str, finds: Finds) -> Mutation {
    Mutation {
        name,
        side: Side::Platform(sql),
        thing: Thing::Active,
        holds: &["project {N}"],
        finds,
    }
}

const fn badge(name: &'static str, sql: &'static str, finds: Finds) -> Mutation {
    Mutation {
        name,
        side: Side::Platform(sql),
        thing: Thing::Badge,
        holds: &["badge {B}"],
        finds,
    }
}

const fn user(name: &'static str, sql: &'static str, finds: Finds) -> Mutation {
    Mutation {
        name,
        side: Side::Platform(sql),
        thing: Thing::User,
        holds: &["user {U}"],
        finds,
    }
}

const fn transfer(name: &'static str, sql: &'static str, finds: Finds) -> Mutation {
    Mutation {
        name,
        side: Side::Platform(sql),
        thing: Thing::Transfer,
        holds: &["transfer {X}"],
        finds,
    }
}

const fn of_project(
    name: &'static str,
    thing: Thing,
    (path, value): (&'static str, &'static str),
    finds: Finds,
) -> Mutation {
    Mutation {
        name,
        side: Side::Mirror(10, "/{N}", path, value),
        thing,
        holds: &["project {N}"],
        finds,
    }
}

const fn of_stx(
    name: &'static str,
    (path, value): (&'static str, &'static str),
    finds: Finds,
) -> Mutation {
    Mutation {
        name,
        side: Side::Mirror(11, "|STX", path, value),
        thing: Thing::Whole,
        holds: &["asset STX"],
        finds,
    }
}

fn lie(
    name: &'static str,
    (thing, lie): (Thing, Lie),
    holds: &'static [&'static str],
    finds: Finds,
) -> Mutation {
    Mutation {
        name,
        side: Side::Node(lie),
        thing,
        holds,
        finds,
    }
}

const UNIT_MORE: &str = "to_jsonb(((v #>> '{}')::numeric + 1)::text)";
const NOBODY: &str = "to_jsonb('ST000000000000000000002AMW42H'::text)";

pub static MUTATIONS: std::sync::LazyLock<Vec<Mutation>> = std::sync::LazyLock::new(|| {
    let mut all = on_the_platform();
    all.extend(in_the_mirror());
    all.extend(at_the_node());
    all
});

fn on_the_platform() -> Vec<Mutation> {
    let mut all = projects();
    all.extend(people());
    all.extend(transfers());
    all
}

fn transfers() -> Vec<Mutation> {
    vec![
        transfer(
            "a fee that was never recorded",
            "delete from dao_transactions where id = '{D}'",
            &["F4 treasury_tx {X} platform"],
        ),
        transfer(
            "a fee of another amount",
            "update dao_transactions set amount = amount - 1 where id = '{D}'",
            &["F4 treasury_tx {X} platform"],
        ),
        transfer(
            "a fee of another asset",
            "update dao_transactions set token_type = 'ST000000000000000000002AMW42H.fake-token' where id = '{D}'",
            &["F4 treasury_tx {X} platform"],
        ),
        transfer(
            "an address that a column of fifty characters cut off",
            "update dao_transactions set to_address = left(to_address, 50) where id = '{D}'",
            &["F4 treasury_tx {X} platform"],
        ),
        transfer(
            "a fee that was recorded twice",
            "insert into dao_transactions select 'xtwice', from_address, to_address, amount, token_type, tx_id
                 from dao_transactions where id = '{D}'",
            &["F4 treasury_tx {X} platform"],
        ),
        transfer(
            "a payment that never was",
            "insert into dao_transactions select 'xnever', from_address, to_address, amount, token_type, '0x' || repeat('cd', 32)
                 from dao_transactions where id = '{D}'",
            &["F4 treasury_tx 0xcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd platform"],
        ),
        transfer(
            "a fee with a fraction of a unit",
            "update dao_transactions set amount = amount + 0.5 where id = '{D}'",
            &["F6 treasury_tx {X} platform"],
        ),
        transfer(
            "a fee without its transaction",
            "update dao_transactions set tx_id = null where id = '{D}'",
            &["F6 platform_transfer {D} platform", "F4 treasury_tx {X} platform"],
        ),
    ]
}

fn projects() -> Vec<Mutation> {
    vec![
        project(
            "a transaction that opened another project",
            "update projects set tx_id = (select tx_id from projects where id <> '{P}' order by id limit 1) where id = '{P}'",
            &["P4 project {N} platform"],
        ),
        project(
            "a transaction that never was",
            "update projects set tx_id = '0x' || repeat('ab', 32) where id = '{P}'",
            &["P4 project {N} platform"],
        ),
        project(
            "a project that was never linked",
            "update projects set on_chain_id = null, status = 'PENDING' where id = '{P}'",
            &[
                "P4 platform_project {P} platform",
                "P9 project {N} platform",
            ],
        ),
        project(
            "a number that the contract never gave",
            "update projects set on_chain_id = 987654321 where id = '{P}'",
            &[
                "P4 platform_project {P} platform",
                "P9 platform_project {P} platform",
                "P9 project {N} platform",
            ],
        ),
        project(
            "two rows that point to one escrow",
            "insert into projects select (jsonb_populate_record(p, '{\"id\": \"xdouble\"}')).* from projects p where id = '{P}'",
            &["P1 project {N} platform"],
        ),
        project(
            "a row that was lost",
            "delete from projects where id = '{P}'",
            &["P9 project {N} platform"],
        ),
        project(
            "a payment that was claimed early",
            "update projects set milestone_1_released = true where id = '{P}'",
            &["P11 project {N} platform"],
        ),
        project(
            "a project that was called completed by hand",
            "update projects set status = 'COMPLETED' where id = '{P}'",
            &["P3 project {N} platform"],
        ),
        project(
            "a refund that was claimed and never made",
            "update projects set status = 'REFUNDED' where id = '{P}'",
            &["P3 project {N} platform"],
        ),
        Mutation {
            thing: Thing::Ended,
            ..project(
                "a refund that was never recorded",
                "update projects set status = 'ACTIVE' where id = '{P}'",
                &["P3 project {N} platform"],
            )
        },
        project(
            "a dropped transaction that was called failed",
            "update projects set status = 'FAILED' where id = '{P}'",
            &["P8 project {N} platform"],
        ),
        project(
            "an amount that a column of 32 bits cut off",
            "update projects set total_amount = 2147483647 where id = '{P}'",
            &["P2 project {N} platform"],
        ),
        project(
            "an amount in STX that should be in micro-STX",
            "update projects set total_amount = trunc(total_amount / 1000000) where id = '{P}'",
            &["P2 project {N} platform"],
        ),
        project(
            "a token that only calls itself the same",
            "update projects set token_type = 'ST000000000000000000002AMW42H.fake-token' where id = '{P}'",
            &["P2 project {N} platform"],
        ),
        project(
            "an address with a wrong checksum",
            "update projects set client_address = 'ST000000000000000000002AMW42X' where id = '{P}'",
            &["P8 project {N} platform"],
        ),
    ]
}

fn people() -> Vec<Mutation> {
    vec![
        Mutation {
            thing: Thing::Unbadged,
            ..user(
                "a badge that was claimed and never minted",
                "insert into nft_achievements values ('xbadge', '{U}', 1700000000000, '{K}', null)",
                &["B7 badge {A}/{K} platform"],
            )
        },
        badge(
            "a badge with a number that was made up",
            "update nft_achievements set token_id = 1700000000000 where id = '{B}'",
            &["B7 badge {H} platform"],
        ),
        badge(
            "a badge that another transaction minted",
            "update nft_achievements set mint_tx_id = '0x' || repeat('ab', 32) where id = '{B}'",
            &["B7 badge {H} platform"],
        ),
        badge(
            "a badge that is shown twice",
            "insert into nft_achievements select 'xdouble', user_id, token_id, achievement_type, mint_tx_id
                 from nft_achievements where id = '{B}'",
            &["B8 badge {H} platform"],
        ),
        badge(
            "a badge that is not shown",
            "delete from nft_achievements where id = '{B}'",
            &["B8 badge {H} platform"],
        ),
        badge(
            "a badge of a kind that is none",
            "update nft_achievements set achievement_type = 'on fire' where id = '{B}'",
            &["B10 platform_badge {B} platform", "B8 badge {H} platform"],
        ),
        user(
            "sums of two assets as if they were one",
            "update users set total_earned = total_earned + 1 where id = '{U}'",
            &["P5 user {A} platform"],
        ),
        user(
            "a project completed that was not",
            "update users set completed_projects = completed_projects + 1 where id = '{U}'",
            &["P5 user {A} platform"],
        ),
        user(
            "an X account that nobody attested",
            "update x_integrations set verified = not verified where user_id = '{U}'",
            &["P13 user {A} platform"],
        ),
        user(
            "a sum that is none",
            "update users set total_earned = 'NaN' where id = '{U}'",
            &["P14 user {A} platform"],
        ),
    ]
}

fn in_the_mirror() -> Vec<Mutation> {
    vec![
        Mutation {
            // What a project locks is a part of what its asset locks.
            holds: &["project {N}", "asset {T}"],
            ..of_project(
                "a project paid a unit more",
                Thing::Active,
                ("{paid}", UNIT_MORE),
                &[
                    "E1 project {N} mirror",
                    "E18 project {N} mirror",
                    "F7 asset {T} mirror",
                ],
            )
        },
        of_project(
            "a project of another arbiter",
            Thing::Active,
            ("{arbiter}", NOBODY),
            &["E18 project {N} mirror"],
        ),
        of_project(
            "a project of another client, which is not the platform's fault",
            Thing::Active,
            ("{client}", NOBODY),
            &["E18 project {N} mirror", "P2 project {N} mirror"],
        ),
        of_project(
            "a milestone of a unit more",
            Thing::Open,
            ("{milestones,0,amount}", UNIT_MORE),
            &[
                "E1 project {N} mirror",
                "E3 project {N} mirror",
                "E18 project {N} mirror",
                "P2 project {N} mirror",
            ],
        ),
        of_project(
            "a fee of a unit more, from the payout",
            Thing::Paid,
            (
                "{milestones,0}",
                "v.state #> '{milestones,0}'
                     || jsonb_build_object('fee', ((v.state #>> '{milestones,0,fee}')::numeric + 1)::text,
                                           'payout', ((v.state #>> '{milestones,0,payout}')::numeric - 1)::text)",
            ),
            &[
                "E1 project {N} mirror",
                "E7 project {N} mirror",
                "E18 project {N} mirror",
            ],
        ),
        of_project(
            "a project that is over in the mirror alone",
            Thing::Active,
            ("{status}", "to_jsonb('completed'::text)"),
            &[
                "E11 project {N} mirror",
                "E18 project {N} mirror",
                "P3 project {N} mirror",
            ],
        ),
        of_stx(
            "a unit more locked, which a gift would cover",
            ("{locked}", UNIT_MORE),
            &[
                "E17 asset STX mirror",
                "E18 asset STX mirror",
                "F7 asset STX mirror",
            ],
        ),
        of_stx(
            "a transfer that was missed",
            ("{sent}", UNIT_MORE),
            &["E16 asset STX mirror", "E17 asset STX mirror"],
        ),
        Mutation {
            name: "a badge that the token gave to somebody else",
            side: Side::Mirror(13, "/{N}", "{native_owner}", NOBODY),
            thing: Thing::Badge,
            holds: &["badge {B}"],
            finds: &["B6 badge {H} mirror", "E18 token {N} mirror"],
        },
        Mutation {
            name: "somebody who earned a unit more, which is not the platform's fault",
            side: Side::Mirror(12, "/{A}", "{earned,STX}", UNIT_MORE),
            thing: Thing::User,
            holds: &["user {U}"],
            finds: &["P5 user {A} mirror"],
        },
    ]
}

fn at_the_node() -> Vec<Mutation> {
    let answer = |function, asked: &str| Lie::Answer(function, asked.to_owned());
    vec![
        lie(
            "a node that tells half of a balance",
            (Thing::Whole, Lie::Less),
            &["asset STX"],
            &["E16 asset STX node", "E18 balance STX node"],
        ),
        lie(
            "a node that tells a unit too many",
            (Thing::Whole, Lie::More),
            &["asset STX"],
            &["E16 asset STX node"],
        ),
        lie(
            "a node that tells another total of a project",
            (Thing::Active, answer("/get-project", "{HEX}")),
            &["project {N}"],
            &["E18 project {N} node"],
        ),
        lie(
            "a node that tells another owner of a badge",
            (Thing::Badge, answer("/get-owner", "{HEX}")),
            &["badge {B}"],
            &["E18 token {N} node"],
        ),
        lie(
            "a node with another cursor",
            (Thing::Whole, answer("freelance-logic/get-cursor", "")),
            &["cursor"],
            &["E18 contract freelance-logic node"],
        ),
        lie(
            "a node that does not answer",
            (Thing::Whole, Lie::Silent),
            &["everything"],
            &[],
        ),
    ]
}
