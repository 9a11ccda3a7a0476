//! The marketplace over some hundred blocks with forks: every receipt is predicted, and the state
//! of every block of every fork is the model's.

use super::*;
use crate::market::Marketplace;
use crate::rng::SeededRng;
use crate::simnet::SimnetConfig;

const BLOCKS: u32 = 250;

#[test]
fn the_model_predicts_every_receipt_and_state_of_a_marketplace_that_forks() {
    let mut market = Marketplace::new(11);
    let genesis = market.genesis();
    let mut chain = Simnet::new(SimnetConfig {
        seed: 11,
        genesis: genesis.clone(),
        ..SimnetConfig::default()
    })
    .expect("a chain");
    let mut shadow = Shadow::new(&chain, &genesis);
    let mut rng = SeededRng::new(3);
    let (mut settled, mut forks) = (0, 0);
    for step in 0..BLOCKS {
        let jump = market.patience(&chain);
        if jump > 0 || step % 3 == 0 {
            chain.burn(jump.max(1));
        }
        market.act(&mut chain, 8);
        let block = chain.mine(100).expect("a block");
        shadow.follow(&chain, &block);
        settled += block.receipts.iter().filter(|r| is_release(r)).count();
        if step > 20 && rng.percent(10) {
            let depth = u32::try_from(rng.between(1, 6)).expect("small");
            let ancestor = chain
                .at_height(block.header.height - depth)
                .expect("an ancestor");
            chain.burn(1);
            chain.fork_to(&ancestor.header.id).expect("a fork");
            forks += 1;
        }
    }
    assert!(
        settled > 50 && forks > 10,
        "{settled} releases, {forks} forks"
    );
    let tip = chain.tip().header.id;
    let model = shadow.model(&tip).clone();
    compare(&chain, &tip, &Image::new(), &model);
    compare_balances(&mut chain, &tip, &model);
}

fn is_release(receipt: &Receipt) -> bool {
    receipt.status == TxStatus::Success
        && matches!(&receipt.transaction.payload, Payload::ContractCall { function, .. }
            if function.as_str() == "release")
}
