//! A Stacks node, as far as the mints need one: it takes transactions, and gives hints.
//!
//! Questions about one thing are asked at one block, the node's tip of that moment, so that nonce, balance and what the
//! contract says go together.

pub mod answer;
pub mod fees;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use stxworx_clarity::codec::{ContractId, Value, index_block_hash};
use stxworx_indexer::model::{IndexBlockHash, TxId};
use stxworx_indexer::source::http::{FetchError, Server};

use super::ports::{self, PortError};
use super::signer::unsigned;
use super::tx::Allowed;
use super::types::{Account, Answer, Fee, LaneId, Preflight, Presence, Signed, UnsignedMint};
use answer::{excerpt, unclear};
use fees::{FeePolicy, Quote};

/// Largest answer that is read, bytes: a transaction in hexadecimal digits, and what is around it.
const MAX_ANSWER: usize = 64 * 1024;
/// Bytes of a transaction before its payload: one compressed key, no post-conditions.
const BEFORE_PAYLOAD: usize = 115;

/// Where a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    /// Its Bitcoin height.
    pub burn_height: u32,
    /// Its Stacks height.
    pub height: u32,
    /// Its tip.
    pub tip: IndexBlockHash,
}

/// How a node is asked.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// Its RPC: `http://HOST:PORT` or `https://HOST`.
    pub url: String,
    /// How long it may take for one question.
    pub timeout: Duration,
    /// The bounds of fees.
    pub fees: FeePolicy,
    /// Whose transactions are sent: what a fee is asked for must be one of them.
    pub allowed: Allowed,
}

/// A client of one node.
#[derive(Debug, Clone)]
pub struct NodeClient {
    server: Server,
    http: reqwest::Client,
    fees: FeePolicy,
    allowed: Allowed,
    last_good: Arc<Mutex<Option<Fee>>>,
}

#[derive(Debug, Deserialize)]
struct InfoAnswer {
    network_id: u32,
    burn_block_height: u32,
    stacks_tip_height: u32,
    stacks_tip: String,
    stacks_tip_consensus_hash: String,
}

#[derive(Debug, Deserialize)]
struct AccountAnswer {
    balance: String,
    nonce: u64,
}

#[derive(Debug, Deserialize)]
struct FeeAnswer {
    estimations: Vec<Estimation>,
}

#[derive(Debug, Deserialize)]
struct Estimation {
    fee: u64,
}

#[derive(Debug, Deserialize)]
struct CallAnswer {
    okay: bool,
    result: Option<String>,
    cause: Option<String>,
}

#[derive(Debug, Deserialize)]
struct UnconfirmedAnswer {
    tx: String,
}

fn passing(what: &'static str, source: FetchError) -> PortError {
    match source {
        // No retry mends an address or a network.
        FetchError::Address { .. } | FetchError::Client(_) | FetchError::Unfit { .. } => {
            PortError::Unusable {
                what,
                detail: source.to_string(),
            }
        }
        source => PortError::Passing {
            what,
            source: Box::new(source),
        },
    }
}

fn bytes<const N: usize>(what: &'static str, digits: &str) -> Result<[u8; N], PortError> {
    let mut out = [0; N];
    hex::decode_to_slice(digits.strip_prefix("0x").unwrap_or(digits), &mut out)
        .map_err(|e| passing(what, FetchError::unusable(what, e)))?;
    Ok(out)
}

impl NodeClient {
    /// A client of a node.
    ///
    /// # Errors
    /// When the URL is none, or the client cannot be made.
    pub fn new(options: NodeOptions) -> Result<Self, FetchError> {
        let server = Server::new(&options.url, options.timeout, MAX_ANSWER, None)?;
        let http = reqwest::Client::builder()
            .timeout(options.timeout)
            // A signed transaction goes where it was meant to go.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(FetchError::Client)?;
        Ok(Self {
            server,
            http,
            fees: options.fees,
            allowed: options.allowed,
            last_good: Arc::default(),
        })
    }

    /// Its base URL.
    pub fn base(&self) -> &str {
        self.server.base()
    }

    /// Where it stands.
    ///
    /// # Errors
    /// When it does not say.
    pub async fn info(&self) -> Result<Info, PortError> {
        let what = "asking a node where it stands";
        let told: InfoAnswer = self.get(what, "/v2/info").await?;
        let ours = self.allowed.chain_id;
        if told.network_id != ours {
            return Err(PortError::Unusable {
                what,
                detail: format!(
                    "{} belongs to network {}, and the mints are on {ours}; check `network` and `mint.node_urls`",
                    self.base(),
                    told.network_id
                ),
            });
        }
        let tip = index_block_hash(
            &bytes(what, &told.stacks_tip)?,
            &bytes(what, &told.stacks_tip_consensus_hash)?,
        );
        Ok(Info {
            burn_height: told.burn_block_height,
            height: told.stacks_tip_height,
            tip: IndexBlockHash(tip),
        })
    }

    /// An account at a block.
    async fn account_at(&self, address: &str, at: &Info) -> Result<Account, PortError> {
        let what = "asking a node for an account";
        let path = format!(
            "/v2/accounts/{address}?proof=0&tip={}",
            hex::encode(at.tip.as_bytes())
        );
        let told: AccountAnswer = self.get(what, &path).await?;
        Ok(Account {
            nonce: told.nonce,
            balance: u128::from_be_bytes(bytes(what, &told.balance)?),
            height: at.height,
            burn_height: at.burn_height,
        })
    }

    /// What a transaction should cost, and by whose word. Never fails: without an estimate there is the last one, and
    /// without any the floor.
    ///
    /// # Errors
    /// When the transaction is not on the list of what may be sent.
    pub async fn quote(&self, wanted: &UnsignedMint) -> Result<Quote, PortError> {
        // The fee that is asked for is not known yet; any within the bounds stands for it.
        let wanted = UnsignedMint {
            fee: self.allowed.fee_cap,
            ..wanted.clone()
        };
        let tx = unsigned(&wanted, &self.allowed).map_err(|e| PortError::Refused {
            what: "asking for a fee",
            rule: format!("T12 ({e})"),
        })?;
        let encoded = tx.encode();
        let payload = encoded.get(BEFORE_PAYLOAD..).unwrap_or_default();
        let body = json!({
            "transaction_payload": hex::encode(payload), "estimated_len": encoded.len()
        });
        let told: Result<FeeAnswer, _> = self.server.post("/v2/fees/transaction", &body).await;
        let estimate = match told {
            // Low, middle, high.
            Ok(told) => told
                .estimations
                .get(1)
                .or(told.estimations.first())
                .map(|e| e.fee),
            Err(error) => {
                let error = stxworx_indexer::error_chain(&error).to_string();
                tracing::debug!(node = self.base(), error, "a node has no estimate of a fee");
                None
            }
        };
        let length = u64::try_from(encoded.len()).unwrap_or(u64::MAX);
        let mut last_good = self
            .last_good
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Ok(self.fees.quote(estimate, length, &mut last_good))
    }

    async fn get<T: DeserializeOwned>(
        &self,
        what: &'static str,
        path: &str,
    ) -> Result<T, PortError> {
        self.server.get(path).await.map_err(|e| passing(what, e))
    }

    /// Evaluates a read-only function of a contract at a block.
    async fn call_read(
        &self,
        contract: &ContractId,
        function: &'static str,
        arguments: &[Value],
        (sender, at): (&str, &Info),
    ) -> Result<Value, PortError> {
        // Names of functions may end in a question mark, which would begin the query.
        let path = format!(
            "/v2/contracts/call-read/{}/{}/{}?tip={}",
            contract.issuer,
            contract.name.as_str(),
            function.replace('?', "%3F"),
            hex::encode(at.tip.as_bytes())
        );
        let arguments: Vec<String> = arguments
            .iter()
            .map(|a| format!("0x{}", hex::encode(a.encode())))
            .collect();
        let body = json!({ "sender": sender, "arguments": arguments });
        let told: CallAnswer = self
            .server
            .post(&path, &body)
            .await
            .map_err(|e| passing(function, e))?;
        match (told.okay, told.result) {
            (true, Some(digits)) => {
                let value = hex::decode(digits.strip_prefix("0x").unwrap_or(&digits))
                    .map_err(|e| FetchError::unusable(function, e))
                    .and_then(|b| {
                        Value::decode_exact(&b).map_err(|e| FetchError::unusable(function, e))
                    });
                value.map_err(|e| passing(function, e))
            }
            _ => Err(PortError::Unusable {
                what: function,
                detail: format!(
                    "the node refuses to call it: {}; is {contract} the badge contract?",
                    excerpt(told.cause.unwrap_or_default().as_bytes())
                ),
            }),
        }
    }
}

fn odd(function: &'static str, value: &Value) -> PortError {
    PortError::Unusable {
        what: function,
        detail: format!("it gave {value:?}, which no badge contract does"),
    }
}

fn as_bool(function: &'static str, value: &Value) -> Result<bool, PortError> {
    value.as_bool().ok_or_else(|| odd(function, value))
}

impl ports::Node for NodeClient {
    async fn account(&self, address: &str) -> Result<Account, PortError> {
        let at = self.info().await?;
        self.account_at(address, &at).await
    }

    async fn fee(&self, unsigned: &UnsignedMint) -> Result<Fee, PortError> {
        Ok(self.quote(unsigned).await?.fee)
    }

    async fn submit(&self, signed: &Signed) -> Answer {
        // The last gate: bytes that are not ours do not leave, wherever they come from.
        match self.allowed.check(&signed.bytes) {
            Ok(tx) if tx.txid == signed.txid.0 => {}
            Ok(_) => {
                return Answer::Permanent {
                    reason: "not sent: the bytes have another id".to_owned(),
                };
            }
            Err(error) => {
                return Answer::Permanent {
                    reason: format!("not sent: {error}"),
                };
            }
        }
        let sent = self
            .http
            .post(format!("{}/v2/transactions", self.base()))
            .header("content-type", "application/octet-stream")
            .body(signed.bytes.clone())
            .send();
        let mut response = match sent.await {
            Ok(response) => response,
            Err(error) => return unclear(broken(error)),
        };
        let status = response.status().as_u16();
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(piece)) if body.len() + piece.len() <= MAX_ANSWER => {
                    body.extend_from_slice(&piece);
                }
                Ok(Some(_)) => return unclear(format!("HTTP {status}: an endless answer")),
                Ok(None) => return answer::read(status, &body, &signed.txid),
                Err(error) => return unclear(broken(error)),
            }
        }
    }

    async fn mempool(&self, txid: &TxId) -> Presence {
        let path = format!(
            "/v2/transactions/unconfirmed/{}",
            hex::encode(txid.as_bytes())
        );
        let told: Result<UnconfirmedAnswer, _> = self.server.get(&path).await;
        match told {
            Ok(told) => {
                let digits = told.tx.strip_prefix("0x").unwrap_or(&told.tx);
                let is_it = hex::decode(digits)
                    .is_ok_and(|b| stxworx_clarity::codec::sha512_256(&b) == txid.0);
                if is_it {
                    Presence::Pending
                } else {
                    Presence::Unknown
                }
            }
            Err(FetchError::NotFound { .. }) => Presence::Absent,
            Err(_) => Presence::Unknown,
        }
    }

    async fn preflight(
        &self,
        lane: &LaneId,
        recipient: &str,
        kind: u64,
    ) -> Result<Preflight, PortError> {
        let what = "asking a node about an award";
        let unusable = |detail: String| PortError::Unusable { what, detail };
        let contract: ContractId = lane
            .contract
            .parse()
            .map_err(|e| unusable(format!("{} is no contract id: {e}", lane.contract)))?;
        let principal = |text: &str| {
            text.parse()
                .map(Value::Principal)
                .map_err(|e| unusable(format!("{text} is no principal: {e}")))
        };
        let (sender, user) = (principal(&lane.sender)?, principal(recipient)?);
        let kind = Value::UInt(u128::from(kind));
        let award = [user, kind.clone()];
        let info = self.info().await?;
        let at = (lane.sender.as_str(), &info);
        let minter = self.call_read(&contract, "minter?", &[sender], at).await?;
        let known = self.call_read(&contract, "get-kind", &[kind], at).await?;
        let earned = self.call_read(&contract, "earned?", &award, at).await?;
        let badge = self.call_read(&contract, "badge-of", &award, at).await?;
        let barred = self.call_read(&contract, "barred?", &award, at).await?;
        let held = badge.as_optional().ok_or_else(|| odd("badge-of", &badge))?;
        let id = |value: &Value| {
            let number = value.as_u128().and_then(|n| u64::try_from(n).ok());
            number.ok_or_else(|| odd("badge-of", value))
        };
        Ok(Preflight {
            minter: as_bool("minter?", &minter)?,
            kind_known: known
                .as_optional()
                .ok_or_else(|| odd("get-kind", &known))?
                .is_some(),
            earned: as_bool("earned?", &earned)?,
            badge: held.map(id).transpose()?,
            barred: as_bool("barred?", &barred)?,
        })
    }
}

/// Why there is no answer, in a few words.
fn broken(error: reqwest::Error) -> String {
    let kind = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    };
    let error = error.without_url();
    let chain = stxworx_indexer::error_chain(&error).to_string();
    format!("{kind}: {}", excerpt(chain.as_bytes()))
}
