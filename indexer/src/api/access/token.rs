//! Signed tokens (JWT, RFC 7519) for people who run the service.
//!
//! Two algorithms, each with a key of its own: HS256 with a shared secret, EdDSA (Ed25519) with a public key. What
//! the header names only picks one of the keys that were set up; a public key is never used as a secret, and `none`
//! is no algorithm here. The signature is checked over the bytes as they came, before a claim is read.
//!
//! Nothing but `ring` is used, which signs and checks already: the usual library brings either a second crypto
//! provider, or RSA in pure Rust, which is open to timing attacks; and claims that are typed here cannot be skipped by
//! giving them another type.
//!
//! A token cannot be revoked, so it is short-lived: at most [`LONGEST_SECONDS`] from now on.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::{hmac, signature};
use serde::{Deserialize, Serialize};

use crate::model::access::{Caller, CallerKind, Role};

/// Longest life of a token, in seconds from now on.
pub const LONGEST_SECONDS: u64 = 24 * 3600;
/// Shortest shared secret, in bytes: as long as the hash.
pub const SHORTEST_SECRET: usize = 32;
/// Difference between two clocks that is forgiven, in seconds.
const LEEWAY_SECONDS: u64 = 30;
const LONGEST_TOKEN: usize = 4096;
const LONGEST_SUBJECT: usize = 200;
/// What comes before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410).
const ED25519_SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// A key that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenKeyError {
    /// The secret is too short.
    #[error(
        "the secret must have at least {SHORTEST_SECRET} bytes; make one with `openssl rand -hex 32`"
    )]
    ShortSecret,
    /// Not the PEM of an Ed25519 public key.
    #[error(
        "no Ed25519 public key in PEM; make a pair with `openssl genpkey -algorithm ed25519` and give what \
         `openssl pkey -pubout` prints"
    )]
    NoPublicKey,
}

/// Why a token is not believed. What it says goes to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No such form.
    #[error("the token is no JWT")]
    Malformed,
    /// No key for that.
    #[error("the token's algorithm is not one that is set up here")]
    Algorithm,
    /// Somebody else's, or changed.
    #[error("the token's signature is wrong")]
    Signature,
    /// A claim is missing, or has another type.
    #[error("the token must have the claims iss, aud, sub, role and exp")]
    Claims,
    /// Made elsewhere.
    #[error("the token's issuer is not the one that is set up here")]
    Issuer,
    /// Made for somebody else.
    #[error("the token is for another audience")]
    Audience,
    /// Too late.
    #[error("the token has expired")]
    Expired,
    /// Too early.
    #[error("the token is not valid yet")]
    NotYet,
    /// Valid for longer than is allowed.
    #[error("the token is valid for longer than a day; have it made for a shorter time")]
    TooLong,
    /// The role or the subject is none.
    #[error("the token's role or subject cannot be used")]
    Who,
}

/// Checks tokens.
#[derive(Debug, Clone)]
pub struct TokenVerifier {
    issuer: String,
    audience: String,
    secret: Option<hmac::Key>,
    public_key: Option<[u8; 32]>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    typ: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    sub: String,
    role: String,
    exp: u64,
    #[serde(default)]
    nbf: Option<u64>,
    #[serde(default)]
    iat: Option<u64>,
}

#[derive(Serialize)]
struct NewClaims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    role: Role,
    iat: u64,
    exp: u64,
}

impl TokenVerifier {
    /// One that believes nothing until a key is added.
    pub fn new(issuer: &str, audience: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            secret: None,
            public_key: None,
        }
    }

    /// Believes HS256 with this secret.
    ///
    /// # Errors
    /// When it is too short.
    pub fn with_secret(mut self, secret: &[u8]) -> Result<Self, TokenKeyError> {
        if secret.len() < SHORTEST_SECRET {
            return Err(TokenKeyError::ShortSecret);
        }
        self.secret = Some(hmac::Key::new(hmac::HMAC_SHA256, secret));
        Ok(self)
    }

    /// Believes EdDSA with this public key in PEM.
    ///
    /// # Errors
    /// When it is none.
    pub fn with_public_key(mut self, pem: &str) -> Result<Self, TokenKeyError> {
        let body = pem
            .split_once("-----BEGIN PUBLIC KEY-----")
            .and_then(|(_, rest)| rest.split_once("-----END PUBLIC KEY-----"))
            .map(|(body, _)| body.split_whitespace().collect::<String>())
            .ok_or(TokenKeyError::NoPublicKey)?;
        let der = STANDARD
            .decode(body)
            .map_err(|_| TokenKeyError::NoPublicKey)?;
        let key = der
            .strip_prefix(&ED25519_SPKI)
            .and_then(|key| key.try_into().ok())
            .ok_or(TokenKeyError::NoPublicKey)?;
        self.public_key = Some(key);
        Ok(self)
    }

    /// Is there any key?
    pub fn believes_any(&self) -> bool {
        self.secret.is_some() || self.public_key.is_some()
    }

    /// Who bears this token, at this time.
    ///
    /// # Errors
    /// When it is not to be believed.
    pub fn verify(&self, token: &str, now_unix: u64) -> Result<Caller, TokenError> {
        if token.len() > LONGEST_TOKEN {
            return Err(TokenError::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        let bytes = |text: &str| {
            URL_SAFE_NO_PAD
                .decode(text)
                .map_err(|_| TokenError::Malformed)
        };
        let header: Header =
            serde_json::from_slice(&bytes(header)?).map_err(|_| TokenError::Malformed)?;
        let is_jwt = header.typ.is_none_or(|typ| typ.eq_ignore_ascii_case("jwt"));
        if !is_jwt || header.crit.is_some() {
            return Err(TokenError::Malformed);
        }
        let signature = bytes(signature)?;
        match (header.alg.as_str(), &self.secret, &self.public_key) {
            ("HS256", Some(key), _) => hmac::verify(key, signed.as_bytes(), &signature)
                .map_err(|_| TokenError::Signature)?,
            ("EdDSA", _, Some(key)) => {
                signature::UnparsedPublicKey::new(&signature::ED25519, key)
                    .verify(signed.as_bytes(), &signature)
                    .map_err(|_| TokenError::Signature)?;
            }
            _ => return Err(TokenError::Algorithm),
        }
        let claims = serde_json::from_slice(&bytes(claims)?).map_err(|_| TokenError::Claims)?;
        self.judge(claims, now_unix)
    }

    fn judge(&self, claims: Claims, now: u64) -> Result<Caller, TokenError> {
        if claims.iss != self.issuer {
            return Err(TokenError::Issuer);
        }
        let for_us = match &claims.aud {
            Audience::One(one) => *one == self.audience,
            Audience::Many(many) => many.contains(&self.audience),
        };
        if !for_us {
            return Err(TokenError::Audience);
        }
        if claims.exp.saturating_add(LEEWAY_SECONDS) <= now {
            return Err(TokenError::Expired);
        }
        let begins = claims.nbf.into_iter().chain(claims.iat).max();
        if begins.is_some_and(|begins| begins > now.saturating_add(LEEWAY_SECONDS)) {
            return Err(TokenError::NotYet);
        }
        // From its making where that is said, else from now.
        let from = claims.iat.unwrap_or(now).min(now);
        if claims.exp.saturating_sub(from) > LONGEST_SECONDS + LEEWAY_SECONDS {
            return Err(TokenError::TooLong);
        }
        let subject_fits = (1..=LONGEST_SUBJECT).contains(&claims.sub.len())
            && !claims.sub.chars().any(char::is_control);
        match claims.role.parse() {
            Ok(role) if subject_fits => Ok(Caller {
                role,
                name: claims.sub,
                kind: CallerKind::Token,
            }),
            _ => Err(TokenError::Who),
        }
    }

    /// Signs a token with the shared secret; none when there is no secret.
    pub fn sign(&self, subject: &str, role: Role, now_unix: u64, seconds: u64) -> Option<String> {
        let key = self.secret.as_ref()?;
        let header = Header {
            alg: "HS256".to_owned(),
            typ: Some("JWT".to_owned()),
            crit: None,
        };
        let claims = NewClaims {
            iss: &self.issuer,
            aud: &self.audience,
            sub: subject,
            role,
            iat: now_unix,
            exp: now_unix.saturating_add(seconds),
        };
        let encode = |bytes: Vec<u8>| URL_SAFE_NO_PAD.encode(bytes);
        let signed = format!(
            "{}.{}",
            encode(serde_json::to_vec(&header).ok()?),
            encode(serde_json::to_vec(&claims).ok()?)
        );
        let tag = hmac::sign(key, signed.as_bytes());
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use ring::signature::{Ed25519KeyPair, KeyPair as _};
    use serde_json::{Value, json};

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
    const NOW: u64 = 1_800_000_000;

    fn hs() -> TokenVerifier {
        TokenVerifier::new("us", "api").with_secret(SECRET).unwrap()
    }

    fn claims() -> Value {
        json!({ "iss": "us", "aud": "api", "sub": "ann", "role": "operator", "exp": NOW + 60 })
    }

    fn encode(value: &Value) -> String {
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    fn hs_token(header: &Value, claims: &Value, secret: &[u8]) -> String {
        let signed = format!("{}.{}", encode(header), encode(claims));
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, secret),
            signed.as_bytes(),
        );
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    fn with(change: Value) -> Result<Caller, TokenError> {
        let mut all = claims();
        for (name, value) in change.as_object().unwrap() {
            all[name] = value.clone();
        }
        hs().verify(&hs_token(&json!({ "alg": "HS256" }), &all, SECRET), NOW)
    }

    fn pair() -> (Ed25519KeyPair, String) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let der = [&ED25519_SPKI[..], pair.public_key().as_ref()].concat();
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            STANDARD.encode(der)
        );
        (pair, pem)
    }

    #[test]
    fn what_was_signed_is_believed() {
        let token = hs().sign("ann", Role::Admin, NOW, 3600).unwrap();
        let caller = hs().verify(&token, NOW + 3600).unwrap();
        assert_eq!((caller.role, caller.name.as_str()), (Role::Admin, "ann"));
        assert_eq!(hs().verify(&token, NOW + 3630), Err(TokenError::Expired));
        assert_eq!(hs().verify(&token, NOW - 31), Err(TokenError::NotYet));
        let (pair, pem) = pair();
        let signed = format!(
            "{}.{}",
            encode(&json!({ "alg": "EdDSA" })),
            encode(&claims())
        );
        let token = format!(
            "{signed}.{}",
            URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes()))
        );
        let eddsa = TokenVerifier::new("us", "api")
            .with_public_key(&pem)
            .unwrap();
        assert_eq!(eddsa.verify(&token, NOW).unwrap().role, Role::Operator);
        assert_eq!(hs().verify(&token, NOW), Err(TokenError::Algorithm));
    }

    #[test]
    fn algorithms_are_not_confused() {
        let (pair, pem) = pair();
        let both = hs().with_public_key(&pem).unwrap();
        let eddsa = TokenVerifier::new("us", "api")
            .with_public_key(&pem)
            .unwrap();
        // The public key, as bytes and as PEM, used as if it were the shared secret.
        for secret in [pair.public_key().as_ref(), pem.as_bytes()] {
            let token = hs_token(&json!({ "alg": "HS256" }), &claims(), secret);
            assert_eq!(both.verify(&token, NOW), Err(TokenError::Signature));
            assert_eq!(eddsa.verify(&token, NOW), Err(TokenError::Algorithm));
        }
        for alg in ["none", "None", "hs256", "HS384", "HS512", "RS256", ""] {
            let token = hs_token(&json!({ "alg": alg }), &claims(), SECRET);
            assert_eq!(
                both.verify(&token, NOW),
                Err(TokenError::Algorithm),
                "{alg}"
            );
        }
        let bare = format!(
            "{}.{}.",
            encode(&json!({ "alg": "none" })),
            encode(&claims())
        );
        assert_eq!(both.verify(&bare, NOW), Err(TokenError::Algorithm));
        let critical = hs_token(&json!({ "alg": "HS256", "crit": ["x"] }), &claims(), SECRET);
        assert_eq!(both.verify(&critical, NOW), Err(TokenError::Malformed));
    }

    #[test]
    fn every_claim_is_wanted_and_checked() {
        assert!(with(json!({})).is_ok());
        for (change, error) in [
            (json!({ "iss": "them" }), TokenError::Issuer),
            (json!({ "aud": "shop" }), TokenError::Audience),
            (json!({ "aud": ["shop"] }), TokenError::Audience),
            (json!({ "exp": NOW - 31 }), TokenError::Expired),
            (json!({ "exp": NOW + 90_000 }), TokenError::TooLong),
            (
                json!({ "exp": NOW + 60, "iat": NOW - 90_000 }),
                TokenError::TooLong,
            ),
            (json!({ "exp": u64::MAX }), TokenError::TooLong),
            (json!({ "exp": "never" }), TokenError::Claims),
            (json!({ "exp": null }), TokenError::Claims),
            (json!({ "exp": -1 }), TokenError::Claims),
            (json!({ "exp": 1.5 }), TokenError::Claims),
            (json!({ "nbf": "later" }), TokenError::Claims),
            (json!({ "nbf": NOW + 31 }), TokenError::NotYet),
            (json!({ "role": "root" }), TokenError::Who),
            (json!({ "role": ["admin"] }), TokenError::Claims),
            (json!({ "sub": "" }), TokenError::Who),
            (json!({ "sub": "a\nb" }), TokenError::Who),
        ] {
            assert_eq!(with(change.clone()), Err(error), "{change}");
        }
        assert!(with(json!({ "aud": ["shop", "api"] })).is_ok());
        for name in ["iss", "aud", "sub", "role", "exp"] {
            let mut all = claims();
            all.as_object_mut().unwrap().remove(name);
            let token = hs_token(&json!({ "alg": "HS256" }), &all, SECRET);
            assert_eq!(hs().verify(&token, NOW), Err(TokenError::Claims), "{name}");
        }
    }

    #[test]
    fn keys_that_are_none_are_refused() {
        let empty = || TokenVerifier::new("us", "api");
        assert!(!empty().believes_any());
        let short = empty().with_secret(&SECRET[..31]);
        assert_eq!(short.err(), Some(TokenKeyError::ShortSecret));
        let (_, pem) = pair();
        for text in [
            "",
            "x",
            &pem.replace("MCo", "MCp"),
            &pem.replace("PUBLIC", "PRIVATE"),
        ] {
            assert!(empty().with_public_key(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_refused(place in 0usize..1000, byte in any::<u8>()) {
            let token = hs().sign("ann", Role::Admin, NOW, 60).unwrap();
            let mut bytes = token.clone().into_bytes();
            let place = place % bytes.len();
            bytes[place] = byte & 0x7f;
            let changed = String::from_utf8(bytes).unwrap();
            if changed != token {
                prop_assert!(hs().verify(&changed, NOW).is_err());
            }
        }

        #[test]
        fn junk_is_refused(text in ".{0,300}") {
            prop_assert!(hs().verify(&text, NOW).is_err());
        }
    }
}
