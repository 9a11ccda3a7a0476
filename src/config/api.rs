//! Settings of the API: who may ask, how often, and how many connections there may be.

use std::path::PathBuf;
use std::time::Duration;

use stxworx_indexer::api::access::{
    AccessRules, Network, Rate, SHORTEST_SECRET, TokenKeyError, TokenVerifier,
};
use stxworx_indexer::api::{CorsOrigins, NoOrigin};

use super::ConfigError;
use super::load::Values;
use crate::daemon::ServeLimits;

/// How the API is served. Not `Debug`: it holds a secret.
#[derive(Clone)]
pub struct ApiSettings {
    /// Does this process serve administrative routes, which write?
    pub administrative: bool,
    /// Origins that may read from a browser.
    pub cors: CorsOrigins,
    /// Who may ask, and how often; without what checks tokens.
    pub rules: AccessRules,
    /// Bounds on connections.
    pub serve: ServeLimits,
    /// How tokens are checked.
    pub tokens: TokenSettings,
}

/// How tokens are checked. Not `Debug`: it holds a secret.
#[derive(Clone)]
pub struct TokenSettings {
    /// Secret of HS256: never printed.
    pub secret: Option<String>,
    /// File with an Ed25519 public key in PEM.
    pub public_key_file: Option<PathBuf>,
    /// The claim `iss`.
    pub issuer: String,
    /// The claim `aud`.
    pub audience: String,
}

/// A token's key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenSetupError {
    /// The file of the public key.
    #[error("api.jwt_public_key_file cannot be read: {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What is in it, or the secret.
    #[error("api.jwt_secret or api.jwt_public_key_file cannot be used")]
    Key(#[from] TokenKeyError),
}

impl TokenSettings {
    /// What checks tokens; none when no key is set.
    ///
    /// # Errors
    /// When a key cannot be read or used.
    pub fn verifier(&self) -> Result<Option<TokenVerifier>, TokenSetupError> {
        let mut verifier = TokenVerifier::new(&self.issuer, &self.audience);
        if let Some(secret) = &self.secret {
            verifier = verifier.with_secret(secret.as_bytes())?;
        }
        if let Some(path) = &self.public_key_file {
            let pem = std::fs::read_to_string(path).map_err(|source| TokenSetupError::Read {
                path: path.clone(),
                source,
            })?;
            verifier = verifier.with_public_key(&pem)?;
        }
        Ok(Some(verifier).filter(TokenVerifier::believes_any))
    }
}

fn filled(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn cors(values: &Values) -> Result<CorsOrigins, ConfigError> {
    CorsOrigins::parse(&values.list("api.cors_origins")?).map_err(|NoOrigin(origin)| {
        let expected = "origins like https://app.example.org, without a path, or *";
        values.invalid_item("api.cors_origins", &origin, expected)
    })
}

fn proxies(values: &Values) -> Result<Vec<Network>, ConfigError> {
    let mut networks = Vec::new();
    for text in values.list("api.trusted_proxies")? {
        match text.parse::<Network>() {
            Ok(network) => networks.push(network),
            Err(error) => {
                let expected = error.to_string();
                return Err(values.invalid_item("api.trusted_proxies", &text, &expected));
            }
        }
    }
    Ok(networks)
}

impl ApiSettings {
    pub(super) fn read(values: &Values) -> Result<Self, ConfigError> {
        let ms = |key, least, most| values.integer(key, least, most).map(Duration::from_millis);
        let rate = |per_second, burst| {
            Ok::<_, ConfigError>(Rate {
                per_second: values.integer(per_second, 0, 1_000_000_000)?,
                burst: values.integer(burst, 1, 1_000_000_000)?,
            })
        };
        let secret = filled(values.text("api.jwt_secret")?);
        if secret.as_ref().is_some_and(|s| s.len() < SHORTEST_SECRET) {
            let expected = format!("at least {SHORTEST_SECRET} bytes, or empty");
            return Err(values.invalid("api.jwt_secret", &expected));
        }
        Ok(Self {
            administrative: values.boolean("api.administrative")?,
            cors: cors(values)?,
            rules: AccessRules {
                require_key: values.boolean("api.require_key")?,
                per_address: rate("api.address_rate_per_second", "api.address_burst")?,
                per_key: rate("api.key_rate_per_second", "api.key_burst")?,
                trusted_proxies: proxies(values)?,
                tokens: None,
            },
            serve: ServeLimits {
                connections: values.integer("api.max_connections", 1, 1_000_000)?,
                idle: ms("api.idle_timeout_ms", 100, 86_400_000)?,
                headers: ms("api.header_timeout_ms", 100, 600_000)?,
            },
            tokens: TokenSettings {
                secret,
                public_key_file: filled(values.text("api.jwt_public_key_file")?).map(Into::into),
                issuer: values.text("api.jwt_issuer")?,
                audience: values.text("api.jwt_audience")?,
            },
        })
    }
}
