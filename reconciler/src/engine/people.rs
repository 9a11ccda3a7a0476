//! Badges and users, judged.

use std::collections::{BTreeMap, BTreeSet};

use stxworx_indexer::store::read::market::{BadgeState, ProfileState};
use stxworx_indexer::store::reconcile::image::Scope;

use super::error::EngineError;
use super::ground::Ground;
use super::groups::{Group, GroupWalk, Held, HeldStream, Holder};
use super::inputs::Inputs;
use super::judge::{Judge, Judged, RowMark, guarded, laid};
use super::session::Session;
use super::stream::{ImageStream, RowSource};
use super::subjects::{Kinds, sibling};
use crate::platform::postgres::Entity;
use crate::platform::{PlatformBadge, PlatformUser, Row};
use crate::rule::{RuleInfo, Skip, Subject, Verdict};
use crate::rules::{BadgeCase, UserCase, badge_rules, user_rules};

/// Walks over one kind, some addresses or all.
pub(super) async fn walk<'a>(
    ground: &'a mut Ground,
    rows: &'a mut RowSource<'_>,
    (entity, of): (Entity, Holder),
    (groups, extra): (Option<&[String]>, BTreeSet<String>),
    keeps: bool,
) -> Result<GroupWalk<'a>, EngineError> {
    let scope = groups.map(|keys| Scope {
        places: Vec::new(),
        keys: keys.to_vec(),
    });
    let at = ground.at.clone();
    let mut extra = extra;
    // What an incremental run was told to look at, it looks at.
    let named = groups.unwrap_or_default().iter();
    extra.extend(named.filter(|group| !group.starts_with(' ')).cloned());
    Ok(GroupWalk {
        snapshot: &mut ground.snapshot,
        held: HeldStream::new(of, at, groups),
        images: keeps.then(|| ImageStream::new(entity.name(), scope.clone())),
        rows: rows.rows(entity, scope.as_ref()).await?,
        extra,
        surplus: None,
        ended: false,
    })
}

pub(super) fn verdict(
    judge: &Judge,
    held: &[&Held],
    info: &'static RuleInfo,
    rule: impl FnOnce() -> Verdict,
) -> (&'static RuleInfo, Verdict) {
    let skipped = judge.skip(info).map(|reason| Verdict::Skipped { reason });
    let holds = judge.holds_of(held.iter().map(|held| held.entity.as_str()));
    let verdict = skipped.unwrap_or_else(|| guarded(rule));
    (info, laid(info, verdict, holds))
}

pub(super) fn read<T: serde::de::DeserializeOwned>(held: &Held) -> Result<T, EngineError> {
    let what = format!("the state of {}", held.entity);
    serde_json::from_str(&held.state).map_err(EngineError::stored(&what))
}

pub(super) fn mark(kind: &'static str, key: &str, row: &Row) -> RowMark {
    RowMark {
        key: key.to_owned(),
        row: row.clone(),
        alone: kind,
    }
}

/// The users of a run.
pub(super) async fn users(
    session: &mut Session<'_>,
    ground: &mut Ground,
    rows: &mut RowSource<'_>,
    groups: Option<&[String]>,
    (inputs, earned_asset): (&Inputs, &str),
) -> Result<(), EngineError> {
    let contract = sibling(&ground.contract, "freelance-data");
    let of = (Entity::Users, Holder::Users(contract.clone()));
    let extra = inputs.users.clone();
    let mut walk = walk(ground, rows, of, (groups, extra), session.keeps()).await?;
    while let Some(page) = walk.page().await? {
        let mut all = Vec::with_capacity(page.groups.len());
        for group in page.groups {
            let judged = user(&session.judge, &contract, group, earned_asset);
            session.judge.note(&judged);
            all.push(judged);
        }
        session.take(Entity::Users.name(), &all, page.marks).await?;
    }
    Ok(())
}

fn user(judge: &Judge, contract: &str, group: Group, earned_asset: &str) -> Judged {
    let held: Vec<&Held> = group.held.iter().collect();
    let state = held.first().map(|held| read::<ProfileState>(held));
    let state = state.transpose();
    let is_unreadable = state.is_err();
    let chain = state.unwrap_or_default();
    let platform: Vec<_> = group
        .rows
        .into_iter()
        .filter_map(PlatformUser::read)
        .collect();
    let is_found = !group.holder.is_empty();
    let subject = match platform.first() {
        Some(row) if !is_found => Subject::new("platform_user", row.key.clone()),
        _ => Subject::new("user", format!("{contract}/{}", group.holder)),
    };
    let case = UserCase {
        anchor: &judge.anchor,
        user: &group.holder,
        chain: chain.as_ref(),
        platform: &platform,
        earned_asset,
    };
    let verdicts = user_rules()
        .into_iter()
        .map(|rule| {
            verdict(judge, &held, rule.info(), || match is_unreadable {
                true => Verdict::Skipped {
                    reason: Skip::Unreadable,
                },
                false => rule.judge(&case),
            })
        })
        .collect();
    let marks = platform
        .iter()
        .map(|p| mark("platform_user", &p.key, &p.row));
    Judged {
        entity: Entity::Users.name(),
        subject,
        chain_hash: Group::chain_hash(&held),
        is_found,
        rows: marks.collect(),
        cut: group.cut,
        money: None,
        verdicts,
    }
}

/// The badges of a run.
pub(super) async fn badges(
    session: &mut Session<'_>,
    ground: &mut Ground,
    rows: &mut RowSource<'_>,
    groups: Option<&[String]>,
    inputs: &Inputs,
) -> Result<(), EngineError> {
    let contract = sibling(&ground.contract, "freelance-badges");
    let kinds = Kinds::read(ground).await?;
    let of = (Entity::Badges, Holder::Badges(contract.clone()));
    let extra = inputs.badges.keys().cloned().collect();
    let mut walk = walk(ground, rows, of, (groups, extra), session.keeps()).await?;
    while let Some(page) = walk.page().await? {
        let mut all = Vec::with_capacity(page.groups.len());
        for group in page.groups {
            let extra = inputs.badges.get(&group.holder);
            for judged in of_holder(&session.judge, &contract, group, (&kinds, extra))? {
                session.judge.note(&judged);
                all.push(judged);
            }
        }
        session
            .take(Entity::Badges.name(), &all, page.marks)
            .await?;
    }
    Ok(())
}

#[derive(Default)]
struct OfKind {
    held: Vec<Held>,
    chain: Vec<BadgeState>,
    platform: Vec<PlatformBadge>,
}

/// The badges of one address, kind by kind; rows whose kind is none, one by one.
fn of_holder(
    judge: &Judge,
    contract: &str,
    group: Group,
    (kinds, extra): (&Kinds, Option<&BTreeSet<u64>>),
) -> Result<Vec<Judged>, EngineError> {
    let mut by_kind = BTreeMap::<u64, OfKind>::new();
    for kind in extra.into_iter().flatten() {
        by_kind.entry(*kind).or_default();
    }
    for held in group.held {
        let state: BadgeState = read(&held)?;
        let of = by_kind.entry(state.kind).or_default();
        of.chain.push(state);
        of.held.push(held);
    }
    let mut all = Vec::new();
    for row in group.rows.into_iter().filter_map(PlatformBadge::read) {
        let kind = row.kind.value().and_then(|word| kinds.number(word));
        match kind.filter(|_| !group.holder.is_empty()) {
            Some(kind) => by_kind.entry(kind).or_default().platform.push(row),
            None => {
                let subject = Subject::new("platform_badge", row.key.clone());
                let of = OfKind {
                    platform: vec![row],
                    ..OfKind::default()
                };
                let about = (group.holder.as_str(), None, None);
                all.push(badge(judge, subject, about, of, false));
            }
        }
    }
    for (kind, of) in by_kind {
        let subject = Subject::new("badge", format!("{contract}/{}/{kind}", group.holder));
        let about = (group.holder.as_str(), Some(kind), kinds.name(kind));
        all.push(badge(judge, subject, about, of, group.cut));
    }
    Ok(all)
}

fn badge(
    judge: &Judge,
    subject: Subject,
    (user, kind, kind_name): (&str, Option<u64>, Option<&str>),
    of: OfKind,
    cut: bool,
) -> Judged {
    let case = BadgeCase {
        anchor: &judge.anchor,
        user,
        kind,
        kind_name,
        chain: &of.chain,
        platform: &of.platform,
    };
    let held: Vec<&Held> = of.held.iter().collect();
    let verdicts = badge_rules()
        .into_iter()
        .map(|rule| verdict(judge, &held, rule.info(), || rule.judge(&case)))
        .collect();
    let marks = of.platform.iter();
    Judged {
        entity: Entity::Badges.name(),
        subject,
        chain_hash: Group::chain_hash(&held),
        is_found: kind.is_some(),
        rows: marks
            .map(|row| mark("platform_badge", &row.key, &row.row))
            .collect(),
        cut,
        money: None,
        verdicts,
    }
}
