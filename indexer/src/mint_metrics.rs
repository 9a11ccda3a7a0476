//! Metrics of the mints: gauges of what the store says, read by the process with the role `minter`, but for who has a
//! lane, which every process sees.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::store::mint::look::Overview;

/// Label of the sample that stands there before there is anything.
const NONE: &str = "-";
/// The value of what is not known.
const UNKNOWN: i64 = -1;
/// How a pass can end.
const PASSES: [&str; 4] = ["done", "standby", "lost", "failed"];

/// Metrics of the mints.
#[derive(Debug)]
pub struct MintMetrics {
    mints: IntGaugeVec,
    oldest: IntGaugeVec,
    in_flight: IntGaugeVec,
    attempts: IntGaugeVec,
    next_nonce: IntGaugeVec,
    node_nonce: IntGaugeVec,
    balance: IntGaugeVec,
    fees: IntGaugeVec,
    budget: IntGauge,
    runway: IntGaugeVec,
    unexplained: IntGaugeVec,
    foreign: IntGaugeVec,
    pauses: IntGaugeVec,
    untold: IntGauge,
    answers: IntGaugeVec,
    took: IntGaugeVec,
    lane_held: IntGaugeVec,
    passes: IntCounterVec,
    last_pass: IntGauge,
}

impl MintMetrics {
    /// All of them, at zero.
    ///
    /// # Errors
    /// When two metrics share a name, which a test excludes.
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str| {
            let metric = IntGauge::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            let none: Vec<&str> = labels.iter().map(|_| NONE).collect();
            metric.with_label_values(&none);
            Ok::<_, prometheus::Error>(metric)
        };
        let of_lane = |name: &str, help: &str| gauges(name, help, &["sender"]);
        let about = Opts::new(
            "stxworx_mint_passes_total",
            "Looks of this process at what is to be minted, by how they ended.",
        );
        let passes = IntCounterVec::new(about, &["outcome"])?;
        registry.register(Box::new(passes.clone()))?;
        for outcome in PASSES {
            passes.with_label_values(&[outcome]);
        }
        Ok(Self {
            mints: gauges(
                "stxworx_mints",
                "Badges to be minted, by state and reason.",
                &["state", "reason"],
            )?,
            oldest: gauges(
                "stxworx_mint_oldest_seconds",
                "How long the oldest mint in a state has been there.",
                &["state"],
            )?,
            in_flight: of_lane("stxworx_mint_nonces_in_flight", "Nonces in use.")?,
            attempts: of_lane(
                "stxworx_mint_attempts_in_flight",
                "Signed transactions of these nonces.",
            )?,
            next_nonce: of_lane("stxworx_mint_next_nonce", "The next nonce to reserve.")?,
            node_nonce: of_lane(
                "stxworx_mint_node_nonce",
                "The key's nonce, as a node said last; -1 before.",
            )?,
            balance: of_lane(
                "stxworx_mint_balance_microstx",
                "The key's balance, as a node said last; -1 before.",
            )?,
            fees: of_lane("stxworx_mint_fees_day_microstx", "Fees of 24 hours.")?,
            budget: gauge(
                "stxworx_mint_fee_budget_microstx",
                "Fees that may be spent in 24 hours.",
            )?,
            runway: of_lane(
                "stxworx_mint_runway_days",
                "Days for which the balance lasts at the rate of 24 hours; -1 while that is not known.",
            )?,
            unexplained: of_lane(
                "stxworx_mint_unexplained_seconds",
                "For how long the chain has shown nonces that nothing explains; 0 for none.",
            )?,
            foreign: of_lane(
                "stxworx_mint_foreign_nonces",
                "Nonces that somebody else used.",
            )?,
            pauses: gauges(
                "stxworx_mint_pauses",
                "Pauses in force.",
                &["scope", "reason"],
            )?,
            untold: gauge(
                "stxworx_mint_untold_lines",
                "Lines about mints that nobody heard yet.",
            )?,
            answers: gauges(
                "stxworx_mint_answers_hour",
                "What nodes answered to transactions within an hour.",
                &["answer"],
            )?,
            took: gauges(
                "stxworx_mint_confirmation_seconds",
                "From a mint's nonce to its finality, of the mints of 24 hours; -1 for none.",
                &["of"],
            )?,
            lane_held: of_lane(
                "stxworx_mint_lane_held",
                "1 while a process mints with the key.",
            )?,
            passes,
            last_pass: gauge(
                "stxworx_mint_last_pass_timestamp_seconds",
                "When a pass of this process ended well, Unix seconds; 0 for never.",
            )?,
        })
    }

    /// A pass that failed.
    pub fn pass_failed(&self) {
        self.passes.with_label_values(&["failed"]).inc();
    }

    /// A pass that ended well: with the lane, without it, or having lost it.
    pub fn passed(&self, stands_by: bool, lost: bool) {
        let outcome = match (stands_by, lost) {
            (true, _) => "standby",
            (_, true) => "lost",
            _ => "done",
        };
        self.passes.with_label_values(&[outcome]).inc();
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        self.last_pass
            .set(now.map_or(0, |t| i64::try_from(t.as_secs()).unwrap_or(i64::MAX)));
    }

    /// Shows whose lane a process has.
    pub fn held(&self, lanes: &[(String, bool)]) {
        for (sender, held) in lanes {
            let metric = self.lane_held.with_label_values(&[sender.as_str()]);
            metric.set(i64::from(*held));
        }
    }

    /// Shows how the mints stand; the budget is in micro-STX for 24 hours.
    pub fn stands(&self, overview: &Overview, budget_per_day: u128) {
        self.budget.set(wide(budget_per_day));
        self.untold.set(overview.untold);
        for metric in [&self.mints, &self.pauses] {
            metric.reset();
            metric.with_label_values(&[NONE, NONE]);
        }
        for metric in [&self.oldest, &self.answers] {
            metric.reset();
            metric.with_label_values(&[NONE]);
        }
        for it in &overview.answers {
            let metric = self.answers.with_label_values(&[it.answer.as_str()]);
            metric.set(it.count);
        }
        let took = overview.took;
        for (of, seconds) in [("half", took.half_s), ("longest", took.longest_s)] {
            let metric = self.took.with_label_values(&[of]);
            metric.set(seconds.unwrap_or(UNKNOWN));
        }
        for it in &overview.states {
            let reason = it.reason.as_deref().unwrap_or(NONE);
            self.mints
                .with_label_values(&[it.state.as_str(), reason])
                .set(it.count);
            let oldest = self.oldest.with_label_values(&[it.state.as_str()]);
            oldest.set(oldest.get().max(it.oldest_s));
        }
        for it in &overview.pauses {
            self.pauses
                .with_label_values(&[it.scope.as_str(), it.reason.as_str()])
                .inc();
        }
        for lane in &overview.lanes {
            let of = [lane.sender.as_str()];
            let show = |metric: &IntGaugeVec, value: i64| metric.with_label_values(&of).set(value);
            show(&self.in_flight, lane.in_flight);
            show(&self.attempts, lane.attempts);
            show(&self.next_nonce, lane.next_nonce);
            let node_nonce = lane.node_nonce.as_ref().and_then(|n| n.parse().ok());
            show(&self.node_nonce, node_nonce.unwrap_or(UNKNOWN));
            show(&self.balance, lane.balance().map_or(UNKNOWN, wide));
            show(&self.fees, lane.spent().map_or(UNKNOWN, wide));
            let days = lane.runway_days();
            show(
                &self.runway,
                days.map_or(UNKNOWN, |d| i64::try_from(d).unwrap_or(i64::MAX)),
            );
            show(&self.unexplained, lane.unexplained_for_s.unwrap_or(0));
            show(&self.foreign, lane.foreign);
        }
    }
}

fn wide(number: u128) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::mint::look::{AnswerCount, LaneLook, StateCount, Took};
    use crate::store::mint::pause::PauseRow;

    fn lane(balance: Option<&str>, spent: &str) -> LaneLook {
        LaneLook {
            sender: "ST1".into(),
            contract: "ST2.freelance-badges".into(),
            base_nonce: Some(3),
            next_nonce: 9,
            holder: "h".into(),
            held: true,
            node_nonce: Some("8".into()),
            balance: balance.map(str::to_owned),
            observed_ago_s: Some(1),
            unexplained_for_s: None,
            in_flight: 2,
            attempts: 3,
            foreign: 0,
            fees_per_day: spent.into(),
        }
    }

    #[test]
    fn what_is_shown_is_what_was_read_last() {
        let metrics = MintMetrics::new(&Registry::new()).unwrap();
        let count = |state: &str, reason: Option<&str>, count, oldest_s| StateCount {
            state: state.into(),
            reason: reason.map(str::to_owned),
            count,
            oldest_s,
        };
        let mut overview = Overview {
            states: vec![
                count("held", Some("not_earned"), 2, 50),
                count("held", Some("not_minter"), 1, 90),
            ],
            lanes: vec![lane(Some("1000"), "150")],
            untold: 4,
            pauses: vec![PauseRow {
                scope: "global".into(),
                subject: String::new(),
                reason: "manual".into(),
                note: String::new(),
                author: "ann".into(),
                since_s: 1,
            }],
            answers: vec![AnswerCount {
                answer: "fee_too_low".into(),
                count: 3,
            }],
            took: Took {
                half_s: Some(40),
                longest_s: Some(90),
            },
        };
        metrics.stands(&overview, 20_000);
        let held = |reason: &str| metrics.mints.with_label_values(&["held", reason]).get();
        assert_eq!((held("not_earned"), held("not_minter")), (2, 1));
        assert_eq!(metrics.oldest.with_label_values(&["held"]).get(), 90);
        let of = |metric: &IntGaugeVec| metric.with_label_values(&["ST1"]).get();
        assert_eq!((of(&metrics.next_nonce), of(&metrics.node_nonce)), (9, 8));
        assert_eq!((of(&metrics.runway), metrics.budget.get()), (6, 20_000));
        assert_eq!(
            metrics
                .pauses
                .with_label_values(&["global", "manual"])
                .get(),
            1
        );
        let answered = |metrics: &MintMetrics| {
            let metric = metrics.answers.with_label_values(&["fee_too_low"]);
            metric.get()
        };
        let longest = |metrics: &MintMetrics| metrics.took.with_label_values(&["longest"]).get();
        assert_eq!((answered(&metrics), longest(&metrics)), (3, 90));
        overview.states.clear();
        overview.answers.clear();
        overview.took = Took::default();
        overview.pauses.clear();
        overview.lanes = vec![lane(None, "0")];
        metrics.stands(&overview, 20_000);
        assert_eq!(held("not_earned"), 0);
        assert_eq!((answered(&metrics), longest(&metrics)), (0, -1));
        assert_eq!((of(&metrics.runway), of(&metrics.balance)), (-1, -1));
        assert_eq!(
            metrics
                .pauses
                .with_label_values(&["global", "manual"])
                .get(),
            0
        );
    }

    #[test]
    fn passes_are_told_apart_and_only_those_that_end_well_have_a_time() {
        let metrics = MintMetrics::new(&Registry::new()).unwrap();
        let passes = |outcome: &str| metrics.passes.with_label_values(&[outcome]).get();
        metrics.pass_failed();
        assert_eq!((passes("failed"), metrics.last_pass.get()), (1, 0));
        metrics.passed(true, false);
        metrics.passed(false, true);
        metrics.passed(false, false);
        assert_eq!(PASSES.map(passes), [1; 4]);
        assert!(metrics.last_pass.get() > 1_000_000_000);
        metrics.held(&[("ST1".into(), true), ("ST2".into(), false)]);
        let held = |sender: &str| metrics.lane_held.with_label_values(&[sender]).get();
        assert_eq!((held("ST1"), held("ST2")), (1, 0));
    }
}
