//! A server in a node's place that says what it is told to.

use std::net::SocketAddr;
use std::time::Duration;

use stxworx_reconciler::mint::node::fees::FeePolicy;
use stxworx_reconciler::mint::node::{NodeClient, NodeOptions};
use stxworx_reconciler::mint::ports::{Node as _, PortError, Signer as _};
use stxworx_reconciler::mint::types::{Answer, Class, Presence, Signed};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{minter, noop};
use crate::support::run;

/// What is done with one connection after the request was read.
#[derive(Clone)]
pub(super) enum Act {
    /// An answer.
    Say(u16, String),
    /// Raw bytes, and the end of the connection.
    Raw(Vec<u8>),
    /// Nothing, for longer than any client waits.
    Silence,
}

/// Serves one act after the other, each on a connection of its own; the last one for ever.
pub(super) async fn serve(acts: Vec<Act>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut turn = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            let act = acts[turn.min(acts.len() - 1)].clone();
            turn += 1;
            tokio::spawn(async move {
                read_request(&mut stream).await;
                let bytes = match act {
                    Act::Say(status, body) => format!(
                        "HTTP/1.1 {status} word\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                        body.len()
                    )
                    .into_bytes(),
                    Act::Raw(bytes) => bytes,
                    Act::Silence => {
                        tokio::time::sleep(Duration::from_secs(120)).await;
                        Vec::new()
                    }
                };
                // A client that has heard enough may be gone.
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    address
}

async fn read_request(stream: &mut tokio::net::TcpStream) {
    let mut seen = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let Ok(length @ 1..) = stream.read(&mut piece).await else {
            return;
        };
        seen.extend_from_slice(&piece[..length]);
        let text = String::from_utf8_lossy(&seen).to_lowercase();
        let Some(end) = text.find("\r\n\r\n") else {
            continue;
        };
        let length = text
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.split("\r\n").next())
            .map_or(0, |n| n.trim().parse::<usize>().unwrap());
        if seen.len() >= end + 4 + length {
            return;
        }
    }
}

fn client(at: SocketAddr, timeout: Duration) -> NodeClient {
    NodeClient::new(NodeOptions {
        url: format!("http://{at}"),
        timeout,
        fees: FeePolicy {
            floor: 300,
            cap: 5_000,
        },
        allowed: minter().allowed().clone(),
    })
    .unwrap()
}

const SHORT: Duration = Duration::from_millis(300);

async fn submitted(act: Act, signed: &Signed) -> Answer {
    let node = client(serve(vec![act]).await, SHORT);
    node.submit(signed).await
}

#[test]
fn whatever_a_server_does_is_one_answer_of_the_set() {
    run(async {
        let signed = minter().sign(&noop(3, 400)).await.unwrap();
        let id = hex::encode(signed.txid.0);
        let rejection = |reason: &str| {
            format!(
                "{{\"error\":\"transaction rejected\",\"reason\":\"{reason}\",\"txid\":\"{id}\"}}"
            )
        };
        let say = |status, body: &str| Act::Say(status, body.to_owned());
        let endless = format!("\"{}\"", "a".repeat(200_000));
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 66\r\n\r\n\"0011".to_vec();
        for (what, act, class) in [
            ("taken", say(200, &format!("\"{id}\"")), Class::Accepted),
            (
                "no contract",
                say(400, &rejection("NoSuchContract")),
                Class::Permanent,
            ),
            (
                "occupied",
                say(400, &rejection("ConflictingNonceInMempool")),
                Class::Definite,
            ),
            (
                "a database that fails",
                say(400, &rejection("ServerFailureDatabase")),
                Class::Ambiguous,
            ),
            ("a proxy", say(502, "<html>"), Class::Ambiguous),
            (
                "too many",
                say(429, &rejection("FeeTooLow")),
                Class::Ambiguous,
            ),
            ("a redirect", say(307, ""), Class::Ambiguous),
            ("an endless answer", say(200, &endless), Class::Ambiguous),
            ("half an answer", Act::Raw(head), Class::Ambiguous),
            (
                "no HTTP",
                Act::Raw(b"SSH-2.0\r\n".to_vec()),
                Class::Ambiguous,
            ),
            (
                "a connection that ends",
                Act::Raw(Vec::new()),
                Class::Ambiguous,
            ),
            ("silence", Act::Silence, Class::Ambiguous),
        ] {
            let answer = submitted(act, &signed).await;
            assert_eq!(answer.class(), class, "{what}: {answer:?}");
        }
        // Nobody is there.
        let nobody = client("127.0.0.1:9".parse().unwrap(), SHORT);
        assert_eq!(nobody.submit(&signed).await.class(), Class::Ambiguous);
    });
}

#[test]
fn bytes_that_are_not_ours_do_not_leave() {
    run(async {
        let at = serve(vec![Act::Say(200, "\"should not be asked\"".to_owned())]).await;
        let node = client(at, SHORT);
        let good = minter().sign(&noop(3, 400)).await.unwrap();
        let mut other_bytes = good.clone();
        other_bytes.bytes[40] ^= 1;
        let mut other_id = good;
        other_id.txid.0[0] ^= 1;
        for signed in [other_bytes, other_id] {
            let Answer::Permanent { reason } = node.submit(&signed).await else {
                panic!("it was sent");
            };
            assert!(reason.starts_with("not sent"), "{reason}");
        }
    });
}

#[test]
fn estimates_are_bounded_and_the_last_good_one_is_kept() {
    run(async {
        let estimate = |fee: &str| {
            Act::Say(
                200,
                format!("{{\"estimations\":[{{\"fee\":1}},{{\"fee\":{fee}}},{{\"fee\":9}}]}}"),
            )
        };
        let acts = vec![
            estimate("0"),
            estimate("700"),
            estimate("18446744073709551615"),
            Act::Say(400, "{\"reason\":\"NoEstimateAvailable\"}".to_owned()),
            Act::Say(200, "{\"estimations\":[]}".to_owned()),
            estimate("9000"),
        ];
        let node = client(serve(acts).await, Duration::from_secs(10));
        let mut fees = Vec::new();
        for _ in 0..6 {
            fees.push(node.fee(&noop(0, 1)).await.unwrap());
        }
        // The floor before any estimate, then the last that could be meant; a storm is paid up to the cap.
        assert_eq!(fees, [300, 700, 700, 700, 700, 5_000]);
    });
}

#[test]
fn a_node_of_another_network_is_not_listened_to() {
    run(async {
        let info = serde_json::json!({
            "network_id": 1, "burn_block_height": 5, "stacks_tip_height": 6,
            "stacks_tip": "00".repeat(32), "stacks_tip_consensus_hash": "00".repeat(20)
        });
        let node = client(serve(vec![Act::Say(200, info.to_string())]).await, SHORT);
        let refused = node.account("ST000000000000000000002AMW42H").await;
        let Err(PortError::Unusable { detail, .. }) = refused else {
            panic!("{refused:?}");
        };
        assert!(detail.contains("network 1"), "{detail}");
    });
}

#[test]
fn a_mempool_that_shows_something_else_says_nothing() {
    run(async {
        let signed = minter().sign(&noop(3, 400)).await.unwrap();
        let shown = |bytes: &[u8]| {
            Act::Say(
                200,
                format!(
                    "{{\"tx\":\"{}\",\"status\":\"Mempool\"}}",
                    hex::encode(bytes)
                ),
            )
        };
        for (act, presence) in [
            (shown(&signed.bytes), Presence::Pending),
            (shown(b"something else"), Presence::Unknown),
            (Act::Say(404, "no".to_owned()), Presence::Absent),
            (Act::Say(500, "no".to_owned()), Presence::Unknown),
            (Act::Silence, Presence::Unknown),
        ] {
            let node = client(serve(vec![act]).await, SHORT);
            assert_eq!(node.mempool(&signed.txid).await, presence);
        }
    });
}
