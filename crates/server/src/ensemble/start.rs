//! From the configuration of a member to a peer that begins to look for a leader.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use rookeeper_net::{ListenOptions, Reactor};
use rookeeper_proto::{Sid, Zxid};
use rookeeper_replica::Now;
use rookeeper_zab::{Effects, EnsembleConfig, Instant, Peer, Settings, Start, TxnRecord};

use super::{ELECTION_PORT, Place};
use crate::config::Config;
use crate::config::ensemble::{HostPort, Role};
use crate::recovery::Recovered;

/// The newest records of the log, and the point before them.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) base: Zxid,
    pub(crate) recent: Vec<TxnRecord>,
}

/// Starts the peer. The effects are what it asks for first.
pub(crate) fn peer(
    config: &Config,
    my_id: i64,
    role: Role,
    recovered: &Recovered,
    now: Now,
) -> Result<(Peer, Effects), String> {
    let members = members(config)?;
    let epochs = recovered.epochs.ok_or("the epoch files were not read")?;
    let epoch =
        |value: i64| u32::try_from(value).map_err(|_| format!("epoch {value} is too large"));
    let quorum = &config.quorum;
    let ticks = |value: Option<i32>, default: u32| {
        value.and_then(|value| u32::try_from(value).ok()).unwrap_or(default)
    };
    let mut settings = Settings::new(Sid(my_id));
    settings.tick =
        Duration::from_millis(u64::try_from(config.sessions.tick_time_ms).unwrap_or(1).max(1));
    settings.init_limit = ticks(quorum.init_limit_ticks, settings.init_limit);
    settings.sync_limit = ticks(quorum.sync_limit_ticks, settings.sync_limit);
    settings.is_observer = role == Role::Observer;
    settings.is_multi_address = quorum.multi_address_enabled;
    let own = members.members.get(&Sid(my_id));
    let start = Start {
        election_addresses: own.map(rookeeper_zab::Member::election_addresses).unwrap_or_default(),
        settings,
        committed: Arc::clone(&members),
        last_seen: members,
        accepted_epoch: epoch(epochs.accepted)?,
        current_epoch: epoch(epochs.current)?,
        last: if recovered.is_unknown { Zxid::UNKNOWN } else { recovered.tree.last_zxid() },
        recent: recovered.tail.recent.clone(),
        base: recovered.tail.base,
    };
    let mut effects = Effects::new();
    let peer = Peer::start(Instant(now.mono_us), start, &mut effects)
        .map_err(|error| error.to_string())?;
    Ok((peer, effects))
}

/// The members in the form the quorum wire uses.
fn members(config: &Config) -> Result<Arc<EnsembleConfig>, String> {
    let text = format!("{}\nversion={:x}", config.ensemble.lines(), config.ensemble.version);
    EnsembleConfig::parse(&text)
        .map(Arc::new)
        .map_err(|error| format!("the list of servers is refused: {error}"))
}

/// Opens the election port and says where the quorum port will be.
pub(crate) fn place(
    config: &Config,
    my_id: i64,
    reactor: &mut Reactor,
    log_dir: &std::path::Path,
    record_bytes_max: usize,
) -> Result<Place, String> {
    let member = config
        .ensemble
        .members
        .get(&my_id)
        .ok_or_else(|| format!("My id {my_id} not in the peer list"))?;
    let quorum: Vec<&HostPort> = member.addresses.iter().map(|address| &address.quorum).collect();
    let election: Vec<&HostPort> =
        member.addresses.iter().map(|address| &address.election).collect();
    let anywhere = config.quorum.listen_on_all_ips;
    let mut options = ListenOptions::new(ELECTION_PORT);
    options.v6_only = false;
    for address in bind_addresses(&election, anywhere)? {
        reactor
            .io()
            .listen(address, options.clone())
            .map_err(|error| format!("cannot listen on the election port {address}: {error}"))?;
    }
    Ok(Place {
        quorum: bind_addresses(&quorum, anywhere)?,
        dial_timeout: Duration::from_millis(
            u64::try_from(config.quorum.cnx_timeout_ms).unwrap_or(5000).max(1),
        ),
        log_dir: log_dir.to_owned(),
        record_bytes_max,
    })
}

fn bind_addresses(hosts: &[&HostPort], anywhere: bool) -> Result<Vec<SocketAddr>, String> {
    let mut all: Vec<SocketAddr> = Vec::new();
    for host in hosts {
        if anywhere {
            all.push(SocketAddr::from(([0u8; 4], host.port)));
            continue;
        }
        let found = (host.host.as_str(), host.port)
            .to_socket_addrs()
            .map_err(|error| format!("this server's own address {}: {error}", host.host))?;
        all.extend(found.take(1));
    }
    all.sort();
    all.dedup();
    Ok(all)
}
