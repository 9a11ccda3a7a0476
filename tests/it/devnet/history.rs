//! A marketplace on a chain that forks, what a node would say of it, and the model of every block.

use std::collections::HashMap;

use stxworx::recording::Entry;
use stxworx_clarity::codec::transaction::Payload;
use stxworx_clarity::codec::{Principal, Value};
use stxworx_clarity::market::{Actor, Marketplace};
use stxworx_clarity::model::{Contracts, Model, Verdict};
use stxworx_clarity::rng::SeededRng;
use stxworx_clarity::simnet::{BlockId, SealedBlock, Simnet, SimnetConfig};
use stxworx_indexer::model::{FollowSet, Mirror};

/// Actions per block, about.
const ACTIONS: usize = 8;
/// A fork this often, mostly of few blocks.
const FORK_EVERY: u32 = 7;
const DEEP_FORK_EVERY: u32 = 90;
const DEEP: u32 = 40;
const BURN_REORG_EVERY: u32 = 110;

pub struct History {
    pub chain: Simnet,
    market: Marketplace,
    models: HashMap<BlockId, Model>,
    rng: SeededRng,
    said: Vec<Entry>,
    grown: u32,
    first_burn: u32,
    /// Forks so far, and the blocks that they replaced.
    pub forks: (u32, u32),
}

fn entry(path: &str, body: &serde_json::Value) -> Entry {
    Entry::new(path, body.to_string())
}

impl History {
    pub fn new(seed: u64, blocks: u32) -> Self {
        let market = Marketplace::new(seed);
        let genesis = market.genesis();
        let chain = Simnet::new(SimnetConfig {
            seed,
            genesis: genesis.clone(),
            keep_states: 2 * blocks + 1_000,
            ..SimnetConfig::default()
        })
        .unwrap();
        let signers: Vec<_> = (1..=5)
            .map(|n| Actor::of(&format!("signer-{n}")).principal())
            .collect();
        let contracts = Contracts::of(Actor::of("deployer").address);
        let mut model = Model::deployed(contracts, &signers);
        for (who, amount) in &genesis {
            model.ledger.credit_stx(who, *amount);
        }
        let said = vec![
            entry(
                "/new_burn_block",
                &chain.burn_tip().new_burn_block_payload(),
            ),
            entry("/new_block", &chain.tip().new_block_payload()),
        ];
        Self {
            first_burn: chain.burn_tip().height,
            models: HashMap::from([(chain.tip().header.id, model)]),
            chain,
            market,
            rng: SeededRng::new(seed),
            said,
            grown: 0,
            forks: (0, 0),
        }
    }

    /// The contracts and the treasury, as `up` follows them.
    pub fn follow(&self) -> FollowSet {
        let of = |who: &Principal| who.to_string();
        let at = self.contracts();
        FollowSet {
            mirror: Mirror::Followed,
            contracts: [&at.data, &at.logic, &at.badges, &at.security]
                .map(of)
                .into(),
            principals: [of(&at.security)].into(),
        }
    }

    pub fn contracts(&self) -> Contracts {
        Contracts::of(Actor::of("deployer").address)
    }

    /// The model as of a block.
    pub fn model(&self, id: &BlockId) -> &Model {
        &self.models[id]
    }

    /// Every block of every fork, with the model as of it.
    pub fn models(&self) -> impl Iterator<Item = (&BlockId, &Model)> {
        self.models.iter()
    }

    /// What the chain has said since this was last asked, of all forks.
    pub fn said(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.said)
    }

    /// Grows by steps; each is a block, or a fork.
    pub fn grow(&mut self, steps: u32) {
        for _ in 0..steps {
            self.grown += 1;
            let jump = self.market.patience(&self.chain);
            if jump > 0 || self.grown.is_multiple_of(3) {
                self.burn(jump.max(1));
            }
            let height = self.chain.tip().header.height;
            if self.grown.is_multiple_of(BURN_REORG_EVERY) && height > 12 {
                self.chain.reorg_burn(2);
                self.burn(3);
            }
            let height = self.chain.tip().header.height;
            if self.grown.is_multiple_of(DEEP_FORK_EVERY) && height > DEEP + 5 {
                self.fork(DEEP);
            } else if self.grown.is_multiple_of(FORK_EVERY) && height > 12 {
                let depth = u32::try_from(self.rng.between(1, 6)).unwrap();
                self.fork(depth);
            } else {
                self.block();
            }
        }
    }

    fn burn(&mut self, blocks: u32) {
        for burn in self.chain.burn(blocks) {
            let told = entry("/new_burn_block", &burn.new_burn_block_payload());
            self.said.push(told);
        }
    }

    fn fork(&mut self, depth: u32) {
        let height = self.chain.tip().header.height - depth;
        let ancestor = self.chain.at_height(height).unwrap();
        self.burn(1);
        self.chain.fork_to(&ancestor.header.id).unwrap();
        self.forks = (self.forks.0 + 1, self.forks.1 + depth);
        for _ in 0..=depth {
            self.block();
        }
    }

    fn block(&mut self) {
        self.market.act(&mut self.chain, ACTIONS);
        let block = self.chain.mine(100).unwrap();
        let mut model = self.models[&block.header.parent].clone();
        for receipt in &block.receipts {
            let verdict = model.apply(&receipt.transaction, block.header.burn.height);
            let (Verdict::Success(value) | Verdict::Refused(value) | Verdict::PostCondition(value)) =
                verdict;
            let is_call = matches!(receipt.transaction.payload, Payload::ContractCall { .. });
            assert!(
                !is_call || receipt.raw_result == value.encode(),
                "the model says {value}, and the chain {:?}",
                Value::decode_exact(&receipt.raw_result)
            );
        }
        self.models.insert(block.header.id, model);
        self.said
            .push(entry("/new_block", &block.new_block_payload()));
    }

    /// The canonical blocks, from genesis.
    pub fn canonical(&self) -> Vec<std::sync::Arc<SealedBlock>> {
        let mut blocks = Vec::new();
        let mut next = Some(self.chain.tip());
        while let Some(block) = next {
            next = self.chain.block(&block.header.parent);
            blocks.push(block);
        }
        blocks.reverse();
        blocks
    }

    /// What a node says that only ever saw the canonical chains.
    pub fn canonical_entries(&self) -> impl Iterator<Item = Entry> + '_ {
        let burns = (self.first_burn..=self.chain.burn_tip().height)
            .filter_map(|height| self.chain.burn_at(height))
            .map(|burn| entry("/new_burn_block", &burn.new_burn_block_payload()));
        let blocks = self
            .canonical()
            .into_iter()
            .map(|block| entry("/new_block", &block.new_block_payload()));
        burns.chain(blocks)
    }
}
