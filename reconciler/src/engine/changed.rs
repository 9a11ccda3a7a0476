//! What an incremental run has to look at: all that a sweep could find otherwise than the last run did.
//!
//! That is what the chain touched, applied or retracted; rows of the platform that are not as they were, with the
//! places where they were; and the subjects of breaks whose life goes on. Where one of these cannot be known, or is too
//! much, the run becomes a sweep.

use std::collections::{BTreeSet, HashSet};

use stxworx_indexer::store::reconcile::Writing;
use stxworx_indexer::store::reconcile::breaks::live_subjects;
use stxworx_indexer::store::reconcile::image::{Image, NOWHERE, Scope, Spot};
use stxworx_indexer::store::reconcile::mirror;
use stxworx_indexer::store::reconcile::run::RunRow;

use super::error::EngineError;
use super::stream::{ImageStream, PROJECTS};
use super::{Basis, Ground, Settings};
use crate::platform::postgres::{Filter, Platform, RowAt};

/// Places and keys that are to be looked at.
#[derive(Default)]
struct Found {
    places: BTreeSet<u128>,
    keys: BTreeSet<String>,
}

impl Found {
    fn add(&mut self, spot: &Spot) {
        if spot.place == NOWHERE {
            self.keys.insert(spot.key.clone());
        } else {
            self.places.insert(spot.place);
        }
    }

    fn len(&self) -> usize {
        self.places.len() + self.keys.len()
    }
}

/// The scope; none for everything.
pub(super) async fn scope(
    settings: &Settings,
    last: &RunRow,
    basis: &Basis,
    ground: &mut Ground,
    platform: &mut Platform,
    writing: &mut Writing,
) -> Result<Option<Scope>, EngineError> {
    // Other rules, names or columns: everything may be another verdict.
    let same = last.basis.as_ref() == Some(&basis.value())
        && last.contract.as_deref() == Some(ground.contract.as_str())
        && last.schema_fingerprint.as_deref() == Some(platform.shape.fingerprint().as_slice());
    if !same {
        return Ok(None);
    }
    let limit = settings.incremental_limit;
    let mut found = Found::default();
    if !by_chain(last, ground, limit, &mut found).await? {
        return Ok(None);
    }
    let told = platform.shape.tells_changes();
    let whole = match last.platform_mark.as_ref().filter(|_| told) {
        Some(since) => by_time(since, platform, writing, limit, &mut found).await?,
        None => by_hash(ground, platform, limit, &mut found).await?,
    };
    if !whole || !by_breaks(ground, platform, writing, limit, &mut found).await? {
        return Ok(None);
    }
    if found.len() > limit {
        return Ok(None);
    }
    Ok(Some(Scope {
        places: found.places.into_iter().collect(),
        keys: found.keys.into_iter().collect(),
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
    let connection = ground.snapshot.connection();
    let entities =
        mirror::touched(connection, &ground.contract, (seen, newest), above(limit)).await?;
    found
        .places
        .extend(entities.iter().filter_map(|e| number_of(e)));
    Ok(found.len() <= limit)
}

/// Rows with a new `updated_at` that are not as they were.
async fn by_time(
    since: &str,
    platform: &mut Platform,
    writing: &mut Writing,
    limit: usize,
    found: &mut Found,
) -> Result<bool, EngineError> {
    let filter = Filter::Changed {
        since: since.to_owned(),
    };
    platform.read(&filter).await?;
    loop {
        let rows = platform.page().await?;
        if rows.is_empty() {
            return Ok(true);
        }
        let keys: Vec<_> = rows.iter().map(|row| row.spot.key.clone()).collect();
        let images = writing.standing_keys(PROJECTS, &keys).await?;
        changed(&rows, &images, found);
        if found.len() > limit {
            return Ok(false);
        }
    }
}

fn changed(rows: &[RowAt], images: &[Image], found: &mut Found) {
    let same: HashSet<_> = images.iter().map(|i| (&i.spot, i.hash.clone())).collect();
    let mut keys = HashSet::new();
    for row in rows {
        if !same.contains(&(&row.spot, row.row.hash().to_vec())) {
            found.add(&row.spot);
            keys.insert(&row.spot.key);
        }
    }
    // And where they were before.
    for image in images.iter().filter(|image| keys.contains(&image.spot.key)) {
        found.add(&image.spot);
    }
}

/// Rows that are not as they were, by looking at all of them.
async fn by_hash(
    ground: &mut Ground,
    platform: &mut Platform,
    limit: usize,
    found: &mut Found,
) -> Result<bool, EngineError> {
    platform.read(&Filter::All).await?;
    let mut images = ImageStream::new(None);
    loop {
        let rows = platform.page().await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            let hash = row.row.hash();
            let meeting = images.meet(&mut ground.snapshot, &row.spot, &hash).await?;
            meeting.gone.iter().for_each(|image| found.add(&image.spot));
            if !meeting.same {
                found.add(&row.spot);
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
        rest.iter().for_each(|image| found.add(&image.spot));
    }
}

/// Subjects of breaks whose life goes on.
async fn by_breaks(
    ground: &mut Ground,
    platform: &mut Platform,
    writing: &mut Writing,
    limit: usize,
    found: &mut Found,
) -> Result<bool, EngineError> {
    let subjects = live_subjects(ground.snapshot.connection(), above(limit)).await?;
    if subjects.len() > limit {
        return Ok(false);
    }
    let mut keys = Vec::new();
    for (kind, key) in subjects {
        if kind == "platform_project" {
            keys.push(key);
        } else if let Some((contract, _)) = key.rsplit_once('/')
            && contract == ground.contract
        {
            found.places.extend(number_of(&key));
        }
    }
    if keys.is_empty() {
        return Ok(true);
    }
    for image in writing.standing_keys(PROJECTS, &keys).await? {
        found.add(&image.spot);
    }
    platform.read(&Filter::Keys(keys)).await?;
    loop {
        let rows = platform.page().await?;
        if rows.is_empty() {
            return Ok(true);
        }
        rows.iter().for_each(|row| found.add(&row.spot));
        if found.len() > limit {
            return Ok(false);
        }
    }
}
