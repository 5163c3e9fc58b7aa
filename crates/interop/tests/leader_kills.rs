//! Leaders of three real processes are killed (SIGKILL) while fifty sessions write, and what every
//! client saw is held against what is there in the end.
//!
//! `ROOKEEPER_LEADER_KILLS` is the number of kills (5), `ROOKEEPER_LEADER_KILLS_SESSIONS` that of
//! sessions (50). The checker itself is shown to find each kind of mistake in a doctored history.
//!
//! What is checked: acknowledged writes survive; a session reads its own writes, in order; zxids of a
//! session's replies never go back, and no two writes share one; sequential names are given once; an
//! ephemeral lives as long as its session; a watch fires before the reply of the write that fired it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rookeeper_interop::client::Client;
use rookeeper_interop::raw::{Connected, Reader};
use rookeeper_interop::{Ensemble, Flavour, ServerConfig};

const PATIENCE: Duration = Duration::from_secs(60);
const ANSWER: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);
const SESSION_MS: i32 = 30_000;
const EPHEMERAL: i32 = 1;
const SEQUENTIAL: i32 = 2;
const WRITES_BETWEEN: u64 = 40;

fn from_env(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What one session did and saw.
#[derive(Clone, Debug, Default)]
struct History {
    /// Sequential znodes: the name each acknowledged attempt was given, and its zxid.
    named: Vec<(String, String, i64)>,
    /// Zxids of acknowledged sets of the register.
    sets: Vec<i64>,
    /// The last acknowledged and the last attempted value of the register.
    register: u64,
    attempted: u64,
    reconnects: u64,
    violations: Vec<String>,
}

/// What is there in the end.
#[derive(Clone, Debug, Default)]
struct Final {
    /// Sequential znodes: name and the attempt that made it.
    sequential: BTreeMap<String, String>,
    /// Registers by session.
    registers: Vec<u64>,
    /// Sessions whose ephemeral is there.
    ephemerals: BTreeSet<usize>,
}

/// Everything wrong with the histories.
fn check(histories: &[History], end: &Final) -> Vec<String> {
    let mut wrong: Vec<String> = Vec::new();
    let mut zxids: BTreeMap<i64, usize> = BTreeMap::new();
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    for (at, history) in histories.iter().enumerate() {
        wrong.extend(history.violations.iter().map(|text| format!("session {at}: {text}")));
        let all =
            history.named.iter().map(|(_, _, zxid)| *zxid).chain(history.sets.iter().copied());
        for zxid in all {
            if zxids.insert(zxid, at).is_some() {
                wrong.push(format!("two acknowledged writes have the zxid 0x{zxid:x}"));
            }
        }
        for (attempt, name, _) in &history.named {
            if let Some(other) = names.insert(name, attempt) {
                wrong.push(format!("{name} was given to {other} and to {attempt}"));
            }
            match end.sequential.get(name) {
                None => wrong.push(format!("{name} of {attempt} was acknowledged and is lost")),
                Some(found) if found != attempt => {
                    wrong.push(format!("{name} was given to {attempt} and holds {found}"));
                }
                Some(_) => {}
            }
        }
        let found = end.registers.get(at).copied().unwrap_or(0);
        if found < history.register || history.attempted < found {
            let (low, high) = (history.register, history.attempted);
            wrong.push(format!("register {at} is {found}, not between {low} and {high}"));
        }
        if !end.ephemerals.contains(&at) {
            wrong.push(format!("session {at} lives and its ephemeral is gone"));
        }
    }
    let mut makers: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, attempt) in &end.sequential {
        if let Some(other) = makers.insert(attempt, name) {
            wrong.push(format!("attempt {attempt} made both {other} and {name}"));
        }
    }
    wrong
}

struct Session {
    at: usize,
    servers: Vec<SocketAddr>,
    server: usize,
    client: Option<Client>,
    connected: Connected,
    last_zxid: i64,
    history: History,
}

impl Session {
    fn open(at: usize, servers: Vec<SocketAddr>) -> Self {
        let server = at % servers.len();
        let mut client = Client::connect(servers[server], SESSION_MS).expect("a session");
        client.set_timeout(ANSWER).expect("a socket");
        for (path, flags) in [(register(at), 0), (ephemeral(at), EPHEMERAL)] {
            assert_eq!(client.create(&path, b"0", flags).expect("a reply").error, 0, "{path}");
        }
        let (connected, last_zxid) = (client.session().clone(), client.last_zxid());
        let history = History::default();
        Self { at, servers, server, client: Some(client), connected, last_zxid, history }
    }

    fn wrong(&mut self, text: impl Into<String>) {
        self.history.violations.push(text.into());
    }

    fn run(mut self, stop: &AtomicBool, count: &AtomicU64) -> History {
        let mut number = 0;
        while !stop.load(Ordering::Relaxed) && self.history.violations.is_empty() {
            number += 1;
            if self.step(number, count).is_err() {
                self.history.reconnects += 1;
                self.client = None;
                self.reconnect();
            }
        }
        // Its ephemeral must outlive this thread until everything was looked at.
        self.history
    }

    fn step(&mut self, number: u64, count: &AtomicU64) -> rookeeper_interop::Result<()> {
        let Some(mut client) = self.client.take() else { return Ok(()) };
        let attempt = format!("{}:{number}", self.at);
        let reply = client.create("/seq/s-", attempt.as_bytes(), SEQUENTIAL)?;
        if reply.error == 0 {
            let name = Reader::new(&reply.body).str().unwrap_or_default().to_owned();
            self.see(reply.zxid, true);
            self.history.named.push((attempt, name, reply.zxid));
            count.fetch_add(1, Ordering::Relaxed);
        } else {
            self.wrong(format!("create: {}", reply.error));
        }
        let path = register(self.at);
        let read = client.get(&path, true)?.unwrap_or_default();
        let read: u64 = String::from_utf8_lossy(&read).parse().unwrap_or(0);
        if read < self.history.register || self.history.attempted < read {
            let (low, high) = (self.history.register, self.history.attempted);
            self.wrong(format!("read {read}, not between {low} and {high}"));
        }
        self.see(client.last_zxid(), false);
        self.history.attempted += 1;
        let value = self.history.attempted;
        let reply = client.set(&path, value.to_string().as_bytes(), -1)?;
        if reply.error == 0 {
            self.history.register = value;
            self.see(reply.zxid, true);
            self.history.sets.push(reply.zxid);
            count.fetch_add(1, Ordering::Relaxed);
            // Received ahead of the reply, or not at all.
            let events = client.events(0)?;
            if !events.iter().any(|event| event.kind == 3 && event.path == path) {
                self.wrong(format!("no event before the reply to the set to {value}: {events:?}"));
            }
        } else {
            self.wrong(format!("set: {}", reply.error));
        }
        self.client = Some(client);
        Ok(())
    }

    /// Replies of a session show a state that never goes back; its writes go on.
    fn see(&mut self, zxid: i64, is_write: bool) {
        if zxid < self.last_zxid || is_write && zxid == self.last_zxid {
            let last = self.last_zxid;
            self.wrong(format!("zxid 0x{zxid:x} after 0x{last:x}"));
        }
        self.last_zxid = self.last_zxid.max(zxid);
    }

    fn reconnect(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            self.server = (self.server + 1) % self.servers.len();
            let address = self.servers[self.server];
            match Client::resume(address, &self.connected, self.last_zxid) {
                Ok(Some(mut client)) => {
                    client.set_timeout(ANSWER).expect("a socket");
                    self.client = Some(client);
                    return;
                }
                Ok(None) => return self.wrong(format!("the session has expired, says {address}")),
                Err(_) => std::thread::sleep(POLL),
            }
        }
        self.wrong(format!("no server within {PATIENCE:?}"));
    }
}

fn register(at: usize) -> String {
    format!("/register-{at}")
}

fn ephemeral(at: usize) -> String {
    format!("/alive-{at}")
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(POLL);
    }
}

/// What one server shows after a sync.
fn look(address: SocketAddr, sessions: usize) -> Final {
    let mut client = Client::connect(address, SESSION_MS).expect("a session");
    client.sync().expect("a sync");
    let mut end = Final::default();
    let text = |data: Option<Vec<u8>>| String::from_utf8(data.unwrap_or_default()).expect("text");
    for name in client.children("/seq", false).expect("children") {
        let path = format!("/seq/{name}");
        let attempt = text(client.get(&path, false).expect("data"));
        end.sequential.insert(path, attempt);
    }
    for at in 0..sessions {
        let value = text(client.get(&register(at), false).expect("data"));
        end.registers.push(value.parse().expect("a number"));
        if client.exists(&ephemeral(at), false).expect("an answer") {
            end.ephemerals.insert(at);
        }
    }
    client.close().expect("closed");
    end
}

#[test]
fn leaders_are_killed_under_load() {
    let kills = from_env("ROOKEEPER_LEADER_KILLS", 5);
    let sessions = from_env("ROOKEEPER_LEADER_KILLS_SESSIONS", 50);
    let config = ServerConfig::new().set("maxSessionTimeout", 60_000);
    let mut ensemble = Ensemble::of(Flavour::Rookeeper, 3, &config).expect("three servers");
    let servers: Vec<SocketAddr> = ensemble.servers.iter().map(|server| server.addr()).collect();
    let mut client = Client::connect(servers[0], SESSION_MS).expect("a session");
    assert_eq!(client.create("/seq", b"", 0).expect("a reply").error, 0);
    client.close().expect("closed");

    let stop = Arc::new(AtomicBool::new(false));
    let counts: Vec<Arc<AtomicU64>> = (0..sessions).map(|_| Arc::default()).collect();
    let opened: Vec<Session> = (0..sessions).map(|at| Session::open(at, servers.clone())).collect();
    let started = Instant::now();
    let threads: Vec<_> = opened
        .into_iter()
        .zip(&counts)
        .map(|(session, count)| {
            let (stop, count) = (Arc::clone(&stop), Arc::clone(count));
            std::thread::spawn(move || session.run(&stop, &count))
        })
        .collect();
    let counted = || -> Vec<u64> { counts.iter().map(|c| c.load(Ordering::Relaxed)).collect() };
    for round in 0..kills {
        let before = counted();
        let alive = || threads.iter().filter(|thread| !thread.is_finished()).count();
        eventually("every session writes", || {
            assert_eq!(alive(), sessions, "a session saw what must not be");
            counted().iter().zip(&before).all(|(now, before)| before + WRITES_BETWEEN <= *now)
        });
        let leader = ensemble.wait_for_leader().expect("a leader");
        let killed = Instant::now();
        ensemble.servers[leader].kill();
        eventually("another leads", || ensemble.leader().is_some_and(|at| at != leader));
        println!("round {round}: {} led; another after {:?}", leader + 1, killed.elapsed());
        ensemble.servers[leader].launch().expect("a process");
        ensemble.servers[leader].wait_until_serving().expect("it serves again");
    }
    let before = counted();
    eventually("every session writes after the last kill", || {
        counted().iter().zip(&before).all(|(now, before)| before + WRITES_BETWEEN <= *now)
    });
    stop.store(true, Ordering::Relaxed);
    let histories: Vec<History> =
        threads.into_iter().map(|thread| thread.join().expect("it did not panic")).collect();
    let writes: u64 = counted().iter().sum();
    let seconds = started.elapsed().as_secs_f64();
    let reconnects: u64 = histories.iter().map(|history| history.reconnects).sum();
    println!(
        "{kills} kills, {sessions} sessions: {writes} writes acknowledged ({:.0}/s, elections \
         included), {reconnects} reconnects",
        writes as f64 / seconds
    );
    let ends: Vec<Final> = servers.iter().map(|&address| look(address, sessions)).collect();
    for (at, end) in ends.iter().enumerate() {
        assert_eq!(end.sequential, ends[0].sequential, "server {} differs", at + 1);
        let wrong = check(&histories, end);
        assert!(wrong.is_empty(), "server {}: {wrong:#?}", at + 1);
    }
}

/// A history in which nothing is wrong, and the state that belongs to it.
fn sound() -> (Vec<History>, Final) {
    let named = |at: u64, n: u64| {
        (format!("{at}:{n}"), format!("/seq/s-{:010}", 2 * n + at), (4 * n + 2 * at) as i64)
    };
    let histories: Vec<History> = (0..2)
        .map(|at| History {
            named: (1..4).map(|n| named(at, n)).collect(),
            sets: (1..4).map(|n| (4 * n + 2 * at + 1) as i64).collect(),
            register: 3,
            attempted: 4,
            ..History::default()
        })
        .collect();
    let all = histories.iter().flat_map(|history| &history.named);
    let sequential = all.map(|(attempt, name, _)| (name.clone(), attempt.clone())).collect();
    (histories, Final { sequential, registers: vec![3, 4], ephemerals: BTreeSet::from([0, 1]) })
}

#[test]
fn the_checker_is_silent_about_a_sound_history() {
    let (histories, end) = sound();
    assert_eq!(check(&histories, &end), Vec::<String>::new());
}

/// Among these is what an acknowledgement before the commit leaves behind: a lost write, or one whose
/// name and zxid a later leader gave out again.
#[test]
fn the_checker_finds_each_mistake() {
    let found = |doctor: &dyn Fn(&mut Vec<History>, &mut Final)| {
        let (mut histories, mut end) = sound();
        doctor(&mut histories, &mut end);
        check(&histories, &end).join("\n")
    };
    let lost = found(&|_, end| {
        end.sequential.pop_last();
    });
    assert!(lost.contains("was acknowledged and is lost"), "{lost}");
    let reused = found(&|histories, _| {
        let (_, name, zxid) = histories[0].named[2].clone();
        histories[1].named[0].1 = name;
        histories[1].named[0].2 = zxid;
    });
    assert!(reused.contains("was given to 0:3 and to 1:1"), "{reused}");
    assert!(reused.contains("two acknowledged writes have the zxid"), "{reused}");
    let overwritten = found(&|_, end| {
        end.sequential.values_mut().for_each(|attempt| *attempt += "x");
    });
    assert!(overwritten.contains("and holds"), "{overwritten}");
    let doubled = found(&|_, end| {
        end.sequential.insert("/seq/s-9".to_owned(), "0:1".to_owned());
    });
    assert!(doubled.contains("made both"), "{doubled}");
    let back = found(&|_, end| end.registers[0] = 2);
    assert!(back.contains("register 0 is 2"), "{back}");
    let never = found(&|_, end| end.registers[0] = 9);
    assert!(never.contains("register 0 is 9"), "{never}");
    let dead = found(&|_, end| {
        end.ephemerals.remove(&1);
    });
    assert!(dead.contains("its ephemeral is gone"), "{dead}");
}
