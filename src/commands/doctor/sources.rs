//! Those who are asked: nodes, Stacks APIs, the platform. What they can do, and whether their clocks agree.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value as Json;
use stxworx_indexer::metrics::Metrics;
use stxworx_indexer::source::http::{FetchError, Server};
use stxworx_indexer::source::node::NodeSource;
use stxworx_reconciler::platform::postgres::{Entity, Platform};
use stxworx_reconciler::rules::project_rules;

use super::database::skew;
use super::finding::Finding;
use crate::config::Config;
use crate::daemon::sources::AnySource;

/// Seconds of a header's clock are cut off: half of one is its usual error.
const HALF_SECOND_US: i64 = 500_000;
/// Longest answer that is read, in bytes.
const LONGEST: usize = 1 << 20;

/// An answer, and the clock that came with it.
struct Answer {
    body: Json,
    /// Microseconds by which that clock is ahead of ours.
    ahead_us: Option<i64>,
}

async fn ask(base: &str, path: &str, timeout: Duration) -> Result<Answer, FetchError> {
    let server = Server::new(base, timeout, LONGEST, None)?;
    let (body, date) = server.get_dated(path).await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now_us = i64::try_from(now.unwrap_or_default().as_micros()).unwrap_or(i64::MAX);
    Ok(Answer {
        body,
        ahead_us: date.map(|s| s * 1_000_000 + HALF_SECOND_US - now_us),
    })
}

/// The node that is audited against, and perhaps followed.
pub(super) async fn node(config: Config) -> Vec<Finding> {
    const CHECK: &str = "source.node";
    const SEE: &str = "docs/deploy.md#your-own-node";
    let Some(url) = config.node_url.clone() else {
        return vec![Finding::skipped(CHECK, "node.rpc_url is empty")];
    };
    let silent = |error: String| {
        Finding::fault(CHECK, format!("{url}: {error}"))
            .why("what it is for stands still: proofs, and repair or following where it is asked")
            .remedy("is it running, and is node.rpc_url its RPC? curl it from here")
            .see(SEE)
    };
    let source = match NodeSource::new(&config.node_options(&url)) {
        Ok(source) => source,
        Err(error) => return vec![silent(stxworx_indexer::error_chain(&error).to_string())],
    };
    let probe = match source.probe().await {
        Ok(probe) => probe,
        Err(error) => return vec![silent(stxworx_indexer::error_chain(&error).to_string())],
    };
    let mut findings = Vec::new();
    let says = format!(
        "{url}: {}, height {}",
        probe.server_version, probe.tip_height
    );
    findings.push(if probe.missing.is_empty() {
        Finding::fine(CHECK, says)
    } else {
        let lacks = probe.missing.join("; ");
        Finding::warning(CHECK, format!("{says}; {lacks}"))
            .why("it cannot fill gaps, and blocks are not executed again by the audit")
            .remedy(
                "do what it lacks, or set up another source in sources.repair (a Stacks API will do)",
            )
            .see(SEE)
    });
    let info = ask(&url, "/v2/info", config.node_timeout);
    if let Ok(Answer {
        ahead_us: Some(ahead),
        ..
    }) = info.await
    {
        findings.push(skew("clock.node", "the node's", ahead));
    }
    findings
}

/// Every Stacks API.
pub(super) async fn apis(config: Config) -> Vec<Finding> {
    const CHECK: &str = "source.api";
    const SEE: &str = "docs/deploy.md#without-a-node";
    let Some(api) = &config.api_source else {
        return vec![Finding::skipped(CHECK, "api_source.urls is empty")];
    };
    let mut findings = Vec::new();
    let set_up = Metrics::new().map(Arc::new).map(|metrics| {
        let kind = stxworx_indexer::store::inbox::Source::Api;
        AnySource::set_up(&config, kind, &metrics).err()
    });
    if let Ok(Some(error)) = set_up {
        let error = stxworx_indexer::error_chain(&error).to_string();
        findings.push(
            Finding::fault(CHECK, error)
                .why("the role indexer does not start")
                .remedy("set follow.mirror to \"followed\" and name the contracts, or leave api_source.urls empty")
                .see(SEE),
        );
    }
    // A handful of servers, each with a limit of time of its own; the check has one, too.
    for url in &api.urls {
        let answer = ask(url, "/extended", api.timeout).await;
        match answer {
            Ok(answer) => {
                let version = answer.body["server_version"].as_str().unwrap_or("?");
                let height = &answer.body["chain_tip"]["block_height"];
                findings.push(Finding::fine(
                    CHECK,
                    format!("{url}: {version}, height {height}"),
                ));
                if let Some(ahead) = answer.ahead_us {
                    findings.push(skew("clock.api", &format!("{url}'s"), ahead));
                }
            }
            Err(error) => findings.push(
                Finding::fault(CHECK, format!("{url}: {}", stxworx_indexer::error_chain(&error)))
                    .why("what it is for stands still: following, gaps, backfills")
                    .remedy("is it up, is the URL its base, and is the key right? A second one in api_source.urls takes over")
                    .see(SEE),
            ),
        }
    }
    findings
}

/// The platform's database.
pub(super) async fn platform(config: Config) -> Vec<Finding> {
    const CHECK: &str = "source.platform";
    const SEE: &str = "docs/reconciliation.md";
    let Some(platform) = &config.platform else {
        return vec![Finding::skipped(CHECK, "platform.url is empty")];
    };
    let asked_at = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let mut open = match Platform::open(&platform.settings.source).await {
        Ok(open) => open,
        Err(error) => {
            let error = stxworx_indexer::error_chain(&error).to_string();
            return vec![
                Finding::fault(CHECK, error)
                    .why("runs fail: nothing opens and nothing heals")
                    .remedy("check platform.url and platform.projects_query with psql, as the same role")
                    .see(SEE),
            ];
        }
    };
    let mut findings = Vec::new();
    let lacks: Vec<_> = project_rules()
        .iter()
        .filter_map(|rule| {
            let lacks = open.shapes.lacks(rule.info().reads);
            (!lacks.is_empty()).then(|| format!("{}: {}", rule.info().id, lacks.join(", ")))
        })
        .collect();
    findings.push(if lacks.is_empty() {
        let shape = open.shapes.of(Entity::Projects);
        let columns = shape.map_or(0, |shape| shape.columns.len());
        Finding::fine(
            CHECK,
            format!("its projects can be read, {columns} columns"),
        )
    } else {
        Finding::warning(CHECK, format!("rules cannot read it: {}", lacks.join("; ")))
            .why("what these rules look for is not looked for")
            .remedy("give the columns by platform.projects_query")
            .see(SEE)
    });
    match open.writable().await {
        Ok(none) if none.is_empty() => {}
        Ok(tables) => findings.push(
            Finding::warning("platform.role", format!("its role may change {}", tables.join(", ")))
                .why("reconciliation only ever reads; rights that are not needed are rights that can be misused")
                .remedy("make a role that may select and no more: deploy/sql/platform.sql")
                .see("docs/deploy.md#roles"),
        ),
        Err(error) => {
            let error = stxworx_indexer::error_chain(&error).to_string();
            findings.push(Finding::warning("platform.role", error));
        }
    }
    let ours = i64::try_from(asked_at.as_secs()).unwrap_or(0);
    let theirs = i64::try_from(open.time_s).unwrap_or(0);
    findings.push(skew(
        "clock.platform",
        "the platform's",
        (theirs - ours).saturating_mul(1_000_000),
    ));
    open.close().await;
    findings
}
