//! What must hold of mints in the end, by what is stored and by what the chain has.

use std::collections::BTreeMap;

use stxworx::devnet::Devnet;
use stxworx_clarity::codec::Value;
use stxworx_clarity::codec::transaction::Payload;
use stxworx_clarity::market::Actor;
use stxworx_clarity::simnet::TxStatus;

use crate::support::db::TestDb;
use crate::support::eventually;

/// Mints that stand and were made here.
pub async fn minted(db: &TestDb) -> i64 {
    db.number("select count(*) from mint_effect where kind = 'minted' and taken_back_at is null")
        .await
}

pub async fn story(db: &TestDb) -> String {
    let text = db
        .text(
            "select coalesce(string_agg(state || coalesce(' ' || reason, '') || ' ' || count, ', '), '') from (
                 select state, reason, count(*) from mint_intent group by state, reason order by state, reason) s",
        )
        .await;
    let pauses = db
        .text("select coalesce(string_agg(reason || ': ' || note, '; '), '') from mint_pause where lifted_at is null")
        .await;
    let tip = db
        .number("select coalesce(max(height), 0) from canonical")
        .await;
    format!(
        "height {tip}; {}; {}",
        text.unwrap_or_default(),
        pauses.unwrap_or_default()
    )
}

/// Every intent that is known now ends with a badge, unless what was earned is not earned any more.
pub async fn everything_that_was_earned(db: &TestDb) {
    let last = db.number("select max(id) from mint_intent").await;
    let open = format!(
        "select count(*) from mint_intent where id <= {last} and state not in ('final_ok', 'satisfied_elsewhere')
           and (state, reason) is distinct from ('held', 'not_earned')"
    );
    eventually("an end for each", || async {
        match db.number(&open).await {
            0 => Ok(()),
            count => Err(format!("{count} open; {}", story(db).await)),
        }
    })
    .await;
}

/// By what is stored, and by what the chain has.
pub async fn never_twice(db: &TestDb) {
    let twice = db
        .number(
            "select count(*) from (select intent_id from nonce_slot where minted group by intent_id having count(*) > 1) s",
        )
        .await;
    assert_eq!(twice, 0);
    // A badge that its owner claimed meanwhile refuses ours; nothing else of ours fails.
    let odd = db
        .number(
            "select count(*) from mint_event where reason in ('unknown_failure', 'problematic', 'post_condition', 'not_minter')",
        )
        .await;
    assert_eq!(odd, 0, "{}", story(db).await);
    let alone = db
        .number(
            "select count(*) from mint_event where reason = 'already_held' and intent_id in (
                 select intent_id from mint_effect where kind = 'minted')",
        )
        .await;
    assert_eq!(alone, 0, "a badge that we minted refused us a second time");
    let effects = db
        .number(
            "select count(*) from (select intent_id from mint_effect where taken_back_at is null
                 group by intent_id having count(*) > 1) s",
        )
        .await;
    assert_eq!(effects, 0);
}

/// Mints of the key on the canonical chain, that succeeded and that were refused. Nothing of the key's is there that was
/// not stored before it was sent, but for what was made by hand; and nothing follows a mint that succeeded.
pub async fn on_the_chain(db: &TestDb, devnet: &Devnet, by_hand: Option<&str>) -> (usize, usize) {
    let key = Actor::of("minter").principal();
    let badges = Actor::of("deployer").contract("freelance-badges");
    let mut of_award: BTreeMap<String, Vec<TxStatus>> = BTreeMap::new();
    let mut txids = Vec::new();
    {
        let chain = devnet.chain.lock();
        let blocks = (1..=chain.tip().header.height).filter_map(|h| chain.at_height(h));
        let receipts = blocks.flat_map(|block| block.receipts.clone());
        for receipt in receipts.filter(|r| r.transaction.origin_address() == key) {
            txids.push(hex::encode(receipt.txid));
            if let Payload::ContractCall {
                contract,
                function,
                arguments,
            } = &receipt.transaction.payload
            {
                assert_eq!((contract, function.as_str()), (&badges, "mint"));
                let values = arguments.iter().map(|a| Value::decode_exact(a.as_bytes()));
                let award = format!("{:?}", values.map(Result::unwrap).collect::<Vec<_>>());
                of_award.entry(award).or_default().push(receipt.status);
            }
        }
    }
    for (award, ends) in &of_award {
        let first = ends.iter().position(|s| *s == TxStatus::Success);
        let after = first.map_or(0, |at| ends.len() - at - 1);
        assert_eq!(after, 0, "{award} was minted, and then again: {ends:?}");
    }
    for txid in &txids {
        let adopted = db
            .text(format!(
                "select adopted::text from tx_attempt where txid = decode('{txid}', 'hex')"
            ))
            .await;
        let expected = by_hand == Some(txid.as_str());
        assert_eq!(
            adopted,
            Some(expected.to_string()),
            "{txid} was sent before it was stored"
        );
    }
    let ends = of_award.values().flatten();
    let good = ends.clone().filter(|s| **s == TxStatus::Success).count();
    (good, ends.count() - good)
}
