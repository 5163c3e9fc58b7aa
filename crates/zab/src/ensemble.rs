//! Who belongs to the ensemble: the configuration of `server.N` lines, groups and weights, as
//! notifications, NEWLEADER and `/zookeeper/config` carry it.
//!
//! Parsing accepts what Java accepts (`quorum-protocol.md` 4.2: roles and client parts may be
//! missing, `java.util.Properties` escapes) and refuses what would make a Java peer deaf (2.1).
//! Printing gives Java's text to the byte: members in ascending order, role always, no final newline.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use rookeeper_proto::Sid;
use rookeeper_proto::quorum::initial::is_host;

use crate::quorum::{Hierarchy, Verifier};

/// A host, as written in the configuration, and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// Name or literal, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Address {
    /// Reads `host:port`, with an IPv6 literal in brackets.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']')?,
            None if host.contains(':') => return None,
            None => host,
        };
        if !is_host(host) {
            return None;
        }
        Some(Self { host: host.to_owned(), port: port.parse().ok()? })
    }

    /// Whether the host is a wildcard, which nobody can dial.
    pub fn is_wildcard(&self) -> bool {
        matches!(self.host.as_str(), "0.0.0.0" | "::" | "0:0:0:0:0:0:0:0")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// One address of a server inside the ensemble: a host with its two ports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerAddress {
    /// Name or literal, without brackets.
    pub host: String,
    /// Where its learners connect when it leads.
    pub quorum_port: u16,
    /// Where votes are exchanged.
    pub election_port: u16,
}

/// Whether a member votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemberRole {
    /// Votes.
    Participant,
    /// Follows without a vote.
    Observer,
}

/// One `server.N` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// At least one.
    pub addresses: Vec<ServerAddress>,
    /// Whether it votes.
    pub role: MemberRole,
    /// The part behind `;`.
    pub client: Option<Address>,
}

impl Member {
    /// Where its quorum port listens.
    pub fn quorum_addresses(&self) -> Vec<Address> {
        let address = |a: &ServerAddress| Address { host: a.host.clone(), port: a.quorum_port };
        self.addresses.iter().map(address).collect()
    }

    /// Where its election port listens.
    pub fn election_addresses(&self) -> Vec<Address> {
        let address = |a: &ServerAddress| Address { host: a.host.clone(), port: a.election_port };
        self.addresses.iter().map(address).collect()
    }

    /// Reads the value of a `server.N` line.
    pub fn parse(value: &str) -> Result<Self, ConfigError> {
        let bad = |what| Err(ConfigError(format!("{what} in server line \"{value}\"")));
        let mut parts = value.split(';');
        let server = parts.next().unwrap_or_default();
        let client = match (parts.next(), parts.next()) {
            (None, _) => None,
            (Some(_), Some(_)) => return bad("more than one ';'"),
            (Some(text), None) => match parse_client(text.trim()) {
                Some(address) => Some(address),
                None => return bad("bad client address"),
            },
        };
        let mut addresses = Vec::new();
        let mut role = None;
        for part in server.split('|') {
            let Some((address, its_role)) = parse_server(part.trim()) else {
                return bad("bad address or role");
            };
            if let Some(its_role) = its_role {
                if role.is_some_and(|role| role != its_role) {
                    return bad("two roles");
                }
                role = Some(its_role);
            }
            if address.quorum_port == address.election_port {
                return bad("equal quorum and election ports");
            }
            addresses.push(address);
        }
        Ok(Self { addresses, role: role.unwrap_or(MemberRole::Participant), client })
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, a) in self.addresses.iter().enumerate() {
            let separator = if i == 0 { "" } else { "|" };
            let quorum = Address { host: a.host.clone(), port: a.quorum_port };
            write!(f, "{separator}{quorum}:{}", a.election_port)?;
        }
        f.write_str(match self.role {
            MemberRole::Participant => ":participant",
            MemberRole::Observer => ":observer",
        })?;
        match &self.client {
            Some(client) => write!(f, ";{client}"),
            None => Ok(()),
        }
    }
}

fn parse_client(text: &str) -> Option<Address> {
    match text.parse() {
        Ok(port) => Some(Address { host: "0.0.0.0".to_owned(), port }),
        Err(_) => Address::parse(text),
    }
}

/// `host:quorum:election[:role]`.
fn parse_server(text: &str) -> Option<(ServerAddress, Option<MemberRole>)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(inner) => {
            let (host, rest) = inner.split_once(']')?;
            (host, rest.strip_prefix(':')?)
        }
        None => text.split_once(':')?,
    };
    let mut parts = rest.split(':');
    let quorum_port = parts.next()?.trim().parse().ok()?;
    let election_port = parts.next()?.trim().parse().ok()?;
    let role = match parts.next().map(|role| role.trim().to_ascii_lowercase()) {
        None => None,
        Some(role) if role == "participant" => Some(MemberRole::Participant),
        Some(role) if role == "observer" => Some(MemberRole::Observer),
        Some(_) => return None,
    };
    let host = host.trim().to_owned();
    if parts.next().is_some() || !is_host(&host) {
        return None;
    }
    Some((ServerAddress { host, quorum_port, election_port }, role))
}

/// Why a configuration text is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(pub String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// The members of an ensemble and the version of that knowledge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EnsembleConfig {
    /// All members.
    pub members: BTreeMap<Sid, Member>,
    /// Groups of a hierarchical quorum; empty for majorities.
    pub groups: BTreeMap<i64, Vec<Sid>>,
    /// Weights of a hierarchical quorum; 1 if absent.
    pub weights: BTreeMap<Sid, i64>,
    /// The zxid of the reconfig that made it; 0 for a static file.
    pub version: i64,
}

impl EnsembleConfig {
    /// Reads the text form.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        for (key, value) in properties(text)? {
            config.set(&key, value.trim())?;
        }
        config.check()?;
        Ok(config)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), ConfigError> {
        let bad = || ConfigError(format!("cannot read configuration line \"{key}={value}\""));
        if let Some(sid) = key.strip_prefix("server.") {
            let sid = Sid(sid.parse().map_err(|_| bad())?);
            self.members.insert(sid, Member::parse(value)?);
        } else if let Some(group) = key.strip_prefix("group.") {
            let group: i64 = group.parse().map_err(|_| bad())?;
            let sids = value.split(':').map(|sid| sid.trim().parse().map(Sid));
            self.groups.insert(group, sids.collect::<Result<_, _>>().map_err(|_| bad())?);
        } else if let Some(sid) = key.strip_prefix("weight.") {
            let sid = Sid(sid.parse().map_err(|_| bad())?);
            self.weights.insert(sid, value.parse().map_err(|_| bad())?);
        } else if key == "version" {
            // A negative one would be written with sixteen digits, which nobody reads again.
            let version = i64::from_str_radix(value, 16).ok().filter(|version| *version >= 0);
            self.version = version.ok_or_else(bad)?;
        } else {
            return Err(ConfigError(format!("unknown configuration key \"{key}\"")));
        }
        Ok(())
    }

    /// What Java refuses, too: observers alone, overlapping or incomplete groups, bad weights.
    pub fn check(&self) -> Result<(), ConfigError> {
        let fail = |text: String| Err(ConfigError(text));
        if !self.members.is_empty() && self.voters().next().is_none() {
            return fail("observers without participants".to_owned());
        }
        if let Some((sid, _)) = self.weights.iter().find(|(_, weight)| **weight < 0) {
            return fail(format!("server {sid} has a negative weight"));
        }
        if !self.is_hierarchical() {
            return Ok(());
        }
        let mut seen = BTreeSet::new();
        for sid in self.groups.values().flatten() {
            if !seen.insert(*sid) {
                return fail(format!("server {sid} is in two groups"));
            }
        }
        match self.voters().find(|sid| !seen.contains(sid)) {
            Some(sid) => fail(format!("server {sid} is in no group")),
            None => Ok(()),
        }
    }

    /// Members that vote, ascending.
    pub fn voters(&self) -> impl Iterator<Item = Sid> + '_ {
        let votes = |m: &Member| m.role == MemberRole::Participant;
        self.members.iter().filter(move |(_, m)| votes(m)).map(|(sid, _)| *sid)
    }

    /// Whether `sid` votes.
    pub fn is_voter(&self, sid: Sid) -> bool {
        self.members.get(&sid).is_some_and(|m| m.role == MemberRole::Participant)
    }

    /// Whether groups or weights are given.
    pub fn is_hierarchical(&self) -> bool {
        !self.groups.is_empty() || !self.weights.is_empty()
    }

    /// The test for quorums of this configuration.
    pub fn verifier(&self) -> Verifier {
        let voters = self.voters().collect();
        if self.is_hierarchical() {
            Verifier::Hierarchical(Hierarchy::new(voters, &self.groups, &self.weights))
        } else {
            Verifier::Majority(voters)
        }
    }

    /// Whether both have the same members, roles, addresses, groups and weights.
    pub fn has_same_members(&self, other: &Self) -> bool {
        self.members == other.members
            && self.groups == other.groups
            && self.weights == other.weights
    }

    /// A copy with another version.
    #[must_use]
    pub fn with_version(&self, version: i64) -> Self {
        Self { version, ..self.clone() }
    }
}

impl fmt::Display for EnsembleConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (sid, member) in &self.members {
            writeln!(f, "server.{sid}={member}")?;
        }
        for (group, sids) in &self.groups {
            let sids: Vec<String> = sids.iter().map(Sid::to_string).collect();
            writeln!(f, "group.{group}={}", sids.join(":"))?;
        }
        for (sid, weight) in &self.weights {
            writeln!(f, "weight.{sid}={weight}")?;
        }
        write!(f, "version={:x}", self.version)
    }
}

/// Splits text into keys and values by the rules of `java.util.Properties`. A later line with the
/// same key wins, as in Java, because callers insert in order.
fn properties(text: &str) -> Result<Vec<(String, String)>, ConfigError> {
    let mut out = Vec::new();
    let mut lines = text.split(['\n', '\r']);
    while let Some(line) = lines.next() {
        let mut line = line.trim_start().to_owned();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        while line.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1 {
            line.pop();
            let Some(next) = lines.next() else { break };
            line.push_str(next.trim_start());
        }
        out.push(property(&line)?);
    }
    Ok(out)
}

fn property(line: &str) -> Result<(String, String), ConfigError> {
    let mut escaped = false;
    let end = line.char_indices().find(|(_, c)| {
        let is_end = !escaped && (matches!(c, '=' | ':') || c.is_whitespace());
        escaped = !escaped && *c == '\\';
        is_end
    });
    let (key, rest) = line.split_at(end.map_or(line.len(), |(at, _)| at));
    let rest = rest.trim_start();
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start();
    Ok((unescape(key)?, unescape(value)?))
}

fn unescape(text: &str) -> Result<String, ConfigError> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4);
                let Some(code) = code else {
                    return Err(ConfigError("malformed \\uxxxx escape".to_owned()));
                };
                out.push(char::from_u32(code).unwrap_or('\u{fffd}'));
            }
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\u{c}'),
            Some(other) => out.push(other),
            None => {}
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: &str = "server.1=localhost:2888:3888:participant;0.0.0.0:2181\n\
                         server.2=[::1]:2889:3889:participant\n\
                         server.3=a:1:2|b:3:4:observer;b:5\n\
                         version=100000000";

    #[test]
    fn the_text_form_round_trips_to_the_byte() {
        let config = EnsembleConfig::parse(THREE).unwrap();
        assert_eq!(config.version, 0x1_0000_0000);
        assert_eq!(config.voters().collect::<Vec<_>>(), [Sid(1), Sid(2)]);
        assert_eq!(config.to_string(), THREE);
    }

    #[test]
    fn groups_and_weights_round_trip() {
        let text = "server.1=a:1:2:participant\nserver.2=b:1:2:participant\n\
                    group.1=1\ngroup.2=2\nweight.1=3\nversion=0";
        assert_eq!(EnsembleConfig::parse(text).unwrap().to_string(), text);
    }

    #[test]
    fn lenient_forms_are_read() {
        let config =
            EnsembleConfig::parse("# comment\nserver.1 = h:1:2;2181\r\n\nserver.2:h\\:3:4")
                .unwrap();
        assert_eq!(
            config.to_string(),
            "server.1=h:1:2:participant;0.0.0.0:2181\nserver.2=h:3:4:participant\nversion=0"
        );
        assert_eq!(EnsembleConfig::parse("version=0").unwrap(), EnsembleConfig::default());
    }

    #[test]
    fn what_would_deafen_a_java_peer_is_refused() {
        for text in [
            "server.1=h:1:2:observer",
            "server.x=h:1:2",
            "server.1=h:1:2;1;2",
            "server.1=h:1:1",
            "server.1=h:1",
            "server.1=h:1:2:boss",
            "server.1=h:99999:2",
            "dynamicConfigFile=x",
            "server.1=\\u00zz:1:2",
            // Written as it was read it would be an escape that does not parse (fuzzer).
            "server.1:h\\\\u008:1:2",
            "server.1=h:1:2;[[x]:3",
            "version=xyz",
            "version=-c",
            "version=fffffffffffffff4",
            "server.1=h:1:2\nserver.2=h:3:4\ngroup.1=1",
            "server.1=h:1:2\ngroup.1=1:1",
        ] {
            assert!(EnsembleConfig::parse(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_never_panics(text: String) {
            let _ = EnsembleConfig::parse(&text);
        }
    }
}
