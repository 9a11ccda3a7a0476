//! A contract's source on the chain against this version's, byte by byte.

use std::borrow::Cow;
use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use stxworx_clarity::codec::{ContractId, Principal};
use stxworx_clarity::contracts::{self, SOURCES, for_network};
use stxworx_indexer::source::http::{FetchError, Server};

use crate::config::Network;

/// The only version that the contracts can be published as: newer ones lack `as-contract`.
const CLARITY: &str = "Clarity3";
/// Characters of a line that are shown.
const SHOWN: usize = 160;

/// What the chain has, and how it compares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct SourceReport {
    /// `equal`, `differs`, `unknown` or `absent`.
    verdict: &'static str,
    /// Bytes on the chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
    /// SHA-256 of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    /// Height of the block that published it.
    #[serde(skip_serializing_if = "Option::is_none")]
    publish_height: Option<u64>,
    /// The version of Clarity that it was published as; none where the server does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    clarity_version: Option<String>,
    /// Where the first difference is.
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<Difference>,
    /// What else is wrong.
    wrong: Vec<String>,
    /// The signers that it was deployed with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    first_signers: Vec<String>,
}

/// The first line that is not the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Difference {
    /// From 1.
    line: usize,
    /// Offset of the first byte that differs.
    byte: usize,
    /// This version's line.
    expected: String,
    /// The chain's.
    found: String,
}

impl SourceReport {
    fn of(verdict: &'static str) -> Self {
        Self {
            verdict,
            bytes: None,
            sha256: None,
            publish_height: None,
            clarity_version: None,
            difference: None,
            wrong: Vec::new(),
            first_signers: Vec::new(),
        }
    }

    pub(super) fn is_sound(&self) -> bool {
        self.verdict == "equal" && self.wrong.is_empty()
    }

    /// Is there a contract that can be asked?
    pub(super) fn is_there(&self) -> bool {
        self.verdict != "absent"
    }

    pub(super) fn signers(&self) -> Vec<Principal> {
        let parsed = self.first_signers.iter().filter_map(|s| s.parse().ok());
        parsed.collect()
    }
}

impl Display for SourceReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.verdict {
            "equal" => write!(out, "equal, byte by byte")?,
            "differs" => write!(out, "DIFFERS")?,
            "absent" => return write!(out, "ABSENT: no such contract there"),
            _ => write!(out, "UNKNOWN: this version has no source of that name")?,
        }
        if let (Some(bytes), Some(sha256)) = (self.bytes, &self.sha256) {
            write!(out, ", {bytes} bytes, sha256 {}", &sha256[..16])?;
        }
        if let Some(height) = self.publish_height {
            write!(out, ", published at height {height}")?;
        }
        if let Some(version) = &self.clarity_version {
            write!(out, ", {version}")?;
        }
        if let Some(it) = &self.difference {
            write!(
                out,
                "\n  line {}, byte {}\n    expected {:?}\n    found    {:?}",
                it.line, it.byte, it.expected, it.found
            )?;
        }
        for wrong in &self.wrong {
            write!(out, "\n  WRONG: {wrong}")?;
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Published {
    source: String,
    publish_height: Option<u64>,
}

#[derive(Deserialize)]
struct Interface {
    clarity_version: Option<String>,
}

/// Fetches and compares.
///
/// # Errors
/// When the server does not answer. A contract that is not there is a finding.
pub(super) async fn compare(
    server: &Server,
    network: Network,
    id: &ContractId,
) -> Result<SourceReport, FetchError> {
    let (address, name) = (id.issuer.to_string(), id.name.as_str());
    let path = format!("/v2/contracts/source/{address}/{name}?proof=0");
    let published: Published = match server.get(&path).await {
        Ok(published) => published,
        Err(FetchError::NotFound { .. }) => return Ok(SourceReport::of("absent")),
        Err(error) => return Err(error),
    };
    let path = format!("/v2/contracts/interface/{address}/{name}");
    let interface: Option<Interface> = match server.get(&path).await {
        Ok(interface) => Some(interface),
        // Some servers do not offer it; the source is what counts.
        Err(FetchError::NotFound { .. } | FetchError::NotOffered { .. }) => None,
        Err(error) => return Err(error),
    };
    let mut report = judge(network, name, &published.source);
    report.publish_height = published.publish_height;
    report.clarity_version = interface.and_then(|i| i.clarity_version);
    let version = report.clarity_version.as_deref();
    // A devnet's machine runs them as it can.
    if let Some(version) = version.filter(|v| *v != CLARITY && network != Network::Devnet) {
        let wrong = format!("published as {version}, not as {CLARITY}");
        report.wrong.push(wrong);
    }
    Ok(report)
}

fn judge(network: Network, name: &str, found: &str) -> SourceReport {
    let ours = SOURCES.iter().find(|(known, _)| *known == name);
    let Some((_, ours)) = ours else {
        return SourceReport::of("unknown");
    };
    let mut wrong = Vec::new();
    let mut expected: Cow<'static, str> = (*ours).into();
    let mut first_signers = Vec::new();
    if name == "freelance-security" {
        let signers = contracts::first_signers(found).unwrap_or_default();
        first_signers = signers.iter().map(ToString::to_string).collect();
        // A deployment of value replaces the signers, and nothing else.
        let deployed_to = match network {
            Network::Mainnet => Some(contracts::Network::Mainnet),
            Network::Testnet => Some(contracts::Network::Testnet),
            Network::Devnet => None,
        };
        match deployed_to.map(|network| for_network(network, &signers)) {
            None => {}
            Some(Err(error)) => wrong.push(error.to_string()),
            Some(Ok(rendered)) => {
                let it = rendered.into_iter().find(|(known, _)| *known == name);
                expected = it.map_or(expected, |(_, source)| source);
            }
        }
    }
    let difference = difference(&expected, found);
    SourceReport {
        bytes: Some(found.len()),
        sha256: Some(hex::encode(Sha256::digest(found.as_bytes()))),
        difference,
        wrong,
        first_signers,
        ..SourceReport::of(if expected == found {
            "equal"
        } else {
            "differs"
        })
    }
}

/// The first place at which two texts part; none where they are the same bytes.
fn difference(expected: &str, found: &str) -> Option<Difference> {
    if expected == found {
        return None;
    }
    let same = expected.bytes().zip(found.bytes());
    let byte = same.take_while(|(a, b)| a == b).count();
    let line = expected.as_bytes()[..byte]
        .iter()
        .filter(|b| **b == b'\n')
        .count();
    // With its end, so that a missing line feed, or another one, is seen.
    let nth = |text: &str| {
        let line = text.split_inclusive('\n').nth(line).unwrap_or_default();
        line.chars().take(SHOWN).collect::<String>()
    };
    Some(Difference {
        line: line + 1,
        byte,
        expected: nth(expected),
        found: nth(found),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn source(name: &str) -> &'static str {
        SOURCES.iter().find(|(n, _)| *n == name).unwrap().1
    }

    #[test]
    fn this_versions_sources_are_equal_on_a_devnet() {
        for (name, source) in SOURCES {
            let report = judge(Network::Devnet, name, source);
            assert!(report.is_sound(), "{report}");
        }
        assert_eq!(judge(Network::Devnet, "another", "x").verdict, "unknown");
    }

    #[test]
    fn a_network_of_value_has_signers_of_its_own_and_nothing_else() {
        let own = source("freelance-security");
        let on_mainnet = judge(Network::Mainnet, "freelance-security", own);
        assert!(!on_mainnet.is_sound());
        assert!(
            on_mainnet.wrong[0].contains("whose key everybody has"),
            "{on_mainnet}"
        );
        let signers: Vec<Principal> = (1..=5)
            .map(|n| {
                let address = stxworx_clarity::codec::StandardPrincipal::new(22, [n; 20]);
                Principal::Standard(address.unwrap())
            })
            .collect();
        let rendered = for_network(contracts::Network::Mainnet, &signers).unwrap();
        let deployed = rendered
            .iter()
            .find(|(n, _)| *n == "freelance-security")
            .unwrap();
        let good = judge(Network::Mainnet, "freelance-security", &deployed.1);
        assert!(good.is_sound(), "{good}");
        assert_eq!(good.signers(), signers);
        let cheaper = deployed.1.replace("u144", "u1");
        let bad = judge(Network::Mainnet, "freelance-security", &cheaper);
        assert_eq!(bad.verdict, "differs");
        let line = bad.difference.unwrap();
        assert!(
            line.expected.contains("u144") && !line.found.contains("u144"),
            "{line:?}"
        );
    }

    #[test]
    fn the_end_of_a_file_counts() {
        let at = |expected: &str, found: &str| {
            difference(expected, found).map(|d| (d.line, d.byte, d.expected, d.found))
        };
        assert_eq!(at("a\nb\n", "a\nb\n"), None);
        assert_eq!(at("a\nb\n", "a\nb"), Some((2, 3, "b\n".into(), "b".into())));
        assert_eq!(
            at("a\n", "a\r\n"),
            Some((1, 1, "a\n".into(), "a\r\n".into()))
        );
        assert_eq!(at("a\n", "a\nb"), Some((2, 2, String::new(), "b".into())));
    }

    proptest! {
        /// Whichever byte is changed, its own line is named.
        #[test]
        fn any_changed_byte_is_found_at_its_line(at in 0usize..26_000) {
            let ours = source("freelance-logic");
            let at = at % ours.len();
            prop_assume!(ours.is_ascii() && ours.as_bytes()[at] != b'\n');
            let mut theirs = ours.as_bytes().to_vec();
            theirs[at] = if theirs[at] == b'x' { b'y' } else { b'x' };
            let theirs = String::from_utf8(theirs).unwrap();
            let found = difference(ours, &theirs).unwrap();
            let line = ours.as_bytes()[..at].iter().filter(|b| **b == b'\n').count() + 1;
            prop_assert_eq!((found.line, found.byte), (line, at));
        }
    }
}
