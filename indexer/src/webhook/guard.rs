//! Where webhooks may not go: an address inside this network is not for an operator's URL to reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Longest address of a receiver.
const MAX_URL: usize = 2_000;

/// An address that is not called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is no URL that is called at all.
    #[error("the address of a webhook must be {0}")]
    Form(&'static str),
    /// It leads inside.
    #[error(
        "the address {address} is {kind}; webhooks go to public addresses only (webhooks.allow_private)"
    )]
    Inside {
        /// The address that was found.
        address: IpAddr,
        /// What it is.
        kind: &'static str,
    },
    /// The name is not known.
    #[error("the name {0} has no address")]
    Unknown(String),
}

const V4: [(u32, u32, &str); 14] = [
    (0x0000_0000, 8, "of this network"),
    (0x0a00_0000, 8, "private"),
    (0x6440_0000, 10, "shared by a carrier (CGNAT)"),
    (0x7f00_0000, 8, "this machine's own"),
    (0xa9fe_0000, 16, "link-local"),
    (0xac10_0000, 12, "private"),
    (0xc000_0000, 24, "reserved"),
    (0xc000_0200, 24, "for documentation"),
    (0xc058_6300, 24, "reserved"),
    (0xc0a8_0000, 16, "private"),
    (0xc612_0000, 15, "for benchmarks"),
    (0xc633_6400, 24, "for documentation"),
    (0xcb00_7100, 24, "for documentation"),
    // Multicast, reserved, and the broadcast address.
    (0xe000_0000, 3, "multicast or reserved"),
];

fn inside_v4(address: Ipv4Addr) -> Option<&'static str> {
    let bits = u32::from(address);
    V4.iter()
        .find(|(network, length, _)| (bits ^ network) >> (32 - length) == 0)
        .map(|(.., kind)| *kind)
}

fn inside_v6(address: Ipv6Addr) -> Option<&'static str> {
    let [a, b, ..] = address.segments();
    if address.to_ipv4_mapped().is_some() {
        return Some("an IPv4 address in disguise");
    }
    match (a, b) {
        // Only this eighth of all addresses is given out; loopback, unique local (fd00:ec2::254 among them),
        // link-local and multicast lie outside.
        _ if a & 0xe000 != 0x2000 => Some("not a public one"),
        (0x2001, 0x0db8) => Some("for documentation"),
        (0x2001, b) if b < 0x0200 => Some("reserved (Teredo and others)"),
        (0x2002, _) => Some("an IPv4 address in disguise (6to4)"),
        (0x3fff, b) if b < 0x1000 => Some("for documentation"),
        _ => None,
    }
}

/// What an address is that webhooks do not go to; none for a public one.
pub fn inside(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => inside_v4(address),
        IpAddr::V6(address) => inside_v6(address),
    }
}

fn allowed(address: IpAddr) -> Result<(), Refused> {
    match inside(address) {
        None => Ok(()),
        Some(kind) => Err(Refused::Inside { address, kind }),
    }
}

/// Checks the form of a receiver's address, and its host if that is a number. A name is looked up when it is called.
///
/// # Errors
/// When it is not called.
pub fn check_url(text: &str, allow_private: bool) -> Result<Url, Refused> {
    const FORM: &str =
        "https://HOST/PATH, at most 2000 bytes, without a name, password or fragment in it";
    if text.len() > MAX_URL || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(Refused::Form(FORM));
    }
    let url = Url::parse(text).map_err(|_| Refused::Form(FORM))?;
    let scheme = url.scheme() == "https" || (allow_private && url.scheme() == "http");
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let Some(host) = url.host_str().filter(|_| scheme && plain) else {
        return Err(Refused::Form(FORM));
    };
    // A number in the address is not looked up, so that the resolver does not see it.
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>()
        && !allow_private
    {
        allowed(address)?;
    }
    Ok(url)
}

/// Looks names up for the client, which connects to what this returns and to nothing else: a name that answers
/// differently the second time is not asked a second time.
#[derive(Debug, Clone, Copy)]
pub struct Resolver {
    /// May an address lie inside?
    pub allow_private: bool,
}

impl Resolver {
    /// The addresses of a name, if every one of them may be called.
    async fn look_up(self, name: String) -> Result<Vec<SocketAddr>, Refused> {
        let unknown = || Refused::Unknown(name.clone());
        let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0))
            .await
            .map_err(|_| unknown())?
            .collect();
        judge(&found, self.allow_private)?;
        if found.is_empty() {
            return Err(unknown());
        }
        Ok(found)
    }
}

/// One address inside among several is enough: whoever mixes them means no good.
fn judge(found: &[SocketAddr], allow_private: bool) -> Result<(), Refused> {
    if allow_private {
        return Ok(());
    }
    found.iter().try_for_each(|address| allowed(address.ip()))
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let looking = self.look_up(name.as_str().to_owned());
        Box::pin(async move {
            let found = looking.await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_inside_is_not_called() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.8.8.8",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:8.8.8.8",
            "::ffff:127.0.0.1",
            "::8.8.8.8",
            "64:ff9b::8.8.8.8",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "100::1",
        ] {
            assert!(inside(address.parse().unwrap()).is_some(), "{address}");
        }
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.1.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.167.1.1",
            "192.169.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "2001:4860:4860::8888",
        ] {
            assert_eq!(inside(address.parse().unwrap()), None, "{address}");
        }
    }

    #[test]
    fn addresses_have_one_form() {
        for text in [
            "http://example.com/",
            "ftp://example.com/",
            "https://user@example.com/",
            "https://:p@example.com/",
            "https://example.com/#x",
            "https://",
            "//example.com",
            "https://exa mple.com",
            "",
            "file:///etc/passwd",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://0/",
        ] {
            assert!(check_url(text, false).is_err(), "{text}");
        }
        for text in [
            "https://example.com/hook?x=1",
            "https://example.com:8443/",
            "https://8.8.8.8/",
        ] {
            assert!(check_url(text, false).is_ok(), "{text}");
        }
        assert!(check_url("http://127.0.0.1:9/", true).is_ok());
        assert!(check_url("gopher://127.0.0.1:9/", true).is_err());
        assert!(check_url(&format!("https://example.com/{}", "a".repeat(2_000)), false).is_err());
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused() {
        let strict = Resolver {
            allow_private: false,
        };
        let error = strict.look_up("localhost".to_owned()).await.unwrap_err();
        assert!(matches!(error, Refused::Inside { .. }), "{error}");
        let open = Resolver {
            allow_private: true,
        };
        assert!(
            !open
                .look_up("localhost".to_owned())
                .await
                .unwrap()
                .is_empty()
        );
        let mixed = ["8.8.8.8:0".parse().unwrap(), "10.0.0.1:0".parse().unwrap()];
        assert!(judge(&mixed, false).is_err());
        assert!(judge(&mixed[..1], false).is_ok());
    }
}
