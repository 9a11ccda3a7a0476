//! What an incremental run has to look at: all that a sweep could find otherwise than the last run did.
//!
//! That is what the chain touched, applied or retracted; rows of the platform that are not as they were, with the
//! places where they were; and the subjects of breaks whose life goes on. Where one of these cannot be known, or is too
//! much, the run becomes a sweep.

use std::collections::{BTreeSet, HashSet};

use stxworx_indexer::store::read::market::{BADGES, PROFILES, PROJECTS};
use stxworx_indexer::store::reconcile::Writing;
use stxworx_indexer::store::reconcile::breaks::live_subjects;
use stxworx_indexer::store::reconcile::image::{Image, NOWHERE, Scope, Spot};
use stxworx_indexer::store::reconcile::mirror;
use stxworx_indexer::store::reconcile::moves;
use stxworx_indexer::store::reconcile::run::RunRow;
use stxworx_indexer::store::reconcile::states;

use super::error::EngineError;
use super::inputs::{Inputs, Scopes};
use super::stream::ImageStream;
use super::subjects::sibling;
use super::treasury;
use super::{Basis, Ground, Settings};
use crate::anchor::Anchor;
use crate::platform::postgres::{Entity, Filter, Platform, RowAt, Shape};

/// What is to be looked at.
#[derive(Default)]
struct Found {
    places: BTreeSet<u128>,
    keys: BTreeSet<String>,
    badges: BTreeSet<String>,
    users: BTreeSet<String>,
    transfers: BTreeSet<String>,
    assets: bool,
}

impl Found {
    fn add(&mut self, entity: Entity, spot: &Spot) {
        match entity {
            Entity::Projects if spot.place != NOWHERE => {
                self.places.insert(spot.place);
            }
            Entity::Projects => {
                self.keys.insert(spot.key.clone());
            }
            Entity::Badges => {
                self.badges.insert(spot.group().to_owned());
            }
            Entity::Users => {
                self.users.insert(spot.group().to_owned());
            }
            Entity::Transfers => {
                self.transfers.insert(spot.group().to_owned());
            }
        }
    }

    fn len(&self) -> usize {
        let people = self.badges.len() + self.users.len();
        self.places.len() + self.keys.len() + people + self.transfers.len()
    }
}

/// The chain, the platform, and what runs keep.
type Sides<'a> = (&'a mut Ground, &'a mut Platform, &'a mut Writing);

/// The scopes; none for everything.
pub(super) async fn scopes(
    settings: &Settings,
    (last, before): (&RunRow, &Inputs),
    basis: &Basis,
    (ground, platform, writing): Sides<'_>,
) -> Result<Option<Scopes>, EngineError> {
    // Other rules, names or columns: everything may be another verdict.
    let same = last.basis.as_ref() == Some(&basis.value())
        && last.contract.as_deref() == Some(ground.contract.as_str())
        && last.schema_fingerprint.as_deref() == Some(platform.shapes.fingerprint().as_slice());
    if !same {
        return Ok(None);
    }
    let limit = settings.incremental_limit;
    let mut found = Found::default();
    if !by_chain(last, ground, limit, &mut found).await? {
        return Ok(None);
    }
    for entity in Entity::ALL {
        let told = platform.shapes.of(entity).is_some_and(Shape::tells_changes);
        let since = match entity {
            Entity::Projects => last.platform_mark.as_ref(),
            other => before.marks.get(other.name()),
        };
        let whole = match since.filter(|_| told) {
            Some(since) => by_time(entity, since, (platform, writing), limit, &mut found).await?,
            None => by_hash(entity, (ground, platform), limit, &mut found).await?,
        };
        if !whole {
            return Ok(None);
        }
    }
    let whole = by_breaks((ground, platform, writing), limit, &mut found).await?;
    if !whole || found.len() > limit {
        return Ok(None);
    }
    Ok(Some(Scopes {
        projects: Scope {
            places: found.places.into_iter().collect(),
            keys: found.keys.into_iter().collect(),
        },
        badges: found.badges.into_iter().collect(),
        users: found.users.into_iter().collect(),
        transfers: found.transfers.into_iter().collect(),
        assets: found.assets,
    }))
}

fn above(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}

fn number_of(entity: &str) -> Option<u128> {
    entity.rsplit_once('/')?.1.parse().ok()
}

/// What the chain touched. False where lines of the outbox are missing, or they are too many.
async fn by_chain(
    last: &RunRow,
    ground: &mut Ground,
    limit: usize,
    found: &mut Found,
) -> Result<bool, EngineError> {
    let seen = last.outbox_id.unwrap_or(0);
    let Some((first, newest)) = ground.outbox else {
        // It was emptied: the mirror was made anew.
        return Ok(seen == 0);
    };
    if first > seen + 1 || newest < seen {
        return Ok(false);
    }
    let (data, badges) = (
        sibling(&ground.contract, "freelance-data"),
        sibling(&ground.contract, "freelance-badges"),
    );
    let (lines, most) = ((seen, newest), above(limit));
    let treasuries = treasury::treasuries(ground).await?;
    let now = ground.anchor;
    let connection = ground.snapshot.connection();
    let touched = mirror::touched(connection, PROJECTS.id, &ground.contract, lines, most).await?;
    found
        .places
        .extend(touched.iter().filter_map(|e| number_of(e)));
    let touched = mirror::touched(connection, PROFILES.id, &data, lines, most).await?;
    found
        .users
        .extend(touched.iter().filter_map(|e| user_of(e)));
    let touched = mirror::touched(connection, BADGES.id, &badges, lines, most).await?;
    found
        .badges
        .extend(states::holders_of(connection, &touched).await?);
    let touched = moves::touched(connection, &treasuries, lines, most).await?;
    found.transfers.extend(touched);
    // An attestation ends by itself; after a fork, Bitcoin's height may be a lower one than it was.
    let then: Option<Anchor> = last
        .anchor
        .clone()
        .and_then(|anchor| serde_json::from_value(anchor).ok());
    let then = then.map_or((0, None), |then| (then.burn_height, Some(then.block)));
    let heights = (then.0.min(now.burn_height), then.0.max(now.burn_height));
    let expired = states::expired(connection, &data, heights, most).await?;
    found
        .users
        .extend(expired.iter().filter_map(|e| user_of(e)));
    found.assets = then.1 != Some(now.block);
    Ok(found.len() <= limit)
}

fn user_of(entity: &str) -> Option<String> {
    Some(entity.split_once('/')?.1.to_owned())
}

/// Rows with a new `updated_at` that are not as they were.
async fn by_time(
    entity: Entity,
    since: &str,
    (platform, writing): (&mut Platform, &mut Writing),
    limit: usize,
    found: &mut Found,
) -> Result<bool, EngineError> {
    let filter = Filter::Changed {
        since: since.to_owned(),
    };
    platform.read(entity, &filter).await?;
    let name = entity.name();
    loop {
        let rows = platform.page().await?;
        if rows.is_empty() {
            return Ok(true);
        }
        let keys: Vec<_> = rows
            .iter()
            .map(|row| row.spot.own_key(name).to_owned())
            .collect();
        let images = writing.standing_keys(name, &keys).await?;
        changed(entity, &rows, &images, found);
        if found.len() > limit {
            return Ok(false);
        }
    }
}

fn changed(entity: Entity, rows: &[RowAt], images: &[Image], found: &mut Found) {
    let name = entity.name();
    let same: HashSet<_> = images.iter().map(|i| (&i.spot, i.hash.clone())).collect();
    let mut keys = HashSet::new();
    for row in rows {
        if !same.contains(&(&row.spot, row.row.hash().to_vec())) {
            found.add(entity, &row.spot);
            keys.insert(row.spot.own_key(name));
        }
    }
    // And where they were before.
    for image in images {
        if keys.contains(image.spot.own_key(name)) {
            found.add(entity, &image.spot);
        }
    }
}

/// Rows that are not as they were, by looking at all of them.
async fn by_hash(
    entity: Entity,
    (ground, platform): (&mut Ground, &mut Platform),
    limit: usize,
    found: &mut Found,
) -> Result<bool, EngineError> {
    platform.read(entity, &Filter::All).await?;
    let mut images = ImageStream::new(entity.name(), None);
    loop {
        let rows = platform.page().await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            let hash = row.row.hash();
            let meeting = images.meet(&mut ground.snapshot, &row.spot, &hash).await?;
            meeting
                .gone
                .iter()
                .for_each(|image| found.add(entity, &image.spot));
            if !meeting.same {
                found.add(entity, &row.spot);
            }
        }
        if found.len() > limit {
            return Ok(false);
        }
    }
    loop {
        let rest = images.rest(&mut ground.snapshot).await?;
        if rest.is_empty() || found.len() > limit {
            return Ok(found.len() <= limit);
        }
        rest.iter().for_each(|image| found.add(entity, &image.spot));
    }
}

/// Subjects of breaks whose life goes on.
async fn by_breaks(
    (ground, platform, writing): Sides<'_>,
    limit: usize,
    found: &mut Found,
) -> Result<bool, EngineError> {
    let (data, badges) = (
        sibling(&ground.contract, "freelance-data"),
        sibling(&ground.contract, "freelance-badges"),
    );
    let subjects = live_subjects(ground.snapshot.connection(), None, above(limit)).await?;
    if subjects.len() > limit {
        return Ok(false);
    }
    let security = treasury::contract(ground);
    let (mut keys, mut of_badges) = (Vec::new(), Vec::new());
    for (kind, key) in subjects {
        let (contract, rest) = key.split_once('/').unwrap_or((&key, ""));
        match kind.as_str() {
            "platform_project" => keys.push(key),
            "platform_badge" => {
                found.badges.insert(format!(" {key}"));
                of_badges.push(key);
            }
            "platform_user" => {
                found.users.insert(format!(" {key}"));
            }
            "project" if contract == ground.contract => found.places.extend(number_of(&key)),
            "badge" if contract == badges => {
                let user = rest.split('/').next().unwrap_or_default();
                found.badges.insert(user.to_owned());
            }
            "user" if contract == data => {
                found.users.insert(rest.to_owned());
            }
            treasury::KIND if contract == security => {
                found.transfers.insert(rest.to_owned());
            }
            treasury::ALONE => {
                found.transfers.insert(format!(" {key}"));
            }
            "asset" => found.assets = true,
            _ => {}
        }
    }
    // A row that names a user and no kind stands among that user's.
    if !of_badges.is_empty() {
        let entity = Entity::Badges;
        for image in writing.standing_keys(entity.name(), &of_badges).await? {
            found.add(entity, &image.spot);
        }
    }
    if keys.is_empty() {
        return Ok(true);
    }
    let entity = Entity::Projects;
    for image in writing.standing_keys(entity.name(), &keys).await? {
        found.add(entity, &image.spot);
    }
    platform.read(entity, &Filter::Keys(keys)).await?;
    loop {
        let rows = platform.page().await?;
        if rows.is_empty() {
            return Ok(true);
        }
        rows.iter().for_each(|row| found.add(entity, &row.spot));
        if found.len() > limit {
            return Ok(false);
        }
    }
}
