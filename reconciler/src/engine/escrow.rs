//! Projects, assets of the escrow, and audits, judged.

use std::collections::{BTreeMap, BTreeSet};

use stxworx_indexer::model::TxId;
use stxworx_indexer::store::reconcile::states;

use super::error::EngineError;
use super::ground::Ground;
use super::inputs::{Balance, Inputs, Scopes};
use super::judge::{Case, Judged, guarded};
use super::session::Session;
use super::stream::{ChainStream, ImageStream, Marks, PROJECTS, RowSource};
use super::subjects::asset_states;
use super::walk::Walk;
use crate::platform::postgres::Entity;
use crate::rule::{Skip, Subject, Verdict};
use crate::rules::{AssetCase, Claim, Claims, E18, asset_rules, judge_audited};

/// The projects of a run.
pub(super) async fn projects(
    session: &mut Session<'_>,
    ground: &mut Ground,
    rows: &mut RowSource<'_>,
    scopes: Option<&Scopes>,
) -> Result<(), EngineError> {
    let scope = scopes.map(|scopes| &scopes.projects);
    let at = ground.at.clone();
    let chain = ChainStream::new(&ground.contract, at.clone(), scope);
    let images = session
        .keeps()
        .then(|| ImageStream::new(PROJECTS, scope.cloned()));
    let rows = rows.rows(Entity::Projects, scope).await?;
    let mut walk = Walk::new(&mut ground.snapshot, chain, rows, images);
    while let Some(page) = walk.page().await? {
        let named = named(&page.cases);
        let claims = if named.is_empty() {
            Claims::new()
        } else {
            let connection = walk.snapshot.connection();
            let rows = states::claimed(connection, &named, &at).await?;
            rows.into_iter().filter_map(claim).collect()
        };
        let cases = page.cases.into_iter();
        let judged: Vec<_> = cases
            .map(|case| session.judge.judge(case, &claims))
            .collect();
        session.take(PROJECTS, &judged, page.marks).await?;
    }
    Ok(())
}

/// Transactions that rows name and that are not known to be right.
fn named(cases: &[Case]) -> Vec<Vec<u8>> {
    let mut named = BTreeSet::new();
    for case in cases {
        let opened = case.chain.as_ref().and_then(|it| it.state.opened.as_ref());
        for row in &case.rows {
            if let Some(txid) = row.tx_id.value()
                && Some(txid) != opened
            {
                named.insert(txid.as_bytes().to_vec());
            }
        }
    }
    named.into_iter().collect()
}

pub(super) fn claim(row: states::ClaimedRow) -> Option<(TxId, Claim)> {
    let call = row.contract.map(|contract| {
        let function = row.function.unwrap_or_default();
        format!("{contract} {function}").trim_end().to_owned()
    });
    let claim = Claim {
        height: u32::try_from(row.height).unwrap_or(0),
        status: row.status,
        call,
        opened: row.opened,
    };
    Some((TxId::from_slice(&row.txid).ok()?, claim))
}

/// The escrow's assets. What its projects lock together is known when all were met.
pub(super) async fn assets(
    session: &mut Session<'_>,
    ground: &mut Ground,
    inputs: &Inputs,
    is_sweep: bool,
) -> Result<(), EngineError> {
    let mut all = Vec::new();
    for asset in asset_states(ground).await? {
        let (entity, state, hash) = (asset.entity, asset.state, asset.hash);
        let answer = inputs.balances.get(&entity).map(Balance::read);
        let at_node = answer.unwrap_or(Err(Skip::NoNode));
        let mirror_holds = inputs.holds.get(&entity).copied();
        let case = AssetCase {
            anchor: &session.judge.anchor,
            chain: &state,
            of_projects: session.tally.locked(&state.asset),
            at_node,
            mirror_holds,
        };
        let judged = Judged {
            entity: "assets",
            subject: Subject::new("asset", entity),
            chain_hash: hash,
            is_found: true,
            rows: Vec::new(),
            cut: false,
            money: None,
            verdicts: asset_rules()
                .into_iter()
                // Without all projects there is no sum.
                .filter(|rule| is_sweep || rule.info().id != "F7")
                .map(|rule| (rule.info(), guarded(|| rule.judge(&case))))
                .collect(),
        };
        session.judge.note(&judged);
        all.push(judged);
    }
    session.take("assets", &all, Marks::default()).await
}

/// What audits came to.
pub(super) async fn audits(session: &mut Session<'_>, inputs: &Inputs) -> Result<(), EngineError> {
    let mut by_subject = BTreeMap::new();
    for it in &inputs.audited {
        by_subject.insert(it.about(), it);
    }
    let mut all: Vec<Judged> = Vec::with_capacity(by_subject.len());
    for (subject, it) in by_subject {
        let verdict: Verdict = guarded(|| judge_audited(it));
        let judged = Judged {
            entity: "audits",
            subject,
            chain_hash: [0; 32],
            is_found: true,
            rows: Vec::new(),
            cut: false,
            money: None,
            verdicts: vec![(&E18, verdict)],
        };
        session.judge.note(&judged);
        all.push(judged);
    }
    session.take("audits", &all, Marks::default()).await
}
