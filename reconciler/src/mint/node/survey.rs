//! Which nodes may be asked: those of our chain that are not behind.

use crate::mint::ports::PortError;

use super::{Info, NodeClient};

/// A node as a survey found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fitness {
    /// It may be asked.
    Fit(Info),
    /// It is behind the best one, or behind the mirror, by so many Bitcoin blocks.
    Behind {
        /// It.
        info: Info,
        /// By how many.
        by: u32,
    },
    /// It belongs to another chain.
    OtherChain {
        /// That chain's id.
        id: u32,
    },
    /// It does not answer.
    Silent {
        /// Why.
        why: String,
    },
}

impl Fitness {
    /// Its name in metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Fit(_) => "fit",
            Self::Behind { .. } => "behind",
            Self::OtherChain { .. } => "other_chain",
            Self::Silent { .. } => "silent",
        }
    }
}

/// Judges what nodes said of themselves. `known` is the greatest Bitcoin height that is known from elsewhere.
pub fn judge(
    told: Vec<Result<Info, String>>,
    chain_id: u32,
    known: u32,
    behind_limit: u32,
) -> Vec<Fitness> {
    let best = told
        .iter()
        .flatten()
        .filter(|info| info.network_id == chain_id)
        .map(|info| info.burn_height)
        .max()
        .unwrap_or(0)
        .max(known);
    told.into_iter()
        .map(|one| match one {
            Err(why) => Fitness::Silent { why },
            Ok(info) if info.network_id != chain_id => Fitness::OtherChain {
                id: info.network_id,
            },
            Ok(info) => match best.saturating_sub(info.burn_height) {
                by if by > behind_limit => Fitness::Behind { info, by },
                _ => Fitness::Fit(info),
            },
        })
        .collect()
}

/// The numbers of those that may be asked, the one with the highest tip first; of equals, the first in the
/// configuration.
pub fn order(found: &[Fitness]) -> Vec<usize> {
    let mut fit: Vec<_> = found
        .iter()
        .enumerate()
        .filter_map(|(at, f)| match f {
            Fitness::Fit(info) => Some((std::cmp::Reverse((info.burn_height, info.height)), at)),
            _ => None,
        })
        .collect();
    fit.sort();
    fit.into_iter().map(|(_, at)| at).collect()
}

/// Do two nodes that may be asked stand on different blocks of one height? Then nothing that is not final may be
/// decided.
pub fn disagree(found: &[Fitness]) -> bool {
    let tips: Vec<&Info> = found
        .iter()
        .filter_map(|f| match f {
            Fitness::Fit(info) => Some(info),
            _ => None,
        })
        .collect();
    tips.iter().enumerate().any(|(at, a)| {
        tips.iter()
            .skip(at + 1)
            .any(|b| a.height == b.height && a.tip != b.tip)
    })
}

/// Asks every node of itself, all at once.
pub async fn survey(
    nodes: &[NodeClient],
    chain_id: u32,
    known: u32,
    behind_limit: u32,
) -> Vec<Fitness> {
    let mut asked = tokio::task::JoinSet::new();
    for (at, node) in nodes.iter().enumerate() {
        let node = node.clone();
        asked.spawn(async move { (at, node.info().await) });
    }
    let mut told: Vec<Result<Info, String>> = nodes
        .iter()
        .map(|_| Err("it was not asked".to_owned()))
        .collect();
    while let Some(one) = asked.join_next().await {
        if let Ok((at, answer)) = one
            && let Some(place) = told.get_mut(at)
        {
            *place = answer.map_err(|e| chain(&e));
        }
    }
    judge(told, chain_id, known, behind_limit)
}

/// An error with what caused it.
fn chain(error: &PortError) -> String {
    stxworx_indexer::error_chain(error).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(network_id: u32, burn_height: u32, height: u32, tip: u8) -> Result<Info, String> {
        Ok(Info {
            network_id,
            burn_height,
            height,
            tip: stxworx_indexer::model::IndexBlockHash([tip; 32]),
        })
    }

    #[test]
    fn the_highest_is_asked_first_and_those_behind_not_at_all() {
        let found = judge(
            vec![
                at(1, 100, 500, 1),
                at(1, 97, 480, 2),
                at(1, 101, 510, 3),
                at(2, 900, 900, 4),
                Err("refused".to_owned()),
                at(1, 101, 510, 3),
            ],
            1,
            99,
            2,
        );
        let names: Vec<_> = found.iter().map(Fitness::as_str).collect();
        assert_eq!(
            names,
            ["fit", "behind", "fit", "other_chain", "silent", "fit"]
        );
        assert_eq!(order(&found), [2, 5, 0]);
        assert!(!disagree(&found));
        assert!(matches!(found[1], Fitness::Behind { by: 4, .. }));
    }

    #[test]
    fn all_of_them_may_be_behind_the_mirror() {
        let found = judge(vec![at(1, 100, 500, 1)], 1, 103, 2);
        assert_eq!(order(&found), Vec::<usize>::new());
        let found = judge(vec![at(1, 100, 500, 1)], 1, 102, 2);
        assert_eq!(order(&found), [0]);
    }

    #[test]
    fn two_blocks_of_one_height_are_a_disagreement() {
        let found = judge(vec![at(1, 100, 500, 1), at(1, 100, 500, 2)], 1, 0, 2);
        assert!(disagree(&found));
        let found = judge(vec![at(1, 100, 500, 1), at(1, 100, 501, 2)], 1, 0, 2);
        assert!(!disagree(&found));
    }
}
