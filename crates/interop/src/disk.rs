//! Data directories written by Apache, small, holding every record type; kept in the repository.
//!
//! Each is made in two rounds around a restart, so that it holds an older snapshot, a newer one in the
//! codec under test, and a log behind each. The server is killed at the end, as after a crash: a session
//! is open, its ephemerals stand, the last log is padded with zeros.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::apache::Generation;
use crate::raw::codes::op;
use crate::raw::{Acl, Frame, RawConnection};
use crate::{Ensemble, Flavour, HarnessError, Member, Result, Server, ServerConfig, dump};

const REAPER_PATIENCE: Duration = Duration::from_secs(120);

/// A data directory to be captured.
#[derive(Clone, Copy, Debug)]
pub struct Capture {
    /// The folder's name under `goldens/disk`.
    pub name: &'static str,
    generation: Generation,
    extended: bool,
    properties: &'static [(&'static str, &'static str)],
    quorum: bool,
}

/// All data directories.
pub const CAPTURES: &[Capture] = &[
    Capture {
        name: "plain",
        generation: Generation::V395,
        extended: true,
        properties: &[],
        quorum: false,
    },
    Capture {
        name: "gz",
        generation: Generation::V395,
        extended: true,
        properties: &[("zookeeper.snapshot.compression.method", "gz")],
        quorum: false,
    },
    Capture {
        name: "snappy",
        generation: Generation::V395,
        extended: true,
        properties: &[("zookeeper.snapshot.compression.method", "snappy")],
        quorum: false,
    },
    Capture {
        name: "plain-types",
        generation: Generation::V395,
        extended: false,
        properties: &[],
        quorum: false,
    },
    Capture {
        name: "no-digest",
        generation: Generation::V395,
        extended: true,
        properties: &[
            ("zookeeper.digest.enabled", "false"),
            ("zookeeper.serializeLastProcessedZxid.enabled", "false"),
        ],
        quorum: false,
    },
    Capture {
        name: "v380",
        generation: Generation::V380,
        extended: true,
        properties: &[],
        quorum: false,
    },
    Capture {
        name: "quorum",
        generation: Generation::V395,
        extended: true,
        properties: &[],
        quorum: true,
    },
];

impl Capture {
    /// The configuration under which the directory can be opened.
    pub fn config(&self) -> ServerConfig {
        let mut config = ServerConfig::new()
            .set("preAllocSize", 16)
            .set("maxSessionTimeout", 900_000)
            .property(dump::SUPER_DIGEST.0, dump::SUPER_DIGEST.1);
        if self.extended {
            config = config.set("extendedTypesEnabled", "true");
        }
        for (name, value) in self.properties {
            config = config.property(name, value);
        }
        config
    }

    /// Makes the directory with the server it is a capture of, and copies it to `to`.
    pub fn make(&self, to: &Path) -> Result<()> {
        self.make_with(Flavour::Apache(self.generation), to).map(drop)
    }

    /// Makes the directory with any server, and copies it to `to`; what a client saw before the kill.
    pub fn make_with(&self, flavour: Flavour, to: &Path) -> Result<String> {
        // Often, so that something is reaped while the capture runs.
        let config = self.config().property("znode.container.checkIntervalMs", 200);
        if self.quorum {
            let config = config.set("reconfigEnabled", "true").set("standaloneEnabled", "false");
            let mut ensemble = Ensemble::start(&[Member::from(flavour); 3], &config)?;
            let leader = ensemble.wait_for_leader()?;
            self.first_round(&ensemble.servers[leader])?;
            reconfigure(&ensemble.servers[leader])?;
            let mut writer = Writer::open(&ensemble.servers[leader])?;
            writer.ok(op::CREATE, |f| f.create("/after-reconfig", None, &Acl::open(), 0))?;
            writer.ok(op::CREATE, |f| f.create("/ephemeral", None, &Acl::open(), 1))?;
            let server = &mut ensemble.servers[leader];
            let seen = dump::client(server.addr())?;
            server.kill();
            return copy(&server.data_dir(), to).map(|()| seen);
        }
        let mut server = Server::start(flavour, config)?;
        self.first_round(&server)?;
        server.stop();
        server.restart()?;
        self.second_round(&server)?;
        let seen = dump::client(server.addr())?;
        server.kill();
        copy(&server.data_dir(), to).map(|()| seen)
    }

    fn first_round(&self, server: &Server) -> Result<()> {
        let mut writer = Writer::open(server)?;
        writer.nodes(self.extended)?;
        writer.multis(self.extended)?;
        writer.errors()?;
        if self.extended {
            writer.wait_until_gone("/reaped-container")?;
            writer.wait_until_gone("/reaped-ttl")?;
        }
        writer.close()
    }

    fn second_round(&self, server: &Server) -> Result<()> {
        let mut gone = Writer::open(server)?;
        gone.ok(op::CREATE, |f| f.create("/ephemeral-gone-1", Some(b"1"), &Acl::open(), 1))?;
        gone.ok(op::CREATE, |f| f.create("/ephemeral-gone-2", None, &Acl::open(), 1))?;
        gone.close()?;
        let mut writer = Writer::open(server)?;
        writer.ok(op::CREATE, |f| f.create("/after", Some(b"after"), &Acl::open(), 0))?;
        writer.ok(op::CREATE, |f| f.create("/ephemeral", Some(b"e"), &Acl::open(), 1))?;
        writer.ok(op::CREATE, |f| f.create("/seq/e-", Some(b"e"), &Acl::open(), 3))?;
        writer.ok(op::SET_DATA, |f| f.str("/plain").buffer(Some(b"second")).int(-1))?;
        writer.ok(op::SET_ACL, |f| f.str("/seq").acl(Some(&acls()[1])).int(-1))?;
        writer.ok(op::DELETE, |f| f.str("/plain/child").int(-1))
    }
}

fn acls() -> [Vec<Acl>; 3] {
    [
        vec![Acl::new(31, "world", "anyone")],
        vec![Acl::new(1, "world", "anyone"), Acl::new(31, "digest", "alice:hash")],
        vec![Acl::new(-1, "ip", "127.0.0.1/8"), Acl::new(0, "digest", "\u{4e2d}:\u{e9}")],
    ]
}

struct Writer {
    connection: RawConnection,
    xid: i32,
}

impl Writer {
    fn open(server: &Server) -> Result<Self> {
        let (connection, _) = RawConnection::connect(server.addr(), 600_000)?;
        Ok(Self { connection, xid: 0 })
    }

    fn call(&mut self, code: i32, body: impl FnOnce(Frame) -> Frame) -> Result<i32> {
        self.xid += 1;
        let reply = self.connection.call(&body(Frame::request(self.xid, code)).done())?;
        let reply =
            reply.ok_or_else(|| HarnessError::Unexpected("the server closed".to_owned()))?;
        Ok(crate::diff::run::error_of(&reply))
    }

    fn ok(&mut self, code: i32, body: impl FnOnce(Frame) -> Frame) -> Result<()> {
        self.expect(0, code, body)
    }

    fn expect(&mut self, error: i32, code: i32, body: impl FnOnce(Frame) -> Frame) -> Result<()> {
        match self.call(code, body)? {
            got if got == error => Ok(()),
            got => Err(HarnessError::Unexpected(format!(
                "request {} of type {code} gave {got} instead of {error}",
                self.xid
            ))),
        }
    }

    fn nodes(&mut self, extended: bool) -> Result<()> {
        let [open, shared, odd] = acls();
        self.ok(op::CREATE, |f| f.create("/plain", Some(b"data"), &open, 0))?;
        self.ok(op::CREATE2, |f| f.create("/plain/child", Some(b"2"), &open, 0))?;
        self.ok(op::CREATE, |f| f.create("/null", None, &open, 0))?;
        self.ok(op::CREATE, |f| f.create("/empty", Some(b""), &open, 0))?;
        self.ok(op::CREATE, |f| f.create("/\u{4e2d}\u{6587}-\u{e9}", Some(b"\xff\x00"), &open, 0))?;
        self.ok(op::CREATE, |f| f.create("/acl", Some(b"a"), &shared, 0))?;
        self.ok(op::CREATE, |f| f.create("/acl2", Some(b"a"), &shared, 0))?;
        self.ok(op::CREATE, |f| f.create("/acl3", Some(b"a"), &odd, 0))?;
        self.ok(op::CREATE, |f| f.create("/seq", None, &open, 0))?;
        for name in ["/seq/n-", "/seq/", "/seq/n-"] {
            self.ok(op::CREATE, |f| f.create(name, None, &open, 2))?;
        }
        self.ok(op::DELETE, |f| f.str("/seq/n-0000000000").int(-1))?;
        self.ok(op::SET_DATA, |f| f.str("/plain").buffer(Some(b"changed")).int(0))?;
        self.ok(op::SET_DATA, |f| f.str("/null").buffer(None).int(-1))?;
        self.ok(op::SET_ACL, |f| f.str("/null").acl(Some(&odd)).int(0))?;
        self.ok(op::CREATE_CONTAINER, |f| f.create("/container", Some(b"c"), &open, 4))?;
        self.ok(op::CREATE, |f| f.create("/container/child", None, &open, 0))?;
        let big = vec![b'x'; 3000];
        self.ok(op::CREATE, |f| f.create("/big", Some(&big), &open, 0))?;
        self.ok(op::CREATE, |f| f.create("/zookeeper/quota/plain", None, &open, 0))?;
        let limits = "/zookeeper/quota/plain/zookeeper_limits";
        self.ok(op::CREATE, |f| f.create(limits, Some(b"count=10,bytes=-1"), &open, 0))?;
        let stats = "/zookeeper/quota/plain/zookeeper_stats";
        self.ok(op::CREATE, |f| f.create(stats, Some(b"count=0,bytes=0"), &open, 0))?;
        if extended {
            let ttl = 1_099_511_627_775;
            self.ok(op::CREATE_TTL, |f| f.create("/ttl", Some(b"t"), &open, 5).long(ttl))?;
            self.ok(op::CREATE_TTL, |f| f.create("/seq/t-", None, &open, 6).long(86_400_000))?;
            self.ok(op::CREATE_TTL, |f| f.create("/reaped-ttl", None, &open, 5).long(1))?;
            self.ok(op::CREATE_CONTAINER, |f| f.create("/reaped-container", None, &open, 4))?;
            self.ok(op::CREATE, |f| f.create("/reaped-container/c", None, &open, 0))?;
            self.ok(op::DELETE, |f| f.str("/reaped-container/c").int(-1))?;
        }
        Ok(())
    }

    fn multis(&mut self, extended: bool) -> Result<()> {
        let [open, shared, _] = acls();
        self.ok(op::MULTI, |f| {
            let f = f.multi_op(op::CREATE).create("/multi", Some(b"m"), &open, 0);
            let f = f.multi_op(op::CREATE2).create("/multi/a", None, &shared, 0);
            let f = f.multi_op(op::CREATE_CONTAINER).create("/multi/k", None, &open, 4);
            let f = f.multi_op(op::CREATE).create("/multi/s-", Some(b""), &open, 2);
            let f = f.multi_op(op::SET_DATA).str("/multi").buffer(Some(b"mm")).int(0);
            let f = f.multi_op(op::CHECK).str("/multi").int(1);
            let f = f.multi_op(op::CREATE).create("/multi/x", None, &open, 0);
            let f = f.multi_op(op::DELETE).str("/multi/x").int(0);
            if extended {
                let ttl = 86_400_000;
                f.multi_op(op::CREATE_TTL).create("/multi/t", None, &open, 5).long(ttl).multi_end()
            } else {
                f.multi_end()
            }
        })?;
        self.ok(op::MULTI, Frame::multi_end)?;
        // Fails as a whole; its results say so, its header does not.
        self.ok(op::MULTI, |f| {
            let f = f.multi_op(op::CREATE).create("/multi/no", Some(b"n"), &open, 0);
            let f = f.multi_op(op::CHECK).str("/multi").int(99);
            f.multi_op(op::DELETE).str("/multi").int(-1).multi_end()
        })
    }

    fn errors(&mut self) -> Result<()> {
        self.expect(-110, op::CREATE, |f| f.create("/plain", None, &Acl::open(), 0))?;
        self.expect(-101, op::DELETE, |f| f.str("/nowhere").int(-1))?;
        self.expect(-103, op::SET_DATA, |f| f.str("/plain").buffer(None).int(77))?;
        self.expect(-114, op::CREATE, |f| f.create("/invalid-acl", None, &[], 0))
    }

    /// Waits until the reaper has removed a node.
    fn wait_until_gone(&mut self, path: &str) -> Result<()> {
        let deadline = Instant::now() + REAPER_PATIENCE;
        while self.call(op::EXISTS, |f| f.str(path).bool(false))? == 0 {
            if Instant::now() > deadline {
                return Err(HarnessError::Unexpected(format!("{path} was not reaped")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn close(mut self) -> Result<()> {
        self.connection.send(&Frame::close_session(i32::MAX))?;
        while self.connection.receive()?.is_some() {}
        Ok(())
    }
}

/// Writes a reconfig txn: the same members again, one of them as an observer.
fn reconfigure(server: &Server) -> Result<()> {
    let mut writer = Writer::open(server)?;
    writer.connection.call(&Frame::auth("digest", dump::SUPER))?;
    let zoo_cfg =
        std::fs::read_to_string(server.zoo_cfg()).map_err(HarnessError::io("reading zoo.cfg"))?;
    let dynamic = zoo_cfg.lines().find_map(|line| line.strip_prefix("dynamicConfigFile="));
    let members = match dynamic {
        Some(file) => {
            std::fs::read_to_string(file).map_err(HarnessError::io(format!("reading {file}")))?
        }
        None => zoo_cfg,
    };
    let mine = format!(":{}", server.addr().port());
    let other = members
        .lines()
        .filter(|line| line.starts_with("server."))
        .find(|line| !line.contains(&mine))
        .ok_or_else(|| HarnessError::Unexpected("no other member in zoo.cfg".to_owned()))?;
    let (head, client) = other.split_once(';').unwrap_or((other, "127.0.0.1:1"));
    let joining = format!("{};{client}", head.replace(":participant", ":observer"));
    writer.ok(op::RECONFIG, |f| f.str(&joining).opt_str(None).opt_str(None).long(-1))
}

/// Copies a data directory's files, without what names this machine's ports.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    let io = |path: &Path| HarnessError::io(format!("copying {}", path.display()));
    std::fs::create_dir_all(to.join("version-2")).map_err(io(to))?;
    for folder in ["", "version-2"] {
        let entries = std::fs::read_dir(from.join(folder)).map_err(io(from))?;
        for entry in entries {
            let path = entry.map_err(io(from))?.path();
            let name = path.file_name().unwrap_or_default().to_owned();
            let own = name.to_string_lossy().ends_with(".txt") || name == "zookeeper_server.pid";
            if path.is_file() && !own {
                std::fs::copy(&path, to.join(folder).join(name)).map_err(io(&path))?;
            }
        }
    }
    Ok(())
}

/// The dumps of a data directory that belong beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dumps {
    /// What a client sees after recovery.
    pub client: String,
    /// What a snapshot taken after recovery stores.
    pub stored: String,
}

/// Opens a copy of the directory with a server of that flavour and dumps what it recovered.
///
/// What is stored is read from the snapshot an Apache server writes when it starts. For our server that
/// is an Apache server that opens the copy after it, which shows the way back as well.
pub fn recovered(capture: &Capture, directory: &Path, flavour: Flavour) -> Result<Dumps> {
    let scratch = tempfile::tempdir().map_err(HarnessError::io("making a temporary folder"))?;
    copy(directory, scratch.path())?;
    let config = capture
        .config()
        .data_dir(scratch.path())
        // Nothing may change while it is looked at; and the snapshot must be plain to be decoded.
        .property("znode.container.checkIntervalMs", 86_400_000)
        .property("zookeeper.snapshot.compression.method", "");
    let mut server = Server::start(flavour, config.clone())?;
    let client;
    if flavour == Flavour::Rookeeper {
        client = dump::client(server.addr())?;
        server.stop();
        server = Server::start(Flavour::APACHE_395, config)?;
    } else {
        // The snapshot was written at the start; what the dumping client does comes after it.
        client = dump::client(server.addr())?;
    }
    refuse_digest_mismatch(&server)?;
    let snapshot = newest_snapshot(scratch.path())?;
    let bytes = std::fs::read(&snapshot)
        .map_err(HarnessError::io(format!("reading {}", snapshot.display())))?;
    let stored = dump::stored(&bytes).map_err(|why| HarnessError::Undecodable {
        what: snapshot.display().to_string(),
        why: why.to_string(),
    })?;
    Ok(Dumps { client, stored })
}

/// Apache only logs it when the tree after a txn is not the one its writer had.
fn refuse_digest_mismatch(server: &Server) -> Result<()> {
    let log = std::fs::read_to_string(server.log()).map_err(HarnessError::io("reading a log"))?;
    match log.lines().find(|line| line.contains("Digests are not matching")) {
        Some(line) => Err(HarnessError::Unexpected(line.to_owned())),
        None => Ok(()),
    }
}

/// The part of a stored dump that does not depend on sessions that came and went.
pub fn comparable(stored: &str) -> String {
    let lines = stored.lines().filter(|line| !line.starts_with("# last zxid"));
    let lines = lines.map(|line| match line.split_once("value=") {
        Some((head, value)) if head.starts_with("# digest") => format!("# digest {value}\n"),
        _ => format!("{line}\n"),
    });
    lines.collect()
}

fn newest_snapshot(directory: &Path) -> Result<PathBuf> {
    let folder = directory.join("version-2");
    let entries = std::fs::read_dir(&folder)
        .map_err(HarnessError::io(format!("listing {}", folder.display())))?;
    let zxid = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?.strip_prefix("snapshot.")?;
        u64::from_str_radix(name.split('.').next()?, 16).ok()
    };
    entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| zxid(path).is_some())
        .max_by_key(zxid)
        .ok_or_else(|| HarnessError::Unexpected(format!("no snapshot in {}", folder.display())))
}
