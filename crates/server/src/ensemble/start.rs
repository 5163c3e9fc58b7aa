//! From the configuration of a member to a peer that begins to look for a leader.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rookeeper_net::{Io, ListenOptions, Reactor};
use rookeeper_proto::{Sid, Zxid};
use rookeeper_replica::Now;
use rookeeper_replica::durable::Recovered;
use rookeeper_zab::{Address, Effects, EnsembleConfig, Instant, Member, Peer, Settings, Start};

use super::config_files::ConfigFiles;
use super::{ELECTION_PORT, Place};
use crate::config::Config;
use crate::config::ensemble::Role;

/// Starts the peer. The effects are what it asks for first.
pub(crate) fn peer(
    config: &Config,
    my_id: i64,
    role: Role,
    recovered: &Recovered,
    now: Now,
) -> Result<(Peer, Effects), String> {
    let (committed, last_seen) = members(config)?;
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
    settings.is_reconfig_enabled = quorum.reconfig_enabled;
    let millis = |ms: i32| Duration::from_millis(u64::try_from(ms).unwrap_or(0).max(1));
    let shortest = millis(quorum.min_notification_interval_ms);
    settings.notification_interval =
        (shortest, millis(quorum.max_notification_interval_ms).max(shortest));
    settings.connect_limit = ticks(Some(quorum.connect_to_learner_master_limit_ticks), 0);
    settings.connect_pause = millis(quorum.leader_connect_delay_ms);
    settings.history_records = history_records(config);
    settings.observer_master_port = quorum.observer_master_port;
    let count = |value: i32| usize::try_from(value).unwrap_or(1);
    settings.snap_syncs_max = count(quorum.leader_max_concurrent_snap_syncs);
    settings.diff_syncs_max = count(quorum.leader_max_concurrent_diff_syncs);
    let delay = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    settings.observer_reconnect_delay = delay(quorum.observer_reconnect_delay_ms);
    settings.observer_election_delay = delay(quorum.observer_election_delay_ms);
    if 0 < quorum.quorum_cnxn_timeout_ms {
        settings.election_patience = millis(quorum.quorum_cnxn_timeout_ms);
    }
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(|error| format!("no randomness to be had: {error}"))?;
    settings.seed = u64::from_ne_bytes(seed);
    #[cfg(feature = "planted-bugs")]
    plant(&mut settings);
    let own = committed.members.get(&Sid(my_id));
    let start = Start {
        election_addresses: own.map(Member::election_addresses).unwrap_or_default(),
        settings,
        committed,
        last_seen,
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

/// The mistake that a test asks for by its name.
#[cfg(feature = "planted-bugs")]
fn plant(settings: &mut Settings) {
    settings.bug = match std::env::var("ROOKEEPER_PLANTED_BUG").as_deref() {
        Ok("commit-without-quorum") => Some(rookeeper_zab::Bug::CommitWithoutQuorum),
        _ => None,
    };
    tracing::warn!("built to make mistakes; this one makes {:?}", settings.bug);
}

/// `commitLogCount`: records kept in memory for learners that are a little behind.
pub(crate) fn history_records(config: &Config) -> usize {
    usize::try_from(config.quorum.commit_log_count).unwrap_or(0)
}

/// The members in force and the newest ones seen, in the form the quorum wire uses. They differ when
/// this server stopped between the proposal of a reconfig and its commit.
fn members(config: &Config) -> Result<(Arc<EnsembleConfig>, Arc<EnsembleConfig>), String> {
    let committed = EnsembleConfig::parse(&config.ensemble.lines())
        .map(Arc::new)
        .map_err(|error| format!("the list of servers is refused: {error}"))?;
    let next = config.next_ensemble.as_ref().filter(|_| config.quorum.reconfig_enabled);
    let last_seen = next
        .and_then(|next| EnsembleConfig::parse(&next.lines()).ok())
        .filter(|next| committed.version < next.version)
        .map_or_else(|| Arc::clone(&committed), Arc::new);
    Ok((committed, last_seen))
}

/// Where this server belongs, without a port open yet.
pub(crate) fn place(config: &Config, my_id: i64, log_dir: &Path, record_bytes_max: usize) -> Place {
    let quorum = &config.quorum;
    let static_path = config.static_path.as_deref().filter(|_| quorum.reconfig_enabled);
    let files = ConfigFiles::new(static_path, Sid(my_id));
    files.back_up(quorum.dynamic_config_file.is_some());
    Place {
        me: Sid(my_id),
        quorum: Vec::new(),
        election: Vec::new(),
        observer_master_port: quorum.observer_master_port,
        is_anywhere: quorum.listen_on_all_ips,
        files,
        dial_timeout: Duration::from_millis(
            u64::try_from(quorum.cnx_timeout_ms).unwrap_or(5000).max(1),
        ),
        keeps_alive: quorum.tcp_keep_alive,
        oracle: quorum.oracle_path.clone(),
        log_dir: log_dir.to_owned(),
        record_bytes_max,
    }
}

/// Opens the election port, trying again every second, `electionPortBindRetry` times or (0) for ever:
/// another process may still hold it, or the own name may not resolve yet.
pub(crate) fn open(
    config: &Config,
    place: &mut Place,
    reactor: &mut Reactor,
    stop_requested: &AtomicBool,
) -> Result<(), String> {
    let me = place.me;
    let members = EnsembleConfig::parse(&config.ensemble.lines()).map_err(|e| e.to_string())?;
    let own = members.members.get(&me).ok_or_else(|| format!("My id {me} not in the peer list"))?;
    let retries = u64::try_from(config.quorum.election_port_bind_retry).unwrap_or(0);
    let mut tries = 0;
    loop {
        let opened = addresses_of(own, place.is_anywhere).and_then(|(quorum, election)| {
            listen_for_elections(&election, reactor.io())?;
            (place.quorum, place.election) = (quorum, election);
            Ok(())
        });
        tries += 1;
        match opened {
            Err(error) if retries != 0 && retries <= tries => {
                return Err(format!(
                    "{error}; given up after {tries} attempts (electionPortBindRetry)"
                ));
            }
            Err(error) if stop_requested.load(Ordering::Acquire) => return Err(error),
            Err(error) => {
                tracing::warn!("{error}; trying again in a second");
                reactor.io().unlisten(ELECTION_PORT);
                std::thread::sleep(BIND_PAUSE);
            }
            Ok(()) => return Ok(()),
        }
    }
}

const BIND_PAUSE: Duration = Duration::from_secs(1);

pub(super) fn listen_for_elections(addresses: &[SocketAddr], io: &mut Io) -> Result<(), String> {
    let options = ListenOptions::new(ELECTION_PORT);
    for &address in addresses {
        io.listen(address, options.clone())
            .map_err(|error| format!("cannot listen on the election port {address}: {error}"))?;
    }
    Ok(())
}

/// Where a member's quorum and election ports are bound.
pub(super) fn addresses_of(
    own: &Member,
    is_anywhere: bool,
) -> Result<(Vec<SocketAddr>, Vec<SocketAddr>), String> {
    let quorum = bind_addresses(&own.quorum_addresses(), is_anywhere)?;
    Ok((quorum, bind_addresses(&own.election_addresses(), is_anywhere)?))
}

fn bind_addresses(hosts: &[Address], is_anywhere: bool) -> Result<Vec<SocketAddr>, String> {
    let mut all: Vec<SocketAddr> = Vec::new();
    for host in hosts {
        if is_anywhere {
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
