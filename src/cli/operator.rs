//! Options of the verbs over what is stored.

use clap::{Args, Subcommand};
use stxworx_indexer::explain::At;
use stxworx_indexer::model::TxId;

use crate::post::OutputFormat;

/// Options of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Also compare each contract's chain of events with the contract's cursor at this node (RPC, http://HOST:PORT).
    #[arg(long, value_name = "URL")]
    pub node: Option<String>,
    /// Also hash every transaction and identity, read every payload, and check inbox states, orphans, numbers, the
    /// outbox and the indexes.
    #[arg(long)]
    pub deep: bool,
    /// With --deep: only blocks from this height on; everything that belongs to no block is checked all the same.
    #[arg(long, value_name = "HEIGHT", requires = "deep")]
    pub from: Option<u32>,
    /// With --deep: only blocks up to this height.
    #[arg(long, value_name = "HEIGHT", requires = "deep")]
    pub to: Option<u32>,
    /// How the result is printed.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
}

/// Options of `reindex`.
#[derive(Debug, Args)]
pub struct ReindexArgs {
    /// First height.
    #[arg(long, value_name = "HEIGHT", required_unless_present = "undo")]
    pub from: Option<u32>,
    /// Last height.
    #[arg(long, value_name = "HEIGHT", required_unless_present = "undo")]
    pub to: Option<u32>,
    /// Only rows and states of this contract; refused where others differ in the same block.
    #[arg(long, value_name = "CONTRACT")]
    pub contract: Option<String>,
    /// Swap what differs, in one transaction; without this, only say what differs.
    #[arg(long)]
    pub apply: bool,
    /// Put back what the last swap replaced, if nothing has moved over it since.
    #[arg(long, conflicts_with_all = ["from", "to", "contract", "apply"])]
    pub undo: bool,
    /// How the result is printed.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
}

/// Options of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// What is to be explained.
    #[command(subcommand)]
    pub what: ExplainWhat,
    /// The contract, where several deployments are followed.
    #[arg(long, global = true, value_name = "CONTRACT")]
    pub contract: Option<String>,
    /// As of this block: a height, or an index block hash of any fork; the tip otherwise.
    #[arg(long, global = true, value_name = "BLOCK", value_parser = at_block)]
    pub at_block: Option<At>,
    /// How the result is printed.
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
}

/// What can be explained.
#[derive(Debug, Subcommand)]
pub enum ExplainWhat {
    /// A project, by its number.
    Project {
        /// Its number.
        id: u128,
    },
    /// A badge, by its number.
    Badge {
        /// Its number.
        id: u128,
    },
    /// A governed action, by its number.
    Action {
        /// Its number.
        id: u128,
    },
    /// A user.
    Profile {
        /// The user's address.
        principal: String,
    },
    /// An asset of the escrow.
    Asset {
        /// STX, or the token's contract.
        asset: String,
    },
    /// A transaction: where it stands, its events, and what they changed.
    Transaction {
        /// Its id.
        txid: TxId,
    },
}

fn at_block(text: &str) -> Result<At, String> {
    if text.len() >= 64 {
        return text.parse().map(At::Block).map_err(|e| format!("{e}"));
    }
    text.parse()
        .map(At::Height)
        .map_err(|_| format!("{text:?} is no block; give a height, or 64 hexadecimal digits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_a_height_or_a_hash() {
        assert_eq!(at_block("17"), Ok(At::Height(17)));
        let hash = format!("0x{}", "07".repeat(32));
        assert!(matches!(at_block(&hash), Ok(At::Block(id)) if id.to_string() == hash));
        assert!(at_block("0x12").is_err() && at_block(&"g".repeat(64)).is_err());
    }
}
