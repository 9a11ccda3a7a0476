//! The database goes away and comes back, at the start and in the middle of everything.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use stxworx::post::Order;
use stxworx::recording::Entry;
use stxworx::workload::{ChainBuilder, ChainOptions};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::support::app::{App, config};
use crate::support::db::TestDb;
use crate::support::eventually;
use crate::support::mirror::{assert_verifies, canonical_digests, fingerprint, settled};
use crate::support::run;
use crate::tools::{Daemon, deliver, stxworx, trade};

/// The way to a database, which can be cut.
struct Proxy {
    address: SocketAddr,
    socket: PathBuf,
    task: Option<JoinHandle<()>>,
    database: String,
}

impl Proxy {
    /// No way yet.
    async fn closed(db: &TestDb) -> Self {
        let (_, query) = db.url.split_once('?').expect("options");
        let folder = query
            .split('&')
            .find_map(|o| o.strip_prefix("host="))
            .expect("a socket's folder");
        let socket = PathBuf::from(folder.replace("%2F", "/")).join(".s.PGSQL.5432");
        assert!(socket.exists(), "{}", socket.display());
        let address = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let database = db.text("select current_database()::text").await.unwrap();
        Self {
            address,
            socket,
            task: None,
            database,
        }
    }

    async fn open(db: &TestDb) -> Self {
        let mut proxy = Self::closed(db).await;
        proxy.mend().await;
        proxy
    }

    fn url(&self) -> String {
        format!(
            "postgres://stxworx@{}/{}?sslmode=disable",
            self.address, self.database
        )
    }

    async fn mend(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        let socket = self.socket.clone();
        self.task = Some(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(carry(client, socket.clone()));
            }
        }));
    }

    /// Ends every connection and refuses new ones.
    async fn cut(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            assert!(
                task.await.is_err_and(|e| e.is_cancelled()),
                "the proxy ended by itself"
            );
        }
    }
}

async fn carry(mut client: TcpStream, socket: PathBuf) {
    let mut server = UnixStream::connect(socket).await.unwrap();
    // A connection that was cut is what this is for.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}

pub fn long_chain() -> Vec<Entry> {
    let chain = ChainBuilder::new(ChainOptions::default());
    let mut blocks = vec![chain.root()];
    for number in 0..60 {
        let mut block = trade(&chain, blocks.last().unwrap(), number);
        if number % 10 == 9 {
            block = block.tenure(&chain.burn_block(&chain.burn_tip()));
        }
        let block = block.build();
        blocks.push(block);
    }
    let fork = chain.fork(&blocks, 5);
    blocks
        .iter()
        .map(stxworx::workload::Block::entry)
        .chain(fork.entries)
        .collect()
}

#[test]
fn a_daemon_waits_for_a_database_that_is_away_at_the_start() {
    run(async {
        let db = TestDb::empty().await;
        let mut proxy = Proxy::closed(&db).await;
        let mut command = stxworx(&["run"]);
        command.env("DATABASE_URL", proxy.url());
        let mut daemon = Daemon::spawn(command);
        daemon.says("the database is away; waiting for it").await;
        proxy.mend().await;
        daemon.says("ready").await;
        let at = daemon.address("observer").await;
        let reply = crate::tools::request(at, "POST", "/new_block", b"junk").await;
        assert_eq!(reply.status(), 200);
        assert_eq!(daemon.interrupt().await, Some(0));
        db.drop().await;
    });
}

#[test]
fn connections_cut_in_the_middle_lose_nothing() {
    run(async {
        let (db, calm) = (TestDb::new().await, TestDb::new().await);
        let mut proxy = Proxy::open(&db).await;
        let roles = [stxworx::daemon::Role::Indexer];
        let app = App::try_start(&proxy.url(), &config(&[]), &roles)
            .await
            .unwrap();
        let (entries, observer) = (long_chain(), app.observer_url());
        let posting = tokio::spawn(post_all(observer, entries.clone()));
        for threshold in [5, 15, 30, 45, 55] {
            eventually("payloads", || async {
                let stored = db.number("select count(*) from inbox").await;
                if stored >= threshold {
                    Ok(())
                } else {
                    Err(stored.to_string())
                }
            })
            .await;
            proxy.cut().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            proxy.mend().await;
        }
        posting.await.unwrap();
        settled(&db).await;
        let undisturbed = App::start(&calm, &config(&[])).await;
        undisturbed.post(entries, Order::default()).await;
        settled(&calm).await;
        assert_same(&db, &calm).await;
        assert_eq!(fingerprint(&db).await, fingerprint(&calm).await);
        assert_verifies(&db).await;
        app.stop().await.unwrap();
        undisturbed.stop().await.unwrap();
        db.drop().await;
        calm.drop().await;
    });
}

/// The lowest differing line says more than two long texts.
async fn assert_same(db: &TestDb, calm: &TestDb) {
    let (disturbed, calm) = (canonical_digests(db).await, canonical_digests(calm).await);
    for (disturbed, calm) in disturbed.lines().zip(calm.lines()) {
        assert_eq!(disturbed, calm, "height, block, digest");
    }
    assert_eq!(disturbed, calm);
}

pub async fn post_all(observer: String, entries: Vec<Entry>) {
    use stxworx::post::{ObserverUrl, PostOptions, post};
    use stxworx::recording::RecordingError;
    let mut options = PostOptions::new(ObserverUrl::parse(&observer).unwrap());
    options.timeout = Duration::from_secs(40);
    let source = entries.into_iter().map(Ok::<_, RecordingError>);
    let cancel = tokio_util::sync::CancellationToken::new();
    post(source, &options, &cancel, &mut |_| {}).await.unwrap();
}

/// A 200 for a payload that is not stored would lose it for ever: the node does not send it again.
#[test]
fn nothing_is_acknowledged_while_the_database_is_away() {
    run(async {
        let db = TestDb::new().await;
        let mut proxy = Proxy::open(&db).await;
        let roles = [stxworx::daemon::Role::Indexer];
        let app = App::try_start(&proxy.url(), &config(&[]), &roles)
            .await
            .unwrap();
        assert_eq!(
            deliver(&app, &Entry::new("/new_block", "before"))
                .await
                .status(),
            200
        );
        proxy.cut().await;
        let during = Entry::new("/new_block", "during");
        let mut answer = Box::pin(deliver(&app, &during));
        let early = tokio::time::timeout(Duration::from_secs(2), &mut answer).await;
        assert!(
            early.is_err(),
            "answered while the database was away: {early:?}"
        );
        assert_eq!(db.number("select count(*) from inbox").await, 1);
        proxy.mend().await;
        assert_eq!(answer.await.status_line, "HTTP/1.1 200 OK");
        assert_eq!(db.number("select count(*) from inbox").await, 2);
        app.stop().await.unwrap();
        db.drop().await;
    });
}

/// A body too large to be held is refused when the database goes away in its middle, and comes again.
#[test]
fn a_large_body_whose_database_goes_away_is_refused_and_taken_later() {
    run(async {
        let db = TestDb::new().await;
        let mut proxy = Proxy::open(&db).await;
        let roles = [stxworx::daemon::Role::Indexer];
        let app = App::try_start(&proxy.url(), &config(&[]), &roles)
            .await
            .unwrap();
        let body = crate::tools::noise(3, 20 << 20);
        proxy.cut().await;
        let large = Entry::new("/attachments/new", body);
        let refused = deliver(&app, &large).await;
        assert_eq!(refused.status(), 503, "{}", refused.status_line);
        assert!(
            refused.json()["detail"]
                .as_str()
                .unwrap()
                .contains("deliver it again")
        );
        proxy.mend().await;
        eventually("a 200", || async {
            let reply = deliver(&app, &large).await;
            if reply.status() == 200 {
                Ok(())
            } else {
                Err(reply.status_line)
            }
        })
        .await;
        assert_eq!(db.number("select count(*) from inbox").await, 1);
        assert!(db.number("select count(*) from inbox_chunk").await >= 2);
        app.stop().await.unwrap();
        db.drop().await;
    });
}

/// WM-1: refuses any commit that marks a payload as applied without its block.
const TOGETHER: &str = "
    create function has_block() returns trigger language plpgsql as $$
    begin
        if not exists (select from block where inbox_id = new.id) then
            raise exception 'payload % is marked as applied without its block', new.id;
        end if;
        return null;
    end $$;
    create constraint trigger together after update on inbox deferrable initially deferred
        for each row when (new.endpoint = 1 and new.state = 1) execute function has_block()";

/// A crash right after such a commit would lose the block for ever.
#[test]
fn a_payload_is_never_applied_without_its_block() {
    run(async {
        let db = TestDb::new().await;
        db.sql(TOGETHER).await;
        let app = App::start(&db, &config(&[])).await;
        let small = crate::tools::small_chain();
        for entry in small.entries() {
            assert_eq!(deliver(&app, &entry).await.status(), 200);
            let settled = settled(&db);
            tokio::select! {
                () = settled => {}
                () = app.cancel.cancelled() => break,
            }
        }
        if app.cancel.is_cancelled() {
            let error = app.ended().await.expect_err("an error");
            panic!("{}", stxworx_indexer::error_chain(&error));
        }
        app.stop().await.unwrap();
        assert_verifies(&db).await;
        db.drop().await;
    });
}
