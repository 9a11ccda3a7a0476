//! What a follower wants to be told.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::mints::{KINDS, PAUSES};
use crate::api::error::ApiError;
use crate::api::params::{self, Params};

/// Values of one list at most.
const MAX_VALUES: usize = 20;
/// Every kind of message about mints.
const ALL: &str = "all";
/// The names of the parameters of [`Filter`].
pub const FILTER: &[&str] = &[
    "contract",
    "topic",
    "projection",
    "entity",
    "principal",
    "mint",
    "include",
    "empty",
];

/// What is told of a block. An empty filter tells everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// Events of these contracts, and entities that belong to them.
    pub contract: Vec<String>,
    /// Events with one of these topics. Entities are told all the same.
    pub topic: Vec<String>,
    /// Entities of these projections. Events are told all the same.
    pub projection: Vec<String>,
    /// This entity alone. Events are told all the same.
    pub entity: Option<String>,
    /// Events and states that name this principal. A state is told when the one before it names him, too.
    pub principal: Option<String>,
    /// Messages about mints of these kinds, for instance `minted` and `held`; `all` for every kind. None without it. Of a
    /// `principal` alone, or at a `contract` alone, if those are given.
    pub mint: Vec<String>,
    /// `events` or `states` of blocks alone, both when empty; `mints`: messages about mints, and no blocks.
    pub include: Option<Include>,
    /// Tell blocks, too, in which nothing passes the filter. Without any filter they are told anyway.
    pub empty: bool,
}

/// One half of what is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Include {
    /// Events.
    Events,
    /// States of entities.
    States,
    /// Messages about mints, and nothing of blocks.
    Mints,
}

/// The parameters of a stream that choose what is told.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(
    dead_code,
    reason = "describes the parameters; `Filter::from_params` reads them"
)]
pub struct FilterParams {
    /// Events of these contracts, and entities that belong to them; up to 20, separated by commas.
    contract: Option<String>,
    /// Events with one of these topics, separated by commas.
    topic: Option<String>,
    /// Entities of these projections, for instance `projects`, separated by commas.
    projection: Option<String>,
    /// This entity alone, for instance `CONTRACT/2`.
    entity: Option<String>,
    /// Events and states that name this principal.
    principal: Option<String>,
    /// Messages about mints of these kinds, separated by commas; `all` for every kind.
    mint: Option<String>,
    /// `events` or `states` of blocks alone; `mints`: messages about mints, and no blocks.
    include: Option<Include>,
    /// `true`: blocks in which nothing passes the filter are told, too.
    empty: Option<bool>,
}

fn list(params: &Params, name: &str) -> Result<Vec<String>, ApiError> {
    let Some(text) = params.text(name)? else {
        return Ok(Vec::new());
    };
    let mut values: Vec<String> = text.split(',').map(str::to_owned).collect();
    values.sort_unstable();
    values.dedup();
    if values.len() > MAX_VALUES || values.iter().any(String::is_empty) {
        let expected = format!("1 to {MAX_VALUES} values, separated by commas");
        return Err(ApiError::parameter(name, text, expected));
    }
    Ok(values)
}

impl Filter {
    /// The filter of a query.
    pub fn from_params(params: &Params) -> Result<Self, ApiError> {
        let filter = Self {
            contract: list(params, "contract")?,
            topic: list(params, "topic")?,
            projection: list(params, "projection")?,
            entity: params.text("entity")?.map(str::to_owned),
            principal: params.text("principal")?.map(str::to_owned),
            mint: list(params, "mint")?,
            include: match params.get("include") {
                None => None,
                Some("events") => Some(Include::Events),
                Some("states") => Some(Include::States),
                Some("mints") => Some(Include::Mints),
                Some(other) => {
                    return Err(ApiError::parameter(
                        "include",
                        other,
                        "`events`, `states` or `mints`",
                    ));
                }
            },
            empty: match params.get("empty") {
                None | Some("false") => false,
                Some("true") => true,
                Some(other) => {
                    return Err(ApiError::parameter("empty", other, "`true` or `false`"));
                }
            },
        };
        filter.check()?;
        Ok(filter)
    }

    /// Refuses what no chain has.
    pub fn check(&self) -> Result<(), ApiError> {
        for (name, values) in [
            ("contract", &self.contract),
            ("topic", &self.topic),
            ("projection", &self.projection),
        ] {
            if values.len() > MAX_VALUES {
                let expected = format!("at most {MAX_VALUES} values");
                return Err(ApiError::parameter(
                    name,
                    &values.len().to_string(),
                    expected,
                ));
            }
            for value in values {
                match name {
                    "contract" => params::contract(name, value)?,
                    _ => params::text(name, value)?,
                };
            }
        }
        let known = |kind: &str| kind == ALL || KINDS.contains(&kind);
        if let Some(other) = self.mint.iter().find(|kind| !known(kind)) {
            let expected = format!("{ALL}, or some of {}", KINDS.join(", "));
            return Err(ApiError::parameter("mint", other, expected));
        }
        if let Some(entity) = &self.entity {
            params::text("entity", entity)?;
        }
        if let Some(principal) = &self.principal {
            let expected =
                || ApiError::parameter("principal", principal, "a Stacks address or contract id");
            let known = principal
                .parse::<stxworx_clarity::codec::Principal>()
                .map_err(|_| expected())?;
            if known.to_string() != *principal {
                return Err(expected());
            }
        }
        Ok(())
    }

    /// Is anything left out?
    pub fn is_open(&self) -> bool {
        let Self {
            contract,
            topic,
            projection,
            entity,
            principal,
            mint: _,
            include: _,
            empty,
        } = self;
        *empty
            || (contract.is_empty()
                && topic.is_empty()
                && projection.is_empty()
                && entity.is_none()
                && principal.is_none())
    }

    /// Is anything told of blocks?
    pub fn takes_blocks(&self) -> bool {
        self.include != Some(Include::Mints)
    }

    /// Is anything told of mints?
    pub fn takes_mints(&self) -> bool {
        !self.mint.is_empty() || !self.takes_blocks()
    }

    /// Does it ask by name for what operators alone are told?
    pub fn wants_pauses(&self) -> bool {
        self.mint.iter().any(|kind| PAUSES.contains(&kind.as_str()))
    }

    /// Does a message about a mint pass? What names no contract is about all of them.
    pub fn takes_message(
        &self,
        kind: &str,
        contract: Option<&str>,
        recipient: Option<&str>,
    ) -> bool {
        let kinds = &self.mint;
        let wanted = |name: &str| kinds.iter().any(|kind| kind == name);
        let all = wanted(ALL) || (kinds.is_empty() && !self.takes_blocks());
        (all || wanted(kind))
            && (contract.is_none() || one_of(&self.contract, contract))
            && self
                .principal
                .as_deref()
                .is_none_or(|who| recipient == Some(who))
    }

    /// Does an event pass?
    pub fn takes_event(&self, contract: Option<&str>, topic: Option<&str>, json: &str) -> bool {
        !matches!(self.include, Some(Include::States | Include::Mints))
            && one_of(&self.contract, contract)
            && one_of(&self.topic, topic)
            && self.names(|quoted| json.contains(quoted))
    }

    /// Does a change of an entity pass, of which these are the states?
    pub fn takes_state(&self, projection: &str, entity: &str, states: [Option<&str>; 2]) -> bool {
        let owner = entity.split(['/', '|']).next();
        !matches!(self.include, Some(Include::Events | Include::Mints))
            && one_of(&self.projection, Some(projection))
            && self.entity.as_deref().is_none_or(|wanted| wanted == entity)
            && one_of(&self.contract, owner)
            && (self
                .principal
                .as_deref()
                .is_some_and(|who| entity.split(['/', '|']).any(|part| part == who))
                || self.names(|quoted| states.iter().flatten().any(|state| state.contains(quoted))))
    }

    /// A principal stands in JSON as a text of its own.
    fn names(&self, holds: impl Fn(&str) -> bool) -> bool {
        self.principal
            .as_ref()
            .is_none_or(|who| holds(&format!("\"{who}\"")))
    }
}

fn one_of(wanted: &[String], given: Option<&str>) -> bool {
    wanted.is_empty() || given.is_some_and(|given| wanted.iter().any(|w| w == given))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM";

    #[test]
    fn a_state_that_no_longer_names_someone_is_told_once_more() {
        let filter = Filter {
            principal: Some(ALICE.to_owned()),
            ..Filter::default()
        };
        filter.check().unwrap();
        let named = format!("{{\"owner\": \"{ALICE}\"}}");
        let takes = |states| filter.takes_state("badges", "c/1", states);
        assert!(takes([Some(&named), None]));
        assert!(takes([Some("{}"), Some(&named)]));
        assert!(!takes([Some("{}"), Some("{}")]));
        assert!(filter.takes_state("profiles", &format!("c/{ALICE}"), [Some("{}"), None]));
        assert!(!filter.is_open());
    }

    #[test]
    fn contracts_own_their_entities() {
        let filter = Filter {
            contract: vec!["SP1.a".to_owned()],
            ..Filter::default()
        };
        for (entity, taken) in [
            ("SP1.a", true),
            ("SP1.a/1", true),
            ("SP1.a|STX", true),
            ("SP1.ab/1", false),
        ] {
            assert_eq!(
                filter.takes_state("p", entity, [None, None]),
                taken,
                "{entity}"
            );
        }
        assert!(filter.takes_event(Some("SP1.a"), None, "{}"));
        assert!(!filter.takes_event(None, None, "{}"));
    }

    #[test]
    fn halves_are_left_out() {
        let only = |include| Filter {
            include: Some(include),
            ..Filter::default()
        };
        assert!(!only(Include::Events).takes_state("p", "e", [None, None]));
        assert!(!only(Include::States).takes_event(None, None, ""));
        assert!(only(Include::States).is_open());
    }
}
