//! What scenarios are made of: a database of their own, a daemon in this process or as the real
//! binary, and questions to the mirror.

pub mod app;
pub mod chain;
pub mod db;
pub mod guards;
pub mod mirror;

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Recordings of real nodes, if this checkout has them beside it. Prints why not otherwise.
pub fn fixtures() -> Option<PathBuf> {
    let default = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures");
    let folder = std::env::var_os("STXWORX_FIXTURES").map_or(default, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!(
        "skipped: no recordings of real nodes at {} (STXWORX_FIXTURES)",
        folder.display()
    );
    None
}

/// Runs a scenario on a runtime of its own.
pub fn run<F: Future<Output = ()>>(scenario: F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(scenario);
}

/// How long nothing may change while a condition is waited for, and how long it may take at all.
const PATIENCE: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(900);

/// Waits until a condition holds, as long as what is seen changes within a minute; says what was last seen otherwise.
pub async fn eventually<T: std::fmt::Debug, F: Future<Output = Result<T, String>>>(
    what: &str,
    mut condition: impl FnMut() -> F,
) -> T {
    let began = Instant::now();
    let (mut last, mut changed) = (String::new(), began);
    loop {
        match condition().await {
            Ok(value) => return value,
            Err(seen) => {
                if seen != last {
                    (last, changed) = (seen, Instant::now());
                }
                let given_up = changed.elapsed() > PATIENCE || began.elapsed() > LONGEST;
                assert!(!given_up, "{what} did not come about; last seen: {last}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}
