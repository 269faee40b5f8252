//! The addresses of a name, one for each replica.

use std::io;
use std::net::SocketAddr;

use tokio::net::lookup_host;

/// Returns the addresses of `NAME:PORT`, each once. If the name has IPv4 and IPv6 addresses, only
/// those of IPv4, because a replica in a network with both has one of each.
///
/// # Errors
/// If the name is unknown or has no address.
pub(crate) async fn addresses(name: &str) -> io::Result<Vec<SocketAddr>> {
    let found = one_family(lookup_host(name).await?.collect());
    if found.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "the name has no address",
        ));
    }
    Ok(found)
}

fn one_family(mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    if addresses.iter().any(SocketAddr::is_ipv4) {
        addresses.retain(SocketAddr::is_ipv4);
    }
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_with_two_addresses_is_called_once() {
        let of = |addresses: &[&str]| {
            let parsed = addresses.iter().map(|address| address.parse().unwrap());
            let found = one_family(parsed.collect()).into_iter();
            found.map(|address| address.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(
            of(&["10.0.0.2:1", "[fd00::1]:1", "10.0.0.1:1", "10.0.0.2:1"]),
            ["10.0.0.1:1", "10.0.0.2:1"]
        );
        assert_eq!(of(&["[fd00::2]:1"]), ["[fd00::2]:1"]);
        assert!(of(&[]).is_empty());
    }
}
