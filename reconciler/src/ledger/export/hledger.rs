//! A journal for hledger: exact at any size, and an assertion is about the end of its posting.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use stxworx_indexer::store::ledger::Side;

use super::{Books, holder_class, tree};

/// The journal; `hledger check --strict` must take it.
pub fn hledger(books: &Books) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write(books, &mut text);
    text
}

fn source(books: &Books) -> &'static str {
    if books.told.iter().any(|t| t.node.is_some()) {
        "the node at that block (of a token that does not tell, the mirror's transfers)"
    } else {
        "the mirror's transfers: no node was asked"
    }
}

fn write(books: &Books, text: &mut String) -> std::fmt::Result {
    let commodities = books.commodities();
    let commodity = |asset: &str| commodities.get(asset).map_or("UNKNOWN", String::as_str);
    writeln!(
        text,
        "; The books up to height {}, block {}.",
        books.height, books.block
    )?;
    writeln!(
        text,
        "; Base units. Asserted balances come from {}.\n",
        source(books)
    )?;
    writeln!(text, "decimal-mark .")?;
    for (asset, name) in &commodities {
        writeln!(text, "; {asset}\ncommodity \"{name}\"")?;
    }
    let lines = books.bookings.iter().flat_map(|b| &b.lines);
    let mut accounts: BTreeSet<String> = lines.map(|l| tree(&l.account).join(":")).collect();
    let minters = books.minters();
    let holder = |who: &str| format!("{}:{who}", holder_class(who, minters.contains(who)));
    accounts.extend(books.told.iter().map(|t| holder(&t.holder)));
    for account in &accounts {
        writeln!(text, "account {account}")?;
    }
    for b in &books.bookings {
        let status = if b.state == "posted" { "*" } else { "!" };
        writeln!(text, "\n{} {status} ({}) {}", b.date, b.seq, b.kind)?;
        writeln!(text, "    ; event:{}", b.event_key)?;
        writeln!(text, "    ; block:{} height:{}", b.block, b.height)?;
        if let Some(note) = &b.note {
            writeln!(text, "    ; note:{}", note.replace(',', ";"))?;
        }
        for line in &b.lines {
            let sign = match line.side {
                Side::Debit => "",
                Side::Credit => "-",
            };
            let (account, name) = (tree(&line.account).join(":"), commodity(&line.asset));
            writeln!(text, "    {account}    {sign}{} \"{name}\"", line.amount)?;
        }
    }
    for told in &books.told {
        let (by, amount) = match told.by_node() {
            Some(amount) => ("the node", amount),
            None => ("the mirror's transfers", told.counted.clone()),
        };
        let (account, name) = (holder(&told.holder), commodity(&told.asset));
        writeln!(text, "\n{} * balance by {by}", books.last_day())?;
        writeln!(text, "    {account}    0 \"{name}\" =* {amount} \"{name}\"")?;
    }
    Ok(())
}
