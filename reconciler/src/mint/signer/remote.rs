//! A signer on another machine.
//!
//! It is asked for a signature over a transaction that was made here, and gets no say in what is signed: the signature
//! is put into our own bytes and must be that of the account over them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::{Certificate, Identity};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::Serialize;
use serde::de::DeserializeOwned;
use stxworx_clarity::codec::hash160;
use stxworx_clarity::codec::transaction::MessageSignature;

use super::protocol::{
    ErrorAnswer, KEY, KeyAnswer, LARGEST, MAC_HEADER, Meaning, NUMBER_HEADER, SIGN, SharedSecret,
    SignAnswer, SignRequest, TIME_HEADER,
};
use super::{Bounds, refused, signed, unsigned};
use crate::mint::ports::{self, PortError};
use crate::mint::tx::{Allowed, SignedTx, TxRefused, UnsignedTx, account};
use crate::mint::types::{Signed, UnsignedMint};

/// Why a remote signer gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// Not an address, or TLS files that are none.
    #[error("the signer at {url:?} cannot be asked: {why}")]
    Setup {
        /// The address as it was given, without secrets.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// No answer.
    #[error("the signer does not answer")]
    Unreachable(#[source] reqwest::Error),
    /// Its certificate is not believed.
    #[error(
        "the certificate at the signer's address is not believed, and nothing was asked; mint.signer_ca_file names the \
         authorities that are"
    )]
    Untrusted(#[source] reqwest::Error),
    /// It does not believe our certificate, or wants one.
    #[error(
        "the signer's side does not let us in for our certificate; mint.signer_identity_file names the one that we show"
    )]
    Unwelcome(#[source] reqwest::Error),
    /// It wants us to wait.
    #[error("the signer refuses for now (HTTP {status}): {error}")]
    Busy {
        /// The status.
        status: u16,
        /// Its words.
        error: String,
    },
    /// It will not.
    #[error("the signer refuses (HTTP {status}): {error}")]
    Denied {
        /// The status.
        status: u16,
        /// Its words.
        error: String,
    },
    /// Not the signer, or an answer that was changed on its way.
    #[error(
        "what answers at the signer's address does not know the shared secret (HTTP {status}); check the address and the secret of both"
    )]
    Impostor {
        /// The status.
        status: u16,
    },
    /// The signer's words are none.
    #[error("the signer's answer cannot be used: {0}")]
    Unusable(String),
    /// Not on the list, or not signed as it should be.
    #[error(transparent)]
    Refused(#[from] TxRefused),
    /// The system has no random numbers.
    #[error("the operating system gives no random numbers, so no request can be made")]
    Random,
}

/// How a remote signer is asked. Holds secrets.
pub struct RemoteOptions {
    /// Its address: `https://HOST:PORT`, or `http://` inside a private network.
    pub url: String,
    /// What both know.
    pub secret: SharedSecret,
    /// Certificates of the authorities that are believed instead of the system's (PEM).
    pub authorities: Option<Vec<u8>>,
    /// Our own certificate and its key (PEM), where the signer stands behind something that asks for one.
    pub identity: Option<zeroize::Zeroizing<Vec<u8>>>,
    /// How long it may take.
    pub timeout: Duration,
}

/// A client of a remote signer.
#[derive(Debug)]
pub struct RemoteSigner {
    client: Client,
    allowed: Allowed,
    address: String,
}

#[derive(Debug)]
struct Client {
    url: String,
    http: reqwest::Client,
    secret: SharedSecret,
}

impl RemoteSigner {
    /// Asks a signer whose key it has.
    ///
    /// # Errors
    /// When it does not answer, or is not the one.
    pub async fn connect(options: RemoteOptions, bounds: Bounds) -> Result<Self, RemoteError> {
        let client = Client::new(options)?;
        let answer: KeyAnswer = client.ask(KEY, &serde_json::json!({})).await?;
        let mut public = [0; 33];
        hex::decode_to_slice(&answer.public_key, &mut public)
            .map_err(|e| RemoteError::Unusable(format!("public_key: {e}")))?;
        let allowed = bounds.of(hash160(&public));
        Ok(Self {
            client,
            address: account(allowed.chain_id, allowed.signer).to_string(),
            allowed,
        })
    }

    /// The list of what is asked for.
    pub fn allowed(&self) -> &Allowed {
        &self.allowed
    }

    /// Has a transaction signed.
    ///
    /// # Errors
    /// As [`RemoteError`] says.
    pub async fn sign_tx(&self, unsigned: &UnsignedTx) -> Result<SignedTx, RemoteError> {
        self.allowed.permits(unsigned)?;
        let request = SignRequest {
            transaction: hex::encode(unsigned.encode()),
            means: Meaning::of(unsigned),
        };
        let answer: SignAnswer = self.client.ask(SIGN, &request).await?;
        let mut signature = [0; 65];
        hex::decode_to_slice(&answer.signature, &mut signature)
            .map_err(|e| RemoteError::Unusable(format!("signature: {e}")))?;
        let signed = unsigned.signed(MessageSignature(signature))?;
        Ok(self.allowed.check(&signed.bytes)?)
    }
}

impl ports::Signer for RemoteSigner {
    fn address(&self) -> &str {
        &self.address
    }

    async fn sign(&self, wanted: &UnsignedMint) -> Result<Signed, PortError> {
        let tx = unsigned(wanted, &self.allowed).map_err(|e| refused(&e))?;
        self.sign_tx(&tx).await.map(signed).map_err(port)
    }
}

/// What an error means to the one that wants a signature.
fn port(error: RemoteError) -> PortError {
    let what = "signing a transaction";
    match error {
        RemoteError::Refused(error) => refused(&error),
        RemoteError::Unreachable(_)
        | RemoteError::Untrusted(_)
        | RemoteError::Unwelcome(_)
        | RemoteError::Busy { .. } => PortError::Passing {
            what,
            source: Box::new(error),
        },
        other => PortError::Unusable {
            what,
            detail: other.to_string(),
        },
    }
}

impl Client {
    fn new(options: RemoteOptions) -> Result<Self, RemoteError> {
        let url = options.url.trim_end_matches('/').to_owned();
        let setup = |why: String| RemoteError::Setup {
            url: shown(&url),
            why,
        };
        let usable = reqwest::Url::parse(&url)
            .is_ok_and(|u| matches!(u.scheme(), "http" | "https") && u.has_host());
        if !usable {
            return Err(setup(
                "write https://HOST:PORT or http://HOST:PORT".to_owned(),
            ));
        }
        // One provider serves every client of the process; a second installation is no error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .timeout(options.timeout)
            .redirect(reqwest::redirect::Policy::none());
        if let Some(pem) = options.authorities {
            let certificates = Certificate::from_pem_bundle(&pem)
                .map_err(|e| setup(format!("the authorities' certificates: {e}")))?;
            builder = builder.tls_certs_only(certificates);
        }
        if let Some(pem) = options.identity {
            let identity = Identity::from_pem(&pem)
                .map_err(|e| setup(format!("our certificate and its key: {e}")))?;
            builder = builder.identity(identity);
        }
        let http = builder.build().map_err(|e| setup(e.to_string()))?;
        Ok(Self {
            url,
            http,
            secret: options.secret,
        })
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, RemoteError> {
        let body = serde_json::to_vec(body).map_err(|e| RemoteError::Unusable(e.to_string()))?;
        let mut number = [0; 16];
        SystemRandom::new()
            .fill(&mut number)
            .map_err(|_| RemoteError::Random)?;
        let number = hex::encode(number);
        let time = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |t| t.as_secs());
        let mac = self.secret.of_request(time, &number, path, &body);
        let sent = self
            .http
            .post(format!("{}{path}", self.url))
            .header("content-type", "application/json")
            .header(TIME_HEADER, time)
            .header(NUMBER_HEADER, &number)
            .header(MAC_HEADER, mac)
            .body(body)
            .send();
        let mut response = sent.await.map_err(unanswered)?;
        let status = response.status().as_u16();
        let given = response
            .headers()
            .get(MAC_HEADER)
            .and_then(|mac| mac.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let mut answer = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(unanswered)? {
            if answer.len() + piece.len() > LARGEST {
                return Err(RemoteError::Unusable(format!(
                    "it is longer than {LARGEST} bytes"
                )));
            }
            answer.extend_from_slice(&piece);
        }
        let computed = self.secret.of_answer(&number, status, &answer);
        if !SharedSecret::is_same(&computed, &given) {
            return Err(unsure(status, &answer));
        }
        if status == 200 {
            return serde_json::from_slice(&answer)
                .map_err(|e| RemoteError::Unusable(e.to_string()));
        }
        let error = words(&answer);
        Err(match status {
            429 | 500..=599 => RemoteError::Busy { status, error },
            _ => RemoteError::Denied { status, error },
        })
    }
}

/// Why no answer came.
fn unanswered(error: reqwest::Error) -> RemoteError {
    use rustls::AlertDescription as Alert;
    let error = error.without_url();
    match of_tls(&error) {
        Some(rustls::Error::InvalidCertificate(_)) => RemoteError::Untrusted(error),
        Some(rustls::Error::AlertReceived(
            Alert::CertificateRequired
            | Alert::NoCertificate
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied,
        )) => RemoteError::Unwelcome(error),
        _ => RemoteError::Unreachable(error),
    }
}

/// What TLS says, somewhere below. An error of input and output does not name what it wraps as its source.
fn of_tls(error: &reqwest::Error) -> Option<&rustls::Error> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = match error.downcast_ref::<std::io::Error>() {
            Some(io) => io
                .get_ref()
                .map(|inner| inner as &(dyn std::error::Error + 'static)),
            None => error.source(),
        };
    }
    None
}

/// An answer without the secret's HMAC: of something in front of the signer that is busy, or of somebody else.
fn unsure(status: u16, answer: &[u8]) -> RemoteError {
    match status {
        429 | 502..=504 => RemoteError::Busy {
            status,
            error: words(answer),
        },
        _ => RemoteError::Impostor { status },
    }
}

/// Of a refusal that is shown, so many characters.
const EXCERPT: usize = 200;

fn words(answer: &[u8]) -> String {
    let text = serde_json::from_slice::<ErrorAnswer>(answer).map_or_else(
        |_| String::from_utf8_lossy(answer).into_owned(),
        |answer| answer.error,
    );
    text.chars()
        .filter(|c| !c.is_control())
        .take(EXCERPT)
        .collect()
}

/// An address without user, password and question.
fn shown(url: &str) -> String {
    let Ok(mut url) = reqwest::Url::parse(url) else {
        return "an address that is none".to_owned();
    };
    url.set_query(None);
    // Refused only by a URL without a host, which has neither.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}
