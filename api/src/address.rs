//! Where a request comes from: the peer's address, or what trusted proxies say of it.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use axum::{extract::ConnectInfo, http::Extensions, http::HeaderMap};
use serde::{Deserialize, Serialize};

/// Addresses a proxy may have: one address, or a range such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    n_bits: u8,
}

/// A text that names no network.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no address and no range of addresses such as 10.0.0.0/8")]
pub struct NetworkError(String);

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let error = || NetworkError(text.to_owned());
        let (address, bits) = match text.trim().split_once('/') {
            None => (text.trim(), None),
            Some((address, bits)) => (address, Some(bits)),
        };
        let address: IpAddr = address.parse().map_err(|_| error())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let n_bits = match bits {
            None => most,
            Some(bits) => bits.parse().ok().filter(|n| *n <= most).ok_or_else(error)?,
        };
        Ok(Network { address, n_bits })
    }
}

impl TryFrom<String> for Network {
    type Error = NetworkError;

    fn try_from(text: String) -> Result<Self, NetworkError> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> String {
        format!("{}/{}", network.address, network.n_bits)
    }
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        // Compared as 128 bits from the top; an IPv4 network holds no IPv6 address.
        let (own, other, width) = match (self.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits().into(), b.to_bits().into(), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
            _ => return false,
        };
        let unused = width - u32::from(self.n_bits);
        let mask: u128 = u128::MAX.checked_shl(unused).unwrap_or(0);
        own & mask == other & mask
    }
}

/// The client's address; `None` where the server was not told the peer's. `X-Forwarded-For` counts only as far as it was
/// written by a trusted proxy: it is read from its end, and the first address that is none of theirs is the client.
pub(crate) fn client(
    extensions: &Extensions,
    headers: &HeaderMap,
    proxies: &[Network],
) -> Option<IpAddr> {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>()?.0.ip();
    let trusted = |address: IpAddr| proxies.iter().any(|p| p.contains(address));
    let mut client = peer.to_canonical();
    if !trusted(client) {
        return Some(client);
    }
    let named: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .collect();
    for text in named.into_iter().rev() {
        // What is no address was not written by a proxy that can be trusted: the last one that was is all we know.
        let Some(address) = parse(text.trim()) else {
            break;
        };
        client = address;
        if !trusted(client) {
            break;
        }
    }
    Some(client)
}

/// An address as proxies write it, with a port or without.
fn parse(text: &str) -> Option<IpAddr> {
    let plain = text.trim_start_matches('[').trim_end_matches(']');
    let parsed: Option<IpAddr> = plain.parse().ok();
    parsed
        .or_else(|| text.parse::<SocketAddr>().ok().map(|a| a.ip()))
        .map(|a| a.to_canonical())
}

/// What limits count as one place: an IPv4 address, or the /64 of an IPv6 one, of which a single host has them all.
pub(crate) fn place(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let top = v6.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(top))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_of(peer: &str, forwarded: &[&str], proxies: &[&str]) -> String {
        let mut extensions = Extensions::new();
        let peer: IpAddr = peer.parse().unwrap();
        extensions.insert(ConnectInfo(SocketAddr::new(peer, 1)));
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let proxies: Vec<Network> = proxies.iter().map(|p| p.parse().unwrap()).collect();
        client(&extensions, &headers, &proxies).unwrap().to_string()
    }

    #[test]
    fn forwarded_addresses_count_only_from_trusted_proxies() {
        assert_eq!(client_of("192.0.2.1", &["198.51.100.7"], &[]), "192.0.2.1");
        let proxies = ["10.0.0.0/8", "::1"];
        let of = |peer, forwarded: &[&str]| client_of(peer, forwarded, &proxies);
        assert_eq!(of("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(of("10.1.2.3", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(of("::ffff:10.1.2.3", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(of("::1", &["198.51.100.7:4711"]), "198.51.100.7");
        assert_eq!(of("10.1.2.3", &["[2001:db8::5]:80"]), "2001:db8::5");
        // What the client wrote itself stands before what the proxies wrote.
        let forged = ["203.0.113.9, 198.51.100.7", "10.9.9.9"];
        assert_eq!(of("10.1.2.3", &forged), "198.51.100.7");
        assert_eq!(of("10.1.2.3", &["203.0.113.9, unknown"]), "10.1.2.3");
        assert_eq!(of("10.1.2.3", &[]), "10.1.2.3");
    }

    #[test]
    fn networks_are_parsed_strictly() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "::/129",
            "proxy",
            "10.0.0.0/-1",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("203.0.113.9".parse().unwrap()));
        assert!(!all.contains("2001:db8::1".parse().unwrap()));
    }

    #[test]
    fn a_host_cannot_multiply_itself_by_ipv6() {
        let place_of = |text: &str| place(text.parse().unwrap()).to_string();
        assert_eq!(place_of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(place_of("192.0.2.1"), "192.0.2.1");
    }
}
