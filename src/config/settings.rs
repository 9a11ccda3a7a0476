//! The table of settings.

use std::fmt::Write as _;

use super::mint::MINT;
use super::mint_key::ACCESS;

/// What a setting holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// A list of texts; separated by commas in the environment.
    List,
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Key in the file: `section.name`.
    pub key: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Its default, as TOML.
    pub default: &'static str,
    /// Meaning and unit.
    pub help: &'static str,
    /// Hidden in every output.
    pub secret: bool,
}

impl Setting {
    /// The environment variable that sets it.
    pub fn env(&self) -> String {
        if self.key == "database.url" {
            return "DATABASE_URL".to_owned();
        }
        format!("STXWORX_{}", self.key.replace('.', "_").to_uppercase())
    }
}

pub(super) const fn setting(
    key: &'static str,
    kind: Kind,
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting {
        key,
        kind,
        default,
        help,
        secret: false,
    }
}

/// Every setting, in the order of the example file.
pub const SETTINGS: &[Setting] = &joined();

/// How many there are.
const ALL: usize = FIRST.len() + MINT.len() + ACCESS.len();

/// The settings of this file, then those of the mints.
const fn joined() -> [Setting; ALL] {
    let mut all = [FIRST[0]; ALL];
    let lists = [FIRST, MINT, ACCESS];
    let (mut list, mut of_list, mut at) = (0, 0, 0);
    while at < ALL {
        if of_list == lists[list].len() {
            list += 1;
            of_list = 0;
        }
        all[at] = lists[list][of_list];
        of_list += 1;
        at += 1;
    }
    all
}

const FIRST: &[Setting] = &[
    setting(
        "network",
        Kind::Text,
        "\"devnet\"",
        "Stacks network: mainnet, testnet or devnet.",
    ),
    setting(
        "data_dir",
        Kind::Text,
        "\".data\"",
        "Folder of the embedded Postgres. Used only while database.url is empty.",
    ),
    Setting {
        key: "database.url",
        kind: Kind::Text,
        default: "\"\"",
        help: "Postgres 15 or newer: postgres://USER:PASSWORD@HOST/DATABASE. Empty: an embedded one is started.",
        secret: true,
    },
    setting(
        "database.max_connections",
        Kind::Integer,
        "8",
        "Connections of the writer and of the API, each; at least 2.",
    ),
    setting(
        "follow.mirror",
        Kind::Text,
        "\"all\"",
        "all: every transaction and event. followed: only those that touch what is named below; headers of all blocks.",
    ),
    setting(
        "follow.contracts",
        Kind::List,
        "[\"*\"]",
        "Contract ids that are followed (their cursors and activity are projected); \"*\" for every contract.",
    ),
    setting(
        "follow.principals",
        Kind::List,
        "[]",
        "Principals whose transfers are projected, besides the contracts named above.",
    ),
    setting(
        "observer.listen",
        Kind::Text,
        "\"127.0.0.1:3700\"",
        "Where a Stacks node posts to: the endpoint of its [[events_observer]]. Keep it private: it has no authentication.",
    ),
    setting(
        "observer.body_limit_bytes",
        Kind::Integer,
        "500000000",
        "Largest body in bytes. A larger one is refused, and the node stands still until this is raised.",
    ),
    setting(
        "node.rpc_url",
        Kind::Text,
        "\"\"",
        "RPC of a node: each contract's chain of events is compared with the contract's own cursor there. Empty: it is not.",
    ),
    Setting {
        key: "node.auth_token",
        kind: Kind::Text,
        default: "\"\"",
        help: "That node's connection_options.auth_token: with it, the node replays blocks for us. Empty: it does not.",
        secret: true,
    },
    setting(
        "node.timeout_ms",
        Kind::Integer,
        "5000",
        "How long that node may take for an answer, in ms.",
    ),
    setting(
        "node.audit_pause_ms",
        Kind::Integer,
        "1000",
        "Pause between two comparisons, in ms. Only the newest tip is compared.",
    ),
    setting(
        "api_source.urls",
        Kind::List,
        "[]",
        "Base URLs of Stacks APIs to read from, the preferred one first, for instance https://api.hiro.so. Needs follow.mirror = \"followed\".",
    ),
    Setting {
        key: "api_source.key",
        kind: Kind::Text,
        default: "\"\"",
        help: "Key of these APIs, sent as x-api-key. Empty: none.",
        secret: true,
    },
    setting(
        "api_source.timeout_ms",
        Kind::Integer,
        "15000",
        "How long such an API may take for an answer, in ms.",
    ),
    setting(
        "api_source.concurrency",
        Kind::Integer,
        "8",
        "Most questions to one such API at the same time. It begins with one, and takes back when the API is overrun.",
    ),
    setting(
        "api_source.websocket",
        Kind::Text,
        "\"\"",
        "Websocket of such an API, for instance wss://api.hiro.so/extended/v1/ws: it only hints at new blocks. Empty: they are polled for.",
    ),
    setting(
        "sources.follow",
        Kind::Text,
        "\"none\"",
        "Who is asked for the tip, besides the observer: none, node or api.",
    ),
    setting(
        "sources.repair",
        Kind::List,
        "[\"node\", \"api\"]",
        "Who is asked for a block that others wait for, in this order: node, api. Those that are not set up are left out.",
    ),
    setting(
        "sources.poll_ms",
        Kind::Integer,
        "2000",
        "Pause between two looks at the tip of sources.follow, in ms.",
    ),
    setting(
        "sources.walk_blocks",
        Kind::Integer,
        "300",
        "Blocks held in memory on the way from a new tip down to a known block; beyond, the common block is searched by height.",
    ),
    setting(
        "sources.repair_grace_ms",
        Kind::Integer,
        "5000",
        "How long a block may be late before it is asked for, in ms.",
    ),
    setting(
        "sources.repair_blocks",
        Kind::Integer,
        "10000",
        "Blocks fetched for one gap before it is given up for a while; longer ones are for `stxworx backfill`.",
    ),
    setting(
        "sources.repair_attempts",
        Kind::Integer,
        "5",
        "Attempts at a missing block, each at every source, before the gap is given up for a while.",
    ),
    setting(
        "sources.repair_rest_ms",
        Kind::Integer,
        "60000",
        "How long a gap that was given up rests before it is tried again, in ms.",
    ),
    setting(
        "lease.ttl_ms",
        Kind::Integer,
        "1500",
        "How long another process waits for a writer that has gone silent before it takes over, in ms.",
    ),
    setting(
        "api.listen",
        Kind::Text,
        "\"127.0.0.1:3800\"",
        "Where the HTTP API listens.",
    ),
    setting(
        "api.administrative",
        Kind::Boolean,
        "true",
        "Serve administrative routes, which write. false: for a process that reads from a replica.",
    ),
    setting(
        "api.require_key",
        Kind::Boolean,
        "false",
        "Answer reads only to those who send a key or a token.",
    ),
    setting(
        "api.cors_origins",
        Kind::List,
        "[\"*\"]",
        "Origins whose pages may ask from a browser, for instance https://app.example.org; \"*\" for every origin.",
    ),
    setting(
        "api.trusted_proxies",
        Kind::List,
        "[]",
        "Addresses or ranges of proxies whose X-Forwarded-For is believed, for instance 127.0.0.1 or 10.0.0.0/8.",
    ),
    setting(
        "api.address_rate_per_second",
        Kind::Integer,
        "1000",
        "Requests per second of one address (of IPv6: one /64) that sends no key, in the long run; 0 for no limit.",
    ),
    setting(
        "api.address_burst",
        Kind::Integer,
        "5000",
        "Requests of one address at once, after a pause.",
    ),
    setting(
        "api.key_rate_per_second",
        Kind::Integer,
        "5000",
        "Requests per second with one key, or of one subject of tokens, in the long run; 0 for no limit.",
    ),
    setting(
        "api.key_burst",
        Kind::Integer,
        "20000",
        "Requests with one key at once, after a pause.",
    ),
    setting(
        "api.max_connections",
        Kind::Integer,
        "4096",
        "Connections at once. When all are taken, the one that has been idle for longest makes room.",
    ),
    setting(
        "api.idle_timeout_ms",
        Kind::Integer,
        "60000",
        "How long nothing may move on a connection before it is closed, in ms.",
    ),
    setting(
        "api.header_timeout_ms",
        Kind::Integer,
        "10000",
        "How long the headers of a request may take, in ms.",
    ),
    Setting {
        key: "api.jwt_secret",
        kind: Kind::Text,
        default: "\"\"",
        help: "Secret of signed tokens (JWT, HS256), at least 32 bytes. Empty: such tokens are not accepted.",
        secret: true,
    },
    setting(
        "api.jwt_public_key_file",
        Kind::Text,
        "\"\"",
        "File with an Ed25519 public key in PEM: tokens signed with its private key (JWT, EdDSA) are accepted. Empty: they are not.",
    ),
    setting(
        "api.jwt_issuer",
        Kind::Text,
        "\"stxworx\"",
        "The claim `iss` that a token must have.",
    ),
    setting(
        "api.jwt_audience",
        Kind::Text,
        "\"stxworx-api\"",
        "The claim `aud` that a token must have.",
    ),
    setting(
        "stream.max_clients",
        Kind::Integer,
        "1000",
        "Followers of /v1/stream at once, server-sent events and websockets together; one more is refused.",
    ),
    setting(
        "stream.queue_frames",
        Kind::Integer,
        "256",
        "Frames that wait for a follower before the connection is cut. It comes back with its position.",
    ),
    setting(
        "webhooks.allow_private",
        Kind::Boolean,
        "false",
        "true: webhooks may go to private addresses and by plain http. For development: whoever may make one can then reach this network.",
    ),
    setting(
        "webhooks.timeout_ms",
        Kind::Integer,
        "10000",
        "How long a receiver may take for an answer, in ms.",
    ),
    setting(
        "webhooks.first_pause_ms",
        Kind::Integer,
        "1000",
        "Pause after the first failure of a delivery, in ms; it doubles with each further one.",
    ),
    setting(
        "webhooks.longest_pause_ms",
        Kind::Integer,
        "600000",
        "Longest pause between two attempts, in ms.",
    ),
    setting(
        "webhooks.secret_grace_s",
        Kind::Integer,
        "86400",
        "How long a secret that was replaced goes on signing beside the new one, in seconds.",
    ),
    setting(
        "webhooks.lease_ms",
        Kind::Integer,
        "5000",
        "How long another process waits for a sender that has gone silent before it takes over, in ms.",
    ),
    setting(
        "metrics.listen",
        Kind::Text,
        "\"127.0.0.1:3801\"",
        "Where Prometheus scrapes /metrics.",
    ),
    setting(
        "chain.finality_burn_blocks",
        Kind::Integer,
        "6",
        "Bitcoin blocks on top of a block's own after which it counts as final.",
    ),
    setting(
        "ledger.fee_payers",
        Kind::List,
        "[]",
        "Addresses whose network fees the books have, in an account of each: who mints badges. Follow them, too, for their balances to be proved.",
    ),
    Setting {
        key: "platform.url",
        kind: Kind::Text,
        default: "\"\"",
        help: "The platform's Postgres, as a role that may read: postgres://USER:PASSWORD@HOST/DATABASE. Empty: nothing is compared.",
        secret: true,
    },
    setting(
        "platform.projects_query",
        Kind::Text,
        "\"\"",
        "Query of its projects; docs/reconciliation.md has the columns. Empty: its own table projects.",
    ),
    setting(
        "platform.badges_query",
        Kind::Text,
        "\"\"",
        "Query of the badges that it shows. Empty: its own table nft_achievements, if there is one. off: it shows none.",
    ),
    setting(
        "platform.users_query",
        Kind::Text,
        "\"\"",
        "Query of its users. Empty: its own table users, if there is one. off: nothing of them is compared.",
    ),
    setting(
        "platform.transfers_query",
        Kind::Text,
        "\"\"",
        "Query of what it records of the treasury. Empty: its own table dao_transactions, if there is one. off: it records nothing.",
    ),
    setting(
        "platform.earned_asset",
        Kind::Text,
        "\"STX\"",
        "Asset in which it sums up what users earned: STX, or a token's contract.",
    ),
    setting(
        "platform.contract",
        Kind::Text,
        "\"\"",
        "Contract that its numbers of projects belong to. Empty: the only freelance-logic that is mirrored.",
    ),
    setting(
        "platform.assets",
        Kind::List,
        "[]",
        "What it calls tokens, as NAME=CONTRACT, for instance sBTC=ST….sbtc-token. STX is known.",
    ),
    setting(
        "platform.statement_timeout_ms",
        Kind::Integer,
        "60000",
        "How long one statement there may take, in ms.",
    ),
    setting(
        "platform.pause_ms",
        Kind::Integer,
        "30000",
        "Pause between two looks at what changed, in ms.",
    ),
    setting(
        "platform.sweep_pause_ms",
        Kind::Integer,
        "3600000",
        "Pause between two looks at everything, in ms.",
    ),
    setting(
        "platform.keep_days",
        Kind::Integer,
        "30",
        "Days in which a run can be carried out again: what older runs saw of the platform is removed, but for what breaks that are not over need. 0: nothing is removed.",
    ),
    setting(
        "platform.open_limit",
        Kind::Integer,
        "200",
        "Breaks of one rule that one run may open; if there are more, none is opened, and a note says so.",
    ),
    setting(
        "platform.incremental_limit",
        Kind::Integer,
        "10000",
        "Changed projects and rows above which a run looks at everything.",
    ),
    setting(
        "platform.sightings",
        Kind::Integer,
        "2",
        "Runs that must see a difference, with the platform's row unchanged, before it is a break.",
    ),
    setting(
        "platform.passes",
        Kind::Integer,
        "2",
        "Runs in a row without the difference that end a break.",
    ),
    setting(
        "platform.behind_burn_blocks",
        Kind::Integer,
        "6",
        "Bitcoin blocks that the platform has to hear of a change on the chain.",
    ),
    setting(
        "platform.behind_seconds",
        Kind::Integer,
        "600",
        "Seconds that it has besides; both must have passed.",
    ),
    setting(
        "platform.ahead_burn_blocks",
        Kind::Integer,
        "262",
        "Bitcoin blocks within which a transaction that the platform counts on may still be mined: 256 in a mempool, and finality.",
    ),
    setting(
        "platform.ahead_seconds",
        Kind::Integer,
        "0",
        "Seconds that it has besides; both must have passed.",
    ),
    setting(
        "platform.age_step_burn_blocks",
        Kind::Integer,
        "432",
        "Age in Bitcoin blocks at which a break becomes more severe by a step, and again at each multiple.",
    ),
    setting(
        "platform.repairs",
        Kind::List,
        "[]",
        "Repairs that are carried out there, as RULE=KIND, for instance P3=status. Empty: none; they are only suggested.",
    ),
    Setting {
        key: "platform.repair_url",
        kind: Kind::Text,
        default: "\"\"",
        help: "The platform's Postgres for these repairs, as a role that may change what they change, and nothing else.",
        secret: true,
    },
    setting(
        "platform.severe_amounts",
        Kind::List,
        "[\"STX=1000000000:100000000000\"]",
        "Money at risk from which a break is high, and critical: ASSET=HIGH:CRITICAL, base units.",
    ),
    setting(
        "log.level",
        Kind::Text,
        "\"info\"",
        "Filter of log lines, for instance info or stxworx_indexer=debug,info.",
    ),
    setting("log.format", Kind::Text, "\"pretty\"", "pretty or json."),
];

/// The example file: every setting with its meaning, default and environment variable.
pub fn example() -> String {
    let mut text = String::from(
        "# stxworx configuration: every setting with its default.\n\
         # The environment variable named with each wins over this file; flags win over both.\n",
    );
    let mut section = "";
    for setting in SETTINGS {
        let (of, name) = setting.key.split_once('.').unwrap_or(("", setting.key));
        if of != section {
            let _ = write!(text, "\n[{of}]\n");
            section = of;
        }
        let _ = write!(
            text,
            "\n# {} ({})\n{name} = {}\n",
            setting.help,
            setting.env(),
            setting.default
        );
    }
    text
}
