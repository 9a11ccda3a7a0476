//! Mining: what waits becomes a block.

use std::sync::Arc;

use clarity::types::chainstate::StacksBlockId;

use super::apply::{self, Applied};
use super::block::{BurnBlock, Header, Receipt, SealedBlock};
use super::machine::Machine;
use super::store::{Meta, State};
use super::{BLOCK_SECONDS, Node, Simnet, SimnetError};

impl Simnet {
    /// Mines the next block out of what waits, at most `limit` transactions beside the tenure's own.
    ///
    /// # Errors
    /// When the tip's state is not there, which a chain that is used as documented does not meet.
    pub fn mine(&mut self, limit: usize) -> Result<Arc<SealedBlock>, SimnetError> {
        let parent = self.tip();
        let mut state = self.state_at(&self.tip)?.clone();
        let burn = self.burn_tip();
        let starts = burn.consensus_hash != parent.header.burn.consensus_hash;
        let time = self.next_time(&parent, &burn);
        let open = self.open(&parent, &burn, time);
        let mut receipts = Vec::new();
        if starts {
            let blocks = self.tenure_length(&parent);
            receipts.extend(apply::tenure_receipts(
                &self.miner,
                &parent.header,
                &burn,
                blocks,
            ));
        }
        let machine = Machine {
            metas: &self.metas,
            open,
        };
        let mut mined = 0;
        loop {
            let mut progressed = false;
            for waiting in self.mempool.heads() {
                let origin = waiting.transaction.origin_address();
                let next = apply::account(&state, &origin).nonce;
                let nonce = waiting.transaction.nonce();
                if nonce < next {
                    self.mempool.remove(&origin, nonce);
                    progressed = true;
                    continue;
                }
                if nonce > next || mined >= limit {
                    continue;
                }
                self.mempool.remove(&origin, nonce);
                progressed = true;
                if let Applied::Included(receipt, after) = apply::apply(&machine, &state, &waiting)
                {
                    receipts.push(*receipt);
                    state = after;
                    mined += 1;
                }
            }
            if !progressed {
                break;
            }
        }
        Ok(self.seal(&parent, burn, time, starts, receipts, state))
    }

    fn next_time(&self, parent: &SealedBlock, burn: &BurnBlock) -> u64 {
        let after_parent = parent.header.time.map_or(0, |t| t + BLOCK_SECONDS);
        after_parent.max(burn.time + 1)
    }

    fn tenure_length(&self, last: &SealedBlock) -> u32 {
        let mut count = 0;
        let mut at = Some(last.header.id);
        while let Some(node) = at.and_then(|id| self.blocks.get(&id)) {
            if node.sealed.header.burn.hash != last.header.burn.hash {
                break;
            }
            count += 1;
            at = Some(node.sealed.header.parent);
        }
        count
    }

    pub(super) fn open(&mut self, parent: &SealedBlock, burn: &BurnBlock, time: u64) -> Meta {
        self.attempts += 1;
        let mut bytes = b"open".to_vec();
        bytes.extend_from_slice(&parent.header.id);
        bytes.extend_from_slice(&self.attempts.to_be_bytes());
        Meta {
            id: StacksBlockId(crate::codec::sha512_256(&bytes)),
            parent: StacksBlockId(parent.header.id),
            height: parent.header.height + 1,
            burn_height: burn.height,
            time,
        }
    }

    fn seal(
        &mut self,
        parent: &SealedBlock,
        burn: Arc<BurnBlock>,
        time: u64,
        starts: bool,
        receipts: Vec<Receipt>,
        state: State,
    ) -> Arc<SealedBlock> {
        let height = parent.header.height + 1;
        let block_hash = SealedBlock::hash_of(
            self.config.seed,
            &parent.header.id,
            height,
            time,
            &burn,
            &receipts,
        );
        let id = SealedBlock::id_of(&block_hash, &burn);
        let meta = Meta {
            id: StacksBlockId(id),
            parent: StacksBlockId(parent.header.id),
            height,
            burn_height: burn.height,
            time,
        };
        let header = Header {
            id,
            block_hash,
            height,
            parent: parent.header.id,
            parent_block_hash: parent.header.block_hash,
            time: Some(time),
            burn,
            parent_burn: Arc::clone(&parent.header.burn),
            tenure_height: parent.header.tenure_height + u32::from(starts),
        };
        let sealed = Arc::new(SealedBlock { header, receipts });
        self.metas.insert(meta.id, meta);
        self.blocks.insert(
            id,
            Node {
                sealed: Arc::clone(&sealed),
                state: Some(state),
            },
        );
        self.tip = id;
        self.prune(height);
        sealed
    }

    /// Gives up states, and whole blocks, that are far below the tip. Their headers stay.
    fn prune(&mut self, height: u32) {
        let Some(edge) = height.checked_sub(self.config.keep_states) else {
            return;
        };
        if edge == 0 || !edge.is_multiple_of(64) {
            return;
        }
        for node in self.blocks.values_mut() {
            if node.sealed.header.height < edge && node.state.is_some() {
                node.state = None;
                let header = node.sealed.header.clone();
                node.sealed = Arc::new(SealedBlock {
                    header,
                    receipts: Vec::new(),
                });
            }
        }
    }
}
