//! The API's server: HTTP/1.1 and HTTP/2 (without TLS) on one port, with a bound on everything that a stranger can
//! hold open.
//!
//! - A connection on which nothing moves is closed after a while, and so is one whose headers do not end.
//! - There are at most so many connections. When all are taken, the one that has been idle for longest makes room;
//!   when none is idle, the newcomer is turned away.

mod connection;
mod room;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use prometheus::{IntCounterVec, IntGauge};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service as _;

use self::connection::{Busy, Watched};
use self::room::{Room, Seat};

/// Bounds on connections.
#[derive(Debug, Clone, Copy)]
pub struct ServeLimits {
    /// Connections at once.
    pub connections: usize,
    /// How long nothing may move on one.
    pub idle: Duration,
    /// How long the headers of a request may take, and how long a connection waits for the next request.
    pub headers: Duration,
}

/// What the server tells of itself.
#[derive(Clone)]
pub struct ServeMetrics {
    /// Connections now.
    pub open: IntGauge,
    /// Connections that were ended by us, by reason.
    pub ended: IntCounterVec,
}

/// Streams at once on one HTTP/2 connection.
const STREAMS: u32 = 128;
/// What HTTP/1 may buffer of a request's head, in bytes. Above the API's own limits, so that these answer first.
const HEAD_BYTES: usize = 64 * 1024;
/// Headers of an HTTP/2 request, in bytes.
const HEADER_LIST_BYTES: u32 = 64 * 1024;
/// Descriptors that are left for the database, logs and files.
const SPARE_DESCRIPTORS: u64 = 128;

/// As many connections as were asked for, or as the process may open.
pub fn affordable(connections: usize) -> usize {
    let Ok((soft, _)) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)
    else {
        return connections;
    };
    let most = usize::try_from(soft.saturating_sub(SPARE_DESCRIPTORS).max(1)).unwrap_or(usize::MAX);
    if most < connections {
        tracing::warn!(
            connections,
            most,
            "the process may not open as many files as api.max_connections; raise its limit (ulimit -n)"
        );
    }
    connections.min(most)
}

/// Serves until cancelled; requests under way are finished.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ServeLimits,
    metrics: ServeMetrics,
    stop: CancellationToken,
) {
    let room = Room::new(affordable(limits.connections), metrics);
    let tasks = TaskTracker::new();
    let mut backoff = stxworx_indexer::retry::Backoff::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_the_clients(&error) => continue,
            Err(error) => {
                tracing::error!(%error, "no connection could be accepted; is the limit of open files reached?");
                tokio::select! {
                    () = tokio::time::sleep(backoff.next_delay()) => continue,
                    () = stop.cancelled() => break,
                }
            }
        };
        backoff = stxworx_indexer::retry::Backoff::default();
        let Some(seat) = room.enter() else {
            // Closed at once: an answer would need what there is too little of.
            continue;
        };
        let (router, stop) = (router.clone(), stop.clone());
        tasks.spawn(attend(stream, peer, seat, router, limits, stop));
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

fn is_the_clients(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionRefused | Kind::ConnectionAborted | Kind::ConnectionReset
    )
}

/// One connection, to its end.
async fn attend(
    stream: TcpStream,
    peer: SocketAddr,
    seat: Arc<Seat>,
    router: Router,
    limits: ServeLimits,
    stop: CancellationToken,
) {
    // Answers are small and waited for: without this, the kernel would hold them back.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    let of_requests = Arc::clone(&seat);
    let service = hyper::service::service_fn(move |request: hyper::Request<_>| {
        answer(
            router.clone(),
            request,
            peer,
            Busy::new(Arc::clone(&of_requests)),
        )
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.headers)
        .max_buf_size(HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_LIST_BYTES);
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&seat)));
    let connection = builder.serve_connection_with_upgrades(io, service);
    tokio::pin!(connection);
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(error, "a connection broke off");
                }
                // What is upgraded lives on without us; it is not to be made room of.
                seat.leave_to_upgrade();
                return;
            }
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            () = seat.evicted() => return,
            () = seat.idle_for(limits.idle) => {
                seat.count("idle");
                return;
            }
        }
    }
}

async fn answer(
    mut router: Router,
    request: hyper::Request<hyper::body::Incoming>,
    peer: SocketAddr,
    busy: Busy,
) -> Result<Response, Infallible> {
    let mut request: Request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    // A router is always ready, and answers its own errors.
    let response = router.call(request).await?;
    Ok(response.map(|body| Body::new(busy.until_the_end_of(body))))
}

#[cfg(test)]
mod tests;
