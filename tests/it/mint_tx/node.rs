//! A devnet as the minter's node: it takes, mines, refuses and misleads.

use std::time::Duration;

use stxworx::devnet::{Devnet, Dials, RpcFaults};
use stxworx_clarity::codec::Principal;
use stxworx_clarity::market::{Actor, Conditions};
use stxworx_clarity::simnet::TxStatus;
use stxworx_reconciler::mint::node::fees::FeePolicy;
use stxworx_reconciler::mint::node::{NodeClient, NodeOptions};
use stxworx_reconciler::mint::ports::{Node as _, Signer as _};
use stxworx_reconciler::mint::types::{Answer, Class, Presence, Signed};
use tokio_util::sync::CancellationToken;

use super::{lane, mint, minter, noop};
use crate::support::{eventually, run};

struct Running {
    devnet: Devnet,
    node: NodeClient,
    cancel: CancellationToken,
}

impl Running {
    /// A devnet whose minter is apart, and a client of it.
    async fn start(faults: RpcFaults) -> Self {
        let dials = Dials {
            block_interval: Duration::from_millis(20),
            minter_apart: true,
            // A fork would take back what is waited for.
            fork_every: 0,
            // Nothing that is sent has to wait for the set-up to be over.
            faults,
            ..Dials::default()
        };
        let cancel = CancellationToken::new();
        let bind = "127.0.0.1:0".parse().unwrap();
        let devnet = Devnet::start(
            dials,
            bind,
            Vec::new(),
            cancel.clone(),
            cancel.child_token(),
        )
        .await
        .unwrap();
        let node = NodeClient::new(NodeOptions {
            url: format!("http://{}", devnet.rpc),
            timeout: Duration::from_secs(3),
            fees: FeePolicy {
                floor: 300,
                cap: 5_000,
            },
            allowed: minter().allowed().clone(),
        })
        .unwrap();
        Self {
            devnet,
            node,
            cancel,
        }
    }

    async fn stop(mut self) {
        self.cancel.cancel();
        self.devnet.wait().await.unwrap();
    }

    /// How a transaction ended on the canonical chain.
    fn mined(&self, signed: &Signed) -> Option<TxStatus> {
        let chain = self.devnet.chain.lock();
        let mut height = chain.tip().header.height;
        while height > 0 {
            let block = chain.at_height(height)?;
            let found = block
                .receipts
                .iter()
                .find(|r| r.transaction.txid() == signed.txid.0);
            if let Some(receipt) = found {
                return Some(receipt.status);
            }
            height -= 1;
        }
        None
    }

    async fn is_mined(&self, signed: &Signed) -> TxStatus {
        eventually("the transaction in a block", || async {
            let height = self.devnet.chain.lock().tip().header.height;
            self.mined(signed).ok_or_else(|| height.to_string())
        })
        .await
    }

    async fn nonce(&self) -> u64 {
        self.node.account(&lane().sender).await.unwrap().nonce
    }

    /// Somebody who has earned a badge and does not hold it.
    async fn earner(&self) -> (String, u64) {
        eventually("somebody who earned a badge", || async {
            for number in (1..=12u64).filter(|n| !n.is_multiple_of(4)) {
                let who = Actor::of(&format!("freelancer-{number}"))
                    .address
                    .to_string();
                for kind in [5, 1] {
                    let Ok(seen) = self.node.preflight(&lane(), &who, kind).await else {
                        continue;
                    };
                    if seen.minter && seen.earned && seen.badge.is_none() && !seen.barred {
                        assert!(seen.kind_known);
                        return Ok((who, kind));
                    }
                }
            }
            Err(self.devnet.chain.lock().tip().header.height.to_string())
        })
        .await
    }
}

#[test]
fn an_earned_badge_is_minted_once_and_a_second_time_refused_by_the_chain() {
    run(async {
        let running = Running::start(RpcFaults::default()).await;
        let (who, kind) = running.earner().await;
        let account = running.node.account(&lane().sender).await.unwrap();
        // The minter of the market is still: the key is ours alone.
        assert_eq!((account.nonce, account.balance), (0, 10_000_000_000_000));
        let wanted = mint(&who, kind, 0, 1);
        let fee = running.node.fee(&wanted).await.unwrap();
        assert!((300..=5_000).contains(&fee), "{fee}");
        let signed = minter().sign(&mint(&who, kind, 0, fee)).await.unwrap();
        assert_eq!(running.node.mempool(&signed.txid).await, Presence::Absent);
        assert_eq!(running.node.submit(&signed).await, Answer::Accepted);
        assert_eq!(running.is_mined(&signed).await, TxStatus::Success);
        assert_eq!(running.node.mempool(&signed.txid).await, Presence::Absent);
        let seen = running.node.preflight(&lane(), &who, kind).await.unwrap();
        // The signers revoke the very first badge as part of their set-up, maybe at once, which bars its owner.
        assert!(seen.badge.is_some() || seen.barred, "{seen:?}");
        let Answer::BadNonce {
            expected: 1,
            actual: 0,
        } = running.node.submit(&signed).await
        else {
            panic!("the nonce is used");
        };

        // What is not earned any more is refused by the contract, and costs a nonce.
        let again = minter().sign(&mint(&who, kind, 1, fee)).await.unwrap();
        assert_eq!(running.node.submit(&again).await, Answer::Accepted);
        assert_eq!(running.is_mined(&again).await, TxStatus::AbortByResponse);
        // And a noop is a success.
        let nothing = minter().sign(&noop(2, fee)).await.unwrap();
        assert_eq!(running.node.submit(&nothing).await, Answer::Accepted);
        assert_eq!(running.is_mined(&nothing).await, TxStatus::Success);
        assert_eq!(running.nonce().await, 3);
        running.stop().await;
    });
}

#[test]
fn a_nodes_refusals_are_told_apart() {
    run(async {
        let running = Running::start(RpcFaults::default()).await;
        let node = &running.node;
        // Before the contracts are there: the fastest way to a permanent no.
        eventually("the contracts", || async {
            let id = minter().allowed().badges.clone();
            let chain = running.devnet.chain.lock();
            let tip = chain.tip().header.id;
            chain
                .call_read(
                    &tip,
                    &Principal::Contract(id.clone()),
                    &id,
                    "get-cursor",
                    &[],
                )
                .map(|_| ())
                .map_err(|_| chain.tip().header.height.to_string())
        })
        .await;
        let submit = async |nonce, fee| {
            let signed = minter().sign(&noop(nonce, fee)).await.unwrap();
            node.submit(&signed).await
        };
        assert_eq!(
            submit(0, 1).await,
            Answer::FeeTooLow {
                expected: Some(180)
            }
        );
        assert_eq!(submit(60, 400).await, Answer::TooMuchChaining);
        // Nonce 1 waits for nonce 0, so that it stays where it is.
        let waiting = minter().sign(&noop(1, 400)).await.unwrap();
        assert_eq!(node.submit(&waiting).await, Answer::Accepted);
        assert_eq!(node.mempool(&waiting.txid).await, Presence::Pending);
        assert_eq!(node.submit(&waiting).await, Answer::Accepted);
        assert_eq!(submit(1, 399).await, Answer::ConflictingNonce);
        let dearer = minter().sign(&noop(1, 401)).await.unwrap();
        assert_eq!(node.submit(&dearer).await, Answer::Accepted);
        assert_eq!(node.mempool(&waiting.txid).await, Presence::Absent);
        assert_eq!(node.mempool(&dearer.txid).await, Presence::Pending);
        running.stop().await;
    });
}

#[test]
fn somebody_elses_use_of_the_key_shows_in_the_nonce() {
    run(async {
        let running = Running::start(RpcFaults::default()).await;
        let payload = stxworx_clarity::codec::transaction::Payload::TokenTransfer {
            recipient: Actor::of("keeper").principal(),
            amount: 5,
            memo: [0; 34],
        };
        let by_hand = Actor::of("minter").sign(0, 400, payload, Conditions::None);
        let bytes = by_hand.encode();
        let foreign = Signed {
            txid: stxworx_indexer::model::TxId(by_hand.txid()),
            bytes,
        };
        // Ours does not send it.
        assert_eq!(
            running.node.submit(&foreign).await.class(),
            Class::Permanent
        );
        let reply = crate::tools::request(
            running.devnet.rpc,
            "POST",
            "/v2/transactions",
            format!("{{\"tx\":\"{}\"}}", hex::encode(&foreign.bytes)).as_bytes(),
        )
        .await;
        assert_eq!(reply.status(), 200, "{}", reply.text());
        assert_eq!(running.is_mined(&foreign).await, TxStatus::Success);
        assert_eq!(running.nonce().await, 1);
        running.stop().await;
    });
}

#[test]
fn a_node_that_swallows_loses_and_does_not_answer_is_never_believed_too_much() {
    run(async {
        let with = |change: fn(&mut RpcFaults)| {
            let mut faults = RpcFaults::default();
            change(&mut faults);
            Running::start(faults)
        };
        let signed = minter().sign(&noop(0, 400)).await.unwrap();

        let swallows = with(|f| f.swallowed_percent = 100).await;
        assert_eq!(swallows.node.submit(&signed).await, Answer::Accepted);
        assert_eq!(swallows.node.mempool(&signed.txid).await, Presence::Absent);
        swallows.stop().await;

        let loses = with(|f| f.lost_percent = 100).await;
        assert_eq!(loses.node.submit(&signed).await, Answer::Accepted);
        eventually("it is forgotten", || async {
            match loses.node.mempool(&signed.txid).await {
                Presence::Absent => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        assert_eq!(loses.nonce().await, 0);
        loses.stop().await;

        let silent = with(|f| f.unanswered_percent = 100).await;
        let answer = silent.node.submit(&signed).await;
        assert_eq!(answer.class(), Class::Ambiguous, "{answer:?}");
        // It was taken all the same.
        assert_eq!(silent.is_mined(&signed).await, TxStatus::Success);
        silent.stop().await;

        let fails = with(|f| {
            f.failed_percent = 100;
            f.absurd_fees_percent = 100;
        })
        .await;
        // The same bytes again and again, until one of the failures was one after all.
        let answers = eventually("it was stored by a failure", || async {
            let answer = fails.node.submit(&signed).await;
            assert!(matches!(answer.class(), Class::Ambiguous), "{answer:?}");
            let fee = fails.node.fee(&noop(0, 1)).await.unwrap();
            assert_eq!(fee, 300, "no estimate can be meant: the floor");
            match fails.nonce().await {
                1 => Ok(()),
                _ => Err(fails.devnet.chain.lock().tip().header.height.to_string()),
            }
        });
        answers.await;
        fails.stop().await;
    });
}
