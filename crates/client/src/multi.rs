//! Several operations in one request: transactions, and reads at one point in time.

use rookeeper_proto::client::request::{Create, PathVersion, PathWatch, SetData};
use rookeeper_proto::client::{MultiOp, MultiResult, Request, Response};
use rookeeper_proto::{CreateMode, ErrorCode, Stat};

use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::{Data, version};
use crate::options::{self, CreateOptions};
use crate::session::WatchChange;

/// The result of one operation of a committed [`Transaction`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpResult {
    /// A create: the path and the stat.
    Created(String, Stat),
    /// A delete.
    Deleted,
    /// A set: the stat.
    Set(Stat),
    /// A check.
    Checked,
}

enum Op {
    Create(String, Vec<u8>, CreateOptions),
    Delete(String, i32),
    Set(String, Vec<u8>, i32),
    Check(String, i32),
}

/// Writes that happen all or not at all.
///
/// ```no_run
/// # async fn example(client: rookeeper_client::Client) -> rookeeper_client::Result<()> {
/// use rookeeper_client::CreateOptions;
///
/// let results = client
///     .transaction()
///     .check("/lock/holder-0000000007", None)
///     .set("/config", b"new", Some(3))
///     .create("/log/entry-", b"changed", &CreateOptions::persistent_sequential())
///     .commit()
///     .await?;
/// assert_eq!(results.len(), 3);
/// # Ok(()) }
/// ```
#[must_use = "a transaction does nothing until committed"]
pub struct Transaction<'c> {
    client: &'c Client,
    ops: Vec<Op>,
    /// The first operation that cannot be sent.
    bad: Option<Error>,
}

impl std::fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction").field("operations", &self.ops.len()).finish()
    }
}

impl<'c> Transaction<'c> {
    pub(crate) fn new(client: &'c Client) -> Self {
        Self { client, ops: Vec::new(), bad: None }
    }

    fn push(mut self, path: Result<String>, op: impl FnOnce(String) -> Op) -> Self {
        match path {
            Ok(path) => self.ops.push(op(path)),
            Err(error) if self.bad.is_none() => {
                self.bad = Some(error.at_operation(self.ops.len()));
            }
            Err(_) => {}
        }
        self
    }

    /// Creates a node.
    pub fn create(self, path: &str, data: &[u8], options: &CreateOptions) -> Self {
        let server_path = self.client.create_path(path, options);
        self.push(server_path, |path| Op::Create(path, data.to_vec(), options.clone()))
    }

    /// Deletes a node, if `expected` is its version or `None`.
    pub fn delete(self, path: &str, expected: Option<i32>) -> Self {
        let server_path = self.client.server_path(path);
        self.push(server_path, |path| Op::Delete(path, version(expected)))
    }

    /// Sets a node's data, if `expected` is its version or `None`.
    pub fn set(self, path: &str, data: &[u8], expected: Option<i32>) -> Self {
        let server_path = self.client.server_path(path);
        self.push(server_path, |path| Op::Set(path, data.to_vec(), version(expected)))
    }

    /// Requires a node to exist, and `expected` to be its version unless `None`.
    pub fn check(self, path: &str, expected: Option<i32>) -> Self {
        let server_path = self.client.server_path(path);
        self.push(server_path, |path| Op::Check(path, version(expected)))
    }

    /// Sends it. On an error of the server nothing has happened, and [`Error::operation`] says
    /// which operation was the reason.
    pub async fn commit(self) -> Result<Vec<OpResult>> {
        if let Some(error) = self.bad {
            return Err(error);
        }
        let request = Request::Multi(self.ops.iter().map(|op| wire(self.client, op)).collect());
        let reply = self.client.request(&request, WatchChange::None, None).await?;
        let Response::Multi(results) = Client::decode(&request, &reply)? else {
            return Err(Error::of_kind(ErrorKind::Malformed));
        };
        let failed = results.iter().enumerate().find_map(|(at, result)| match result {
            MultiResult::Error(code)
                if *code != 0 && *code != ErrorCode::RuntimeInconsistency.as_i32() =>
            {
                Some((at, *code))
            }
            _ => None,
        });
        if let Some((at, code)) = failed {
            let error = Error::server(code).at_operation(at);
            return Err(match self.ops.get(at) {
                Some(op) => error.with_path(self.client.chroot().to_client(op.path())),
                None => error,
            });
        }
        if results.len() != self.ops.len() {
            return Err(Error::of_kind(ErrorKind::Malformed)
                .with_message("the server answered another number of results"));
        }
        results.into_iter().map(|result| self.result(result)).collect()
    }

    fn result(&self, result: MultiResult<'_>) -> Result<OpResult> {
        let to_client = |path: &str| self.client.chroot().to_client(path).to_owned();
        Ok(match result {
            MultiResult::Path(path) => OpResult::Created(to_client(&path), Stat::default()),
            MultiResult::PathStat(path, stat) => OpResult::Created(to_client(&path), stat),
            MultiResult::Deleted => OpResult::Deleted,
            MultiResult::Stat(stat) => OpResult::Set(stat),
            MultiResult::Checked => OpResult::Checked,
            MultiResult::Data(..) | MultiResult::Names(_) | MultiResult::Error(_) => {
                return Err(Error::of_kind(ErrorKind::Malformed));
            }
        })
    }
}

impl Op {
    fn path(&self) -> &str {
        match self {
            Self::Create(path, ..)
            | Self::Delete(path, _)
            | Self::Set(path, ..)
            | Self::Check(path, _) => path,
        }
    }
}

fn wire<'a>(client: &'a Client, op: &'a Op) -> MultiOp<'a> {
    let path = Some(op.path().into());
    match op {
        Op::Create(_, data, options) => {
            let create = Create {
                path,
                data: (!options.null_data).then_some(data),
                acls: Some(options::to_request(client.acl_of(options))),
                flags: options.mode.flags(),
                ttl_ms: options.ttl_ms,
            };
            match options.mode {
                CreateMode::Container => MultiOp::CreateContainer(create),
                mode if mode.is_ttl() => MultiOp::CreateTtl(create),
                _ => MultiOp::Create2(create),
            }
        }
        Op::Delete(_, version) => MultiOp::Delete(PathVersion { path, version: *version }),
        Op::Set(_, data, version) => {
            MultiOp::SetData(SetData { path, data: Some(data), version: *version })
        }
        Op::Check(_, version) => MultiOp::Check(PathVersion { path, version: *version }),
    }
}

/// The result of one operation of a [`MultiRead`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadResult {
    /// A node's data and stat.
    Data(Data, Stat),
    /// A node's children.
    Children(Vec<String>),
}

/// Reads at one point in time; each succeeds or fails by itself.
#[must_use = "nothing is read until sent"]
pub struct MultiRead<'c> {
    client: &'c Client,
    /// Whether it asks for data, else for children.
    ops: Vec<(bool, String)>,
    bad: Option<Error>,
}

impl std::fmt::Debug for MultiRead<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MultiRead").field("operations", &self.ops.len()).finish()
    }
}

impl<'c> MultiRead<'c> {
    pub(crate) fn new(client: &'c Client) -> Self {
        Self { client, ops: Vec::new(), bad: None }
    }

    fn push(mut self, is_data: bool, path: &str) -> Self {
        match self.client.server_path(path) {
            Ok(path) => self.ops.push((is_data, path)),
            Err(error) if self.bad.is_none() => {
                self.bad = Some(error.at_operation(self.ops.len()));
            }
            Err(_) => {}
        }
        self
    }

    /// Reads a node's data.
    pub fn get(self, path: &str) -> Self {
        self.push(true, path)
    }

    /// Reads a node's children.
    pub fn children(self, path: &str) -> Self {
        self.push(false, path)
    }

    /// Sends it.
    pub async fn send(self) -> Result<Vec<Result<ReadResult>>> {
        if let Some(error) = self.bad {
            return Err(error);
        }
        let ops = self.ops.iter().map(|(is_data, path)| {
            let read = PathWatch { path: Some(path.into()), watch: false };
            if *is_data { MultiOp::GetData(read) } else { MultiOp::GetChildren(read) }
        });
        let request = Request::MultiRead(ops.collect());
        let reply = self.client.request(&request, WatchChange::None, None).await?;
        let Response::Multi(results) = Client::decode(&request, &reply)? else {
            return Err(Error::of_kind(ErrorKind::Malformed));
        };
        if results.len() != self.ops.len() {
            return Err(Error::of_kind(ErrorKind::Malformed)
                .with_message("the server answered another number of results"));
        }
        let read = |(result, (_, path)): (MultiResult<'_>, &(bool, String))| match result {
            MultiResult::Data(data, stat) => Ok(ReadResult::Data(data.map(<[u8]>::to_vec), stat)),
            MultiResult::Names(names) => Ok(ReadResult::Children(names)),
            MultiResult::Error(code) => {
                Err(Error::server(code).with_path(self.client.chroot().to_client(path)))
            }
            _ => Err(Error::of_kind(ErrorKind::Malformed)),
        };
        Ok(results.into_iter().zip(&self.ops).map(read).collect())
    }
}
