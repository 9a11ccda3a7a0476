//! The configuration: what contradicts itself, what is left open, and who can read its secrets.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use stxworx_clarity::codec::Principal;
use stxworx_indexer::model::Mirror;
use stxworx_indexer::store::inbox::Source;

use super::finding::Finding;
use crate::config::{Config, Network, SETTINGS};

const CHECK: &str = "config";
const FILES: &str = "config/README.md";
/// A count below this is fewer than anybody waits for.
const LEAST_FINALITY: u32 = 6;

/// Everything about the configuration. What is no configuration at all never comes here.
pub(super) fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    follows(config, &mut findings);
    sources(config, &mut findings);
    listens(config, &mut findings);
    secrets(config, &mut findings);
    if let Err(error) = config.api.tokens.verifier() {
        let error = stxworx_indexer::error_chain(&error).to_string();
        findings.push(
            Finding::fault(CHECK, format!("tokens cannot be checked: {error}"))
                .why("the role api does not start")
                .remedy("name a file with an Ed25519 public key in PEM, or leave api.jwt_public_key_file empty")
                .see("docs/api-access.md"),
        );
    }
    let of_value = config.network == Network::Mainnet;
    if of_value && config.finality_burn_blocks < LEAST_FINALITY {
        let set = config.finality_burn_blocks;
        findings.push(
            Finding::warning(
                CHECK,
                format!("chain.finality_burn_blocks is {set} on mainnet"),
            )
            .why("forks of Bitcoin of this depth have happened: what was called final can be left")
            .remedy(format!("set it to {LEAST_FINALITY} or more"))
            .see("docs/runbook.md#ch-3-a-final-block-was-left"),
        );
    }
    if of_value && config.webhooks.allow_private {
        findings.push(
            Finding::warning(CHECK, "webhooks.allow_private is set on mainnet")
                .why("whoever may make a webhook can reach this network with it")
                .remedy("set it to false")
                .see("docs/streams.md"),
        );
    }
    if findings.is_empty() {
        let of = config.network.as_str();
        findings.push(Finding::fine(
            CHECK,
            format!("for {of}, without a contradiction"),
        ));
    }
    findings
}

fn follows(config: &Config, findings: &mut Vec<Finding>) {
    let follow = &config.follow;
    if follow.mirror == Mirror::Followed
        && follow.contracts.is_empty()
        && follow.principals.is_empty()
    {
        findings.push(
            Finding::warning(
                CHECK,
                "follow.mirror is \"followed\", and nothing is followed",
            )
            .why("the mirror keeps headers and no transaction; a later change means a rebuild")
            .remedy("name the contracts in follow.contracts before the first start")
            .see(FILES),
        );
    }
    let is_mainnet = config.network == Network::Mainnet;
    let named = follow.contracts.iter().chain(&follow.principals);
    let foreign: Vec<&str> = named
        .filter(|name| {
            let principal = name.parse::<Principal>();
            principal.is_ok_and(|p| p.address().is_testnet() == is_mainnet)
        })
        .map(String::as_str)
        .collect();
    if !foreign.is_empty() {
        let of = config.network.as_str();
        findings.push(
            Finding::fault(
                CHECK,
                format!("not addresses of {of}: {}", foreign.join(", ")),
            )
            .why("nothing of them ever happens on this network")
            .remedy(
                "set network, or the addresses in follow.contracts and follow.principals, right",
            )
            .see(FILES),
        );
    }
}

fn sources(config: &Config, findings: &mut Vec<Finding>) {
    let lacks = match config.sources.follow {
        Some(Source::Node) if config.node_url.is_none() => Some("node.rpc_url"),
        Some(Source::Api) if config.api_source.is_none() => Some("api_source.urls"),
        _ => None,
    };
    if let (Some(setting), Some(source)) = (lacks, config.sources.follow) {
        let source = source.as_str();
        findings.push(
            Finding::fault(
                CHECK,
                format!("sources.follow is \"{source}\", and {setting} is empty"),
            )
            .why("the role indexer does not start")
            .remedy(format!("set {setting}, or sources.follow to \"none\""))
            .see(FILES),
        );
    }
    if config.node_url.is_none() && config.network != Network::Devnet {
        findings.push(
            Finding::warning(CHECK, "node.rpc_url is empty")
                .why("nobody compares the mirror with the contracts: that no event is missing stays unproved")
                .remedy("name a node's RPC, if possible another one than the node that feeds the mirror")
                .see("docs/runbook.md#no-proofs-from-the-node"),
        );
    }
}

fn listens(config: &Config, findings: &mut Vec<Finding>) {
    let all = [
        ("observer.listen", config.observer_listen),
        ("api.listen", config.api_listen),
        ("metrics.listen", config.metrics_listen),
    ];
    for (place, (one, address)) in all.iter().enumerate() {
        let twice = all[place + 1..]
            .iter()
            .find(|(_, other)| other.port() != 0 && other == address);
        if let Some((other, _)) = twice {
            findings.push(
                Finding::fault(CHECK, format!("{one} and {other} are both {address}"))
                    .why("a daemon with both roles does not start")
                    .remedy("give each a port of its own"),
            );
        }
    }
    let observer = config.observer_listen;
    if !observer.ip().is_loopback() {
        findings.push(
            Finding::warning(
                CHECK,
                format!("the observer listens on {observer}, beyond this machine"),
            )
            .why("it has no authentication, and what is posted is believed")
            .remedy("let a firewall, or the container's network, leave it to the node alone")
            .see("docs/deploy-observer.md"),
        );
    }
}

fn secrets(config: &Config, findings: &mut Vec<Finding>) {
    for (key, value, origin) in &config.dump {
        let is_secret = SETTINGS.iter().any(|s| s.key == *key && s.secret);
        if !is_secret || value == "\"\"" {
            continue;
        }
        // Other origins are no files.
        let Ok(meta) = std::fs::metadata(Path::new(origin)) else {
            continue;
        };
        let mode = meta.permissions().mode() & 0o777;
        if mode & 0o004 != 0 {
            findings.push(
                Finding::fault(
                    CHECK,
                    format!("everybody on this machine can read {key}: {origin} has mode {mode:04o}"),
                )
                .why("it is a secret")
                .remedy(format!(
                    "chmod 0640 {origin}, or move it into a credential: a file named {key} in the folder CREDENTIALS_DIRECTORY"
                ))
                .see("docs/deploy.md#secrets"),
            );
        } else if mode & 0o022 != 0 {
            findings.push(
                Finding::warning(
                    CHECK,
                    format!("{origin} has mode {mode:04o}: others may write it"),
                )
                .why("whoever writes it says which database is used")
                .remedy(format!("chmod 0640 {origin}"))
                .see("docs/deploy.md#secrets"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;
    use crate::config::Sources;

    fn found(settings: &[(&'static str, &str)]) -> Vec<(Severity, String)> {
        let flags = settings
            .iter()
            .map(|(key, text)| {
                let mut table: toml::Table = format!("v = {text}").parse().unwrap();
                (*key, table.remove("v").unwrap())
            })
            .collect();
        let sources = Sources {
            file: None,
            env: &|_| None,
            flags,
        };
        let config = Config::load(&sources).unwrap_or_else(|e| panic!("{e}"));
        let said = examine(&config).into_iter();
        said.map(|f| (f.severity, f.what)).collect()
    }

    fn has(found: &[(Severity, String)], severity: Severity, words: &str) {
        assert!(
            found
                .iter()
                .any(|(s, what)| *s == severity && what.contains(words)),
            "{words}: {found:?}"
        );
    }

    #[test]
    fn the_defaults_are_fine() {
        assert_eq!(
            found(&[]),
            [(
                Severity::Fine,
                "for devnet, without a contradiction".to_owned()
            )]
        );
    }

    #[test]
    fn each_contradiction_is_named() {
        let mainnet = found(&[
            ("network", "\"mainnet\""),
            ("follow.mirror", "\"followed\""),
            ("follow.contracts", "[]"),
            ("chain.finality_burn_blocks", "3"),
            ("webhooks.allow_private", "true"),
        ]);
        has(&mainnet, Severity::Warning, "nothing is followed");
        has(&mainnet, Severity::Warning, "finality_burn_blocks is 3");
        has(&mainnet, Severity::Warning, "allow_private");
        has(&mainnet, Severity::Warning, "node.rpc_url is empty");
        let foreign = found(&[
            ("network", "\"testnet\""),
            (
                "follow.contracts",
                "[\"SP000000000000000000002Q6VF78.pox-4\"]",
            ),
        ]);
        has(
            &foreign,
            Severity::Fault,
            "not addresses of testnet: SP000000000000000000002Q6VF78.pox-4",
        );
        let node = found(&[("sources.follow", "\"node\"")]);
        has(&node, Severity::Fault, "node.rpc_url is empty");
        let api = found(&[("sources.follow", "\"api\"")]);
        has(&api, Severity::Fault, "api_source.urls is empty");
        let ports = found(&[
            ("api.listen", "\"127.0.0.1:3801\""),
            ("observer.listen", "\"0.0.0.0:3700\""),
        ]);
        has(
            &ports,
            Severity::Fault,
            "api.listen and metrics.listen are both",
        );
        has(&ports, Severity::Warning, "0.0.0.0:3700");
        let tokens = found(&[("api.jwt_public_key_file", "\"/nonexistent/key.pem\"")]);
        has(&tokens, Severity::Fault, "tokens cannot be checked");
    }

    #[test]
    fn a_file_that_everybody_reads_holds_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stxworx.toml");
        std::fs::write(&path, "[database]\nurl = \"postgres://u:p@h/d\"\n").unwrap();
        let said = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let sources = Sources {
                file: Some(&path),
                env: &|_| None,
                flags: Vec::new(),
            };
            let config = Config::load(&sources).unwrap_or_else(|e| panic!("{e}"));
            let worst = examine(&config).into_iter().map(|f| f.severity).max();
            worst.unwrap()
        };
        assert_eq!(said(0o644), Severity::Fault);
        assert_eq!(said(0o660), Severity::Warning);
        assert_eq!(said(0o640), Severity::Fine);
    }
}
