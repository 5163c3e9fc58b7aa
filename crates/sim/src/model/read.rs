//! What a read must answer at a zxid (`client-protocol.md` 3.7, 3.9, 5.5).

use rookeeper_proto::acl::{ADMIN, Id, READ};
use rookeeper_proto::client::{MultiOp, MultiResult, Request, Response};
use rookeeper_proto::create_mode::OwnerKind;
use rookeeper_proto::{SessionId, Zxid};

use super::access;
use super::tree::{Model, Node};
use super::watches::ConnWatches;

/// Who reads.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// Session.
    pub session: SessionId,
    /// Identities when the request was sent.
    pub ids: &'a [Id],
    /// State that answers.
    pub zxid: Zxid,
    /// The connection's watches at that moment.
    pub watches: &'a ConnWatches,
}

const NO_NODE: i32 = -101;
const NO_AUTH: i32 = -102;
const NO_WATCHER: i32 = -121;
const MARSHALLING: i32 = -5;

impl Model {
    fn readable(&self, r: &Reader<'_>, path: Option<&str>) -> Result<&Node, i32> {
        let node = self.at(path.ok_or(MARSHALLING)?, r.zxid).ok_or(NO_NODE)?;
        if access::may(&node.acl, READ, r.ids) { Ok(node) } else { Err(NO_AUTH) }
    }

    fn names(node: &Node) -> Vec<String> {
        node.children.iter().cloned().collect()
    }

    /// The reply to a read: an error code or the body, names sorted.
    pub fn answer<'m>(
        &'m self,
        r: &Reader<'_>,
        request: &Request<'_>,
    ) -> Result<Response<'m>, i32> {
        Ok(match request {
            Request::Exists(q) => Response::Stat(self.stat(self.readable(r, q.path.as_deref())?)),
            Request::GetData(q) => {
                let node = self.readable(r, q.path.as_deref())?;
                Response::Data(node.data.as_deref(), self.stat(node))
            }
            Request::GetChildren(q) => {
                Response::Names(Self::names(self.readable(r, q.path.as_deref())?))
            }
            Request::GetChildren2(q) => {
                let node = self.readable(r, q.path.as_deref())?;
                Response::NamesStat(Self::names(node), self.stat(node))
            }
            Request::GetAcl(path) => {
                let path = path.as_deref().ok_or(MARSHALLING)?;
                let node = self.at(path, r.zxid).ok_or(NO_NODE)?;
                if !access::may(&node.acl, READ | ADMIN, r.ids) {
                    return Err(NO_AUTH);
                }
                Response::Acl(access::shown(&node.acl, r.ids), self.stat(node))
            }
            Request::GetAllChildrenNumber(path) => {
                self.readable(r, path.as_deref())?;
                let count = self.descendants(path.as_deref().unwrap_or("/"), r.zxid);
                Response::Number(count as i32)
            }
            Request::GetEphemerals(prefix) => {
                let prefix = prefix.as_deref().unwrap_or("");
                let all = prefix.trim().is_empty() || prefix == "/";
                let mine = self.all_at(r.zxid).filter(|(path, node)| {
                    self.owner(node) == OwnerKind::Ephemeral
                        && node.stat.ephemeral_owner == r.session.0
                        && (all || path.starts_with(prefix))
                });
                Response::Names(mine.map(|(path, _)| path.to_owned()).collect())
            }
            Request::Sync(path) => Response::Path(path.as_deref().unwrap_or("").to_owned()),
            Request::WhoAmI => {
                let user = |id: &Id| Id {
                    scheme: id.scheme.clone(),
                    id: match id.scheme.as_str() {
                        "digest" => id.id.split(':').next().unwrap_or("").to_owned(),
                        _ => id.id.clone(),
                    },
                };
                let mut list: Vec<Id> = r.ids.iter().map(user).collect();
                list.sort();
                Response::Identities(list)
            }
            Request::MultiRead(ops) => {
                let results = ops.iter().map(|op| self.answer_part(r, op));
                Response::Multi(results.collect::<Result<_, _>>()?)
            }
            Request::AddWatch(w) => {
                w.path.as_deref().ok_or(MARSHALLING)?;
                Response::Number(if matches!(w.kind, 0 | 1) { 0 } else { return Err(MARSHALLING) })
            }
            Request::CheckWatches(w) | Request::RemoveWatches(w) => {
                let path = w.path.as_deref().ok_or(MARSHALLING)?;
                if !(1..=5).contains(&w.kind) {
                    return Err(MARSHALLING);
                }
                if !r.watches.holds(path, w.kind) {
                    return Err(NO_WATCHER);
                }
                Response::Empty
            }
            Request::Ping | Request::SetWatches(_) | Request::SetWatches2(_) => Response::Empty,
            _ => return Err(-6),
        })
    }

    fn answer_part<'m>(&'m self, r: &Reader<'_>, op: &MultiOp<'_>) -> Result<MultiResult<'m>, i32> {
        let (path, is_data) = match op {
            MultiOp::GetData(q) => (&q.path, true),
            MultiOp::GetChildren(q) => (&q.path, false),
            _ => return Err(MARSHALLING),
        };
        Ok(match self.readable(r, path.as_deref()) {
            Ok(node) if is_data => MultiResult::Data(node.data.as_deref(), self.stat(node)),
            Ok(node) => MultiResult::Names(Self::names(node)),
            Err(MARSHALLING) => return Err(MARSHALLING),
            Err(code) => MultiResult::Error(code),
        })
    }
}

/// Sorts what comes in no particular order, so that replies can be compared.
pub fn sort_names(mut response: Response<'_>) -> Response<'_> {
    match &mut response {
        Response::Names(names) | Response::NamesStat(names, _) => names.sort(),
        Response::Identities(ids) => ids.sort(),
        Response::Multi(results) => {
            for result in results {
                if let MultiResult::Names(names) = result {
                    names.sort();
                }
            }
        }
        _ => {}
    }
    response
}
