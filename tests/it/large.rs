//! Bodies as large as a chain's first block, and larger.

use std::fmt::Write as _;

use stxworx::recording::Entry;
use stxworx::workload::{ChainBuilder, ChainOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::app::{App, config};
use crate::support::db::TestDb;
use crate::support::eventually;
use crate::support::mirror::{assert_verifies, settled, tip};
use crate::support::run;
use crate::tools::{Daemon, deliver, head, noise, stxworx, trade};

const MB: usize = 1_000_000;

/// A block with so many prints of 200 random bytes more than it had.
fn large_block(chain: &ChainBuilder, prints: usize) -> (Entry, String) {
    let block = trade(chain, &chain.root(), 1).build();
    let text = String::from_utf8(block.entry().body.to_vec()).unwrap();
    let txid = block.txs[0].id();
    let [_, logic, ..] = chain.network().followed_contracts();
    let mut rng = stxworx::workload::SeededRng::new(9);
    let mut more = String::new();
    for number in 0..prints {
        let raw = hex::encode(rng.bytes::<200>());
        let index = 1000 + number;
        write!(
            more,
            "{{\"committed\":true,\"contract_event\":{{\"contract_identifier\":\"{logic}\",\"raw_value\":\
             \"0x02000000c8{raw}\",\"topic\":\"print\"}},\"event_index\":{index},\"txid\":\"{txid}\",\
             \"type\":\"contract_event\"}},"
        )
        .unwrap();
    }
    let body = text.replacen("\"events\":[", &format!("\"events\":[{more}"), 1);
    assert!(body.len() > text.len(), "the payload has a list of events");
    (Entry::new("/new_block", body), block.id())
}

#[test]
fn a_block_of_60_mb_is_received_in_pieces_and_mirrored() {
    run(async {
        let db = TestDb::new().await;
        let app = App::start(&db, &config(&[])).await;
        let chain = ChainBuilder::new(ChainOptions::default());
        let (entry, id) = large_block(&chain, 92_000);
        assert!(entry.body.len() > 60 * MB, "{}", entry.body.len());
        assert_eq!(deliver(&app, &chain.root().entry()).await.status(), 200);
        assert_eq!(deliver(&app, &entry).await.status_line, "HTTP/1.1 200 OK");
        assert!(db.number("select count(*) from inbox_chunk").await > 2);
        settled(&db).await;
        assert_eq!(tip(&db).await, Some(id));
        assert_eq!(
            db.number("select count(*) from event where height = 1")
                .await,
            92_000 + 5
        );
        // The same bytes again are one row, and leave no pieces behind.
        let pieces = db.number("select count(*) from inbox_chunk").await;
        assert_eq!(deliver(&app, &entry).await.status(), 200);
        assert_eq!(db.number("select count(*) from inbox_chunk").await, pieces);
        assert_eq!(db.number("select max(deliveries) from inbox").await, 2);
        app.stop().await.unwrap();
        assert_verifies(&db).await;
        db.drop().await;
    });
}

#[test]
fn junk_of_40_mb_is_quarantined() {
    run(async {
        let db = TestDb::new().await;
        let app = App::start(&db, &config(&[])).await;
        let junk = Entry::new("/new_block", noise(1, 40 * MB));
        assert_eq!(deliver(&app, &junk).await.status_line, "HTTP/1.1 200 OK");
        settled(&db).await;
        assert_eq!(
            db.number("select body_bytes from inbox where state = 4")
                .await,
            i64::try_from(40 * MB).unwrap()
        );
        let stored = db
            .number(
                "select sum(length(body)) + (select sum(length(body)) from inbox_chunk) from inbox",
            )
            .await;
        println!("40 MB of junk are stored in {} MB", stored / 1_000_000);
        app.stop().await.unwrap();
        db.drop().await;
    });
}

/// Peak resident memory of a process, in MB.
pub fn peak_mb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("VmHWM:"))
        .expect("VmHWM");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024 / 1_000_000
}

/// Sends a body piece by piece, without ever holding it.
async fn stream(at: std::net::SocketAddr, path: &str, megabytes: usize) -> String {
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream
        .write_all(head("POST", path, megabytes * MB).as_bytes())
        .await
        .unwrap();
    let mut piece = noise(2, MB);
    for number in 0..megabytes {
        // Shifted, so that no piece is a copy of the one before.
        piece.rotate_left(number + 1);
        stream.write_all(&piece).await.unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn memory_does_not_grow_with_a_body_that_is_only_kept() {
    run(async {
        let db = TestDb::new().await;
        let mut command = stxworx(&["run"]);
        command.env("DATABASE_URL", &db.url);
        let mut daemon = Daemon::spawn(command);
        let at = daemon.address("observer").await;
        let before = peak_mb(daemon.pid());
        assert_eq!(stream(at, "/attachments/new", 200).await, "HTTP/1.1 200 OK");
        let received = peak_mb(daemon.pid());
        eventually("the payload to be kept", || async {
            let kept = db
                .number("select count(*) from inbox where state = 5")
                .await;
            if kept == 1 {
                Ok(())
            } else {
                Err(kept.to_string())
            }
        })
        .await;
        let after = peak_mb(daemon.pid());
        println!(
            "peak memory: {before} MB idle, {received} MB when 200 MB were received, {after} MB when they were processed"
        );
        assert_eq!(daemon.interrupt().await, Some(0));
        assert!(received < 200, "{received} MB while 200 MB were received");
        assert!(
            after < 200,
            "{after} MB to process 200 MB that are only kept"
        );
        db.drop().await;
    });
}
