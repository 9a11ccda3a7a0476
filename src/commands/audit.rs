//! `stxworx audit`.

use clap::Args;
use stxworx_indexer::audit::{
    self, AuditError, CursorProof, DeepOptions, DeepReport, FirstBad, NodeReader,
};
use stxworx_indexer::source::node::NodeSource;
use stxworx_indexer::store::audit::Verdict;
use stxworx_indexer::store::evidence::{self, AuditVerdict};
use stxworx_indexer::store::{self, Access, StoreError};

use crate::cli::{CommandError, Outcome};
use crate::config::Config;
use crate::daemon::Database;
use crate::post::OutputFormat;

/// Options of `audit`.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Also compare states and balances with the contracts' own, and blocks with their replay by the node (for which
    /// node.auth_token must be set); what changed since they were last compared, at most some dozens.
    #[arg(long)]
    pub deep: bool,
    /// The same of every state, and of every block with mirrored transactions.
    #[arg(long)]
    pub all: bool,
    /// Replay every block from this height on; needs --to.
    #[arg(long, value_name = "HEIGHT", requires = "to")]
    pub from: Option<u32>,
    /// Up to this height, included; needs --from.
    #[arg(long, value_name = "HEIGHT", requires = "from")]
    pub to: Option<u32>,
    /// The node (RPC, http://HOST:PORT); without it node.rpc_url.
    #[arg(long, value_name = "URL")]
    pub node: Option<String>,
    /// How the result is printed.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
}

/// Why nothing was compared.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("no node to ask: give --node http://HOST:PORT, or set node.rpc_url")]
    NoNode,
    #[error("--from {from} is after --to {to}; give the lower height first")]
    Reversed { from: u32, to: u32 },
    #[error("--to {to} is beyond the mirror's newest block, at height {tip}")]
    Beyond { to: u32, tip: u32 },
    #[error("the mirror is empty: there is nothing to compare")]
    Empty,
    #[error(
        "blocks cannot be replayed without a token: set connection_options.auth_token in the node and node.auth_token here"
    )]
    NoToken,
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error("the mirror cannot be read")]
    Store(#[from] StoreError),
}

/// All that an audit found.
#[derive(Debug, serde::Serialize)]
struct Findings {
    /// Each contract's chain of events against the contract's own cursor.
    cursors: Vec<CursorProof>,
    /// For each chain that differs, where that begins.
    first_bad: Vec<FirstBad>,
    /// States, balances and blocks.
    deep: Option<DeepReport>,
}

impl Findings {
    fn differs(&self) -> bool {
        self.cursors.iter().any(|c| c.difference().is_some())
            || self.deep.as_ref().is_some_and(DeepReport::differs)
    }
}

/// Compares the mirror with a node, keeps what came of it, and says where the mirror first went wrong.
///
/// # Errors
/// When mirror or node cannot be read. Differences are no error but [`Outcome::Unsound`].
pub async fn audit(config: &Config, args: &AuditArgs) -> Result<Outcome, CommandError> {
    let url = args.node.as_deref().or(config.node_url.as_deref());
    let url = url.ok_or(Refused::NoNode).map_err(CommandError::other)?;
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from > to
    {
        return Err(CommandError::other(Refused::Reversed { from, to }));
    }
    let options = config.node_options(url);
    if options.auth_token.is_none() && args.from.is_some() {
        return Err(CommandError::other(Refused::NoToken));
    }
    let node = NodeReader::new(url, config.node_timeout).map_err(CommandError::other)?;
    let source = match &options.auth_token {
        Some(_) => Some(NodeSource::new(&options).map_err(CommandError::other)?),
        None => None,
    };
    let database = Database::attach(config)
        .await
        .map_err(CommandError::other)?;
    let result = run(database.url(), &node, source.as_ref(), args).await;
    database.close().await;
    let findings = result.map_err(CommandError::other)?;
    match args.output {
        OutputFormat::Json => {
            let json = serde_json::to_value(&findings).map_err(CommandError::other)?;
            crate::cli::say!("{json:#}");
        }
        OutputFormat::Text => crate::cli::say_text(&text(&findings)),
    }
    Ok(if findings.differs() {
        Outcome::Unsound
    } else {
        Outcome::Done
    })
}

async fn run(
    url: &str,
    node: &NodeReader,
    source: Option<&NodeSource>,
    args: &AuditArgs,
) -> Result<Findings, Refused> {
    let pool = store::pool(url, Access::Write, 4)?;
    let (_, tip) = evidence::canonical_ends(&pool)
        .await?
        .ok_or(Refused::Empty)?;
    if let Some(to) = args.to.filter(|to| *to > tip.height) {
        let tip = tip.height;
        return Err(Refused::Beyond { to, tip });
    }
    let cursors = audit::prove_and_store(&pool, node).await?;
    let mut first_bad = Vec::new();
    for proof in cursors.iter().filter(|c| c.verdict == Verdict::Differs) {
        first_bad.extend(audit::bisect(&pool, node, &proof.contract).await?);
    }
    let range = args.from.zip(args.to);
    let deep = if args.deep || args.all || range.is_some() {
        let options = DeepOptions {
            all: args.all,
            range,
            ..DeepOptions::default()
        };
        Some(audit::deep(&pool, node, source, &options).await?)
    } else {
        None
    };
    pool.close().await;
    Ok(Findings {
        cursors,
        first_bad,
        deep,
    })
}

fn text(findings: &Findings) -> String {
    let mut text = String::new();
    for proof in &findings.cursors {
        text.push_str(&proof.text());
        text.push('\n');
    }
    for bad in &findings.first_bad {
        let first = if bad.below_is_right {
            "the first block that differs is"
        } else {
            "what is below cannot be compared; it differs from"
        };
        text.push_str(&format!(
            "{}: {first} {} (height {}): {}\n",
            bad.contract, bad.index_block_hash, bad.height, bad.detail
        ));
    }
    let Some(deep) = &findings.deep else {
        return text;
    };
    for finding in &deep.findings {
        let verdict = match finding.verdict {
            AuditVerdict::Unavailable => "cannot be compared",
            _ => "differs",
        };
        text.push_str(&format!(
            "{} {} {verdict} at block {} (height {}): {}\n",
            finding.subject_kind,
            finding.subject,
            finding.index_block_hash,
            finding.height,
            finding.detail.as_deref().unwrap_or_default()
        ));
    }
    for (kind, verdicts) in &deep.compared {
        let counts: Vec<_> = verdicts.iter().map(|(v, n)| format!("{n} {v}")).collect();
        text.push_str(&format!("{kind}: {}\n", counts.join(", ")));
    }
    for note in &deep.notes {
        text.push_str(&format!("{note}\n"));
    }
    text
}
