//! Minting all the time: pass after pass, until it is told to stop.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use stxworx_indexer::error_chain;
use stxworx_indexer::metrics::Metrics;
use stxworx_indexer::retry::Backoff;
use stxworx_indexer::store::Pool;
use stxworx_indexer::store::mint::look;
use tokio_util::sync::CancellationToken;

use super::exec::{Minter, Pass};
use super::plan::Note;
use super::ports::{Mirror, Node, Outlet, PortError, Signer, Store};
use super::postgres::{PgMirror, PgStore};
use super::types::Line;

/// Tells lines to the log: whoever reads no log finds them in `/v1/mints`.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogOutlet;

impl Outlet for LogOutlet {
    async fn tell(&self, line: &Line) -> Result<(), PortError> {
        let (id, kind, what) = (line.id.as_str(), line.kind.as_str(), line.body.to_string());
        tracing::info!(line = id, intent = line.intent, what, "a mint is {kind}");
        Ok(())
    }
}

/// How long a pass follows on one that did something.
const SOON: Duration = Duration::from_millis(100);
/// Longest pause after passes that fail.
const LONGEST: Duration = Duration::from_secs(30);
/// How long an orderly end may take.
const END: Duration = Duration::from_secs(8);

/// The minter of a process.
pub type PgMinter<K, N> = Minter<PgStore, K, N, PgMirror, LogOutlet>;

/// Mints until it is told to stop. A pass that fails concludes nothing, and comes again; where another process has the
/// lane, this one stands by.
pub async fn run<S: Store, K: Signer, N: Node, M: Mirror, O: Outlet>(
    mut minter: Minter<S, K, N, M, O>,
    pool: Pool,
    pause: Duration,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let mut backoff = Backoff::between(pause, LONGEST.max(pause));
    let mut told = Told::default();
    while !stop.is_cancelled() {
        let result = minter.pass().await;
        let next = match &result {
            Ok(pass) => {
                backoff.reset();
                metrics.mints.passed(pass.standby.is_some(), pass.lost);
                told.pass(pass);
                if let Err(error) = note(&minter, &pool, pass, &metrics).await {
                    let error = error_chain(&*error).to_string();
                    tracing::warn!(error, "the mints could not be counted");
                }
                if pass.done > 0 {
                    SOON.min(pause)
                } else {
                    pause
                }
            }
            Err(error) => {
                metrics.mints.pass_failed();
                told.failure(&error_chain(error).to_string());
                backoff.next_delay()
            }
        };
        tokio::select! {
            () = tokio::time::sleep(next) => {}
            () = stop.cancelled() => {}
        }
    }
    match tokio::time::timeout(END, minter.stop()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            let error = error_chain(&error).to_string();
            tracing::warn!(
                error,
                "the minter did not end in order; the next one finds everything stored"
            );
        }
        Err(_) => tracing::warn!(
            seconds = END.as_secs(),
            "the minter did not end in time; the next one finds everything stored"
        ),
    }
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Shows what the database says: an operator, or another process, may have changed it.
async fn note<S: Store, K: Signer, N: Node, M: Mirror, O: Outlet>(
    minter: &Minter<S, K, N, M, O>,
    pool: &Pool,
    pass: &Pass,
    metrics: &Metrics,
) -> Result<(), Failed> {
    let accounts = pass.view.iter().flat_map(|v| &v.nodes);
    let best = accounts
        .filter_map(|n| n.account.as_ref())
        .max_by_key(|a| a.height);
    if let Some(account) = best {
        minter.store.note_account(&minter.lane, account).await?;
    }
    let overview = look::overview(pool).await?;
    let budget = minter.policy.fee_budget_per_day;
    metrics.mints.stands(&overview, budget);
    Ok(())
}

/// Says each thing once, as long as it lasts.
#[derive(Debug, Default)]
struct Told {
    notes: BTreeSet<Note>,
    failure: Option<String>,
    standby: Option<String>,
}

impl Told {
    fn pass(&mut self, pass: &Pass) {
        self.failure = None;
        if pass.standby != self.standby {
            match &pass.standby {
                Some(holder) => tracing::info!(holder, "another process mints; standing by"),
                None => tracing::info!("this process mints"),
            }
            self.standby.clone_from(&pass.standby);
        }
        if pass.standby.is_some() {
            return;
        }
        for note in pass.notes.difference(&self.notes) {
            tracing::warn!(note = ?note, "something holds mints up");
        }
        self.notes.clone_from(&pass.notes);
        if pass.lost {
            tracing::warn!("the lane was lost in the middle of a pass; nothing was written since");
        }
    }

    fn failure(&mut self, error: &str) {
        if self.failure.as_deref() != Some(error) {
            tracing::warn!(
                error,
                "a pass of the minter failed; nothing is concluded from it"
            );
        }
        self.failure = Some(error.to_owned());
    }
}
