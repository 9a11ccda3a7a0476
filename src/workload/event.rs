//! Events of a transaction, as `/new_block` carries them.

use super::json::{Json, hex0x, object};
use super::values::legacy_json;
use serde_json::json;
use stxworx_clarity::codec::ContractId;
use stxworx_clarity::codec::Value;

/// An event. Principals are given as text, because a node sends them so; anything that displays as one will do.
/// Amounts are base units.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A value printed by a contract.
    Print {
        /// Who printed.
        contract: String,
        /// What.
        value: Value,
    },
    /// STX moved.
    StxTransfer {
        /// From.
        sender: String,
        /// To.
        recipient: String,
        /// µSTX.
        amount: u128,
        /// Up to 34 bytes; empty for transfers by contracts.
        memo: Vec<u8>,
    },
    /// STX came into being (genesis, unlocks of the launch).
    StxMint {
        /// Whose.
        recipient: String,
        /// µSTX.
        amount: u128,
    },
    /// STX destroyed.
    StxBurn {
        /// Whose.
        sender: String,
        /// µSTX.
        amount: u128,
    },
    /// STX locked by PoX.
    StxLock {
        /// Whose.
        locked_address: String,
        /// µSTX.
        locked_amount: u128,
        /// Burn height.
        unlock_height: u64,
        /// The PoX contract.
        contract: String,
    },
    /// Fungible tokens.
    Ft {
        /// What happened.
        action: Action,
        /// `ADDRESS.contract::asset`, see [`asset`].
        asset: String,
        /// How many.
        amount: u128,
    },
    /// One non-fungible token.
    Nft {
        /// What happened.
        action: Action,
        /// `ADDRESS.contract::asset`, see [`asset`].
        asset: String,
        /// Which.
        id: Value,
    },
    /// Anything else, as a later node may send it.
    Other {
        /// The `type`, and the key of the body.
        kind: String,
        /// The body.
        body: Json,
    },
}

/// What happened to a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Moved.
    Transfer {
        /// From.
        sender: String,
        /// To.
        recipient: String,
    },
    /// Came into being.
    Mint {
        /// Whose.
        recipient: String,
    },
    /// Destroyed.
    Burn {
        /// Whose.
        sender: String,
    },
}

/// The identifier of a token: `ADDRESS.contract::name`.
pub fn asset(contract: &ContractId, name: &str) -> String {
    format!("{contract}::{name}")
}

impl Event {
    /// STX moved by a contract, without memo.
    pub fn stx_transfer(sender: impl ToString, recipient: impl ToString, amount: u128) -> Self {
        let (sender, recipient) = (sender.to_string(), recipient.to_string());
        Self::StxTransfer {
            sender,
            recipient,
            amount,
            memo: Vec::new(),
        }
    }

    /// A value printed by a contract.
    pub fn print(contract: &ContractId, value: Value) -> Self {
        Self::Print {
            contract: contract.to_string(),
            value,
        }
    }

    /// Fungible tokens moved.
    pub fn ft_transfer(
        asset: &str,
        sender: impl ToString,
        recipient: impl ToString,
        amount: u128,
    ) -> Self {
        Self::Ft {
            action: Action::transfer(sender, recipient),
            asset: asset.to_owned(),
            amount,
        }
    }

    /// Fungible tokens minted.
    pub fn ft_mint(asset: &str, recipient: impl ToString, amount: u128) -> Self {
        Self::Ft {
            action: Action::mint(recipient),
            asset: asset.to_owned(),
            amount,
        }
    }

    /// Fungible tokens burnt.
    pub fn ft_burn(asset: &str, sender: impl ToString, amount: u128) -> Self {
        Self::Ft {
            action: Action::burn(sender),
            asset: asset.to_owned(),
            amount,
        }
    }

    /// A non-fungible token moved.
    pub fn nft_transfer(
        asset: &str,
        sender: impl ToString,
        recipient: impl ToString,
        id: Value,
    ) -> Self {
        Self::Nft {
            action: Action::transfer(sender, recipient),
            asset: asset.to_owned(),
            id,
        }
    }

    /// A non-fungible token minted.
    pub fn nft_mint(asset: &str, recipient: impl ToString, id: Value) -> Self {
        Self::Nft {
            action: Action::mint(recipient),
            asset: asset.to_owned(),
            id,
        }
    }

    /// A non-fungible token burnt.
    pub fn nft_burn(asset: &str, sender: impl ToString, id: Value) -> Self {
        Self::Nft {
            action: Action::burn(sender),
            asset: asset.to_owned(),
            id,
        }
    }

    /// The `type`, which is also the key of the body.
    pub(super) fn kind(&self) -> &str {
        match self {
            Self::Print { .. } => "contract_event",
            Self::StxTransfer { .. } => "stx_transfer_event",
            Self::StxMint { .. } => "stx_mint_event",
            Self::StxBurn { .. } => "stx_burn_event",
            Self::StxLock { .. } => "stx_lock_event",
            Self::Ft { action, .. } => {
                action.kind("ft_transfer_event", "ft_mint_event", "ft_burn_event")
            }
            Self::Nft { action, .. } => {
                action.kind("nft_transfer_event", "nft_mint_event", "nft_burn_event")
            }
            Self::Other { kind, .. } => kind,
        }
    }

    /// The body; `with_value` adds the decoded `value` of old nodes.
    pub(super) fn body(&self, with_value: bool) -> Json {
        match self {
            Self::Print { contract, value } => {
                let fields = vec![
                    ("contract_identifier", json!(contract)),
                    ("topic", json!("print")),
                ];
                valued(fields, value, with_value)
            }
            Self::StxTransfer {
                sender,
                recipient,
                amount,
                memo,
            } => object([
                ("amount", decimal(*amount)),
                ("memo", json!(hex::encode(memo))),
                ("recipient", json!(recipient)),
                ("sender", json!(sender)),
            ]),
            Self::StxMint { recipient, amount } => object([
                ("amount", decimal(*amount)),
                ("recipient", json!(recipient)),
            ]),
            Self::StxBurn { sender, amount } => {
                object([("amount", decimal(*amount)), ("sender", json!(sender))])
            }
            Self::StxLock {
                locked_address,
                locked_amount,
                unlock_height,
                contract,
            } => object([
                ("contract_identifier", json!(contract)),
                ("locked_address", json!(locked_address)),
                ("locked_amount", decimal(*locked_amount)),
                ("unlock_height", json!(unlock_height.to_string())),
            ]),
            Self::Ft {
                action,
                asset,
                amount,
            } => {
                let mut fields = action.fields();
                fields.extend([
                    ("asset_identifier", json!(asset)),
                    ("amount", decimal(*amount)),
                ]);
                object(fields)
            }
            Self::Nft { action, asset, id } => {
                let mut fields = action.fields();
                fields.push(("asset_identifier", json!(asset)));
                valued(fields, id, with_value)
            }
            Self::Other { body, .. } => body.clone(),
        }
    }
}

impl Action {
    fn transfer(sender: impl ToString, recipient: impl ToString) -> Self {
        Self::Transfer {
            sender: sender.to_string(),
            recipient: recipient.to_string(),
        }
    }

    fn mint(recipient: impl ToString) -> Self {
        Self::Mint {
            recipient: recipient.to_string(),
        }
    }

    fn burn(sender: impl ToString) -> Self {
        Self::Burn {
            sender: sender.to_string(),
        }
    }

    fn kind<'a>(&self, transfer: &'a str, mint: &'a str, burn: &'a str) -> &'a str {
        match self {
            Self::Transfer { .. } => transfer,
            Self::Mint { .. } => mint,
            Self::Burn { .. } => burn,
        }
    }

    fn fields(&self) -> Vec<(&'static str, Json)> {
        match self {
            Self::Transfer { sender, recipient } => {
                vec![("sender", json!(sender)), ("recipient", json!(recipient))]
            }
            Self::Mint { recipient } => vec![("recipient", json!(recipient))],
            Self::Burn { sender } => vec![("sender", json!(sender))],
        }
    }
}

/// Amounts are decimal strings in events, for they may have 128 bits.
fn decimal(amount: u128) -> Json {
    Json::String(amount.to_string())
}

fn valued(mut fields: Vec<(&'static str, Json)>, value: &Value, with_value: bool) -> Json {
    fields.push(("raw_value", json!(hex0x(value.encode()))));
    if with_value {
        fields.push(("value", legacy_json(value)));
    }
    object(fields)
}
