//! The event observer: what a Stacks node posts to.
//!
//! A node waits for the answer and goes no further without it: anything but a plain `200` is retried
//! for ever and, in the node's default mode, freezes it (stacks-core,
//! `stacks-node/src/event_dispatcher/worker.rs`). So the body is stored, then answered, then looked at.
//! A body that makes no sense is stored and answered all the same; only what cannot be stored (too
//! large, not a node's endpoint, the database away) gets another answer, and a line in the log.
//!
//! The reply satisfies the node's strict parser: `Content-Length`, `application/json`, no header twice.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Router, routing};
use futures::StreamExt as _;
use sqlx::PgPool;
use tokio::sync::{Notify, Semaphore};

use crate::metrics::Metrics;
use crate::retry::Backoff;
use crate::store::StoreError;
use crate::store::inbox::{self, BodyWriter, Endpoint, Provenance, Source, Stored};

/// Requests whose bodies are received at the same time; a node sends one after the other.
const MAX_CONCURRENT: usize = 16;

/// How long a request waits for a database that is away before it is told to come again.
const STORE_PATIENCE: Duration = Duration::from_secs(30);

/// A node's payloads are whole.
const FROM: Provenance = Provenance {
    source: Source::Observer,
    scope: None,
};

/// Receives payloads.
#[derive(Debug, Clone)]
pub struct Observer {
    /// Writes the inbox.
    pub pool: PgPool,
    /// Largest body in bytes.
    pub body_limit: u64,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Tells the pipeline that there is something to do.
    pub wake: Arc<Notify>,
}

#[derive(Clone)]
struct Shared {
    observer: Observer,
    slots: Arc<Semaphore>,
}

/// Why a request was refused.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(
        "a body of more than {limit} bytes is refused; raise `observer.body_limit_bytes` if a node really sent it"
    )]
    TooLarge { limit: u64 },
    #[error("no node posts to {path:?}; this is an event observer, and its endpoints are {known}")]
    UnknownPath { path: String, known: String },
    #[error("{method} is not how a node delivers; POST to this path")]
    WrongMethod { method: Method },
    #[error("the body broke off after {received} bytes")]
    BrokenOff { received: u64 },
    #[error("the database is away, nothing was stored; deliver it again")]
    Unavailable,
    #[error("the payload could not be stored; deliver it again")]
    NotStored,
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnknownPath { .. } => StatusCode::NOT_FOUND,
            Self::WrongMethod { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::BrokenOff { .. } => StatusCode::BAD_REQUEST,
            Self::Unavailable | Self::NotStored => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::UnknownPath { .. } => "unknown_path",
            Self::WrongMethod { .. } => "wrong_method",
            Self::BrokenOff { .. } => "broken_off",
            Self::Unavailable => "unavailable",
            Self::NotStored => "not_stored",
        }
    }
}

impl Observer {
    /// The routes of every endpoint that a node knows.
    pub fn router(self) -> Router {
        let shared = Shared {
            observer: self,
            slots: Arc::new(Semaphore::new(MAX_CONCURRENT)),
        };
        let mut router = Router::new();
        for endpoint in Endpoint::ALL {
            let path = format!("/{}", endpoint.path());
            let handler = move |State(shared): State<Shared>, request: Request| async move {
                shared.receive(endpoint, request).await
            };
            router = router.route(&path, routing::post(handler).fallback(wrong_method));
        }
        router.fallback(unknown_path).with_state(shared)
    }
}

async fn wrong_method(State(shared): State<Shared>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    shared.refuse(
        &path,
        &Refusal::WrongMethod {
            method: request.method().clone(),
        },
    )
}

async fn unknown_path(State(shared): State<Shared>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let known = Endpoint::ALL.map(|e| format!("/{}", e.path())).join(", ");
    shared.refuse(
        &path,
        &Refusal::UnknownPath {
            path: path.clone(),
            known,
        },
    )
}

impl Shared {
    fn refuse(&self, path: &str, refusal: &Refusal) -> Response {
        let status = refusal.status();
        tracing::warn!(path, status = status.as_u16(), reason = %refusal, "a delivery was refused");
        self.observer
            .metrics
            .refused
            .with_label_values(&[refusal.reason()])
            .inc();
        let body = serde_json::json!({ "error": refusal.reason(), "detail": refusal.to_string() });
        json_response(status, body.to_string())
    }

    async fn receive(&self, endpoint: Endpoint, request: Request) -> Response {
        let started = Instant::now();
        let Ok(_slot) = self.slots.acquire().await else {
            return self.refuse(endpoint.path(), &Refusal::Unavailable);
        };
        // On a task of its own: a client that hangs up must not cut off a statement in the middle.
        let (shared, body) = (self.clone(), request.into_body());
        let stored = tokio::spawn(async move { shared.store(endpoint, body).await }).await;
        match stored.unwrap_or(Err(Refusal::NotStored)) {
            Ok(stored) => {
                self.note(endpoint, stored, started);
                json_response(StatusCode::OK, "{}".to_owned())
            }
            Err(refusal) => self.refuse(endpoint.path(), &refusal),
        }
    }

    fn note(&self, endpoint: Endpoint, stored: Stored, started: Instant) {
        let metrics = &self.observer.metrics;
        let counter = match stored {
            Stored::New(_) => &metrics.received,
            Stored::Again(_) => &metrics.repeated,
        };
        counter.with_label_values(&[endpoint.path()]).inc();
        metrics
            .store_seconds
            .observe(started.elapsed().as_secs_f64());
        let unix = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        metrics.note_received(i64::try_from(unix.as_secs()).unwrap_or(i64::MAX));
        self.observer.wake.notify_one();
    }

    /// Receives and stores. While the body is small enough to be held, a database that is away is waited
    /// for; a body that was already being written away is refused, and comes again.
    async fn store(&self, endpoint: Endpoint, body: Body) -> Result<Stored, Refusal> {
        let limit = self.observer.body_limit;
        let mut stream = body.into_data_stream();
        let mut held: Vec<u8> = Vec::new();
        let mut received = 0u64;
        let mut large: Option<BodyWriter> = None;
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|_| Refusal::BrokenOff { received })?;
            received += piece.len() as u64;
            if received > limit {
                return Err(Refusal::TooLarge { limit });
            }
            if large.is_none() && held.len() + piece.len() > HELD_BYTES {
                let mut writer = BodyWriter::new().map_err(|e| not_stored(&e))?;
                self.write(&mut writer, &held).await?;
                held = Vec::new();
                large = Some(writer);
            }
            match &mut large {
                Some(writer) => self.write(writer, &piece).await?,
                None => held.extend_from_slice(&piece),
            }
        }
        match large {
            Some(writer) => writer
                .store(&self.observer.pool, endpoint, FROM)
                .await
                .map_err(|e| not_stored(&e)),
            None => self.store_held(endpoint, &held).await,
        }
    }

    async fn write(&self, writer: &mut BodyWriter, piece: &[u8]) -> Result<(), Refusal> {
        writer
            .write(&self.observer.pool, piece)
            .await
            .map_err(|e| not_stored(&e))
    }

    async fn store_held(&self, endpoint: Endpoint, body: &[u8]) -> Result<Stored, Refusal> {
        let deadline = Instant::now() + STORE_PATIENCE;
        let mut backoff = Backoff::default();
        loop {
            let attempt = async { inbox::put(&self.observer.pool, endpoint, FROM, body).await };
            match attempt.await {
                Ok(stored) => return Ok(stored),
                Err(error) if error.is_transient() && Instant::now() < deadline => {
                    tracing::warn!(error = %crate::error_chain(&error), endpoint = endpoint.path(),
                        "the payload is held until the database is back");
                    tokio::time::sleep(backoff.next_delay()).await;
                }
                Err(error) => {
                    let refusal = not_stored(&error);
                    return Err(if error.is_transient() {
                        Refusal::Unavailable
                    } else {
                        refusal
                    });
                }
            }
        }
    }
}

/// Bodies up to this size are held in memory until they are stored; larger ones flow through.
const HELD_BYTES: usize = 8 << 20;

fn not_stored(error: &StoreError) -> Refusal {
    tracing::error!(error = %crate::error_chain(error), "a payload could not be stored");
    Refusal::NotStored
}

fn json_response(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
