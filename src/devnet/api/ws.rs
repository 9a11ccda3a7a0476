//! The websocket: JSON-RPC 2.0, and of its events `block`. As in the API it is a hint: nothing is said of what
//! was missed, and nothing of reorgs.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode, header};
use axum::response::IntoResponse as _;
use futures::{SinkExt as _, StreamExt as _};
use hyper_util::rt::TokioIo;
use serde_json::{Value as Json, json};
use stxworx_clarity::simnet::BlockId;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{Api, bad, render};

/// How often the chain is looked at for its listeners.
const LOOK: Duration = Duration::from_millis(50);
/// How often a listener is asked whether it is there.
const PING: Duration = Duration::from_secs(5);

/// Accepts a websocket. By hand: the framework's own would bring a second version of the protocol's crate.
pub(super) async fn connect(State(api): State<Api>, request: Request) -> Response<Body> {
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY).cloned();
    let Some(key) = key else {
        return bad("this is a websocket").into_response();
    };
    let accept = derive_accept_key(key.as_bytes());
    tokio::spawn(async move {
        let Ok(upgraded) = hyper::upgrade::on(request).await else {
            return;
        };
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None);
        // However it ends, the listener connects again.
        let _ = talk(api, socket.await).await;
    });
    (
        StatusCode::SWITCHING_PROTOCOLS,
        [
            (header::CONNECTION, "Upgrade".to_owned()),
            (header::UPGRADE, "websocket".to_owned()),
            (header::SEC_WEBSOCKET_ACCEPT, accept),
        ],
    )
        .into_response()
}

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

async fn talk(api: Api, mut socket: Socket) -> Result<(), Error> {
    let mut told: Option<BlockId> = None;
    let mut subscribed = false;
    let mut look = tokio::time::interval(LOOK);
    let mut ping = tokio::time::interval(PING);
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    let (reply, now) = called(&text);
                    subscribed = now.unwrap_or(subscribed);
                    socket.send(Message::text(reply.to_string())).await?;
                }
                Some(Ok(Message::Close(_))) | None => return Ok(()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
            },
            _ = look.tick(), if subscribed => {
                let tip = newest(&api).await;
                let Some((id, params)) = tip.filter(|(id, _)| Some(*id) != told) else { continue };
                // A listener learns of what comes after it subscribed.
                if told.replace(id).is_some() {
                    let note = json!({ "jsonrpc": "2.0", "method": "block", "params": params });
                    socket.send(Message::text(note.to_string())).await?;
                }
            }
            _ = ping.tick() => socket.send(Message::Ping(Vec::new().into())).await?,
        }
    }
}

/// The reply to a call, and whether blocks are told of from now on.
fn called(text: &str) -> (Json, Option<bool>) {
    let call: Json = serde_json::from_str(text).unwrap_or_default();
    let id = call.get("id").cloned().unwrap_or_default();
    let event = call.pointer("/params/event").and_then(Json::as_str);
    let wanted = match (call.get("method").and_then(Json::as_str), event) {
        (Some("subscribe"), Some("block")) => Some(true),
        (Some("unsubscribe"), Some("block")) => Some(false),
        _ => None,
    };
    let reply = match wanted {
        Some(_) => json!({ "jsonrpc": "2.0", "id": id, "result": {} }),
        None => {
            let error = json!({ "code": -32602, "message": "Invalid params" });
            json!({ "jsonrpc": "2.0", "id": id, "error": error })
        }
    };
    (reply, wanted)
}

async fn newest(api: &Api) -> Option<(BlockId, Json)> {
    let api = api.clone();
    let tip = tokio::task::spawn_blocking(move || {
        api.read(|index| {
            let tip = index.tip()?;
            let h = &tip.header;
            let txids = tip.receipts.iter().map(|r| render::hex0x(&r.txid));
            let params = json!({
                "canonical": true,
                "height": h.height,
                "hash": render::hex0x(&h.block_hash),
                "index_block_hash": render::hex0x(&h.id),
                "parent_block_hash": render::hex0x(&h.parent_block_hash),
                "burn_block_hash": render::hex0x(&h.burn.hash),
                "burn_block_height": h.burn.height,
                "burn_block_time": h.burn.time,
                "txs": txids.collect::<Vec<_>>(),
            });
            Some((h.id, params))
        })
    });
    tip.await.ok().flatten()
}
