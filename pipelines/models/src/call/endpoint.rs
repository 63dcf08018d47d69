//! Where a provider is: an address the operator wrote, or one that came in through the API and is trusted less.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::{ClientBuilder, Url};

/// The base URL of a provider.
#[derive(Clone, Debug)]
pub struct Endpoint {
    base: Url,
    /// The only addresses that may be connected to; absent: what the name resolves to.
    pinned: Option<Vec<SocketAddr>>,
}

/// Why an address is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It is no URL.
    #[error("`{0}` is no http or https URL")]
    NotAUrl(String),
    /// It holds a user or a password.
    #[error("a URL with a user or password is refused: give the key apart")]
    Credentials,
    /// It is not encrypted.
    #[error("only https is taken here; an http address must stand in the configuration file")]
    NotEncrypted,
    /// Its name cannot be resolved.
    #[error("`{0}` cannot be resolved")]
    Unresolved(String),
    /// It leads into a private network.
    #[error(
        "`{0}` leads to a private address; such an address must stand in the configuration file"
    )]
    Private(String),
}

impl Endpoint {
    /// An address from the configuration file: whoever writes that file may point anywhere.
    ///
    /// # Errors
    /// [`EndpointError::NotAUrl`], [`EndpointError::Credentials`].
    pub fn trusted(url: &str) -> Result<Self, EndpointError> {
        Ok(Endpoint {
            base: parse(url)?,
            pinned: None,
        })
    }

    /// An address from outside: https only, resolved now, refused if any of its addresses is not public, and pinned to
    /// those, so that a name cannot lead elsewhere afterwards.
    ///
    /// # Errors
    /// Any [`EndpointError`].
    pub async fn checked(url: &str) -> Result<Self, EndpointError> {
        let base = parse(url)?;
        if base.scheme() != "https" {
            return Err(EndpointError::NotEncrypted);
        }
        let host = base.host_str().unwrap_or_default().to_owned();
        let port = base.port_or_known_default().unwrap_or(443);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let found = tokio::net::lookup_host((bare, port)).await;
        let found: Vec<SocketAddr> = found
            .map_err(|_| EndpointError::Unresolved(host.clone()))?
            .collect();
        if found.is_empty() {
            return Err(EndpointError::Unresolved(host));
        }
        if !found.iter().all(|a| is_public(a.ip())) {
            return Err(EndpointError::Private(host));
        }
        Ok(Endpoint {
            base,
            pinned: Some(found),
        })
    }

    /// Whether it is this machine, by its address or as `localhost`.
    pub fn is_loopback(&self) -> bool {
        let host = self.base.host_str().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let address = bare.parse::<IpAddr>();
        address.map_or(bare == "localhost", |ip| ip.is_loopback())
    }

    pub(super) fn pin(&self, builder: ClientBuilder) -> ClientBuilder {
        match (&self.pinned, self.base.host_str()) {
            (Some(addresses), Some(host)) => builder.no_proxy().resolve_to_addrs(host, addresses),
            _ => builder,
        }
    }

    /// The URL of `path` under the base.
    pub(super) fn join(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/{}", path.trim_start_matches('/')));
        url
    }
}

fn parse(url: &str) -> Result<Url, EndpointError> {
    let parsed = Url::parse(url).ok();
    let parsed = parsed.filter(|u| matches!(u.scheme(), "http" | "https") && u.has_host());
    let parsed = parsed.ok_or_else(|| EndpointError::NotAUrl(without_credentials(url)))?;
    match parsed.username().is_empty() && parsed.password().is_none() {
        true => Ok(parsed),
        false => Err(EndpointError::Credentials),
    }
}

/// For an error message: nothing before an `@`.
fn without_credentials(url: &str) -> String {
    url.rsplit('@').next().unwrap_or_default().to_owned()
}

/// Whether an address is one of the public internet. What the special-purpose registries (RFC 6890 and its updates) set
/// apart is not.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => match embedded_v4(ip) {
            Some(ip) => is_public_v4(ip),
            None => is_public_v6(ip),
        },
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let is_special = ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_broadcast()
        || ip.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b));
    !is_special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let segments = ip.segments();
    // Only 2000::/3 is handed out for the internet; of that, documentation, benchmarks and Teredo are set apart.
    (segments[0] & 0xe000) == 0x2000
        && !(segments[0] == 0x2001 && segments[1] < 0x0200)
        && !(segments[0] == 0x2001 && segments[1] == 0x0db8)
        && segments[0] != 0x3fff
}

/// The IPv4 address within a mapped, 6to4 or NAT64 address.
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = ip.segments();
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match s {
        [0x2002, high, low, ..] => Some(of(high, low)),
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => Some(of(high, low)),
        _ => ip.to_ipv4_mapped(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_added_below_the_base() {
        for base in ["http://127.0.0.1:1/v1", "http://127.0.0.1:1/v1/"] {
            let endpoint = Endpoint::trusted(base).unwrap();
            assert_eq!(
                endpoint.join("/embeddings").as_str(),
                "http://127.0.0.1:1/v1/embeddings"
            );
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_a_password() {
        assert_eq!(
            Endpoint::trusted("ftp://u:pw@host").err().unwrap(),
            EndpointError::NotAUrl("host".to_owned())
        );
        assert_eq!(
            Endpoint::trusted("https://u:pw@host").err().unwrap(),
            EndpointError::Credentials
        );
    }

    #[tokio::test]
    async fn addresses_of_private_networks_are_refused_from_outside() {
        for url in [
            "https://127.0.0.1",
            "https://localhost",
            "https://10.1.2.3",
            "https://169.254.169.254/latest",
            "https://100.64.0.1",
            "https://0.0.0.0",
            "https://[::1]",
            "https://[fd00::1]",
            "https://[fe80::1]",
            "https://[::ffff:192.168.0.1]",
            "https://[64:ff9b::7f00:1]",
            "https://[2002:a00:1::]",
            "https://2130706433",
            "https://0x7f.1",
        ] {
            let refused = Endpoint::checked(url).await;
            assert!(
                matches!(refused, Err(EndpointError::Private(_))),
                "{url}: {refused:?}"
            );
        }
        assert_eq!(
            Endpoint::checked("http://8.8.8.8").await.err().unwrap(),
            EndpointError::NotEncrypted
        );
        let public = Endpoint::checked("https://8.8.8.8/v1").await.unwrap();
        assert_eq!(public.pinned, Some(vec!["8.8.8.8:443".parse().unwrap()]));
    }
}
