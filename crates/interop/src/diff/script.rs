//! What a script consists of, and how its operations look on the wire.

use crate::raw::codes::op;
use crate::raw::{Acl, Frame};

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are those of the protocol's records")]
pub enum Op {
    /// create, create2, createContainer, createTTL.
    Create {
        code: i32,
        path: String,
        data: Option<Vec<u8>>,
        acl: Option<Vec<Acl>>,
        flags: i32,
        ttl: Option<i64>,
    },
    Delete {
        path: String,
        version: i32,
    },
    SetData {
        path: String,
        data: Option<Vec<u8>>,
        version: i32,
    },
    SetAcl {
        path: String,
        acl: Option<Vec<Acl>>,
        version: i32,
    },
    /// exists, getData, getChildren, getChildren2.
    Read {
        code: i32,
        path: String,
        watch: bool,
    },
    /// getACL, sync, getEphemerals, getAllChildrenNumber; also check and deleteContainer inside multi.
    Path {
        code: i32,
        path: String,
    },
    /// check (in multi), checkWatches, removeWatches, addWatch.
    PathInt {
        code: i32,
        path: String,
        number: i32,
    },
    /// multi, multiRead.
    Multi {
        code: i32,
        ops: Vec<Op>,
    },
    /// setWatches, setWatches2; the zxid counts from the script's start.
    SetWatches {
        code: i32,
        zxid: i64,
        lists: Vec<Vec<String>>,
    },
    Auth {
        scheme: String,
        credentials: Option<Vec<u8>>,
    },
    Sasl {
        token: Vec<u8>,
    },
    Reconfig {
        joining: Option<String>,
        leaving: Option<String>,
        members: Option<String>,
        version: i64,
    },
    WhoAmI,
    Ping,
    CloseSession,
    /// A body that does not fit its operation code.
    Malformed {
        code: i32,
        body: Vec<u8>,
    },
}

/// One step of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number in the script, which names it for the shrinker.
    pub number: usize,
    /// Which session acts.
    pub session: usize,
    /// What it does.
    pub action: Action,
}

/// What a session does in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Opens a new session.
    Open {
        /// The timeout asked for.
        timeout_ms: i32,
        /// The readOnly byte; `None` leaves it out.
        read_only: Option<bool>,
    },
    /// Sends requests in one go and waits for all replies.
    Batch(Vec<Numbered>),
    /// Closes the TCP connection; the session lives on.
    Drop,
    /// Connects again to the session, dropping the connection it has unless `steal`.
    Resume {
        /// Connects while the old connection still stands, which the server then closes.
        steal: bool,
        /// Sends a wrong password.
        wrong_password: bool,
        /// Claims to have seen a zxid the server has not reached.
        ahead: bool,
    },
}

/// A request with the number that names it for the shrinker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// Its number in the script.
    pub number: usize,
    /// The request.
    pub op: Op,
}

/// A whole script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The znode everything happens under.
    pub root: String,
    /// How many sessions take part.
    pub sessions: usize,
    /// What happens.
    pub steps: Vec<Step>,
    /// How many requests and steps have numbers.
    pub numbers: usize,
}

impl Script {
    /// The script without the requests and steps with these numbers.
    #[must_use]
    pub fn without(mut self, removed: &std::collections::BTreeSet<usize>) -> Self {
        for step in &mut self.steps {
            if let Action::Batch(ops) = &mut step.action {
                ops.retain(|numbered| !removed.contains(&numbered.number));
            }
        }
        self.steps.retain(|step| match &step.action {
            Action::Batch(ops) => !ops.is_empty(),
            _ => !removed.contains(&step.number),
        });
        self
    }

    /// The number of requests.
    pub fn requests(&self) -> usize {
        let count = |step: &Step| match &step.action {
            Action::Batch(ops) => ops.len(),
            _ => 1,
        };
        self.steps.iter().map(count).sum()
    }
}

impl Op {
    /// The operation code.
    pub fn code(&self) -> i32 {
        match self {
            Self::Create { code, .. }
            | Self::Read { code, .. }
            | Self::Path { code, .. }
            | Self::PathInt { code, .. }
            | Self::Multi { code, .. }
            | Self::SetWatches { code, .. }
            | Self::Malformed { code, .. } => *code,
            Self::Delete { .. } => op::DELETE,
            Self::SetData { .. } => op::SET_DATA,
            Self::SetAcl { .. } => op::SET_ACL,
            Self::Auth { .. } => op::AUTH,
            Self::Sasl { .. } => op::SASL,
            Self::Reconfig { .. } => op::RECONFIG,
            Self::WhoAmI => op::WHO_AM_I,
            Self::Ping => op::PING,
            Self::CloseSession => op::CLOSE_SESSION,
        }
    }

    /// Whether it may arm a watch.
    pub fn may_watch(&self) -> bool {
        match self {
            Self::Read { watch, .. } => *watch,
            Self::SetWatches { .. } | Self::Malformed { .. } => true,
            Self::PathInt { code, .. } => *code == op::ADD_WATCH,
            _ => false,
        }
    }

    /// Whether it may change the tree.
    pub fn may_write(&self) -> bool {
        match self {
            Self::Create { .. }
            | Self::Delete { .. }
            | Self::SetData { .. }
            | Self::SetAcl { .. }
            | Self::Reconfig { .. }
            | Self::CloseSession
            | Self::Malformed { .. } => true,
            Self::Multi { code, .. } => *code == op::MULTI,
            _ => false,
        }
    }

    /// The payload; zxids count from `base_zxid`.
    pub fn payload(&self, xid: i32, base_zxid: i64) -> Vec<u8> {
        let xid = match self {
            Self::Ping => -2,
            Self::Auth { .. } => -4,
            _ => xid,
        };
        self.body(Frame::request(xid, self.code()), base_zxid).done()
    }

    /// The body alone, which is also what stands inside a multi.
    pub fn body(&self, frame: Frame, base_zxid: i64) -> Frame {
        match self {
            Self::Create { path, data, acl, flags, ttl, .. } => {
                let frame = frame.str(path).buffer(data.as_deref()).acl(acl.as_deref()).int(*flags);
                ttl.iter().fold(frame, |frame, &ttl| frame.long(ttl))
            }
            Self::Delete { path, version } => frame.str(path).int(*version),
            Self::SetData { path, data, version } => {
                frame.str(path).buffer(data.as_deref()).int(*version)
            }
            Self::SetAcl { path, acl, version } => {
                frame.str(path).acl(acl.as_deref()).int(*version)
            }
            Self::Read { path, watch, .. } => frame.str(path).bool(*watch),
            Self::Path { path, .. } => frame.str(path),
            Self::PathInt { path, number, .. } => frame.str(path).int(*number),
            Self::Multi { ops, .. } => {
                let frame = ops
                    .iter()
                    .fold(frame, |frame, sub| sub.body(frame.multi_op(sub.code()), base_zxid));
                frame.multi_end()
            }
            Self::SetWatches { zxid, lists, .. } => {
                let frame = frame.long(base_zxid + zxid);
                lists.iter().fold(frame, |frame, list| frame.strs(list))
            }
            Self::Auth { scheme, credentials } => {
                frame.int(0).str(scheme).buffer(credentials.as_deref())
            }
            Self::Sasl { token } => frame.buffer(Some(token)),
            Self::Reconfig { joining, leaving, members, version } => {
                let frame = frame.opt_str(joining.as_deref()).opt_str(leaving.as_deref());
                frame.opt_str(members.as_deref()).long(*version)
            }
            Self::WhoAmI | Self::Ping | Self::CloseSession => frame,
            Self::Malformed { body, .. } => frame.raw(body),
        }
    }
}
