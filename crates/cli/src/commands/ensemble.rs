//! Commands on the ensemble and on the session itself.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Session, watch};
use crate::failure::{Failure, Outcome};
use crate::options::Parsed;
use crate::shell::usage;
use crate::table::Command;

pub(super) fn config(session: &mut Session<'_>, parsed: &Parsed) -> Outcome {
    let client = session.client()?;
    let (data, stat) = session.wait(client.config(watch(parsed)))??;
    let data = data.unwrap_or_default();
    let text = String::from_utf8_lossy(&data);
    if parsed.has("c") {
        let (version, servers) = client_addresses(&text);
        let value = || json!({"version": version, "servers": servers});
        session.put("clients", value, || Some(format!("{version} {}", servers.join(","))));
    } else {
        session.put("config", || text.as_ref().into(), || Some(text.to_string()));
    }
    session.put_stat(&stat, parsed.has("s"));
    Ok(())
}

/// The version and the client addresses a configuration names.
fn client_addresses(config: &str) -> (&str, Vec<String>) {
    let mut version = "";
    let mut servers = BTreeMap::new();
    for line in config.lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        let (key, value) = (key.trim(), value.trim());
        if key == "version" {
            version = value;
        }
        let id = key.strip_prefix("server.").and_then(|id| id.parse::<i64>().ok());
        if let (Some(id), Some((_, client))) = (id, value.split_once(';')) {
            // One address may stand for several quorum addresses; the client part is one.
            let client = client.split('|').next().unwrap_or(client);
            let address =
                if client.contains(':') { client.to_owned() } else { format!("0.0.0.0:{client}") };
            servers.insert(id, address);
        }
    }
    (version, servers.into_values().collect())
}

pub(super) fn reconfig(session: &mut Session<'_>, command: &Command, parsed: &Parsed) -> Outcome {
    let joined = |name| {
        let values: Vec<&str> = parsed.values(name).collect();
        (!values.is_empty()).then(|| values.join(","))
    };
    let (joining, leaving) = (joined("add"), joined("remove"));
    let mut members = joined("members");
    let whole = members.is_some() || parsed.has("file");
    let incremental = joining.is_some() || leaving.is_some();
    if whole && incremental {
        return Err(Failure::new(
            "Can't use -file or -members together with -add or -remove (mixing incremental and \
             non-incremental modes is not allowed)",
        ));
    }
    if members.is_some() && parsed.has("file") {
        return Err(Failure::new("Can't use -file and -members together"));
    }
    if !whole && !incremental {
        return Err(usage(command));
    }
    let version =
        match parsed.value("v") {
            Some(text) => Some(i64::from_str_radix(text, 16).map_err(|_| {
                Failure::new("-v must be followed by a long (configuration version)")
            })?),
            None => None,
        };
    if let Some(file) = parsed.value("file") {
        members = Some(members_of(file)?);
    }
    let client = session.client()?;
    let (data, stat) = session.wait(client.reconfig(
        joining.as_deref(),
        leaving.as_deref(),
        members.as_deref(),
        version,
    ))??;
    let data = data.unwrap_or_default();
    let text = String::from_utf8_lossy(&data);
    let lines = || Some(format!("Committed new configuration:\n{text}"));
    session.put("config", || text.as_ref().into(), lines);
    session.put_stat(&stat, parsed.has("s"));
    Ok(())
}

/// The membership lines of a dynamic configuration file.
fn members_of(file: &str) -> Outcome<String> {
    let bytes = std::fs::read(file)
        .map_err(|error| Failure::new(format!("Error processing {file}: {error}")))?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| ["server.", "group.", "weight."].iter().any(|kind| line.starts_with(kind)))
        .collect();
    if lines.is_empty() {
        return Err(Failure::new(format!("Error processing {file}: it names no server")));
    }
    Ok(lines.join("\n"))
}

pub(super) fn close(session: &mut Session<'_>) -> Outcome {
    let client = session.client()?;
    session.wait(async {
        client.reachable().await;
        client.close().await
    })??;
    Ok(())
}

pub(super) fn version(session: &mut Session<'_>) {
    let version = concat!("3.9.5-rookeeper-", env!("CARGO_PKG_VERSION"));
    session.put("version", || version.into(), || Some(format!("ZooKeeper CLI version: {version}")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_for_clients() {
        let config = "server.2=b:1:2:participant;0.0.0.0:2182\nserver.1=a:1:2;2181\n\
                      server.3=c:1:2:observer\nversion=100000000";
        let servers = ["0.0.0.0:2181", "0.0.0.0:2182"].map(str::to_owned);
        assert_eq!(client_addresses(config), ("100000000", servers.into()));
        assert_eq!(client_addresses(""), ("", Vec::new()));
    }
}
