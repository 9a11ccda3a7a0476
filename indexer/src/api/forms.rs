//! The forms of parameters, in the document: what [`super::params`] and the routes check, as JSON Schema can say it.
//!
//! One table by name, so that every route that has a parameter of a name describes it in the same way.

use utoipa::openapi::path::{Operation, Parameter};
use utoipa::openapi::schema::{Object, Schema, Type};
use utoipa::openapi::{OpenApi, RefOr};
use utoipa::{Modify, Number};

use super::params::MAX_TEXT;
use super::routes::mints::STATES;
use crate::model::event::EventKind;

/// No control characters.
const PLAIN: &str = r"^[^\u0000-\u001f\u007f-\u009f]+$";
const CONTRACT: &str = "^[0-9A-Za-z]{1,128}\\.[0-9A-Za-z_\\-]{1,128}$";
const ASSET: &str = "^([sS][tT][xX]|[0-9A-Za-z]{1,128}\\.[0-9A-Za-z_\\-]{1,128})$";
/// The checksum in an address is more than a pattern can say.
const PRINCIPAL: &str = "^S[0-9A-HJKMNP-TV-Z]{28,41}(\\.[A-Za-z][0-9A-Za-z_\\-]{0,39})?$";
const TXID: &str = "^(0x)?[0-9a-fA-F]{64}$";
const AT_BLOCK: &str = "^([0-9]{1,9}|(0x)?[0-9a-fA-F]{64})$";
const BLOCK: &str = "^(latest|[0-9]{1,9}|(0x)?[0-9a-fA-F]{64})$";
const NUMBER: &str = "^[0-9]{1,38}$";
/// Unix seconds, or RFC 3339. Days that every month has: a pattern knows no calendar.
const TIME: &str = "^([0-9]{1,9}|20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z)$";
const DAY: &str = "^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])$";
const FINALITY: &str = "^(seen|final|burn_[1-9][0-9]{0,2})$";
const BREAK: &str = "^[0-9a-fA-F]{6,64}$";
/// The highest number of a row: 63 bits.
const HIGHEST_ROW: usize = usize::MAX >> 1;
const CURSOR: &str = "^[A-Za-z0-9_\\-]{1,4096}$";

/// Adds the forms to every parameter of the document that is a text without one.
pub(super) struct Forms;

impl Modify for Forms {
    fn modify(&self, document: &mut OpenApi) {
        for (path, item) in &mut document.paths.paths {
            let operations = [
                &mut item.get,
                &mut item.put,
                &mut item.post,
                &mut item.delete,
                &mut item.patch,
            ];
            for operation in operations.into_iter().flatten() {
                describe(path, operation);
            }
        }
    }
}

fn describe(path: &str, operation: &mut Operation) {
    let mut names_a_block = false;
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(Parameter { name, schema, .. }) = parameter else {
            continue;
        };
        names_a_block |= name == "at_block";
        if let Some(RefOr::T(Schema::Object(object))) = schema {
            form(path, name, object);
        }
    }
    let responses = &mut operation.responses.responses;
    if names_a_block
        && !responses.contains_key("404")
        && let Some(RefOr::T(problem)) = responses.get("400")
    {
        let mut missing = problem.clone();
        missing.description = "`not_found`: `at_block` names no mirrored block".to_owned();
        responses.insert("404".to_owned(), RefOr::T(missing));
    }
}

fn form(path: &str, name: &str, object: &mut Object) {
    if object.schema_type == Type::Integer.into() && object.maximum.is_none() {
        // Numbers are read up to 64 bits, without a sign.
        object.format = None;
        if path.contains("/webhooks/") {
            object.minimum = Some(Number::UInt(1));
        }
        let of_a_row = path.contains("/webhooks/");
        let highest = if of_a_row { HIGHEST_ROW } else { usize::MAX };
        object.maximum = Some(Number::UInt(highest));
    }
    let is_free = object.pattern.is_none() && object.enum_values.is_none();
    if object.schema_type != Type::String.into() || !is_free {
        return;
    }
    if name == "type" && path.ends_with("/events") {
        let names = EventKind::ALL.iter().map(|kind| kind.as_str().into());
        object.enum_values = Some(names.collect());
        return;
    }
    if name == "state" && path.ends_with("/mints") {
        object.enum_values = Some(STATES.map(Into::into).into());
        return;
    }
    let pattern = pattern(path, name);
    if pattern == PLAIN {
        object.min_length = Some(1);
        object.max_length = Some(MAX_TEXT);
    }
    object.pattern = Some(pattern.to_owned());
}

fn pattern(path: &str, name: &str) -> &'static str {
    match name {
        "contract" => CONTRACT,
        "period" => "^(open|[1-9][0-9]{0,8})$",
        "format" => "^(json|html)$",
        "kind" if path.ends_with("/ledger") => {
            "^(deposit|settlement|cancellation|spend|trial|unattributed|outflow|network_fee|reversal)$"
        }
        "state" if path.ends_with("/ledger") => "^(pending|posted|void)$",
        "project" => NUMBER,
        "id" if path.contains("/contracts/") => CONTRACT,
        "id" if path.contains("/blocks/") => BLOCK,
        "id" if path.contains("/breaks/") => BREAK,
        "id" if path.contains("/keys/") => "^[0-9a-fA-F]{16}$",
        "file" if path.contains("/images/") => "^[0-9]{1,9}\\.svg$",
        "file" if path.contains("/metadata/") => "^[0-9]{1,9}\\.json$",
        "file" => "^[a-z]{1,32}\\.(js|css|svg)$",
        "id" if path.contains("/mints/") => "^[1-9][0-9]{0,17}$",
        "kind" if path.ends_with("/mints") => "^[0-9]{1,9}$",
        "state" if path.ends_with("/breaks") => "^(suspected|open|acknowledged|resolved)$",
        "status" if path.ends_with("/disputes") => "^(open|ruled)$",
        "status" if path.ends_with("/settlements") => "^(settled|offered)$",
        "cause" => "^(release|timeout|expired|ruling|stale|settle)$",
        "min_total" | "max_total" => "^[0-9]{1,39}$",
        "from" | "to" => DAY,
        "delivery" => "^[0-9]{1,9}\\.[0-9]{1,9}$",
        "severity" => "^(low|medium|high|critical)$",
        "fault" => "^(node|mirror|platform)$",
        "role" => "^(freelancer|client)$",
        "at_time" | "opened_from" | "opened_to" => TIME,
        "min_finality" => FINALITY,
        "id" => NUMBER,
        "asset" => ASSET,
        "client" | "freelancer" | "arbiter" | "participant" | "owner" | "treasury"
        | "principal" | "recipient" => PRINCIPAL,
        "txid" => TXID,
        "at_block" => AT_BLOCK,
        "cursor" => CURSOR,
        _ => PLAIN,
    }
}
