//! Taking over a platform that ran before the mirror did: which of its rows link to a project of the chain, and which
//! do not. It is read and never written, and nothing is kept.
//!
//! A contract may have moved: the platform's numbers then belong to one deployment up to some height, and to another
//! from there on. [`link`] decides by what a row itself says, and says where it cannot.

mod link;
mod walk;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;
use stxworx_indexer::store::StoreError;
use stxworx_indexer::store::read::ReadError;
use stxworx_indexer::store::reconcile::mirror::MirrorError;

use crate::platform::postgres::PlatformError;
pub use link::{Class, Deployment, Linked, weigh};
pub use walk::adopt;

/// Why nothing could be said.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// The mirror has no block.
    #[error("the mirror is empty: fill it first (`stxworx backfill`), then adopt")]
    Empty,
    /// A snapshot of the mirror.
    #[error("the mirror cannot be read")]
    Read(#[from] ReadError),
    /// A statement on the mirror.
    #[error("the mirror cannot be read")]
    Store(#[from] StoreError),
    /// A page of projects.
    #[error("the mirror cannot be read")]
    Mirror(#[from] MirrorError),
    /// The platform.
    #[error("the platform cannot be read")]
    Platform(#[from] PlatformError),
    /// A state that is none.
    #[error("the mirror's state of {entity} cannot be read; run `stxworx verify`")]
    State {
        /// Whose.
        entity: String,
        /// Why.
        source: serde_json::Error,
    },
}

/// What linking came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AdoptReport {
    /// Height of the mirror's block at which the chain was read.
    pub height: u32,
    /// The block.
    pub block: String,
    /// Rows of the platform.
    pub rows: u64,
    /// Of these, without a key: they cannot be named, nor linked.
    pub nameless: u64,
    /// Columns that linking reads and the platform's query does not give.
    pub lacks: Vec<String>,
    /// Each deployment and its projects.
    pub deployments: Vec<DeploymentReport>,
    /// Rows and projects by what became of them, in the order of [`Class`].
    pub classes: Vec<ClassReport>,
}

/// A deployment of the contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeploymentReport {
    /// The contract.
    pub contract: String,
    /// Stacks height from which on the platform used it.
    pub from_height: u32,
    /// Its projects in the mirror.
    pub projects: u64,
    /// Of these, linked by a row.
    pub linked: u64,
    /// Of these, opened before the platform used it.
    pub early: u64,
    /// Of these, opened after the platform had gone on to the next deployment.
    pub late: u64,
}

/// Rows or projects of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassReport {
    /// Which.
    pub class: Class,
    /// What it means.
    pub says: &'static str,
    /// Is this something to mend?
    pub wrong: bool,
    /// How many.
    pub count: u64,
    /// The first ones.
    pub examples: Vec<String>,
}

impl AdoptReport {
    /// Does everything link that should?
    pub fn is_whole(&self) -> bool {
        self.nameless == 0 && self.classes.iter().all(|c| !c.wrong || c.count == 0)
    }
}

/// Counts by class, with the first examples of each.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    of: BTreeMap<Class, (u64, Vec<String>)>,
    most: usize,
}

impl Counts {
    /// Keeps at most so many examples of each class.
    pub fn keeping(most: usize) -> Self {
        Self {
            of: BTreeMap::new(),
            most,
        }
    }

    /// One more.
    pub fn note(&mut self, class: Class, example: impl FnOnce() -> String) {
        let (count, examples) = self.of.entry(class).or_default();
        *count += 1;
        if examples.len() < self.most {
            examples.push(example());
        }
    }

    /// How many of a class.
    pub fn count(&self, class: Class) -> u64 {
        self.of.get(&class).map_or(0, |(count, _)| *count)
    }

    /// Every class, those of nothing included.
    pub fn reports(mut self) -> Vec<ClassReport> {
        let all = Class::ALL.into_iter().map(|class| {
            let (count, examples) = self.of.remove(&class).unwrap_or_default();
            ClassReport {
                class,
                says: class.says(),
                wrong: class.is_wrong(),
                count,
                examples,
            }
        });
        all.collect()
    }
}
