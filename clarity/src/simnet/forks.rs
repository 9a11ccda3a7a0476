//! Bitcoin under the chain, and the choice of the branch to build on.

use std::collections::HashSet;
use std::sync::Arc;

use super::block::{BlockId, BurnBlock, SealedBlock};
use super::{BURN_SECONDS, Simnet, SimnetError};
use crate::codec::transaction::Payload;

impl Simnet {
    /// The newest Bitcoin block.
    pub fn burn_tip(&self) -> Arc<BurnBlock> {
        Arc::clone(&self.burns[self.burns.len() - 1])
    }

    /// A canonical Bitcoin block by height.
    pub fn burn_at(&self, height: u32) -> Option<Arc<BurnBlock>> {
        let first = self.burns.first()?.height;
        let place = usize::try_from(height.checked_sub(first)?).ok()?;
        self.burns.get(place).cloned()
    }

    /// Height of the first Bitcoin block that the chain knows.
    pub fn first_burn_height(&self) -> u32 {
        self.burns.first().map_or(0, |b| b.height)
    }

    /// A canonical Bitcoin block by its hash.
    pub fn burn_by_hash(&self, hash: &[u8; 32]) -> Option<Arc<BurnBlock>> {
        self.burns.iter().rev().find(|b| b.hash == *hash).cloned()
    }

    /// A Bitcoin block by its sortition: a canonical one, or one that elected a block of any fork.
    pub fn sortition(&self, consensus_hash: &[u8; 20]) -> Option<Arc<BurnBlock>> {
        let is_it = |b: &&Arc<BurnBlock>| b.consensus_hash == *consensus_hash;
        let canonical = self.burns.iter().rev().find(is_it);
        let elected = || {
            let mut all = self.blocks.values().map(|n| &n.sealed.header.burn);
            all.find(is_it)
        };
        canonical.or_else(elected).cloned()
    }

    /// The highest block of a tenure, of whichever fork; the smaller id of two.
    pub fn tenure_tip(&self, consensus_hash: &[u8; 20]) -> Option<Arc<SealedBlock>> {
        let blocks = self.blocks.values().map(|n| &n.sealed);
        blocks
            .filter(|b| b.header.burn.consensus_hash == *consensus_hash)
            .max_by_key(|b| (b.header.height, std::cmp::Reverse(b.header.id)))
            .cloned()
    }

    /// Bitcoin goes on by `count` blocks; the last one elects the next block's tenure.
    pub fn burn(&mut self, count: u32) -> Vec<Arc<BurnBlock>> {
        let mut new = Vec::new();
        for _ in 0..count {
            let below = self.burn_tip();
            let next = BurnBlock::derive(
                self.config.seed,
                below.hash,
                below.height + 1,
                below.time + BURN_SECONDS,
                self.burn_salt,
            );
            let next = Arc::new(next);
            self.burns.push(Arc::clone(&next));
            new.push(next);
        }
        new
    }

    /// Bitcoin loses its `depth` newest blocks, and the chain the tenures that they elected. The next
    /// calls of [`Simnet::burn`] make other blocks there. Returns how many were lost; the oldest one stays.
    pub fn reorg_burn(&mut self, depth: u32) -> u32 {
        let keep = self
            .burns
            .len()
            .saturating_sub(usize::try_from(depth).unwrap_or(usize::MAX))
            .max(1);
        let lost = self.burns.len() - keep;
        self.burns.truncate(keep);
        self.burn_salt += 1;
        let old = self.tip;
        while !self.elected_here(&self.tip) {
            let parent = self.blocks[&self.tip].sealed.header.parent;
            if !self.blocks.contains_key(&parent) {
                break;
            }
            self.tip = parent;
        }
        self.return_transactions(old);
        u32::try_from(lost).unwrap_or(u32::MAX)
    }

    fn elected_here(&self, id: &BlockId) -> bool {
        let header = &self.blocks[id].sealed.header;
        header.height == 0
            || self
                .burn_at(header.burn.height)
                .is_some_and(|b| b.hash == header.burn.hash)
    }

    /// The next block builds on this one. What was mined above the common ancestor waits again.
    ///
    /// # Errors
    /// When the block is not known or its state not kept.
    pub fn fork_to(&mut self, id: &BlockId) -> Result<(), SimnetError> {
        self.state_at(id)?;
        let old = std::mem::replace(&mut self.tip, *id);
        self.return_transactions(old);
        Ok(())
    }

    /// Puts back what was mined on the branch of `old` and is not on that of the tip.
    fn return_transactions(&mut self, old: BlockId) {
        let mut kept = HashSet::new();
        let (mut left, mut stays) = (self.blocks.get(&old), self.blocks.get(&self.tip));
        let mut returned = Vec::new();
        while let (Some(l), Some(s)) = (left, stays) {
            let (lh, sh) = (&l.sealed.header, &s.sealed.header);
            if lh.id == sh.id {
                break;
            }
            if lh.height >= sh.height {
                returned.push(Arc::clone(&l.sealed));
                left = self.blocks.get(&lh.parent);
            } else {
                kept.extend(s.sealed.receipts.iter().map(|r| r.txid));
                stays = self.blocks.get(&sh.parent);
            }
        }
        for block in returned.iter().rev() {
            for receipt in &block.receipts {
                let minted = matches!(
                    receipt.transaction.payload,
                    Payload::TenureChange(_) | Payload::NakamotoCoinbase { .. }
                );
                if !minted && !kept.contains(&receipt.txid) {
                    let origin = receipt.transaction.origin_address();
                    if self
                        .mempool
                        .get(&origin, receipt.transaction.nonce())
                        .is_none()
                    {
                        self.mempool
                            .insert(&origin, receipt.txid, receipt.transaction.clone());
                    }
                }
            }
        }
    }
}
