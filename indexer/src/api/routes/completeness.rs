//! Is anything missing? What the contracts' own chains of events say, and a node's word on them.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use stxworx_clarity::events;
use utoipa::ToSchema;

use super::coverage::{CoverageView, Point, coverage};
use super::market::typed;
use crate::api::error::{ApiError, Early, ErrorCode, Problem, Problems};
use crate::api::params::{self, AtBlockParams, Params};
use crate::api::reader::Reader;
use crate::api::state::ApiState;
use crate::api::view::{Answer, hex};
use crate::model::ids::IndexBlockHash;
use crate::store::evidence::Evidence;
use crate::store::read::completeness::{
    AuditedRow, EVENT_CHAIN, EventChainState, OriginRow, ProofRow, UNRECOGNISED, UnrecognisedState,
    Verdict,
};
use crate::store::read::{completeness, projection};

/// Contracts in an answer at most.
const LISTED: u32 = 200;
/// Heights that a node was asked about, in an answer at most.
const AUDITED: u32 = 1_000;

/// Is anything missing?
#[derive(Debug, Serialize, ToSchema)]
struct CompletenessView {
    /// True of every contract listed, and all are listed.
    complete: bool,
    /// Every contract listed was proved against a node at a block that is canonical, and all are listed.
    /// Up to which block is in the proofs.
    proved: bool,
    /// Why not complete, in words.
    gaps: Vec<String>,
    /// Where the mirror begins; null while it is empty.
    origin: Option<OriginView>,
    /// Prints of the contracts that the catalogue does not have. They are mirrored all the same; only the
    /// marketplace's states say nothing of them.
    unrecognised: u64,
    /// The contracts: those of the follow set with a name of the catalogue, and those that have printed.
    /// At most 200, by id.
    contracts: Vec<ContractCompleteness>,
    /// Are there more? Ask for them with `contract`.
    more: bool,
    /// Heights of the canonical chain, from the origin up, with the best evidence for each. Comparisons with a
    /// node are of now: they do not go back with `at_block`. `cursor_proved` is of the contracts listed.
    coverage: Vec<CoverageView>,
    /// Only the thousand highest heights at which a node was asked are in `coverage`; were there more?
    coverage_cut: bool,
}

/// Where the mirror begins.
#[derive(Debug, Serialize, ToSchema)]
struct OriginView {
    /// The lowest mirrored block.
    index_block_hash: String,
    /// Its height.
    height: Option<u32>,
    /// Is it the chain's first block?
    genesis: bool,
}

/// A contract's events: are all of them here?
#[derive(Debug, Serialize, ToSchema)]
struct ContractCompleteness {
    /// The contract.
    contract: String,
    /// Every event from the contract's first on is here, as far as the mirror can tell: the chain begins
    /// with event 1, no link is broken, and the newest comparison does not differ. A contract that has
    /// printed nothing is complete when the mirror begins at genesis.
    complete: bool,
    /// Why not, in words.
    gaps: Vec<String>,
    /// The contract's own chain of events, as the mirror has it; null before its first event.
    chain: Option<EventChainState>,
    /// Prints of the contract that the catalogue does not have.
    unrecognised: UnrecognisedState,
    /// The newest comparison with the contract's own cursor, made by asking a node. It does not go back
    /// with `at_block`. Null before the first.
    proof: Option<ProofView>,
}

/// A comparison of the mirrored chain of events with the contract's own cursor.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProofView {
    /// `proved`: number and hash are the contract's own. `differs`: they are not. `no_cursor`: the
    /// contract keeps no chain.
    verdict: Verdict,
    /// The block at which they were compared.
    index_block_hash: String,
    /// Its height.
    height: u32,
    /// Is that block canonical?
    canonical: bool,
    /// Number of the newest event in the mirror, decimal.
    seq: String,
    /// Hash of that event.
    head: String,
    /// The contract's own number, decimal.
    node_seq: Option<String>,
    /// The contract's own hash.
    node_head: Option<String>,
    /// When, RFC 3339.
    checked_at: String,
    /// The last difference ever seen, in words; it stays when later comparisons are equal.
    last_difference: Option<String>,
}

impl TryFrom<ProofRow> for ProofView {
    type Error = ApiError;

    fn try_from(row: ProofRow) -> Result<Self, ApiError> {
        let verdict = Verdict::from_name(&row.verdict).ok_or_else(|| {
            ApiError::new(ErrorCode::Internal, "a stored proof has no known verdict")
        })?;
        Ok(Self {
            verdict,
            index_block_hash: row.block.to_string(),
            height: row.height.0,
            canonical: row.canonical,
            seq: row.seq,
            head: row.head.to_string(),
            node_seq: row.node_seq,
            node_head: hex(row.node_head.as_ref()),
            checked_at: row.checked_at,
            last_difference: row.last_difference,
        })
    }
}

/// What an answer's tag needs of the proofs, which are made between blocks.
pub(super) fn tag(proofs: &[ProofRow]) -> String {
    let newest = proofs.iter().map(|p| p.checked_micros.0).max().unwrap_or(0);
    format!("-p{}-{newest}", proofs.len())
}

/// The proof of one contract.
pub(super) async fn proof(reader: &mut Reader, contract: &str) -> Result<Vec<ProofRow>, Early> {
    let contracts = [contract.to_owned()];
    Ok(completeness::proofs(reader.connection(), &contracts).await?)
}

/// Are all events of the followed contracts here, and who says so?
#[utoipa::path(
    get, path = "/v1/completeness", tag = "mirror", operation_id = "completeness",
    params(
        ("contract" = Option<String>, Query, description = "This contract only"),
        AtBlockParams,
    ),
    responses(
        (status = 200, description = "The verdict, and what it is made of", body = Answer<CompletenessView>),
        (status = 304, description = "The client's copy is current"),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(super) async fn completeness(
    State(state): State<ApiState>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[&["contract"], params::AT_BLOCK])?;
    let only = params.contract("contract")?;
    let mut reader = Reader::open_untagged(&state, &params).await?;
    let names: Vec<_> = events::schema()
        .into_iter()
        .map(|contract| contract.contract.to_owned())
        .collect();
    let found = completeness::contracts(reader.connection(), &names, only, LISTED).await?;
    let proofs = completeness::proofs(reader.connection(), &found.rows).await?;
    let audits = completeness::newest_audit(reader.connection()).await?;
    reader.tag(&params, &format!("{}-a{}", tag(&proofs), audits.0))?;
    reader.stand_at(&params).await?;
    if only.is_some() && found.rows.is_empty() {
        let detail = "the mirror follows no such contract of the marketplace";
        return Err(ApiError::not_found(detail).into());
    }
    let origin = origin_view(completeness::origin(reader.connection()).await?);
    let bound = reader.bound();
    let audited = completeness::audited(reader.connection(), bound, AUDITED).await?;
    let from_genesis = origin.as_ref().is_some_and(|origin| origin.genesis);
    let contracts = contracts(&mut reader, found.rows, proofs, from_genesis).await?;
    let mut view = whole(contracts, found.more, origin);
    view.coverage_cut = audited.more;
    view.coverage = covered(&view, bound, audited.rows)?;
    Ok(reader.answer(view))
}

/// The coverage map of what is in the view.
fn covered(
    view: &CompletenessView,
    bound: i32,
    audited: Vec<AuditedRow>,
) -> Result<Vec<CoverageView>, ApiError> {
    let origin = view.origin.as_ref();
    let lowest = origin.and_then(|origin| Some((origin.height?, origin.genesis)));
    let (Some(lowest), Ok(to)) = (lowest, u32::try_from(bound)) else {
        return Ok(Vec::new());
    };
    // Up to the lowest proof everything is proved of every contract.
    let proofs = view.contracts.iter().filter_map(|c| c.proof.as_ref());
    let proved = proofs.min_by_key(|p| p.height);
    let proved = proved.filter(|_| view.proved);
    let proved = proved.map(|p| (p.height, p.checked_at.clone()));
    let point = |row: AuditedRow| {
        let evidence = Evidence::from_name(&row.evidence).ok_or_else(|| {
            ApiError::new(ErrorCode::Internal, "a stored audit has no known evidence")
        })?;
        Ok(Point {
            height: row.height.0,
            evidence,
            checked_at: row.checked_at,
        })
    };
    let points: Result<Vec<_>, ApiError> = audited.into_iter().map(point).collect();
    Ok(coverage(lowest, to, proved, points?))
}

fn origin_view(row: OriginRow) -> Option<OriginView> {
    let origin = row.origin?;
    Some(OriginView {
        genesis: origin.0 == IndexBlockHash::GENESIS.as_bytes(),
        index_block_hash: origin.to_string(),
        height: row.height.map(|height| height.0),
    })
}

/// Contract by contract, on the block where the reader stands.
async fn contracts(
    reader: &mut Reader,
    names: Vec<String>,
    proofs: Vec<ProofRow>,
    from_genesis: bool,
) -> Result<Vec<ContractCompleteness>, Early> {
    let projections = [EVENT_CHAIN.to_owned(), UNRECOGNISED.to_owned()];
    let at = reader.bound();
    let rows = projection::at_height(reader.connection(), &projections, &names, at).await?;
    let (mut chains, mut strangers) = (BTreeMap::new(), BTreeMap::new());
    for row in rows {
        if row.projection == EVENT_CHAIN {
            chains.insert(row.entity, typed::<EventChainState>(&row.state)?);
        } else {
            strangers.insert(row.entity, typed::<UnrecognisedState>(&row.state)?);
        }
    }
    let mut proofs: BTreeMap<_, _> = proofs
        .into_iter()
        .map(|row| (row.contract.clone(), row))
        .collect();
    let mut views = Vec::new();
    for contract in names {
        let chain = chains.remove(&contract);
        let proof = proofs.remove(&contract).map(ProofView::try_from);
        let proof = proof.transpose()?;
        let gaps = gaps(chain.as_ref(), proof.as_ref(), from_genesis);
        views.push(ContractCompleteness {
            complete: gaps.is_empty(),
            gaps,
            chain,
            unrecognised: strangers.remove(&contract).unwrap_or_default(),
            proof,
            contract,
        });
    }
    Ok(views)
}

/// What is missing of a contract's events, in words.
fn gaps(
    chain: Option<&EventChainState>,
    proof: Option<&ProofView>,
    from_genesis: bool,
) -> Vec<String> {
    let mut gaps = Vec::new();
    match chain {
        None if from_genesis => {}
        None => gaps.push(
            "no event is here, and what lies before the mirror's origin is not known".to_owned(),
        ),
        Some(chain) => {
            if chain.from_seq.0 != 1 {
                gaps.push(format!(
                    "the mirror begins with event {}; those before it are not here",
                    chain.from_seq
                ));
            }
            if let Some(last) = &chain.last_break {
                gaps.push(format!(
                    "{} links of the chain are broken, the last one: {last}",
                    chain.breaks
                ));
            }
        }
    }
    if let Some(proof) = proof.filter(|p| p.verdict == Verdict::Differs && p.canonical) {
        gaps.push(format!(
            "at block {} the mirror has {} events up to {}, the contract {} up to {}",
            proof.index_block_hash,
            proof.seq,
            proof.head,
            proof.node_seq.as_deref().unwrap_or("?"),
            proof.node_head.as_deref().unwrap_or("?"),
        ));
    }
    gaps
}

fn whole(
    contracts: Vec<ContractCompleteness>,
    more: bool,
    origin: Option<OriginView>,
) -> CompletenessView {
    let proved = |contract: &ContractCompleteness| {
        contract
            .proof
            .as_ref()
            .is_some_and(|proof| proof.verdict == Verdict::Proved && proof.canonical)
    };
    let mut gaps: Vec<_> = contracts
        .iter()
        .flat_map(|contract| {
            contract
                .gaps
                .iter()
                .map(|gap| format!("{}: {gap}", contract.contract))
        })
        .collect();
    if contracts.is_empty() {
        gaps.push("no contract of the marketplace is followed".to_owned());
    }
    if more {
        gaps.push(format!("only the first {LISTED} contracts were looked at"));
    }
    CompletenessView {
        complete: gaps.is_empty(),
        proved: !more && !contracts.is_empty() && contracts.iter().all(proved),
        gaps,
        origin,
        unrecognised: contracts.iter().map(|c| c.unrecognised.count).sum(),
        contracts,
        more,
        coverage: Vec::new(),
        coverage_cut: false,
    }
}
