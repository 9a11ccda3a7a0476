//! A statement as one printable page: tables, and a chart of the fees by project. It needs nothing from anywhere else.

use std::fmt::Write as _;

use stxworx_indexer::store::ledger::seal::{Ends, ProjectFees};

use super::statement::Statement;

const STYLE: &str = "body{font:14px/1.4 serif;margin:2em auto;max-width:60em;padding:0 1em;color:#111;background:#fff}\
    h1{font-size:1.5em}h2{font-size:1.1em;margin-top:2em;overflow-wrap:anywhere}table{border-collapse:collapse;width:100%}\
    td,th{padding:.2em .5em;border-bottom:1px solid #bbb;text-align:left;overflow-wrap:anywhere}\
    td.n{text-align:right;font-family:monospace}tr.sum td{font-weight:bold}svg{width:100%;height:auto}\
    @media print{body{margin:0;max-width:none}h2{break-after:avoid}tr,svg{break-inside:avoid}}";

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// The page; `seal` is the period's, in hexadecimal, if it is closed.
pub fn page(statement: &Statement, seal: Option<&str>) -> String {
    let mut html = String::new();
    // Writing to a String cannot fail.
    let _ = write(statement, seal, &mut html);
    html
}

fn write(statement: &Statement, seal: Option<&str>, html: &mut String) -> std::fmt::Result {
    let title = format!("Statement of period {}", statement.period);
    write!(
        html,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n<p>Heights {} to {}, up to block {}. \
         Amounts in base units.</p>\n",
        statement.from_height,
        statement.until_height,
        escaped(&statement.until_block)
    )?;
    match seal {
        Some(seal) => writeln!(html, "<p>Closed; seal 0x{}</p>", escaped(seal))?,
        None => writeln!(html, "<p>Open: what follows may change.</p>")?,
    }
    for ends in &statement.balances {
        section(statement, ends, html)?;
    }
    writeln!(html, "</body></html>")
}

fn row(html: &mut String, class: &str, what: &str, amount: &str) -> std::fmt::Result {
    writeln!(
        html,
        "<tr{class}><td>{}</td><td class=\"n\">{}</td></tr>",
        escaped(what),
        escaped(amount)
    )
}

fn section(statement: &Statement, ends: &Ends, html: &mut String) -> std::fmt::Result {
    let of_it = |holder: &str, asset: &str| holder == ends.holder && asset == ends.asset;
    writeln!(
        html,
        "<h2>{}, {}</h2>\n<table>",
        escaped(&ends.holder),
        escaped(&ends.asset)
    )?;
    row(html, " class=\"sum\"", "opening", &ends.opening)?;
    let flows = statement.flows.iter();
    for flow in flows.filter(|f| of_it(&f.holder, &f.asset)) {
        let part = flow.part.replace('_', " ");
        for (sign, amount) in [('+', &flow.came), ('\u{2212}', &flow.went)] {
            if amount != "0" {
                row(html, "", &part, &format!("{sign}{amount}"))?;
            }
        }
    }
    row(html, " class=\"sum\"", "closing", &ends.closing)?;
    writeln!(html, "</table>")?;
    let fees = statement.fees.iter();
    let fees: Vec<_> = fees.filter(|f| of_it(&f.treasury, &f.asset)).collect();
    if fees.is_empty() {
        return Ok(());
    }
    writeln!(
        html,
        "<table><tr><th>project</th><th>settlements</th><th>of</th><th>fees</th><th>if rounded once</th></tr>"
    )?;
    for fee in &fees {
        writeln!(
            html,
            "<tr><td>{} of {}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td></tr>",
            escaped(&fee.project),
            escaped(&fee.contract),
            fee.settlements,
            escaped(&fee.gross),
            escaped(&fee.fees),
            escaped(fee.floor_of_sum.as_deref().unwrap_or("unknown"))
        )?;
    }
    writeln!(html, "</table>")?;
    chart(&fees, html)
}

/// Bars that a chart has at most; the smaller ones share the last.
const BARS: usize = 20;
const WIDTH: u128 = 600;

/// Fees as bars, largest first. Lengths are whole numbers of a picture's points, so that no float stands for money.
fn chart(fees: &[&ProjectFees], html: &mut String) -> std::fmt::Result {
    let mut bars: Vec<(String, u128)> = fees
        .iter()
        .filter_map(|f| Some((format!("project {}", f.project), f.fees.parse().ok()?)))
        .collect();
    bars.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    if bars.len() > BARS {
        let rest = bars.split_off(BARS - 1);
        let sum = rest
            .iter()
            .fold(0u128, |sum, bar| sum.saturating_add(bar.1));
        bars.push((format!("{} others", rest.len()), sum));
    }
    let most = bars.iter().map(|b| b.1).max().unwrap_or(0).max(1);
    let height = bars.len() * 22 + 4;
    writeln!(
        html,
        "<svg viewBox=\"0 0 1000 {height}\" role=\"img\" aria-label=\"fees by project\" xmlns=\"http://www.w3.org/2000/svg\" \
         font-size=\"13\">"
    )?;
    for (number, (label, amount)) in bars.iter().enumerate() {
        // Scaled down first where the product would not fit.
        let length = match amount.checked_mul(WIDTH) {
            Some(product) => product / most,
            None => amount / (most / WIDTH).max(1),
        };
        let (top, text) = (number * 22 + 4, number * 22 + 17);
        writeln!(
            html,
            "<text x=\"0\" y=\"{text}\">{}</text><rect x=\"150\" y=\"{top}\" width=\"{}\" height=\"16\" fill=\"#456\"/>\
             <text x=\"{}\" y=\"{text}\">{amount}</text>",
            escaped(label),
            length.min(WIDTH),
            length.min(WIDTH) + 158
        )?;
    }
    writeln!(html, "</svg>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_needs_nothing_else_and_takes_nothing_at_its_word() {
        let fees = |project: u32, fees: u128| ProjectFees {
            treasury: "treasury:ST1".into(),
            asset: "<b>".into(),
            contract: "ST1.freelance-logic".into(),
            project: project.to_string(),
            settlements: 1,
            gross: "9".into(),
            fees: fees.to_string(),
            fee_bps: None,
            floor_of_sum: None,
        };
        let statement = Statement {
            period: 3,
            from_height: 1,
            until_height: 9,
            until_block: "0x07".into(),
            until_time: 1,
            balances: vec![Ends {
                holder: "treasury:ST1".into(),
                asset: "<b>".into(),
                opening: "0".into(),
                closing: "5".into(),
            }],
            flows: Vec::new(),
            fees: (0..30).map(|n| fees(n, u128::MAX >> n)).collect(),
        };
        let html = page(&statement, Some("ab"));
        assert!(
            html.contains("treasury:ST1, &lt;b&gt;") && !html.contains("<b>"),
            "{html}"
        );
        assert_eq!(html.matches("<rect").count(), BARS);
        assert!(html.contains("11 others") && html.contains(&u128::MAX.to_string()));
        assert!(
            html.contains("width=\"600\"") && html.contains("width=\"300\""),
            "{html}"
        );
        let addresses = html.replace("http://www.w3.org/2000/svg", "");
        for foreign in ["http", "src=", "url(", "<script", "@import"] {
            assert!(!addresses.contains(foreign), "{foreign}");
        }
        assert!(page(&statement, None).contains("may change"));
    }
}
