//! A ledger for beancount: refused above 28 digits, which it would round; a balance is about the beginning of its day.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use stxworx_indexer::store::ledger::Side;

use super::{Books, ExportError, holder_class, tree};

/// Significant digits that beancount keeps.
const DIGITS: usize = 28;

fn component(part: &str) -> String {
    let clean = part.chars().map(|c| match c {
        'A'..='Z' | 'a'..='z' | '0'..='9' => c,
        _ => '-',
    });
    let mut clean: String = clean.collect();
    if let Some(first) = clean.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    clean
}

fn account(parts: &[String]) -> String {
    let root = match parts.first().map(String::as_str) {
        Some("external") => "Equity",
        _ => "Assets",
    };
    let parts = parts.iter().map(|p| component(p));
    std::iter::once(root.to_owned())
        .chain(parts)
        .collect::<Vec<_>>()
        .join(":")
}

fn fits(what: impl FnOnce() -> String, amount: &str) -> Result<(), ExportError> {
    if amount.trim_start_matches('-').len() > DIGITS {
        return Err(ExportError::TooLarge {
            what: what(),
            amount: amount.to_owned(),
        });
    }
    Ok(())
}

/// The day after (`YYYY-MM-DD`), by the Gregorian calendar.
pub(super) fn day_after(day: &str) -> String {
    let mut parts = day.splitn(3, '-').map(|p| p.parse::<u32>().unwrap_or(1));
    let (mut year, mut month) = (parts.next().unwrap_or(1970), parts.next().unwrap_or(1));
    let mut day = parts.next().unwrap_or(1) + 1;
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if day > days {
        (day, month) = (1, month + 1);
    }
    if month > 12 {
        (month, year) = (1, year + 1);
    }
    format!("{year:04}-{month:02}-{day:02}")
}

/// The ledger; `bean-check` must take it.
///
/// # Errors
/// When an amount or a balance has more digits than beancount keeps.
pub fn beancount(books: &Books) -> Result<String, ExportError> {
    for b in &books.bookings {
        for line in &b.lines {
            let what = || format!("a line of journal {}", b.seq);
            fits(what, &line.amount.to_string())?;
        }
    }
    for told in &books.told {
        let what = || format!("the balance of {}", told.holder);
        fits(
            what,
            &told.by_node().unwrap_or_else(|| told.counted.clone()),
        )?;
    }
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write(books, &mut text);
    Ok(text)
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn write(books: &Books, text: &mut String) -> std::fmt::Result {
    let commodities = books.commodities();
    let commodity = |asset: &str| commodities.get(asset).map_or("UNKNOWN", String::as_str);
    writeln!(
        text,
        "; The books up to height {}, block {}.",
        books.height, books.block
    )?;
    writeln!(text, "; Base units.\n")?;
    let days = books.bookings.iter().map(|b| b.date.as_str());
    let first = days.min().unwrap_or("1970-01-01");
    for (asset, name) in &commodities {
        writeln!(text, "{first} commodity {name}\n  asset: {}", quoted(asset))?;
    }
    let lines = books.bookings.iter().flat_map(|b| &b.lines);
    let mut accounts: BTreeSet<String> = lines.map(|l| account(&tree(&l.account))).collect();
    let minters = books.minters();
    let class = |who: &str| holder_class(who, minters.contains(who)).to_owned();
    let holder = |who: &str| account(&[class(who), who.to_owned()]);
    accounts.extend(books.told.iter().map(|t| holder(&t.holder)));
    for account in &accounts {
        writeln!(text, "{first} open {account}")?;
    }
    for b in &books.bookings {
        let flag = if b.state == "posted" { "*" } else { "!" };
        let narration = quoted(b.note.as_deref().unwrap_or(&b.kind));
        writeln!(text, "\n{} {flag} {narration}", b.date)?;
        writeln!(text, "  journal: {}", b.seq)?;
        writeln!(text, "  kind: {}", quoted(&b.kind))?;
        writeln!(text, "  event: {}", quoted(&b.event_key))?;
        writeln!(text, "  block: {}", quoted(&b.block))?;
        for line in &b.lines {
            let sign = match line.side {
                Side::Debit => "",
                Side::Credit => "-",
            };
            let (account, name) = (account(&tree(&line.account)), commodity(&line.asset));
            writeln!(text, "  {account}  {sign}{} {name}", line.amount)?;
        }
    }
    writeln!(text)?;
    let day = day_after(books.last_day());
    for told in &books.told {
        let (by, amount) = match told.by_node() {
            Some(amount) => ("the node", amount),
            None => ("the mirror's transfers", told.counted.clone()),
        };
        let (account, name) = (holder(&told.holder), commodity(&told.asset));
        writeln!(
            text,
            "; by {by}\n{day} balance {account}  {amount} ~ 0 {name}"
        )?;
    }
    Ok(())
}
