//! From a command line to a serving server and back: configuration, recovery, threads, signals, exit
//! code.
//!
//! Exit codes are Apache's (`operations.md` 1.2): 0 a stop that was asked for, 1 anything unexpected,
//! 2 a wrong configuration, 3 an unusable data directory. The short line Apache prints comes first,
//! the cause behind it.

use std::ffi::OsString;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rookeeper_net::{Limits, ListenOptions, Reactor, Waker};
use rookeeper_replica::auth::AuthRegistry;
use rookeeper_replica::durable::{LogPlan, Recovered, Recovery};
use rookeeper_replica::{Member, Parts, Replica, Role};
use rookeeper_storage::{DataDirs, DirLock, Disk};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::config::areas::storage::Autopurge;
use crate::config::shape::Mode;
use crate::config::{self, Config, Invocation, Severity};
use crate::core_thread::{CLIENT_PORT, Clock, Core, Wiring};
use crate::descriptors;
use crate::ensemble::{self, Ensemble};
use crate::fourletter::FourLetter;
use crate::log_thread::{self, LogInput, LogMail};
use crate::metrics::Startup;
use crate::real_disk::RealDisk;
use crate::recovery;
use crate::retention::Retention;
use crate::service::Service;
use crate::settings;
use crate::snapshot_thread::{self, SnapshotMail, SnapshotPlan};

/// Why a server did not start or did not go on.
#[derive(Debug)]
struct Failure {
    /// Apache's short line, for standard error.
    headline: &'static str,
    cause: String,
    exit_code: i32,
}

impl Failure {
    fn unexpected(cause: impl Into<String>) -> Self {
        let headline = "Unexpected exception, exiting abnormally";
        Self { headline, cause: cause.into(), exit_code: 1 }
    }

    fn data_dir(cause: impl Into<String>) -> Self {
        let headline = "Unable to access datadir, exiting abnormally";
        Self { headline, cause: cause.into(), exit_code: 3 }
    }
}

/// Runs `rookeeper server` with the arguments behind that word; returns the exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> i32 {
    let environment = |name| std::env::var(name).unwrap_or_default();
    let invocation = match Invocation::parse(args) {
        Ok(invocation) => {
            invocation.with_environment(&environment("SERVER_JVMFLAGS"), &environment("JVMFLAGS"))
        }
        Err(error) => return refuse(&error),
    };
    if invocation.help {
        print!("{}", config::invocation::HELP);
        return 0;
    }
    let config = match config::load(&invocation, &config::RealFiles) {
        Ok(config) => config,
        Err(error) => return refuse(&error),
    };
    if invocation.check {
        print!("{}", config::explain::explain_text(&config));
        return 0;
    }
    start_logging();
    for notice in &config.notices {
        match notice.severity {
            Severity::Info => tracing::info!("{}", notice.text),
            Severity::Warn => tracing::warn!("{}", notice.text),
            Severity::Error => tracing::error!("{}", notice.text),
        }
    }
    descriptors::raise_limit();
    match serve(config) {
        Ok(()) => 0,
        Err(failure) => {
            eprintln!("{}\n{}", failure.headline, failure.cause);
            failure.exit_code
        }
    }
}

fn refuse(error: &config::ConfigError) -> i32 {
    eprintln!("{error}");
    error.exit_code
}

/// Log lines go to standard error; `RUST_LOG` chooses the level.
fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    // Fails only if a subscriber is installed already, which then serves as well.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
        .try_init();
}

fn serve(config: Config) -> Result<(), Failure> {
    let started = Instant::now();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let _locks = lock_directories(&*disk, &config)?;
    let dirs = DataDirs::new(&config.storage.data_dir, Some(&config.storage.data_log_dir));
    let is_member = matches!(config.mode, Mode::Quorum { .. });
    let recovery = recovery::plan(&config, is_member).map_err(Failure::unexpected)?;
    let recovered = recovery::recover(&*disk, &dirs, &recovery).map_err(Failure::data_dir)?;
    let reactor = Reactor::new(limits(&config))
        .map_err(|error| Failure::unexpected(format!("cannot poll sockets: {error}")))?;
    run_core(config, &disk, &dirs, (recovery, recovered), reactor, started)
}

/// A second server on the same directories is refused, whichever of the two it shares.
fn lock_directories(disk: &dyn Disk, config: &Config) -> Result<Vec<Box<dyn DirLock>>, Failure> {
    let storage = &config.storage;
    let mut dirs: Vec<&Path> = vec![&storage.data_dir];
    if storage.data_log_dir != storage.data_dir {
        dirs.push(&storage.data_log_dir);
    }
    let mut locks = Vec::new();
    for dir in dirs {
        if !storage.data_dir_autocreate && !dir.is_dir() {
            return Err(Failure::data_dir(format!(
                "Missing data directory {}, automatic data directory creation is disabled \
                 (zookeeper.datadir.autocreate is false). Please create this directory manually.",
                dir.display()
            )));
        }
        disk.create_dir_all(dir).map_err(|error| {
            Failure::data_dir(format!("Unable to create data directory {}: {error}", dir.display()))
        })?;
        let lock = disk.lock_dir(dir).map_err(|error| {
            Failure::data_dir(if error.kind() == io::ErrorKind::WouldBlock {
                format!(
                    "{} is in use by another server; stop that one, or give this one a dataDir of \
                     its own",
                    dir.display()
                )
            } else {
                format!("cannot lock {}: {error}", dir.display())
            })
        })?;
        locks.push(lock);
    }
    Ok(locks)
}

fn limits(config: &Config) -> Limits {
    let frame = usize::try_from(config.limits.jute_max_buffer_bytes).unwrap_or(0);
    let defaults = Limits::default();
    Limits { max_input_bytes: defaults.max_input_bytes.max(2 * frame), ..defaults }
}

fn run_core(
    config: Config,
    disk: &Arc<dyn Disk>,
    dirs: &DataDirs,
    (recovery, (recovered, startup)): (Recovery, (Recovered, Startup)),
    mut reactor: Reactor,
    started: Instant,
) -> Result<(), Failure> {
    let clock = Clock::new();
    let client_port = listen(&mut reactor, &config)?;
    let stop_requested = Arc::new(AtomicBool::new(false));
    watch_signals(&stop_requested, reactor.waker())?;
    let (log, snapshots) = (Arc::<LogMail>::default(), Arc::<SnapshotMail>::default());
    let plan = LogPlan {
        disk: Arc::clone(disk),
        dirs: dirs.clone(),
        options: settings::txn_log(&config),
        compression: settings::compression(&config),
        recovery: recovery.clone(),
    };
    let last_zxid = recovered.tree.last_zxid();
    let threads =
        Threads::start(plan, &config.storage.autopurge, last_zxid, &reactor, &log, &snapshots)?;

    let auth = AuthRegistry::new(settings::auth(&config)).map_err(|error| Failure {
        headline: "Invalid config, exiting abnormally",
        cause: error.to_string(),
        exit_code: 2,
    })?;
    let seed = random_seed()?;
    let now = clock.now(Instant::now());
    let has_replayed = 0 < recovered.records;
    let joining = match config.mode {
        Mode::Standalone => None,
        Mode::Quorum { my_id, role } => {
            let record_bytes_max = recovery.storage.max_record_bytes;
            let mut place = ensemble::start::place(&config, my_id, &dirs.log_dir, record_bytes_max);
            ensemble::start::open(&config, &mut place, &mut reactor, &stop_requested)
                .map_err(|cause| Failure { exit_code: 14, ..Failure::unexpected(cause) })?;
            let (peer, effects) = ensemble::start::peer(&config, my_id, role, &recovered, now)
                .map_err(Failure::data_dir)?;
            Some((place, peer, effects))
        }
    };
    let role = if joining.is_some() { Role::Looking } else { Role::Standalone };
    let prep = settings::prep(&config);
    let parts = Parts { tree: recovered.tree, auth, prep, role, seed };
    let mut replica = Replica::new(now, settings::replica(&config), parts);
    if has_replayed {
        replica.want_snapshot();
    }
    let service = match joining {
        None => {
            replica.close_orphaned_sessions(now);
            Service::Alone(Box::new(replica))
        }
        Some((place, peer, effects)) => {
            let max_item = recovery.storage.max_record_bytes;
            let member = Member::new(replica, peer, effects, recovery.tree, max_item);
            let ensemble = Ensemble::new(member, place, Arc::clone(disk), reactor.waker());
            Service::Member(Box::new(ensemble))
        }
    };
    let frame_bytes_max = usize::try_from(config.limits.jute_max_buffer_bytes).unwrap_or(0);
    let fsync_warning = Duration::from_millis(
        u64::try_from(config.storage.fsync_warning_threshold_ms).unwrap_or(u64::MAX),
    );
    tracing::info!(
        "{} on client port {client_port} (data in {}), started in {} ms",
        service.replica().role().name(),
        config.storage.data_dir.display(),
        started.elapsed().as_millis()
    );
    let host = config.client.client_port_addresses.first().map_or("localhost", String::as_str);
    tracing::info!("connect with: zkCli.sh -server {host}:{client_port}");
    let absolute = |dir: &Path| std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let (snap_dir, log_dir) = (absolute(&dirs.snap_dir), absolute(&dirs.log_dir));
    let four_letter = FourLetter { config, client_port, snap_dir, log_dir, trace_mask: 306 };
    let wiring = Wiring { log, snapshots, stop_requested, clock };
    let mut core = Core::new(service, four_letter, frame_bytes_max, fsync_warning, wiring);
    core.metrics.startup = Some(startup);
    let ran = reactor.run(&mut core);
    threads.stop(&core);
    match (core.failure.take(), ran) {
        (Some(why), _) => Err(Failure::unexpected(why)),
        (None, Err(error)) => Err(Failure::unexpected(format!("cannot poll sockets: {error}"))),
        (None, Ok(())) => {
            tracing::info!("stopped");
            Ok(())
        }
    }
}

struct Threads {
    log: JoinHandle<()>,
    snapshots: JoinHandle<()>,
}

impl Threads {
    fn start(
        plan: LogPlan,
        autopurge: &Autopurge,
        last_zxid: rookeeper_proto::Zxid,
        reactor: &Reactor,
        log: &Arc<LogMail>,
        snapshots: &Arc<SnapshotMail>,
    ) -> Result<Self, Failure> {
        let snapshot_plan = SnapshotPlan {
            disk: Arc::clone(&plan.disk),
            dir: plan.dirs.snap_dir.clone(),
            compression: plan.compression,
            retention: Retention::new(
                Arc::clone(&plan.disk),
                plan.dirs.clone(),
                autopurge,
                Instant::now(),
            ),
        };
        let failed =
            |error: io::Error| Failure::unexpected(format!("cannot start a thread: {error}"));
        Ok(Self {
            log: log_thread::start(plan, last_zxid, Arc::clone(log), reactor.waker())
                .map_err(failed)?,
            snapshots: snapshot_thread::start(
                snapshot_plan,
                Arc::clone(snapshots),
                reactor.waker(),
            )
            .map_err(failed)?,
        })
    }

    /// Ends both: the log after everything queued is durable, a snapshot under way unfinished.
    fn stop(self, core: &Core) {
        core.log.input.put(LogInput::Stop);
        core.snapshots.stop();
        // A panicked thread has said why; there is nothing to add at the end.
        let _ = self.log.join();
        let _ = self.snapshots.join();
    }
}

/// Binds the client port; returns the port bound.
fn listen(reactor: &mut Reactor, config: &Config) -> Result<u16, Failure> {
    let client = &config.client;
    let port = client.client_port.ok_or_else(|| {
        Failure::unexpected("no clientPort is set, so no client could ever connect")
    })?;
    let mut options = ListenOptions::new(CLIENT_PORT);
    options.backlog = client.listen_backlog;
    options.keepalive = client.tcp_keep_alive;
    let mut bound = None;
    let mut last_error = None;
    for addr in addresses(&client.client_port_addresses, port)? {
        match reactor.io().listen(addr, options.clone()) {
            Ok(addr) => bound = Some(addr.port()),
            Err(error) => last_error = Some((addr, error)),
        }
    }
    match (bound, last_error) {
        (Some(port), _) => Ok(port),
        (None, Some((addr, error))) => {
            Err(Failure::unexpected(format!("cannot listen on {addr}: {error}")))
        }
        (None, None) => Err(Failure::unexpected("clientPortAddress names no address")),
    }
}

/// The addresses to bind. The wildcard is dual-stack, or IPv4 alone where there is no IPv6.
fn addresses(hosts: &[String], port: u16) -> Result<Vec<SocketAddr>, Failure> {
    if hosts.is_empty() {
        let any = SocketAddr::from(([0u16; 8], port));
        let has_ipv6 = std::net::UdpSocket::bind(SocketAddr::from(([0u16; 8], 0))).is_ok();
        return Ok(vec![if has_ipv6 { any } else { SocketAddr::from(([0u8; 4], port)) }]);
    }
    let mut all = Vec::new();
    for host in hosts {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let found = (host, port).to_socket_addrs().map_err(|_| {
            Failure::unexpected(format!("{host}: Name or service not known (clientPortAddress)"))
        })?;
        all.extend(found);
    }
    all.dedup();
    Ok(all)
}

fn watch_signals(stop_requested: &Arc<AtomicBool>, waker: Waker) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::unexpected(format!("cannot watch signals: {error}"));
    let wanted = [SIGTERM, SIGINT].into_iter().filter(|signal| !is_ignored(*signal));
    let mut signals = signal_hook::iterator::Signals::new(wanted).map_err(failed)?;
    let stop_requested = Arc::clone(stop_requested);
    std::thread::Builder::new()
        .name("rookeeper-signals".to_owned())
        .spawn(move || {
            for _signal in signals.forever() {
                stop_requested.store(true, Ordering::Release);
                waker.wake();
            }
        })
        .map_err(failed)?;
    Ok(())
}

/// Whether whoever started this process wants a signal ignored: a script that starts something in the
/// background does not mean it with its Ctrl-C. A JVM heeds that, too. Where Linux does not tell: no.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (signal - 1)) != 0
}

fn random_seed() -> Result<u64, Failure> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::unexpected(format!("no randomness to be had: {error}")))?;
    Ok(u64::from_ne_bytes(bytes))
}

/// Settings that the replica's defaults already cover are checked to stay equal to the key table.
#[cfg(test)]
mod tests {
    use rookeeper_replica::ReplicaConfig;

    use super::*;

    #[test]
    fn the_replicas_defaults_are_the_keys_defaults() {
        let invocation = Invocation::parse(["2181".into(), "/nowhere".into()]).unwrap();
        let config = config::load(&invocation, &config::RealFiles).unwrap();
        let ours = settings::replica(&config);
        let defaults = ReplicaConfig::default();
        assert_eq!(ours.snap_count, defaults.snap_count);
        assert_eq!(ours.tick_time_ms, defaults.tick_time_ms);
        assert_eq!(ours.global_outstanding_limit, defaults.global_outstanding_limit);
    }
}
