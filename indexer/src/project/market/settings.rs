//! What the governor and the attestors set: the newest value of each setting of each contract. What it
//! was before is in the projection's history.

use serde::{Deserialize, Serialize};
use stxworx_clarity::events::badges::BadgesEvent;
use stxworx_clarity::events::data::DataEvent;
use stxworx_clarity::events::logic::LogicEvent;
use stxworx_clarity::events::security::SecurityEvent;
use stxworx_clarity::events::{self, Event as Typed};
use utoipa::ToSchema;

use super::{Seen, asset_name, name_of, prints, small};
use crate::model::{Block, FollowSet, TxId};
use crate::project::{Fact, Projection};

/// Projection `settings`; the entity is `CONTRACT/TOPIC` or `CONTRACT/TOPIC/KEY`.
#[derive(Debug)]
pub struct Settings;

/// A setting.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SettingState {
    /// The event's name.
    pub topic: String,
    /// The event's data.
    #[schema(value_type = Object)]
    pub value: serde_json::Value,
    /// Burn height at which it was set.
    pub burn_height: u64,
    /// The transaction that set it.
    #[schema(value_type = Option<String>)]
    pub txid: Option<TxId>,
}

/// What tells a setting from others of its topic; `None` for an event that sets nothing.
fn key(event: &Typed) -> Option<Option<String>> {
    Some(match event {
        Typed::Logic(event) => match event {
            LogicEvent::Genesis(_)
            | LogicEvent::FeeSet(_)
            | LogicEvent::TreasurySet(_)
            | LogicEvent::ArbiterSet(_)
            | LogicEvent::ParamsSet(_)
            | LogicEvent::PausedSet(_) => None,
            LogicEvent::AssetSet(e) => Some(asset_name(e.asset.as_ref())),
            _ => return None,
        },
        Typed::Data(event) => match event {
            DataEvent::Genesis(_) => None,
            DataEvent::WriterSet(e) => Some(e.who.to_string()),
            DataEvent::AttestorSet(e) => Some(e.who.to_string()),
            DataEvent::CategorySet(e) => Some(e.id.0.to_string()),
            DataEvent::LeaderboardAnchored(e) => Some(format!("{}/{}", e.epoch.0, e.board.0)),
            _ => return None,
        },
        Typed::Badges(event) => match event {
            BadgesEvent::Genesis(_) | BadgesEvent::UriSet(_) => None,
            BadgesEvent::MinterSet(e) => Some(e.who.to_string()),
            BadgesEvent::KindSet(e) => Some(e.kind.0.to_string()),
            _ => return None,
        },
        Typed::Security(event) => match event {
            SecurityEvent::BudgetSet(e) => Some(asset_name(e.asset.as_ref())),
            SecurityEvent::Genesis(_) => None,
            _ => return None,
        },
    })
}

impl Projection for Settings {
    type State = SettingState;
    type Fact = SettingState;

    const ID: i16 = 16;
    const NAME: &'static str = "settings";
    const VERSION: i32 = 1;

    fn facts(&self, block: &Block, follow: &FollowSet) -> Vec<Fact<SettingState>> {
        let mut facts = Vec::new();
        for (event, contract, raw, txid) in prints(block, follow) {
            let Ok(envelope) = events::decode(name_of(contract), raw) else {
                continue;
            };
            let Some(key) = key(&envelope.event) else {
                continue;
            };
            let topic = envelope.event.topic();
            let seen = Seen {
                event,
                contract,
                txid,
                envelope,
            };
            let entity = match key {
                Some(key) => seen.entity(&format_args!("{topic}/{key}")),
                None => seen.entity(&topic),
            };
            let fact = SettingState {
                topic: topic.to_owned(),
                // A type of the catalogue is always JSON.
                value: serde_json::to_value(&seen.envelope.event).unwrap_or_default(),
                burn_height: small(seen.envelope.burn_height),
                txid: Some(txid),
            };
            facts.push(Fact {
                entity,
                position: seen.position(),
                fact,
            });
        }
        facts
    }

    fn fold(&self, state: &mut SettingState, _: &Block, fact: &SettingState) -> Result<(), String> {
        state.clone_from(fact);
        Ok(())
    }
}
