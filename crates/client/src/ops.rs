//! The operations.

use rookeeper_proto::client::request::{
    Create, PathKind, PathVersion, PathWatch, Reconfig, SetAcl, SetData,
};
use rookeeper_proto::client::{Request, Response};
use rookeeper_proto::path;
use rookeeper_proto::{Acl, CreateMode, ErrorCode, Id, Stat};

use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::multi::{MultiRead, Transaction};
use crate::options::{self, CreateOptions};
use crate::session::{Reply, WatchChange, WatchId, WatchKind, WatcherType};
use crate::watcher::{self, OneshotWatcher, PersistentWatcher, Sink};

/// The node that holds the ensemble's configuration; outside every chroot.
pub const CONFIG_PATH: &str = "/zookeeper/config";

/// Who is told by a watch that a read leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// No watch.
    No,
    /// The session's own watcher: [`Builder::on_event`](crate::Builder::on_event).
    Session,
}

/// What a persistent watch covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddWatchMode {
    /// The node and its list of children.
    Persistent,
    /// The node and all below it.
    PersistentRecursive,
}

impl AddWatchMode {
    fn kind(self) -> WatchKind {
        match self {
            Self::Persistent => WatchKind::Persistent,
            Self::PersistentRecursive => WatchKind::PersistentRecursive,
        }
    }
}

/// A node's data; `None` is null, which is not the same as empty.
pub type Data = Option<Vec<u8>>;

fn unexpected() -> Error {
    Error::of_kind(ErrorKind::Malformed)
}

/// Any version.
pub(crate) fn version(expected: Option<i32>) -> i32 {
    expected.unwrap_or(-1)
}

/// A watch left by a read, before it is sent.
enum Leave {
    None,
    For(WatchId, Option<Sink>),
}

impl Client {
    /// Checks a client's path and makes it the server's.
    pub(crate) fn server_path(&self, path: &str) -> Result<String> {
        path::validate(path).map_err(|reason| Error::invalid(reason).with_path(path))?;
        Ok(self.chroot().to_server(path))
    }

    async fn run(&self, request: Request<'_>, path: &str) -> Result<Reply> {
        self.request(&request, WatchChange::None, None).await.map_err(|error| error.with_path(path))
    }

    async fn read(
        &self,
        request: Request<'_>,
        kind: WatchKind,
        server_path: &str,
        leave: Leave,
        path: &str,
    ) -> Result<Reply> {
        let (change, sink) = match leave {
            Leave::None => (WatchChange::None, None),
            Leave::For(id, sink) => {
                (WatchChange::Add(id, kind, server_path.to_owned()), sink.map(|sink| (id, sink)))
            }
        };
        self.request(&request, change, sink).await.map_err(|error| error.with_path(path))
    }

    fn leave(watch: Watch) -> Leave {
        match watch {
            Watch::No => Leave::None,
            Watch::Session => Leave::For(WatchId::SESSION, None),
        }
    }

    fn one_time(&self, kinds: Vec<WatchKind>, path: &str) -> (Leave, OneshotWatcher) {
        let id = self.next_watch();
        let told_by = (self.control(), self.standing());
        let (sink, watcher) =
            watcher::once(id, kinds, path.to_owned(), self.chroot().clone(), told_by);
        (Leave::For(id, Some(sink)), watcher)
    }

    /// Creates a node; answers its path, with the digits of sequential modes, and its stat.
    pub async fn create(
        &self,
        path: &str,
        data: &[u8],
        options: &CreateOptions,
    ) -> Result<(String, Stat)> {
        let server_path = self.create_path(path, options)?;
        let request = create_request(&server_path, data, options, self.acl_of(options));
        let reply = self.run(request.clone(), path).await?;
        match Self::decode(&request, &reply)? {
            Response::PathStat(created, stat) => {
                Ok((self.chroot().to_client(&created).to_owned(), stat))
            }
            _ => Err(unexpected()),
        }
    }

    pub(crate) fn create_path(&self, path: &str, options: &CreateOptions) -> Result<String> {
        if options.ttl_ms >= 0 && !options.mode.is_ttl() {
            let message = "only persistent nodes can have a time to live";
            return Err(Error::invalid(message).with_path(path));
        }
        // The digits make `/a/` a good prefix.
        let checked = if options.mode.is_sequential() { format!("{path}1") } else { path.into() };
        self.server_path(&checked)?;
        Ok(self.chroot().to_server(path))
    }

    /// Deletes a node, if `expected` is its version or `None`.
    pub async fn delete(&self, path: &str, expected: Option<i32>) -> Result<()> {
        let server_path = self.server_path(path)?;
        let version = version(expected);
        let request = Request::Delete(PathVersion { path: Some(server_path.into()), version });
        self.run(request, path).await.map(drop)
    }

    /// A node's stat, or `None` when it does not exist.
    pub async fn exists(&self, path: &str) -> Result<Option<Stat>> {
        self.exists_watch(path, Watch::No).await
    }

    /// As [`Client::exists`]; the watch tells of creation, deletion and changes of data.
    pub async fn exists_watch(&self, path: &str, watch: Watch) -> Result<Option<Stat>> {
        let server_path = self.server_path(path)?;
        self.do_exists(path, &server_path, Self::leave(watch)).await
    }

    /// As [`Client::exists`], leaving a watch.
    pub async fn exists_and_watch(&self, path: &str) -> Result<(Option<Stat>, OneshotWatcher)> {
        let server_path = self.server_path(path)?;
        let (leave, watcher) = self.one_time(vec![WatchKind::Exist], &server_path);
        Ok((self.do_exists(path, &server_path, leave).await?, watcher))
    }

    async fn do_exists(&self, path: &str, server: &str, leave: Leave) -> Result<Option<Stat>> {
        let request = Request::Exists(path_watch(server, &leave));
        match self.read(request.clone(), WatchKind::Data, server, leave, path).await {
            Ok(reply) => match Self::decode(&request, &reply)? {
                Response::Stat(stat) => Ok(Some(stat)),
                _ => Err(unexpected()),
            },
            Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A node's data (null as empty) and stat.
    pub async fn get(&self, path: &str) -> Result<(Vec<u8>, Stat)> {
        let (data, stat) = self.get_watch(path, Watch::No).await?;
        Ok((data.unwrap_or_default(), stat))
    }

    /// A node's data and stat; the watch tells of deletion and changes of data.
    pub async fn get_watch(&self, path: &str, watch: Watch) -> Result<(Data, Stat)> {
        let server_path = self.server_path(path)?;
        self.do_get(path, &server_path, Self::leave(watch)).await
    }

    /// As [`Client::get`], leaving a watch.
    pub async fn get_and_watch(&self, path: &str) -> Result<(Vec<u8>, Stat, OneshotWatcher)> {
        let server_path = self.server_path(path)?;
        let (leave, watcher) = self.one_time(vec![WatchKind::Data], &server_path);
        let (data, stat) = self.do_get(path, &server_path, leave).await?;
        Ok((data.unwrap_or_default(), stat, watcher))
    }

    async fn do_get(&self, path: &str, server: &str, leave: Leave) -> Result<(Data, Stat)> {
        let request = Request::GetData(path_watch(server, &leave));
        let reply = self.read(request.clone(), WatchKind::Data, server, leave, path).await?;
        data_stat(&request, &reply)
    }

    /// The ensemble's configuration as text, and its node's stat. It ignores the chroot.
    pub async fn config(&self, watch: Watch) -> Result<(Data, Stat)> {
        self.do_get(CONFIG_PATH, CONFIG_PATH, Self::leave(watch)).await
    }

    /// Sets a node's data, if `expected` is its version or `None`; answers the new stat.
    pub async fn set(&self, path: &str, data: &[u8], expected: Option<i32>) -> Result<Stat> {
        let request = Request::SetData(SetData {
            path: Some(self.server_path(path)?.into()),
            data: Some(data),
            version: version(expected),
        });
        let reply = self.run(request.clone(), path).await?;
        stat(&request, &reply)
    }

    /// A node's children (in no order) and stat.
    pub async fn children(&self, path: &str) -> Result<(Vec<String>, Stat)> {
        self.children_watch(path, Watch::No).await
    }

    /// As [`Client::children`]; the watch tells of deletion and of changes of the list.
    pub async fn children_watch(&self, path: &str, watch: Watch) -> Result<(Vec<String>, Stat)> {
        let server_path = self.server_path(path)?;
        self.do_children(path, &server_path, Self::leave(watch)).await
    }

    /// As [`Client::children`], leaving a watch.
    pub async fn children_and_watch(
        &self,
        path: &str,
    ) -> Result<(Vec<String>, Stat, OneshotWatcher)> {
        let server_path = self.server_path(path)?;
        let (leave, watcher) = self.one_time(vec![WatchKind::Child], &server_path);
        let (names, stat) = self.do_children(path, &server_path, leave).await?;
        Ok((names, stat, watcher))
    }

    async fn do_children(
        &self,
        path: &str,
        server: &str,
        leave: Leave,
    ) -> Result<(Vec<String>, Stat)> {
        let request = Request::GetChildren2(path_watch(server, &leave));
        let reply = self.read(request.clone(), WatchKind::Child, server, leave, path).await?;
        match Self::decode(&request, &reply)? {
            Response::NamesStat(names, stat) => Ok((names, stat)),
            _ => Err(unexpected()),
        }
    }

    /// The number of all nodes below a node.
    pub async fn all_children_number(&self, path: &str) -> Result<i32> {
        let request = Request::GetAllChildrenNumber(Some(self.server_path(path)?.into()));
        let reply = self.run(request.clone(), path).await?;
        match Self::decode(&request, &reply)? {
            Response::Number(number) => Ok(number),
            _ => Err(unexpected()),
        }
    }

    /// This session's ephemeral nodes whose paths begin with `prefix`, in no order.
    pub async fn ephemerals(&self, prefix: &str) -> Result<Vec<String>> {
        let server_path = self.server_path(prefix)?;
        let request = Request::GetEphemerals(Some(server_path.into()));
        let reply = self.run(request.clone(), prefix).await?;
        match Self::decode(&request, &reply)? {
            Response::Names(paths) => {
                Ok(paths.iter().map(|path| self.chroot().to_client(path).to_owned()).collect())
            }
            _ => Err(unexpected()),
        }
    }

    /// A node's ACL and stat.
    pub async fn acl(&self, path: &str) -> Result<(Vec<Acl>, Stat)> {
        let request = Request::GetAcl(Some(self.server_path(path)?.into()));
        let reply = self.run(request.clone(), path).await?;
        match Self::decode(&request, &reply)? {
            Response::Acl(list, stat) => Ok((list.entries().to_vec(), stat)),
            _ => Err(unexpected()),
        }
    }

    /// Sets a node's ACL, if `expected` is the ACL's version or `None`; answers the new stat.
    pub async fn set_acl(&self, path: &str, acl: &[Acl], expected: Option<i32>) -> Result<Stat> {
        let request = Request::SetAcl(SetAcl {
            path: Some(self.server_path(path)?.into()),
            acls: Some(options::to_request(Some(acl))),
            version: version(expected),
        });
        let reply = self.run(request.clone(), path).await?;
        stat(&request, &reply)
    }

    /// Waits until the connected server has caught up with the leader.
    pub async fn sync(&self, path: &str) -> Result<()> {
        let request = Request::Sync(Some(self.server_path(path)?.into()));
        self.run(request, path).await.map(drop)
    }

    /// The identities of this connection.
    pub async fn whoami(&self) -> Result<Vec<Id>> {
        let reply = self.request(&Request::WhoAmI, WatchChange::None, None).await?;
        match Self::decode(&Request::WhoAmI, &reply)? {
            Response::Identities(list) => Ok(list),
            _ => Err(unexpected()),
        }
    }

    /// Changes the ensemble: adds or replaces `joining` (`server.N=...` lines, comma separated) and
    /// removes `leaving` (numbers), or sets all of `members`; if `config` is the present
    /// configuration's version or `None`. Answers the new configuration.
    pub async fn reconfig(
        &self,
        joining: Option<&str>,
        leaving: Option<&str>,
        members: Option<&str>,
        config: Option<i64>,
    ) -> Result<(Data, Stat)> {
        let request = Request::Reconfig(Reconfig {
            joining: joining.map(Into::into),
            leaving: leaving.map(Into::into),
            new_members: members.map(Into::into),
            config_id: config.unwrap_or(-1),
        });
        let reply = self.request(&request, WatchChange::None, None).await?;
        data_stat(&request, &reply)
    }

    /// Leaves a persistent watch; it goes when the returned watcher is dropped.
    pub async fn watch(&self, path: &str, mode: AddWatchMode) -> Result<PersistentWatcher> {
        let server_path = self.server_path(path)?;
        let (id, control) = (self.next_watch(), self.control());
        let chroot = self.chroot().clone();
        let (sink, watcher) = watcher::many(id, mode.kind(), server_path.clone(), chroot, control);
        self.add_watch_for(path, &server_path, mode, id, Some((id, sink))).await?;
        Ok(watcher)
    }

    /// Leaves a persistent watch for the session's own watcher.
    pub async fn add_watch(&self, path: &str, mode: AddWatchMode) -> Result<()> {
        let server_path = self.server_path(path)?;
        self.add_watch_for(path, &server_path, mode, WatchId::SESSION, None).await
    }

    async fn add_watch_for(
        &self,
        path: &str,
        server_path: &str,
        mode: AddWatchMode,
        id: WatchId,
        sink: Option<(WatchId, Sink)>,
    ) -> Result<()> {
        let kind = match mode {
            AddWatchMode::Persistent => 0,
            AddWatchMode::PersistentRecursive => 1,
        };
        let request = Request::AddWatch(PathKind { path: Some(server_path.into()), kind });
        let change = WatchChange::Add(id, mode.kind(), server_path.to_owned());
        let reply = self.request(&request, change, sink).await;
        reply.map(drop).map_err(|error| error.with_path(path))
    }

    /// Removes all watches of this session of a type on a path, and tells their holders; fails with
    /// `NoWatcher` when there are none. With `locally`, also without a connection.
    pub async fn remove_watches(
        &self,
        path: &str,
        which: WatcherType,
        locally: bool,
    ) -> Result<()> {
        let server_path = self.server_path(path)?;
        let request = Request::RemoveWatches(PathKind {
            path: Some(server_path.as_str().into()),
            kind: which as i32,
        });
        let change = WatchChange::Remove { path: server_path.clone(), which, locally };
        let reply = self.request(&request, change, None).await;
        reply.map(drop).map_err(|error| error.with_path(path))
    }

    /// A transaction: several writes, all or none.
    pub fn transaction(&self) -> Transaction<'_> {
        Transaction::new(self)
    }

    /// Several reads in one request, at one point in time.
    pub fn multi_read(&self) -> MultiRead<'_> {
        MultiRead::new(self)
    }
}

pub(crate) fn create_request<'a>(
    path: &'a str,
    data: &'a [u8],
    options: &'a CreateOptions,
    acl: Option<&'a [Acl]>,
) -> Request<'a> {
    let create = Create {
        path: Some(path.into()),
        data: (!options.null_data).then_some(data),
        acls: Some(options::to_request(acl)),
        flags: options.mode.flags(),
        ttl_ms: options.ttl_ms,
    };
    match options.mode {
        CreateMode::Container => Request::CreateContainer(create),
        mode if mode.is_ttl() => Request::CreateTtl(create),
        _ => Request::Create2(create),
    }
}

fn path_watch<'a>(path: &'a str, leave: &Leave) -> PathWatch<'a> {
    PathWatch { path: Some(path.into()), watch: matches!(leave, Leave::For(..)) }
}

fn stat(request: &Request<'_>, reply: &Reply) -> Result<Stat> {
    match Client::decode(request, reply)? {
        Response::Stat(stat) => Ok(stat),
        _ => Err(unexpected()),
    }
}

fn data_stat(request: &Request<'_>, reply: &Reply) -> Result<(Data, Stat)> {
    match Client::decode(request, reply)? {
        Response::Data(data, stat) => Ok((data.map(<[u8]>::to_vec), stat)),
        _ => Err(unexpected()),
    }
}
