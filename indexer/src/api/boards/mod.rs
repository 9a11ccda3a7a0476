//! Leaderboards: users in the order of a score, with ranks, and a tree in which each entry is provable.
//!
//! The tree needs the whole board, so a board is read whole, once for a block, and kept: pages and proofs on that
//! block are cut from it. What is kept is bounded in boards and in entries.

pub mod merkle;

use std::collections::VecDeque;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

use super::error::{ApiError, ErrorCode};
use crate::store::read::boards::{Measure, ScoreRow, Span};

/// Entries of a board at most; who comes behind has no rank.
pub const LONGEST: usize = 100_000;
/// Boards that are kept at most.
const KEPT: usize = 16;
/// Entries of all kept boards at most.
const KEPT_ENTRIES: usize = 400_000;

/// What a badge weighs, by the name of its kind; any other weighs 1.
pub const WEIGHTS: [(&str, i64); 5] = [
    ("bronze", 10),
    ("silver", 25),
    ("gold", 50),
    ("platinum", 100),
    ("verified", 5),
];

/// What a board scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Something of profiles.
    Profile(Measure),
    /// Weight of the badges held.
    Badges,
}

impl Kind {
    /// The words in the path.
    pub const WORDS: [&'static str; 4] = ["earnings", "completions", "ratings", "badges"];

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "earnings" => Self::Profile(Measure::Earnings),
            "completions" => Self::Profile(Measure::Completions),
            "ratings" => Self::Profile(Measure::Ratings),
            "badges" => Self::Badges,
            _ => return None,
        })
    }

    /// The board's name on chain, where 24 characters have to do: a token's board is named by a hash of its id.
    pub fn anchored_name(self, asset: &str) -> String {
        match self {
            Self::Profile(Measure::Earnings) if asset != "STX" => {
                let hash = hex::encode(Sha256::digest(asset));
                format!("earnings-{}", hash.get(..14).unwrap_or_default())
            }
            Self::Profile(Measure::Earnings) => "earnings".to_owned(),
            Self::Profile(Measure::Completions) => "completions".to_owned(),
            Self::Profile(Measure::Ratings) => "ratings".to_owned(),
            Self::Badges => "badges".to_owned(),
        }
    }
}

/// A board on a block.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BoardKey {
    /// Digest at the last block that counts: the same rows up to there, the same board.
    pub digest: String,
    /// The contract whose users they are.
    pub contract: String,
    /// What is scored.
    pub kind: Kind,
    /// In which asset; empty where that means nothing.
    pub asset: String,
    /// Between which heights.
    pub span: Span,
}

/// A user's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// 1 and the number of users with a higher score: who is equal has the same rank, and the next one's is left
    /// out.
    pub rank: u64,
    /// The user.
    pub user: String,
    /// The score.
    pub score: u128,
}

/// Everybody with a score.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Board {
    /// Best first; equal ones by name.
    pub entries: Vec<Entry>,
    /// Are there more than [`LONGEST`]?
    pub cut: bool,
    leaves: Vec<merkle::Hash>,
    /// Root of the tree; none while nobody has a score.
    pub root: Option<merkle::Hash>,
}

impl Board {
    /// Ranks rows that are in order.
    pub fn new(name: &str, rows: Vec<ScoreRow>) -> Result<Self, ApiError> {
        let mut board = Self {
            cut: rows.len() > LONGEST,
            ..Self::default()
        };
        for (place, row) in (1u64..).zip(rows.into_iter().take(LONGEST)) {
            let unreadable = |what: &str| {
                let detail = format!("{what} of {} on board {name} is not of its form", row.user);
                ApiError::new(ErrorCode::Internal, detail)
            };
            let score: u128 = row.score.parse().map_err(|_| unreadable("the score"))?;
            let rank = match board.entries.last() {
                Some(before) if before.score == score => before.rank,
                _ => place,
            };
            let leaf = merkle::leaf(name, &row.user, rank, score);
            board
                .leaves
                .push(leaf.ok_or_else(|| unreadable("the name"))?);
            board.entries.push(Entry {
                rank,
                user: row.user,
                score,
            });
        }
        board.root = merkle::root(&board.leaves);
        Ok(board)
    }

    /// A user's place from 0, with the hash of the entry and the neighbours up to the root.
    pub fn proof(&self, user: &str) -> Option<(usize, merkle::Hash, Vec<merkle::Step>)> {
        let place = self.entries.iter().position(|entry| entry.user == user)?;
        let leaf = *self.leaves.get(place)?;
        Some((place, leaf, merkle::path(&self.leaves, place)?))
    }
}

/// Boards of the newest questions. Behind a lock that is held while a board is made, so that many who ask at once
/// make it once.
#[derive(Debug, Default, Clone)]
pub struct Boards(Arc<Mutex<Kept>>);

/// The newest first.
type Kept = VecDeque<(BoardKey, Arc<Board>)>;

impl Boards {
    /// The board, made if it is not kept.
    pub async fn get<E>(
        &self,
        key: &BoardKey,
        make: impl AsyncFnOnce() -> Result<Board, E>,
    ) -> Result<Arc<Board>, E> {
        let mut kept = self.0.lock().await;
        if let Some((_, board)) = kept.iter().find(|(known, _)| known == key) {
            return Ok(Arc::clone(board));
        }
        let board = Arc::new(make().await?);
        kept.push_front((key.clone(), Arc::clone(&board)));
        let mut entries = 0;
        let fits = kept.iter().take(KEPT).take_while(|(_, board)| {
            entries += board.entries.len();
            entries <= KEPT_ENTRIES
        });
        let fits = fits.count().max(1);
        kept.truncate(fits);
        Ok(board)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stxworx_clarity::codec::StandardPrincipal;

    use super::*;

    fn user(n: u8) -> String {
        StandardPrincipal::new(26, [n; 20]).unwrap().to_string()
    }

    fn rows(scores: &[u128]) -> Vec<ScoreRow> {
        let row = |(n, score): (u8, &u128)| ScoreRow {
            user: user(n),
            score: score.to_string(),
        };
        (0..).zip(scores).map(row).collect()
    }

    proptest! {
        #[test]
        fn a_rank_is_one_more_than_who_is_better(mut scores in prop::collection::vec(1u128..6, 0..40)) {
            scores.sort_unstable_by(|a, b| b.cmp(a));
            let board = Board::new("earnings", rows(&scores)).unwrap();
            for entry in &board.entries {
                let better = board.entries.iter().filter(|e| e.score > entry.score).count();
                prop_assert_eq!(entry.rank, better as u64 + 1);
            }
            prop_assert_eq!(board.root.is_some(), !scores.is_empty());
            for entry in &board.entries {
                let (place, leaf, steps) = board.proof(&entry.user).unwrap();
                prop_assert_eq!(&board.entries[place], entry);
                prop_assert_eq!(Some(leaf), merkle::leaf("earnings", &entry.user, entry.rank, entry.score));
                prop_assert_eq!(Some(merkle::climb(leaf, &steps)), board.root);
            }
        }
    }

    #[test]
    fn a_score_that_is_none_is_a_fault() {
        let row = ScoreRow {
            user: user(1),
            score: "-1".to_owned(),
        };
        assert!(Board::new("ratings", vec![row]).is_err());
        let row = ScoreRow {
            user: "bob".to_owned(),
            score: "1".to_owned(),
        };
        assert!(Board::new("ratings", vec![row]).is_err());
    }

    #[test]
    fn a_board_is_made_once_and_what_is_kept_is_bounded() {
        let boards = Boards::default();
        let key = |n: i32| BoardKey {
            digest: "d".to_owned(),
            contract: "c".to_owned(),
            kind: Kind::Badges,
            asset: String::new(),
            span: Span { after: -1, at: n },
        };
        let mut made = 0;
        for n in [1, 1, 1, 2, 1] {
            let make = async || {
                made += 1;
                Board::new("badges", rows(&[5]))
            };
            futures::executor::block_on(boards.get(&key(n), make)).unwrap();
        }
        assert_eq!(made, 2);
        for n in 0..100 {
            let make = async || Ok::<_, ApiError>(Board::default());
            futures::executor::block_on(boards.get(&key(n), make)).unwrap();
        }
        assert_eq!(futures::executor::block_on(boards.0.lock()).len(), KEPT);
    }

    #[test]
    fn a_name_on_chain_has_24_characters_at_most() {
        let token = format!("{}.{}", user(1), "a".repeat(40));
        for word in Kind::WORDS {
            let kind = Kind::parse(word).unwrap();
            assert!(kind.anchored_name(&token).len() <= 24, "{word}");
            assert_eq!(kind.anchored_name("STX"), word);
        }
    }
}
