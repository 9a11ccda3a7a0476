//! The same calls give the same bytes; forks do not touch each other.

use super::*;
use crate::market::Marketplace;
use crate::rng::SeededRng;

/// A marketplace over so many blocks, with forks; what was said of every block.
fn played(seed: u64, blocks: u32) -> (Simnet, Vec<String>) {
    let mut market = Marketplace::new(seed);
    let mut chain = Simnet::new(SimnetConfig {
        seed,
        genesis: market.genesis(),
        ..SimnetConfig::default()
    })
    .expect("a chain");
    let mut rng = SeededRng::new(seed);
    let mut said = Vec::new();
    for step in 0..blocks {
        let jump = market.patience(&chain);
        if jump > 0 || step % 3 == 0 {
            chain.burn(jump.max(1));
        }
        market.act(&mut chain, 6);
        let block = chain.mine(100).expect("a block");
        said.push(block.new_block_payload().to_string());
        if step > 10 && rng.percent(15) {
            let height = block.header.height - u32::try_from(rng.between(1, 5)).expect("small");
            let ancestor = chain.at_height(height).expect("an ancestor");
            chain.burn(1);
            chain.fork_to(&ancestor.header.id).expect("a fork");
        }
    }
    (chain, said)
}

#[test]
fn the_same_seed_says_the_same_bytes_and_another_one_does_not() {
    let (one, said) = played(5, 60);
    let (two, again) = played(5, 60);
    assert_eq!(said, again);
    assert_eq!(one.tip().header, two.tip().header);
    let (_, other) = played(6, 60);
    assert_ne!(said[1..], other[1..]);
}

#[test]
fn a_fork_a_hundred_blocks_deep_and_back_leaves_both_branches_as_they_were() {
    let mut chain = marketplace();
    let client = Actor::of("client-1");
    let to = Actor::of("freelancer-1").principal();
    let root = chain.tip().header.id;
    chain.burn(1);
    for _ in 0..100 {
        let payload = Payload::TokenTransfer {
            recipient: to.clone(),
            amount: 10,
            memo: [0; 34],
        };
        send(&mut chain, &client, payload, Conditions::None);
        chain.mine(10).expect("a block");
    }
    let left = chain.tip().header.id;
    let seen = |chain: &Simnet, id: &BlockId| {
        (
            chain.account(id, &to).expect("a state").balance - MILLION_STX,
            chain
                .account(id, &client.principal())
                .expect("a state")
                .nonce,
        )
    };
    assert_eq!(seen(&chain, &left), (1_000, 100));
    // What was mined on the left waits again, and is mined on the right before anything new.
    chain.burn(1);
    chain.fork_to(&root).expect("a fork");
    assert_eq!(chain.waiting(), 100);
    while chain.waiting() > 0 {
        chain.mine(10).expect("a block");
    }
    let right = chain.tip().header.id;
    assert_ne!(left, right);
    assert_eq!(seen(&chain, &right), (1_000, 100));
    assert_eq!(seen(&chain, &left), (1_000, 100));
    assert_eq!(seen(&chain, &root), (0, 0));

    chain.fork_to(&left).expect("back");
    assert_eq!(chain.tip().header.id, left);
    let next = chain.mine(10).expect("a block");
    assert_eq!(next.header.parent, left);
    assert_eq!(
        chain
            .at_height(next.header.height - 101)
            .map(|b| b.header.id),
        Some(root)
    );
    assert_eq!(
        chain.fork_to(&[9; 32]),
        Err(SimnetError::UnknownBlock([9; 32]))
    );
}

#[test]
fn what_a_fork_leaves_waits_again_and_is_mined_once() {
    let mut chain = marketplace();
    let client = Actor::of("client-1");
    let parent = chain.tip().header.id;
    let txid = send(&mut chain, &client, open_project(900), Conditions::None);
    chain.mine(10).expect("a block");
    assert_eq!(chain.waiting(), 0);
    chain.burn(1);
    chain.fork_to(&parent).expect("a fork");
    assert_eq!(chain.waiting(), 1);
    let again = chain.mine(10).expect("a block");
    assert!(again.receipts.iter().any(|r| r.txid == txid));
    assert_eq!(chain.waiting(), 0);
    let mined_on = chain.mine(10).expect("a block");
    assert!(mined_on.receipts.iter().all(|r| r.txid != txid));
}

#[test]
fn bitcoin_takes_the_tenures_that_it_elected_with_it() {
    let mut chain = marketplace();
    let base = chain.tip().header.id;
    chain.burn(1);
    let lost = chain.mine(10).expect("a block");
    let elected = chain.burn_tip().hash;
    assert_eq!(lost.header.burn.hash, elected);
    assert_eq!(chain.reorg_burn(1), 1);
    assert_eq!(chain.tip().header.id, base);
    chain.burn(1);
    assert_ne!(chain.burn_tip().hash, elected);
    let other = chain.mine(10).expect("a block");
    assert_eq!(other.header.parent, base);
    assert_ne!(other.header.id, lost.header.id);
}

#[test]
fn old_states_are_given_up_and_said_to_be() {
    let mut chain = Simnet::new(SimnetConfig {
        keep_states: 10,
        ..SimnetConfig::default()
    })
    .expect("a chain");
    chain.burn(1);
    let first = chain.mine(1).expect("a block").header.id;
    for _ in 0..80 {
        chain.mine(1).expect("a block");
    }
    assert_eq!(chain.fork_to(&first), Err(SimnetError::Pruned(first)));
    assert!(chain.block(&first).is_some(), "its header stays");
}
