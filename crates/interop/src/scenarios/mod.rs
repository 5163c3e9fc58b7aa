//! The scenarios captured from Apache as goldens: every opcode, and each error a standalone server gives.
//!
//! Three files, one per configuration, each a list of scenarios with a root znode of its own.

mod access;
mod forms;
mod nodes;
mod sessions;
mod watches;

use crate::describe::hex;
use crate::golden::Recorder;
use crate::raw::codes::{op, op_name};
use crate::raw::{Acl, Frame};
use crate::{Flavour, HarnessError, Result, Server, golden};

/// Appends a request's body.
type Body = fn(Frame) -> Frame;

/// A set of scenarios that need the same configuration.
#[derive(Clone, Copy, Debug)]
pub struct Suite {
    /// The golden file's name, without `.txt`.
    pub name: &'static str,
    settings: &'static str,
    record: fn(&mut Scribe) -> Result<()>,
}

/// All sets.
pub const SUITES: &[Suite] = &[
    Suite { name: "default", settings: "% set maxSessionTimeout 40000\n", record: default_suite },
    Suite {
        name: "extended",
        settings: "% set extendedTypesEnabled true\n% set enforceQuota true\n\
                   % set reconfigEnabled true\n\
                   % property zookeeper.DigestAuthenticationProvider.superDigest \
                   super:D/InIHSb7yEEbrWz8b9l71RjZJU=\n\
                   % property znode.container.checkIntervalMs 3600000\n",
        record: extended_suite,
    },
    Suite {
        name: "enforce-auth",
        settings: "% set enforce.auth.enabled true\n% set enforce.auth.schemes digest\n",
        record: sessions::enforced_authentication,
    },
];

fn default_suite(scribe: &mut Scribe) -> Result<()> {
    sessions::record(scribe)?;
    nodes::record(scribe)?;
    watches::record(scribe)?;
    access::record(scribe)?;
    forms::record(scribe)
}

fn extended_suite(scribe: &mut Scribe) -> Result<()> {
    nodes::extended(scribe)?;
    access::quotas(scribe)?;
    access::superuser(scribe)
}

impl Suite {
    /// Captures the suite from a fresh server of that flavour.
    pub fn capture(&self, flavour: Flavour) -> Result<String> {
        let server = Server::start(flavour, golden::config_of(self.settings)?)?;
        let head = format!(
            "# Captured from Apache ZooKeeper 3.9.5; see crates/interop/src/golden.rs for the format.\n\
             # Made by: ROOKEEPER_GOLDENS=write cargo test -p rookeeper-interop --features interop \
             --test capture_goldens\n{}",
            self.settings
        );
        let mut scribe = Scribe { recorder: Recorder::new(server.addr(), &head)?, xid: 0 };
        if let Err(error) = (self.record)(&mut scribe) {
            let lines: Vec<&str> = scribe.recorder.text().lines().collect();
            let last = lines.iter().rev().take(6).rev().copied().collect::<Vec<_>>().join("\n");
            return Err(HarnessError::Unexpected(format!("{error}, after:\n{last}")));
        }
        scribe.recorder.finish()
    }
}

/// Records requests with running xids.
#[derive(Debug)]
pub(crate) struct Scribe {
    recorder: Recorder,
    xid: i32,
}

/// A sent payload as text.
fn text(frame: Frame) -> String {
    hex(&frame.done())
}

impl Scribe {
    fn scenario(&mut self, name: &str) -> Result<()> {
        self.xid = 0;
        self.recorder.scenario(name)
    }

    fn next(&mut self, op: i32) -> Frame {
        self.xid += 1;
        Frame::request(self.xid, op)
    }

    /// Opens a new session on connection `on`.
    fn open(&mut self, on: &str) -> Result<()> {
        let request = Frame::connect(0, 30_000, 0, Some(&[0; 16]), Some(false));
        self.recorder.exchange(on, "connect, a new session", &[hex(&request)])
    }

    /// Sends one request and records its answer.
    fn call(
        &mut self,
        on: &str,
        op: i32,
        what: &str,
        body: impl FnOnce(Frame) -> Frame,
    ) -> Result<()> {
        let request = text(body(self.next(op)));
        self.recorder.exchange(on, &format!("{} {what}", op_name(op)), &[request])
    }

    fn create(&mut self, on: &str, path: &str, data: &str, flags: i32) -> Result<()> {
        self.call(on, op::CREATE, &format!("{path:?} {data:?} open, flags {flags}"), |frame| {
            frame.create(path, Some(data.as_bytes()), &Acl::open(), flags)
        })
    }

    fn create_with_acl(&mut self, on: &str, path: &str, acl: &[Acl]) -> Result<()> {
        self.call(on, op::CREATE, &format!("{path:?} acl {acl:?}"), |frame| {
            frame.create(path, Some(b"x"), acl, 0)
        })
    }

    fn delete(&mut self, on: &str, path: &str, version: i32) -> Result<()> {
        self.call(on, op::DELETE, &format!("{path:?} version {version}"), |frame| {
            frame.str(path).int(version)
        })
    }

    fn set(&mut self, on: &str, path: &str, data: &str, version: i32) -> Result<()> {
        self.call(on, op::SET_DATA, &format!("{path:?} {data:?} version {version}"), |frame| {
            frame.str(path).buffer(Some(data.as_bytes())).int(version)
        })
    }

    /// exists, getData, getChildren or getChildren2.
    fn read(&mut self, on: &str, op: i32, path: &str, watch: bool) -> Result<()> {
        let watching = if watch { ", watching" } else { "" };
        self.call(on, op, &format!("{path:?}{watching}"), |frame| frame.str(path).bool(watch))
    }

    /// An operation whose body is one path.
    fn path_op(&mut self, on: &str, op: i32, path: &str) -> Result<()> {
        self.call(on, op, &format!("{path:?}"), |frame| frame.str(path))
    }

    /// An operation whose body is a path and an int.
    fn path_int(&mut self, on: &str, op: i32, path: &str, number: i32) -> Result<()> {
        self.call(on, op, &format!("{path:?} {number}"), |frame| frame.str(path).int(number))
    }

    fn set_acl(&mut self, on: &str, path: &str, acl: &[Acl], version: i32) -> Result<()> {
        self.call(on, op::SET_ACL, &format!("{path:?} {acl:?} version {version}"), |frame| {
            frame.str(path).acl(Some(acl)).int(version)
        })
    }

    fn auth(&mut self, on: &str, scheme: &str, credentials: &str) -> Result<()> {
        let request = hex(&Frame::auth(scheme, credentials.as_bytes()));
        self.recorder.exchange(on, &format!("auth {scheme:?} {credentials:?}"), &[request])
    }

    fn ping(&mut self, on: &str) -> Result<()> {
        self.recorder.exchange(on, "ping", &[hex(&Frame::ping())])
    }
}
