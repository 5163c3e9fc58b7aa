//! Load that knows what the server owes it: one client's writes, each recorded when it is sent and
//! when it is acknowledged, and what the client's part of the tree may look like after a crash.
//!
//! Guarantees: a client works below a znode of its own and the server answers one session in order,
//! so what survives must be a prefix of what was sent, no shorter than what was acknowledged: the
//! same znodes, data, versions and, where known, mzxids. Anything else is told apart as lost.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use crate::forgetful_disk::Dice;
use crate::raw::codes::op;
use crate::raw::{Acl, Connected, Frame, Malformed, RawConnection, Reader};
use crate::{HarnessError, Result};

/// Asked for; the server bounds it by 20 ticks.
const SESSION_TIMEOUT_MS: i32 = 40_000;
/// A session untouched for this long may have expired on a slow machine.
const SURELY_ALIVE: Duration = Duration::from_secs(15);
const NODES_MAX: usize = 24;
const WINDOW_MAX: usize = 16;
const NO_NODE: i32 = -101;

/// A znode as a client knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    data: Vec<u8>,
    version: i32,
    /// Unknown while its last write is not acknowledged.
    mzxid: Option<i64>,
}

type Nodes = BTreeMap<String, Node>;

#[derive(Clone, Debug)]
enum Write {
    Create(String, Vec<u8>),
    Set(String, Vec<u8>),
    Delete(String),
    /// Both or neither.
    Both(Box<Write>, Box<Write>),
}

impl Write {
    fn apply(&self, nodes: &mut Nodes, zxid: Option<i64>) {
        match self {
            Self::Create(path, data) => {
                let node = Node { data: data.clone(), version: 0, mzxid: zxid };
                nodes.insert(path.clone(), node);
            }
            Self::Set(path, data) => {
                if let Some(node) = nodes.get_mut(path) {
                    *node = Node { data: data.clone(), version: node.version + 1, mzxid: zxid };
                }
            }
            Self::Delete(path) => drop(nodes.remove(path)),
            Self::Both(first, second) => {
                first.apply(nodes, zxid);
                second.apply(nodes, zxid);
            }
        }
    }

    fn op(&self) -> i32 {
        match self {
            Self::Create(..) => op::CREATE,
            Self::Set(..) => op::SET_DATA,
            Self::Delete(_) => op::DELETE,
            Self::Both(..) => op::MULTI,
        }
    }

    fn body(&self, frame: Frame) -> Frame {
        match self {
            Self::Create(path, data) => frame.create(path, Some(data), &Acl::open(), 0),
            Self::Set(path, data) => frame.str(path).buffer(Some(data)).int(-1),
            Self::Delete(path) => frame.str(path).int(-1),
            Self::Both(first, second) => {
                let frame = first.body(frame.multi_op(first.op()));
                second.body(frame.multi_op(second.op())).multi_end()
            }
        }
    }
}

/// What the server owes a client, and what it may or may not have.
#[derive(Debug)]
pub struct Load {
    home: String,
    dice: Dice,
    count: u64,
    /// Everything acknowledged.
    owed: Nodes,
    /// Sent and not acknowledged, in order.
    open: VecDeque<Write>,
    session: Option<(Connected, Instant)>,
}

/// How a check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything acknowledged is there.
    Kept,
    /// The server went away meanwhile.
    Gone,
    /// What was acknowledged and is not there, in words.
    Lost(String),
}

/// A step of the conversation: what was wanted, or the end of the connection.
enum Heard<T> {
    Answer(T),
    Gone,
}

fn undecodable(why: Malformed) -> HarnessError {
    HarnessError::Undecodable { what: "a reply".to_owned(), why: why.to_string() }
}

/// A connection to a server that may die at any moment.
struct Line {
    connection: RawConnection,
    xid: i32,
}

impl Line {
    fn send(&mut self, code: i32, body: impl FnOnce(Frame) -> Frame) -> Result<()> {
        self.xid += 1;
        self.connection.send(&body(Frame::request(self.xid, code)).done())
    }

    /// The reply to the request `behind` behind the newest one: zxid, error, all of it.
    fn receive(&mut self, behind: usize) -> Result<Heard<(i64, i32, Vec<u8>)>> {
        let payload = match self.connection.receive() {
            Ok(Some(payload)) => payload,
            // Killed between replies or within one.
            Ok(None) | Err(HarnessError::Undecodable { .. }) => return Ok(Heard::Gone),
            Err(error) => return Err(error),
        };
        let mut reader = Reader::new(&payload);
        let mut header = || Ok((reader.int()?, reader.long()?, reader.int()?));
        let (xid, zxid, error) = header().map_err(undecodable)?;
        let wanted = self.xid - i32::try_from(behind).unwrap_or(i32::MAX);
        if xid != wanted {
            let what = format!("a reply to {xid} instead of {wanted}");
            return Err(HarnessError::Unexpected(what));
        }
        Ok(Heard::Answer((zxid, error, payload)))
    }
}

impl Load {
    /// A client that works below `/load<number>`.
    pub fn new(number: usize, dice: Dice) -> Self {
        let home = format!("/load{number}");
        let (owed, open) = (Nodes::new(), VecDeque::new());
        Self { home, dice, count: 0, owed, open, session: None }
    }

    /// How many znodes are owed.
    pub fn owed(&self) -> usize {
        self.owed.len()
    }

    /// Writes until the connection ends; each acknowledgement is told to `told`.
    pub fn run(&mut self, addr: SocketAddr, told: &Sender<()>) -> Result<()> {
        let Some(mut line) = self.connect(addr)? else { return Ok(()) };
        let mut next = self.owed.clone();
        let window = 1 + self.dice.below(WINDOW_MAX);
        loop {
            while self.open.len() < window {
                let write = self.invent(&next);
                write.apply(&mut next, None);
                // Recorded first: once it may be under way it may happen.
                self.open.push_back(write.clone());
                line.send(write.op(), |frame| write.body(frame))?;
            }
            let Heard::Answer((zxid, error, _)) = line.receive(self.open.len() - 1)? else {
                return Ok(());
            };
            let Some(write) = self.open.pop_front() else { return Ok(()) };
            if error != 0 {
                return Err(HarnessError::Unexpected(format!("{write:?} failed with {error}")));
            }
            write.apply(&mut self.owed, Some(zxid));
            if let Some((_, touched)) = &mut self.session {
                *touched = Instant::now();
            }
            // Whoever counts may have stopped counting.
            let _ = told.send(());
        }
    }

    /// The next write, which succeeds if all before it do.
    fn invent(&mut self, nodes: &Nodes) -> Write {
        if !nodes.contains_key(&self.home) {
            return Write::Create(self.home.clone(), Vec::new());
        }
        let any = |dice: &mut Dice| {
            let children: Vec<&String> = nodes.keys().filter(|path| **path != self.home).collect();
            children.get(dice.below(children.len())).map(|path| (*path).clone())
        };
        let (one, other) = (any(&mut self.dice), any(&mut self.dice));
        let mut value = || {
            self.count += 1;
            // Some span several sectors.
            let len = if self.dice.below(8) == 0 { 3000 } else { 20 + self.dice.below(200) };
            let mut data = format!("{}-{} ", self.home, self.count).into_bytes();
            data.resize(data.len().max(len), b'a' + (self.count % 26) as u8);
            data
        };
        let (first, second) = (value(), value());
        let fresh = format!("{}/{}", self.home, self.count);
        match (self.dice.below(10), one, other) {
            (0..2, Some(one), _) if nodes.len() > NODES_MAX / 2 => Write::Delete(one),
            (2, Some(one), _) if nodes.len() < NODES_MAX => {
                Write::Both(Write::Set(one, first).into(), Write::Create(fresh, second).into())
            }
            (3, Some(one), Some(other)) => {
                Write::Both(Write::Set(one, first).into(), Write::Set(other, second).into())
            }
            (4.., Some(one), _) => Write::Set(one, first),
            (_, Some(one), _) if nodes.len() >= NODES_MAX => Write::Set(one, first),
            _ => Write::Create(fresh, first),
        }
    }

    /// Takes up the session, or begins one. `None` when the server went away.
    fn connect(&mut self, addr: SocketAddr) -> Result<Option<Line>> {
        let Ok(mut connection) = RawConnection::open(addr) else { return Ok(None) };
        let (id, password) = match &self.session {
            Some((session, _)) => (session.session, session.password.clone()),
            None => (0, vec![0; 16]),
        };
        let request = Frame::connect(0, SESSION_TIMEOUT_MS, id, Some(&password), Some(false));
        let answer = match connection.handshake(&request) {
            Ok(Some(answer)) => answer,
            Ok(None) | Err(HarnessError::Undecodable { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        if answer.timeout_ms > 0 {
            self.session = Some((answer, Instant::now()));
            return Ok(Some(Line { connection, xid: 0 }));
        }
        match self.session.take() {
            Some((session, touched)) if touched.elapsed() < SURELY_ALIVE => {
                let what = format!("LOST: session {:#x} was acknowledged", session.session);
                Err(HarnessError::Unexpected(what))
            }
            Some(_) => self.connect(addr),
            None => Err(HarnessError::Unexpected("a new session was refused".to_owned())),
        }
    }

    /// Compares what the server has with what it owes. What it has is owed from then on.
    pub fn check(&mut self, addr: SocketAddr) -> Result<Verdict> {
        let Some(mut line) = self.connect(addr)? else { return Ok(Verdict::Gone) };
        let Some(found) = self.read(&mut line)? else { return Ok(Verdict::Gone) };
        let mut candidate = self.owed.clone();
        let mut open = self.open.iter();
        loop {
            if is_same(&candidate, &found) {
                self.owed = found;
                self.open.clear();
                return Ok(Verdict::Kept);
            }
            match open.next() {
                Some(write) => write.apply(&mut candidate, None),
                None => return Ok(Verdict::Lost(self.difference(&found))),
            }
        }
    }

    /// All znodes of this client.
    fn read(&self, line: &mut Line) -> Result<Option<Nodes>> {
        let mut nodes = Nodes::new();
        line.send(op::GET_CHILDREN, |frame| frame.str(&self.home).bool(false))?;
        let Heard::Answer((_, error, reply)) = line.receive(0)? else { return Ok(None) };
        if error == NO_NODE {
            return Ok(Some(nodes));
        }
        let mut paths = vec![self.home.clone()];
        let mut reader = body(&reply, error, "getChildren")?;
        for _ in 0..reader.count().map_err(undecodable)?.unwrap_or(0) {
            paths.push(format!("{}/{}", self.home, reader.str().map_err(undecodable)?));
        }
        for path in &paths {
            line.send(op::GET_DATA, |frame| frame.str(path).bool(false))?;
        }
        for (i, path) in paths.iter().enumerate() {
            let Heard::Answer((_, error, reply)) = line.receive(paths.len() - 1 - i)? else {
                return Ok(None);
            };
            let mut reader = body(&reply, error, "getData")?;
            let mut node = || {
                let data = reader.buffer()?.unwrap_or_default().to_vec();
                let (_czxid, mzxid) = (reader.long()?, reader.long()?);
                let (_ctime, _mtime) = (reader.long()?, reader.long()?);
                Ok(Node { data, version: reader.int()?, mzxid: Some(mzxid) })
            };
            nodes.insert(path.clone(), node().map_err(undecodable)?);
        }
        Ok(Some(nodes))
    }

    fn difference(&self, found: &Nodes) -> String {
        let mut lines = vec![format!(
            "below {}: no state between what was acknowledged and the {} writes behind it",
            self.home,
            self.open.len()
        )];
        let all: std::collections::BTreeSet<&String> =
            self.owed.keys().chain(found.keys()).collect();
        for path in all {
            let (owed, found) = (self.owed.get(path), found.get(path));
            if owed != found {
                let words = |node: Option<&Node>| match node {
                    None => "nothing".to_owned(),
                    Some(node) => {
                        let head = &node.data[..node.data.len().min(24)];
                        let head = String::from_utf8_lossy(head).into_owned();
                        format!("version {} mzxid {:x?} {head:?}", node.version, node.mzxid)
                    }
                };
                lines.push(format!("{path}: owed {}, found {}", words(owed), words(found)));
            }
        }
        lines.push(format!("open: {:?}", self.open.iter().map(Write::op).collect::<Vec<_>>()));
        lines.join("\n")
    }
}

fn body<'a>(reply: &'a [u8], error: i32, what: &str) -> Result<Reader<'a>> {
    const HEADER: usize = 16;
    match error {
        0 => Ok(Reader::new(reply.get(HEADER..).unwrap_or_default())),
        error => Err(HarnessError::Unexpected(format!("{what} failed with {error}"))),
    }
}

/// The same znodes; an mzxid only counts where it is known.
fn is_same(expected: &Nodes, found: &Nodes) -> bool {
    let is_same_node = |(a, b): ((&String, &Node), (&String, &Node))| {
        let ((path, expected), (found_path, found)) = (a, b);
        path == found_path
            && (&expected.data, expected.version) == (&found.data, found.version)
            && (expected.mzxid.is_none() || expected.mzxid == found.mzxid)
    };
    expected.len() == found.len() && expected.iter().zip(found).all(is_same_node)
}
