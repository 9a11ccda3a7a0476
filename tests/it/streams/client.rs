//! A follower that knows nothing but frames.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;

use serde_json::Value as Json;

use crate::tools::get;

/// What a follower believes.
#[derive(Default, Debug)]
pub struct Beliefs {
    /// Blocks, upwards.
    pub chain: Vec<String>,
    /// States by projection and entity.
    pub states: BTreeMap<(String, String), Json>,
    /// Events of the blocks, by block.
    pub events: BTreeMap<String, usize>,
    pub retracted: usize,
    told: HashSet<String>,
}

impl Beliefs {
    /// Takes a frame over. Panics where it does not follow on the one before, or was told before.
    pub fn take(&mut self, frame: &Json) {
        let text = |pointer: &str| frame.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        let (position, block, parent) = (
            text("/position"),
            text("/block/index_block_hash"),
            text("/block/parent"),
        );
        assert!(
            self.told.insert(position.clone()),
            "{position} was told before"
        );
        let first = frame["part"] == 1;
        let last = frame["last"] == true;
        match frame["kind"].as_str().unwrap() {
            "applied" => {
                if first {
                    let on = self.chain.last();
                    assert!(
                        on.is_none_or(|on| *on == parent),
                        "{position} does not stand on {on:?}"
                    );
                    self.chain.push(block.clone());
                }
                assert_eq!(self.chain.last(), Some(&block));
                *self.events.entry(block).or_default() += frame["events"].as_array().unwrap().len();
            }
            "retracted" => {
                self.retracted += usize::from(first);
                assert_eq!(
                    self.chain.last(),
                    Some(&block),
                    "{position} takes back another block"
                );
                let events = frame["events"].as_array().unwrap().len();
                *self.events.get_mut(&block).unwrap() -= events;
                if last {
                    self.chain.pop();
                    assert_eq!(
                        self.events.remove(&block),
                        Some(0),
                        "not every event was taken back"
                    );
                }
            }
            other => panic!("{other}"),
        }
        for state in frame["states"].as_array().unwrap() {
            let key = |name: &str| state[name].as_str().unwrap().to_owned();
            let key = (key("projection"), key("entity"));
            match &state["state"] {
                Json::Null => {
                    self.states.remove(&key);
                }
                now => {
                    self.states.insert(key, now.clone());
                }
            }
        }
    }

    /// States of one projection.
    pub fn of(&self, projection: &str) -> BTreeMap<String, Json> {
        let of = |((name, entity), state): (&(String, String), &Json)| {
            (name == projection).then(|| (entity.clone(), state.clone()))
        };
        self.states.iter().filter_map(of).collect()
    }
}

/// A message of the stream.
#[derive(Debug, Clone)]
pub struct Event {
    pub id: Option<String>,
    pub kind: Option<String>,
    pub data: String,
}

impl Event {
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.data).unwrap()
    }
}

/// An open stream of server-sent events.
#[derive(Debug)]
pub struct Sse {
    response: reqwest::Response,
    rest: String,
}

impl Sse {
    /// Opens it; the status and body if it is refused, or none without a connection.
    pub async fn open(
        at: SocketAddr,
        query: &str,
        last_id: Option<&str>,
    ) -> Result<Self, Option<(u16, Json)>> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = client.get(format!("http://{at}/v1/stream{query}"));
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.map_err(|_| None)?;
        if response.status() != 200 {
            let status = response.status().as_u16();
            let body = response.bytes().await.map_err(|_| None)?;
            return Err(Some((
                status,
                serde_json::from_slice(&body).unwrap_or_default(),
            )));
        }
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Ok(Self {
            response,
            rest: String::new(),
        })
    }

    /// The next message; none at the end, whether orderly or not.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.rest.find("\n\n") {
                let text: String = self.rest.drain(..end + 2).collect();
                let field = |name: &str| {
                    let of = |line: &str| line.strip_prefix(name).map(str::to_owned);
                    text.lines().find_map(of)
                };
                return Some(Event {
                    id: field("id: "),
                    kind: field("event: "),
                    data: field("data: ").unwrap_or_default(),
                });
            }
            match self.response.chunk().await {
                Ok(Some(piece)) => self.rest.push_str(std::str::from_utf8(&piece).unwrap()),
                Ok(None) | Err(_) => return None,
            }
        }
    }

    /// The next frame.
    pub async fn frame(&mut self) -> Json {
        loop {
            let event = self.next().await.expect("a frame");
            match event.kind.as_deref() {
                Some("applied" | "retracted") => {
                    let json = event.json();
                    assert_eq!(json["position"].as_str(), event.id.as_deref());
                    assert_eq!(json["kind"].as_str(), event.kind.as_deref());
                    return json;
                }
                Some("hello") | None => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// All rows of a list of the API, over its pages.
pub async fn listed(api: SocketAddr, path: &str) -> Vec<Json> {
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    loop {
        let join = if path.contains('?') { '&' } else { '?' };
        let page = get(api, &format!("{path}{join}limit=200{cursor}")).await;
        assert_eq!(page.status(), 200, "{path}: {}", page.text());
        let json = page.json();
        rows.extend(json["data"].as_array().unwrap().iter().cloned());
        match json["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return rows,
        }
    }
}

/// What `/v1/projects` shows, by entity.
pub async fn projects(api: SocketAddr, at_block: &str) -> BTreeMap<String, Json> {
    let rows = listed(api, &format!("/v1/projects?at_block={at_block}")).await;
    let entity = |mut row: Json| {
        row.as_object_mut().unwrap().remove("changed");
        let key = format!("{}/{}", row["contract"].as_str().unwrap(), row["id"]);
        (key, row)
    };
    rows.into_iter().map(entity).collect()
}
