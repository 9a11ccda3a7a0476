//! Values that a Clarity virtual machine computes are read as what it prints.

use clarity::vm::{EvaluationResult, Value as VmValue};
use clarity_repl::repl::{Session, SessionSettings};
use stxworx_clarity::codec::Value;

/// An expression and its value as text.
const EXPRESSIONS: [&str; 14] = [
    "(+ 1 2)",
    "(pow u2 u127)",
    "(- 170141183460469231731687303715884105727)",
    "(list u1 u2 u3)",
    "(list)",
    "{ a: u1, nested: { b: (some true), c: none }, text: \"ascii\" }",
    "u\"utf8 \\u{1F600}\"",
    "0x00ff10",
    "(ok (err u404))",
    "(some (list { id: u1 } { id: u2 }))",
    "(sha256 u7)",
    "tx-sender",
    "(as-max-len? (concat \"free\" \"lance\") u16)",
    "(fold + (list u10 u20 u30) u0)",
];

fn evaluate(session: &mut Session, expression: &str) -> VmValue {
    match session.eval(expression.to_owned(), None, false) {
        Ok(executed) => match executed.result {
            EvaluationResult::Snippet(snippet) => snippet.result,
            EvaluationResult::Contract(_) => panic!("{expression} is no expression"),
        },
        Err(diagnostics) => panic!("{expression}: {diagnostics:?}"),
    }
}

#[test]
fn what_the_machine_computes_is_read_as_it_prints() {
    // The machine recurses deeply, and this build of it does not grow its stack.
    let machine = std::thread::Builder::new().stack_size(64 << 20).spawn(|| {
        let mut session = Session::new(SessionSettings::default());
        for expression in EXPRESSIONS {
            let computed = evaluate(&mut session, expression);
            let mut bytes = Vec::new();
            computed
                .serialize_write(&mut bytes)
                .expect("a vector takes everything");
            let read = Value::decode_exact(&bytes).unwrap_or_else(|e| panic!("{expression}: {e}"));
            assert_eq!(read.to_string(), computed.to_string(), "{expression}");
            assert_eq!(read.encode(), bytes, "{expression}");
        }
    });
    machine
        .expect("a thread")
        .join()
        .expect("every expression is read");
}
