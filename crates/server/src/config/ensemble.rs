//! The membership of an ensemble, as its lines say it.
//!
//! `server.N=host:quorum:election[:role][|host2:..][;[clientHost:]clientPort]`, `group.K=a:b`,
//! `weight.N=w`, `version=<hex>`. Pure text work: host names stay unresolved. Source: operations.md 1.4,
//! 1.5. Different from Apache: a group that names an unknown server and a negative weight are refused
//! (Apache dies of the first and mis-counts with the second).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use rookeeper_proto::quorum::initial::is_host;

use super::error::ConfigError;
use super::settings::{Setting, is_membership_key};

const WRONG_FORM: &str = " does not have the form server_config or server_config;client_config \
     where server_config is the pipe separated list of host:port:port or host:port:port:type \
     and client_config is port or host:port";

/// What a server does in the ensemble.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Votes and acknowledges.
    #[default]
    Participant,
    /// Only follows.
    Observer,
}

impl Role {
    /// The word in membership lines.
    pub fn name(self) -> &'static str {
        match self {
            Role::Participant => "participant",
            Role::Observer => "observer",
        }
    }

    /// Any case; `None` for another word.
    pub fn parse(text: &str) -> Option<Role> {
        match text.trim().to_lowercase().as_str() {
            "participant" => Some(Role::Participant),
            "observer" => Some(Role::Observer),
            _ => None,
        }
    }
}

/// A host, not resolved, and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// Name or address; IPv6 without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// One of a server's addresses: the quorum and the election port on one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberAddress {
    /// Where followers connect to the leader.
    pub quorum: HostPort,
    /// Where votes are exchanged.
    pub election: HostPort,
}

/// One server of the ensemble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id, the N of `server.N` and the content of its myid file.
    pub id: i64,
    /// At least one; several with multiAddress.
    pub addresses: Vec<MemberAddress>,
    /// Voter or not.
    pub role: Role,
    /// The client address, when the line has one.
    pub client: Option<HostPort>,
}

impl fmt::Display for Member {
    /// The canonical text: what `config` and the dynamic file show behind `server.N=`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, address) in self.addresses.iter().enumerate() {
            let separator = if position == 0 { "" } else { "|" };
            write!(f, "{separator}{}:{}", address.quorum, address.election.port)?;
        }
        write!(f, ":{}", self.role.name())?;
        match &self.client {
            Some(client) => write!(f, ";{client}"),
            None => Ok(()),
        }
    }
}

/// All members, groups and weights.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnsembleSpec {
    /// By id.
    pub members: BTreeMap<i64, Member>,
    /// Hierarchical quorums: server id to group id; empty for plain majorities.
    pub groups: BTreeMap<i64, i64>,
    /// Hierarchical quorums: weight by server id; members of groups without a line have 1.
    pub weights: BTreeMap<i64, i64>,
    /// Whether a `group` or `weight` line makes the quorums hierarchical.
    pub hierarchical: bool,
    /// The configuration's version (a zxid), 0 when never reconfigured.
    pub version: i64,
}

impl EnsembleSpec {
    /// Servers that vote.
    pub fn participants(&self) -> impl Iterator<Item = &Member> {
        self.members.values().filter(|member| member.role == Role::Participant)
    }

    /// Servers that do not.
    pub fn observers(&self) -> impl Iterator<Item = &Member> {
        self.members.values().filter(|member| member.role == Role::Observer)
    }

    /// The sorted lines of `/zookeeper/config`, without a final newline.
    pub fn lines(&self) -> String {
        let mut lines: Vec<String> =
            self.members.values().map(|member| format!("server.{}={member}", member.id)).collect();
        if self.hierarchical {
            let mut by_group: BTreeMap<i64, Vec<String>> = BTreeMap::new();
            for (server, group) in &self.groups {
                by_group.entry(*group).or_default().push(server.to_string());
            }
            lines.extend(
                by_group.iter().map(|(group, ids)| format!("group.{group}={}", ids.join(":"))),
            );
            lines.extend(self.weights.iter().map(|(id, weight)| format!("weight.{id}={weight}")));
        }
        lines.sort();
        lines.push(format!("version={:x}", self.version));
        lines.join("\n")
    }

    /// Reads the membership part of a file.
    ///
    /// # Errors
    /// Any malformed line, with Apache's text.
    pub fn parse<'a>(
        lines: impl IntoIterator<Item = (&'a str, &'a Setting)>,
        multi_address: bool,
    ) -> Result<Self, ConfigError> {
        let mut spec = EnsembleSpec::default();
        let mut last_group_line = None;
        for (name, setting) in lines {
            let value = setting.value.as_str();
            let at = |error: ConfigError| error.at(name, value, &setting.origin);
            if let Some(id) = name.strip_prefix("server.") {
                let id = number(id).map_err(at)?;
                let member = parse_member(id, value, multi_address).map_err(at)?;
                spec.members.insert(id, member);
            } else if name.starts_with("group") {
                spec.hierarchical = true;
                spec.add_group(suffix(name), value).map_err(at)?;
                last_group_line = Some((name, setting));
            } else if name.starts_with("weight") {
                spec.hierarchical = true;
                let id = number(suffix(name)).map_err(at)?;
                spec.weights.insert(id, weight(value).map_err(at)?);
                last_group_line = Some((name, setting));
            } else if name == "version" {
                // Java reads a negative one, and then writes what no server reads.
                let version = i64::from_str_radix(value, 16).ok().filter(|version| *version >= 0);
                spec.version = version.ok_or_else(|| {
                    let text = format!("For input string: \"{value}\" under radix 16");
                    at(ConfigError::config(text).remedy("write the version in hexadecimal"))
                })?;
            }
        }
        if let Some((name, setting)) = last_group_line {
            spec.finish_groups()
                .map_err(|error| error.at(name, &setting.value, &setting.origin))?;
        }
        Ok(spec)
    }

    fn add_group(&mut self, group: &str, servers: &str) -> Result<(), ConfigError> {
        let group = number(group)?;
        for server in servers.split(':') {
            let server = number(server)?;
            if self.groups.insert(server, group).is_some() {
                return Err(ConfigError::config(format!("Server {server}is in multiple groups"))
                    .remedy("name each server in exactly one group"));
            }
        }
        Ok(())
    }

    fn finish_groups(&mut self) -> Result<(), ConfigError> {
        let voters: BTreeSet<i64> = self.participants().map(|member| member.id).collect();
        for voter in &voters {
            if !self.groups.contains_key(voter) {
                return Err(ConfigError::config(format!("Server {voter}is not in a group"))
                    .remedy("name every participant in a group"));
            }
            self.weights.entry(*voter).or_insert(1);
        }
        match self.groups.keys().find(|id| !self.members.contains_key(id)) {
            Some(stranger) => Err(ConfigError::config(format!(
                "Server {stranger} is in a group but has no server.{stranger} line"
            ))
            .remedy(format!("add server.{stranger}=... or take it out of the group"))),
            None => Ok(()),
        }
    }
}

/// Refuses keys a dynamic file cannot hold.
pub(super) fn check_dynamic_key(name: &str) -> Result<(), ConfigError> {
    if name == "version" {
        return Err(ConfigError::config("dynamic file shouldn't have version inside")
            .remedy("remove the line: the version is the file name's suffix"));
    }
    if is_membership_key(name) {
        return Ok(());
    }
    Err(ConfigError::config(format!("Unrecognised parameter: {name}"))
        .remedy("move it to the static file; this one holds server, group and weight lines only"))
}

fn suffix(name: &str) -> &str {
    name.split_once('.').map_or(name, |(_, rest)| rest)
}

fn not_a_number(text: &str) -> ConfigError {
    ConfigError::config(format!("For input string: \"{text}\""))
}

fn number(text: &str) -> Result<i64, ConfigError> {
    text.parse().map_err(|_| not_a_number(text).remedy("a server id is a number from 0 to 255"))
}

fn weight(text: &str) -> Result<i64, ConfigError> {
    let weight = number(text)?;
    if weight < 0 {
        return Err(ConfigError::config("a weight cannot be negative").remedy("write 0 or more"));
    }
    Ok(weight)
}

/// Java's `split`: trailing empty parts do not count.
fn java_split(text: &str, separator: char) -> Vec<&str> {
    let mut parts: Vec<&str> = text.split(separator).collect();
    while parts.len() > 1 && parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    parts
}

/// Host and ports at colons; an IPv6 address stands in brackets.
fn host_and_ports(text: &str) -> Result<Vec<&str>, ConfigError> {
    let Some(inner) = text.strip_prefix('[') else { return Ok(java_split(text, ':')) };
    let Some((host, rest)) = inner.split_once("]:") else {
        return Err(ConfigError::config(format!(
            "{text} starts with '[' but has no matching ']:'"
        ))
        .remedy("write an IPv6 address as [::1]:2888:3888"));
    };
    let mut parts = vec![host];
    parts.extend(java_split(rest, ':'));
    Ok(parts)
}

fn address(host: &str, port: &str) -> Result<HostPort, ConfigError> {
    let name = host.trim();
    if !name.is_empty() && !is_host(name) {
        return Err(ConfigError::config(format!("\"{host}\" is no host's name or address"))
            .remedy("write a name, an IPv4 address, or an IPv6 address as [::1]"));
    }
    let number: i32 = port.parse().map_err(|_| {
        ConfigError::config(format!("Address unresolved: {host}:{port}"))
            .remedy("a port is a number from 0 to 65535")
    })?;
    Ok(HostPort { host: host.to_owned(), port: port_in_range(number)? })
}

/// Java's check of a socket address.
pub(super) fn port_in_range(port: i32) -> Result<u16, ConfigError> {
    u16::try_from(port).map_err(|_| {
        ConfigError::config(format!("port out of range:{port}"))
            .remedy("a port is a number from 0 to 65535")
    })
}

fn wrong_form(text: &str) -> ConfigError {
    ConfigError::config(format!("{text}{WRONG_FORM}"))
        .remedy("write host:2888:3888 or host:2888:3888:observer;2181")
}

/// Parses what stands behind `server.N=`.
///
/// # Errors
/// Any malformed part, with Apache's text.
pub fn parse_member(id: i64, text: &str, multi_address: bool) -> Result<Member, ConfigError> {
    let parts = java_split(text, ';');
    if parts.len() > 2 {
        return Err(wrong_form(text));
    }
    let client = parts.get(1).map(|client| parse_client(text, client)).transpose()?;
    let servers = java_split(parts.first().copied().unwrap_or(""), '|');
    if servers.len() > 1 && !multi_address {
        return Err(ConfigError::config(format!(
            "Multiple address feature is disabled, but multiple addresses were specified for sid {id}"
        ))
        .remedy("set multiAddress.enabled=true on every server, or give one address"));
    }
    let mut addresses = Vec::with_capacity(servers.len());
    let mut role = None;
    for server in servers {
        let (address, said) = parse_address(id, text, server)?;
        addresses.push(address);
        match (role, said) {
            (Some(before), Some(now)) if before != now => {
                return Err(ConfigError::config(format!(
                    "Multiple addresses should have similar roles: {} vs {}",
                    shouted(before),
                    shouted(now)
                ))
                .remedy("give every address of this server the same role"));
            }
            _ => role = role.or(said),
        }
    }
    Ok(Member { id, addresses, role: role.unwrap_or_default(), client })
}

fn shouted(role: Role) -> String {
    role.name().to_uppercase()
}

fn parse_client(whole: &str, text: &str) -> Result<HostPort, ConfigError> {
    match host_and_ports(text)?.as_slice() {
        [port] => address("0.0.0.0", port),
        [host, port] => address(host, port),
        _ => Err(wrong_form(whole)),
    }
}

fn parse_address(
    id: i64,
    whole: &str,
    text: &str,
) -> Result<(MemberAddress, Option<Role>), ConfigError> {
    let parts = host_and_ports(text)?;
    let (host, quorum, election, role) = match parts.as_slice() {
        [host, quorum, election] => (host, quorum, election, None),
        [host, quorum, election, role] => (host, quorum, election, Some(role)),
        _ => return Err(wrong_form(whole)),
    };
    let quorum = address(host, quorum)?;
    let election = address(host, election)?;
    if quorum.port == election.port {
        return Err(ConfigError::config(format!(
            "Client and election port must be different! Please update the configuration file on server.{id}"
        ))
        .remedy("give the election port another number, usually 3888"));
    }
    let role = role.map(|role| parse_role(role)).transpose()?;
    Ok((MemberAddress { quorum, election }, role))
}

/// A role word, or Apache's refusal.
pub(super) fn parse_role(text: &str) -> Result<Role, ConfigError> {
    Role::parse(text).ok_or_else(|| {
        ConfigError::config(format!("Unrecognised peertype: {text}"))
            .remedy("write participant or observer")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::error::Origin;
    use proptest::prelude::*;

    fn parse(lines: &[(&str, &str)], multi: bool) -> Result<EnsembleSpec, ConfigError> {
        let settings: Vec<(String, Setting)> = lines
            .iter()
            .map(|&(name, value)| {
                (name.to_owned(), Setting { value: value.to_owned(), origin: Origin::Flag })
            })
            .collect();
        EnsembleSpec::parse(settings.iter().map(|(name, setting)| (name.as_str(), setting)), multi)
    }

    #[test]
    fn canonical_texts() {
        let cases = [
            ("a:2888:3888", "a:2888:3888:participant"),
            ("a:2888:3888:OBSERVER", "a:2888:3888:observer"),
            ("a:2888:3888;2181", "a:2888:3888:participant;0.0.0.0:2181"),
            ("a:2888:3888:observer;h:2181", "a:2888:3888:observer;h:2181"),
            ("[::1]:2888:3888;[::2]:2181", "[::1]:2888:3888:participant;[::2]:2181"),
            ("a:1:2|b:3:4", "a:1:2|b:3:4:participant"),
            ("a:1:2;", "a:1:2:participant"),
        ];
        for (text, canonical) in cases {
            let member = parse_member(1, text, true).expect(text);
            assert_eq!(member.to_string(), canonical);
            assert_eq!(parse_member(1, canonical, true).as_ref(), Ok(&member), "{canonical}");
        }
    }

    #[test]
    fn wrong_lines_get_apaches_text() {
        let long = " does not have the form server_config or server_config;client_config where \
            server_config is the pipe separated list of host:port:port or host:port:port:type and \
            client_config is port or host:port";
        let cases: &[(&str, &str)] = &[
            ("a:2888", &format!("a:2888{long}")),
            ("a:1:2:observer:x", &format!("a:1:2:observer:x{long}")),
            ("a:1:2;1;2", &format!("a:1:2;1;2{long}")),
            ("a:1:2;h:1:2", &format!("a:1:2;h:1:2{long}")),
            ("", long),
            ("[::1:2888:3888", "[::1:2888:3888 starts with '[' but has no matching ']:'"),
            (
                "a:1:1",
                "Client and election port must be different! Please update the configuration file on server.3",
            ),
            ("127.0.0.1:x:2", "Address unresolved: 127.0.0.1:x"),
            ("127.0.0.1:1:y", "Address unresolved: 127.0.0.1:y"),
            ("a:1:70000", "port out of range:70000"),
            ("a:1:2:boss", "Unrecognised peertype: boss"),
            (
                "a:1:2|b:1:2",
                "Multiple address feature is disabled, but multiple addresses were specified for sid 3",
            ),
        ];
        for (text, message) in cases {
            let error = parse_member(3, text, false).expect_err(text);
            assert_eq!((error.message.as_str(), error.exit_code), (*message, 2), "{text}");
            assert!(!error.remedy.is_empty());
        }
        assert_eq!(
            parse(&[("server.abc", "a:1:2")], false).expect_err("id").message.clone(),
            "For input string: \"abc\""
        );
    }

    #[test]
    fn groups_and_weights() {
        let servers = [("server.1", "a:1:2"), ("server.2", "b:1:2"), ("server.3", "c:1:2")];
        let with = |more: &[(&'static str, &'static str)]| {
            let mut lines = servers.to_vec();
            lines.extend_from_slice(more);
            parse(&lines, false)
        };
        let spec = with(&[("group.1", "1:2"), ("group.2", "3"), ("weight.1", "4")]).expect("valid");
        assert_eq!(spec.groups, BTreeMap::from([(1, 1), (2, 1), (3, 2)]));
        assert_eq!(spec.weights, BTreeMap::from([(1, 4), (2, 1), (3, 1)]));
        assert_eq!(
            spec.lines(),
            "group.1=1:2\ngroup.2=3\nserver.1=a:1:2:participant\nserver.2=b:1:2:participant\n\
             server.3=c:1:2:participant\nweight.1=4\nweight.2=1\nweight.3=1\nversion=0"
        );
        let refused =
            |more: &[(&'static str, &'static str)]| with(more).expect_err("wrong").message.clone();
        assert_eq!(
            refused(&[("group.1", "1:2"), ("group.2", "2:3")]),
            "Server 2is in multiple groups"
        );
        assert_eq!(refused(&[("group.1", "1:2")]), "Server 3is not in a group");
        assert_eq!(
            refused(&[("group.1", "1:2:3:9")]),
            "Server 9 is in a group but has no server.9 line"
        );
        assert_eq!(refused(&[("weight.1", "-1")]), "a weight cannot be negative");
        assert_eq!(refused(&[("groups", "1")]), "For input string: \"groups\"");
    }

    proptest! {
        #[test]
        fn any_line_is_parsed_or_refused(text in "[a-z0-9:;|\\[\\].]{0,40}", multi: bool) {
            if let Ok(member) = parse_member(1, &text, multi) {
                prop_assert!(!member.addresses.is_empty());
            }
        }
    }
}
