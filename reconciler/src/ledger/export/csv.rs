//! One posting a line, RFC 4180, with LF.

use stxworx_indexer::store::ledger::read::Booked;

/// The first line.
pub const CSV_HEADER: &str = "journal,state,kind,date,height,block,burn_height,txid,event,contract,project,line,account,\
    asset,side,amount,part,note,hash\n";

fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// The lines of these bookings.
pub fn csv(bookings: &[Booked]) -> String {
    let mut text = String::new();
    for b in bookings {
        for (number, line) in (1..).zip(&b.lines) {
            let number: i32 = number;
            let fields = [
                b.seq.to_string(),
                b.state.clone(),
                b.kind.clone(),
                b.date.clone(),
                b.height.to_string(),
                b.block.clone(),
                b.burn_height.to_string(),
                b.txid.clone(),
                b.event_key.clone(),
                b.contract.clone().unwrap_or_default(),
                b.project.clone().unwrap_or_default(),
                number.to_string(),
                line.account.clone(),
                line.asset.clone(),
                line.side.as_str().to_owned(),
                line.amount.to_string(),
                line.part.clone(),
                b.note.clone().unwrap_or_default(),
                b.hash.clone(),
            ];
            text.push_str(&fields.map(|f| field(&f)).join(","));
            text.push('\n');
        }
    }
    text
}
