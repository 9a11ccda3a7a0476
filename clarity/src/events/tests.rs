use super::field::{Ascii, Uint};
use super::*;
use crate::codec::StandardPrincipal;

fn somebody() -> Principal {
    Principal::Standard(StandardPrincipal::new(26, [7; 20]).expect("a version"))
}

fn settled() -> Envelope {
    Envelope {
        seq: 9,
        prev: [3; 32],
        burn_height: 120,
        by: somebody(),
        event: Event::Logic(logic::LogicEvent::MilestoneSettled(
            logic::MilestoneSettled {
                project: Uint(1),
                m: Uint(2),
                asset: Some(somebody()),
                cause: Ascii("ruling".into()),
                bps: Uint(2_500),
                amount: Uint(u128::MAX),
                payout: Uint(1),
                fee: Uint(2),
                refund: Uint(3),
                treasury: somebody(),
                status: Uint(5),
                project_status: Uint(4),
                locked_after: Uint(0),
                recorded: true,
            },
        )),
    }
}

#[test]
fn what_is_written_is_read() {
    let raw = settled().write().expect("a tuple").encode();
    assert_eq!(decode("freelance-logic", &raw), Ok(settled()));
}

/// The value with one field of its data exchanged, added or removed.
fn bent(change: impl FnOnce(&mut Vec<(String, Value)>)) -> Vec<u8> {
    let Some(Value::Tuple(envelope)) = settled().write() else {
        panic!("no tuple")
    };
    let mut fields: Vec<(String, Value)> = envelope
        .fields()
        .iter()
        .map(|(n, v)| (n.to_string(), v.clone()))
        .collect();
    for (name, value) in &mut fields {
        if name == "data"
            && let Value::Tuple(data) = value
        {
            let mut inner: Vec<(String, Value)> = data
                .fields()
                .iter()
                .map(|(n, v)| (n.to_string(), v.clone()))
                .collect();
            change(&mut inner);
            *value =
                Value::tuple(inner.iter().map(|(n, v)| (n.as_str(), v.clone()))).expect("a tuple");
            break;
        }
    }
    Value::tuple(fields.iter().map(|(n, v)| (n.as_str(), v.clone())))
        .expect("a tuple")
        .encode()
}

#[test]
fn another_shape_is_said_to_be_one() {
    let more = bent(|data| data.push(("extra".into(), Value::None)));
    assert_eq!(decode("freelance-logic", &more), Err(Reason::Shape));
    let less = bent(|data| data.retain(|(n, _)| n != "fee"));
    assert_eq!(decode("freelance-logic", &less), Err(Reason::Shape));
    let other = bent(|data| {
        data.iter_mut()
            .filter(|(n, _)| n == "fee")
            .for_each(|(_, v)| *v = Value::Bool(true))
    });
    assert_eq!(decode("freelance-logic", &other), Err(Reason::Shape));
    let raw = settled().write().expect("a tuple").encode();
    assert_eq!(decode("freelance-data", &raw), Err(Reason::Topic));
    assert_eq!(decode("somebody-else", &raw), Err(Reason::Contract));
    assert_eq!(decode("freelance-logic", &[0; 3]), Err(Reason::Envelope));
}

#[test]
fn names_are_those_of_the_contracts() {
    let logic = schema()
        .into_iter()
        .find(|c| c.contract == "freelance-logic")
        .expect("the escrow");
    let opened = logic
        .topics
        .iter()
        .find(|t| t.topic == "project-opened")
        .expect("a topic");
    assert!(opened.fields.iter().any(|(name, _)| name == "locked-after"));
}
