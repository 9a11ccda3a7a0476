//! The way in for transactions of others, and the journal that makes a devnet the same again.
//!
//! A devnet's chain is played from its start each time. What its own people do follows from the seed; what comes in from
//! outside does not, so that it is written down with the turn before which it came, and comes in again before that turn.
//! Until the chain is where it was, nothing new may come in: it would come too early and change what is known.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use stxworx_clarity::simnet::{Rejection, Simnet, TxId};

use super::DevnetError;

/// Largest journal, bytes: some hundred thousand transactions.
const LARGEST: u64 = 256 * 1024 * 1024;

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    /// Turns that were over when it came.
    turn: u32,
    /// The transaction, in hexadecimal digits.
    tx: String,
}

/// Why a transaction of others does not even get to the mempool.
#[derive(Debug, thiserror::Error)]
pub(super) enum Closed {
    /// The chain is not yet where it was.
    #[error("the devnet is playing what it was; transactions are taken again in a moment")]
    Replaying,
    /// The journal is full, or cannot be written.
    #[error("the devnet's journal takes no more: {0}")]
    Journal(String),
}

/// The way in. Every method is called while the chain is locked.
#[derive(Debug)]
pub(super) struct Gate(Mutex<State>);

#[derive(Debug)]
struct State {
    journal: Option<Journal>,
    /// What was written down in an earlier life, in order.
    past: VecDeque<(u32, Vec<u8>)>,
    /// Turns that are over.
    turn: u32,
    /// The height at which the chain must have been.
    opens_at: u32,
    open: bool,
    /// What came in since the last turn, to be told to observers.
    admitted: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Gate {
    /// A way in that is open once the chain has been at a height, and past all that the journal has.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(super) fn new(journal: Option<&Path>, opens_at: u32) -> Result<Self, DevnetError> {
        let (journal, past) = match journal {
            None => (None, VecDeque::new()),
            Some(path) => {
                let (journal, past) = open(path).map_err(|source| DevnetError::Journal {
                    path: path.to_owned(),
                    source,
                })?;
                (Some(journal), past)
            }
        };
        Ok(Self(Mutex::new(State {
            journal,
            past,
            turn: 0,
            opens_at,
            open: false,
            admitted: Vec::new(),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before a turn: what came before this turn in an earlier life comes again. What came in since the last one.
    pub(super) fn begin_turn(&self, chain: &mut Simnet) -> Vec<Vec<u8>> {
        let mut state = self.state();
        while state
            .past
            .front()
            .is_some_and(|(turn, _)| *turn <= state.turn)
        {
            if let Some((_, tx)) = state.past.pop_front()
                && chain.submit(&tx).is_ok()
            {
                state.admitted.push(tx);
            }
        }
        std::mem::take(&mut state.admitted)
    }

    /// After a turn.
    pub(super) fn end_turn(&self, chain: &Simnet) {
        let mut state = self.state();
        state.turn += 1;
        let arrived = chain.tip().header.height >= state.opens_at;
        state.open |= arrived && state.past.is_empty();
    }

    /// A transaction of somebody outside.
    pub(super) fn submit(
        &self,
        chain: &mut Simnet,
        tx: &[u8],
    ) -> Result<Result<TxId, Rejection>, Closed> {
        let mut state = self.state();
        if !state.open && (!state.past.is_empty() || chain.tip().header.height < state.opens_at) {
            return Err(Closed::Replaying);
        }
        let turn = state.turn;
        if let Some(journal) = &state.journal
            && journal.length >= LARGEST
        {
            return Err(Closed::Journal(format!(
                "{} has its largest size",
                journal.path.display()
            )));
        }
        let txid = match chain.submit(tx) {
            Ok(txid) => txid,
            rejected => return Ok(rejected),
        };
        if let Some(journal) = &mut state.journal {
            // A line that is not written makes the next life another one, and is said aloud.
            journal
                .write(turn, tx)
                .map_err(|e| Closed::Journal(format!("{}: {e}", journal.path.display())))?;
        }
        state.admitted.push(tx.to_vec());
        Ok(Ok(txid))
    }
}

impl Journal {
    fn write(&mut self, turn: u32, tx: &[u8]) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(&Line {
            turn,
            tx: hex::encode(tx),
        })?;
        line.push(b'\n');
        // In one piece: a process that ends leaves all of it or a line that is cut.
        self.file.write_all(&line)?;
        self.length += u64::try_from(line.len()).unwrap_or(u64::MAX);
        Ok(())
    }
}

type Past = VecDeque<(u32, Vec<u8>)>;

/// Opens a journal, or begins one. A last line that is cut is removed: whoever sent it got no answer.
fn open(path: &Path) -> std::io::Result<(Journal, Past)> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    let mut past = VecDeque::new();
    let mut length = 0;
    let mut reader = BufReader::new(&mut file);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        let Some(text) = line.strip_suffix('\n') else {
            break;
        };
        let read: Line = serde_json::from_str(text)?;
        let tx = hex::decode(&read.tx).map_err(std::io::Error::other)?;
        past.push_back((read.turn, tx));
        length += u64::try_from(line.len()).unwrap_or(u64::MAX);
        line.clear();
    }
    drop(reader);
    file.set_len(length)?;
    file.seek(SeekFrom::End(0))?;
    let journal = Journal {
        path: path.to_owned(),
        file,
        length,
    };
    Ok((journal, past))
}

#[cfg(test)]
mod tests {
    use stxworx_clarity::codec::transaction::Payload;
    use stxworx_clarity::market::{Actor, Conditions};
    use stxworx_clarity::simnet::SimnetConfig;

    use super::*;

    fn chain() -> Simnet {
        Simnet::new(SimnetConfig {
            genesis: vec![(Actor::of("keeper").principal(), 1_000_000)],
            ..SimnetConfig::default()
        })
        .unwrap()
    }

    fn transfer(nonce: u64) -> Vec<u8> {
        let payload = Payload::TokenTransfer {
            recipient: Actor::of("minter").principal(),
            amount: 1,
            memo: [0; 34],
        };
        Actor::of("keeper")
            .sign(nonce, 1_000, payload, Conditions::None)
            .encode()
    }

    /// One turn, and the ids of the transactions in its block.
    fn turn(gate: &Gate, chain: &mut Simnet) -> Vec<TxId> {
        gate.begin_turn(chain);
        let block = chain.mine(10).unwrap();
        gate.end_turn(chain);
        block
            .receipts
            .iter()
            .filter(|r| r.transaction.fee() == 1_000)
            .map(|r| r.transaction.txid())
            .collect()
    }

    #[test]
    fn what_came_from_outside_comes_again_at_its_turn_and_nothing_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("devnet.journal");
        let (first_tip, mined) = {
            let (gate, mut chain) = (Gate::new(Some(&path), 0).unwrap(), chain());
            chain.burn(1);
            let mut mined = vec![turn(&gate, &mut chain)];
            gate.submit(&mut chain, &transfer(0)).unwrap().unwrap();
            mined.push(turn(&gate, &mut chain));
            mined.push(turn(&gate, &mut chain));
            gate.submit(&mut chain, &transfer(1)).unwrap().unwrap();
            // What is refused leaves nothing behind.
            assert!(gate.submit(&mut chain, &transfer(0)).unwrap().is_err());
            mined.push(turn(&gate, &mut chain));
            (chain.tip().header.id, mined)
        };
        assert_eq!([1, 3].map(|at| mined[at].len()), [1, 1]);
        // A line that was cut.
        let mut text = std::fs::read(&path).unwrap();
        text.extend_from_slice(b"{\"turn\":9,\"tx\":\"80");
        std::fs::write(&path, text).unwrap();

        let (gate, mut again) = (Gate::new(Some(&path), 4).unwrap(), chain());
        again.burn(1);
        let mut replayed = Vec::new();
        for _ in 0..4 {
            let early = gate.submit(&mut again, &transfer(2));
            assert!(matches!(early, Err(Closed::Replaying)));
            replayed.push(turn(&gate, &mut again));
        }
        assert_eq!(replayed, mined);
        assert_eq!(again.tip().header.id, first_tip);
        gate.submit(&mut again, &transfer(2)).unwrap().unwrap();
        assert_eq!(turn(&gate, &mut again).len(), 1);
        let lines = std::fs::read_to_string(&path).unwrap();
        assert_eq!(lines.lines().count(), 3, "{lines}");
    }

    #[test]
    fn a_journal_that_is_none_is_an_error_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("devnet.journal");
        std::fs::write(&path, "not a line\n").unwrap();
        let error = Gate::new(Some(&path), 0).unwrap_err();
        assert!(error.to_string().contains("devnet.journal"), "{error}");
    }
}
