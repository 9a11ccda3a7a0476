//! The stream: as server-sent events, and as a websocket.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures::{SinkExt as _, StreamExt as _};
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{
    CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode,
};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::mints::{MaybeCaller, is_operator};
use crate::api::error::{ApiError, ErrorCode, Problem, Problems};
use crate::api::params::Params;
use crate::api::state::ApiState;
use crate::api::stream::Streams;
use crate::api::stream::bookmark::{Bookmark, MintPlace};
use crate::api::stream::filter::{FILTER, Filter, FilterParams};
use crate::api::stream::follow::{Follower, Out};
use crate::api::stream::frame::{CutFrame, Frame, FrameBlock, Hello, json, sse};
use crate::api::stream::metrics::Transport;
use crate::api::stream::mints;
use crate::api::stream::position::Position;
use crate::api::stream::source::{SourceError, Standing, Wanted, depth_of};

/// How long a client waits before it connects again.
const RETRY_MS: u64 = 2_000;
/// Largest message that a client of the websocket may send; none has a meaning.
const MAX_MESSAGE: usize = 4 << 10;
/// How long a message may wait to be taken by the network.
const SEND: Duration = Duration::from_secs(30);

const LAST_EVENT_ID: &str = "last-event-id";

/// How deep, and where to go on.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes the parameters; `begin` reads them")]
pub(super) struct StreamParams {
    /// `seen` (the default): blocks as they become canonical and cease to be. `burn_1` to the depth of finality, or
    /// `final`: blocks when they lie so many Bitcoin blocks deep; retracted only if one that deep is left.
    min_finality: Option<String>,
    /// Go on behind this position. `0`: from the first line of the mirror. Without it the stream begins with what
    /// comes next. The header `Last-Event-ID` wins over it.
    after: Option<String>,
}

fn gone(error: SourceError) -> ApiError {
    match error {
        SourceError::Read(error) => error.into(),
        SourceError::Gone => ApiError::new(
            ErrorCode::PositionGone,
            "this mirror has no such position, or its rows up to there were made anew: forget what was told, and begin \
             with `after=0`, or without a position and the state of the block that `hello` names",
        ),
    }
}

/// Reads the question, and finds the follower's place.
async fn begin(
    state: &ApiState,
    params: &Params,
    headers: &HeaderMap,
    (transport, is_operator): (Transport, bool),
) -> Result<(Follower, Hello), ApiError> {
    params.allow(&[FILTER, &["min_finality", "after"]])?;
    let streams = &state.streams;
    let name = params.get("min_finality").unwrap_or("seen");
    let depth = depth_of(name, streams.final_depth).ok_or_else(|| {
        let expected = format!("seen, burn_1 to burn_{}, or final", streams.final_depth);
        ApiError::parameter("min_finality", name, expected)
    })?;
    let filter = Filter::from_params(params)?;
    if filter.wants_pauses() && !is_operator {
        let detail = "`paused` and `resumed` are told to operators alone";
        return Err(ApiError::new(ErrorCode::Forbidden, detail));
    }
    let after = match headers.get(LAST_EVENT_ID).map(HeaderValue::to_str) {
        Some(Ok("")) | None => params.get("after"),
        Some(Ok(id)) => Some(id),
        Some(Err(_)) => return Err(ApiError::parameter("after", "", "text")),
    };
    let given = after
        .map(|text| {
            text.parse::<Bookmark>().map_err(|_| {
                ApiError::parameter("after", text, "0, or a position as a frame has it")
            })
        })
        .transpose()?;
    let Some(place) = streams.admit() else {
        streams.metrics.refused.inc();
        return Err(ApiError::new(
            ErrorCode::Unavailable,
            "every place among the stream's followers is taken; try again",
        ));
    };
    let mints = mint_place(streams, &filter, given).await?;
    let (standing, as_of) = chain_place(streams, &filter, depth, given).await?;
    let bookmark = Bookmark {
        chain: standing.position,
        mints,
    };
    let hello = Hello {
        position: bookmark.to_string(),
        as_of,
        min_finality: name.to_owned(),
        heartbeat_s: streams.settings.heartbeat.as_secs(),
        retry_ms: RETRY_MS,
    };
    let follower = Follower {
        streams: std::sync::Arc::clone(streams),
        wanted: Wanted {
            filter,
            depth,
            is_operator,
        },
        standing,
        mints,
        transport,
        place,
    };
    Ok((follower, hello))
}

/// Where a follower begins among the blocks; for who wants none, before the first.
async fn chain_place(
    streams: &Streams,
    filter: &Filter,
    depth: u32,
    given: Option<Bookmark>,
) -> Result<(Standing, Option<FrameBlock>), ApiError> {
    if !filter.takes_blocks() {
        return Ok((Standing::START, None));
    }
    let source = streams.source(depth);
    let position = match given {
        Some(bookmark) => bookmark.chain,
        None => source.newest().await?.position,
    };
    source.resume(position).await.map_err(gone)
}

/// Where a follower begins among the messages about mints; none for who wants none.
async fn mint_place(
    streams: &Streams,
    filter: &Filter,
    given: Option<Bookmark>,
) -> Result<Option<MintPlace>, ApiError> {
    if !filter.takes_mints() {
        return Ok(None);
    }
    Ok(Some(match given {
        Some(Bookmark {
            mints: Some(place), ..
        }) => {
            mints::check(streams.pool(), place).await.map_err(gone)?;
            place
        }
        Some(Bookmark { chain, .. }) if chain == Position::START => MintPlace::START,
        // He had not asked for messages before.
        _ => mints::newest(streams.pool()).await?,
    }))
}

fn cut(out: &Out) -> Option<CutFrame> {
    match out {
        Out::Cut(reason, position) => Some(CutFrame {
            reason: *reason,
            position: position.to_string(),
        }),
        _ => None,
    }
}

/// Changes of the chain as they happen, as server-sent events.
///
/// The first event is `hello`. Then comes, for every block that becomes canonical or ceases to be, `applied` or
/// `retracted` with a `Frame`; for who asks for them, `mint` with a `MintMessage`; and at the end, if the server ends the
/// connection, `cut` with a reason. A browser's `EventSource` connects again by itself and goes on where it was.
#[utoipa::path(
    get, path = "/v1/stream", tag = "stream", operation_id = "stream",
    params(StreamParams, FilterParams),
    responses(
        (status = 200, description = "`hello`, then a `Frame` for each event `applied` or `retracted`, a `MintMessage` for each `mint`, then perhaps `cut`",
         content((Frame = "text/event-stream"))),
        (status = 403, description = "`forbidden`: pauses are told to operators alone", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "`position_gone`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(super) async fn events(
    caller: MaybeCaller,
    State(state): State<ApiState>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    let (follower, hello) = begin(
        &state,
        &params,
        &headers,
        (Transport::Sse, is_operator(&caller)),
    )
    .await?;
    let (sender, receiver) = mpsc::channel(state.streams.settings.queue.max(1));
    let retry = format!("retry: {RETRY_MS}\n");
    let mut first = retry.into_bytes();
    first.extend_from_slice(&sse(Some(&hello.position), "hello", &json(&hello)));
    tokio::spawn(follower.run(sender));
    let rest = futures::stream::unfold(receiver, |mut receiver| async move {
        let out = receiver.recv().await?;
        Some((Ok::<_, Infallible>(event(&out)), receiver))
    });
    let first = futures::stream::once(async { Ok::<_, Infallible>(Bytes::from(first)) });
    let mut response = Response::new(Body::from_stream(first.chain(rest)));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A proxy that collects what it passes on would hold frames back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn event(out: &Out) -> Bytes {
    match out {
        Out::Frame(frame) => frame.sse.clone(),
        // An event without data is not dispatched, but its id is remembered.
        Out::Beat(position) => format!(": still here\nid: {position}\n\n").into(),
        Out::Cut(_, position) => sse(Some(position), "cut", &json(&cut(out))),
    }
}

/// The same over a websocket.
///
/// Every message is one JSON object `{"event": NAME, "data": …}` with the events and data of `/v1/stream`, besides
/// `beat` with `{"position": …}`. A client has nothing to send, and answers pings.
#[utoipa::path(
    get, path = "/v1/stream/ws", tag = "stream", operation_id = "stream_ws",
    params(StreamParams, FilterParams),
    responses(
        (status = 101, description = "A websocket"),
        (status = 403, description = "`forbidden`: pauses are told to operators alone", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "`position_gone`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(super) async fn websocket(
    caller: MaybeCaller,
    State(state): State<ApiState>,
    params: Params,
    request: Request,
) -> Result<Response, ApiError> {
    // By hand: the framework's own would bring a second version of the protocol's crate.
    let headers = request.headers().clone();
    let wanted = |name: header::HeaderName, word: &str| {
        let value = headers.get(name).and_then(|v| v.to_str().ok());
        value.is_some_and(|v| v.split(',').any(|v| v.trim().eq_ignore_ascii_case(word)))
    };
    let key = headers.get(header::SEC_WEBSOCKET_KEY).cloned();
    let is_websocket = wanted(header::CONNECTION, "upgrade")
        && wanted(header::UPGRADE, "websocket")
        && wanted(header::SEC_WEBSOCKET_VERSION, "13");
    let (Some(key), true) = (key, is_websocket) else {
        params.allow(&[FILTER, &["min_finality", "after"]])?;
        return Err(ApiError::new(
            ErrorCode::BadRequest,
            "this is a websocket (version 13): ask for an upgrade, or read /v1/stream",
        ));
    };
    let (follower, hello) = begin(
        &state,
        &params,
        &headers,
        (Transport::Ws, is_operator(&caller)),
    )
    .await?;
    let queue = state.streams.settings.queue.max(1);
    let heartbeat = state.streams.settings.heartbeat;
    tokio::spawn(async move {
        let upgraded = match hyper::upgrade::on(request).await {
            Ok(upgraded) => upgraded,
            Err(error) => {
                tracing::debug!(%error, "a websocket did not come about");
                return;
            }
        };
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let socket =
            WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config))
                .await;
        if let Err(error) = talk(socket, follower, hello, queue, heartbeat).await {
            tracing::debug!(%error, "a websocket broke off");
        }
    });
    Ok((
        StatusCode::SWITCHING_PROTOCOLS,
        [
            (header::CONNECTION, "Upgrade".to_owned()),
            (header::UPGRADE, "websocket".to_owned()),
            (
                header::SEC_WEBSOCKET_ACCEPT,
                derive_accept_key(key.as_bytes()),
            ),
        ],
    )
        .into_response())
}

fn message(event: &str, data: &str) -> Message {
    Message::text(format!("{{\"event\":\"{event}\",\"data\":{data}}}"))
}

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// Sends, or gives a peer up that takes nothing.
async fn send(socket: &mut Socket, message: Message) -> Result<(), Error> {
    match tokio::time::timeout(SEND, socket.send(message)).await {
        Ok(sent) => sent,
        Err(_) => Err(Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

async fn talk(
    mut socket: Socket,
    follower: Follower,
    hello: Hello,
    queue: usize,
    heartbeat: Duration,
) -> Result<(), Error> {
    let (sender, mut receiver) = mpsc::channel(queue);
    send(&mut socket, message("hello", &json(&hello))).await?;
    let following = tokio::spawn(follower.run(sender));
    let mut ping = tokio::time::interval(heartbeat.max(Duration::from_millis(1)));
    // A peer that answers no ping is gone, whatever the network says.
    let mut unanswered = 0u32;
    let ended = loop {
        tokio::select! {
            heard = socket.next() => match heard {
                Some(Ok(Message::Close(_))) | None => break Ok(()),
                Some(Ok(_)) => unanswered = 0,
                Some(Err(error)) => break Err(error),
            },
            out = receiver.recv() => {
                let Some(out) = out else { break Ok(()) };
                if let Err(error) = tell(&mut socket, &out).await {
                    break Err(error);
                }
            }
            _ = ping.tick() => {
                unanswered += 1;
                if unanswered > 3 {
                    break Ok(());
                }
                if let Err(error) = send(&mut socket, Message::Ping(Bytes::new())).await {
                    break Err(error);
                }
            }
        }
    };
    drop(receiver);
    if let Err(error) = following.await {
        tracing::warn!(%error, "a follower's task failed");
    }
    ended
}

async fn tell(socket: &mut Socket, out: &Out) -> Result<(), Error> {
    match out {
        Out::Frame(frame) => {
            let text = String::from_utf8_lossy(&frame.json);
            send(socket, message(frame.event, &text)).await
        }
        Out::Beat(position) => {
            send(
                socket,
                message("beat", &format!("{{\"position\":\"{position}\"}}")),
            )
            .await
        }
        Out::Cut(reason, _) => {
            send(socket, message("cut", &json(&cut(out)))).await?;
            let close = CloseFrame {
                code: CloseCode::Again,
                reason: Utf8Bytes::from_static(reason.as_str()),
            };
            send(socket, Message::Close(Some(close))).await
        }
    }
}
