//! The devnet as a node: an indexer beside it, its RPC, and what it says to garbage.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value as Json, json};
use stxworx::devnet::{Devnet, Dials};
use stxworx::post::ObserverUrl;
use stxworx_clarity::codec::transaction::Payload;
use stxworx_clarity::codec::{Principal, Value};
use stxworx_clarity::market::{Actor, Conditions, call};
use tokio_util::sync::CancellationToken;

use crate::support::app::{App, config};
use crate::support::db::TestDb;
use crate::support::mirror::{assert_verifies, settled, tip};
use crate::support::{eventually, run};
use crate::tools::{Reply, get, metric, request, stdout, stxworx_on};

/// A node on a port of its own.
struct Node {
    devnet: Devnet,
    cancel: CancellationToken,
    producing: CancellationToken,
}

fn free_port() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

impl Node {
    async fn start(dials: Dials, bind: SocketAddr, observers: Vec<ObserverUrl>) -> Self {
        let cancel = CancellationToken::new();
        let producing = cancel.child_token();
        let devnet = Devnet::start(dials, bind, observers, cancel.clone(), producing.clone())
            .await
            .unwrap();
        Self {
            devnet,
            cancel,
            producing,
        }
    }

    /// A node that nobody listens to, with so many blocks.
    async fn alone(blocks: u64) -> Self {
        let dials = Dials {
            block_interval: Duration::from_millis(1),
            ..Dials::default()
        };
        let node = Self::start(dials, "127.0.0.1:0".parse().unwrap(), Vec::new()).await;
        node.grown(blocks).await;
        node.producing.cancel();
        // The block under construction comes to its end.
        tokio::time::sleep(Duration::from_millis(300)).await;
        node
    }

    async fn grown(&self, blocks: u64) {
        eventually("blocks", || async {
            let produced = self.devnet.progress.produced().blocks;
            if produced >= blocks {
                Ok(())
            } else {
                Err(produced.to_string())
            }
        })
        .await;
    }

    async fn get(&self, path: &str) -> Reply {
        get(self.devnet.rpc, path).await
    }

    async fn post(&self, path: &str, body: &[u8]) -> Reply {
        request(self.devnet.rpc, "POST", path, body).await
    }

    async fn stop(mut self) {
        self.cancel.cancel();
        self.devnet.wait().await.unwrap();
    }
}

fn contract(name: &str) -> String {
    let id = Actor::of("deployer").contract(name);
    format!("{}/{name}", id.issuer)
}

#[test]
fn deliveries_lost_late_and_doubled_end_in_proved_cursors_and_one_changed_byte_is_named() {
    run(async {
        let db = TestDb::new().await;
        let rpc = free_port();
        let url = format!("http://{rpc}");
        let deployer = Actor::of("deployer");
        let names = ["data", "logic", "badges", "security"];
        let followed = names.map(|n| deployer.contract(&format!("freelance-{n}")).to_string());
        let config = config(&[
            ("follow.mirror", "\"followed\""),
            ("follow.contracts", &format!("{followed:?}")),
            ("chain.finality_burn_blocks", "200"),
            ("node.rpc_url", &format!("{url:?}")),
            ("node.audit_pause_ms", "20"),
        ]);
        let app = App::start(&db, &config).await;
        let dials = Dials {
            block_interval: Duration::from_millis(20),
            fork_every: 12,
            burn_reorg_every: 31,
            restart_every: 25,
            doubled_percent: 20,
            late_by: 8,
            lost_percent: 8,
            ..Dials::default()
        };
        let observer = ObserverUrl::parse(&app.observer_url()).unwrap();
        let node = Node::start(dials, rpc, vec![observer]).await;
        node.grown(110).await;
        node.producing.cancel();
        eventually("the devnet's tip in the mirror", || async {
            let wanted = format!(
                "0x{}",
                hex::encode(node.devnet.chain.lock().tip().header.id)
            );
            match tip(&db).await {
                Some(found) if found == wanted => Ok(()),
                other => Err(format!("{other:?} of {wanted}")),
            }
        })
        .await;
        settled(&db).await;
        eventually("proofs at the tip", || async {
            let height = metric(&app, "stxworx_cursor_proof_height").await;
            let tip = node.devnet.chain.lock().tip().header.height;
            if height == f64::from(tip) {
                Ok(())
            } else {
                Err(height.to_string())
            }
        })
        .await;
        let of = async |verdict: &str| {
            metric(
                &app,
                &format!("stxworx_cursor_proofs_total{{verdict=\"{verdict}\"}}"),
            )
            .await
        };
        assert!(of("proved").await >= 4.0);
        assert_eq!(of("differs").await, 0.0);
        let text = get(app.addresses.metrics.unwrap(), "/metrics").await.text();
        assert!(
            !text.contains("stxworx_invariant_violation_total{"),
            "{text}"
        );
        app.stop().await.unwrap();
        assert_verifies(&db).await;

        let sound = stxworx_on(&db, &["verify", "--node", &url]).await;
        assert_eq!(sound.status.code(), Some(0), "{sound:?}");
        let lines = stdout(&sound);
        assert_eq!(lines.matches("every link holds").count(), 4, "{lines}");
        assert_eq!(
            lines.matches("equal to the contract's cursor").count(),
            4,
            "{lines}"
        );

        // One bit of the last byte of the tenth event, as somebody with the database's password could.
        let logic = &followed[1];
        let victim = db
            .text(format!(
                "select e.block_id || ' ' || e.tx_index || ' ' || e.ordinal || ' ' || encode(e.value, 'hex')
                 from event e join canonical c on c.block_id = e.block_id join principal p on p.id = e.contract
                 where p.name = '{logic}' and e.kind = 1 and e.value is not null
                 order by c.height, e.tx_index, e.ordinal offset 9 limit 1"
            ))
            .await
            .unwrap();
        let parts: Vec<&str> = victim.split(' ').collect();
        let value = hex::decode(parts[3]).unwrap();
        let header = stxworx_clarity::events::header(&value).unwrap();
        db.sql(format!(
            "update event set value = set_byte(value, length(value) - 1, get_byte(value, length(value) - 1) # 1)
             where block_id = {} and tx_index = {} and ordinal = {}",
            parts[0], parts[1], parts[2]
        ))
        .await;
        let unsound = stxworx_on(&db, &["verify", "--node", &url]).await;
        assert_eq!(unsound.status.code(), Some(3), "{unsound:?}");
        let lines = stdout(&unsound);
        let cell = format!(
            "tx_index {} ordinal {}, value: expected ",
            parts[1], parts[2]
        );
        assert!(lines.contains(&cell), "{lines}");
        let next = format!("{logic}: event {} (", header.seq + 1);
        assert!(lines.contains(&next), "{next}\n{lines}");
        node.stop().await;
        db.drop().await;
    });
}

#[test]
fn the_rpc_answers_as_a_node_does_of_any_block() {
    run(async {
        let node = Node::alone(12).await;
        let info = node.get("/v2/info").await.json();
        let tip = node.devnet.chain.lock().tip();
        assert_eq!(info["stacks_tip_height"], tip.header.height);
        assert_eq!(info["stacks_tip"], hex::encode(tip.header.block_hash));
        let tenure = node.get("/v3/tenures/info").await.json();
        let id = hex::encode(tip.header.id);
        assert_eq!(tenure["tip_block_id"], id);

        let path = format!(
            "/v2/contracts/call-read/{}/get-cursor",
            contract("freelance-logic")
        );
        let sender = Actor::of("deployer").principal().to_string();
        let body = json!({"sender": sender, "arguments": []}).to_string();
        let cursor_at = async |tip: &str| {
            let reply = node
                .post(&format!("{path}?tip={tip}"), body.as_bytes())
                .await
                .json();
            assert_eq!(reply["okay"], true, "{reply}");
            let raw = reply["result"]
                .as_str()
                .unwrap()
                .trim_start_matches("0x")
                .to_owned();
            let cursor = Value::decode_exact(&hex::decode(raw).unwrap()).unwrap();
            cursor.get("seq").unwrap().as_u128().unwrap()
        };
        let early = node.devnet.chain.lock().at_height(2).unwrap().header.id;
        assert_eq!(cursor_at(&id).await, cursor_at("latest").await);
        assert!(cursor_at(&hex::encode(early)).await < cursor_at(&id).await);

        let source = node
            .get(&format!(
                "/v2/contracts/source/{}",
                contract("freelance-logic")
            ))
            .await
            .json();
        assert!(
            source["source"]
                .as_str()
                .unwrap()
                .contains("define-public (open-project")
        );
        assert_eq!(source["publish_height"], 1);
        let interface = node
            .get(&format!(
                "/v2/contracts/interface/{}",
                contract("freelance-badges")
            ))
            .await
            .json();
        let functions = interface["functions"].as_array().unwrap();
        assert!(
            functions
                .iter()
                .any(|f| f["name"] == "claim" && f["access"] == "public")
        );
        let account = node
            .get(&format!("/v2/accounts/{sender}?proof=0"))
            .await
            .json();
        assert!(account["nonce"].as_u64().unwrap() >= 6, "{account}");

        // A transfer by hand is admitted, waits, and has a nonce that the account then shows.
        let who = Actor::of("client-1");
        let nonce = node.devnet.chain.lock().next_nonce(&who.principal());
        let payload = Payload::TokenTransfer {
            recipient: Actor::of("freelancer-1").principal(),
            amount: 3,
            memo: [0; 34],
        };
        let tx = who.sign(nonce, 500, payload, Conditions::None);
        let body = json!({"tx": hex::encode(tx.encode())}).to_string();
        let reply = node.post("/v2/transactions", body.as_bytes()).await;
        assert_eq!(reply.json(), json!(hex::encode(tx.txid())));
        let waiting = node
            .get(&format!(
                "/v2/transactions/unconfirmed/{}",
                hex::encode(tx.txid())
            ))
            .await;
        assert_eq!(waiting.json()["status"], "Mempool");
        node.stop().await;
    });
}

#[test]
fn garbage_gets_a_reason_and_the_chain_goes_on() {
    run(async {
        let node = Node::alone(8).await;
        let logic = contract("freelance-logic");
        let sender = Actor::of("deployer").principal().to_string();
        let nowhere = "11".repeat(32);
        for (path, status) in [
            ("/v2/nothing".to_owned(), 404),
            ("/v2/accounts/nobody".into(), 400),
            ("/v2/accounts/%F0%9F%8E%A9".into(), 400),
            (format!("/v2/accounts/{sender}?tip=zz"), 400),
            (format!("/v2/accounts/{sender}?tip={nowhere}"), 404),
            (format!("/v2/contracts/source/{sender}/nothing"), 404),
            ("/v2/contracts/source/nobody/nothing".into(), 400),
            (format!("/v2/contracts/interface/{sender}/nothing"), 404),
            (format!("/v2/data_var/{logic}/nothing"), 404),
            ("/v3/tenures/blocks/height/many".into(), 400),
            ("/v3/tenures/blocks/height/999999".into(), 404),
            ("/v3/blocks/replay/zz".into(), 401),
            (format!("/v2/transactions/unconfirmed/{nowhere}"), 404),
            ("/v2/transactions/unconfirmed/zz".into(), 400),
        ] {
            let reply = node.get(&path).await;
            assert_eq!(reply.status(), status, "{path}: {}", reply.text());
        }
        let read = format!("/v2/contracts/call-read/{logic}/get-cursor");
        let huge = vec![b'a'; 6 * 1024 * 1024];
        let call_read = |function: &str| format!("/v2/contracts/call-read/{logic}/{function}");
        for (path, body, status) in [
            (read.clone(), b"not JSON".to_vec(), 400),
            (
                read.clone(),
                json!({"sender": "nobody", "arguments": []})
                    .to_string()
                    .into_bytes(),
                400,
            ),
            (
                read.clone(),
                json!({"sender": sender, "arguments": ["0xzz"]})
                    .to_string()
                    .into_bytes(),
                400,
            ),
            (
                read.clone(),
                json!({"sender": sender, "arguments": ["0xff"]})
                    .to_string()
                    .into_bytes(),
                400,
            ),
            (read, huge.clone(), 413),
            ("/v2/transactions".into(), b"\x00\xff".to_vec(), 400),
            (
                "/v2/transactions".into(),
                json!({"tx": "zz"}).to_string().into_bytes(),
                400,
            ),
            (
                "/v2/transactions".into(),
                json!({"tx": "00"}).to_string().into_bytes(),
                400,
            ),
            ("/v2/transactions".into(), huge, 413),
            (
                format!("/v2/map_entry/{logic}/projects"),
                b"\"0x\"".to_vec(),
                400,
            ),
        ] {
            let reply = node.post(&path, &body).await;
            assert_eq!(reply.status(), status, "{path}: {}", reply.text());
            assert!(!reply.text().is_empty(), "{path}: no reason");
        }
        let arguments = json!({"sender": sender, "arguments": []}).to_string();
        for (function, words) in [
            ("no-such-function", "UndefinedFunction"),
            ("open-project", "NotReadOnly"),
            ("get-project", ""),
        ] {
            let reply = node.post(&call_read(function), arguments.as_bytes()).await;
            let reply: Json = reply.json();
            assert_eq!(reply["okay"], false, "{function}: {reply}");
            assert!(reply["cause"].as_str().unwrap().contains(words), "{reply}");
        }
        let refusals = [(9_999, "TooMuchChaining"), (0, "NoSuchPublicFunction")];
        for (ahead, reason) in refusals {
            let who = Actor::of("client-2");
            let nonce = node.devnet.chain.lock().next_nonce(&who.principal());
            let id = Actor::of("deployer").contract("freelance-logic");
            let tx = who.sign(
                nonce + ahead,
                500,
                call(&id, "nothing", &[]),
                Conditions::None,
            );
            let body = json!({"tx": hex::encode(tx.encode())}).to_string();
            let reply = node.post("/v2/transactions", body.as_bytes()).await;
            assert_eq!(reply.status(), 400);
            let reply = reply.json();
            assert_eq!(reply["reason"], reason, "{reply}");
            assert_eq!(reply["txid"], hex::encode(tx.txid()));
        }
        let before = node.devnet.chain.lock().tip().header.height;
        let mined = node.devnet.chain.lock().mine(10).unwrap();
        assert_eq!(mined.header.height, before + 1);
        let escrow = Principal::Contract(Actor::of("deployer").contract("freelance-logic"));
        let account = node.devnet.chain.lock().account(&mined.header.id, &escrow);
        assert!(account.is_ok());
        node.stop().await;
    });
}
