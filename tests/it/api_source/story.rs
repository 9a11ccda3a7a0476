//! A chain that a test drives by hand, what its node says of it, and its API behind a server that counts and
//! can be told to misbehave.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde_json::Value as Json;
use stxworx::devnet::SharedChain;
use stxworx::devnet::api::Api;
use stxworx::recording::Entry;
use stxworx::workload::SeededRng;
use stxworx_clarity::codec::Principal;
use stxworx_clarity::codec::transaction::Payload;
use stxworx_clarity::market::{Actor, Conditions, Marketplace};
use stxworx_clarity::simnet::{Simnet, SimnetConfig};
use stxworx_indexer::model::{FollowSet, Mirror};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// A chain and what its node has said since this was last asked.
pub struct Story {
    pub chain: SharedChain,
    market: Marketplace,
    said: Vec<Entry>,
}

fn entry(path: &str, body: &Json) -> Entry {
    Entry::new(path, body.to_string())
}

impl Story {
    pub fn new(seed: u64) -> Self {
        let market = Marketplace::new(seed);
        let chain = Simnet::new(SimnetConfig {
            seed,
            genesis: market.genesis(),
            ..SimnetConfig::default()
        })
        .unwrap();
        let said = vec![
            entry(
                "/new_burn_block",
                &chain.burn_tip().new_burn_block_payload(),
            ),
            entry("/new_block", &chain.tip().new_block_payload()),
        ];
        Self {
            chain: SharedChain::new(chain),
            market,
            said,
        }
    }

    pub fn said(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.said)
    }

    pub fn height(&self) -> u32 {
        self.chain.lock().tip().header.height
    }

    pub fn burn(&mut self, blocks: u32) {
        let new = self.chain.lock().burn(blocks);
        let told = new
            .iter()
            .map(|b| entry("/new_burn_block", &b.new_burn_block_payload()));
        self.said.extend(told);
    }

    /// A block of whatever waits.
    pub fn mine(&mut self) {
        let block = self.chain.lock().mine(40).unwrap();
        self.said
            .push(entry("/new_block", &block.new_block_payload()));
    }

    /// A block in which the marketplace acts, in a new tenure if it wants time to pass.
    pub fn act(&mut self) {
        let jump = self.market.patience(&self.chain.lock());
        if jump > 0 {
            self.burn(jump);
        }
        self.market.act(&mut self.chain.lock(), 8);
        self.mine();
    }

    /// So many blocks, with a new tenure every third.
    pub fn grow(&mut self, blocks: u32) {
        for n in 0..blocks {
            if n.is_multiple_of(3) {
                self.burn(1);
            }
            self.act();
        }
    }

    /// A branch that replaces so many blocks by one more.
    pub fn fork(&mut self, depth: u32) {
        self.burn(1);
        let height = self.height() - depth;
        let ancestor = self.chain.lock().at_height(height).unwrap();
        self.chain.lock().fork_to(&ancestor.header.id).unwrap();
        for _ in 0..=depth {
            self.act();
        }
    }

    /// Bitcoin replaces two blocks by three, each of which elects a tenure of one block.
    pub fn reorg_bitcoin(&mut self) {
        self.chain.lock().reorg_burn(2);
        for _ in 0..3 {
            self.burn(1);
            self.act();
        }
    }

    /// A transfer that waits to be mined.
    pub fn transfer(&mut self, from: &str, to: &str) {
        let (from, to) = (Actor::of(from), Actor::of(to));
        let mut chain = self.chain.lock();
        let nonce = chain.next_nonce(&from.principal());
        let payload = Payload::TokenTransfer {
            recipient: to.principal(),
            amount: 7,
            memo: [0; 34],
        };
        let tx = from.sign(nonce, 500, payload, Conditions::None);
        chain.submit(&tx.encode()).unwrap();
    }

    /// The marketplace's contracts, its treasury, and one client who sends and receives.
    pub fn follow(&self) -> FollowSet {
        let of = |name: &str| {
            Actor::of("deployer")
                .contract(&format!("freelance-{name}"))
                .to_string()
        };
        let client: Principal = Actor::of("client-2").principal();
        FollowSet {
            mirror: Mirror::Followed,
            contracts: ["data", "logic", "badges", "security"].map(of).into(),
            principals: [of("security"), client.to_string()].into(),
        }
    }
}

/// What a server does instead of answering.
#[derive(Clone)]
pub enum Mischief {
    Html,
    TruncatedGzip,
    Endless,
    Status(u16),
    Busy {
        seconds: u32,
    },
    /// Answers truly, when it is allowed to.
    Wait(Arc<Notify>),
    /// Changes the true answer.
    Edit(fn(&mut Json)),
    /// Is never answered.
    Silence,
    /// Of eight answers one goes wrong, in some way that may pass.
    OneInEight(Arc<Mutex<SeededRng>>),
}

/// What may become of an answer that goes wrong.
fn wrong(rng: &Mutex<SeededRng>) -> Option<Mischief> {
    let mut rng = rng.lock().unwrap();
    (rng.index(8) == 0).then(|| match rng.index(7) {
        0 => Mischief::Html,
        1 => Mischief::TruncatedGzip,
        2 => Mischief::Status(500),
        3 => Mischief::Status(502),
        4 => Mischief::Silence,
        5 => Mischief::Edit(|answer| *answer = Json::Null),
        _ => Mischief::Status(503),
    })
}

/// Mischief for as many requests as are counted down, to paths that hold the text.
#[derive(Clone)]
pub struct Plan {
    pub path: &'static str,
    pub mischief: Mischief,
    pub times: u32,
}

#[derive(Clone, Default)]
pub struct Record {
    pub paths: Arc<Mutex<Vec<String>>>,
    plan: Arc<Mutex<Option<Plan>>>,
}

/// An API server.
pub struct Served {
    pub address: SocketAddr,
    pub record: Record,
    cancel: CancellationToken,
}

impl Served {
    pub async fn start(chain: SharedChain) -> Self {
        Self::start_at(chain, "127.0.0.1:0".parse().unwrap()).await
    }

    pub async fn start_at(chain: SharedChain, address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let record = Record::default();
        let router = Api::new(chain)
            .router()
            .layer(axum::middleware::from_fn_with_state(
                record.clone(),
                watched,
            ));
        let cancel = CancellationToken::new();
        let stop = cancel.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = axum::serve(listener, router) => {}
                () = stop.cancelled() => {}
            }
        });
        Self {
            address,
            record,
            cancel,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn plan(&self, path: &'static str, mischief: Mischief, times: u32) {
        let plan = Plan {
            path,
            mischief,
            times,
        };
        *self.record.plan.lock().unwrap() = Some(plan);
    }

    pub fn behave(&self) {
        *self.record.plan.lock().unwrap() = None;
    }

    /// Requests since this was last asked.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.record.paths.lock().unwrap())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

async fn watched(State(record): State<Record>, request: Request, next: Next) -> Response {
    let path = request.uri().to_string();
    record.paths.lock().unwrap().push(path.clone());
    let mischief = {
        let mut plan = record.plan.lock().unwrap();
        plan.as_mut()
            .filter(|p| p.times > 0 && path.contains(p.path))
            .map(|plan| {
                plan.times -= 1;
                plan.mischief.clone()
            })
    };
    let mischief = match mischief {
        Some(Mischief::OneInEight(rng)) => wrong(&rng),
        planned => planned,
    };
    let Some(mischief) = mischief else {
        return next.run(request).await;
    };
    let json = ("content-type", "application/json");
    match mischief {
        Mischief::Html => (
            [("content-type", "text/html")],
            "<html>come back later</html>",
        )
            .into_response(),
        Mischief::TruncatedGzip => {
            let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xab, 0x56];
            (
                [json, ("content-encoding", "gzip")],
                Bytes::copy_from_slice(&gzip),
            )
                .into_response()
        }
        Mischief::Endless => {
            let piece = Bytes::from(vec![b' '; 64 * 1024]);
            let body = futures::stream::repeat_with(move || Ok::<_, std::io::Error>(piece.clone()));
            ([json], Body::from_stream(body)).into_response()
        }
        Mischief::Status(code) => axum::http::StatusCode::from_u16(code)
            .unwrap()
            .into_response(),
        Mischief::Busy { seconds } => {
            let headers = [("retry-after", seconds.to_string())];
            (axum::http::StatusCode::TOO_MANY_REQUESTS, headers).into_response()
        }
        Mischief::Silence => std::future::pending().await,
        Mischief::OneInEight(_) => unreachable!("decided above"),
        Mischief::Wait(release) => {
            release.notified().await;
            next.run(request).await
        }
        Mischief::Edit(edit) => {
            let (mut parts, body) = next.run(request).await.into_parts();
            let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            let Ok(mut json) = serde_json::from_slice::<Json>(&bytes) else {
                return Response::from_parts(parts, Body::from(bytes));
            };
            edit(&mut json);
            parts.headers.remove("content-length");
            Response::from_parts(parts, Body::from(json.to_string()))
        }
    }
}
