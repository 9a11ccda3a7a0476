//! Finds out who asks, and whether they may ask so often.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use prometheus::IntCounterVec;

use super::address::{self, Network};
use super::key::{self, KeyCache, ShownKey};
use super::limit::{Buckets, Rate, Verdict};
use super::token::TokenVerifier;
use super::{Caller, CallerKind};
use crate::api::error::{ApiError, ErrorCode};
use crate::api::state::ApiState;

/// The header for a key, for clients that cannot set `authorization`.
pub const KEY_HEADER: HeaderName = HeaderName::from_static("x-api-key");
/// How many requests may come at once.
pub const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
/// How many more may come now.
pub const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
/// Seconds until as many may come again.
pub const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// Who may ask, and how often.
#[derive(Debug, Clone)]
pub struct AccessRules {
    /// Are reads only for those who have a key or a token?
    pub require_key: bool,
    /// Requests of one address that sends no key.
    pub per_address: Rate,
    /// Requests with one key, or of one subject of tokens.
    pub per_key: Rate,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// Checks tokens; none when none are accepted.
    pub tokens: Option<TokenVerifier>,
}

impl Default for AccessRules {
    fn default() -> Self {
        Self {
            require_key: false,
            per_address: Rate::NONE,
            per_key: Rate::NONE,
            trusted_proxies: Vec::new(),
            tokens: None,
        }
    }
}

/// The rules, with what was seen lately.
pub struct Access {
    rules: AccessRules,
    keys: KeyCache,
    addresses: Buckets<IpAddr>,
    callers: Buckets<(CallerKind, String)>,
    refused: Option<IntCounterVec>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("require_key", &self.rules.require_key)
            .finish_non_exhaustive()
    }
}

/// What a request shows to say who sends it.
enum Shown {
    Nothing,
    Key(ShownKey),
    Token(String),
}

impl Access {
    /// With these rules; refusals are counted by reason.
    pub fn new(rules: AccessRules, refused: Option<IntCounterVec>) -> Self {
        Self {
            addresses: Buckets::new(rules.per_address),
            callers: Buckets::new(rules.per_key),
            keys: KeyCache::default(),
            rules,
            refused,
        }
    }

    fn count(&self, reason: &str) {
        if let Some(refused) = &self.refused {
            refused.with_label_values(&[reason]).inc();
        }
    }

    /// Takes a token of the address; says no when there is none left.
    fn charge(&self, from: IpAddr) -> Result<Option<Verdict>, Refused> {
        self.spend(self.addresses.take(address::bucket(from)), "address")
    }

    fn spend(&self, verdict: Option<Verdict>, whose: &str) -> Result<Option<Verdict>, Refused> {
        match verdict {
            Some(verdict) if !verdict.allowed => {
                self.count(&format!("rate_{whose}"));
                let detail = format!(
                    "too many requests from this {whose}: {} at once are allowed; try again in {} s",
                    verdict.limit,
                    whole_seconds(verdict.retry_after)
                );
                let error = ApiError::new(ErrorCode::RateLimited, detail);
                Err(Refused(error, Some(verdict)))
            }
            verdict => Ok(verdict),
        }
    }

    /// Who asks; none if they do not say. What is not believed costs the address.
    async fn admit(
        &self,
        state: &ApiState,
        headers: &HeaderMap,
        from: IpAddr,
    ) -> Result<(Option<Caller>, Option<Verdict>), Refused> {
        let refuse = |detail: String| {
            let verdict = self.charge(from)?;
            self.count("unauthorized");
            Err(Refused(
                ApiError::new(ErrorCode::Unauthorized, detail),
                verdict,
            ))
        };
        let (caller, bucket) = match shown(headers) {
            Err(detail) => return refuse(detail.to_owned()),
            Ok(Shown::Nothing) => {
                let verdict = self.charge(from)?;
                if self.rules.require_key {
                    self.count("unauthorized");
                    let detail = "this service answers only to keys and tokens; send one as `authorization: Bearer ...`";
                    return Err(Refused(
                        ApiError::new(ErrorCode::Unauthorized, detail),
                        verdict,
                    ));
                }
                return Ok((None, verdict));
            }
            Ok(Shown::Key(shown)) => {
                let row = match self.keys.remembered(&shown.id) {
                    Some(row) => row,
                    None => {
                        // Looking up costs us something, so made-up keys cost their address something.
                        self.charge(from)?;
                        self.keys
                            .look_up(&state.pool, &shown.id)
                            .await
                            .map_err(|e| Refused(e.into(), None))?
                    }
                };
                let Some(row) = row.filter(|row| key::fits(&shown, Some(row))) else {
                    return refuse("there is no such key, or it is revoked or expired".to_owned());
                };
                self.keys.note(state.admin.as_ref(), &row.id);
                let caller = Caller {
                    role: row.role,
                    name: row.name,
                    kind: CallerKind::Key,
                };
                (caller, row.id)
            }
            Ok(Shown::Token(token)) => {
                let Some(tokens) = &self.rules.tokens else {
                    return refuse("this is no key, and tokens are not accepted here".to_owned());
                };
                match tokens.verify(&token, now_unix()) {
                    Ok(caller) => {
                        let subject = caller.name.clone();
                        (caller, subject)
                    }
                    Err(error) => return refuse(error.to_string()),
                }
            }
        };
        let verdict = self.callers.take((caller.kind, bucket));
        let verdict = self.spend(verdict, "key")?;
        Ok((Some(caller), verdict))
    }
}

/// A request that goes no further, and what its bucket said.
struct Refused(ApiError, Option<Verdict>);

fn now_unix() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Whole seconds, rounded up, for headers that know no smaller ones.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

fn shown(headers: &HeaderMap) -> Result<Shown, &'static str> {
    let mut bearer = headers.get_all(header::AUTHORIZATION).iter();
    let mut plain = headers.get_all(KEY_HEADER).iter();
    let text = match (bearer.next(), plain.next()) {
        (None, None) => return Ok(Shown::Nothing),
        (Some(value), None) => {
            let (scheme, rest) = value
                .to_str()
                .ok()
                .and_then(|text| text.split_once(' '))
                .ok_or("`authorization` must be `Bearer` and a key or a token")?;
            if !scheme.eq_ignore_ascii_case("bearer") {
                return Err("`authorization` must be `Bearer` and a key or a token");
            }
            rest.trim()
        }
        (None, Some(value)) => {
            let text = value.to_str().unwrap_or_default().trim();
            return ShownKey::parse(text)
                .filter(|_| plain.next().is_none())
                .map(Shown::Key)
                .ok_or("`x-api-key` must be one key, as it was printed when it was made");
        }
        (Some(_), Some(_)) => return Err("send either `authorization` or `x-api-key`, not both"),
    };
    if bearer.next().is_some() {
        return Err("`authorization` was sent twice");
    }
    Ok(match ShownKey::parse(text) {
        Some(key) => Shown::Key(key),
        None => Shown::Token(text.to_owned()),
    })
}

fn tell(headers: &mut HeaderMap, verdict: &Verdict) {
    for (name, value) in [
        (LIMIT, u64::from(verdict.limit)),
        (REMAINING, u64::from(verdict.remaining)),
        (RESET, whole_seconds(verdict.reset)),
    ] {
        headers.insert(name, HeaderValue::from(value));
    }
}

/// Puts the [`Caller`] among the request's extensions, or refuses.
pub async fn known(State(state): State<ApiState>, mut request: Request, next: Next) -> Response {
    let access = &state.access;
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
    let from = address::client(peer, request.headers(), &access.rules.trusted_proxies);
    let admitted = access.admit(&state, request.headers(), from).await;
    // No handler needs them, and what is not there cannot be logged.
    request.headers_mut().remove(header::AUTHORIZATION);
    request.headers_mut().remove(KEY_HEADER);
    match admitted {
        Ok((caller, verdict)) => {
            if let Some(caller) = caller {
                request.extensions_mut().insert(caller);
            }
            let mut response = next.run(request).await;
            if let Some(verdict) = verdict {
                tell(response.headers_mut(), &verdict);
            }
            response
        }
        Err(Refused(error, verdict)) => {
            let limited = error.problem().code == ErrorCode::RateLimited;
            let mut response = error.into_response();
            if let Some(verdict) = verdict {
                tell(response.headers_mut(), &verdict);
                if limited {
                    let seconds = whole_seconds(verdict.retry_after).max(1);
                    response
                        .headers_mut()
                        .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                }
            }
            response
        }
    }
}
