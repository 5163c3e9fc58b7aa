//! Three processes, many sessions, and what happens to the processes meanwhile.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rookeeper_interop::client::Client;
use rookeeper_interop::{Ensemble, Flavour, ServerConfig};

use crate::history::{Final, History, check};
use crate::session::{SESSION_MS, Session, WRITES_IN_STEP, register};

const PATIENCE: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(20);
/// What must be acknowledged while the followers stand still, for each session, to be sure that some of it
/// was written meanwhile: steps that were all but done count, too.
const ALONE_EACH: u64 = 2 * WRITES_IN_STEP;
/// Writes of each session between two kills.
const WRITES_BETWEEN: u64 = 100;
const ABANDONED_MS: i32 = 10_000;
const EPHEMERAL: i32 = 1;

/// How a leader goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// It is killed, and comes back when another leads.
    Kill,
    /// It is killed and started again at once.
    Restart,
    /// Its followers stand still for a while; then all are killed, and it is the last to come back. What
    /// it had alone is lost, so nobody may have been told of it.
    Desert,
    /// All servers are stopped one by one, the leader last, and started as the build under test.
    Upgrade,
}

/// What to do.
pub(crate) struct Plan<'a> {
    pub(crate) kills: usize,
    /// Taken in turn.
    pub(crate) faults: &'a [Fault],
    pub(crate) sessions: usize,
    /// Another build than the one under test to begin with.
    pub(crate) build: Option<&'a Path>,
    /// The mistake that build is told to make.
    pub(crate) mistake: &'a str,
    /// How long followers stand still at most before everything is killed; less if the leader acknowledges
    /// much alone.
    pub(crate) frozen: Duration,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) kills: usize,
    pub(crate) writes: u64,
    /// While a leader served, and how long that was.
    pub(crate) quiet_writes: u64,
    pub(crate) quiet: Duration,
    pub(crate) reconnects: u64,
    pub(crate) events: u64,
    pub(crate) violations: Vec<String>,
}

impl Outcome {
    pub(crate) fn quiet_rate(&self) -> f64 {
        self.quiet_writes as f64 / self.quiet.as_secs_f64()
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.kills += other.kills;
        self.writes += other.writes;
        self.quiet_writes += other.quiet_writes;
        self.quiet += other.quiet;
        self.reconnects += other.reconnects;
        self.events += other.events;
        self.violations.extend(other.violations);
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills, writes, reconnects, events, .. } = self;
        let rate = self.quiet_rate();
        write!(
            f,
            "{kills} faults: {writes} writes acknowledged ({rate:.0}/s between them), \
             {reconnects} reconnects, {events} events"
        )
    }
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(POLL);
    }
}

/// The sessions at work.
struct Load {
    stop: Arc<AtomicBool>,
    counts: Vec<Arc<AtomicU64>>,
    threads: Vec<JoinHandle<History>>,
}

impl Load {
    fn start(sessions: usize, servers: &[SocketAddr]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let counts: Vec<Arc<AtomicU64>> = (0..sessions).map(|_| Arc::default()).collect();
        // All registers are there before anybody looks at its neighbour's.
        let opened: Vec<Session> =
            (0..sessions).map(|at| Session::open(at, sessions, servers.to_vec())).collect();
        let threads = opened
            .into_iter()
            .zip(&counts)
            .map(|(session, count)| {
                let (stop, count) = (Arc::clone(&stop), Arc::clone(count));
                std::thread::spawn(move || session.run(&stop, &count))
            })
            .collect();
        Self { stop, counts, threads }
    }

    fn counted(&self) -> Vec<u64> {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }

    fn total(&self) -> u64 {
        self.counted().iter().sum()
    }

    /// Whether no session has seen what must not be.
    fn is_content(&self) -> bool {
        self.threads.iter().all(|thread| !thread.is_finished())
    }

    /// Waits until each session has written so much more, or one has seen what must not be.
    fn wait_for_writes(&self, each: u64) {
        let before = self.counted();
        eventually("every session writes", || {
            !self.is_content()
                || self.counted().iter().zip(&before).all(|(now, before)| before + each <= *now)
        });
    }

    /// Waits until so much more is acknowledged on average, but not longer than `most`.
    fn wait_for_acknowledgements(&self, each: u64, most: Duration) {
        let (deadline, wanted) =
            (Instant::now() + most, self.total() + each * self.threads.len() as u64);
        while self.total() < wanted && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
    }

    fn end(self) -> Vec<History> {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().map(|thread| thread.join().expect("it did not panic")).collect()
    }
}

pub(crate) fn run(plan: &Plan<'_>) -> Outcome {
    let config = ServerConfig::new().set("maxSessionTimeout", SESSION_MS);
    let config = config.binary(plan.build).env("ROOKEEPER_PLANTED_BUG", plan.mistake);
    let mut ensemble = Ensemble::of(Flavour::Rookeeper, 3, &config).expect("three servers");
    let servers: Vec<SocketAddr> = ensemble.servers.iter().map(|server| server.addr()).collect();
    let mut client = Client::connect(servers[0], SESSION_MS).expect("a session");
    for path in ["/seq", "/e"] {
        assert_eq!(client.create(path, b"", 0).expect("a reply").error, 0);
    }
    client.close().expect("closed");
    let mut abandoned = Client::connect(servers[0], ABANDONED_MS).expect("a session");
    assert_eq!(abandoned.create("/e/abandoned", b"", EPHEMERAL).expect("a reply").error, 0);
    drop(abandoned);

    let mut outcome = Outcome::default();
    let load = Load::start(plan.sessions, &servers);
    for (round, &fault) in plan.faults.iter().cycle().take(plan.kills).enumerate() {
        // Everybody is back.
        load.wait_for_writes(1);
        let (before, began) = (load.total(), Instant::now());
        load.wait_for_writes(WRITES_BETWEEN);
        if !load.is_content() {
            break;
        }
        outcome.quiet += began.elapsed();
        outcome.quiet_writes += load.total() - before;
        let leader = ensemble.wait_for_leader().expect("a leader");
        let killed = Instant::now();
        cause(fault, &mut ensemble, leader, &load, plan.frozen);
        outcome.kills += 1;
        println!("round {round}: {} led; {fault:?}, over after {:?}", leader + 1, killed.elapsed());
    }
    load.wait_for_writes(WRITES_BETWEEN);
    outcome.writes = load.total();
    let histories = load.end();
    outcome.reconnects = histories.iter().map(|history| history.reconnects).sum();
    outcome.events = histories.iter().map(|history| history.events).sum();
    judge(&histories, &servers, &mut outcome);
    outcome
}

/// Does it, until there is a leader again and all servers serve.
fn cause(fault: Fault, ensemble: &mut Ensemble, leader: usize, load: &Load, frozen: Duration) {
    let servers = &mut ensemble.servers;
    match fault {
        Fault::Kill => {
            servers[leader].kill();
            eventually("another leads", || ensemble.leader().is_some_and(|at| at != leader));
            ensemble.servers[leader].launch().expect("a process");
        }
        Fault::Restart => {
            servers[leader].kill();
            servers[leader].launch().expect("a process");
        }
        Fault::Desert => {
            let followers = [(leader + 1) % 3, (leader + 2) % 3];
            followers.iter().for_each(|&at| servers[at].pause());
            load.wait_for_acknowledgements(ALONE_EACH, frozen);
            servers[leader].kill();
            followers.iter().for_each(|&at| servers[at].kill());
            followers.iter().for_each(|&at| servers[at].launch().expect("a process"));
            eventually("one of the others leads", || ensemble.leader().is_some());
            ensemble.servers[leader].launch().expect("a process");
        }
        Fault::Upgrade => {
            for at in [(leader + 1) % 3, (leader + 2) % 3, leader] {
                let status = servers[at].stop();
                assert!(status.is_some_and(|status| status.success()), "{status:?}");
                servers[at].reconfigure(|config| config.binary(None)).expect("zoo.cfg");
                servers[at].launch().expect("a process");
                servers[at].wait_until_serving().expect("it serves again");
                load.wait_for_writes(WRITES_BETWEEN);
            }
        }
    }
    for server in &mut ensemble.servers {
        server.wait_until_serving().expect("it serves again");
    }
}

/// What one server shows after a sync.
fn look(address: SocketAddr, sessions: usize) -> Final {
    let mut client = Client::connect(address, SESSION_MS).expect("a session");
    client.sync().expect("a sync");
    let mut end = Final::default();
    let mut children = |path| client.children(path, false).expect("children").into_iter();
    end.sequential = children("/seq").collect();
    end.ephemerals = children("/e").collect();
    for at in 0..sessions {
        let value = client.get(&register(at), false).expect("data").unwrap_or_default();
        end.registers.push(String::from_utf8_lossy(&value).parse().expect("a number"));
    }
    client.close().expect("closed");
    end
}

/// Holds the histories against what each server shows, and the servers against each other.
fn judge(histories: &[History], servers: &[SocketAddr], outcome: &mut Outcome) {
    // Who closed its session waited for that; who abandoned it did not.
    let mut client = Client::connect(servers[0], SESSION_MS).expect("a session");
    eventually("an abandoned session ends", || {
        !client.exists("/e/abandoned", false).expect("an answer")
    });
    client.close().expect("closed");
    let ends: Vec<Final> = servers.iter().map(|&address| look(address, histories.len())).collect();
    for (at, end) in ends.iter().enumerate() {
        if *end != ends[0] {
            outcome
                .violations
                .push(format!("server {} shows something else than server 1", at + 1));
        }
        let wrong = check(histories, end);
        outcome.violations.extend(wrong.iter().map(|text| format!("server {}: {text}", at + 1)));
    }
}
