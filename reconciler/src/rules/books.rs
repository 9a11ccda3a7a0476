//! Cards of what the books' proofs say. They judge at blocks and not in runs: see [`crate::ledger::prover`].

use crate::rule::{Class, RuleInfo};

/// F5.
pub(crate) static F5: RuleInfo = RuleInfo {
    id: "F5",
    version: 1,
    class: Class::Custody,
    must_hold: "what the books say a treasury has is what the node says, and nothing stands in suspense",
    reads: &[],
};

/// F14.
pub(crate) static F14: RuleInfo = RuleInfo {
    id: "F14",
    version: 1,
    class: Class::Custody,
    must_hold: "what a minter has is what it had, with what came, without its fees and what else went",
    reads: &[],
};
