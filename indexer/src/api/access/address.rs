//! The address that a request comes from, behind proxies that are trusted to say so.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use axum::http::HeaderMap;

const FORWARDED_FOR: &str = "x-forwarded-for";
/// Addresses of the header that are looked at, from the nearest on.
const HOPS: usize = 16;

/// A range of addresses: `10.0.0.0/8`, `::1`, `192.0.2.7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: u128,
    bits: u32,
    is_v6: bool,
}

/// Not a range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an address or a range of addresses, for instance 127.0.0.1 or 10.0.0.0/8")]
pub struct NoNetwork;

fn parts(address: IpAddr) -> (u128, u32, bool) {
    match address.to_canonical() {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32, false),
        IpAddr::V6(v6) => (u128::from(v6), 128, true),
    }
}

fn cut(number: u128, width: u32, bits: u32) -> u128 {
    number.checked_shr(width - bits).unwrap_or(0)
}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().map_err(|_| NoNetwork)?)),
            None => (text, None),
        };
        let (number, width, is_v6) = parts(address.parse().map_err(|_| NoNetwork)?);
        let bits = bits.unwrap_or(width);
        if bits > width {
            return Err(NoNetwork);
        }
        Ok(Self {
            base: cut(number, width, bits),
            bits,
            is_v6,
        })
    }
}

impl Network {
    /// Is the address in the range?
    pub fn contains(&self, address: IpAddr) -> bool {
        let (number, width, is_v6) = parts(address);
        is_v6 == self.is_v6 && cut(number, width, self.bits) == self.base
    }
}

/// The address to hold a request against: the peer's, or where the peer is a trusted proxy the nearest address in
/// `X-Forwarded-For` that is none. What lies beyond that one is anybody's invention.
pub(super) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_proxy = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut nearest = peer;
    if !is_proxy(peer) {
        return nearest;
    }
    let values: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
    let hops = values
        .iter()
        .rev()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.rsplit(','))
        .take(HOPS);
    for hop in hops {
        let Ok(address) = hop.trim().parse::<IpAddr>() else {
            break;
        };
        nearest = address;
        if !is_proxy(address) {
            break;
        }
    }
    nearest
}

/// One bucket for an IPv4 address, and for a /64 of IPv6, which is what one subscriber has.
pub(super) fn bucket(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let network = u128::from(v6) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(network))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn from(peer: &str, headers: &[&str], trusted: &[&str]) -> String {
        let mut map = HeaderMap::new();
        for value in headers {
            map.append(FORWARDED_FOR, value.parse().unwrap());
        }
        let trusted: Vec<Network> = trusted.iter().map(|t| t.parse().unwrap()).collect();
        client(ip(peer), &map, &trusted).to_string()
    }

    #[test]
    fn ranges_hold_their_addresses() {
        let holds =
            |range: &str, address: &str| range.parse::<Network>().unwrap().contains(ip(address));
        assert!(holds("10.0.0.0/8", "10.9.8.7") && !holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("127.0.0.1", "127.0.0.1") && !holds("127.0.0.1", "127.0.0.2"));
        assert!(holds("0.0.0.0/0", "1.2.3.4") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("::/0", "2001:db8::1") && holds("2001:db8::/32", "2001:db8:1::1"));
        assert!(
            holds("10.0.0.0/8", "::ffff:10.1.1.1"),
            "a mapped address is the mapped one"
        );
        for text in [
            "",
            "x",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/-1",
            "10.0.0/8",
            "1.2.3.4/",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NoNetwork), "{text}");
        }
    }

    #[test]
    fn only_trusted_proxies_are_listened_to() {
        assert_eq!(from("192.0.2.1", &["198.51.100.7"], &[]), "192.0.2.1");
        let proxy = &["10.0.0.0/8"];
        assert_eq!(from("10.0.0.1", &["198.51.100.7"], proxy), "198.51.100.7");
        assert_eq!(from("192.0.2.1", &["198.51.100.7"], proxy), "192.0.2.1");
        // What the client invented stands to the left of what the proxies saw.
        assert_eq!(
            from("10.0.0.1", &["1.1.1.1, 198.51.100.7, 10.0.0.2"], proxy),
            "198.51.100.7"
        );
        assert_eq!(
            from("10.0.0.1", &["1.1.1.1", "198.51.100.7"], proxy),
            "198.51.100.7"
        );
        assert_eq!(from("10.0.0.1", &["198.51.100.7, junk"], proxy), "10.0.0.1");
        assert_eq!(from("10.0.0.1", &[], proxy), "10.0.0.1");
        let far = vec!["10.0.0.9"; 40].join(",");
        assert_eq!(from("10.0.0.1", &[&far], proxy), "10.0.0.9");
    }

    #[test]
    fn one_subscriber_has_one_bucket() {
        assert_eq!(
            bucket(ip("2001:db8:1:2:3::4")),
            bucket(ip("2001:db8:1:2::9"))
        );
        assert_ne!(bucket(ip("2001:db8:1:2::9")), bucket(ip("2001:db8:1:3::9")));
        assert_eq!(bucket(ip("::ffff:192.0.2.1")), ip("192.0.2.1"));
        assert_ne!(bucket(ip("192.0.2.1")), bucket(ip("192.0.2.2")));
    }
}
