use stxworx_clarity::codec::hash160;
use stxworx_clarity::codec::transaction::MessageSignature;

use super::*;
use crate::mint::signer::local::tests::{bounds, wanted};
use crate::mint::signer::{Key, unsigned};
use crate::mint::types::{Call, UnsignedMint};

const NOW: u64 = 1_800_000_000;
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn secret(text: &str) -> SharedSecret {
    SharedSecret::new(text.to_owned()).unwrap()
}

fn service(per_hour: usize) -> Service {
    let signer = LocalSigner::new(Key::from_bytes(&[3; 32]).unwrap(), bounds());
    Service::new(signer, secret(SECRET), per_hour)
}

/// One request as a client makes it; each with a number of its own.
struct Asked {
    path: &'static str,
    time: String,
    number: String,
    mac: String,
    body: Vec<u8>,
}

impl Asked {
    fn new(path: &'static str, time: u64, number: u32, body: Vec<u8>) -> Self {
        let number = format!("{number:032x}");
        let mac = secret(SECRET).of_request(time, &number, path, &body);
        Self {
            path,
            time: time.to_string(),
            number,
            mac,
            body,
        }
    }

    fn request(&self) -> Request<'_> {
        Request {
            path: self.path,
            time: &self.time,
            number: &self.number,
            mac: &self.mac,
            body: &self.body,
        }
    }
}

fn sign_body(service: &Service, wanted: &UnsignedMint) -> (UnsignedTx, SignRequest) {
    let tx = unsigned(wanted, service.signer.allowed()).unwrap();
    let request = SignRequest {
        transaction: hex::encode(tx.encode()),
        means: Meaning::of(&tx),
    };
    (tx, request)
}

fn body(request: &SignRequest) -> Vec<u8> {
    serde_json::to_vec(request).unwrap()
}

#[test]
fn it_signs_for_whoever_knows_the_secret_and_proves_that_it_knows_it() {
    let mut service = service(10);
    let key = Asked::new(KEY, NOW, 1, b"{}".to_vec());
    let told = service.answer(NOW, &key.request());
    let answer: KeyAnswer = serde_json::from_slice(&told.body).unwrap();
    let public = hex::decode(answer.public_key).unwrap();
    assert_eq!(hash160(&public), service.signer.allowed().signer);

    let (tx, request) = sign_body(&service, &wanted(4));
    let asked = Asked::new(SIGN, NOW, 2, body(&request));
    let reply = service.answer(NOW, &asked.request());
    assert_eq!(reply.status, 200, "{}", reply.note);
    let mac = secret(SECRET).of_answer(&asked.number, 200, &reply.body);
    assert_eq!(reply.mac, Some(mac));
    let answer: SignAnswer = serde_json::from_slice(&reply.body).unwrap();
    let mut signature = [0; 65];
    hex::decode_to_slice(answer.signature, &mut signature).unwrap();
    let signed = tx.signed(MessageSignature(signature)).unwrap();
    service.signer.allowed().check(&signed.bytes).unwrap();
    assert!(reply.note.contains("nonce 4"), "{}", reply.note);
}

#[test]
fn nobody_else_is_heard() {
    let mut service = service(10);
    let (_, request) = sign_body(&service, &wanted(4));
    let good = || Asked::new(SIGN, NOW, 7, body(&request));
    let stranger = |mut asked: Asked| {
        asked.mac = secret("another secret of enough characters").of_request(
            NOW,
            &asked.number,
            asked.path,
            &asked.body,
        );
        asked
    };
    let changed = |change: &dyn Fn(&mut Asked)| {
        let mut asked = good();
        change(&mut asked);
        asked
    };
    for (what, asked) in [
        ("another secret", stranger(good())),
        ("no HMAC", changed(&|a| a.mac.clear())),
        ("another body", changed(&|a| a.body.push(b' '))),
        ("another path", changed(&|a| a.path = KEY)),
        ("another time", changed(&|a| a.time = (NOW + 1).to_string())),
        (
            "another number",
            changed(&|a| a.number = format!("{:032x}", 8)),
        ),
        ("no number", changed(&|a| a.number.clear())),
    ] {
        let reply = service.answer(NOW, &asked.request());
        assert_eq!((reply.status, reply.mac), (401, None), "{what}");
    }
    // The same request a second time, and one that is old.
    assert_eq!(service.answer(NOW, &good().request()).status, 200);
    assert_eq!(service.answer(NOW, &good().request()).status, 401);
    let old = Asked::new(SIGN, NOW - SKEW_S - 1, 9, body(&request));
    let reply = service.answer(NOW, &old.request());
    assert_eq!(reply.status, 401);
    assert!(reply.note.contains("set the clocks"), "{}", reply.note);
}

#[test]
fn a_request_stays_known_for_as_long_as_it_would_be_valid() {
    let mut service = service(10);
    // A clock that is ahead by all that is allowed: its request stays valid longest.
    let asked = Asked::new(KEY, NOW + SKEW_S, 1, b"{}".to_vec());
    assert_eq!(service.answer(NOW, &asked.request()).status, 200);
    for later in 0..=2 * SKEW_S + 5 {
        let reply = service.answer(NOW + later, &asked.request());
        assert_eq!(reply.status, 401, "{later} s later: {}", reply.note);
    }
    assert!(service.known.len() <= 1 && service.numbers.len() <= 1);
}

#[test]
fn it_reads_the_bytes_and_not_what_is_said_of_them() {
    let mut service = service(10);
    let (tx, request) = sign_body(&service, &wanted(4));
    let mut number = 0;
    let mut refused = |request: &SignRequest, word: &str| {
        number += 1;
        let asked = Asked::new(SIGN, NOW, number, body(request));
        let reply = service.answer(NOW, &asked.request());
        assert_ne!(reply.status, 200, "{word}");
        assert!(reply.note.contains(word), "{word}: {}", reply.note);
    };
    let mut lie = request.clone();
    lie.means.fee = 1;
    refused(&lie, "not do what is said");
    let with = |change: &dyn Fn(&mut UnsignedTx)| {
        let mut tx = tx.clone();
        change(&mut tx);
        SignRequest {
            transaction: hex::encode(tx.encode()),
            means: Meaning::of(&tx),
        }
    };
    refused(&with(&|tx| tx.fee = 10_001), "the cap");
    refused(&with(&|tx| tx.chain_id = 1), "another chain");
    refused(&with(&|tx| tx.signer = [9; 20]), "not that of the minter");
    refused(
        &with(&|tx| {
            tx.call = crate::mint::tx::Call::Noop {
                to: bounds().badges,
            }
        }),
        "not on the list",
    );
    let mut signed = request.clone();
    let bytes = service.signer.sign_tx(&tx).unwrap().bytes;
    signed.transaction = hex::encode(bytes);
    let asked = Asked::new(SIGN, NOW, 99, body(&signed));
    assert_eq!(service.answer(NOW, &asked.request()).status, 403);
    let nonsense = Asked::new(SIGN, NOW, 100, b"[]".to_vec());
    assert_eq!(service.answer(NOW, &nonsense.request()).status, 400);
    let long = Asked::new(SIGN, NOW, 101, vec![b' '; LARGEST + 1]);
    assert_eq!(service.answer(NOW, &long.request()).status, 413);
    let elsewhere = Asked::new("/", NOW, 102, b"{}".to_vec());
    assert_eq!(service.answer(NOW, &elsewhere.request()).status, 404);
}

#[test]
fn its_limit_counts_transactions_and_not_questions() {
    let mut service = service(3);
    let mut number = 0;
    let mut ask = |service: &mut Service, nonce: u64, now: u64| {
        number += 1;
        let noop = UnsignedMint {
            call: Call::Noop {
                treasury: bounds().noop_to.to_string(),
            },
            ..wanted(nonce)
        };
        let (_, request) = sign_body(service, &noop);
        let asked = Asked::new(SIGN, now, number, body(&request));
        service.answer(now, &asked.request())
    };
    for nonce in 0..3 {
        assert_eq!(ask(&mut service, nonce, NOW).status, 200);
        // Asked again, because the answer was lost: the same signature, and nothing is counted.
        assert_eq!(ask(&mut service, nonce, NOW + 1).status, 200);
    }
    let full = ask(&mut service, 3, NOW + 60);
    assert_eq!((full.status, full.retry_after_s), (429, Some(HOUR_S - 60)));
    assert!(full.mac.is_some());
    assert_eq!(ask(&mut service, 3, NOW + HOUR_S).status, 200);
}
