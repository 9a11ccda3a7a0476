//! `stxworx ledger dao`.

use std::fmt::Write as _;

use clap::Args;
use stxworx_indexer::books::income::IncomeRow;
use stxworx_indexer::books::{self, DaoView};
use stxworx_indexer::store::Pool;
use stxworx_indexer::store::ledger::dao::Days;
use stxworx_indexer::store::ledger::seal;

use super::{LedgerError, say};
use crate::cli::Outcome;
use crate::post::OutputFormat;

/// Options of `ledger dao`.
#[derive(Debug, Args)]
pub struct DaoArgs {
    /// First day (YYYY-MM-DD, UTC), by the time of the Bitcoin blocks.
    #[arg(long, value_name = "DATE")]
    pub from: Option<String>,
    /// Last day.
    #[arg(long, value_name = "DATE")]
    pub to: Option<String>,
    /// How the result is printed.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
}

pub(super) async fn dao(pool: &Pool, args: &DaoArgs) -> Result<Outcome, LedgerError> {
    for day in args.from.iter().chain(&args.to) {
        if !super::close::is_day(day) {
            return Err(LedgerError::Refused(format!(
                "{day:?} is no day; write 2026-11-30"
            )));
        }
    }
    let days = Days {
        from: args.from.clone(),
        to: args.to.clone(),
    };
    let mut snapshot = seal::snapshot(pool).await?;
    let view = books::view(&mut snapshot, days).await?;
    drop(snapshot);
    say(args.output, &view, |view| {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = write(view, &mut text);
        text
    })?;
    Ok(Outcome::Done)
}

/// A rate in millionths, as a percentage with four digits.
fn percent(rate_ppm: Option<u64>) -> String {
    rate_ppm.map_or_else(
        || "-".to_owned(),
        |ppm| format!("{}.{:04} %", ppm / 10_000, ppm % 10_000),
    )
}

fn write(view: &DaoView, text: &mut String) -> std::fmt::Result {
    let from = view.from.as_deref().unwrap_or("the beginning");
    let to = view.to.as_deref().unwrap_or("now");
    writeln!(text, "from {from} to {to}; amounts in base units")?;
    for of in &view.treasuries {
        writeln!(text, "\ntreasury {}, {}", of.treasury, of.asset)?;
        writeln!(
            text,
            "  fees {} of {} in {} settlements: {}",
            of.fees,
            of.gross,
            of.settlements,
            percent(of.rate_ppm)
        )?;
        writeln!(
            text,
            "  other in {}, spent {}, network fees {}, other out {}",
            of.other_in, of.spent, of.network_fees, of.other_out
        )?;
    }
    for (name, rows) in [
        ("day", &view.by_day),
        ("category", &view.by_category),
        ("client", &view.by_client),
    ] {
        writeln!(text, "\nfees by {name}")?;
        rows.iter().try_for_each(|row| income(row, text))?;
    }
    writeln!(
        text,
        "\nbudgets, at burn height {}",
        view.burn_height.unwrap_or(0)
    )?;
    for b in &view.budgets {
        writeln!(
            text,
            "  {}, {}: {} of {} spent in burn heights {} to {}, {} left, {} planned in {} proposals",
            b.contract,
            b.asset,
            b.spent,
            b.amount,
            b.since,
            b.until,
            b.left,
            b.planned,
            b.planned_count
        )?;
    }
    writeln!(text, "\ngoverned actions about money")?;
    for a in &view.actions {
        let state = match a.status.as_str() {
            "pending" if !a.live => "lapsed",
            status => status,
        };
        writeln!(
            text,
            "  {} of {}: {} {state}, height {}, args {}",
            a.id, a.contract, a.kind, a.height, a.args
        )?;
        writeln!(text, "    approved by {}", a.approvals.join(", "))?;
        if !a.rejections.is_empty() {
            writeln!(text, "    rejected by {}", a.rejections.join(", "))?;
        }
        if !a.journals.is_empty() {
            writeln!(text, "    journals {:?}", a.journals)?;
        }
    }
    if view.more_actions {
        writeln!(text, "  and more: /v1/governance/actions has all")?;
    }
    Ok(())
}

fn income(row: &IncomeRow, text: &mut String) -> std::fmt::Result {
    let others = format!("{} others", row.keys);
    let key = row.key.as_deref().unwrap_or(&others);
    writeln!(
        text,
        "  {key}, {}: {} of {} in {} settlements: {}",
        row.asset,
        row.fees,
        row.gross,
        row.settlements,
        percent(row.rate_ppm)
    )
}
