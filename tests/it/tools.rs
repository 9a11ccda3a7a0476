//! What several scenarios need besides the harness: raw HTTP, the real binary, a small chain.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use stxworx::recording::Entry;
use stxworx::workload::{Block, ChainBuilder, ChainOptions, Event, asset, event, uint};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::app::App;
use crate::support::db::TestDb;
use crate::support::eventually;

/// An answer, byte for byte.
#[derive(Debug)]
pub struct Reply {
    pub status_line: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn parse(bytes: &[u8]) -> Self {
        let end = bytes
            .windows(4)
            .position(|w| w == b"\r\n\r\n")
            .expect("the end of the head");
        let head = std::str::from_utf8(&bytes[..end]).expect("a head of ASCII");
        let mut lines = head.split("\r\n");
        let status_line = lines.next().expect("a status line").to_owned();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(": ").expect("name: value");
            (name.to_lowercase(), value.to_owned())
        });
        Self {
            status_line,
            headers: headers.collect(),
            body: bytes[end + 4..].to_vec(),
        }
    }

    pub fn status(&self) -> u16 {
        self.status_line
            .split(' ')
            .nth(1)
            .expect("a status")
            .parse()
            .expect("a number")
    }

    /// The only header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self
            .headers
            .iter()
            .filter(|(n, _)| n == name)
            .map(|(_, v)| v.as_str());
        let first = found.next();
        assert_eq!(found.next(), None, "{name} stands twice");
        first
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {:?}", String::from_utf8_lossy(&self.body)))
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("UTF-8")
    }
}

/// The head of a request, as a node writes it.
pub fn head(method: &str, path: &str, length: usize) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n"
    )
}

/// One request on a connection of its own.
pub async fn request(at: SocketAddr, method: &str, path: &str, body: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(at).await.expect("a connection");
    stream
        .write_all(head(method, path, body.len()).as_bytes())
        .await
        .expect("to send the head");
    // A refusal may come before the body is through.
    let sent = stream.write_all(body).await;
    let mut answer = Vec::new();
    let received = stream.read_to_end(&mut answer).await;
    assert!(
        !answer.is_empty(),
        "no answer; sent: {sent:?}, received: {received:?}"
    );
    Reply::parse(&answer)
}

pub async fn get(at: SocketAddr, path: &str) -> Reply {
    request(at, "GET", path, b"").await
}

/// Posts to the observer of a daemon.
pub async fn deliver(app: &App, entry: &Entry) -> Reply {
    request(
        app.addresses.observer.unwrap(),
        "POST",
        &entry.path,
        &entry.body,
    )
    .await
}

/// What `/v1/status` answers.
pub async fn status(app: &App) -> serde_json::Value {
    get(app.addresses.api.unwrap(), "/v1/status").await.json()["data"].clone()
}

/// The value of a metric, given with its labels as Prometheus writes them; 0 if it is absent.
pub async fn metric(app: &App, name: &str) -> f64 {
    let text = get(app.addresses.metrics.unwrap(), "/metrics").await.text();
    let line = text.lines().find(|l| l.split(' ').next() == Some(name));
    line.map_or(0.0, |l| l.rsplit(' ').next().unwrap().parse().unwrap())
}

/// The `stxworx` command, with nothing of this process' environment that it would listen to.
pub fn stxworx(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stxworx"));
    for (name, _) in std::env::vars() {
        if name == "DATABASE_URL" || name.starts_with("STXWORX_") {
            command.env_remove(name);
        }
    }
    for name in ["OBSERVER", "API", "METRICS"] {
        command.env(format!("STXWORX_{name}_LISTEN"), "127.0.0.1:0");
    }
    command
        .args(arguments)
        .stdin(Stdio::null())
        .env("COLUMNS", "100");
    command
}

/// Runs the command on a database, to its end.
pub async fn stxworx_on(db: &TestDb, arguments: &[&str]) -> Output {
    let mut command = stxworx(arguments);
    command.env("DATABASE_URL", &db.url);
    output(command).await
}

/// Runs a command to its end, without holding the runtime.
pub async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().expect("the binary"))
        .await
        .unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// A chain with something for every table: prints, transfers, tokens, failures, forks.
pub struct SmallChain {
    pub chain: ChainBuilder,
    /// Genesis, a1, a2, a3.
    pub blocks: Vec<Block>,
    /// b2, b3, b4 on a1, in a later tenure: in the end they are canonical.
    pub fork: Vec<Block>,
}

/// Seven blocks, of which a2 and a3 are left behind.
pub fn small_chain() -> SmallChain {
    let chain = ChainBuilder::new(ChainOptions::default());
    let mut blocks = vec![chain.root()];
    for number in 1..=3 {
        let block = trade(&chain, blocks.last().unwrap(), number).build();
        blocks.push(block);
    }
    let tenure = chain.burn_block(&chain.burn_tip());
    let mut fork = vec![trade(&chain, &blocks[1], 20).tenure(&tenure).build()];
    for number in 21..=22 {
        let block = trade(&chain, fork.last().unwrap(), number).build();
        fork.push(block);
    }
    SmallChain {
        chain,
        blocks,
        fork,
    }
}

/// A block with a print, a transfer, tokens and a failure.
pub fn trade<'a>(
    chain: &'a ChainBuilder,
    parent: &Block,
    number: u64,
) -> stxworx::workload::BlockBuilder<'a> {
    let [data, logic, _, badges] = chain.network().followed_contracts();
    let (alice, bob) = (chain.account("alice"), chain.account("bob"));
    let coin = asset(&data, "coin");
    let act = chain
        .call(&alice, &logic, "act", &[uint(number)])
        .print(&logic, event("acted", [("n", uint(number))]))
        .event(Event::stx_transfer(alice, &logic, 5))
        .event(Event::ft_mint(&coin, bob, 7))
        .event(Event::nft_mint(&asset(&badges, "pass"), bob, uint(number)));
    let refused = chain.call(&bob, &logic, "act", &[]).refused(117);
    chain
        .block(parent)
        .tx(act)
        .transfer(&alice, &bob, number + 1)
        .tx(refused)
}

impl SmallChain {
    /// Everything, in the order in which a node sends it.
    pub fn entries(&self) -> Vec<Entry> {
        let (old, new) = (&self.blocks[1].tenure, &self.fork[0].tenure);
        let mut entries = vec![self.blocks[0].entry(), old.entry()];
        entries.extend(self.blocks[1..].iter().map(Block::entry));
        entries.push(new.entry());
        entries.extend(self.fork.iter().map(Block::entry));
        entries
    }

    pub fn tip(&self) -> String {
        self.fork.last().unwrap().id()
    }
}

/// The real binary as a daemon. What it writes to standard error is kept; it is killed when dropped.
pub struct Daemon {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Daemon {
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_some()
    }

    pub fn spawn(mut command: Command) -> Self {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary");
        let stderr = child.stderr.take().expect("a pipe");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                into.lock().unwrap().push(line);
            }
        });
        Self { child, lines }
    }

    /// What it has logged so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line with this text.
    pub async fn says(&self, text: &str) -> String {
        eventually(text, || async {
            let lines = self.lines.lock().unwrap().clone();
            let found = lines.iter().find(|line| line.contains(text)).cloned();
            found.ok_or_else(|| lines.join("\n"))
        })
        .await
    }

    /// Where a service listens, as the daemon says when it is ready.
    pub async fn address(&self, service: &str) -> SocketAddr {
        let ready = self.says(" ready ").await;
        let (_, rest) = ready
            .split_once(&format!("{service}=Some("))
            .expect("the service");
        rest.split(')')
            .next()
            .expect("an address")
            .parse()
            .expect("IP:PORT")
    }

    /// The exit code once it has ended; none when a signal ended it.
    pub fn try_ended(&mut self) -> Option<Option<i32>> {
        let status = self.child.try_wait().expect("a child");
        status.map(|s| s.code())
    }

    /// Waits for its end; the exit code.
    pub async fn ended(&mut self) -> Option<i32> {
        let child = std::cell::RefCell::new(&mut self.child);
        eventually("the end of the process", || async {
            let status = child.borrow_mut().try_wait().expect("a child");
            status.map(|s| s.code()).ok_or_else(|| "running".to_owned())
        })
        .await
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = i32::try_from(self.pid()).expect("a process id");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).expect("to signal");
    }

    /// Ctrl-C; the exit code.
    pub async fn interrupt(&mut self) -> Option<i32> {
        self.signal(nix::sys::signal::Signal::SIGINT);
        self.ended().await
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Bytes of hexadecimal text that no compression brings below half.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut rng = stxworx::workload::SeededRng::new(seed);
    let mut text = Vec::with_capacity(length + 64);
    while text.len() < length {
        text.extend_from_slice(hex::encode(rng.bytes::<32>()).as_bytes());
    }
    text.truncate(length);
    text
}
