//! Decoding speed: values against the chain's own decoder, transactions in bytes per second.
//!
//! Run with `cargo bench -p stxworx-clarity --bench codec`.

use std::hint::black_box;

use clarity::vm::Value as VmValue;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde::Deserialize;
use stxworx_clarity::codec::{Transaction, Value, ValueRef};

#[derive(Deserialize)]
struct Vectors {
    values: Vec<Vector>,
    transactions: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    hex: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../tests/vectors/stacks_transactions.json"))
        .expect("the vectors")
}

fn bytes(vectors: &[Vector], name: &str) -> Vec<u8> {
    let vector = vectors
        .iter()
        .find(|vector| vector.name == name)
        .expect("a vector");
    hex::decode(&vector.hex).expect("hex")
}

/// A list of 500 unsigned integers, the plainest large value.
fn long_list() -> Vec<u8> {
    Value::List((0..500).map(Value::UInt).collect()).encode()
}

fn values(criterion: &mut Criterion) {
    let vectors = vectors();
    let cases = [
        ("event", bytes(&vectors.values, "print event")),
        ("uint", bytes(&vectors.values, "uint maximum")),
        (
            "contract principal",
            bytes(&vectors.values, "principal contract"),
        ),
        ("list of 500 uints", long_list()),
    ];
    for (name, bytes) in cases {
        let mut group = criterion.benchmark_group(format!("value/{name}"));
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function("borrowed", |run| {
            run.iter(|| ValueRef::decode_exact(black_box(&bytes)));
        });
        group.bench_function("owned", |run| {
            run.iter(|| Value::decode_exact(black_box(&bytes)))
        });
        group.bench_function("clarity-vm", |run| {
            run.iter(|| VmValue::try_deserialize_bytes_untyped(black_box(&bytes)).is_ok());
        });
        if name == "event" {
            group.bench_function("borrowed, three fields", |run| {
                run.iter(|| {
                    let event = ValueRef::decode_exact(black_box(&bytes)).ok()?;
                    let topic = event.get("topic")?.as_ascii()?;
                    Some((
                        topic.len(),
                        event.get("seq")?.as_u128()?,
                        event.get("data")?.get("id")?.as_u128()?,
                    ))
                });
            });
        }
        group.finish();
    }
}

fn transactions(criterion: &mut Criterion) {
    let vectors = vectors();
    for name in [
        "transfer mainnet",
        "call deny mainnet",
        "deploy Clarity 3 mainnet",
    ] {
        let bytes = bytes(&vectors.transactions, name);
        let decoded = Transaction::decode(&bytes).expect("legal");
        let mut group = criterion.benchmark_group(format!("transaction/{name}"));
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function("decode", |run| {
            run.iter(|| Transaction::decode(black_box(&bytes)))
        });
        group.bench_function("txid", |run| run.iter(|| black_box(&decoded).txid()));
        group.finish();
    }
}

criterion_group!(benches, values, transactions);
criterion_main!(benches);
