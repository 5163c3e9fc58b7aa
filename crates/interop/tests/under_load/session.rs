//! One session under load: it writes, reads what it and its neighbour wrote, watches both, and moves to
//! another server when its own is gone.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rookeeper_interop::client::{Client, Reply};
use rookeeper_interop::raw::{Connected, Reader};

use crate::history::History;

const PATIENCE: Duration = Duration::from_secs(180);
const ANSWER: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);
/// None of them ends because a machine is slow; some are not heard of while what they did is judged.
pub(crate) const SESSION_MS: i32 = 180_000;
const EPHEMERAL: i32 = 1;
const SEQUENTIAL: i32 = 2;
const DATA_CHANGED: i32 = 3;

type Result<T> = rookeeper_interop::Result<T>;

pub(crate) fn register(at: usize) -> String {
    format!("/register-{at}")
}

pub(crate) struct Session {
    at: usize,
    neighbour: usize,
    servers: Vec<SocketAddr>,
    server: usize,
    client: Option<Client>,
    connected: Connected,
    last_zxid: i64,
    /// Paths of events received and not accounted for.
    events: BTreeSet<String>,
    /// The neighbour's value when it was last read and watched, on any connection and on this one.
    seen: u64,
    watched: Option<u64>,
    history: History,
}

impl Session {
    pub(crate) fn open(at: usize, sessions: usize, servers: Vec<SocketAddr>) -> Self {
        let server = at % servers.len();
        let mut client = Client::connect(servers[server], SESSION_MS).expect("a session");
        client.set_timeout(ANSWER).expect("a socket");
        let path = register(at);
        assert_eq!(client.create(&path, b"0", 0).expect("a reply").error, 0, "{path}");
        Self {
            at,
            neighbour: (at + 1) % sessions,
            servers,
            server,
            connected: client.session().clone(),
            last_zxid: client.last_zxid(),
            client: Some(client),
            events: BTreeSet::new(),
            seen: 0,
            watched: None,
            history: History::default(),
        }
    }

    fn wrong(&mut self, text: impl Into<String>) {
        self.history.violations.push(text.into());
    }

    /// Until it is told to stop, or has seen what must not be. Every other session closes in the end; the
    /// others are left alive, their ephemerals with them.
    pub(crate) fn run(mut self, stop: &AtomicBool, count: &AtomicU64) -> History {
        let mut number = 0;
        while !stop.load(Ordering::Relaxed) && self.history.violations.is_empty() {
            number += 1;
            self.try_to(|session, client| session.step(client, number, count));
        }
        if self.at.is_multiple_of(2) {
            self.close();
        }
        self.history
    }

    /// Until a server says that the session is closed: in answer, or when it is to be resumed.
    fn close(&mut self) {
        let (mut was_asked, deadline) = (false, Instant::now() + PATIENCE);
        while !self.history.is_closed && self.history.violations.is_empty() {
            if Instant::now() > deadline {
                self.wrong(format!("it is not closed within {PATIENCE:?}"));
            }
            match self.client.take() {
                Some(mut client) => {
                    was_asked = true;
                    self.history.is_closed = client.end().is_ok();
                }
                None => match self.resume() {
                    Resumed::Not if was_asked => self.history.is_closed = true,
                    resumed => self.go_on(resumed),
                },
            }
        }
    }

    fn try_to(&mut self, act: impl FnOnce(&mut Self, &mut Client) -> Result<()>) {
        let Some(mut client) = self.client.take() else { return self.reconnect() };
        if act(self, &mut client).is_ok() {
            self.client = Some(client);
        } else {
            self.reconnect();
        }
    }

    fn step(&mut self, client: &mut Client, number: u64, count: &AtomicU64) -> Result<()> {
        self.name_something(client, number)?;
        self.set_register(client)?;
        self.look_at_neighbour(client)?;
        self.replace_ephemeral(client, number)?;
        count.fetch_add(WRITES_IN_STEP, Ordering::Relaxed);
        Ok(())
    }

    fn name_something(&mut self, client: &mut Client, number: u64) -> Result<()> {
        let path = format!("/seq/{}:{number}:", self.at);
        let reply = client.create(&path, b"", SEQUENTIAL)?;
        if self.accept("create", &reply) {
            let path = Reader::new(&reply.body).str().unwrap_or_default().to_owned();
            self.history.named.push(path.replacen("/seq/", "", 1));
        }
        Ok(())
    }

    fn set_register(&mut self, client: &mut Client) -> Result<()> {
        let path = register(self.at);
        let read = self.read(client, self.at)?;
        if read < self.history.register || self.history.attempted < read {
            let (low, high) = (self.history.register, self.history.attempted);
            self.wrong(format!("read {read}, not between {low} and {high}"));
        }
        self.history.attempted += 1;
        let value = self.history.attempted;
        let reply = client.set(&path, value.to_string().as_bytes(), -1)?;
        if self.accept("set", &reply) {
            self.history.register = value;
            // Received ahead of the reply, or not at all.
            self.events.extend(changes(client)?);
            if !self.events.remove(&path) {
                self.wrong(format!("no event before the reply to the set to {value}"));
            }
        }
        Ok(())
    }

    /// Watches tell of a change before it can be seen, and of nothing else; values never go back.
    fn look_at_neighbour(&mut self, client: &mut Client) -> Result<()> {
        let value = self.read(client, self.neighbour)?;
        let is_told = self.events.remove(&register(self.neighbour));
        self.history.events += u64::from(is_told);
        if value < self.seen {
            self.wrong(format!("the neighbour's {value} after {}", self.seen));
        }
        match self.watched {
            Some(before) if before != value && !is_told => {
                self.wrong(format!("saw {value} after {before} and no event of it"));
            }
            Some(before) if before == value && is_told => {
                self.wrong(format!("an event, and the value is {before} as before"));
            }
            _ => {}
        }
        (self.seen, self.watched) = (value, Some(value));
        Ok(())
    }

    /// A new ephemeral first, then the old one goes.
    fn replace_ephemeral(&mut self, client: &mut Client, number: u64) -> Result<()> {
        let old: Vec<String> = self.history.ephemerals.iter().cloned().collect();
        let name = format!("{}-{number}", self.at);
        self.history.unsure.insert(name.clone());
        let reply = client.create(&format!("/e/{name}"), b"", EPHEMERAL)?;
        self.history.unsure.remove(&name);
        if self.accept("create of an ephemeral", &reply) {
            self.history.ephemerals.insert(name);
        }
        for name in old {
            self.history.ephemerals.remove(&name);
            self.history.unsure.insert(name.clone());
            let reply = client.delete(&format!("/e/{name}"), -1)?;
            self.history.unsure.remove(&name);
            self.accept("delete of an own ephemeral", &reply);
        }
        Ok(())
    }

    /// Reads and watches a register.
    fn read(&mut self, client: &mut Client, at: usize) -> Result<u64> {
        let read = client.get(&register(at), true)?.unwrap_or_default();
        self.see(client.last_zxid(), false);
        self.events.extend(changes(client)?);
        Ok(String::from_utf8_lossy(&read).parse().unwrap_or(0))
    }

    fn accept(&mut self, what: &str, reply: &Reply) -> bool {
        if reply.error != 0 {
            self.wrong(format!("{what}: error {}", reply.error));
            return false;
        }
        self.see(reply.zxid, true);
        self.history.zxids.push(reply.zxid);
        true
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
        self.history.reconnects += 1;
        // Watches end with their connection.
        self.events.clear();
        self.watched = None;
        let resumed = self.resume();
        self.go_on(resumed);
    }

    fn go_on(&mut self, resumed: Resumed) {
        match resumed {
            Resumed::Here(client) => self.client = Some(*client),
            Resumed::Not => {
                let address = self.servers[self.server];
                self.wrong(format!("the session has expired, says {address}"));
            }
            Resumed::Nowhere => self.wrong(format!("no server within {PATIENCE:?}")),
        }
    }

    /// Takes the session to the next server that answers.
    fn resume(&mut self) -> Resumed {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            self.server = (self.server + 1) % self.servers.len();
            match Client::resume(self.servers[self.server], &self.connected, self.last_zxid) {
                Ok(Some(mut client)) => {
                    client.set_timeout(ANSWER).expect("a socket");
                    return Resumed::Here(Box::new(client));
                }
                Ok(None) => return Resumed::Not,
                Err(_) => std::thread::sleep(POLL),
            }
        }
        Resumed::Nowhere
    }
}

/// What became of a session that looked for another server.
enum Resumed {
    Here(Box<Client>),
    /// There is no such session.
    Not,
    Nowhere,
}

/// A sequential znode, the register, an ephemeral made and one deleted.
pub(crate) const WRITES_IN_STEP: u64 = 4;

/// Paths of the changes that watches told of up to now.
fn changes(client: &mut Client) -> Result<Vec<String>> {
    let events = client.events(0)?.into_iter();
    Ok(events.filter(|event| event.kind == DATA_CHANGED).map(|event| event.path).collect())
}
