//! The socket and the clock of a remote signer.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use stxworx_indexer::metrics::Metrics;
use stxworx_reconciler::mint::signer::service::{
    LARGEST_BODY, MAC_HEADER, NUMBER_HEADER, Reply, Request, Service, TIME_HEADER,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::serve::{self, ServeLimits, ServeMetrics};

/// The minter has one connection; the others are for whoever looks whether it lives.
const LIMITS: ServeLimits = ServeLimits {
    connections: 32,
    idle: Duration::from_secs(10),
    headers: Duration::from_secs(10),
};

/// Why a signer does not run.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// The port.
    #[error("the signer cannot listen on {address}; choose another --listen")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A defect: two metrics have one name.
    #[error("the signer's counters cannot be made")]
    Metrics(#[from] prometheus::Error),
}

type Shared = Arc<Mutex<Service>>;

/// Signs until cancelled. `ready` is told where, and for which account.
///
/// # Errors
/// When the port cannot be had.
pub async fn serve(
    address: SocketAddr,
    service: Service,
    stop: CancellationToken,
    ready: impl FnOnce(SocketAddr, &str),
) -> Result<(), SignerError> {
    let bind = |source| SignerError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(bind)?;
    let bound = listener.local_addr().map_err(bind)?;
    ready(bound, service.address());
    // Nobody scrapes a signer: what it does is in its log.
    let metrics = Metrics::new()?;
    let metrics = ServeMetrics {
        open: metrics.api_connections.clone(),
        ended: metrics.api_connections_ended.clone(),
    };
    serve::serve(listener, router(service), LIMITS, metrics, stop).await;
    Ok(())
}

/// The one thing that is served: POSTs of the protocol.
fn router(service: Service) -> Router {
    let shared: Shared = Arc::new(Mutex::new(service));
    Router::new()
        .fallback(answer)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(shared)
}

async fn answer(
    State(service): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let of = |name: &str| {
        let value = headers.get(name).and_then(|v| v.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let (time, number, mac) = (of(TIME_HEADER), of(NUMBER_HEADER), of(MAC_HEADER));
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |t| t.as_secs());
    let request = Request {
        path: uri.path(),
        time: &time,
        number: &number,
        mac: &mac,
        body: &body,
    };
    // A signature takes less than a millisecond, and one after the other is the order in which limits count.
    let reply = service
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .answer(now, &request);
    if reply.status == 200 {
        tracing::info!(what = reply.note, "a request was answered");
    } else {
        tracing::warn!(why = reply.note, "a request was refused");
    }
    response(reply)
}

fn response(reply: Reply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (
        status,
        [(header::CONTENT_TYPE, "application/json")],
        reply.body,
    )
        .into_response();
    let headers = response.headers_mut();
    if let Some(mac) = reply.mac.and_then(|mac| HeaderValue::from_str(&mac).ok()) {
        headers.insert(MAC_HEADER, mac);
    }
    if let Some(seconds) = reply.retry_after_s {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
