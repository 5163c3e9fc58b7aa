//! An ensemble whose members are started, stopped and exchanged one by one.

use std::time::{Duration, Instant};

use rookeeper_interop::client::Client;
use rookeeper_interop::dump::{self, SUPER_DIGEST};
use rookeeper_interop::{Ensemble, Flavour, Member, Server, ServerConfig, fourletter, ports};

pub(crate) const PATIENCE: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(50);
const NO_NODE: i32 = -101;

/// Millis of one tick: short, so that expiry does not take long.
pub(crate) const TICK_MS: i32 = 1000;

pub(crate) fn config() -> ServerConfig {
    ServerConfig::new()
        .set("tickTime", TICK_MS)
        .set("initLimit", 20)
        .set("syncLimit", 10)
        .set("maxSessionTimeout", 60_000)
        .heap_mb(Some(256))
        .property(SUPER_DIGEST.0, SUPER_DIGEST.1)
        .property("zookeeper.extendedTypesEnabled", true)
        .property("znode.container.checkIntervalMs", 1000)
        // Keeps logs of Java small, so that it reads them for a learner that is behind.
        .property("zookeeper.preAllocSize", 64)
}

/// Waits until `is_so`.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(POLL);
    }
}

/// Makes the next read of this session show all that any client knows of, at any member.
///
/// By a write that fails, as `sync` does not do it at a leader of Java's: it waits there for nothing
/// (`matchSyncs` is false in the `CommitProcessor` of a leader), and Java tells learners of a commit before
/// it applies it itself, so a quick learner's client knows of writes that the leader does not show yet.
pub(crate) fn catch_up(client: &mut Client) {
    assert_eq!(client.delete("/nobody-makes-this", -1).expect("a reply").error, NO_NODE);
}

/// Members by index; the id of a member is its index plus one.
pub(crate) struct Cluster {
    ensemble: Ensemble,
    has_observer_masters: bool,
}

impl Cluster {
    /// Prepares members with these flavours; the last ones observe.
    pub(crate) fn prepare(voters: &[Flavour], observers: &[Flavour]) -> Self {
        let members = members(voters, observers);
        let ensemble = Ensemble::prepare(&members, &config()).expect("folders and ports");
        Self { ensemble, has_observer_masters: false }
    }

    /// Starts all; the observers learn from followers.
    pub(crate) fn start_with_observer_masters(voters: &[Flavour], observers: &[Flavour]) -> Self {
        let port = ports::free(1).expect("a port")[0];
        let config = config().set("observerMasterPort", port);
        let ensemble = Ensemble::prepare_apart(&members(voters, observers), &config);
        let ensemble = ensemble.expect("folders and ports");
        let mut cluster = Self { ensemble, has_observer_masters: true };
        cluster.launch_all();
        cluster
    }

    /// Whether a leader sees one learner behind which there are several members.
    pub(crate) fn has_observer_masters(&self) -> bool {
        self.has_observer_masters
    }

    /// Starts all and waits until all serve.
    pub(crate) fn start(voters: &[Flavour], observers: &[Flavour]) -> Self {
        let mut cluster = Self::prepare(voters, observers);
        cluster.launch_all();
        cluster
    }

    fn launch_all(&mut self) {
        let all: Vec<usize> = (0..self.len()).collect();
        self.launch(&all);
    }

    pub(crate) fn len(&self) -> usize {
        self.ensemble.servers.len()
    }

    pub(crate) fn server(&self, at: usize) -> &Server {
        &self.ensemble.servers[at]
    }

    pub(crate) fn server_mut(&mut self, at: usize) -> &mut Server {
        &mut self.ensemble.servers[at]
    }

    /// Starts these at once and waits until they serve.
    pub(crate) fn launch(&mut self, which: &[usize]) {
        for &at in which {
            self.server_mut(at).launch().expect("a process");
        }
        for &at in which {
            self.server_mut(at).wait_until_serving().expect("a serving member");
        }
    }

    pub(crate) fn stop(&mut self, at: usize) {
        self.server_mut(at).stop();
    }

    pub(crate) fn leader(&self) -> Option<usize> {
        self.ensemble.leader()
    }

    pub(crate) fn wait_for_leader(&self) -> usize {
        self.ensemble.wait_for_leader().expect("a leader")
    }

    pub(crate) fn assert_leader(&self, at: usize) {
        assert_eq!(self.wait_for_leader(), at, "who leads");
    }

    pub(crate) fn connect_string(&self) -> String {
        self.ensemble.connect_string()
    }

    pub(crate) fn client(&self, at: usize) -> Client {
        Client::connect(self.server(at).addr(), 50_000).expect("a session")
    }

    /// What a member's log says beyond `from` bytes.
    pub(crate) fn log_since(&self, at: usize, from: usize) -> String {
        let bytes = std::fs::read(self.server(at).log()).unwrap_or_default();
        String::from_utf8_lossy(bytes.get(from..).unwrap_or_default()).into_owned()
    }

    pub(crate) fn log_length(&self, at: usize) -> usize {
        std::fs::metadata(self.server(at).log()).map_or(0, |metadata| metadata.len() as usize)
    }

    /// Every member shows the same tree, once it has caught up.
    pub(crate) fn assert_equal_trees(&self) -> usize {
        let running: Vec<usize> =
            (0..self.len()).filter(|&at| self.server(at).pid().is_some()).collect();
        let dumps: Vec<String> = running
            .iter()
            .map(|&at| {
                let mut client = self.client(at);
                catch_up(&mut client);
                let dump = dump::client(self.server(at).addr()).expect("a tree");
                client.close().expect("a closed session");
                dump
            })
            .collect();
        for (at, dump) in running.iter().zip(&dumps) {
            let mut lines = dumps[0].lines().zip(dump.lines());
            let first = lines.find(|(expected, got)| expected != got);
            assert!(
                dumps[0] == *dump,
                "the tree of member {at} differs from that of {}: {first:#?} ({} and {} lines)",
                running[0],
                dumps[0].lines().count(),
                dump.lines().count(),
            );
        }
        dumps[0].lines().count()
    }

    /// No digest ever differed, on any member, as far as its log or its figures tell.
    pub(crate) fn assert_equal_digests(&self) {
        for at in 0..self.len() {
            let log = self.log_since(at, 0);
            let complaint = log.lines().find(|line| {
                let line = line.to_lowercase();
                line.contains("digests are not matching") || line.contains("digest mismatch")
            });
            assert_eq!(complaint, None, "member {at}");
            if self.server(at).pid().is_none() {
                continue;
            }
            // A member that is electing has no figures to tell.
            let mut figures = String::new();
            eventually("the member serves", || {
                figures = fourletter::ask(self.server(at).addr(), "mntr").unwrap_or_default();
                figures.contains("zk_server_state")
            });
            let count = figures.lines().find(|line| line.starts_with("zk_digest_mismatches_count"));
            assert!(
                count.is_some_and(|line| line.ends_with("\t0")),
                "member {at}: {count:?} in {figures}"
            );
        }
    }
}

fn members(voters: &[Flavour], observers: &[Flavour]) -> Vec<Member> {
    let observers = observers.iter().map(|&flavour| Member { flavour, observer: true });
    voters.iter().map(|&flavour| flavour.into()).chain(observers).collect()
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() || std::env::var_os("ROOKEEPER_KEEP").is_some() {
            for server in &mut self.ensemble.servers {
                eprintln!("{} ({:?}):", server.flavour(), server.addr());
                server.keep_folder();
            }
        }
    }
}
