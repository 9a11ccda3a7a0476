//! Ports and the servers on them.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::serve::ListenerExt as _;
use axum::{Router, routing};
use stxworx_indexer::metrics::Metrics;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Addresses;

/// A port that cannot be had, or a server that broke.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The port is somebody else's.
    #[error("{address} is taken by another process; choose another with `{service}.listen` in the configuration, or STXWORX_{}_LISTEN", service.to_uppercase())]
    Taken {
        /// Whose port.
        service: &'static str,
        /// Which.
        address: SocketAddr,
    },
    /// Another reason.
    #[error("{address} cannot be listened on; it is set by `{service}.listen`")]
    Bind {
        /// Whose port.
        service: &'static str,
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The server broke off.
    #[error("the server broke off")]
    Serve(#[source] std::io::Error),
}

#[derive(Default)]
pub(super) struct Listeners {
    pub observer: Option<TcpListener>,
    pub api: Option<TcpListener>,
    pub metrics: Option<TcpListener>,
}

impl Listeners {
    /// The addresses that were really given: port 0 asks for any.
    pub(super) fn addresses(&self) -> Addresses {
        let of = |l: &Option<TcpListener>| l.as_ref().and_then(|l| l.local_addr().ok());
        Addresses {
            observer: of(&self.observer),
            api: of(&self.api),
            metrics: of(&self.metrics),
        }
    }
}

pub(super) async fn bind(
    service: &'static str,
    address: SocketAddr,
) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|source| {
        if source.kind() == std::io::ErrorKind::AddrInUse {
            ListenError::Taken { service, address }
        } else {
            ListenError::Bind {
                service,
                address,
                source,
            }
        }
    })
}

/// Serves until cancelled; requests under way are finished.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
) -> Result<(), ListenError> {
    // Answers are small and waited for: without this, the kernel would hold them back.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
    });
    axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
        .map_err(ListenError::Serve)
}

pub(super) fn metrics_router(metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/metrics", routing::get(expose))
        .with_state(metrics)
}

async fn expose(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
