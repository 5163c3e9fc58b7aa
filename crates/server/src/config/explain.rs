//! What a configuration comes to: every effective value with its source, and the lines of `conf`.
//!
//! Source: operations.md 2.2.

use std::fmt::Write;
use std::path::Path;

use super::Config;
use super::ensemble::Role;
use super::error::Origin;
use super::keys::{self, Action, Key};
use super::reader::{is_secret_name, shown};

/// One effective value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// The name as written in the file; `-Dname` for what only a flag can set.
    pub name: String,
    /// The value in force; empty for "not set", `***` for secrets.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
    /// What the key does here.
    pub action: Action,
}

/// Every key with its effective value, in the order of the documentation.
pub fn explain(config: &Config) -> Vec<Effective> {
    let mut rows = Vec::new();
    for key in keys::all() {
        if key.is_family() {
            rows.extend(members(config, key));
        } else {
            rows.push(single(config, key));
        }
    }
    rows
}

/// The rows of [`explain`] as text, one line each; unset keys without a default are left out.
pub fn explain_text(config: &Config) -> String {
    let mut text = String::new();
    for row in explain(config).iter().filter(|row| !row.value.is_empty()) {
        let remark = match row.action {
            Action::Acts | Action::Own => "",
            Action::JvmOnly | Action::Silent => ", no effect",
            Action::NotYet(_) | Action::Protects => ", not supported yet",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}={}  ({}{remark})", row.name, row.value, row.origin);
    }
    text
}

fn single(config: &Config, key: &Key) -> Effective {
    let setting = config.settings.value(key);
    let derived = derived(config, key.name);
    let given = setting.map(|setting| shown(key, setting));
    Effective {
        name: key.spelling(),
        value: derived.or(given).unwrap_or_else(|| key.default.to_owned()),
        origin: setting.map_or(Origin::Default, |setting| setting.origin.clone()),
        action: key.action,
    }
}

/// Values that are more than what was written.
fn derived(config: &Config, name: &str) -> Option<String> {
    Some(match name {
        "minSessionTimeout" => config.sessions.min_session_timeout_ms.to_string(),
        "maxSessionTimeout" => config.sessions.max_session_timeout_ms.to_string(),
        "maxClientCnxns" => config.limits.max_client_cnxns.to_string(),
        "dataLogDir" => config.storage.data_log_dir.display().to_string(),
        "clientPort" => config.client.client_port?.to_string(),
        "clientPortAddress" if !config.client.client_port_addresses.is_empty() => {
            config.client.client_port_addresses.join(",")
        }
        "autopurge.snapRetainCount" => config.storage.autopurge.snap_retain_count.to_string(),
        "snapCount" => config.storage.snap_count.to_string(),
        "commitLogCount" => config.quorum.commit_log_count.to_string(),
        "jute.maxbuffer.extrasize" => config.limits.jute_max_buffer_extra_bytes.to_string(),
        _ => return None,
    })
}

fn members(config: &Config, key: &'static Key) -> Vec<Effective> {
    let prefix = key.name.trim_end_matches('*');
    config
        .settings
        .family(key)
        .into_iter()
        .map(|(suffix, setting)| {
            let name = format!("{prefix}{suffix}");
            let value = if is_secret_name(&name) { "***".to_owned() } else { shown(key, setting) };
            Effective { name, value, origin: setting.origin.clone(), action: key.action }
        })
        .collect()
}

/// What only the running server knows for `conf`.
#[derive(Clone, Copy, Debug)]
pub struct ConfFacts<'a> {
    /// The port bound, -1 for none.
    pub client_port: i32,
    /// The TLS port bound, -1 for none.
    pub secure_client_port: i32,
    /// The absolute directory of snapshots, `version-2` included.
    pub snap_dir: &'a Path,
    /// Bytes in it.
    pub snap_dir_bytes: u64,
    /// The absolute directory of logs, `version-2` included.
    pub log_dir: &'a Path,
    /// Bytes in it.
    pub log_dir_bytes: u64,
    /// The server's id, 0 when alone.
    pub server_id: i64,
}

/// The reply to `conf` of a server that runs alone; an ensemble appends its own lines.
pub fn conf_lines(config: &Config, facts: ConfFacts<'_>) -> String {
    let backlog = config
        .settings
        .value(super::Reader::key("clientPortListenBacklog"))
        .map_or("-1", |setting| setting.value.as_str());
    format!(
        "clientPort={}\nsecureClientPort={}\ndataDir={}\ndataDirSize={}\ndataLogDir={}\n\
         dataLogSize={}\ntickTime={}\nmaxClientCnxns={}\nminSessionTimeout={}\n\
         maxSessionTimeout={}\nclientPortListenBacklog={backlog}\nserverId={}\n",
        facts.client_port,
        facts.secure_client_port,
        facts.snap_dir.display(),
        facts.snap_dir_bytes,
        facts.log_dir.display(),
        facts.log_dir_bytes,
        config.sessions.tick_time_ms,
        config.limits.max_client_cnxns,
        config.sessions.min_session_timeout_ms,
        config.sessions.max_session_timeout_ms,
        facts.server_id,
    )
}

/// What the reply to `conf` of a member of an ensemble goes on with; without the membership (of a
/// read-only server) it ends with a newline, with it with none.
pub fn quorum_conf_lines(config: &Config, server_id: i64, membership: Option<&str>) -> String {
    let own = config.ensemble.members.get(&server_id);
    let address = own.and_then(|member| member.addresses.first());
    let port = |port: Option<u16>| port.map_or(-1, i32::from);
    let limit = |ticks: Option<i32>| ticks.unwrap_or(0);
    let membership = membership.map_or(String::new(), |text| format!("membership: \n{text}"));
    format!(
        "initLimit={}\nsyncLimit={}\nelectionAlg=3\nelectionPort={}\nquorumPort={}\n\
         peerType={}\n{membership}",
        limit(config.quorum.init_limit_ticks),
        limit(config.quorum.sync_limit_ticks),
        port(address.map(|address| address.election.port)),
        port(address.map(|address| address.quorum.port)),
        i32::from(own.is_some_and(|member| member.role == Role::Observer)),
    )
}
