//! A small server for tests: one tree in memory, enough of every operation for a client to be
//! exercised without a real server. It checks no ACLs and keeps sessions for ever.
//!
//! It can be told to break: to close a connection instead of answering, before or after the write.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(unreachable_pub, missing_debug_implementations, reason = "a module of test binaries")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rookeeper_proto::acl::RequestAcls;
use rookeeper_proto::client::reply::EventType;
use rookeeper_proto::client::request::{Create, SetWatches};
use rookeeper_proto::client::{
    ConnectRequest, ConnectResponse, MultiOp, MultiResult, ReplyHeader, Request, RequestHeader,
    WatchedEvent,
};
use rookeeper_proto::{
    AclList, CreateMode, ErrorCode, JuteWrite, OpCode, Reader, SessionId, Stat, Xid, Zxid, path,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// What to do with the next request of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// Close the connection without executing it.
    Before,
    /// Execute it, then close the connection instead of answering.
    After,
    /// Never answer it.
    Ignore,
}

#[derive(Debug, Clone)]
struct Node {
    data: Option<Vec<u8>>,
    acl: AclList,
    stat: Stat,
    created: i32,
}

type Sender = mpsc::UnboundedSender<Vec<u8>>;

#[derive(Default)]
struct Watching {
    /// (kind, path) of each connection: 'd', 'c' once; 'p', 'r' lasting.
    watches: BTreeSet<(char, String)>,
}

struct Connection {
    sender: Sender,
    watching: Watching,
    identities: Vec<(String, String)>,
}

/// The server's state.
pub struct State {
    nodes: BTreeMap<String, Node>,
    zxid: i64,
    sessions: BTreeSet<i64>,
    next_session: i64,
    connections: HashMap<u64, Connection>,
    next_connection: u64,
    breaks: Vec<(OpCode, Break)>,
    /// Whether it says of itself that it only reads; it does not act so.
    only_reads: bool,
    /// Every request received: session and operation.
    pub log: Vec<(SessionId, OpCode)>,
}

/// A running server; it ends with the runtime.
#[derive(Clone)]
pub struct FakeServer {
    pub addr: SocketAddr,
    pub state: Arc<Mutex<State>>,
    kicks: tokio::sync::watch::Sender<u64>,
    /// Whether handshakes wait.
    held: tokio::sync::watch::Sender<bool>,
}

impl FakeServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let mut nodes = BTreeMap::new();
        for path in ["/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"] {
            let data = Some(Vec::new());
            let node = Node { data, acl: AclList::open(), stat: Stat::default(), created: 0 };
            nodes.insert(path.to_owned(), node);
        }
        let state = State {
            nodes,
            zxid: 1,
            sessions: BTreeSet::new(),
            next_session: 0x0100_0000_0000_0001,
            connections: HashMap::new(),
            next_connection: 0,
            breaks: Vec::new(),
            only_reads: false,
            log: Vec::new(),
        };
        let state = Arc::new(Mutex::new(state));
        let kicks = tokio::sync::watch::Sender::new(0);
        let held = tokio::sync::watch::Sender::new(false);
        let server = Self { addr, state, kicks, held };
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = accepting.clone();
                tokio::spawn(async move { server.serve(stream).await });
            }
        });
        server
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no test panicked with it")
    }

    /// Its connect string.
    pub fn servers(&self) -> String {
        self.addr.to_string()
    }

    /// Breaks the next request of an operation.
    pub fn break_next(&self, op: OpCode, how: Break) {
        self.lock().breaks.push((op, how));
    }

    /// From now on it says that it only reads, or that it takes writes.
    pub fn say_that_it_only_reads(&self, only_reads: bool) {
        self.lock().only_reads = only_reads;
    }

    /// Closes every connection.
    pub fn kick(&self) {
        self.kicks.send_modify(|n| *n += 1);
    }

    /// Closes every connection and grants no session until released.
    pub fn hold(&self) {
        self.held.send_replace(true);
        self.kick();
    }

    /// Grants sessions again.
    pub fn release(&self) {
        self.held.send_replace(false);
    }

    /// Forgets every session, as if they had expired.
    pub fn expire_all(&self) {
        self.lock().sessions.clear();
    }

    /// How many requests of an operation were received.
    pub fn received(&self, op: OpCode) -> usize {
        self.lock().log.iter().filter(|(_, known)| *known == op).count()
    }

    /// Changes a node's data as another client would.
    pub fn set_data(&self, path: &str, data: &[u8]) {
        let mut state = self.lock();
        state.zxid += 1;
        let zxid = state.zxid;
        let node = state.nodes.get_mut(path).expect("a node to change");
        node.data = Some(data.to_vec());
        node.stat.mzxid = Zxid(zxid);
        node.stat.version += 1;
        state.fire(EventType::NodeDataChanged, path);
    }

    async fn serve(&self, mut stream: TcpStream) {
        let mut kicks = self.kicks.subscribe();
        kicks.mark_unchanged();
        let mut held = self.held.subscribe();
        if held.wait_for(|held| !held).await.is_err() {
            return;
        }
        let only_reads = self.lock().only_reads;
        let mut first = [0; 4];
        if stream.read_exact(&mut first).await.is_err() {
            return;
        }
        if first == *b"isro" {
            // Who asks may be gone.
            let _ = stream.write_all(if only_reads { b"ro" } else { b"rw" }).await;
            return;
        }
        let mut frame = Vec::new();
        if !read_into(&mut first.as_slice().chain(&mut stream), &mut frame).await {
            return;
        }
        let Ok(hello) = ConnectRequest::read(&mut Reader::new(&frame)) else { return };
        let (session, known) = {
            let mut state = self.lock();
            if hello.session == SessionId::NONE {
                let session = state.next_session;
                state.next_session += 1;
                state.sessions.insert(session);
                (SessionId(session), true)
            } else {
                (hello.session, state.sessions.contains(&hello.session.0))
            }
        };
        let response = ConnectResponse {
            timeout_ms: if known { hello.timeout_ms } else { 0 },
            session: if known { session } else { SessionId::NONE },
            password: [1; 16],
            read_only: hello.read_only.map(|_| only_reads),
        };
        let mut out = Vec::new();
        framed(&mut out, |out| response.write(out));
        if stream.write_all(&out).await.is_err() || !known {
            return;
        }
        let (sender, mut outgoing) = mpsc::unbounded_channel::<Vec<u8>>();
        let id = {
            let mut state = self.lock();
            state.next_connection += 1;
            let id = state.next_connection;
            let identities = vec![("ip".to_owned(), "127.0.0.1".to_owned())];
            let watching = Watching::default();
            state.connections.insert(id, Connection { sender, watching, identities });
            id
        };
        let (mut reader, mut writer) = stream.into_split();
        let server = self.clone();
        let reading = async {
            let mut frame = Vec::new();
            while read_into(&mut reader, &mut frame).await {
                if !server.handle(id, session, &frame) {
                    break;
                }
            }
        };
        let writing = async {
            while let Some(bytes) = outgoing.recv().await {
                if writer.write_all(&bytes).await.is_err() {
                    break;
                }
            }
        };
        tokio::select! {
            () = reading => {}
            () = writing => {}
            _ = kicks.changed() => {}
        }
        // What was answered before the connection ends still leaves.
        while let Ok(bytes) = outgoing.try_recv() {
            if writer.write_all(&bytes).await.is_err() {
                break;
            }
        }
        self.lock().connections.remove(&id);
    }

    /// Handles one request; false closes the connection.
    fn handle(&self, id: u64, session: SessionId, frame: &[u8]) -> bool {
        let mut r = Reader::new(frame);
        let Ok(header) = RequestHeader::read(&mut r) else { return false };
        let Some(op) = OpCode::from_i32(header.op) else { return false };
        let mut state = self.lock();
        state.log.push((session, op));
        let broken = state.breaks.iter().position(|(known, _)| *known == op);
        let broken = broken.map(|at| state.breaks.remove(at).1);
        match broken {
            Some(Break::Before) => return false,
            Some(Break::Ignore) => return true,
            _ => {}
        }
        let Ok(request) = Request::read(op, &mut r) else { return false };
        let mut body = Vec::new();
        let err = match state.execute(id, session, &request, &mut body) {
            Ok(()) => 0,
            Err(code) => {
                body.clear();
                code.as_i32()
            }
        };
        if broken == Some(Break::After) {
            return false;
        }
        let xid = if op == OpCode::Ping { Xid::PING } else { header.xid };
        let reply = ReplyHeader { xid, zxid: Zxid(state.zxid), err };
        let mut out = Vec::new();
        framed(&mut out, |out| {
            reply.write(out);
            out.extend_from_slice(&body);
        });
        if let Some(connection) = state.connections.get(&id) {
            let _ = connection.sender.send(out);
        }
        op != OpCode::CloseSession && err != ErrorCode::AuthFailed.as_i32()
    }
}

type Outcome<T = ()> = Result<T, ErrorCode>;

impl State {
    fn node(&self, path: &str) -> Outcome<&Node> {
        self.nodes.get(path).ok_or(ErrorCode::NoNode)
    }

    fn children(&self, of: &str) -> Vec<String> {
        let prefix = if of == "/" { "/".to_owned() } else { format!("{of}/") };
        self.nodes
            .keys()
            .filter_map(|path| path.strip_prefix(&prefix))
            .filter(|name| !name.is_empty() && !name.contains('/'))
            .map(str::to_owned)
            .collect()
    }

    fn stat(&self, path: &str) -> Outcome<Stat> {
        let node = self.node(path)?;
        let data_length = node.data.as_ref().map_or(0, Vec::len) as i32;
        let num_children = self.children(path).len() as i32;
        Ok(Stat { data_length, num_children, ..node.stat })
    }

    fn fire(&mut self, event: EventType, path: &str) {
        let zxid = Zxid(self.zxid);
        for connection in self.connections.values_mut() {
            let watches = &mut connection.watching.watches;
            let once = match event {
                EventType::NodeChildrenChanged => "c",
                EventType::NodeDeleted => "dc",
                _ => "d",
            };
            let mut told = false;
            for kind in once.chars() {
                told |= watches.remove(&(kind, path.to_owned()));
            }
            told |= watches.contains(&('p', path.to_owned()));
            told |= event != EventType::NodeChildrenChanged
                && watches.iter().any(|(kind, root)| {
                    let below = path.strip_prefix(root.as_str());
                    *kind == 'r'
                        && (root == "/"
                            || below.is_some_and(|b| b.is_empty() || b.starts_with('/')))
                });
            if told {
                send_event(&connection.sender, zxid, event, path);
            }
        }
    }

    fn execute(
        &mut self,
        id: u64,
        session: SessionId,
        request: &Request<'_>,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let text = |text: &Option<std::borrow::Cow<'_, str>>| {
            text.as_deref().unwrap_or_default().to_owned()
        };
        match request {
            Request::Create(create) => {
                let path = self.create(session, create)?;
                out.put_str(&path);
            }
            Request::Create2(create)
            | Request::CreateContainer(create)
            | Request::CreateTtl(create) => {
                let path = self.create(session, create)?;
                out.put_str(&path);
                self.stat(&path)?.write(out);
            }
            Request::Delete(delete) => self.delete(&text(&delete.path), delete.version)?,
            Request::SetData(set) => {
                self.set(&text(&set.path), set.data, set.version)?.write(out);
            }
            Request::Exists(read) => {
                self.watch(id, 'd', &text(&read.path), read.watch);
                self.stat(&text(&read.path))?.write(out);
            }
            Request::GetData(read) => {
                let path = text(&read.path);
                out.put_buffer(self.node(&path)?.data.as_deref());
                self.stat(&path)?.write(out);
                self.watch(id, 'd', &path, read.watch);
            }
            Request::GetChildren(read) | Request::GetChildren2(read) => {
                let path = text(&read.path);
                let stat = self.stat(&path)?;
                let names = self.children(&path);
                out.put_len(names.len());
                names.iter().for_each(|name| out.put_str(name));
                if matches!(request, Request::GetChildren2(_)) {
                    stat.write(out);
                }
                self.watch(id, 'c', &path, read.watch);
            }
            Request::GetAcl(path) => {
                self.node(&text(path))?.acl.write(out);
                self.stat(&text(path))?.write(out);
            }
            Request::SetAcl(set) => {
                let path = text(&set.path);
                let acl = stored(set.acls.as_ref());
                self.zxid += 1;
                let node = self.nodes.get_mut(&path).ok_or(ErrorCode::NoNode)?;
                if set.version != -1 && set.version != node.stat.aversion {
                    return Err(ErrorCode::BadVersion);
                }
                node.acl = acl;
                node.stat.aversion += 1;
                self.stat(&path)?.write(out);
            }
            Request::Sync(path) => out.put_str(&text(path)),
            Request::Multi(ops) => self.multi(session, ops, out),
            Request::MultiRead(ops) => {
                let results: Vec<_> = ops.iter().map(|op| self.read_result(op)).collect();
                MultiResult::write_all(&results, out);
            }
            Request::AddWatch(watch) => {
                let kind = if watch.kind == 1 { 'r' } else { 'p' };
                self.watch(id, kind, &text(&watch.path), true);
                out.put_i32(0);
            }
            Request::RemoveWatches(watch) => {
                self.remove_watches(id, &text(&watch.path), watch.kind)?
            }
            Request::SetWatches(set) | Request::SetWatches2(set) => self.set_watches(id, set),
            Request::Auth(auth) => {
                if text(&auth.scheme) != "digest" {
                    return Err(ErrorCode::AuthFailed);
                }
                let user = String::from_utf8_lossy(auth.auth.unwrap_or_default()).into_owned();
                let user = user.split(':').next().unwrap_or_default().to_owned();
                let connection = self.connections.get_mut(&id).ok_or(ErrorCode::SystemError)?;
                connection.identities.push(("digest".to_owned(), user));
            }
            Request::GetEphemerals(prefix) => {
                let prefix = text(prefix);
                let owned = |(path, node): (&String, &Node)| {
                    (node.stat.ephemeral_owner == session.0 && path.starts_with(&prefix))
                        .then(|| path.clone())
                };
                let paths: Vec<String> = self.nodes.iter().filter_map(owned).collect();
                out.put_len(paths.len());
                paths.iter().for_each(|path| out.put_str(path));
            }
            Request::GetAllChildrenNumber(path) => {
                let path = text(path);
                self.node(&path)?;
                let prefix = if path == "/" { path } else { format!("{path}/") };
                let below = |p: &&String| p.starts_with(&prefix) && p.len() > prefix.len();
                out.put_len(self.nodes.keys().filter(below).count());
            }
            Request::WhoAmI => {
                let identities =
                    &self.connections.get(&id).ok_or(ErrorCode::SystemError)?.identities;
                out.put_len(identities.len());
                for (scheme, name) in identities {
                    out.put_str(scheme);
                    out.put_str(name);
                }
            }
            Request::CloseSession => {
                self.sessions.remove(&session.0);
                let owned: Vec<String> = self
                    .nodes
                    .iter()
                    .filter(|(_, node)| node.stat.ephemeral_owner == session.0)
                    .map(|(path, _)| path.clone())
                    .collect();
                for path in owned {
                    self.delete(&path, -1)?;
                }
            }
            Request::Ping => {}
            Request::Reconfig(_) => return Err(ErrorCode::ReconfigDisabled),
            _ => return Err(ErrorCode::Unimplemented),
        }
        Ok(())
    }

    fn watch(&mut self, id: u64, kind: char, path: &str, wanted: bool) {
        if let Some(connection) = self.connections.get_mut(&id).filter(|_| wanted) {
            connection.watching.watches.insert((kind, path.to_owned()));
        }
    }

    fn remove_watches(&mut self, id: u64, path: &str, kind: i32) -> Outcome {
        let kinds = match kind {
            1 => "c",
            2 => "d",
            4 => "p",
            5 => "r",
            _ => "cdpr",
        };
        let connection = self.connections.get_mut(&id).ok_or(ErrorCode::SystemError)?;
        let watches = &mut connection.watching.watches;
        let removed = kinds.chars().filter(|kind| watches.remove(&(*kind, path.to_owned())));
        if removed.count() == 0 { Err(ErrorCode::NoWatcher) } else { Ok(()) }
    }

    fn set_watches(&mut self, id: u64, set: &SetWatches<'_>) {
        let zxid = Zxid(-1);
        let paths = |list: &Option<Vec<Option<std::borrow::Cow<'_, str>>>>| -> Vec<String> {
            list.iter().flatten().flatten().map(ToString::to_string).collect()
        };
        let lists = [
            ('d', paths(&set.data)),
            ('e', paths(&set.exist)),
            ('c', paths(&set.child)),
            ('p', paths(&set.persistent)),
            ('r', paths(&set.persistent_recursive)),
        ];
        for (kind, list) in lists {
            for path in list {
                let stat = self.stat(&path).ok();
                let event = match (kind, stat) {
                    ('d' | 'c', None) => Some(EventType::NodeDeleted),
                    ('d', Some(stat)) if stat.mzxid > set.relative_zxid => {
                        Some(EventType::NodeDataChanged)
                    }
                    ('c', Some(stat)) if stat.pzxid > set.relative_zxid => {
                        Some(EventType::NodeChildrenChanged)
                    }
                    ('e', Some(_)) => Some(EventType::NodeCreated),
                    _ => None,
                };
                match (event, self.connections.get_mut(&id)) {
                    (Some(event), Some(connection)) => {
                        send_event(&connection.sender, zxid, event, &path);
                    }
                    (None, Some(connection)) => {
                        let kind = if kind == 'e' { 'd' } else { kind };
                        connection.watching.watches.insert((kind, path));
                    }
                    (_, None) => {}
                }
            }
        }
    }

    fn create(&mut self, session: SessionId, create: &Create<'_>) -> Outcome<String> {
        let mode = CreateMode::from_flags(create.flags).ok_or(ErrorCode::BadArguments)?;
        let given = create.path.as_deref().unwrap_or_default();
        let parent = path::parent(given).ok_or(ErrorCode::BadArguments)?;
        let parent = if parent.is_empty() { "/" } else { parent }.to_owned();
        let counter = self.node(&parent)?.created;
        let path = match mode.is_sequential() {
            true => format!("{given}{counter:010}"),
            false => given.to_owned(),
        };
        if self.nodes.contains_key(&path) {
            return Err(ErrorCode::NodeExists);
        }
        self.zxid += 1;
        let zxid = Zxid(self.zxid);
        let above = self.nodes.get_mut(&parent).ok_or(ErrorCode::NoNode)?;
        if above.stat.ephemeral_owner != 0 {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        above.created += 1;
        above.stat.cversion += 1;
        above.stat.pzxid = zxid;
        let stat = Stat {
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ephemeral_owner: if mode.is_ephemeral() { session.0 } else { 0 },
            ..Stat::default()
        };
        let data = create.data.map(<[u8]>::to_vec);
        let acl = stored(create.acls.as_ref());
        self.nodes.insert(path.clone(), Node { data, acl, stat, created: 0 });
        self.fire(EventType::NodeCreated, &path);
        self.fire(EventType::NodeChildrenChanged, &parent);
        Ok(path)
    }

    fn delete(&mut self, path: &str, version: i32) -> Outcome {
        let stat = self.stat(path)?;
        if version != -1 && version != stat.version {
            return Err(ErrorCode::BadVersion);
        }
        if stat.num_children > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        self.zxid += 1;
        self.nodes.remove(path);
        let parent = path::parent(path).filter(|parent| !parent.is_empty()).unwrap_or("/");
        let (parent, zxid) = (parent.to_owned(), Zxid(self.zxid));
        if let Some(above) = self.nodes.get_mut(&parent) {
            above.stat.cversion += 1;
            above.stat.pzxid = zxid;
        }
        self.fire(EventType::NodeDeleted, path);
        self.fire(EventType::NodeChildrenChanged, &parent);
        Ok(())
    }

    fn set(&mut self, path: &str, data: Option<&[u8]>, version: i32) -> Outcome<Stat> {
        let zxid = Zxid(self.zxid + 1);
        let node = self.nodes.get_mut(path).ok_or(ErrorCode::NoNode)?;
        if version != -1 && version != node.stat.version {
            return Err(ErrorCode::BadVersion);
        }
        node.data = data.map(<[u8]>::to_vec);
        node.stat.version += 1;
        node.stat.mzxid = zxid;
        self.zxid = zxid.0;
        self.fire(EventType::NodeDataChanged, path);
        self.stat(path)
    }

    fn multi(&mut self, session: SessionId, ops: &[MultiOp<'_>], out: &mut Vec<u8>) {
        let (nodes, zxid) = (self.nodes.clone(), self.zxid);
        let mut results = Vec::new();
        let mut failed = None;
        for (at, op) in ops.iter().enumerate() {
            match self.multi_op(session, op) {
                Ok(result) => results.push(result),
                Err(code) => {
                    failed = Some((at, code));
                    break;
                }
            }
        }
        if let Some((at, code)) = failed {
            (self.nodes, self.zxid) = (nodes, zxid);
            let behind = ErrorCode::RuntimeInconsistency.as_i32();
            let errors = ops.iter().enumerate().map(|(n, _)| match n.cmp(&at) {
                std::cmp::Ordering::Less => MultiResult::Error(0),
                std::cmp::Ordering::Equal => MultiResult::Error(code.as_i32()),
                std::cmp::Ordering::Greater => MultiResult::Error(behind),
            });
            results = errors.collect();
        }
        MultiResult::write_all(&results, out);
    }

    fn multi_op(&mut self, session: SessionId, op: &MultiOp<'_>) -> Outcome<MultiResult<'static>> {
        Ok(match op {
            MultiOp::Create(create)
            | MultiOp::Create2(create)
            | MultiOp::CreateContainer(create)
            | MultiOp::CreateTtl(create) => {
                let path = self.create(session, create)?;
                let stat = self.stat(&path)?;
                MultiResult::PathStat(path, stat)
            }
            MultiOp::Delete(delete) => {
                self.delete(delete.path.as_deref().unwrap_or_default(), delete.version)?;
                MultiResult::Deleted
            }
            MultiOp::SetData(set) => {
                let path = set.path.as_deref().unwrap_or_default();
                MultiResult::Stat(self.set(path, set.data, set.version)?)
            }
            MultiOp::Check(check) => {
                let stat = self.stat(check.path.as_deref().unwrap_or_default())?;
                if check.version != -1 && check.version != stat.version {
                    return Err(ErrorCode::BadVersion);
                }
                MultiResult::Checked
            }
            MultiOp::GetData(_) | MultiOp::GetChildren(_) => return Err(ErrorCode::BadArguments),
        })
    }

    fn read_result(&self, op: &MultiOp<'_>) -> MultiResult<'_> {
        let result = match op {
            MultiOp::GetData(read) => {
                let path = read.path.as_deref().unwrap_or_default();
                self.node(path)
                    .and_then(|node| Ok(MultiResult::Data(node.data.as_deref(), self.stat(path)?)))
            }
            MultiOp::GetChildren(read) => {
                let path = read.path.as_deref().unwrap_or_default();
                self.node(path).map(|_| MultiResult::Names(self.children(path)))
            }
            _ => Err(ErrorCode::MarshallingError),
        };
        result.unwrap_or_else(|code| MultiResult::Error(code.as_i32()))
    }
}

fn stored(acls: Option<&RequestAcls<'_>>) -> AclList {
    let mut bytes = Vec::new();
    RequestAcls::write(acls, &mut bytes);
    AclList::read(&mut Reader::new(&bytes)).expect("just written")
}

fn send_event(sender: &Sender, zxid: Zxid, event: EventType, path: &str) {
    let mut out = Vec::new();
    framed(&mut out, |out| {
        ReplyHeader { xid: Xid::NOTIFICATION, zxid, err: 0 }.write(out);
        WatchedEvent { event, path: path.into() }.write(out);
    });
    let _ = sender.send(out);
}

fn framed(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let mut payload = Vec::new();
    body(&mut payload);
    out.put_buffer(Some(&payload));
}

async fn read_into(stream: &mut (impl AsyncReadExt + Unpin), frame: &mut Vec<u8>) -> bool {
    let Ok(len) = stream.read_i32().await else { return false };
    frame.resize(usize::try_from(len).unwrap_or(0), 0);
    stream.read_exact(frame).await.is_ok()
}
