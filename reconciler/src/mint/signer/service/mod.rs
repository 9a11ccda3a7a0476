//! The signer's side of the protocol: everything but the socket and the clock.

use std::collections::{HashSet, VecDeque};

use serde::Serialize;
use stxworx_clarity::codec::Transaction;
use stxworx_clarity::codec::transaction::Authorization;

use super::local::LocalSigner;
use super::protocol::{
    ErrorAnswer, KEY, KeyAnswer, LARGEST, Meaning, SIGN, SharedSecret, SignAnswer, SignRequest,
};
use crate::mint::tx::UnsignedTx;

pub use super::protocol::{LARGEST as LARGEST_BODY, MAC_HEADER, NUMBER_HEADER, TIME_HEADER};

/// A request may be so old, or so far ahead, in seconds.
const SKEW_S: u64 = 120;
/// Requests whose numbers are remembered; as many may come within the time in which one is valid.
const NUMBERS: usize = 10_000;
/// Limits count over an hour.
const HOUR_S: u64 = 3_600;

/// A request, as the socket has it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The path.
    pub path: &'a str,
    /// Header [`TIME_HEADER`].
    pub time: &'a str,
    /// Header [`NUMBER_HEADER`].
    pub number: &'a str,
    /// Header [`MAC_HEADER`].
    pub mac: &'a str,
    /// The body.
    pub body: &'a [u8],
}

/// An answer for the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// JSON.
    pub body: Vec<u8>,
    /// Header [`MAC_HEADER`]; none for somebody who does not know the secret.
    pub mac: Option<String>,
    /// Header `retry-after`, seconds.
    pub retry_after_s: Option<u64>,
    /// What is to be logged: what was signed, or why not.
    pub note: String,
}

/// A signer with its limits.
#[derive(Debug)]
pub struct Service {
    signer: LocalSigner,
    secret: SharedSecret,
    per_hour: usize,
    /// When which digest was signed, oldest first.
    signed: VecDeque<(u64, [u8; 32])>,
    /// Numbers of requests that are still valid, oldest first.
    numbers: VecDeque<(u64, String)>,
    known: HashSet<String>,
}

/// A refusal on its way out.
struct Refusal {
    status: u16,
    error: String,
    retry_after_s: Option<u64>,
}

fn refuse(status: u16, error: impl Into<String>) -> Refusal {
    Refusal {
        status,
        error: error.into(),
        retry_after_s: None,
    }
}

impl Service {
    /// A signer that signs at most so many different transactions in any hour.
    pub fn new(signer: LocalSigner, secret: SharedSecret, per_hour: usize) -> Self {
        Self {
            signer,
            secret,
            per_hour,
            signed: VecDeque::new(),
            numbers: VecDeque::new(),
            known: HashSet::new(),
        }
    }

    /// The account for which it signs.
    pub fn address(&self) -> &str {
        use crate::mint::ports::Signer as _;
        self.signer.address()
    }

    /// Answers a request at a time in Unix seconds.
    pub fn answer(&mut self, now: u64, request: &Request<'_>) -> Reply {
        if let Err(refusal) = self.authenticate(now, request) {
            // Whoever does not know the secret gets no HMAC.
            return reply(refusal, None);
        }
        let done = match request.path {
            SIGN => self.sign(now, request.body),
            KEY => self.key(),
            _ => Err(refuse(404, format!("only {SIGN} and {KEY} are here"))),
        };
        let mut reply = match done {
            Ok((body, note)) => Reply {
                status: 200,
                body,
                mac: None,
                retry_after_s: None,
                note,
            },
            Err(refusal) => reply(refusal, None),
        };
        let mac = self
            .secret
            .of_answer(request.number, reply.status, &reply.body);
        reply.mac = Some(mac);
        reply
    }

    fn authenticate(&mut self, now: u64, request: &Request<'_>) -> Result<(), Refusal> {
        if request.body.len() > LARGEST {
            return Err(refuse(
                413,
                format!("a request has at most {LARGEST} bytes"),
            ));
        }
        let unknown = || {
            refuse(
                401,
                "this is not the minter: the HMAC is not that of the shared secret",
            )
        };
        let time: u64 = request.time.parse().map_err(|_| unknown())?;
        let is_number =
            request.number.len() == 32 && request.number.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_number {
            return Err(unknown());
        }
        let computed = self
            .secret
            .of_request(time, request.number, request.path, request.body);
        if !SharedSecret::is_same(&computed, request.mac) {
            return Err(unknown());
        }
        // From here on it is the minter, or somebody who repeats what it said.
        if time.abs_diff(now) > SKEW_S {
            return Err(refuse(
                401,
                format!(
                    "the request is of {time}, and here it is {now} (Unix seconds): set the clocks, they may differ by {SKEW_S} s"
                ),
            ));
        }
        while self
            .numbers
            .front()
            .is_some_and(|(valid_until, _)| *valid_until < now)
        {
            if let Some((_, number)) = self.numbers.pop_front() {
                self.known.remove(&number);
            }
        }
        if self.known.contains(request.number) {
            return Err(refuse(401, "this request was answered already"));
        }
        if self.numbers.len() >= NUMBERS {
            return Err(Refusal {
                retry_after_s: Some(SKEW_S),
                ..refuse(429, format!("more than {NUMBERS} requests in a short time"))
            });
        }
        // Until no request of its time is accepted any more, whichever clock is ahead.
        self.numbers
            .push_back((now + 2 * SKEW_S, request.number.to_owned()));
        self.known.insert(request.number.to_owned());
        Ok(())
    }

    fn key(&self) -> Result<(Vec<u8>, String), Refusal> {
        let answer = KeyAnswer {
            public_key: hex::encode(self.signer.public()),
        };
        Ok((json(&answer)?, "told whose key it is".to_owned()))
    }

    fn sign(&mut self, now: u64, body: &[u8]) -> Result<(Vec<u8>, String), Refusal> {
        let request: SignRequest = serde_json::from_slice(body)
            .map_err(|e| refuse(400, format!("the body is no request to sign: {e}")))?;
        let bytes = hex::decode(&request.transaction)
            .map_err(|e| refuse(400, format!("transaction: not hexadecimal: {e}")))?;
        let unsigned = UnsignedTx::decode(&bytes).map_err(|e| refuse(403, e.to_string()))?;
        if Meaning::of(&unsigned) != request.means {
            return Err(refuse(
                403,
                "the transaction does not do what is said of it",
            ));
        }
        let digest = unsigned.digest();
        while self
            .signed
            .front()
            .is_some_and(|(at, _)| at + HOUR_S <= now)
        {
            self.signed.pop_front();
        }
        let is_new = !self.signed.iter().any(|(_, known)| *known == digest);
        if is_new && self.signed.len() >= self.per_hour {
            let oldest = self.signed.front().map_or(now, |(at, _)| *at);
            return Err(Refusal {
                retry_after_s: Some((oldest + HOUR_S).saturating_sub(now).max(1)),
                ..refuse(
                    429,
                    format!(
                        "{} transactions were signed in an hour, which is the limit",
                        self.per_hour
                    ),
                )
            });
        }
        let signed = self
            .signer
            .sign_tx(&unsigned)
            .map_err(|e| refuse(403, e.to_string()))?;
        let signature = Transaction::decode(&signed.bytes)
            .ok()
            .and_then(|tx| match tx.auth.origin().authorization {
                Authorization::Single { signature, .. } => Some(hex::encode(signature.0)),
                Authorization::Multi { .. } => None,
            })
            .ok_or_else(|| refuse(500, "what was signed has no signature"))?;
        if is_new {
            self.signed.push_back((now, digest));
        }
        let means = request.means;
        let note = format!(
            "signed {} by {} with nonce {} and fee {}: {} {}",
            means.call,
            means.sender,
            means.nonce,
            means.fee,
            means.recipient.as_deref().unwrap_or("nobody"),
            means.kind.as_deref().unwrap_or("nothing"),
        );
        Ok((json(&SignAnswer { signature })?, note))
    }
}

fn json(answer: &impl Serialize) -> Result<Vec<u8>, Refusal> {
    serde_json::to_vec(answer).map_err(|e| refuse(500, e.to_string()))
}

fn reply(refusal: Refusal, mac: Option<String>) -> Reply {
    let note = format!("refused ({}): {}", refusal.status, refusal.error);
    let body = serde_json::to_vec(&ErrorAnswer {
        error: refusal.error,
    });
    Reply {
        status: refusal.status,
        body: body.unwrap_or_default(),
        mac,
        retry_after_s: refusal.retry_after_s,
        note,
    }
}

#[cfg(test)]
mod tests;
