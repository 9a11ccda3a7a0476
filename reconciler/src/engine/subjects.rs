//! What there is to look at beside projects: assets of the escrow, kinds of badges, and what has breaks.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};
use stxworx_indexer::store::read::market::{ASSETS, AssetState, SETTINGS, SettingState};
use stxworx_indexer::store::reconcile::breaks;
use stxworx_indexer::store::reconcile::states;

use super::error::EngineError;
use super::ground::Ground;
use super::treasury;

/// States of a page.
const PAGE: i64 = 1_000;
/// Assets of an escrow, and kinds of badges, above which something is wrong.
const MOST: usize = 10_000;
/// Subjects of one rule's breaks that are looked at for their breaks' sake.
const LIVE: i64 = 1_000;

/// Names of kinds in the platform's own schema, for those that the chain does not name.
const KINDS: [(&str, u64); 5] = [
    ("bronze", 1),
    ("silver", 2),
    ("gold", 3),
    ("platinum", 4),
    ("verified", 5),
];

/// Another contract of the same deployment.
pub(super) fn sibling(contract: &str, name: &str) -> String {
    let (address, _) = contract.split_once('.').unwrap_or((contract, ""));
    format!("{address}.{name}")
}

pub(super) async fn all_states(
    ground: &mut Ground,
    projection: i16,
    prefix: &str,
) -> Result<Vec<(String, String)>, EngineError> {
    let (mut all, mut after) = (Vec::new(), String::new());
    let at = ground.at.clone();
    loop {
        let connection = ground.snapshot.connection();
        let page = states::states(connection, projection, prefix, &at, &after, PAGE).await?;
        all.extend(page.rows.into_iter().map(|row| (row.entity, row.state)));
        match page.next {
            Some(next) if all.len() < MOST => after = next,
            // A part of them would be a smaller problem than there is.
            Some(_) => {
                return Err(EngineError::Stored {
                    what: format!("the states that begin with {prefix:?}"),
                    detail: format!("there are more than {MOST}, and no contract makes so many"),
                });
            }
            None => return Ok(all),
        }
    }
}

/// An asset of the escrow.
pub(super) struct Asset {
    pub entity: String,
    /// Known in no part where it cannot be read.
    pub state: AssetState,
    /// Of its text.
    pub hash: [u8; 32],
    pub is_unreadable: bool,
}

/// The escrow's assets, by name.
pub(super) async fn asset_states(ground: &mut Ground) -> Result<Vec<Asset>, EngineError> {
    let prefix = format!("{}|", ground.contract);
    let rows = all_states(ground, ASSETS.id, &prefix).await?;
    let read = |(entity, text): (String, String)| {
        let state = serde_json::from_str(&text);
        if let Err(error) = &state {
            tracing::warn!(entity, %error, "a state of the mirror cannot be read, and is not compared");
        }
        Asset {
            hash: Sha256::digest(text.as_bytes()).into(),
            is_unreadable: state.is_err(),
            state: state.unwrap_or_else(|_| AssetState {
                partial: true,
                ..AssetState::default()
            }),
            entity,
        }
    };
    Ok(rows.into_iter().map(read).collect())
}

/// Kinds of badges by name, and their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Kinds {
    numbers: BTreeMap<String, u64>,
    names: BTreeMap<u64, String>,
}

impl Kinds {
    /// As of the run's block.
    pub(super) async fn read(ground: &mut Ground) -> Result<Self, EngineError> {
        let contract = sibling(&ground.contract, "freelance-badges");
        let prefix = format!("{contract}/kind-set/");
        let mut kinds = Self::default();
        for (name, number) in KINDS {
            kinds.add(name, number);
        }
        for (entity, text) in all_states(ground, SETTINGS.id, &prefix).await? {
            let what = format!("the state of {entity}");
            let state: SettingState =
                serde_json::from_str(&text).map_err(EngineError::stored(&what))?;
            let number = entity.rsplit_once('/').and_then(|(_, n)| n.parse().ok());
            if let (Some(number), Some(name)) = (number, state.value["name"].as_str()) {
                kinds.add(name, number);
            }
        }
        Ok(kinds)
    }

    fn add(&mut self, name: &str, number: u64) {
        let name = name.to_ascii_lowercase();
        // The chain's word replaces ours.
        if let Some(before) = self.names.insert(number, name.clone())
            && self.numbers.get(&before) == Some(&number)
        {
            self.numbers.remove(&before);
        }
        self.numbers.insert(name, number);
    }

    /// The number that a platform's word means.
    pub(super) fn number(&self, word: &str) -> Option<u64> {
        word.parse()
            .ok()
            .or_else(|| self.numbers.get(word).copied())
    }

    /// What the chain calls it.
    pub(super) fn name(&self, number: u64) -> Option<&str> {
        self.names.get(&number).map(String::as_str)
    }
}

/// Subjects of the breaks of a rule that are not over.
pub(super) async fn live_of_rule(
    ground: &mut Ground,
    rule: &str,
) -> Result<Vec<(String, String)>, EngineError> {
    let connection = ground.snapshot.connection();
    Ok(breaks::live_subjects(connection, Some(rule), LIVE).await?)
}

/// What has breaks that are not over.
#[derive(Debug, Default)]
pub(super) struct WithBreaks {
    /// Users and kinds of badges.
    pub badges: BTreeMap<String, BTreeSet<u64>>,
    /// Users.
    pub users: BTreeSet<String>,
    /// Transactions of the treasury.
    pub transfers: BTreeSet<String>,
}

/// Badges, users and transfers with breaks that are not over: even where neither side has them any more, they are
/// looked at.
pub(super) async fn with_breaks(
    ground: &mut Ground,
    limit: i64,
) -> Result<WithBreaks, EngineError> {
    let (badges, data) = (
        sibling(&ground.contract, "freelance-badges"),
        sibling(&ground.contract, "freelance-data"),
    );
    let security = treasury::contract(ground);
    let connection = ground.snapshot.connection();
    let mut found = WithBreaks::default();
    for (kind, key) in breaks::live_subjects(connection, None, limit).await? {
        let mut parts = key.split('/');
        match (kind.as_str(), parts.next(), parts.next(), parts.next()) {
            ("badge", Some(contract), Some(user), Some(number)) if contract == badges => {
                let of_user = found.badges.entry(user.to_owned()).or_default();
                of_user.extend(number.parse::<u64>().ok());
            }
            ("user", Some(contract), Some(user), None) if contract == data => {
                found.users.insert(user.to_owned());
            }
            (treasury::KIND, Some(contract), Some(txid), None) if contract == security => {
                found.transfers.insert(txid.to_owned());
            }
            _ => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_names_kinds_and_the_platforms_words_are_known_where_it_does_not() {
        let mut kinds = Kinds::default();
        for (name, number) in KINDS {
            kinds.add(name, number);
        }
        assert_eq!(
            (kinds.number("gold"), kinds.number("3")),
            (Some(3), Some(3))
        );
        kinds.add("First", 3);
        assert_eq!(
            (kinds.number("gold"), kinds.number("first")),
            (None, Some(3))
        );
        assert_eq!(kinds.name(3), Some("first"));
        assert_eq!(kinds.number("on fire"), None);
        // A name that moves to another number.
        kinds.add("bronze", 3);
        assert_eq!(kinds.number("bronze"), Some(3));
    }
}
