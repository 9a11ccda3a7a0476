//! What an examination says: what it saw, why that matters, and what to do.

use serde::Serialize;

/// How bad it is. In rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// As it should be.
    Fine,
    /// Not looked at, because something else stands in the way or there is nothing to look at.
    Skipped,
    /// It works, and will not for ever, or not as well as it could.
    Warning,
    /// It does not work, or what it says may be wrong.
    Fault,
}

impl Severity {
    /// As a line begins.
    fn word(self) -> &'static str {
        match self {
            Self::Fine => "fine   ",
            Self::Skipped => "skipped",
            Self::Warning => "WARNING",
            Self::Fault => "FAULT  ",
        }
    }
}

/// A finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, for instance `database.version`.
    pub check: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What was seen.
    pub what: String,
    /// Why it matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<&'static str>,
    /// What to do.
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Where more is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub see: Option<&'static str>,
}

impl Finding {
    fn new(check: &'static str, severity: Severity, what: impl Into<String>) -> Self {
        Self {
            check,
            severity,
            what: what.into(),
            why: None,
            remedy: None,
            see: None,
        }
    }

    /// As it should be.
    pub fn fine(check: &'static str, what: impl Into<String>) -> Self {
        Self::new(check, Severity::Fine, what)
    }

    /// Not looked at.
    pub fn skipped(check: &'static str, what: impl Into<String>) -> Self {
        Self::new(check, Severity::Skipped, what)
    }

    /// It works so far.
    pub fn warning(check: &'static str, what: impl Into<String>) -> Self {
        Self::new(check, Severity::Warning, what)
    }

    /// It does not work.
    pub fn fault(check: &'static str, what: impl Into<String>) -> Self {
        Self::new(check, Severity::Fault, what)
    }

    /// Why it matters.
    #[must_use]
    pub fn why(mut self, why: &'static str) -> Self {
        self.why = Some(why);
        self
    }

    /// What to do.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Where more is written.
    #[must_use]
    pub fn see(mut self, page: &'static str) -> Self {
        self.see = Some(page);
        self
    }
}

/// All findings.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The worst.
    pub worst: Severity,
    /// How many there are of each: fine, skipped, warning, fault.
    pub counts: [usize; 4],
    /// In the order of the checks.
    pub findings: Vec<Finding>,
}

impl Report {
    /// A report of these.
    pub fn new(findings: Vec<Finding>) -> Self {
        let mut counts = [0; 4];
        for finding in &findings {
            counts[match finding.severity {
                Severity::Fine => 0,
                Severity::Skipped => 1,
                Severity::Warning => 2,
                Severity::Fault => 3,
            }] += 1;
        }
        let worst = findings.iter().map(|f| f.severity).max();
        Self {
            worst: worst.unwrap_or(Severity::Fine),
            counts,
            findings,
        }
    }

    /// For a person: a line each, and below what is not fine, why and what to do.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            let (word, check) = (finding.severity.word(), finding.check);
            text.push_str(&format!("{word}  {check:<22} {}\n", finding.what));
            if finding.severity < Severity::Warning {
                continue;
            }
            let lines = [
                ("why", finding.why),
                ("do", finding.remedy.as_deref()),
                ("see", finding.see),
            ];
            for (name, line) in lines {
                if let Some(line) = line {
                    text.push_str(&format!("         {name:<4} {line}\n"));
                }
            }
        }
        let [fine, skipped, warnings, faults] = self.counts;
        text.push_str(&format!(
            "{faults} faults, {warnings} warnings, {fine} fine, {skipped} skipped\n"
        ));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fine_takes_a_line_and_the_rest_says_what_to_do() {
        let report = Report::new(vec![
            Finding::fine("a.b", "good").why("never shown"),
            Finding::warning("c.d", "so so")
                .why("because")
                .remedy("that")
                .see("docs/x.md#y"),
            Finding::skipped("e.f", "nothing there"),
        ]);
        assert_eq!(report.worst, Severity::Warning);
        assert_eq!(
            report.text(),
            "fine     a.b                    good\n\
             WARNING  c.d                    so so\n\
             \x20        why  because\n\
             \x20        do   that\n\
             \x20        see  docs/x.md#y\n\
             skipped  e.f                    nothing there\n\
             0 faults, 1 warnings, 1 fine, 1 skipped\n"
        );
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["worst"], "warning");
        assert_eq!(json["findings"][1]["do"], "that");
    }
}
