//! How the minter gets at its key.

use std::path::PathBuf;
use std::time::Duration;

use stxworx_reconciler::mint::signer::SharedSecret;

use super::ConfigError;
use super::load::Values;
use super::settings::{Kind, Setting, setting};

/// What opens the key, wherever it is. Holds a secret.
#[derive(Debug, Clone)]
pub struct KeyAccess {
    /// File with the passphrase of the key file; none to be asked on the terminal.
    pub passphrase_file: Option<PathBuf>,
    /// What the minter and its signer know.
    pub signer_secret: Option<SharedSecret>,
    /// Authorities that are believed for the signer, instead of the system's.
    pub signer_ca_file: Option<PathBuf>,
    /// The minter's own certificate, and its key.
    pub signer_identity_file: Option<PathBuf>,
    /// How long the signer may take.
    pub signer_timeout: Duration,
}

/// The settings, in the order of the example file.
pub(super) const ACCESS: &[Setting] = &[
    setting(
        "mint.passphrase_file",
        Kind::Text,
        "\"\"",
        "File with the passphrase of mint.key_file. Empty: it is asked for on the terminal when the minter starts.",
    ),
    Setting {
        key: "mint.signer_secret",
        kind: Kind::Text,
        default: "\"\"",
        help: "What the signer of mint.signer_url knows, too: 32 characters or more, for instance of `openssl rand -hex 32`.",
        secret: true,
    },
    setting(
        "mint.signer_ca_file",
        Kind::Text,
        "\"\"",
        "Certificates (PEM) of the authorities that are believed for the signer. Empty: the system's.",
    ),
    setting(
        "mint.signer_identity_file",
        Kind::Text,
        "\"\"",
        "The minter's certificate and its key (PEM), where something before the signer asks for one.",
    ),
    setting(
        "mint.signer_timeout_ms",
        Kind::Integer,
        "10000",
        "How long the signer may take, in milliseconds.",
    ),
];

pub(super) fn read(values: &Values) -> Result<KeyAccess, ConfigError> {
    let path = |key| {
        values
            .text(key)
            .map(|p| Some(p).filter(|p| !p.is_empty()).map(PathBuf::from))
    };
    let secret = values.text("mint.signer_secret")?;
    let signer_secret = match secret.is_empty() {
        true => None,
        false => Some(SharedSecret::new(secret).map_err(|_| {
            values.invalid("mint.signer_secret", "32 characters or more, or empty")
        })?),
    };
    Ok(KeyAccess {
        passphrase_file: path("mint.passphrase_file")?,
        signer_secret,
        signer_ca_file: path("mint.signer_ca_file")?,
        signer_identity_file: path("mint.signer_identity_file")?,
        signer_timeout: values
            .integer("mint.signer_timeout_ms", 100, 600_000)
            .map(Duration::from_millis)?,
    })
}
