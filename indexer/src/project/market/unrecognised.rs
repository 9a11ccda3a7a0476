//! Prints of the platform's contracts that the catalogue does not have. They are kept like any event;
//! this says how many there are, and why.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{name_of, prints};
use crate::model::change::position;
use crate::model::{Block, FollowSet, TxId};
use crate::project::{Fact, Projection};

/// Projection `unrecognised`; the entity is the contract's id.
#[derive(Debug)]
pub struct Unrecognised;

/// How many, and the last one.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnrecognisedState {
    /// So far.
    pub count: u64,
    /// The last one.
    pub last: Option<Stranger>,
}

/// A print that is not of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stranger {
    /// Why.
    pub reason: String,
    /// Its topic, if it has one.
    pub topic: Option<String>,
    /// Its transaction.
    #[schema(value_type = String)]
    pub txid: TxId,
    /// Its place in the transaction.
    pub ordinal: u32,
}

impl Projection for Unrecognised {
    type State = UnrecognisedState;
    type Fact = Stranger;

    const ID: i16 = 5;
    const NAME: &'static str = "unrecognised";
    const VERSION: i32 = 1;

    fn facts(&self, block: &Block, follow: &FollowSet) -> Vec<Fact<Stranger>> {
        prints(block, follow)
            .filter_map(|(event, contract, raw, txid)| {
                let reason = stxworx_clarity::events::decode(name_of(contract), raw).err()?;
                Some(Fact {
                    entity: contract.to_owned(),
                    position: position(event.tx_index, event.ordinal),
                    fact: Stranger {
                        reason: reason.to_string(),
                        topic: event.body.topic.clone(),
                        txid,
                        ordinal: event.ordinal,
                    },
                })
            })
            .collect()
    }

    fn fold(
        &self,
        state: &mut UnrecognisedState,
        _: &Block,
        fact: &Stranger,
    ) -> Result<(), String> {
        state.count += 1;
        state.last = Some(fact.clone());
        Ok(())
    }
}
