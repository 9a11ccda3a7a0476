//! The report, for a person, a page, or a machine.

use std::fmt::Write as _;

use serde::Serialize;
use stxworx_reconciler::adopt::AdoptReport;

use super::plan::{Deployed, Plan};

/// All that was seen.
#[derive(Debug, Serialize)]
pub(super) struct Adoption {
    /// What is there, and what is left to do.
    #[serde(flatten)]
    pub plan: Plan,
    /// What links; null while there is no mirror.
    pub linked: Option<AdoptReport>,
}

fn mirrored(it: &Deployed) -> String {
    let published = match (it.exists, it.publish_height) {
        (Some(false), _) => "NOT THERE".to_owned(),
        (_, Some(height)) => format!("published at height {height}"),
        _ => "nobody was asked when it was published".to_owned(),
    };
    let complete = if it.complete {
        "every event is mirrored".to_owned()
    } else if it.gaps.is_empty() {
        "not mirrored".to_owned()
    } else {
        format!("not mirrored whole: {}", it.gaps.join("; "))
    };
    format!("{published}; {complete}")
}

impl Adoption {
    /// Does everything link, and is nothing left to do?
    pub(super) fn is_whole(&self) -> bool {
        self.plan.is_done() && self.linked.as_ref().is_some_and(AdoptReport::is_whole)
    }

    fn verdict(&self) -> &'static str {
        match (&self.linked, self.is_whole()) {
            (_, true) => "everything links",
            (None, _) => "the mirror is empty: nothing was linked yet",
            (Some(_), false) if !self.plan.is_done() => {
                "not everything is mirrored: what does not link may only be missing here"
            }
            (Some(_), false) => "NOT EVERYTHING LINKS; nothing was changed",
        }
    }

    /// For a terminal.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        for it in &self.plan.deployments {
            let _ = writeln!(
                out,
                "{} from height {}: {}",
                it.contract,
                it.from_height,
                mirrored(it)
            );
        }
        if let Some(badges) = &self.plan.badges {
            let _ = writeln!(out, "{}", badges.says());
        }
        if !self.plan.steps.is_empty() {
            out.push_str("to do (or this command with --yes):\n");
        }
        for step in &self.plan.steps {
            let _ = writeln!(out, "  # {}\n  {}", step.why, step.run);
        }
        if let Some(linked) = &self.linked {
            let (rows, height) = (linked.rows, linked.height);
            let _ = writeln!(
                out,
                "{rows} rows of the platform, the chain at height {height}"
            );
            if linked.nameless > 0 {
                let _ = writeln!(
                    out,
                    "{} rows have no key and were left out",
                    linked.nameless
                );
            }
            for lack in &linked.lacks {
                let _ = writeln!(out, "the platform's query: {lack}");
            }
            for it in &linked.deployments {
                let _ = writeln!(
                    out,
                    "{}: {} projects, {} linked{}",
                    it.contract,
                    it.projects,
                    it.linked,
                    outside(it.early, it.late)
                );
            }
            for class in linked.classes.iter().filter(|class| class.count > 0) {
                let mark = if class.wrong { '!' } else { ' ' };
                let _ = writeln!(out, "{mark} {:>7}  {}", class.count, class.says);
                if class.wrong {
                    for example in &class.examples {
                        let _ = writeln!(out, "             {example}");
                    }
                }
            }
        }
        let _ = writeln!(out, "{}", self.verdict());
        out
    }

    /// For a page.
    pub(super) fn markdown(&self) -> String {
        let mut out = format!("# Adoption\n\n{}.\n\n## Deployments\n\n", self.verdict());
        out.push_str(
            "| contract | from height | on the chain and in the mirror |\n|---|---|---|\n",
        );
        for it in &self.plan.deployments {
            let _ = writeln!(
                out,
                "| `{}` | {} | {} |",
                it.contract,
                it.from_height,
                cell(&mirrored(it))
            );
        }
        if let Some(badges) = &self.plan.badges {
            let _ = writeln!(out, "\n## Badges\n\n{}.", cell(&badges.says()));
        }
        if !self.plan.steps.is_empty() {
            out.push_str("\n## To do\n\n```\n");
            for step in &self.plan.steps {
                let _ = writeln!(out, "# {}\n{}", step.why, step.run);
            }
            out.push_str("```\n");
        }
        let Some(linked) = &self.linked else {
            return out;
        };
        let (rows, height, block) = (linked.rows, linked.height, &linked.block);
        let _ = write!(
            out,
            "\n## What links\n\n{rows} rows, against the chain at height {height} (`{block}`). {} rows have no key.\n\n",
            linked.nameless
        );
        out.push_str("| class | count | meaning |\n|---|---|---|\n");
        for class in &linked.classes {
            let name = serde_json::to_value(class.class).unwrap_or_default();
            let name = name.as_str().unwrap_or_default();
            let _ = writeln!(out, "| {name} | {} | {} |", class.count, class.says);
        }
        for class in linked.classes.iter().filter(|c| c.wrong && c.count > 0) {
            let _ = write!(out, "\n### {}: {}\n\n", class.says, class.count);
            for example in &class.examples {
                let _ = writeln!(out, "- {}", cell(example));
            }
        }
        out
    }
}

fn outside(early: u64, late: u64) -> String {
    let mut text = String::new();
    if early > 0 {
        let _ = write!(text, ", {early} opened before the platform used it");
    }
    if late > 0 {
        let _ = write!(text, ", {late} opened after it had gone on");
    }
    text
}

/// A text that does not end its cell; what stands in it is the platform's and the chain's.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '|' => out.push_str("\\|"),
            '`' | '<' | '[' | '*' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_platform_wrote_is_no_markup() {
        assert_eq!(cell("a|b\n<i>[x](y)"), "a\\|b \\<i>\\[x](y)");
    }
}
