use std::sync::atomic::{AtomicUsize, Ordering};

use axum::routing;
use prometheus::Opts;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

struct Server {
    address: SocketAddr,
    metrics: ServeMetrics,
    stop: CancellationToken,
    begun: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(100);

async fn server(limits: ServeLimits) -> Server {
    let metrics = ServeMetrics {
        open: IntGauge::new("open", "open").unwrap(),
        ended: IntCounterVec::new(Opts::new("ended", "ended"), &["reason"]).unwrap(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let begun = Arc::new(AtomicUsize::new(0));
    let (of_late, of_never) = (Arc::clone(&begun), Arc::clone(&begun));
    let (stopping, waits) = (stop.clone(), of_never);
    let late = move || {
        of_late.fetch_add(1, Ordering::Relaxed);
        let stopping = stopping.clone();
        async move {
            stopping.cancelled().await;
            "late"
        }
    };
    let never = move || {
        waits.fetch_add(1, Ordering::Relaxed);
        std::future::pending::<()>()
    };
    let router = Router::new()
        .route("/", routing::get(|| async { "hello" }))
        .route("/echo", routing::get(upgrade))
        .route("/late", routing::get(late))
        .route("/never", routing::get(never));
    let task = tokio::spawn(serve(
        listener,
        router,
        limits,
        metrics.clone(),
        stop.clone(),
    ));
    Server {
        address,
        metrics,
        stop,
        begun,
        task,
    }
}

impl Server {
    async fn connect(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }

    fn ended(&self, reason: &str) -> u64 {
        self.metrics.ended.with_label_values(&[reason]).get()
    }

    async fn begun(&self, wanted: usize) {
        while self.begun.load(Ordering::Relaxed) != wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn open(&self, wanted: i64) {
        while self.metrics.open.get() != wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

/// Reads until this text has come, or the connection has ended.
async fn until(stream: &mut TcpStream, text: &str) -> String {
    let mut seen = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let shown = String::from_utf8_lossy(&seen).into_owned();
        if !text.is_empty() && shown.contains(text) {
            return shown;
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return shown,
            Ok(read) => seen.extend_from_slice(&buffer[..read]),
        }
    }
}

fn limits(connections: usize, idle: Duration, headers: Duration) -> ServeLimits {
    ServeLimits {
        connections,
        idle,
        headers,
    }
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let server = server(limits(4, LONG, LONG)).await;
    let mut stream = server.connect(GET).await;
    assert!(until(&mut stream, "hello").await.contains("200 OK"));
    stream.write_all(GET).await.unwrap();
    assert!(until(&mut stream, "hello").await.contains("200 OK"));
    drop(stream);
    server.open(0).await;
}

#[tokio::test]
async fn http_2_without_tls_is_spoken() {
    let server = server(limits(4, LONG, LONG)).await;
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    // HEADERS of stream 1, with its end: GET, /, http, authority x.
    bytes.extend([0, 0, 6, 1, 5, 0, 0, 0, 1, 0x82, 0x84, 0x86, 0x41, 1, b'x']);
    let mut stream = server.connect(&bytes).await;
    assert!(until(&mut stream, "hello").await.contains("hello"));
}

#[tokio::test]
async fn what_is_idle_or_slow_is_closed() {
    let idle = server(limits(4, SHORT, LONG)).await;
    let mut silent = idle.connect(b"").await;
    assert_eq!(until(&mut silent, "").await, "");
    assert_eq!(idle.ended("idle"), 1);
    let mut kept = idle.connect(GET).await;
    assert!(
        until(&mut kept, "").await.contains("hello"),
        "kept alive, then closed"
    );
    idle.open(0).await;

    let slow = server(limits(4, LONG, SHORT)).await;
    let mut endless = slow.connect(b"GET / HTTP/1.1\r\nhost: x\r\n").await;
    until(&mut endless, "").await;
    slow.open(0).await;
}

#[tokio::test]
async fn the_longest_idle_makes_room_and_work_does_not() {
    let server = server(limits(2, LONG, LONG)).await;
    let mut busy = server
        .connect(b"GET /never HTTP/1.1\r\nhost: x\r\n\r\n")
        .await;
    let mut idle = server.connect(b"").await;
    server.open(2).await;
    server.begun(1).await;
    let mut third = server.connect(GET).await;
    assert!(until(&mut third, "hello").await.contains("hello"));
    assert_eq!(until(&mut idle, "").await, "", "closed");
    assert_eq!(server.ended("evicted"), 1);
    let mut second_busy = server
        .connect(b"GET /never HTTP/1.1\r\nhost: x\r\n\r\n")
        .await;
    server.begun(2).await;
    let mut refused = server.connect(b"").await;
    assert_eq!(until(&mut refused, "").await, "");
    assert_eq!(server.ended("full"), 1);
    drop((busy.shutdown().await, second_busy.shutdown().await));
}

#[tokio::test]
async fn the_end_waits_for_requests_under_way() {
    let server = server(limits(4, LONG, LONG)).await;
    let mut silent = server.connect(b"").await;
    let mut late = server
        .connect(b"GET /late HTTP/1.1\r\nhost: x\r\n\r\n")
        .await;
    server.open(2).await;
    server.begun(1).await;
    server.stop.cancel();
    assert!(until(&mut late, "late").await.contains("200 OK"));
    assert_eq!(until(&mut silent, "").await, "");
    server.task.await.unwrap();
}

/// Echoes what comes after the handshake.
async fn upgrade(mut request: Request) -> Response {
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut stream = TokioIo::new(upgraded.await.unwrap());
        let mut byte = [0];
        while stream.read_exact(&mut byte).await.is_ok() {
            stream.write_all(&byte).await.unwrap();
        }
    });
    Response::builder()
        .status(101)
        .header("connection", "upgrade")
        .header("upgrade", "echo")
        .body(Body::empty())
        .unwrap()
}

#[tokio::test]
async fn what_is_upgraded_lives_on_in_its_place() {
    let server = server(limits(1, SHORT, LONG)).await;
    let mut stream = server
        .connect(b"GET /echo HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n")
        .await;
    assert!(until(&mut stream, "\r\n\r\n").await.contains(" 101 "));
    // Neither idleness nor a newcomer ends it.
    let mut newcomer = server.connect(b"").await;
    assert_eq!(until(&mut newcomer, "").await, "");
    tokio::time::sleep(SHORT * 3).await;
    stream.write_all(b"z").await.unwrap();
    assert_eq!(until(&mut stream, "z").await, "z");
    assert_eq!((server.ended("full"), server.metrics.open.get()), (1, 1));
    drop(stream);
    server.open(0).await;
}
