//! One data directory handed from server to server, Apache and the one under test in turn: each finds the
//! tree, the sessions and the digests as the one before it left them, and writes on.
//!
//! `ROOKEEPER_SERVER` names what goes between the Apache servers; ours unless told otherwise. Every leg writes every kind of
//! txn a standalone server has, snapshots several times, and ends by a stop or a kill. A session opened on
//! the first server is resumed on all the others with its password.

use std::path::Path;
use std::time::{Duration, Instant};

use rookeeper_interop::diff::run::error_of;
use rookeeper_interop::raw::codes::op;
use rookeeper_interop::raw::{Acl, Connected, Frame, RawConnection};
use rookeeper_interop::{Flavour, Server, ServerConfig, dump, fourletter};

const PATIENCE: Duration = Duration::from_secs(120);

/// Values of `zookeeper.snapshot.compression.method`.
const CODECS: [&str; 3] = ["", "gz", "snappy"];

#[derive(Clone, Copy, Debug)]
enum End {
    Stop,
    Kill,
}

struct Client {
    connection: RawConnection,
    xid: i32,
}

impl Client {
    fn new(server: &Server) -> (Self, Connected) {
        let (connection, session) =
            RawConnection::connect(server.addr(), 600_000).expect("a new session");
        (Self { connection, xid: 0 }, session)
    }

    /// Resumes a session on another server; its password must be good there.
    fn resume(server: &Server, session: &Connected) -> Self {
        let mut connection = RawConnection::open(server.addr()).expect("a connection");
        let (id, password) = (session.session, Some(&session.password[..]));
        let request = Frame::connect(0, session.timeout_ms, id, password, Some(false));
        let resumed = connection.handshake(&request).expect("an answer").expect("no refusal");
        assert_eq!(resumed.session, id, "the session lives on {}", server.flavour());
        Self { connection, xid: 0 }
    }

    fn call(&mut self, code: i32, body: impl FnOnce(Frame) -> Frame) -> i32 {
        self.xid += 1;
        let request = body(Frame::request(self.xid, code)).done();
        let reply = self.connection.call(&request).expect("an exchange").expect("an answer");
        error_of(&reply)
    }

    fn ok(&mut self, code: i32, body: impl FnOnce(Frame) -> Frame) {
        assert_eq!(self.call(code, body), 0, "request {} of type {code}", self.xid);
    }

    fn close(mut self) {
        self.connection.send(&Frame::close_session(i32::MAX)).expect("a close");
        while self.connection.receive().expect("the end").is_some() {}
    }

    fn wait_until_gone(&mut self, path: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.call(op::EXISTS, |f| f.str(path).bool(false)) == 0 {
            assert!(Instant::now() < deadline, "{path} was not reaped");
            // The reaper has a clock of its own and tells nobody.
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Every kind of txn, below a node of this leg; the sequential names go on from leg to leg.
    fn write_everything(&mut self, leg: usize) {
        let open = Acl::open();
        let odd = vec![Acl::new(29, "world", "anyone"), Acl::new(-1, "digest", "\u{4e2d}:\u{e9}")];
        let at = |name: &str| format!("/leg{leg}{name}");
        if leg == 0 {
            self.ok(op::CREATE, |f| f.create("/seq", None, &open, 0));
            self.ok(op::CREATE, |f| f.create("/shared", Some(b"0"), &open, 0));
        }
        self.ok(op::CREATE, |f| f.create(&at(""), Some(b"\xff\x00"), &odd, 0));
        self.ok(op::CREATE, |f| f.create("/seq/n-", None, &open, 2));
        self.ok(op::CREATE2, |f| f.create(&at("/two"), Some(b""), &open, 0));
        self.ok(op::CREATE_CONTAINER, |f| f.create(&at("/kept"), None, &open, 4));
        self.ok(op::CREATE_CONTAINER, |f| f.create(&at("/reaped"), None, &open, 4));
        self.ok(op::CREATE, |f| f.create(&at("/reaped/child"), None, &open, 0));
        self.ok(op::DELETE, |f| f.str(&at("/reaped/child")).int(-1));
        self.ok(op::CREATE_TTL, |f| f.create(&at("/ttl"), None, &open, 5).long(86_400_000));
        self.ok(op::CREATE_TTL, |f| f.create(&at("/brief"), None, &open, 5).long(1));
        self.ok(op::CREATE_TTL, |f| f.create("/seq/t-", None, &open, 6).long(86_400_000));
        self.ok(op::SET_DATA, |f| f.str("/shared").buffer(Some(at("").as_bytes())).int(-1));
        self.ok(op::SET_ACL, |f| f.str(&at("/two")).acl(Some(&odd)).int(0));
        self.ok(op::CREATE, |f| f.create(&at("/ephemeral"), Some(b"e"), &open, 1));
        self.ok(op::CREATE, |f| f.create("/seq/e-", Some(b"e"), &open, 3));
        self.ok(op::MULTI, |f| {
            let f = f.multi_op(op::CREATE).create(&at("/multi"), Some(b"m"), &open, 0);
            let f = f.multi_op(op::CREATE2).create(&at("/multi/s-"), None, &odd, 2);
            let f = f.multi_op(op::CREATE_CONTAINER).create(&at("/multi/k"), None, &open, 4);
            let f = f.multi_op(op::CREATE_TTL).create(&at("/multi/t"), None, &open, 5);
            let f = f.long(86_400_000).multi_op(op::CREATE).create(&at("/multi/e"), None, &open, 1);
            let f = f.multi_op(op::SET_DATA).str(&at("/multi")).buffer(None).int(0);
            let f = f.multi_op(op::CHECK).str(&at("/multi")).int(1);
            f.multi_op(op::DELETE).str(&at("/multi/e")).int(0).multi_end()
        });
        self.ok(op::MULTI, |f| {
            let f = f.multi_op(op::CREATE).create(&at("/multi/no"), Some(b"n"), &open, 0);
            f.multi_op(op::CHECK).str(&at("/multi")).int(99).multi_end()
        });
        assert_eq!(self.call(op::CREATE, |f| f.create(&at(""), None, &open, 0)), -110);
        assert_eq!(self.call(op::SET_DATA, |f| f.str("/shared").buffer(None).int(99)), -103);
        if leg > 0 {
            // What another server wrote is changed and deleted here.
            let before = |name: &str| format!("/leg{}{name}", leg - 1);
            self.ok(op::SET_DATA, |f| f.str(&before("/ttl")).buffer(Some(b"later")).int(0));
            self.ok(op::SET_ACL, |f| f.str(&before("/two")).acl(Some(&open)).int(1));
            self.ok(op::DELETE, |f| f.str(&before("/multi/t")).int(0));
            self.ok(op::DELETE, |f| f.str(&before("/ephemeral")).int(0));
        }
        self.wait_until_gone(&at("/reaped"));
        self.wait_until_gone(&at("/brief"));
    }
}

fn config(directory: &Path, codec: &str) -> ServerConfig {
    let config = ServerConfig::new()
        .data_dir(directory)
        .set("preAllocSize", 16)
        .set("maxSessionTimeout", 900_000)
        .set("extendedTypesEnabled", "true")
        // Several snapshots and log files in each leg.
        .set("snapCount", 10)
        .property("znode.container.checkIntervalMs", 200)
        .property(dump::SUPER_DIGEST.0, dump::SUPER_DIGEST.1);
    if codec.is_empty() {
        config
    } else {
        config.property("zookeeper.snapshot.compression.method", codec)
    }
}

/// No server found a tree other than the one the writer of a txn had.
fn assert_digests_match(server: &Server) {
    let figures = fourletter::ask(server.addr(), "mntr").expect("mntr");
    let mismatches =
        figures.lines().find_map(|line| line.strip_prefix("zk_digest_mismatches_count"));
    let mismatches = mismatches.map(str::trim);
    assert_eq!(mismatches, Some("0"), "{} counts digest mismatches", server.flavour());
    let log = std::fs::read_to_string(server.log()).expect("the server's log");
    let line = log.lines().find(|line| line.contains("Digests are not matching"));
    assert_eq!(line, None, "{}", server.flavour());
}

fn snapshots(directory: &Path, suffix: &str) -> usize {
    let entries = std::fs::read_dir(directory.join("version-2")).expect("the data directory");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string());
    let names = names.filter_map(Result::ok);
    names.filter(|name| name.starts_with("snapshot.") && name.ends_with(suffix)).count()
}

#[test]
fn a_directory_goes_from_server_to_server() {
    let tested = Flavour::under_test().expect("a flavour");
    let apache = Flavour::APACHE_395;
    let legs = [
        (apache, End::Stop),
        (tested, End::Stop),
        (apache, End::Kill),
        (tested, End::Kill),
        (apache, End::Stop),
        (tested, End::Kill),
        (tested, End::Stop),
        (apache, End::Stop),
    ];
    for codec in CODECS {
        let directory = tempfile::tempdir().expect("a temporary folder");
        let mut before: Option<(String, Connected)> = None;
        for (leg, &(flavour, end)) in legs.iter().enumerate() {
            let what = format!("codec {codec:?}, leg {leg} on {flavour}");
            let mut server = Server::start(flavour, config(directory.path(), codec))
                .unwrap_or_else(|error| panic!("{what}: {error}"));
            let found = dump::client(server.addr()).expect("a dump");
            let (mut client, session) = match before.take() {
                None => Client::new(&server),
                Some((left, session)) => {
                    assert_same(&what, &left, &found);
                    (Client::resume(&server, &session), session)
                }
            };
            client.write_everything(leg);
            // A session that ends takes its own ephemerals, and only those.
            let (mut other, _) = Client::new(&server);
            other.ok(op::CREATE, |f| f.create("/brief-", None, &Acl::open(), 3));
            other.close();
            let left = dump::client(server.addr()).expect("a dump");
            assert_digests_match(&server);
            assert!(left.contains(&format!("ephemeralOwner={:#x}", session.session)), "{left}");
            match end {
                End::Stop => drop(server.stop()),
                End::Kill => server.kill(),
            }
            drop(client);
            println!("{what}: {} znodes equal, {end:?}", left.lines().count() - 1);
            before = Some((left, session));
        }
        let (left, session) = before.expect("there were legs");
        let suffix = if codec.is_empty() { String::new() } else { format!(".{codec}") };
        assert!(snapshots(directory.path(), &suffix) > legs.len(), "snapshots in {codec:?}");
        // The session's end takes with it what it created on any of the servers.
        let server = Server::start(tested, config(directory.path(), codec)).expect("a server");
        assert_same(codec, &left, &dump::client(server.addr()).expect("a dump"));
        Client::resume(&server, &session).close();
        let owner = format!("ephemeralOwner={:#x}", session.session);
        let found = dump::client(server.addr()).expect("a dump");
        assert!(!found.contains(&owner), "{found}");
        assert_digests_match(&server);
    }
}

fn assert_same(what: &str, left: &str, found: &str) {
    let first = left.lines().zip(found.lines()).find(|(left, found)| left != found);
    assert!(left == found, "{what}: first difference {first:#?}\nfound:\n{found}");
}
