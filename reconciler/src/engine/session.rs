//! What all parts of a run have in common: who judges, what is counted, and what becomes of breaks.

use serde_json::{Value, json};

use super::apply::Apply;
use super::error::EngineError;
use super::judge::{Judge, Judged};
use super::stream::Marks;
use super::tally::{Tally, judged_only};
use crate::rule::Skip;

/// Sees every verdict.
pub(super) type Met<'a> = &'a mut (dyn FnMut(&Judged) -> Result<(), EngineError> + Send);

/// A run under way.
pub(super) struct Session<'a> {
    pub judge: Judge,
    pub tally: Tally,
    /// Where breaks are moved.
    pub apply: Option<Apply<'a>>,
    run: i64,
    met: Met<'a>,
    nameless: u64,
    left_out: u64,
}

/// What came of a run.
pub(super) struct Walked {
    pub tally: Tally,
    pub digest: [u8; 32],
    pub canary: &'static str,
    pub notes: Vec<Value>,
}

impl<'a> Session<'a> {
    /// Breaks are moved where `apply` is there; `met` sees every verdict.
    pub(super) fn new(judge: Judge, run: i64, apply: Option<Apply<'a>>, met: Met<'a>) -> Self {
        Self {
            judge,
            tally: Tally::default(),
            apply,
            run,
            met,
            nameless: 0,
            left_out: 0,
        }
    }

    /// Does it keep what it saw of the platform?
    pub(super) fn keeps(&self) -> bool {
        self.apply.is_some()
    }

    /// Takes what was judged, and what else was met on the way.
    pub(super) async fn take(
        &mut self,
        entity: &'static str,
        judged: &[Judged],
        marks: Marks,
    ) -> Result<(), EngineError> {
        let unread = marks.nameless + marks.left_out;
        let pairs = unread.saturating_mul(self.judge.rules_of(entity));
        if pairs > 0 {
            *self.tally.skips.entry(Skip::Unreadable).or_default() += pairs;
        }
        self.nameless += marks.nameless;
        self.left_out += marks.left_out;
        for one in judged {
            self.tally.cover(one);
            (self.met)(one)?;
        }
        match &mut self.apply {
            Some(apply) => {
                let standings = apply.observe(judged).await?;
                let all = standings.into_iter().flatten();
                all.for_each(|standing| self.tally.count(standing));
                apply
                    .writing
                    .change_images(entity, self.run, &marks.gone, &marks.new)
                    .await?;
            }
            None => judged
                .iter()
                .flat_map(|one| &one.verdicts)
                .for_each(|(_, verdict)| self.tally.count(judged_only(verdict))),
        }
        // Judging does not wait for anything: give others their turn.
        tokio::task::yield_now().await;
        Ok(())
    }

    /// Ends it; breaks that would have opened are opened, or too many.
    pub(super) async fn finish(&mut self) -> Result<Walked, EngineError> {
        let mut notes = Vec::new();
        for (count, what) in [
            (self.nameless, "have no key and cannot be named"),
            (self.left_out, "are too many for one subject"),
        ] {
            if count > 0 {
                let says = format!("{count} rows {what}; they were not compared");
                notes.push(json!({ "kind": "not_compared", "count": count, "says": says }));
            }
        }
        if let Some(count) = self.tally.skips.get(&Skip::RuleFailed) {
            let says = format!(
                "rules failed in {count} comparisons, which were skipped: an error of this program; the log says where"
            );
            notes.push(json!({ "kind": "rule_failed", "count": count, "says": says }));
        }
        if self.judge.canary == "missed" {
            let says = "a wrong unit that the run itself put into a copy of a project was not found: the rules are \
                        broken, and nothing that this run calls equal is known to be";
            notes.push(json!({ "kind": "canary", "says": says }));
        }
        if let Some(apply) = &mut self.apply {
            notes.extend(apply.finish().await?);
        }
        Ok(Walked {
            tally: std::mem::take(&mut self.tally),
            digest: self.judge.digest(),
            canary: self.judge.canary,
            notes,
        })
    }
}
