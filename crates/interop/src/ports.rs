//! Loopback ports for servers that must be told their port before they start.
//!
//! A port is claimed, not only found free: a file of its block stays locked until this process ends, so tests
//! that run side by side never share one, not even while a server is down between two starts. They are below
//! those that the system gives to connecting clients (Linux: 32768 and more), so no connection takes the port
//! of a server that is down. What is not a test of this project may still listen on one; a block of which any
//! port is taken is passed over.

use std::collections::hash_map::RandomState;
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, Hasher};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

use crate::{HarnessError, Result};

/// `scripts/kazoo-suite` takes its ports above.
const LOW: u16 = 10_000;
const HIGH: u16 = 21_000;
const BLOCK: u16 = 20;

/// What this process has claimed: the locks, and the ports not yet handed out.
static CLAIMED: Mutex<(Vec<File>, Vec<u16>)> = Mutex::new((Vec::new(), Vec::new()));

/// `count` ports of 127.0.0.1 that are this process's alone; no call gets one that another got.
pub fn free(count: usize) -> Result<Vec<u16>> {
    let mut claimed = CLAIMED.lock().unwrap_or_else(PoisonError::into_inner);
    let (locks, ports) = &mut *claimed;
    while ports.len() < count {
        let (lock, first) = claim()?;
        locks.push(lock);
        ports.extend(first..first + BLOCK);
    }
    let keep = ports.len() - count;
    Ok(ports.split_off(keep))
}

/// The first of twenty neighbouring ports, as [`free`] gives them one by one.
pub fn free_block() -> Result<u16> {
    let (lock, first) = claim()?;
    CLAIMED.lock().unwrap_or_else(PoisonError::into_inner).0.push(lock);
    Ok(first)
}

/// A block that nobody holds and on which nobody listens, with the lock that holds it.
fn claim() -> Result<(File, u16)> {
    let dir = std::env::temp_dir().join("rookeeper-test-ports");
    let failed = HarnessError::io(format!("claiming ports in {}", dir.display()));
    let open = |first: u16| {
        std::fs::create_dir_all(&dir)?;
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).open(dir.join(first.to_string()))
    };
    let blocks = (HIGH - LOW) / BLOCK;
    let start = RandomState::new().build_hasher().finish() % u64::from(blocks);
    for at in start..start + u64::from(blocks) {
        let first = LOW + (at % u64::from(blocks)) as u16 * BLOCK;
        let lock = match open(first) {
            Ok(lock) => lock,
            Err(error) => return Err(failed(error)),
        };
        let is_free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if lock.try_lock().is_ok() && (first..first + BLOCK).all(is_free) {
            return Ok((lock, first));
        }
    }
    Err(HarnessError::Unexpected(format!("every port from {LOW} to {HIGH} is taken")))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn no_port_is_given_twice() {
        let mut seen = HashSet::new();
        for count in [1, 9, 30, 1] {
            for port in super::free(count).expect("free ports") {
                assert!(seen.insert(port), "{port} again");
            }
        }
        let first = super::free_block().expect("a block");
        assert!((first..first + super::BLOCK).all(|port| seen.insert(port)));
    }

    #[test]
    fn a_block_is_not_claimed_while_it_is_held() {
        let (_lock, first) = super::claim().expect("a block");
        let path = std::env::temp_dir().join("rookeeper-test-ports").join(first.to_string());
        let other = std::fs::File::open(path).expect("its file");
        assert!(other.try_lock().is_err());
    }
}
