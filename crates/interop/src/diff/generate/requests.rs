//! Chooses requests, guided by a rough model of the script's tree.

use super::model::Model;
use super::values;
use crate::diff::profile::Profile;
use crate::diff::rng::Rng;
use crate::diff::script::Op;
use crate::raw::codes::op;
use crate::raw::{Acl, Frame};

/// From this many nodes on, more is deleted than created.
const NODES_MOST: usize = 50;
const MULTI_MOST: usize = 8;

/// Makes one request after the other.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    root: String,
    profile: Profile,
    quotas: bool,
    model: Model,
    writes: i64,
}

impl Requests {
    pub(super) fn new(root: &str, profile: Profile, quotas: bool) -> Self {
        let model = Model::new(root, profile.has_ttl());
        Self { root: root.to_owned(), profile, quotas, model, writes: 0 }
    }

    /// A session was closed.
    pub(super) fn closed(&mut self, session: usize) {
        self.model.closed(session);
    }

    pub(super) fn credentials(&self, rng: &mut Rng, surely: bool) -> (String, Option<Vec<u8>>) {
        let good: &[&str] = if self.profile.has_superuser() {
            &["alice:a", "bob:b", "bob:b", "super:test", "super:wrong", "nocolon", ":"]
        } else {
            &["alice:a", "bob:b", "nocolon"]
        };
        if surely || rng.percent(85) {
            let name = good[rng.below(good.len())];
            return ("digest".to_owned(), Some(name.as_bytes().to_vec()));
        }
        match rng.below(4) {
            0 => ("digest".to_owned(), None),
            1 => ("ip".to_owned(), Some(b"10.0.0.1".to_vec())),
            2 => ("world".to_owned(), Some(b"anyone".to_vec())),
            _ => ("nonsense".to_owned(), Some(b"x".to_vec())),
        }
    }

    /// A request of any kind that may stand anywhere in a batch.
    pub(super) fn any(&mut self, rng: &mut Rng, session: usize) -> Op {
        let full = self.model.len() > NODES_MOST;
        let (creates, deletes) = if full { (120, 240) } else { (240, 80) };
        let quotas = if self.quotas { 40 } else { 0 };
        let weights = [creates, deletes, 120, 40, 300, 60, 60, 90, 40, 30, 15, 25, 12, 4, quotas];
        let made = match rng.weighted(&weights) {
            0 => self.create(rng, false),
            1 => self.delete(rng),
            2 => self.set_data(rng),
            3 => self.set_acl(rng),
            4 => self.read(rng),
            5 => self.path_op(rng),
            6 => self.watch_op(rng),
            7 => self.multi(rng, session),
            8 => self.multi_read(rng),
            9 => self.set_watches(rng),
            10 => Op::WhoAmI,
            11 => Op::Ping,
            12 => self.malformed(rng, session),
            13 => Self::reconfig(rng),
            _ => self.quota(rng),
        };
        self.model.apply(&made, session);
        self.writes += i64::from(made.may_write());
        made
    }

    fn existing(&self, rng: &mut Rng) -> String {
        let index = rng.below(self.model.len().max(1));
        self.model.paths().nth(index).cloned().unwrap_or_else(|| self.root.clone())
    }

    /// A node that can probably have children.
    fn parent(&self, rng: &mut Rng) -> String {
        let able: Vec<&String> = self.model.parents().collect();
        match able.get(rng.below(able.len().max(1))) {
            Some(&path) => path.clone(),
            None => self.root.clone(),
        }
    }

    fn leaf(&self, rng: &mut Rng) -> Option<String> {
        let leaves: Vec<&String> = self.model.leaves().filter(|path| **path != self.root).collect();
        leaves.get(rng.below(leaves.len().max(1))).map(|&path| path.clone())
    }

    fn path(&self, rng: &mut Rng) -> String {
        match rng.weighted(&[80, 10, 4, 4]) {
            0 => self.existing(rng),
            1 => format!("{}/{}", self.existing(rng), rng.pick(values::NAMES)),
            2 => format!("{}/none/{}", self.root, rng.pick(values::NAMES)),
            _ => {
                let ending = *rng.pick(values::ODD_PATHS);
                match ending.strip_prefix('~') {
                    Some(ending) => format!("{}{ending}", self.existing(rng)),
                    // It holds the ports of each server's own ensemble.
                    None if self.profile.is_quorum() && ending.ends_with("config") => {
                        "/".to_owned()
                    }
                    None => ending.to_owned(),
                }
            }
        }
    }

    /// A path that comes back as it is, without being looked at: Apache writes characters beyond
    /// U+FFFF as two surrogates of three bytes each, which is not UTF-8 (a row of COMPAT.md).
    fn echoed_path(&self, rng: &mut Rng) -> String {
        self.path(rng).chars().filter(|&c| c <= '\u{ffff}').collect()
    }

    /// A path below the root, so that a change to it cannot spoil the rest of the run.
    fn own_path(&self, rng: &mut Rng) -> String {
        let path = self.path(rng);
        if path.starts_with(&self.root) { path } else { format!("{}/a", self.root) }
    }

    /// A version for a write to `path`.
    fn version(&self, rng: &mut Rng, path: &str) -> i32 {
        match rng.weighted(&[55, 30, 10, 5]) {
            0 => -1,
            1 => self.model.version(path).unwrap_or(0),
            2 => i32::try_from(rng.below(4)).expect("below four"),
            _ => *rng.pick(&[-2, i32::MAX, i32::MIN, 100]),
        }
    }

    fn create(&self, rng: &mut Rng, in_multi: bool) -> Op {
        let code = match (rng.weighted(&[50, 25, 10, 15]), self.profile.has_ttl()) {
            (0, _) => op::CREATE,
            (1, _) => op::CREATE2,
            (2, _) => op::CREATE_CONTAINER,
            (_, true) => op::CREATE_TTL,
            _ => *rng.pick(&[op::CREATE, op::CREATE, op::CREATE, op::CREATE_TTL]),
        };
        let clean = rng.percent(if in_multi { 92 } else { 75 });
        let flags = Self::flags(rng, code, clean);
        let path = self.new_path(rng, clean);
        let ttl = (code == op::CREATE_TTL).then(|| {
            if (0..5).contains(&flags) {
                // A negative time to live with these flags outside a multi ends Apache for good.
                if in_multi && rng.percent(70) { -1 } else { 5 }
            } else {
                *rng.pick(if clean { values::GOOD_TTLS } else { values::TTLS })
            }
        });
        let acl = match rng.below(100) {
            0..85 => Some(Acl::open()),
            _ if clean => values::good_acl(rng),
            _ => values::acl(rng),
        };
        Op::Create { code, path, data: values::data(rng), acl, flags, ttl }
    }

    fn new_path(&self, rng: &mut Rng, clean: bool) -> String {
        if !clean {
            let name = format!("{}/{}", self.existing(rng), rng.pick(values::NAMES));
            return if rng.percent(60) { name } else { self.own_path(rng) };
        }
        let mut path = String::new();
        for _ in 0..4 {
            path = format!("{}/{}", self.parent(rng), rng.pick(values::NAMES));
            if !self.model.has(&path) {
                break;
            }
        }
        path
    }

    fn flags(rng: &mut Rng, code: i32, clean: bool) -> i32 {
        if !clean && rng.percent(15) {
            return *rng.pick(&[4, 5, 6, 7, -1, 0, 1, 2, 3]);
        }
        match code {
            op::CREATE_CONTAINER => 4,
            op::CREATE_TTL => *rng.pick(&[5, 6]),
            _ => *rng.pick(&[0, 0, 0, 0, 1, 1, 2, 3]),
        }
    }

    fn delete(&self, rng: &mut Rng) -> Op {
        let path = match self.leaf(rng) {
            Some(path) if rng.percent(60) => path,
            _ => self.path(rng),
        };
        if path == self.root && rng.percent(98) {
            return Op::Ping;
        }
        let version = if rng.percent(60) { -1 } else { self.version(rng, &path) };
        Op::Delete { path, version }
    }

    fn set_data(&self, rng: &mut Rng) -> Op {
        let path = self.path(rng);
        let (data, version) = (values::data(rng), self.version(rng, &path));
        Op::SetData { path, data, version }
    }

    fn set_acl(&self, rng: &mut Rng) -> Op {
        let path = if rng.percent(70) { self.existing(rng) } else { self.own_path(rng) };
        let path = if path == self.root { format!("{path}/a") } else { path };
        let acl = if rng.percent(50) { Some(Acl::open()) } else { values::acl(rng) };
        let version = *rng.pick(&[-1, -1, -1, 0, 0, 1, 7]);
        Op::SetAcl { path, acl, version }
    }

    fn read(&self, rng: &mut Rng) -> Op {
        let codes = [op::EXISTS, op::GET_DATA, op::GET_CHILDREN, op::GET_CHILDREN2];
        Op::Read { code: *rng.pick(&codes), path: self.path(rng), watch: rng.percent(40) }
    }

    fn path_op(&self, rng: &mut Rng) -> Op {
        let codes = [op::GET_ACL, op::SYNC, op::GET_EPHEMERALS, op::GET_ALL_CHILDREN_NUMBER];
        let code = *rng.pick(&codes);
        let path = match code {
            op::GET_EPHEMERALS if rng.percent(40) => "/".to_owned(),
            op::SYNC => self.echoed_path(rng),
            _ => self.path(rng),
        };
        Op::Path { code, path }
    }

    fn watch_op(&self, rng: &mut Rng) -> Op {
        let path = self.path(rng);
        let code = *rng.pick(&[op::ADD_WATCH, op::CHECK_WATCHES, op::REMOVE_WATCHES]);
        let number = if rng.percent(4) {
            *rng.pick(&[-1, 0, 2, 6, 7])
        } else if code == op::ADD_WATCH {
            *rng.pick(&[0, 1])
        } else {
            *rng.pick(&[1, 2, 3, 4, 5])
        };
        Op::PathInt { code, path, number }
    }

    fn multi(&self, rng: &mut Rng, session: usize) -> Op {
        let size = rng.below(MULTI_MOST + 1);
        let clean = rng.percent(65);
        // Later operations of a multi see what the earlier ones did.
        let mut inner = self.clone();
        let ops = (0..size).map(|_| {
            let mut sub = inner.sub_op(rng, clean);
            for _ in 0..4 {
                if !clean || inner.model.clone().apply(&sub, session) {
                    break;
                }
                sub = inner.sub_op(rng, clean);
            }
            inner.model.apply(&sub, session);
            sub
        });
        let mut ops: Vec<Op> = ops.collect();
        if self.profile == Profile::LocalSessions {
            ops.retain(is_decodable);
        }
        Op::Multi { code: op::MULTI, ops }
    }

    fn sub_op(&self, rng: &mut Rng, clean: bool) -> Op {
        match (rng.weighted(&[50, 15, 20, 14, 1]), clean) {
            (0, _) => self.create(rng, true),
            (1, true) => Op::Delete {
                path: self.leaf(rng).unwrap_or_else(|| format!("{}/a", self.root)),
                version: -1,
            },
            (1, false) => {
                let path = self.own_path(rng);
                let version = if rng.percent(80) { -1 } else { self.version(rng, &path) };
                Op::Delete { path, version }
            }
            (2, true) | (4.., true) => {
                Op::SetData { path: self.parent(rng), data: values::data(rng), version: -1 }
            }
            (2, false) => self.set_data(rng),
            (3, _) => {
                let path = if clean { self.parent(rng) } else { self.path(rng) };
                let number = self.version(rng, &path);
                Op::PathInt { code: op::CHECK, path, number }
            }
            _ => {
                let code = *rng.pick(&[op::GET_DATA, op::GET_CHILDREN, op::SET_ACL, op::SYNC]);
                Op::Read { code, path: self.path(rng), watch: false }
            }
        }
    }

    fn multi_read(&self, rng: &mut Rng) -> Op {
        let size = rng.below(MULTI_MOST + 1);
        let ops = (0..size).map(|_| {
            let code = if rng.once_in(60) {
                *rng.pick(&[op::EXISTS, op::DELETE])
            } else {
                *rng.pick(&[op::GET_DATA, op::GET_CHILDREN])
            };
            match code {
                op::DELETE => Op::Delete { path: self.own_path(rng), version: -1 },
                _ => Op::Read { code, path: self.path(rng), watch: rng.percent(20) },
            }
        });
        Op::Multi { code: op::MULTI_READ, ops: ops.collect() }
    }

    fn set_watches(&self, rng: &mut Rng) -> Op {
        let code = *rng.pick(&[op::SET_WATCHES, op::SET_WATCHES2]);
        let count = if code == op::SET_WATCHES { 3 } else { 5 };
        let lists = (0..count)
            .map(|_| {
                let size = rng.below(4);
                (0..size).map(|_| self.echoed_path(rng)).collect()
            })
            .collect();
        let span = usize::try_from(self.writes).unwrap_or(0) + 20;
        let zxid = i64::try_from(rng.below(span)).expect("a script is short");
        Op::SetWatches { code, zxid, lists }
    }

    fn malformed(&self, rng: &mut Rng, session: usize) -> Op {
        // A write that does not decode makes Apache's leader propose a zxid twice and hang for good.
        let kinds = if self.profile.is_quorum() { 4..7 } else { 0..8 };
        let whole = match kinds.start + rng.below(kinds.len()) {
            0 => self.create(rng, false),
            1 => Op::Delete { path: self.own_path(rng), version: 77 },
            2 => self.set_data(rng),
            3 => self.set_acl(rng),
            4 => self.read(rng),
            5 => self.path_op(rng),
            6 => self.watch_op(rng),
            _ => self.multi(rng, session),
        };
        let body = whole.body(Frame::new(), 0).done();
        let length = rng.below(body.len().max(1));
        Op::Malformed { code: whole.code(), body: body.into_iter().take(length).collect() }
    }

    /// A reconfig that fails; one that succeeds would answer with the ensemble's ports.
    fn reconfig(rng: &mut Rng) -> Op {
        let (joining, leaving, members, version) = match rng.below(7) {
            0 => (Some("server.9=127.0.0.1:1:2:participant;3"), None, None, -1),
            1 => (Some("server.9=127.0.0.1:1:2:participant;3"), None, None, 0),
            2 => (Some("server.9"), None, None, -1),
            3 => (None, Some("one"), None, -1),
            4 => (None, Some("1"), None, -1),
            5 => (None, None, Some("server.9=nonsense"), -1),
            _ => (None, None, Some("server.9=127.0.0.1:1:2:participant;3"), 7),
        };
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let (joining, leaving, members) = (owned(joining), owned(leaving), owned(members));
        Op::Reconfig { joining, leaving, members, version }
    }

    /// One of the requests around a quota of the root or of a node below it.
    fn quota(&self, rng: &mut Rng) -> Op {
        let below = if rng.percent(70) { String::new() } else { "/a".to_owned() };
        let node = format!("/zookeeper/quota{}{below}", self.root);
        let (limits, stats) =
            (format!("{node}/zookeeper_limits"), format!("{node}/zookeeper_stats"));
        let create = |path: String, data: &[u8]| {
            let (data, acl) = (Some(data.to_vec()), Some(Acl::open()));
            Op::Create { code: op::CREATE, path, data, acl, flags: 0, ttl: None }
        };
        match rng.weighted(&[20, 30, 20, 10, 4, 4, 20]) {
            0 => create(node, b""),
            1 => create(limits, values::limits(rng).as_bytes()),
            2 => create(stats, b"count=0,bytes=0"),
            3 => {
                let data = Some(values::limits(rng).into_bytes());
                Op::SetData { path: limits, data, version: -1 }
            }
            4 => Op::Delete { path: limits, version: -1 },
            5 => Op::Delete { path: stats, version: -1 },
            _ => Op::Read { code: op::GET_DATA, path: stats, watch: rng.percent(30) },
        }
    }
}

/// Whether Apache can decode it as a part of a multi. Of a multi of a local session that it cannot decode
/// its leader executes what comes before that part: it looks for ephemerals first and keeps what it had.
fn is_decodable(part: &Op) -> bool {
    match part {
        Op::Create { acl, flags, .. } => acl.is_some() && (0..=4).contains(flags),
        Op::Read { .. } => false,
        _ => true,
    }
}
