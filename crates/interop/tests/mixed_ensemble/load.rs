//! A client under load that keeps its session through restarts of servers, and remembers which writes
//! were acknowledged, so that they can be asked for afterwards.
//!
//! Each client has a register, which it counts up, and a folder of znodes, one per write. A write whose
//! answer never came may or may not have happened; the client finds out and goes on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rookeeper_interop::client::Client;
use rookeeper_interop::raw::Connected;

use crate::cluster::catch_up;

const ANSWER: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(180);
/// A gap worth a line.
const LONG: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);
const EPHEMERAL: i32 = 1;

/// What a client did and learnt.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// The last acknowledged value of the register.
    pub(crate) register: u64,
    /// Sequence numbers of acknowledged znodes.
    pub(crate) created: Vec<u64>,
    /// How often it had to look for another server.
    pub(crate) reconnects: u64,
    /// Longest time from one acknowledged write to the next.
    pub(crate) longest_gap: Duration,
    /// What must never happen.
    pub(crate) violations: Vec<String>,
}

/// A running client.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    thread: JoinHandle<History>,
}

struct Worker {
    name: String,
    servers: Vec<SocketAddr>,
    at: usize,
    client: Option<Client>,
    session: Connected,
    last_zxid: i64,
    history: History,
}

impl Load {
    /// Starts a client with a session of its own on one of the servers.
    pub(crate) fn start(name: &str, servers: Vec<SocketAddr>, timeout_ms: i32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::new(AtomicU64::new(0));
        let (is_over, count) = (Arc::clone(&stop), Arc::clone(&acknowledged));
        let name = name.to_owned();
        let thread = std::thread::spawn(move || {
            let at = name.len() % servers.len();
            let mut client = Client::connect(servers[at], timeout_ms).expect("a session");
            client.set_timeout(ANSWER).expect("a socket");
            for path in [format!("/{name}"), format!("/{name}-all")] {
                assert_eq!(client.create(&path, b"0", 0).expect("a reply").error, 0, "{path}");
            }
            let session_node = format!("/{name}-alive");
            let created = client.create(&session_node, b"", EPHEMERAL).expect("a reply");
            assert_eq!(created.error, 0, "{session_node}");
            let session = client.session().clone();
            let client = Some(client);
            let history = History::default();
            let mut worker = Worker { name, servers, at, client, session, last_zxid: 0, history };
            worker.run(&is_over, &count);
            worker.history
        });
        Self { stop, acknowledged, thread }
    }

    /// How many writes were acknowledged so far.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Ends it.
    pub(crate) fn finish(self) -> History {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the client did not panic")
    }
}

impl Worker {
    fn run(&mut self, stop: &AtomicBool, count: &AtomicU64) {
        let mut next = 1;
        let mut last_ack = Instant::now();
        while !stop.load(Ordering::Relaxed) && self.history.violations.is_empty() {
            if self.client.is_none() && !self.reconnect() {
                return;
            }
            match self.step(next) {
                Ok(()) => {
                    next += 1;
                    count.fetch_add(2, Ordering::Relaxed);
                    let gap = last_ack.elapsed();
                    if gap > LONG {
                        println!("{}: nothing acknowledged for {gap:?} before {next}", self.name);
                    }
                    self.history.longest_gap = self.history.longest_gap.max(gap);
                    last_ack = Instant::now();
                }
                Err(_) => {
                    self.history.reconnects += 1;
                    self.client = None;
                }
            }
        }
        self.look_back();
    }

    /// One create and one set; both with their effect known afterwards.
    fn step(&mut self, number: u64) -> rookeeper_interop::Result<()> {
        let client = self.client.as_mut().expect("connected");
        let (register, all) = (format!("/{}", self.name), format!("/{}-all", self.name));
        let reply = client.create(&format!("{all}/{number}"), b"", 0)?;
        // It may exist from an attempt whose answer was lost.
        if ![0, -110].contains(&reply.error) {
            self.history.violations.push(format!("create {number}: {}", reply.error));
        }
        self.history.created.push(number);
        let reply = client.set(&register, number.to_string().as_bytes(), -1)?;
        if reply.error != 0 {
            self.history.violations.push(format!("set to {number}: {}", reply.error));
        }
        self.history.register = number;
        self.last_zxid = client.last_zxid();
        if number.is_multiple_of(8) {
            // What a session wrote, it reads.
            let read = client.get(&register, false)?.unwrap_or_default();
            if read != number.to_string().as_bytes() {
                let read = String::from_utf8_lossy(&read);
                self.history.violations.push(format!("wrote {number}, read {read}"));
            }
        }
        Ok(())
    }

    /// Takes the session to the next server that has it. False if it has expired.
    fn reconnect(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            self.at = (self.at + 1) % self.servers.len();
            match Client::resume(self.servers[self.at], &self.session, self.last_zxid) {
                Ok(Some(mut client)) => {
                    client.set_timeout(ANSWER).expect("a socket");
                    self.client = Some(client);
                    return true;
                }
                Ok(None) => {
                    let at = self.servers[self.at];
                    self.history.violations.push(format!("the session has expired, says {at}"));
                    return false;
                }
                Err(_) => std::thread::sleep(PAUSE),
            }
        }
        self.history.violations.push(format!("no server within {PATIENCE:?}"));
        false
    }

    /// Everything acknowledged is there.
    fn look_back(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if self.client.is_none() && !self.reconnect() {
                return;
            }
            match self.missing() {
                Ok(missing) => {
                    self.history.violations.extend(missing);
                    // Or its ephemeral would go later, while others compare trees.
                    let closed = self.client.take().map_or(Ok(()), Client::close);
                    return closed.unwrap_or_else(|error| {
                        self.history.violations.push(format!("closing: {error}"));
                    });
                }
                Err(error) if Instant::now() > deadline => {
                    return self.history.violations.push(format!("looking back: {error}"));
                }
                Err(_) => self.client = None,
            }
        }
    }

    fn missing(&mut self) -> rookeeper_interop::Result<Vec<String>> {
        let client = self.client.as_mut().expect("connected");
        catch_up(client);
        let mut missing = Vec::new();
        let children = client.children(&format!("/{}-all", self.name), false)?;
        let children: std::collections::BTreeSet<String> = children.into_iter().collect();
        for number in &self.history.created {
            if !children.contains(&number.to_string()) {
                missing.push(format!("the acknowledged znode {number} is lost"));
            }
        }
        let read = client.get(&format!("/{}", self.name), false)?.unwrap_or_default();
        let read: u64 = String::from_utf8_lossy(&read).parse().unwrap_or(0);
        if read < self.history.register {
            missing.push(format!("the register is {read}, was {}", self.history.register));
        }
        if !client.exists(&format!("/{}-alive", self.name), false)? {
            missing.push("the ephemeral of a live session is gone".to_owned());
        }
        Ok(missing)
    }
}

/// Ends all and fails if any saw what must not happen.
pub(crate) fn finish_all(loads: Vec<Load>) {
    let histories: Vec<History> = loads.into_iter().map(Load::finish).collect();
    for (at, history) in histories.iter().enumerate() {
        println!(
            "client {at}: {} writes acknowledged, {} reconnects, longest gap {:?}",
            2 * history.register,
            history.reconnects,
            history.longest_gap
        );
    }
    let violations: Vec<&String> = histories.iter().flat_map(|h| &h.violations).collect();
    assert!(violations.is_empty(), "{violations:#?}");
    assert!(histories.iter().all(|history| history.register > 0), "everyone wrote something");
}
