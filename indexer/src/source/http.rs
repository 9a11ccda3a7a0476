//! A server that is asked over HTTP, and not trusted: answers are bounded, what is not the expected JSON is an error
//! with an excerpt, and the pauses that it asks for are reported to whoever waits.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{DATE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, RETRY_AFTER};
use serde::de::DeserializeOwned;

/// Why there is no answer, or none that can be used.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The address cannot be used.
    #[error("{given:?} is no address of a server; write http://HOST:PORT or https://HOST")]
    Address {
        /// What was given.
        given: String,
    },
    /// The key cannot be sent.
    #[error("the key for {base} holds characters that a header cannot")]
    Key {
        /// Which server.
        base: String,
    },
    /// The client cannot be made.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
    /// No answer, or one that broke off.
    #[error("no answer to {what}")]
    Unreachable {
        /// What was asked.
        what: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The server is busy, or has had enough of us (429, 503).
    #[error("{what} is refused for now (HTTP {status})")]
    Busy {
        /// What was asked.
        what: String,
        /// The status.
        status: u16,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
    },
    /// It does not know the thing (404).
    #[error("{what} is not known there")]
    NotFound {
        /// What was asked.
        what: String,
    },
    /// It does not offer such a question any more, or not at all (410, 501).
    #[error("{what} is not offered there (HTTP {status})")]
    NotOffered {
        /// What was asked.
        what: String,
        /// The status.
        status: u16,
    },
    /// It wants another key, or any (401, 403).
    #[error("{what} is not allowed (HTTP {status}); check the key")]
    Denied {
        /// What was asked.
        what: String,
        /// The status.
        status: u16,
    },
    /// Any other refusal.
    #[error("{what} failed there (HTTP {status}): {excerpt}")]
    Status {
        /// What was asked.
        what: String,
        /// The status.
        status: u16,
        /// The beginning of the answer.
        excerpt: String,
    },
    /// An answer that is too long.
    #[error("the answer to {what} is longer than {limit} bytes")]
    TooLarge {
        /// What was asked.
        what: String,
        /// The limit.
        limit: usize,
    },
    /// A server of another network, or one that cannot be of use as it is set up; asking again changes nothing.
    #[error("{base} cannot be used here: {why}")]
    Unfit {
        /// Which server.
        base: String,
        /// Why, and what to do.
        why: String,
    },
    /// An answer that is none, or contradicts itself or the question.
    #[error("the answer to {what} cannot be used: {why}")]
    Unusable {
        /// What was asked.
        what: String,
        /// Why.
        why: String,
    },
}

impl FetchError {
    /// An answer that cannot be used.
    pub fn unusable(what: impl Into<String>, why: impl ToString) -> Self {
        Self::Unusable {
            what: what.into(),
            why: why.to_string(),
        }
    }

    /// Can the same question succeed later, without anyone's doing?
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Busy { .. } | Self::Unusable { .. } => true,
            Self::Status { status, .. } => *status >= 500,
            _ => false,
        }
    }

    /// How long the server asks us to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// A word for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Address { .. } | Self::Key { .. } | Self::Client(_) => "setup",
            Self::Unreachable { .. } => "unreachable",
            Self::Busy { .. } => "busy",
            Self::NotFound { .. } => "not_found",
            Self::NotOffered { .. } => "not_offered",
            Self::Denied { .. } => "denied",
            Self::Status { .. } => "status",
            Self::TooLarge { .. } => "too_large",
            Self::Unfit { .. } => "unfit",
            Self::Unusable { .. } => "unusable",
        }
    }
}

/// An answer to a question that was asked before.
#[derive(Debug)]
pub enum Conditional<T> {
    /// The same as last time.
    Same,
    /// Another one, and the tag that names it.
    New(T, Option<String>),
}

/// A client of one server.
#[derive(Debug, Clone)]
pub struct Server {
    base: String,
    client: reqwest::Client,
    limit: usize,
}

/// Longest pause that a server can ask for; a clock that is wrong must not stop us for a day.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Of an answer that cannot be used, so much is shown.
const EXCERPT: usize = 120;

impl Server {
    /// A client of the server at this base URL. `key` is a header that goes with every question; its value is
    /// a secret and is never shown. `limit` bounds an answer, in bytes.
    ///
    /// # Errors
    /// When the URL is none, or the client cannot be made.
    pub fn new(
        base: &str,
        timeout: Duration,
        limit: usize,
        key: Option<(HeaderName, &str)>,
    ) -> Result<Self, FetchError> {
        let base = base.trim_end_matches('/');
        let usable = reqwest::Url::parse(base)
            .is_ok_and(|u| matches!(u.scheme(), "http" | "https") && u.has_host());
        if !usable {
            return Err(FetchError::Address {
                given: base.to_owned(),
            });
        }
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = key {
            let mut value = HeaderValue::from_str(value).map_err(|_| FetchError::Key {
                base: base.to_owned(),
            })?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        // One provider serves every client of the process; a second installation is no error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(timeout)
            .default_headers(headers)
            // A redirect could carry the key to somebody else.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(FetchError::Client)?;
        Ok(Self {
            base: base.to_owned(),
            client,
            limit,
        })
    }

    /// Its base URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// GET, as JSON. `path` begins with a slash.
    ///
    /// # Errors
    /// As [`FetchError`] says.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, FetchError> {
        let request = self.client.get(format!("{}{path}", self.base));
        let response = self.send(path, request).await?;
        parse(path, &self.body(path, response).await?)
    }

    /// GET, as JSON, and the server's clock when it answered: Unix seconds of its header `Date`, none without one.
    ///
    /// # Errors
    /// As [`FetchError`] says.
    pub async fn get_dated<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<(T, Option<i64>), FetchError> {
        let request = self.client.get(format!("{}{path}", self.base));
        let response = self.send(path, request).await?;
        let date = response.headers().get(DATE).and_then(|d| d.to_str().ok());
        let date = date.and_then(super::http_date::unix_of);
        Ok((parse(path, &self.body(path, response).await?)?, date))
    }

    /// GET, as JSON, unless it is what `etag` names.
    ///
    /// # Errors
    /// As [`FetchError`] says.
    pub async fn get_if_new<T: DeserializeOwned>(
        &self,
        path: &str,
        etag: Option<&str>,
    ) -> Result<Conditional<T>, FetchError> {
        let mut request = self.client.get(format!("{}{path}", self.base));
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let response = self.send(path, request).await?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(Conditional::Same);
        }
        let tag = response.headers().get(ETAG).and_then(|t| t.to_str().ok());
        let tag = tag.map(str::to_owned);
        let bytes = self.body(path, response).await?;
        Ok(Conditional::New(parse(path, &bytes)?, tag))
    }

    /// POST of JSON, answered with JSON.
    ///
    /// # Errors
    /// As [`FetchError`] says.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<T, FetchError> {
        let request = self.client.post(format!("{}{path}", self.base)).json(body);
        let response = self.send(path, request).await?;
        parse(path, &self.body(path, response).await?)
    }

    async fn send(
        &self,
        what: &str,
        request: reqwest::RequestBuilder,
    ) -> Result<reqwest::Response, FetchError> {
        request
            .send()
            .await
            .map_err(|source| FetchError::Unreachable {
                what: what.to_owned(),
                source: source.without_url(),
            })
    }

    /// The body, if the status is one of success.
    async fn body(
        &self,
        what: &str,
        mut response: reqwest::Response,
    ) -> Result<Vec<u8>, FetchError> {
        let status = response.status();
        let what = what.to_owned();
        let code = status.as_u16();
        match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                let retry_after = pause(response.headers());
                return Err(FetchError::Busy {
                    what,
                    status: code,
                    retry_after,
                });
            }
            StatusCode::NOT_FOUND => return Err(FetchError::NotFound { what }),
            StatusCode::GONE | StatusCode::NOT_IMPLEMENTED => {
                return Err(FetchError::NotOffered { what, status: code });
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(FetchError::Denied { what, status: code });
            }
            _ => {}
        }
        let mut bytes = Vec::new();
        while let Some(piece) =
            response
                .chunk()
                .await
                .map_err(|source| FetchError::Unreachable {
                    what: what.clone(),
                    source: source.without_url(),
                })?
        {
            if bytes.len() + piece.len() > self.limit {
                return Err(FetchError::TooLarge {
                    what,
                    limit: self.limit,
                });
            }
            bytes.extend_from_slice(&piece);
        }
        if !status.is_success() {
            return Err(FetchError::Status {
                what,
                status: code,
                excerpt: excerpt(&bytes),
            });
        }
        Ok(bytes)
    }
}

/// A file on its way here; broken into pieces, and of any length.
#[derive(Debug)]
pub struct Download {
    response: reqwest::Response,
    what: String,
}

impl Download {
    /// Asks for a file. `idle` bounds the silence between two pieces, not the whole.
    ///
    /// # Errors
    /// As [`FetchError`] says.
    pub async fn start(url: &str, idle: Duration) -> Result<Self, FetchError> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        // The file is wanted as it is stored: what packed it is told by its content.
        let client = reqwest::Client::builder()
            .connect_timeout(idle)
            .read_timeout(idle)
            .no_gzip()
            .build()
            .map_err(FetchError::Client)?;
        let what = without_secrets(url);
        let response = client.get(url).send().await;
        let response = response.map_err(|source| FetchError::Unreachable {
            what: what.clone(),
            source: source.without_url(),
        })?;
        let status = response.status().as_u16();
        match response.status() {
            s if s.is_success() => Ok(Self { response, what }),
            StatusCode::NOT_FOUND => Err(FetchError::NotFound { what }),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(FetchError::Denied { what, status })
            }
            _ => Err(FetchError::Status {
                what,
                status,
                excerpt: String::new(),
            }),
        }
    }

    /// Its size, if the server says so.
    pub fn size_bytes(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The next piece; none at the end.
    ///
    /// # Errors
    /// When it breaks off.
    pub async fn next(&mut self) -> Result<Option<impl AsRef<[u8]> + Send + use<>>, FetchError> {
        let piece = self.response.chunk().await;
        piece.map_err(|source| FetchError::Unreachable {
            what: self.what.clone(),
            source: source.without_url(),
        })
    }
}

/// A URL that may be shown: without user, password and question.
pub(super) fn without_secrets(url: &str) -> String {
    let Ok(mut url) = reqwest::Url::parse(url) else {
        return "an address that is none".to_owned();
    };
    url.set_query(None);
    url.set_fragment(None);
    // Refused only by a URL without a host, which has neither.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

fn pause(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_PAUSE))
}

fn parse<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, FetchError> {
    serde_json::from_slice(bytes).map_err(|error| {
        FetchError::unusable(
            what,
            format!("{error}; it begins with {:?}", excerpt(bytes)),
        )
    })
}

fn excerpt(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars()
        .filter(|c| !c.is_control())
        .take(EXCERPT)
        .collect()
}
