//! The identities of one connection.

use std::net::IpAddr;
use std::sync::Arc;

use rookeeper_proto::Id;

/// An ordered set of ids, cheap to clone: a request carries the set as of its submission.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identities(Arc<Vec<Id>>);

impl Identities {
    /// Nobody: internal requests.
    pub fn none() -> Self {
        Self::default()
    }

    /// What every connection starts with: the `ip` id of its peer.
    pub fn of_address(peer: IpAddr) -> Self {
        let mut ids = Self::none();
        ids.add_address(peer);
        ids
    }

    /// Adds the `ip` id of an address.
    pub fn add_address(&mut self, peer: IpAddr) {
        self.add("ip", &address_text(peer));
    }

    /// Adds an id unless it is there.
    pub fn add(&mut self, scheme: &str, id: &str) {
        if !self.0.iter().any(|known| known.scheme == scheme && known.id == id) {
            let id = Id { scheme: scheme.to_owned(), id: id.to_owned() };
            Arc::make_mut(&mut self.0).push(id);
        }
    }

    /// The ids, in the order they were added.
    pub fn as_slice(&self) -> &[Id] {
        &self.0
    }

    /// Whether any id is of `scheme`.
    pub fn has_scheme(&self, scheme: &str) -> bool {
        self.0.iter().any(|id| id.scheme == scheme)
    }
}

/// An address as Java's `getHostAddress` writes it: IPv6 as eight groups, never shortened;
/// IPv4-mapped as IPv4.
fn address_text(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let groups: Vec<String> = v6.segments().iter().map(|g| format!("{g:x}")).collect();
            groups.join(":")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_written_as_java_does() {
        for (address, text) in [
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "0:0:0:0:0:0:0:1"),
            ("2001:db8::a:0", "2001:db8:0:0:0:0:a:0"),
            ("::ffff:10.1.2.3", "10.1.2.3"),
        ] {
            let ids = Identities::of_address(address.parse().unwrap());
            assert_eq!(ids.as_slice(), [Id { scheme: "ip".to_owned(), id: text.to_owned() }]);
        }
    }

    #[test]
    fn an_id_is_held_once_and_clones_are_snapshots() {
        let mut ids = Identities::none();
        ids.add("digest", "u:h");
        let before = ids.clone();
        ids.add("digest", "u:h");
        assert_eq!(ids, before);
        ids.add("digest", "v:h");
        assert_eq!((before.as_slice().len(), ids.as_slice().len()), (1, 2));
    }
}
