//! The contracts' sources, and what a deployment changes in them: the first signers of `freelance-security`.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::codec::Principal;

/// Name and source of every contract of a devnet, in the order in which they are deployed. A network of value has no
/// `test-token`: [`for_network`] leaves it out.
pub const SOURCES: [(&str, &str); 6] = [
    (
        "freelance-traits",
        include_str!("../contracts/freelance-traits.clar"),
    ),
    ("test-token", include_str!("../contracts/test-token.clar")),
    (
        "freelance-data",
        include_str!("../contracts/freelance-data.clar"),
    ),
    (
        "freelance-logic",
        include_str!("../contracts/freelance-logic.clar"),
    ),
    (
        "freelance-badges",
        include_str!("../contracts/freelance-badges.clar"),
    ),
    (
        "freelance-security",
        include_str!("../contracts/freelance-security.clar"),
    ),
];

/// Signers that `freelance-security` is deployed with; it asserts the number itself.
pub const SIGNERS: usize = 5;

const LIST: &str = "(define-constant SIGNERS (list";
const END: &str = "))\n";

/// Where contracts are deployed for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Addresses begin with ST or SN.
    Testnet,
    /// Addresses begin with SP or SM.
    Mainnet,
}

/// Why nobody should deploy with these signers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignersError {
    /// Too few or too many.
    #[error("the contract is deployed with {SIGNERS} signers, not with {0}")]
    Count(usize),
    /// The same one twice.
    #[error("{0} is given twice: the deployment would fail")]
    Repeated(Principal),
    /// An address of another network, which could never call.
    #[error("{signer} is an address of another network than {network:?}: it could never sign")]
    Network {
        /// Who.
        signer: Principal,
        /// Where to.
        network: Network,
    },
    /// A key that everybody has.
    #[error("{0} is a signer of the devnet, whose key everybody has")]
    Devnet(Principal),
    /// The source is not the one that this was written for.
    #[error("freelance-security has no list of signers where one is expected")]
    Source,
}

/// Name and source of each contract for a network of value, in the order of deployment: without `test-token`, and with
/// these signers.
///
/// # Errors
/// When the signers would make a contract that nobody, or everybody, can govern.
pub fn for_network(
    network: Network,
    signers: &[Principal],
) -> Result<Vec<(&'static str, Cow<'static, str>)>, SignersError> {
    check(network, signers)?;
    let mut contracts = Vec::new();
    for (name, source) in SOURCES {
        match name {
            "test-token" => {}
            "freelance-security" => contracts.push((name, with_signers(source, signers)?.into())),
            _ => contracts.push((name, source.into())),
        }
    }
    Ok(contracts)
}

fn check(network: Network, signers: &[Principal]) -> Result<(), SignersError> {
    if signers.len() != SIGNERS {
        return Err(SignersError::Count(signers.len()));
    }
    let devnet = devnet_signers();
    for (place, signer) in signers.iter().enumerate() {
        // The same key has another address on the other network.
        if devnet
            .iter()
            .any(|d| d.address().hash160() == signer.address().hash160())
        {
            return Err(SignersError::Devnet(signer.clone()));
        }
        if signer.address().is_testnet() != (network == Network::Testnet) {
            let signer = signer.clone();
            return Err(SignersError::Network { signer, network });
        }
        if signers[..place].contains(signer) {
            return Err(SignersError::Repeated(signer.clone()));
        }
    }
    Ok(())
}

/// The addresses in the source as it stands.
fn devnet_signers() -> Vec<Principal> {
    let source = SOURCES.iter().find(|(n, _)| *n == "freelance-security");
    source
        .and_then(|(_, source)| first_signers(source))
        .unwrap_or_default()
}

/// The first signers in a source of `freelance-security`. None where there is no such list, or it holds anything else.
pub fn first_signers(source: &str) -> Option<Vec<Principal>> {
    let words = signers_of(source)?.split_whitespace();
    words.map(|w| w.strip_prefix('\'')?.parse().ok()).collect()
}

/// What stands in the list of signers.
fn signers_of(source: &str) -> Option<&str> {
    let (_, rest) = source.split_once(LIST)?;
    Some(rest.split_once(END)?.0)
}

fn with_signers(source: &str, signers: &[Principal]) -> Result<String, SignersError> {
    let list = signers_of(source).ok_or(SignersError::Source)?;
    let mut new = String::new();
    for signer in signers {
        // Writing to a text cannot fail.
        let _ = write!(new, "\n  '{signer}");
    }
    Ok(source.replacen(list, &new, 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::StandardPrincipal;

    /// Version bytes of single-key addresses: 22 on mainnet, 26 on testnets (SIP-005).
    fn signer(version: u8, n: u8) -> Principal {
        Principal::Standard(StandardPrincipal::new(version, [n; 20]).expect("a version"))
    }

    fn five(version: u8) -> Vec<Principal> {
        (1..=5).map(|n| signer(version, n)).collect()
    }

    #[test]
    fn only_the_signers_change_and_the_test_token_is_left_out() {
        for (network, version) in [(Network::Testnet, 26), (Network::Mainnet, 22)] {
            let signers = five(version);
            let rendered = for_network(network, &signers).expect("sources");
            let names: Vec<_> = rendered.iter().map(|(n, _)| *n).collect();
            let expected: Vec<_> = SOURCES
                .iter()
                .map(|(n, _)| *n)
                .filter(|n| *n != "test-token")
                .collect();
            assert_eq!(names, expected);
            for (name, source) in &rendered {
                let original = SOURCES.iter().find(|(n, _)| n == name).expect("a source").1;
                let changed: Vec<_> = original
                    .lines()
                    .zip(source.lines())
                    .filter(|(a, b)| a != b)
                    .collect();
                assert_eq!(original.lines().count(), source.lines().count());
                assert_eq!(
                    changed.len(),
                    if *name == "freelance-security" { 5 } else { 0 },
                    "{name}"
                );
                for ((_, new), signer) in changed.iter().zip(&signers) {
                    assert_eq!(new.trim().trim_end_matches("))"), format!("'{signer}"));
                }
            }
        }
    }

    #[test]
    fn signers_that_could_not_or_should_not_govern_are_refused() {
        let refused =
            |network, signers: &[Principal]| for_network(network, signers).expect_err("a reason");
        let good = five(26);
        assert_eq!(
            refused(Network::Testnet, &good[..4]),
            SignersError::Count(4)
        );
        let mut twice = good.clone();
        twice[4] = good[0].clone();
        assert_eq!(
            refused(Network::Testnet, &twice),
            SignersError::Repeated(good[0].clone())
        );
        let mut foreign = good.clone();
        foreign[2] = signer(22, 9);
        assert!(matches!(
            refused(Network::Testnet, &foreign),
            SignersError::Network { .. }
        ));
        let devnet = devnet_signers();
        assert_eq!(devnet.len(), SIGNERS);
        assert_eq!(
            refused(Network::Testnet, &devnet),
            SignersError::Devnet(devnet[0].clone())
        );
        // The key of a devnet's signer under its mainnet address.
        let mut known = five(22);
        known[3] = Principal::Standard(
            StandardPrincipal::new(22, *devnet[1].address().hash160()).expect("a version"),
        );
        assert_eq!(
            refused(Network::Mainnet, &known),
            SignersError::Devnet(known[3].clone())
        );
    }
}
