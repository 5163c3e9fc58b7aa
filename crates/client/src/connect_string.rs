//! The connect string: `host:port,host:port/chroot` (`operations.md` 5.3), and the chroot.
//!
//! Host names are not looked up here: that happens at each attempt to connect, so that changed
//! addresses are found.

use rookeeper_proto::path;

use crate::error::{Error, Result};

/// The client port assumed when none is named.
pub const DEFAULT_PORT: u16 = 2181;

/// One server: a name or an address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddr {
    /// Host name or address; IPv6 without brackets.
    pub host: String,
    /// Client port.
    pub port: u16,
}

/// A parsed connect string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectString {
    /// At least one server.
    pub servers: Vec<ServerAddr>,
    /// Where this client's paths begin.
    pub chroot: Chroot,
}

impl ConnectString {
    /// Reads `host[:port][,host[:port]...][/chroot]`. IPv6 addresses stand in brackets when a port
    /// follows.
    pub fn parse(text: &str) -> Result<Self> {
        let (hosts, chroot) = match text.find('/') {
            Some(at) => (&text[..at], Chroot::new(&text[at..])?),
            None => (text, Chroot::default()),
        };
        let servers: Vec<_> = hosts
            .split(',')
            .map(str::trim)
            .filter(|host| !host.is_empty())
            .map(server)
            .collect::<Result<_>>()?;
        if servers.is_empty() {
            return Err(Error::invalid(format!("no server is named in '{text}'")));
        }
        Ok(Self { servers, chroot })
    }
}

fn server(text: &str) -> Result<ServerAddr> {
    let bad = |what: &str| Error::invalid(format!("{what} in server address '{text}'"));
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or_else(|| bad("missing ']'"))?;
        match rest {
            "" => (host, None),
            _ => (host, Some(rest.strip_prefix(':').ok_or_else(|| bad("missing ':'"))?)),
        }
    } else {
        match text.rsplit_once(':') {
            // More than one colon without brackets is an IPv6 address without a port.
            Some((host, _)) if host.contains(':') => (text, None),
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    if host.is_empty() {
        return Err(bad("missing host"));
    }
    let port = match port {
        Some(port) => port.parse().map_err(|_| bad("bad port"))?,
        None => DEFAULT_PORT,
    };
    Ok(ServerAddr { host: host.to_owned(), port })
}

/// A prefix that a client adds to every path it sends and takes off every path it receives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chroot(String);

impl Chroot {
    /// `""` and `/` mean none.
    pub fn new(text: &str) -> Result<Self> {
        if text.is_empty() || text == "/" {
            return Ok(Self::default());
        }
        path::validate(text)
            .map_err(|reason| Error::invalid(format!("bad chroot '{text}': {reason}")))?;
        Ok(Self(text.to_owned()))
    }

    /// The prefix, empty when there is none.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The server's name of a client's path.
    pub fn to_server(&self, path: &str) -> String {
        match (self.0.as_str(), path) {
            ("", path) => path.to_owned(),
            (root, "/") => root.to_owned(),
            (root, path) => format!("{root}{path}"),
        }
    }

    /// The client's name of a server's path. Paths outside stay as they are
    /// (`/zookeeper/config`).
    pub fn to_client<'a>(&self, path: &'a str) -> &'a str {
        match path.strip_prefix(self.0.as_str()) {
            Some("") if !self.0.is_empty() => "/",
            Some(rest) if rest.starts_with('/') => rest,
            _ => path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_servers_and_a_chroot() {
        let parsed = ConnectString::parse("a:1, b,[::1]:3,::1/x/y").unwrap();
        let servers: Vec<_> = parsed.servers.iter().map(|s| (s.host.as_str(), s.port)).collect();
        assert_eq!(servers, [("a", 1), ("b", 2181), ("::1", 3), ("::1", 2181)]);
        assert_eq!(parsed.chroot.as_str(), "/x/y");
        for bad in ["", ",", ":1", "a:b", "a:70000", "[::1", "[::1]x", "a/x/", "a//x"] {
            assert!(ConnectString::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn chroot_there_and_back() {
        let root = Chroot::new("/app").unwrap();
        for path in ["/", "/a", "/a/b"] {
            assert_eq!(root.to_client(&root.to_server(path)), path);
        }
        assert_eq!(root.to_client("/application"), "/application");
        let none = Chroot::new("/").unwrap();
        assert_eq!(none.to_server("/a"), "/a");
        assert_eq!(none.to_client("/"), "/");
    }
}
