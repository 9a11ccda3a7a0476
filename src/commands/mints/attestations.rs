//! `stxworx mints attestations`: whom an attestor should attest. Nothing is signed, and nothing sent.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::Args;
use serde_json::json;
use stxworx_indexer::store::Pool;
use stxworx_reconciler::mint::attest::{self, Accounts, Claim, Proposal, Waiting};
use stxworx_reconciler::mint::policy::Policy;
use stxworx_reconciler::mint::ports::{Mirror as _, Store as _};
use stxworx_reconciler::mint::postgres::{PgMirror, PgStore};
use stxworx_reconciler::mint::types::{LaneId, Tip, Wanted};
use stxworx_reconciler::platform::postgres::{Entity, Filter, Platform, PlatformSource};
use stxworx_reconciler::platform::{Cell, PlatformUser};

use crate::cli::{CommandError, Outcome};
use crate::config::Config;
use crate::post::OutputFormat;

/// Options of `attestations`.
#[derive(Debug, Args)]
pub struct AttestationsArgs {
    /// Bitcoin blocks for which the attestation would hold, from now on; a year has about 52,560.
    #[arg(long, value_name = "NUMBER", default_value_t = 52_560, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub for_blocks: u32,
    /// The same as --output json.
    #[arg(long)]
    pub json: bool,
}

/// Users that are looked up at once.
const PAGE: usize = 1_000;
/// Users whom the platform calls verified that are read at most.
const CLAIMS: usize = 200_000;

/// What was found.
pub(super) struct Found {
    tip: Option<Tip>,
    data: String,
    attestors: Vec<String>,
    /// Users whom the platform calls verified.
    verified: usize,
    /// Rows that cannot be read as far as that.
    unreadable: usize,
    /// Those for whom badges wait, in the platform's order.
    pub proposals: Vec<Proposal>,
    cut: bool,
}

pub(super) async fn attestations(
    pool: &Pool,
    config: &Config,
    args: &AttestationsArgs,
    output: OutputFormat,
) -> Result<Outcome, CommandError> {
    let Some(platform) = &config.platform else {
        return Err(CommandError::Usage(
            "no platform to ask whom it calls verified: set platform.url. Attestors may attest whomever they know without it"
                .to_owned(),
        ));
    };
    let contract = super::contract(pool, config).await?;
    let found = find(
        pool,
        config,
        &platform.settings.source,
        &contract,
        args.for_blocks,
    )
    .await?;
    if args.json || output == OutputFormat::Json {
        let value = json!({
            "contract": found.data, "attestors": found.attestors, "tip": found.tip.map(|tip| json!(tip)),
            "platform_verified": found.verified, "unreadable": found.unreadable, "proposals": found.proposals,
            "cut": found.cut,
        });
        crate::cli::say!("{value:#}");
    } else {
        crate::cli::say_text(&text(&found));
    }
    Ok(Outcome::Done)
}

/// Reads the platform and the mirror.
pub(super) async fn find(
    pool: &Pool,
    config: &Config,
    source: &PlatformSource,
    contract: &str,
    for_blocks: u32,
) -> Result<Found, CommandError> {
    let mirror = PgMirror::new(pool.clone(), config.finality_burn_blocks);
    let policy = config.mint.policy(contract);
    let data = PgMirror::data_of(contract);
    let (claims, unreadable, cut) = claims(source).await?;
    let mut found = Found {
        tip: None,
        attestors: mirror.attestors(&data).await.map_err(CommandError::other)?,
        verified: claims.len(),
        unreadable,
        proposals: Vec::new(),
        cut,
        data,
    };
    let mut accounts = Accounts::default();
    for (_, hash) in claims.iter().filter_map(|claim| claim.account.as_ref()) {
        *accounts.claims.entry(*hash).or_default() += 1;
    }
    for page in claims.chunks(PAGE) {
        let hashes = page.iter().filter_map(|claim| claim.account.as_ref());
        let hashes: Vec<String> = hashes.map(|(_, hash)| attest::hex0x(hash)).collect();
        accounts.owners = mirror
            .x_owners(&found.data, &hashes)
            .await
            .map_err(CommandError::other)?;
        let (tip, mut waits) = waiting(pool, &mirror, (contract, &policy, config), page).await?;
        found.tip = Some(tip);
        for claim in page {
            let waits = match &claim.user {
                // Whom it is about is not known: an operator may know.
                None => Vec::new(),
                Some(user) => match waits.remove(&user.to_string()) {
                    Some(waits) if !waits.is_empty() => waits,
                    _ => continue,
                },
            };
            let proposal =
                attest::propose(claim, waits, &accounts, &found.data, (&tip, for_blocks));
            found.proposals.push(proposal);
        }
    }
    Ok(found)
}

/// The badges that wait for an attestation alone, by user.
async fn waiting(
    pool: &Pool,
    mirror: &PgMirror,
    (contract, policy, config): (&str, &Policy, &Config),
    page: &[Claim],
) -> Result<(Tip, BTreeMap<String, Vec<Waiting>>), CommandError> {
    let users = page.iter().filter_map(|claim| claim.user.as_ref());
    let mut users: Vec<String> = users.map(ToString::to_string).collect();
    users.sort_unstable();
    users.dedup();
    let wanted = Wanted {
        lane: LaneId {
            contract: contract.to_owned(),
            sender: String::new(),
        },
        from_nonce: 0,
        users: users.clone(),
        walk: None,
    };
    let view = mirror.look(&wanted).await.map_err(CommandError::other)?;
    let store = PgStore::new(pool.clone(), config.finality_burn_blocks, policy);
    let known = store
        .known(contract, &users)
        .await
        .map_err(CommandError::other)?;
    let waits = view.people.iter().map(|person| {
        let waits = attest::waits(person, &view.kinds, &view.tip, &known);
        (person.user.clone(), waits)
    });
    Ok((view.tip, waits.collect()))
}

/// The users whom the platform calls verified; how many rows cannot be read as far as that; and whether there are more.
async fn claims(source: &PlatformSource) -> Result<(Vec<Claim>, usize, bool), CommandError> {
    let mut platform = Platform::open_users(source)
        .await
        .map_err(CommandError::other)?;
    let result = read_claims(&mut platform).await;
    platform.close().await;
    result
}

async fn read_claims(platform: &mut Platform) -> Result<(Vec<Claim>, usize, bool), CommandError> {
    let lacks = platform
        .shapes
        .lacks(&["users.principal", "users.x_verified"]);
    let off = platform.shapes.off().contains(&Entity::Users.name());
    if off || !lacks.is_empty() {
        let why = if off {
            "it keeps no users".to_owned()
        } else {
            lacks.join("; ")
        };
        return Err(CommandError::Usage(format!(
            "the platform does not say whom it calls verified: {why}; see platform.users_query"
        )));
    }
    let (mut claims, mut unreadable) = (Vec::new(), 0);
    platform
        .read(Entity::Users, &Filter::All)
        .await
        .map_err(CommandError::other)?;
    loop {
        let page = platform.page().await.map_err(CommandError::other)?;
        if page.is_empty() {
            return Ok((claims, unreadable, false));
        }
        for at in page {
            match PlatformUser::read(at.row) {
                Some(user) if matches!(user.x_verified, Cell::Bad { .. }) => unreadable += 1,
                Some(user) => claims.extend(Claim::of(&user)),
                None => unreadable += 1,
            }
        }
        if claims.len() > CLAIMS {
            claims.truncate(CLAIMS);
            return Ok((claims, unreadable, true));
        }
    }
}

fn text(found: &Found) -> String {
    let mut text = String::new();
    for it in &found.proposals {
        let who = it.user.as_deref().unwrap_or("(no address)");
        let names: Vec<_> = it
            .waits
            .iter()
            .map(|w| format!("{} ({})", w.name, w.kind))
            .collect();
        let waits = if names.is_empty() {
            "not known what waits".to_owned()
        } else {
            format!("waits for {}", names.join(", "))
        };
        let handle = it.handle.as_deref().unwrap_or("?");
        let _ = writeln!(
            text,
            "{who} {waits}; platform row {}, X account {handle:?}",
            it.platform_key
        );
        if let Some(call) = &it.call {
            let arguments: Vec<_> = call.arguments.iter().map(|a| a.repr.as_str()).collect();
            let _ = writeln!(
                text,
                "  (contract-call? '{} {} {})",
                call.contract,
                call.function,
                arguments.join(" ")
            );
        }
        if let Some(problem) = it.problem {
            let _ = writeln!(text, "  no call: {}", problem.says());
        }
    }
    let calls = found.proposals.iter().filter(|p| p.call.is_some()).count();
    let _ = writeln!(
        text,
        "{} users are verified, says the platform; badges of {} wait for an attestation alone; {calls} calls to sign",
        found.verified,
        found.proposals.len()
    );
    if found.unreadable > 0 {
        let _ = writeln!(
            text,
            "{} rows of the platform cannot be read",
            found.unreadable
        );
    }
    if found.cut {
        let _ = writeln!(text, "there are more: {CLAIMS} verified users were read");
    }
    let _ = if found.attestors.is_empty() {
        writeln!(
            text,
            "nobody may attest at {}: the signers name attestors",
            found.data
        )
    } else {
        writeln!(
            text,
            "who may sign: {}. The platform's word is no proof: check that the account is the user's",
            found.attestors.join(", ")
        )
    };
    text
}
