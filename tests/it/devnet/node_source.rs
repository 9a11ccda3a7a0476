//! A node's RPC as the only source: the same mirror as by its observer, and no mirror by lies.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use serde_json::{Value as Json, json};
use stxworx::devnet::SharedChain;
use stxworx::devnet::rpc::{self, AUTH_TOKEN};
use stxworx::recording::Entry;
use stxworx_clarity::simnet::{Simnet, SimnetConfig};
use stxworx_indexer::model::IndexBlockHash;
use stxworx_indexer::source::http::FetchError;
use stxworx_indexer::source::node::{NodeOptions, NodeSource, Replay};
use stxworx_indexer::source::pull::{BLOCKS, BURN_BLOCKS, Fetched, Pull as _};
use stxworx_indexer::store::inbox::{self, Provenance, Source};

use super::history::History;
use crate::support::chain::Engine;
use crate::support::db::TestDb;
use crate::support::mirror::{assert_verifies, canonical_digests};
use crate::support::run;

/// A server that ends with the test's runtime.
pub async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

/// The RPC of a history's chain, which grows between two questions.
pub struct Served {
    pub history: History,
    pub chain: SharedChain,
    pub url: String,
}

impl Served {
    pub async fn new(mut history: History) -> Self {
        let empty = Simnet::new(SimnetConfig::default()).unwrap();
        let chain = SharedChain::new(std::mem::replace(&mut history.chain, empty));
        let url = format!("http://{}", serve(rpc::router(chain.clone())).await);
        Self {
            history,
            chain,
            url,
        }
    }

    /// Lets the history work on the chain.
    pub fn with<R>(&mut self, work: impl FnOnce(&mut History) -> R) -> R {
        let mut chain = self.chain.lock();
        std::mem::swap(&mut *chain, &mut self.history.chain);
        let result = work(&mut self.history);
        std::mem::swap(&mut *chain, &mut self.history.chain);
        result
    }

    pub fn source(&self) -> NodeSource {
        source(&self.url, Some(AUTH_TOKEN))
    }
}

fn source(url: &str, token: Option<&str>) -> NodeSource {
    NodeSource::new(&NodeOptions {
        url: url.to_owned(),
        timeout: Duration::from_secs(20),
        auth_token: token.map(str::to_owned),
        network_id: 0x8000_0000,
    })
    .unwrap()
}

/// Without block 0, which a node does not replay.
pub fn above_genesis(entries: Vec<Entry>) -> Vec<Entry> {
    let genesis = |e: &Entry| {
        let body: Json = serde_json::from_slice(&e.body).unwrap();
        body["block_height"] == 0
    };
    entries.into_iter().filter(|e| !genesis(e)).collect()
}

const FROM_NODE: Provenance = Provenance {
    source: Source::Node,
    scope: None,
};

async fn take(db: &TestDb, blocks: impl IntoIterator<Item = Fetched>) {
    for block in blocks {
        inbox::put(&db.pool, BLOCKS, FROM_NODE, &block.body)
            .await
            .unwrap();
    }
}

async fn take_burns(db: &TestDb, node: &NodeSource, from: u32, to: u32) {
    for body in node.burn_blocks(from, to).await.unwrap() {
        inbox::put(&db.pool, BURN_BLOCKS, FROM_NODE, &body)
            .await
            .unwrap();
    }
}

/// Follows the tip as a poller does: back from the tip to what is known.
struct Follower {
    node: NodeSource,
    known: HashSet<IndexBlockHash>,
    burn_height: u32,
}

impl Follower {
    async fn poll(&mut self, db: &TestDb) {
        let tip = self.node.tip().await.unwrap();
        // A reorg of Bitcoin may have replaced some blocks below.
        let from = self.burn_height.saturating_sub(8);
        take_burns(db, &self.node, from, tip.burn_height).await;
        self.burn_height = tip.burn_height;
        let (mut new, mut at) = (Vec::new(), tip.block.id);
        while self.known.insert(at) {
            let block = self.node.block(&at).await.unwrap();
            at = block.parent;
            new.push(block);
        }
        take(db, new.into_iter().rev()).await;
    }
}

#[test]
fn a_mirror_filled_by_rpc_has_the_digests_of_one_filled_by_the_observer() {
    run(async {
        let (steps, piece) = (130, 6);
        let mut served = Served::new(History::new(41, steps)).await;
        let (observed, polled, ranged) = (
            TestDb::new().await,
            TestDb::new().await,
            TestDb::new().await,
        );
        let follow = served.history.follow();
        let observer = Engine::start_with(&observed, follow.clone());
        let poller = Engine::start_with(&polled, follow.clone());
        let mut follower = Follower {
            node: served.source(),
            known: HashSet::from([IndexBlockHash::GENESIS]),
            burn_height: served.chain.lock().burn_tip().height,
        };
        for _ in 0..steps / piece {
            let said = served.with(|history| {
                history.grow(piece);
                history.said()
            });
            observer.feed(&observed, &above_genesis(said)).await;
            follower.poll(&polled).await;
            poller.quiet(&polled).await;
        }
        observer.stop().await;
        poller.stop().await;
        let (forks, _) = served.history.forks;
        assert!(forks > 10, "{forks} forks");
        let digests = canonical_digests(&observed).await;
        let canonical = served.with(|history| history.canonical());
        assert_eq!(digests.lines().count(), canonical.len() - 1);
        assert_eq!(canonical_digests(&polled).await, digests);
        let blocks = polled.number("select count(*) from block").await;
        assert!(
            usize::try_from(blocks).unwrap() > canonical.len(),
            "the poller saw no fork"
        );
        assert_verifies(&polled).await;

        // A backfill, which never saw a fork.
        let node = served.source();
        let tip = node.tip().await.unwrap();
        let burns = (served.chain.lock().first_burn_height(), tip.burn_height);
        let backfill = Engine::start_with(&ranged, follow);
        take_burns(&ranged, &node, burns.0, burns.1).await;
        let mut ids = Vec::new();
        for from in (1..=tip.block.height).step_by(30) {
            let range = node.range(from, from + 29).await.unwrap();
            ids.extend(range.iter().map(|b| b.block.id.0));
            take(&ranged, range).await;
        }
        backfill.quiet(&ranged).await;
        backfill.stop().await;
        let expected: Vec<_> = canonical.iter().skip(1).map(|b| b.header.id).collect();
        assert_eq!(ids, expected);
        assert_eq!(canonical_digests(&ranged).await, digests);
        for db in [observed, polled, ranged] {
            db.drop().await;
        }
    });
}

#[test]
fn ranges_anywhere_are_the_canonical_chain() {
    run(async {
        let mut served = Served::new(History::new(42, 200)).await;
        let canonical = served.with(|history| {
            history.grow(200);
            history.canonical()
        });
        let tip = u32::try_from(canonical.len() - 1).unwrap();
        // A client each, so that nothing is remembered; from the tip down, and from the bottom up with one.
        for from in (1..=tip).rev().step_by(17) {
            let to = (from + 4).min(tip);
            let range = served.source().range(from, from + 4).await.unwrap();
            let ids: Vec<_> = range
                .iter()
                .map(|b| (b.block.height, b.block.id.0))
                .collect();
            let expected: Vec<_> = (from..=to)
                .map(|h| (h, canonical[h as usize].header.id))
                .collect();
            assert_eq!(ids, expected, "from {from}");
        }
        let node = served.source();
        assert_eq!(node.range(tip + 1, tip + 9).await.unwrap(), []);
        for (from, to) in [(5, 4), (1, 31)] {
            let error = node.range(from, to).await.unwrap_err();
            assert!(error.to_string().contains("1 to 30 heights"), "{error}");
        }
        let genesis = node.block(&IndexBlockHash::GENESIS).await.unwrap_err();
        assert!(matches!(genesis, FetchError::NotFound { .. }), "{genesis}");
        assert!(genesis.to_string().contains("epoch 3.0"), "{genesis}");
        let zero = node.range(0, 3).await.unwrap_err();
        assert_eq!(zero.kind(), "not_offered", "{zero}");
        // A dead fork's block is known by its id.
        let dead = served.with(|history| {
            let old = history.chain.tip().header.id;
            history.chain.reorg_burn(3);
            history.chain.burn(4);
            history.grow(2);
            old
        });
        let block = node.block(&IndexBlockHash(dead)).await.unwrap();
        assert_eq!(block.block.id.0, dead);
        let range = node.range(tip - 3, tip + 2).await.unwrap();
        assert!(range.iter().all(|b| b.block.id.0 != dead));
    });
}

/// What a scripted node answers, by path; anything else comes from an honest one.
#[derive(Clone)]
struct Liar {
    honest: SocketAddr,
    lies: Arc<Mutex<HashMap<String, (u16, String)>>>,
}

impl Liar {
    async fn start(honest: &str) -> (Self, String) {
        let liar = Self {
            honest: honest.trim_start_matches("http://").parse().unwrap(),
            lies: Arc::default(),
        };
        let router = Router::new().fallback(answer).with_state(liar.clone());
        (liar, format!("http://{}", serve(router).await))
    }

    fn says(&self, path: &str, status: u16, body: impl ToString) {
        let lie = (status, body.to_string());
        self.lies.lock().unwrap().insert(path.to_owned(), lie);
    }

    fn repents(&self) {
        self.lies.lock().unwrap().clear();
    }

    async fn truth(&self, path: &str) -> Json {
        let token = AUTH_TOKEN;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nConnection: close\r\n\r\n"
        );
        let (_, body) = raw(self.honest, &request).await;
        serde_json::from_slice(&body).unwrap()
    }
}

async fn raw(at: SocketAddr, request: &str) -> (u16, Vec<u8>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(at).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&answer[..end]);
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer[end + 4..].to_vec())
}

async fn answer(
    State(liar): State<Liar>,
    uri: Uri,
    headers: axum::http::HeaderMap,
) -> (StatusCode, Vec<u8>) {
    let lie = liar.lies.lock().unwrap().get(uri.path()).cloned();
    if let Some((status, body)) = lie {
        return (StatusCode::from_u16(status).unwrap(), body.into_bytes());
    }
    let token = headers
        .get("authorization")
        .map_or("", |v| v.to_str().unwrap());
    let (status, body) = raw(
        liar.honest,
        &format!(
            "GET {} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nConnection: close\r\n\r\n",
            uri.path()
        ),
    )
    .await;
    (StatusCode::from_u16(status).unwrap(), body)
}

#[test]
fn answers_that_cannot_be_are_refused_and_said() {
    run(async {
        let mut served = Served::new(History::new(43, 20)).await;
        served.with(|history| history.grow(20));
        let (liar, url) = Liar::start(&served.url).await;
        let tip = served.chain.lock().tip();
        let id = IndexBlockHash(tip.header.id);
        let replay = format!("/v3/blocks/replay/{}", hex::encode(tip.header.id));
        let tenure = hex::encode(tip.header.burn.consensus_hash);
        let sortition = format!("/v3/sortitions/consensus/{tenure}");
        let honest = liar.truth(&replay).await;
        let other = liar
            .truth(&format!(
                "/v3/blocks/replay/{}",
                hex::encode(tip.header.parent)
            ))
            .await;
        let changed = |pointer: &str, value: Json| {
            let mut lie = honest.clone();
            *lie.pointer_mut(pointer).unwrap() = value;
            lie.to_string()
        };
        let cases = [
            (
                &replay,
                200,
                "<html>busy</html>".to_owned(),
                "unusable",
                "<html>",
            ),
            (
                &replay,
                200,
                honest.to_string()[..200].to_owned(),
                "unusable",
                "EOF",
            ),
            (
                &replay,
                200,
                other.to_string(),
                "unusable",
                "it is about block",
            ),
            (
                &replay,
                200,
                changed("/block_id", json!("12")),
                "unusable",
                "64 hexadecimal",
            ),
            (
                &replay,
                200,
                changed("/block_height", json!(1u64 << 40)),
                "unusable",
                "u32",
            ),
            (
                &replay,
                200,
                changed("/valid_merkle_root", json!(false)),
                "unusable",
                "header commits",
            ),
            (&replay, 500, "sorry".into(), "status", "sorry"),
            (&replay, 503, String::new(), "busy", "for now"),
            (&replay, 404, String::new(), "not_found", "epoch 3.0"),
            (&sortition, 200, "[]".into(), "unusable", "no sortition"),
            (&sortition, 404, String::new(), "not_found", "not known"),
        ];
        for (path, status, body, kind, words) in cases {
            liar.says(path, status, &body);
            let error = source(&url, Some(AUTH_TOKEN)).block(&id).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{path} {body:.60}: {error}");
            assert!(error.to_string().contains(words), "{words}: {error}");
            liar.repents();
        }
        let other = liar.truth("/v3/sortitions/burn_height/99").await;
        liar.says(&sortition, 200, other);
        let error = source(&url, Some(AUTH_TOKEN)).block(&id).await.unwrap_err();
        assert!(error.to_string().contains("it is about 0x"), "{error}");
        liar.repents();

        let mut info = liar.truth("/v2/info").await;
        info["stacks_tip"] = json!("77".repeat(32));
        liar.says("/v2/info", 200, &info);
        let error = source(&url, None).tip().await.unwrap_err();
        assert!(
            error.to_string().contains("and that of /v2/info"),
            "{error}"
        );
        assert!(error.is_transient());
        info["network_id"] = json!(1);
        liar.says("/v2/info", 200, &info);
        let error = source(&url, None).tip().await.unwrap_err();
        assert!(
            error
                .to_string()
                .contains("network 0x1, and this mirror is of network 0x80000000"),
            "{error}"
        );
        assert!(
            !error.is_transient(),
            "asking again does not change the network"
        );
        liar.repents();

        // A list of a tenure in which a block is left out.
        let path = format!("/v3/tenures/blocks/{tenure}");
        let mut list = liar.truth(&path).await;
        let blocks = list["stacks_blocks"].as_array_mut().unwrap();
        blocks.push(json!({"block_id": "01".repeat(32), "header_type": "nakamoto", "block_hash": "02".repeat(32),
            "parent_block_id": "03".repeat(32), "height": 1}));
        liar.says(&path, 200, &list);
        let error = source(&url, Some(AUTH_TOKEN))
            .range(3, 8)
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("does not stand on the next one"),
            "{error}"
        );
        liar.repents();
        // Bitcoin that changes between two questions.
        let mut changed = liar.truth("/v3/sortitions/burn_height/100").await;
        changed[0]["parent_sortition_id"] = json!(format!("0x{}", "00".repeat(32)));
        liar.says("/v3/sortitions/burn_height/100", 200, &changed);
        let error = source(&url, None).burn_blocks(99, 101).await.unwrap_err();
        assert!(
            error.to_string().contains("changed below height 100"),
            "{error}"
        );
    });
}

#[test]
fn what_a_node_lacks_is_told_with_its_cure() {
    run(async {
        let mut served = Served::new(History::new(44, 12)).await;
        served.with(|history| history.grow(12));
        let tip = served.chain.lock().tip();
        let sound = served.source().probe().await.unwrap();
        assert_eq!(sound.replay, Replay::Yes);
        assert_eq!(sound.missing, Vec::<String>::new());
        assert_eq!(sound.txindex, Some(false));
        assert_eq!(sound.network_id, 0x8000_0000);
        assert_eq!(sound.replay_from_burn_height, Some(99));
        assert_eq!(sound.tip_height, tip.header.height);
        assert!(sound.server_version.starts_with("stxworx-devnet"));
        let bare = rpc::router_with(served.chain.clone(), None);
        let bare = format!("http://{}", serve(bare).await);
        let cases = [
            (&served.url, None),
            (&served.url, Some("wrong")),
            (&bare, Some(AUTH_TOKEN)),
        ];
        for (url, token) in cases {
            let node = source(url, token);
            let denied = node.probe().await.unwrap();
            assert_eq!(denied.replay, Replay::Denied, "{url} {token:?}");
            let cure = "set connection_options.auth_token in the node and node.auth_token here to the same text";
            assert!(denied.missing[0].contains(cure), "{:?}", denied.missing);
            let error = node
                .block(&IndexBlockHash(tip.header.id))
                .await
                .unwrap_err();
            assert!(error.to_string().contains(cure), "{error}");
            assert!(
                !error.to_string().contains("wrong"),
                "a token is shown: {error}"
            );
        }
        let (liar, url) = Liar::start(&served.url).await;
        let replay = format!("/v3/blocks/replay/{}", hex::encode(tip.header.id));
        liar.says(&replay, 404, "");
        let old = source(&url, Some(AUTH_TOKEN)).probe().await.unwrap();
        assert_eq!(old.replay, Replay::No);
        assert!(
            old.missing[0].contains("3.2.0.0.2 or later"),
            "{:?}",
            old.missing
        );
        for bad in ["nowhere", "ftp://x", "http://"] {
            let options = NodeOptions {
                url: bad.to_owned(),
                timeout: Duration::from_secs(1),
                auth_token: None,
                network_id: 1,
            };
            assert!(
                NodeSource::new(&options)
                    .unwrap_err()
                    .to_string()
                    .contains("http://HOST:PORT")
            );
        }
    });
}
