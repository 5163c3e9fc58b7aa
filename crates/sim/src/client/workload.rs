//! Random requests over a small set of paths, so that sessions meet.

use rookeeper_proto::acl::{ALL, Id, READ, RequestAcl, RequestAcls};
use rookeeper_proto::client::request::{
    Create, MultiOp, PathKind, PathVersion, PathWatch, SetAcl, SetData,
};
use rookeeper_proto::client::{Request, RequestHeader};
use rookeeper_proto::{CreateMode, JuteWrite, OpCode, Xid};
use rookeeper_session::{Call, WatchChange, WatchId, WatchKind, WatcherType};

use crate::plan::Plan;
use crate::rng::Rng;

/// Number of request kinds, for weights.
pub(crate) const KINDS: usize = 24;

/// What a client decides to do.
#[derive(Debug)]
pub(crate) enum Action {
    /// Ask for something: the requests, and whether their bodies are garbage.
    Ask(Vec<(Call, bool)>),
    /// Add the credentials of a user.
    Auth(usize),
    /// Close the session.
    Close,
    /// Drop the connection, or die.
    Drop,
    /// No longer wait for an answer.
    Cancel,
    /// Drop a watcher.
    Forget,
    /// Remove the watches of a path.
    Unwatch,
}

/// Draws what to do next. `users` are the digest ids of the users, for ACLs; `watchers` is the number of
/// watchers there ever were.
pub(crate) fn draw(plan: &Plan, rng: &mut Rng, users: &[Id], watchers: &mut u64) -> Action {
    let mut draw = Draw { plan, rng, users, watchers };
    let kind = draw.rng.weighted(&plan.habits.op_weights);
    match kind {
        13 if draw.rng.chance(400) => Action::Unwatch,
        16 => Action::Auth(draw.rng.index(users.len())),
        18 => Action::Close,
        19 => Action::Drop,
        20 if draw.rng.chance(500) => Action::Cancel,
        20 => Action::Forget,
        21 => {
            let op = draw.rng.pick(&[OpCode::Create, OpCode::GetData, OpCode::SetData]);
            let (body, watch) = (vec![0, 0, 0, 9, b'/'], WatchChange::None);
            Action::Ask(vec![(Call { op, body, watch }, true)])
        }
        22 => draw.sandwich(),
        _ => Action::Ask(vec![draw.one(kind)]),
    }
}

/// The frame of a request.
pub(crate) fn frame(xid: i32, op: OpCode, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + body.len());
    RequestHeader { xid: Xid(xid), op: op.as_i32() }.write(&mut out);
    out.put(body);
    out
}

struct Draw<'a> {
    plan: &'a Plan,
    rng: &'a mut Rng,
    users: &'a [Id],
    watchers: &'a mut u64,
}

impl Draw<'_> {
    fn dir(&mut self) -> String {
        format!("/d{}", self.rng.below(self.plan.habits.dirs))
    }

    fn path(&mut self) -> String {
        let (dir, names) = (self.dir(), self.plan.habits.names);
        match self.rng.below(20) {
            0..3 => dir,
            3..17 => format!("{dir}/n{}", self.rng.below(names)),
            17 => "/".to_owned(),
            18 => format!("{dir}/s{:010}", self.rng.below(6)),
            _ => format!("{dir}/n{}/c{}", self.rng.below(names), self.rng.below(2)),
        }
    }

    fn odd_path(&mut self) -> String {
        let odd =
            ["/", "/d0/", "/d0//x", "x", "", "/zookeeper", "/d0/.", "/d\u{1}", "/zookeeper/config"];
        if self.rng.chance(20) { self.rng.pick(&odd).to_owned() } else { self.path() }
    }

    fn data(&mut self) -> Option<Vec<u8>> {
        match self.rng.below(12) {
            0 => None,
            1 => Some(Vec::new()),
            // Larger than a sector: only such a record can be torn.
            2..5 => Some(vec![7; self.rng.between(300, 3000) as usize]),
            _ => Some(self.rng.u64().to_be_bytes().to_vec()),
        }
    }

    fn version(&mut self) -> i32 {
        if self.rng.chance(600) { -1 } else { self.rng.below(4) as i32 }
    }

    fn acls(&mut self) -> Option<RequestAcls<'static>> {
        if !self.rng.chance(self.plan.habits.acl_per_mille) {
            return Some(RequestAcls::Open);
        }
        let user = self.users[self.rng.index(self.users.len())].id.clone();
        let entry = |perms, scheme: &'static str, id: String| RequestAcl {
            perms,
            scheme: Some(scheme.into()),
            id: Some(id.into()),
        };
        let world = || entry(READ, "world", "anyone".to_owned());
        Some(RequestAcls::List(match self.rng.below(7) {
            0 => vec![],
            1 => vec![entry(ALL, "auth", String::new())],
            2 => vec![entry(ALL, "digest", user), world()],
            3 => vec![entry(ALL, "digest", user)],
            4 => vec![world()],
            5 => vec![entry(ALL, "ip", format!("10.0.0.{}", self.rng.between(1, 4)))],
            _ => vec![entry(ALL, "nosuch", user)],
        }))
    }

    fn create(&mut self, path: &str, mode: CreateMode) -> Create<'static> {
        let path = if mode.is_sequential() {
            let at = path.rfind('/').unwrap_or(0);
            format!("{}/s", &path[..at])
        } else {
            path.to_owned()
        };
        let ttl_ms = if mode.is_ttl() { self.rng.between(1, 3000) as i64 } else { -1 };
        let data: Option<&'static [u8]> = None;
        Create { path: Some(path.into()), data, acls: self.acls(), flags: mode.flags(), ttl_ms }
    }

    fn watch(&mut self) -> bool {
        self.rng.chance(self.plan.habits.watch_per_mille)
    }

    fn path_watch(&mut self) -> PathWatch<'static> {
        PathWatch { path: Some(self.path().into()), watch: self.watch() }
    }

    fn encode(&mut self, request: &Request<'_>) -> (Call, bool) {
        let watch = self.change(request);
        (Call { watch, ..Call::new(request) }, false)
    }

    /// What a request means for the watches held. Most watchers wait for one thing; some hear it all.
    fn change(&mut self, request: &Request<'_>) -> WatchChange {
        let (kind, path) = match request {
            Request::Exists(r) if r.watch => (WatchKind::Exist, &r.path),
            Request::GetData(r) if r.watch => (WatchKind::Data, &r.path),
            Request::GetChildren(r) | Request::GetChildren2(r) if r.watch => {
                (WatchKind::Child, &r.path)
            }
            Request::AddWatch(r) if r.kind == 0 => (WatchKind::Persistent, &r.path),
            Request::AddWatch(r) => (WatchKind::PersistentRecursive, &r.path),
            Request::RemoveWatches(r) => {
                let which = match r.kind {
                    1 => WatcherType::Children,
                    2 => WatcherType::Data,
                    3 => WatcherType::Any,
                    4 => WatcherType::Persistent,
                    5 => WatcherType::PersistentRecursive,
                    _ => return WatchChange::None,
                };
                let path = r.path.as_deref().unwrap_or("").to_owned();
                return WatchChange::Remove { path, which, locally: self.rng.chance(300) };
            }
            _ => return WatchChange::None,
        };
        *self.watchers += 1;
        let id = if self.rng.chance(200) { WatchId::SESSION } else { WatchId(*self.watchers) };
        WatchChange::Add(id, kind, path.as_deref().unwrap_or("").to_owned())
    }

    /// Pipelined set, get, set of one node: the get shows the first and not the second.
    fn sandwich(&mut self) -> Action {
        let path = self.path();
        let mut set = || {
            let data = self.rng.u64().to_be_bytes();
            let set = SetData { path: Some(path.as_str().into()), data: Some(&data), version: -1 };
            (Call::new(&Request::SetData(set)), false)
        };
        let (first, second) = (set(), set());
        let watch = self.watch();
        let get = PathWatch { path: Some(path.as_str().into()), watch };
        Action::Ask(vec![first, self.encode(&Request::GetData(get)), second])
    }

    fn one(&mut self, kind: usize) -> (Call, bool) {
        let data = self.data();
        let data = data.as_deref();
        let request = match kind {
            0 | 6 | 7 | 17 => {
                let mode = self.mode(kind);
                let path = self.odd_path();
                let create = Create { data, ..self.create(&path, mode) };
                match mode {
                    CreateMode::Container => Request::CreateContainer(create),
                    mode if mode.is_ttl() => Request::CreateTtl(create),
                    _ if self.rng.chance(500) => Request::Create(create),
                    _ => Request::Create2(create),
                }
            }
            1 => Request::SetData(SetData {
                path: Some(self.odd_path().into()),
                data,
                version: self.version(),
            }),
            2 => Request::GetData(self.path_watch()),
            3 => Request::Exists(self.path_watch()),
            4 if self.rng.chance(500) => Request::GetChildren(self.path_watch()),
            4 => {
                let watch = self.watch();
                Request::GetChildren2(PathWatch { path: Some(self.dir().into()), watch })
            }
            5 => Request::Delete(PathVersion {
                path: Some(self.odd_path().into()),
                version: self.version(),
            }),
            8 | 23 => Request::Multi(self.multi(data)),
            9 => {
                // Not the root's: nobody could do anything any more.
                let path = Some(self.path()).filter(|path| path != "/");
                let path = path.unwrap_or_else(|| self.dir());
                let (acls, version) = (self.acls(), self.version());
                Request::SetAcl(SetAcl { path: Some(path.into()), acls, version })
            }
            10 => Request::GetAcl(Some(self.path().into())),
            11 => {
                let n = self.rng.below(5);
                let ops = (0..n).map(|_| {
                    let read = self.path_watch();
                    if self.rng.chance(500) {
                        MultiOp::GetData(read)
                    } else {
                        MultiOp::GetChildren(read)
                    }
                });
                Request::MultiRead(ops.collect())
            }
            12 => {
                let kind = i32::from(self.rng.chance(500));
                Request::AddWatch(PathKind { path: Some(self.path().into()), kind })
            }
            13 => {
                let kind = self.rng.between(0, 6) as i32;
                let watch = PathKind { path: Some(self.path().into()), kind };
                if self.rng.chance(500) {
                    Request::CheckWatches(watch)
                } else {
                    Request::RemoveWatches(watch)
                }
            }
            14 => Request::Sync(Some(self.path().into())),
            15 => match self.rng.below(3) {
                0 => Request::WhoAmI,
                1 => Request::GetEphemerals(Some(self.dir().into())),
                _ => Request::GetAllChildrenNumber(Some(self.path().into())),
            },
            _ => Request::WhoAmI,
        };
        self.encode(&request)
    }

    fn mode(&mut self, kind: usize) -> CreateMode {
        use CreateMode as M;
        match kind {
            6 => self.rng.pick(&[M::PersistentSequential, M::EphemeralSequential]),
            7 => M::Ephemeral,
            17 => self.rng.pick(&[
                M::Container,
                M::Container,
                M::PersistentWithTtl,
                M::PersistentSequentialWithTtl,
            ]),
            _ => M::Persistent,
        }
    }

    fn multi<'d>(&mut self, data: Option<&'d [u8]>) -> Vec<MultiOp<'d>> {
        let n = self.rng.below(7);
        (0..n)
            .map(|_| match self.rng.below(8) {
                0..3 => {
                    let kind = self.rng.pick(&[0, 0, 6, 7, 17]);
                    let mode = self.mode(kind);
                    let path = self.path();
                    let create = Create { data, ..self.create(&path, mode) };
                    match mode {
                        CreateMode::Container => MultiOp::CreateContainer(create),
                        mode if mode.is_ttl() => MultiOp::CreateTtl(create),
                        _ if self.rng.chance(500) => MultiOp::Create(create),
                        _ => MultiOp::Create2(create),
                    }
                }
                3 | 4 => MultiOp::SetData(SetData {
                    path: Some(self.path().into()),
                    data,
                    version: self.version(),
                }),
                5 | 6 => MultiOp::Delete(PathVersion {
                    path: Some(self.path().into()),
                    version: self.version(),
                }),
                _ => MultiOp::Check(PathVersion {
                    path: Some(self.path().into()),
                    version: self.version(),
                }),
            })
            .collect()
    }
}
