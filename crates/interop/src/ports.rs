//! Free loopback ports for servers that must be told their port before they start.
//!
//! The ports are bound, read and released. Another process can take one in between; callers start
//! again with other ports then (see [`crate::HarnessError::is_port_clash`]).

use std::net::{Ipv4Addr, TcpListener};

use crate::{HarnessError, Result};

/// `count` distinct ports that are free on 127.0.0.1 at the moment.
pub fn free(count: usize) -> Result<Vec<u16>> {
    // All stay bound until the last is known, so that none comes twice.
    let listeners = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(HarnessError::io("binding a free port"))?;
    listeners
        .iter()
        .map(|listener| listener.local_addr().map(|addr| addr.port()))
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(HarnessError::io("reading a free port"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn ports_are_distinct() {
        let mut ports = super::free(20).expect("twenty free ports");
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 20);
    }
}
