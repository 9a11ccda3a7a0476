//! The rules that the database holds about mints: each refuses something, and each is missed when it is gone.

use std::collections::BTreeSet;

use stxworx_indexer::store::{self, Access};

use crate::support::db::TestDb;
use crate::support::guards::{attempt, guards, raw};
use crate::support::run;

/// Guards that another one stands behind, so that nothing is missed when they alone are gone.
const DOUBLED: &[(&str, &str)] = &[
    (
        "intent_tells",
        "refuses nothing; a test of its own misses it",
    ),
    (
        "intent_state",
        "message_kind knows the states, and a message is written of each",
    ),
    (
        "intent_stays",
        "an intent has a history, which refers to it",
    ),
    ("slot_lane", "slot_begins finds no lane"),
    (
        "attempt_kind",
        "attempt_payload and attempt_noop know two kinds",
    ),
    ("mint_event_pkey", "event_by_intent_only lets no row in"),
    ("event_intent", "event_by_intent_only lets no row in"),
    ("event_who", "the intent's trigger names somebody"),
    (
        "event_is_told",
        "refuses nothing; a test of messages misses it",
    ),
    (
        "retraction_is_told",
        "refuses nothing; a test of messages misses it",
    ),
    (
        "pause_is_told",
        "refuses nothing; a test of messages misses it",
    ),
    (
        "message_wakes",
        "refuses nothing; what it wakes looks by itself",
    ),
    (
        "mint_message_pkey",
        "message_by_trigger_only lets no row in",
    ),
    ("message_tag", "message_by_trigger_only lets no row in"),
    ("message_kind", "message_by_trigger_only lets no row in"),
    ("message_intent", "message_by_trigger_only lets no row in"),
    ("message_subject", "message_by_trigger_only lets no row in"),
];

const TABLES: &str = "('mint_award', 'mint_intent', 'mint_lane', 'nonce_slot', 'tx_attempt', 'tx_send', 'mint_effect', \
                      'mint_line', 'mint_pause', 'mint_approval', 'mint_event', 'mint_message')";

const CONTRACT: &str = "ST2.freelance-badges";

/// 32 bytes of this value, as SQL.
fn b32(byte: u8) -> String {
    format!("decode(repeat('{byte:02x}', 32), 'hex')")
}

fn award(recipient: &str, kind: &str, seq: i32) -> String {
    format!(
        "insert into mint_award (contract, recipient, kind, award_seq, evidence, evidence_hash)
         values ('{CONTRACT}', '{recipient}', {kind}, {seq}, '{{}}', sha256('{{}}'));"
    )
}

fn intent(award: i64, state: &str) -> String {
    format!("insert into mint_intent (award_id, state, reason) values ({award}, '{state}', 'r');")
}

fn go(intent: i64, state: &str) -> String {
    format!("update mint_intent set state = '{state}', reason = 'r' where id = {intent};")
}

/// Takes the next nonce, which is this one, for an intent or a noop.
fn reserve(nonce: i64, intent: &str) -> String {
    format!(
        "update mint_lane set next_nonce = {nonce} + 1 where sender = 'ST1';
         insert into nonce_slot (sender, nonce, intent_id, epoch) values ('ST1', {nonce}, {intent}, 3);"
    )
}

/// Lowers the lane's first nonce to `base`, with a slot for `nonce`.
fn lower(base: i64, nonce: i64) -> String {
    format!(
        "update mint_lane set base_nonce = {base} where sender = 'ST1';
         insert into nonce_slot (sender, nonce, epoch) values ('ST1', {nonce}, 3);"
    )
}

fn attempt_of(txid: u8, nonce: i64, intent: &str, fee: &str) -> String {
    let kind = if intent == "null" { "noop" } else { "mint" };
    format!(
        "insert into tx_attempt (txid, sender, nonce, kind, intent_id, fee, fee_cap, raw_tx, epoch, signed_height)
         values ({}, 'ST1', {nonce}, '{kind}', {intent}, {fee}, 1000, '\\x00', 3, 9);",
        b32(txid)
    )
}

fn sign(txid: u8, nonce: i64, intent: &str, fee: &str) -> String {
    format!(
        "{}update nonce_slot set state = 'live' where sender = 'ST1' and nonce = {nonce} and state = 'reserved';",
        attempt_of(txid, nonce, intent, fee)
    )
}

/// What the slot was seen with: a transaction in a block at Bitcoin height 50.
fn seen(txid: u8, verdict: &str) -> String {
    format!(
        "by_txid = {}, by_block = {}, by_height = 10, by_burn_height = 50, by_verdict = '{{\"verdict\": \"{verdict}\"}}'",
        b32(txid),
        b32(0xB0)
    )
}

fn in_block(nonce: i64, txid: u8) -> String {
    format!(
        "update nonce_slot set {} where sender = 'ST1' and nonce = {nonce};",
        seen(txid, "success")
    )
}

fn consumed(nonce: i64, txid: u8, verdict: &str, minted: bool) -> String {
    format!(
        "update nonce_slot set state = 'consumed', {}, seen_burn_height = 56, minted = {minted}
         where sender = 'ST1' and nonce = {nonce};",
        seen(txid, verdict)
    )
}

fn dead(nonce: i64, txid: u8, of: &str, known: i64) -> String {
    format!(
        "update nonce_slot set state = 'dead', {}, seen_burn_height = {known}, died_of = '{of}'
         where sender = 'ST1' and nonce = {nonce};",
        seen(txid, "odd")
    )
}

fn effect(intent: i64, txid: u8) -> String {
    format!(
        "insert into mint_effect (intent_id, kind, txid, badge_id) values ({intent}, 'minted', {}, 1);",
        b32(txid)
    )
}

fn line(id: &str, kind: &str, intent: i64) -> String {
    format!(
        "insert into mint_line (id, kind, intent_id, sender, body) values ('{id}', '{kind}', {intent}, 'ST1', '{{}}');"
    )
}

/// Intents: 1 queued; 2 submitting in slot 5; 3 paid in slot 6; 4 cancelled, since a noop took slot 7; 5 held in slot 8,
/// where nothing is signed; 6 in review, its slot 9 failed. Slot 10 is a stranger's, slot 11 was let go. Award 7 has no
/// intent; lane ST9 has nothing.
async fn base(db: &TestDb) {
    let mut sql = String::from("begin;");
    for (recipient, kind) in [
        ("ST3", "1"),
        ("ST3", "2"),
        ("ST4", "1"),
        ("ST4", "2"),
        ("ST5", "1"),
        ("ST5", "2"),
        ("ST6", "1"),
    ] {
        sql += &award(recipient, kind, 1);
    }
    for award in 1..=6 {
        sql += &intent(award, "queued");
    }
    sql += "insert into mint_lane (sender, contract, base_nonce, next_nonce, epoch, holder, expires_at, final_after,
                fee_budget)
            values ('ST1', 'ST2.freelance-badges', 5, 5, 3, 'h', now(), 6, 2000),
                   ('ST9', 'ST2.freelance-badges', 0, 0, 1, 'h', now(), 6, null);";
    sql += &(reserve(5, "2") + &sign(0xA5, 5, "2", "100") + &go(2, "submitting"));
    sql +=
        &(reserve(6, "3") + &sign(0xA6, 6, "3", "100") + &in_block(6, 0xA6) + &go(3, "included"));
    sql += &(consumed(6, 0xA6, "success", true) + &effect(3, 0xA6) + &go(3, "final_ok"));
    sql += &(reserve(7, "4") + &sign(0xA7, 7, "4", "100") + &sign(0xC7, 7, "null", "101"));
    sql += &(consumed(7, 0xC7, "success", false) + &go(4, "cancelled"));
    sql += &(reserve(8, "5") + &go(5, "held"));
    sql += &(reserve(9, "6")
        + &sign(0xA9, 9, "6", "100")
        + &consumed(9, 0xA9, "aborted", false)
        + &go(6, "review"));
    sql += &(reserve(10, "null") + &dead(10, 0xF0, "foreign", 56));
    sql += &(reserve(11, "1") + "update nonce_slot set intent_id = null where nonce = 11;");
    sql += &(line("mint-3-0", "minted", 3) + &line("mint-9", "minted", 3));
    sql += &format!(
        "update mint_line set told_at = now() where id = 'mint-9';
         insert into mint_effect (intent_id, kind) values (6, 'satisfied_elsewhere');
         update mint_effect set taken_back_at = now() where intent_id = 6;
         insert into tx_send (txid, node, answer, said, ambiguous) values ({}, 0, 'accepted', '{{}}', false);
         insert into mint_pause (scope, reason, author) values ('global', 'manual', 'ann'), ('global', 'budget', 'minter');
         update mint_pause set lifted_at = now(), lifted_by = 'ann' where id = 2;
         insert into mint_approval (intent_id, author) values (1, 'ann');
         commit;",
        b32(0xA5)
    );
    db.sql(sql).await;
}

const TAKE_BACK: &str = "update mint_effect set taken_back_at = now() where intent_id = 3;";

/// A slot's columns as they are while nothing of it is in a block.
const CLEAR: &str =
    "state = 'live', by_txid = null, by_block = null, by_height = null, by_burn_height = null,
    by_verdict = null, seen_burn_height = null, died_of = null, minted = false, left_final = false";

/// What the next steps would do: each must be taken.
fn taken() -> Vec<String> {
    vec![
        award("ST6", "9", 1),
        award("ST4", "1", 2),
        intent(7, "eligible"),
        lower(4, 4),
        "update mint_lane set next_nonce = 0 where sender = 'ST9'".into(),
        reserve(12, "1") + &go(1, "submitting"),
        sign(0xE5, 5, "2", "101"),
        sign(0xE5, 5, "null", "101"),
        sign(0xE8, 8, "5", "100"),
        sign(0xEB, 11, "null", "100"),
        // The day's fees are 401 of 2000. Of a slot the dearest counts, and nothing of yesterday's.
        sign(0xE8, 8, "5", "1000") + &sign(0xEB, 11, "null", "599"),
        sign(0xE5, 5, "2", "1000") + &sign(0xE8, 8, "5", "699"),
        sign(0xE8, 8, "5", "1000")
            .replace("signed_height)", "signed_height, signed_at)")
            .replace("3, 9)", "3, 9, now() - interval '25 hours')")
            + &sign(0xEB, 11, "null", "1000"),
        in_block(5, 0xA5) + &go(2, "included"),
        in_block(5, 0xA5)
            + &format!("update nonce_slot set {CLEAR} where nonce = 5;")
            + &go(2, "submitting"),
        consumed(5, 0xA5, "success", true) + &effect(2, 0xA5) + &go(2, "final_ok"),
        consumed(5, 0xA5, "aborted", false) + &go(2, "final_failed"),
        consumed(5, 0xA5, "aborted", false) + &go(2, "queued") + &reserve(12, "2"),
        dead(5, 0xF5, "foreign", 56) + &go(2, "queued"),
        "update nonce_slot set left_final = true where nonce = 6".into(),
        TAKE_BACK.to_owned()
            + &format!("update nonce_slot set {CLEAR} where nonce = 6;")
            + &go(3, "submitting"),
        go(6, "queued") + &reserve(12, "6"),
        go(4, "queued"),
        "update mint_line set told_at = now() where id = 'mint-3-0'".into(),
        "update mint_pause set lifted_at = now(), lifted_by = 'bob' where id = 1".into(),
        "insert into mint_pause (scope, reason, author) values ('global', 'budget', 'minter')"
            .into(),
    ]
}

/// Everything that has to be refused, by name.
fn refused() -> Vec<(&'static str, String)> {
    let mut all = of_awards();
    all.extend(of_lanes());
    all.extend(of_slots());
    all.extend(of_transactions());
    all.extend(of_effects());
    all.extend(of_people());
    all
}

fn of_awards() -> Vec<(&'static str, String)> {
    let with = |from: &str, to: &str| award("ST6", "8", 1).replace(from, to);
    vec![
        ("an award of no contract", with(CONTRACT, "ST2")),
        ("an award to nobody", with("ST6", "somebody")),
        ("a kind below nothing", award("ST6", "-1", 1)),
        (
            "a kind past 64 bits",
            award("ST6", "18446744073709551616", 1),
        ),
        ("an award before the first", award("ST6", "8", 0)),
        (
            "evidence of another hash",
            with("sha256('{}')", "sha256('x')"),
        ),
        ("an award twice", award("ST6", "1", 1)),
        (
            "a number of an award twice",
            with("(contract, ", "(id, contract, ")
                .replace("values (", "overriding system value values (1, "),
        ),
        ("an award behind one that is not paid", award("ST3", "1", 2)),
        ("an award behind none", award("ST6", "8", 2)),
        (
            "change an award",
            "update mint_award set kind = 9 where id = 7".into(),
        ),
        (
            "delete an award",
            "delete from mint_award where id = 7".into(),
        ),
        ("truncate the awards", "truncate mint_award cascade".into()),
        ("an intent of no award", intent(99, "queued")),
        ("an award with two intents", intent(1, "queued")),
        (
            "a number of an intent twice",
            intent(7, "queued")
                .replace("(award_id", "(id, award_id")
                .replace("values (", "overriding system value values (1, "),
        ),
        ("an intent in no state", intent(7, "lost")),
        ("an intent that is born paid", intent(7, "included")),
        (
            "a reason that is no word",
            intent(7, "held").replace("'r'", "'No reason!'"),
        ),
        (
            "given up by nobody",
            "update mint_intent set cancel_by = '' where id = 1".into(),
        ),
        (
            "fewer failures than none",
            "update mint_intent set failures = -1 where id = 1".into(),
        ),
        (
            "fewer retractions than none",
            "update mint_intent set retractions = -1 where id = 1".into(),
        ),
        (
            "an intent for another award",
            "update mint_intent set award_id = 7 where id = 1".into(),
        ),
        ("take a payment back", go(3, "queued")),
        ("begin again", go(1, "eligible")),
        ("paid without an effect", go(2, "final_ok")),
        ("on its way without a slot", go(1, "submitting")),
        ("in a block without a slot", go(6, "included")),
        ("cancelled with bytes in the open", go(2, "cancelled")),
        (
            "delete an intent",
            "delete from mint_intent where id = 1".into(),
        ),
        (
            "truncate the intents",
            "truncate mint_intent cascade".into(),
        ),
    ]
}

fn of_lanes() -> Vec<(&'static str, String)> {
    let lane = |values: &str| {
        format!(
            "insert into mint_lane (sender, contract, base_nonce, next_nonce, final_after, holder, expires_at)
             values ({values}, 'h', now())"
        )
    };
    let set = |what: &str| format!("update mint_lane set {what} where sender = 'ST1'");
    vec![
        ("a lane twice", lane("'ST9', 'c', 0, 0, 6")),
        ("a lane of nobody", lane("'x', 'c', 0, 0, 6")),
        ("a lane below nonce 0", lane("'ST8', 'c', -1, -1, 6")),
        ("a lane that is final at once", lane("'ST8', 'c', 0, 0, 0")),
        (
            "a lane that is behind its beginning",
            lane("'ST8', 'c', 5, 4, 6"),
        ),
        (
            "a nonce before the lane is open",
            lane("'ST8', 'c', null, 4, 6"),
        ),
        (
            "a lane with nonces that nobody has",
            lane("'ST8', 'c', 5, 6, 6"),
        ),
        ("a budget below nothing", set("fee_budget = -1")),
        ("begin lower without slots", set("base_nonce = 4")),
        ("begin higher", set("base_nonce = 6")),
        ("begin lower with a hole", lower(3, 3)),
        (
            "begin lower with a mint",
            lower(4, 4).replace(
                "(sender, nonce, epoch) values ('ST1', 4, 3)",
                "(sender, nonce, epoch, intent_id) values ('ST1', 4, 3, 1)",
            ),
        ),
        (
            "begin lower by a later lease",
            lower(4, 4).replace("4, 3)", "4, 4)"),
        ),
        ("begin again", set("base_nonce = null")),
        ("mint elsewhere", set("contract = 'ST3.freelance-badges'")),
        (
            "give nonces back",
            "update mint_lane set next_nonce = 11 where sender = 'ST1'".into(),
        ),
        ("an older lease", set("epoch = epoch - 1")),
        ("a nonce without a slot", set("next_nonce = next_nonce + 1")),
        (
            "delete a lane",
            "delete from mint_lane where sender = 'ST9'".into(),
        ),
        ("truncate the lanes", "truncate mint_lane cascade".into()),
    ]
}

fn of_slots() -> Vec<(&'static str, String)> {
    let mut all = of_begun_slots();
    all.extend(of_ended_slots());
    all
}

fn of_begun_slots() -> Vec<(&'static str, String)> {
    vec![
        (
            "a slot of no lane",
            "insert into nonce_slot (sender, nonce, epoch) values ('ST8', 0, 1)".into(),
        ),
        ("a slot of no intent", reserve(12, "99")),
        (
            "a slot twice",
            "insert into nonce_slot (sender, nonce, intent_id, epoch) values ('ST1', 5, 1, 3)"
                .into(),
        ),
        ("a second slot of an intent", reserve(12, "2")),
        ("a slot of what was paid", reserve(12, "3")),
        (
            "a slot by an older lease",
            reserve(12, "1").replace(", 3);", ", 2);"),
        ),
        (
            "a slot that was not reserved",
            "insert into nonce_slot (sender, nonce, epoch) values ('ST1', 12, 3)".into(),
        ),
        ("a slot behind a hole", reserve(13, "1")),
        (
            "a slot before the first",
            reserve(12, "1").replace("'ST1', 12", "'ST1', 4"),
        ),
        (
            "a slot that is born live",
            reserve(12, "1")
                .replace("epoch)", "epoch, state)")
                .replace(", 3);", ", 3, 'live');"),
        ),
        (
            "twenty-one in flight",
            (12..=29).map(|nonce| reserve(nonce, "null")).collect(),
        ),
        (
            "a slot in no state",
            "update nonce_slot set state = 'lost' where nonce = 8".into(),
        ),
        (
            "another mint in a slot",
            "update nonce_slot set intent_id = 1 where nonce = 8".into(),
        ),
        (
            "a mint in a slot that was let go",
            "update nonce_slot set intent_id = 1 where nonce = 11".into(),
        ),
        (
            "a signed mint is let go",
            "update nonce_slot set intent_id = null where nonce = 5".into(),
        ),
        (
            "a live slot is unsigned",
            "update nonce_slot set state = 'reserved' where nonce = 5".into(),
        ),
        (
            "a death of a live slot",
            "update nonce_slot set died_of = 'foreign' where nonce = 5".into(),
        ),
        (
            "left what was never final",
            "update nonce_slot set left_final = true where nonce = 5".into(),
        ),
        (
            "minted in a live slot",
            "update nonce_slot set minted = true where nonce = 5".into(),
        ),
        ("evidence of nothing signed", in_block(8, 0xA5)),
        (
            "delete a slot",
            "delete from nonce_slot where nonce = 8".into(),
        ),
        ("truncate the slots", "truncate nonce_slot cascade".into()),
    ]
}

fn of_ended_slots() -> Vec<(&'static str, String)> {
    let foreign = || dead(8, 0xF1, "foreign", 56);
    let mint = || consumed(5, 0xA5, "success", true);
    vec![
        (
            "a dead slot lives",
            format!("update nonce_slot set {CLEAR} where nonce = 10"),
        ),
        (
            "consumed by nothing",
            "update nonce_slot set state = 'consumed' where nonce = 5".into(),
        ),
        (
            "consumed by nothing, at some height",
            "update nonce_slot set state = 'consumed', seen_burn_height = 9 where nonce = 5".into(),
        ),
        (
            "consumed by a stranger",
            consumed(5, 0xF1, "aborted", false),
        ),
        ("in a block with a stranger", in_block(5, 0xF1)),
        (
            "consumed by another slot's",
            consumed(5, 0xA9, "aborted", false),
        ),
        ("minted by a failure", consumed(5, 0xA5, "aborted", true)),
        (
            "a mint that nobody counts",
            consumed(5, 0xA5, "success", false),
        ),
        ("minted by who knows what", consumed(5, 0xA5, "odd", true)),
        (
            "consumed before it is final",
            mint().replace("seen_burn_height = 56", "seen_burn_height = 55"),
        ),
        (
            "consumed, who knows when",
            mint().replace("seen_burn_height = 56", "seen_burn_height = null"),
        ),
        (
            "evidence without a block",
            foreign().replace(&b32(0xB0), "null"),
        ),
        (
            "evidence with a short txid",
            foreign().replace(&b32(0xF1), "'\\xf1'"),
        ),
        (
            "evidence with a short block",
            foreign().replace(&b32(0xB0), "'\\xb0'"),
        ),
        ("a death of no kind", dead(8, 0xF1, "boredom", 56)),
        ("a death by our own", dead(5, 0xA5, "foreign", 56)),
        ("a death that is not final", dead(8, 0xF1, "foreign", 55)),
        (
            "an accepted death with a cause",
            dead(8, 0xF1, "accepted", 56)
                .replace("seen_burn_height = 56", "seen_burn_height = null"),
        ),
        ("a death of what was paid", dead(6, 0xF1, "foreign", 56)),
        (
            "what was paid is open again",
            format!("update nonce_slot set {CLEAR} where nonce = 6"),
        ),
    ]
}

fn of_transactions() -> Vec<(&'static str, String)> {
    let fresh = || sign(0xE8, 8, "5", "100");
    vec![
        ("a transaction twice", sign(0xA5, 8, "5", "100")),
        ("a short txid", fresh().replace(&b32(0xE8), "'\\xe8'")),
        (
            "an attempt of no kind",
            fresh()
                .replace("'mint'", "'gift'")
                .replace(", 5, 100", ", null, 100"),
        ),
        ("a fee below nothing", sign(0xE8, 8, "5", "-1")),
        ("an attempt past the cap", sign(0xE8, 8, "5", "1001")),
        (
            "fees past the day's budget",
            sign(0xE8, 8, "5", "1000") + &sign(0xEB, 11, "null", "600"),
        ),
        ("an attempt of no bytes", fresh().replace("'\\x00'", "''")),
        ("a noop with an intent", fresh().replace("'mint'", "'noop'")),
        (
            "a mint without an intent",
            sign(0xE8, 8, "null", "100").replace("'noop'", "'mint'"),
        ),
        (
            "an attempt without a slot",
            attempt_of(0xE8, 99, "null", "100"),
        ),
        ("a mint in another's slot", sign(0xE8, 8, "1", "100")),
        (
            "a mint in a slot that was let go, signed",
            sign(0xE8, 11, "1", "200"),
        ),
        (
            "signed by an older lease",
            fresh().replace("'\\x00', 3", "'\\x00', 2"),
        ),
        ("signed in a dead slot", sign(0xE8, 10, "null", "200")),
        ("signed in a consumed slot", sign(0xE8, 7, "null", "200")),
        ("the same fee again", sign(0xE8, 5, "2", "100")),
        ("a lower fee", sign(0xE8, 5, "null", "99")),
        (
            "a mint after a noop",
            sign(0xE8, 5, "null", "101") + &sign(0xE9, 5, "2", "102"),
        ),
        (
            "bytes in a slot that says it has none",
            attempt_of(0xE8, 8, "5", "100"),
        ),
        (
            "change signed bytes",
            "update tx_attempt set raw_tx = '\\x01' where nonce = 5".into(),
        ),
        (
            "delete signed bytes",
            "delete from tx_attempt where kind = 'noop'".into(),
        ),
        (
            "truncate the attempts",
            "truncate tx_attempt cascade".into(),
        ),
        (
            "a number of a sending twice",
            send(0xA5, "0, 'accepted'")
                .replace("(txid", "(id, txid")
                .replace("values (", "overriding system value values (1, "),
        ),
        ("sent what was never signed", send(0xF9, "0, 'accepted'")),
        ("sent to nobody", send(0xA5, "-1, 'accepted'")),
        ("an answer that is no word", send(0xA5, "0, 'All fine!'")),
        ("change an answer", "update tx_send set answer = 'x'".into()),
        ("delete an answer", "delete from tx_send".into()),
        ("truncate the answers", "truncate tx_send".into()),
    ]
}

fn send(txid: u8, how: &str) -> String {
    format!(
        "insert into tx_send (txid, node, answer, said, ambiguous) values ({}, {how}, '{{}}', false)",
        b32(txid)
    )
}

fn of_effects() -> Vec<(&'static str, String)> {
    let elsewhere =
        |values: &str| format!("insert into mint_effect (intent_id, kind, txid) values ({values})");
    vec![
        (
            "a number of an effect twice",
            elsewhere("1, 'satisfied_elsewhere', null")
                .replace("(intent_id", "(id, intent_id")
                .replace("values (", "overriding system value values (1, "),
        ),
        ("two effects", elsewhere("3, 'satisfied_elsewhere', null")),
        ("an effect of another's transaction", effect(1, 0xA6)),
        ("an effect of what failed", effect(6, 0xA9)),
        ("an effect of what is not in a block", effect(2, 0xA5)),
        (
            "an effect of no intent",
            elsewhere("99, 'satisfied_elsewhere', null"),
        ),
        ("an effect of no kind", elsewhere("1, 'wish', null")),
        (
            "an effect with a short txid",
            elsewhere("1, 'satisfied_elsewhere', '\\x01'"),
        ),
        (
            "change an effect",
            "update mint_effect set badge_id = 2 where intent_id = 3".into(),
        ),
        (
            "take an effect back twice",
            "update mint_effect set taken_back_at = now() where intent_id = 6".into(),
        ),
        (
            "an effect that comes back",
            "update mint_effect set taken_back_at = null where intent_id = 6".into(),
        ),
        ("delete an effect", "delete from mint_effect".into()),
        ("truncate the effects", "truncate mint_effect".into()),
        (
            "a number of a line twice",
            line("other", "minted", 3)
                .replace("(id,", "(seq, id,")
                .replace("values (", "overriding system value values (1, "),
        ),
        ("a line twice", line("mint-9", "minted", 3)),
        ("a line without a name", line("", "minted", 3)),
        ("a line of no kind", line("other", "sung", 3)),
        ("a line about nothing", line("other", "minted", 99)),
        (
            "a line of no lane",
            line("other", "minted", 3).replace("'ST1'", "'ST8'"),
        ),
        (
            "change a line",
            "update mint_line set body = '1' where id = 'mint-3-0'".into(),
        ),
        (
            "told twice",
            "update mint_line set told_at = now() where id = 'mint-9'".into(),
        ),
        ("delete a line", "delete from mint_line".into()),
        ("truncate the lines", "truncate mint_line".into()),
    ]
}

fn of_people() -> Vec<(&'static str, String)> {
    let pause = |values: &str| {
        format!("insert into mint_pause (scope, subject, reason, author) values ({values})")
    };
    let set = |what: &str| format!("update mint_pause set {what}");
    vec![
        (
            "a number of a pause twice",
            "insert into mint_pause (id, scope, reason, author) overriding system value
             values (1, 'global', 'other', 'ann')"
                .into(),
        ),
        ("a pause of no scope", pause("'moon', 'x', 'manual', 'ann'")),
        ("a pause of everything and of something", pause("'global', 'x', 'manual', 'ann'")),
        ("a pause of a lane without a name", pause("'lane', '', 'manual', 'ann'")),
        ("a pause for no reason", pause("'lane', 'ST1', '', 'ann'")),
        ("a pause by nobody", pause("'lane', 'ST1', 'manual', ''")),
        ("a pause twice", pause("'global', '', 'manual', 'bob'")),
        ("lifted by nobody", set("lifted_at = now(), lifted_by = '' where id = 1")),
        ("lifted, who knows by whom", set("lifted_at = now() where id = 1")),
        ("another reason", set("reason = 'other' where id = 1")),
        ("lifted twice", set("lifted_by = 'bob' where id = 2")),
        ("a pause that comes back", set("lifted_by = null, lifted_at = null where id = 2")),
        ("delete a pause", "delete from mint_pause".into()),
        ("truncate the pauses", "truncate mint_pause".into()),
        ("approved twice", "insert into mint_approval values (1, 'bob')".into()),
        ("approved what is not there", "insert into mint_approval values (99, 'bob')".into()),
        ("approved by nobody", "insert into mint_approval values (2, '')".into()),
        ("change an approval", "update mint_approval set author = 'bob'".into()),
        ("delete an approval", "delete from mint_approval".into()),
        ("truncate the approvals", "truncate mint_approval".into()),
        (
            "make history up",
            "insert into mint_event (intent_id, who, to_state, note) values (1, 'bob', 'final_ok', '')".into(),
        ),
        ("change history", "update mint_event set who = 'bob'".into()),
        ("delete history", "delete from mint_event".into()),
        ("truncate history", "truncate mint_event".into()),
        (
            "make a message up",
            "insert into mint_message (kind, body) values ('paused', '{}')".into(),
        ),
        ("change a message", "update mint_message set body = '{}'".into()),
        ("delete a message", "delete from mint_message".into()),
        ("truncate the messages", "truncate mint_message".into()),
    ]
}

#[test]
fn each_guard_refuses_something_that_nothing_else_refuses() {
    run(async {
        let db = TestDb::new().await;
        base(&db).await;
        let mut tx = db.pool.begin().await.unwrap();
        for sql in taken() {
            attempt(&mut tx, &sql)
                .await
                .unwrap_or_else(|e| panic!("{sql}: {e}"));
        }
        let statements = refused();
        for (name, sql) in &statements {
            assert!(attempt(&mut tx, sql).await.is_err(), "{name} was taken");
        }
        tx.rollback().await.unwrap();
        let guards = guards(&db, TABLES).await;
        assert!(guards.len() > 80, "{guards:?}");
        let (mut unmissed, mut missed) = (BTreeSet::new(), BTreeSet::new());
        for (guard, removal) in &guards {
            let mut tx = db.pool.begin().await.unwrap();
            raw(&mut tx, removal.clone()).await.unwrap();
            let before = missed.len();
            for (name, sql) in &statements {
                if attempt(&mut tx, sql).await.is_ok() {
                    missed.insert((guard.as_str(), *name));
                }
            }
            tx.rollback().await.unwrap();
            if missed.len() == before {
                unmissed.insert(guard.as_str());
            }
        }
        let doubled: BTreeSet<&str> = DOUBLED.iter().map(|(name, _)| *name).collect();
        assert_eq!(
            unmissed, doubled,
            "guards without a statement that needs them"
        );
        println!(
            "{} guards, {} statements, {} pairs",
            guards.len(),
            statements.len(),
            missed.len()
        );
        db.drop().await;
    });
}

#[test]
fn an_intent_tells_its_history_itself() {
    run(async {
        let db = TestDb::new().await;
        base(&db).await;
        let told = |intent: i64| {
            let query = format!(
                "select string_agg(concat_ws(' ', who, from_state, to_state), ', ' order by id) from mint_event
                 where intent_id = {intent}"
            );
            let db = &db;
            async move { db.text(query).await.unwrap() }
        };
        assert_eq!(
            told(3).await,
            "minter queued, minter queued included, minter included final_ok"
        );
        db.sql("begin; set local stxworx.who = 'ann'; update mint_intent set state = 'queued' where id = 6; commit")
            .await;
        assert!(told(6).await.ends_with("ann review queued"));
        db.sql("update mint_intent set note = 'x' where id = 6")
            .await;
        assert!(
            told(6).await.ends_with("ann review queued"),
            "nothing happened to it"
        );
        db.drop().await;
    });
}

#[test]
fn the_role_that_mints_cannot_get_round_the_guards() {
    run(async {
        let db = TestDb::new().await;
        base(&db).await;
        let url = format!("{}&options=-c%20role=stxworx_writer", db.url);
        let pool = store::pool(&url, Access::Write, 1).unwrap();
        let as_writer = |sql: String| {
            let pool = pool.clone();
            async move {
                sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
                    .execute(&pool)
                    .await
                    .map(|_| ())
            }
        };
        as_writer(format!("begin; {} commit", sign(0xE8, 8, "5", "100")))
            .await
            .unwrap();
        as_writer(go(5, "submitting")).await.unwrap();
        for statement in [
            "update tx_attempt set fee = 1",
            "delete from tx_attempt",
            "update mint_award set kind = 9",
            "truncate nonce_slot",
            "delete from mint_event",
            "insert into mint_event (intent_id, who, to_state, note) values (1, 'x', 'dead', '')",
            "update mint_pause set note = 'x'",
            "insert into mint_message (kind, body) values ('paused', '{}')",
            "delete from mint_message",
            "select mint_message_of('minted', 1, null, 'final_ok', null)",
            "alter table nonce_slot disable trigger all",
            "set session_replication_role = replica",
        ] {
            let refused = as_writer(statement.into()).await.unwrap_err().to_string();
            let by_rights =
                refused.contains("permission denied") || refused.contains("must be owner");
            assert!(by_rights, "{statement}: {refused}");
        }
        for statement in [
            "update tx_attempt set fee = 1",
            "delete from nonce_slot where nonce = 8",
        ] {
            let mut tx = db.pool.begin().await.unwrap();
            let owner = format!("set local session_replication_role = replica; {statement}");
            let refused = raw(&mut tx, owner).await.unwrap_err();
            assert!(
                refused.contains("only appended to"),
                "{statement}: {refused}"
            );
        }
        pool.close().await;
        db.drop().await;
    });
}
