//! Sessions that are not like others, told as transcripts that two implementations must agree on word for
//! word: those of a server without a leader (`readonlymode.enabled`) and those that only one server knows
//! (`localSessionsEnabled`). Beside them, writes that a member refuses by itself (`enableEagerACLCheck`).
//!
//! `ROOKEEPER_SPECIAL_LEFT` (`apache395`) is compared with `ROOKEEPER_SERVER` (`rookeeper`).
//! Source: `client-protocol.md` 2.8 and 2.9.

use std::time::{Duration, Instant};

use rookeeper_interop::client::Client;
use rookeeper_interop::raw::codes::op;
use rookeeper_interop::raw::{Acl, Connected, Frame, RawConnection, Reader};
use rookeeper_interop::{Ensemble, Flavour, Member, Server, ServerConfig, fourletter};

const PATIENCE: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(20);
/// None of these ends because a machine is slow.
const SESSION_MS: i32 = 300_000;
const SHORT_MS: i32 = 2000;
const EPHEMERAL: i32 = 1;
const NO_NODE: i32 = -101;
const NO_PASSWORD: [u8; 16] = [0; 16];

/// What one implementation did, line by line.
type Transcript = Vec<String>;

fn compare(tell: impl Fn(Flavour) -> Transcript) {
    let left = Flavour::from_env("ROOKEEPER_SPECIAL_LEFT", Flavour::APACHE_395).expect("a flavour");
    let right = Flavour::under_test().expect("a flavour");
    let (left, right) = (tell(left), tell(right));
    let lines = left.iter().zip(&right).filter(|(left, right)| left != right);
    let differing: Vec<String> = lines.map(|(left, right)| format!("{left}\n{right}")).collect();
    assert!(differing.is_empty(), "what differs:\n{}", differing.join("\n\n"));
    assert_eq!(left.len(), right.len());
}

fn config(local: &str, upgrading: &str) -> ServerConfig {
    ServerConfig::new()
        .set("tickTime", 1000)
        .set("initLimit", 20)
        .set("syncLimit", 10)
        .set("maxSessionTimeout", SESSION_MS)
        .heap_mb(Some(256))
        .set("localSessionsEnabled", local)
        .set("localSessionsUpgradingEnabled", upgrading)
        .property("readonlymode.enabled", "true")
}

/// Three members of which the second leads.
fn three(flavour: Flavour, config: &ServerConfig) -> Vec<Server> {
    let members = vec![Member::from(flavour); 3];
    let mut servers = Ensemble::prepare(&members, config).expect("folders and ports").servers;
    start(&mut servers, &[0, 1]);
    start(&mut servers, &[2]);
    eventually("the second leads", || {
        let modes = servers.iter().map(|server| server.mode().unwrap_or_default());
        modes.eq(["follower", "leader", "follower"])
    });
    servers
}

fn start(servers: &mut [Server], which: &[usize]) {
    for &at in which {
        servers[at].launch().expect("a process");
    }
    // A read-only server serves as well.
    for &at in which {
        servers[at].wait_until_serving().expect("it serves");
        eventually("it has a leader", || {
            servers[at].must_run().expect("it runs");
            servers[at].mode().is_some_and(|mode| mode == "leader" || mode == "follower")
        });
    }
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(POLL);
    }
}

fn ask(server: &Server, word: &str) -> String {
    fourletter::ask(server.addr(), word).unwrap_or_default()
}

/// Shakes hands: the connection, and the answer unless it was none.
fn shake(server: &Server, request: &[u8]) -> (RawConnection, Option<Vec<u8>>) {
    let mut connection = RawConnection::open(server.addr()).expect("a connection");
    connection.send(request).expect("sent");
    let answer = connection.receive().expect("an answer or an end");
    (connection, answer)
}

/// What a server answers to a ConnectRequest that it does not leave without an answer: Apache's closes the
/// connection instead for as long as it has not forgotten an ended session, so it is asked again.
fn answer(server: &Server, request: &[u8]) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = shake(server, request).1;
        if answer.is_some() || Instant::now() > deadline {
            return outcome(answer.as_deref());
        }
        std::thread::sleep(POLL);
    }
}

/// An answer to a ConnectRequest, without session id and password.
fn outcome(answer: Option<&[u8]>) -> String {
    match answer {
        None => "closed".to_owned(),
        Some(header) if header.len() == 16 => {
            format!(
                "header only, error {}",
                i32::from_be_bytes(header[12..].try_into().expect("4"))
            )
        }
        Some(payload) => {
            let connected = decoded(payload);
            let is_new = if connected.session == 0 { "no session" } else { "a session" };
            let rest = &payload[36.min(payload.len())..];
            format!("{is_new} of {} ms, then {rest:?}", connected.timeout_ms)
        }
    }
}

fn decoded(payload: &[u8]) -> Connected {
    let mut reader = Reader::new(payload);
    let _version = reader.int().expect("a version");
    let timeout_ms = reader.int().expect("a time-out");
    let session = reader.long().expect("an id");
    let password = reader.buffer().expect("a password").unwrap_or_default().to_vec();
    Connected { timeout_ms, session, password, payload: payload.to_vec() }
}

fn resumed(session: &Connected, last_zxid: i64, read_only: Option<bool>) -> Vec<u8> {
    let (id, password) = (session.session, Some(session.password.as_slice()));
    Frame::connect(last_zxid, session.timeout_ms, id, password, read_only)
}

/// A new session, as a reader asks for one.
fn reader(server: &Server) -> (Client, String) {
    let request = Frame::connect(0, SESSION_MS, 0, Some(&NO_PASSWORD), Some(true));
    let (connection, answer) = shake(server, &request);
    let answer = answer.expect("an answer");
    let told = outcome(Some(&answer));
    (Client::over(connection, decoded(&answer)), told)
}

/// The password of any session (2.3), and with it a session nobody has opened.
fn invented(session: i64) -> Connected {
    let mut state = ((session ^ 0xB341_5C00) as u64 ^ 0x5_DEEC_E66D) & ((1 << 48) - 1);
    let mut password = Vec::new();
    for _ in 0..4 {
        state = state.wrapping_mul(0x5_DEEC_E66D).wrapping_add(0xB) & ((1 << 48) - 1);
        password.extend_from_slice(&((state >> 16) as u32).to_le_bytes());
    }
    Connected { timeout_ms: SESSION_MS, session, password, payload: Vec::new() }
}

/// A request of each kind a read-only server is asked, with its name.
fn requests() -> Vec<(&'static str, i32, Frame)> {
    let body = Frame::new;
    let acl = Acl::open();
    let multi_end = |frame: Frame| frame.int(-1).bool(true).int(-1);
    let set = |frame: Frame| frame.str("/kept").buffer(Some(b"no")).int(-1);
    vec![
        ("getData", op::GET_DATA, body().str("/kept").bool(true)),
        ("exists", op::EXISTS, body().str("/none").bool(true)),
        ("getChildren", op::GET_CHILDREN, body().str("/").bool(false)),
        ("getACL", op::GET_ACL, body().str("/kept")),
        ("whoAmI", op::WHO_AM_I, body()),
        ("getEphemerals", op::GET_EPHEMERALS, body().str("/")),
        ("sync", op::SYNC, body().str("/")),
        ("create", op::CREATE, body().create("/new", None, &acl, 0)),
        ("create ephemeral", op::CREATE, body().create("/new", None, &acl, EPHEMERAL)),
        ("create2", op::CREATE2, body().create("/new", None, &acl, 0)),
        ("createContainer", op::CREATE_CONTAINER, body().create("/new", None, &acl, 4)),
        ("createTTL", op::CREATE_TTL, body().create("/new", None, &acl, 5).long(1000)),
        ("delete", op::DELETE, body().str("/kept").int(-1)),
        ("setData", op::SET_DATA, set(body())),
        ("setData that ends early", op::SET_DATA, body().int(100)),
        ("multi", op::MULTI, multi_end(set(body().int(op::SET_DATA).bool(false).int(-1)))),
        ("reconfig", op::RECONFIG, body().int(-1).int(-1).int(-1).long(-1)),
        ("the refused multi is not there", op::GET_DATA, body().str("/kept").bool(false)),
    ]
}

/// The lines of a word's answer that do not depend on time, ports and counters.
fn steady(answer: &str) -> Vec<String> {
    let skipped = ["Latency", "Received", "Sent", "Connections", "Zookeeper version", "data"];
    // Lines of connections begin with a blank.
    let is_steady =
        |line: &&str| !line.starts_with(' ') && !skipped.iter().any(|name| line.starts_with(name));
    let key_only = |line: &str| match line.split_once('=') {
        Some((key, _)) => key.to_owned(),
        None => line.to_owned(),
    };
    answer.lines().filter(is_steady).map(key_only).collect()
}

/// Whether there are local sessions decides whether a read-only server takes new ones.
fn read_only_story(flavour: Flavour, local: &str) -> Transcript {
    let mut said = Transcript::new();
    let mut servers = three(flavour, &config(local, "true"));
    let mut owner = Client::connect(servers[0].addr(), SESSION_MS).expect("a session");
    said.push(format!("kept {}", owner.create("/kept", b"data", 0).expect("a reply").error));
    // Of a global session, whatever it was before.
    let alive = owner.create("/alive", b"", EPHEMERAL).expect("a reply");
    said.push(format!("alive {} 0x{:x}", alive.error, alive.zxid));
    said.push(format!("isro {}", ask(&servers[0], "isro")));
    let (asking, told) = reader(&servers[0]);
    said.push(format!("a reader with a leader: {told}"));
    asking.close().expect("closed");

    let owned = owner.session().clone();
    let seen = owner.last_zxid();
    let (leaver, joiner) = (2, 1);
    servers[leaver].kill();
    servers[joiner].kill();
    eventually("it serves readers", || ask(&servers[0], "isro") == "ro");
    assert!(owner.ping().is_err(), "its connection is closed");
    for word in ["srvr", "stat", "conf"] {
        said.push(format!("{word}: {:?}", steady(&ask(&servers[0], word))));
    }
    let mntr = ask(&servers[0], "mntr");
    let wanted = ["zk_server_state", "zk_peer_state", "zk_quorum_size", "zk_global_sessions"];
    let lines = mntr.lines().filter(|line| wanted.iter().any(|name| line.starts_with(name)));
    said.push(format!("mntr: {:?}", lines.collect::<Vec<_>>()));

    let new = |read_only| Frame::connect(0, SESSION_MS, 0, Some(&NO_PASSWORD), read_only);
    for (what, request) in [
        ("new, not for reading", new(Some(false))),
        ("new, an old client", new(None)),
        ("new, a reader", new(Some(true))),
        ("new, has seen more", Frame::connect(1 << 40, 1 << 30, 0, Some(&NO_PASSWORD), Some(true))),
        ("global, not for reading", resumed(&owned, seen, Some(false))),
        ("global, a reader", resumed(&owned, seen, Some(true))),
        ("unknown, a reader", resumed(&invented(0x7700_0000_0000_0001), 0, Some(true))),
        ("wrong password", Frame::connect(0, SESSION_MS, 77, Some(&NO_PASSWORD), Some(true))),
    ] {
        said.push(format!("{what}: {}", outcome(shake(&servers[0], &request).1.as_deref())));
    }

    // With local sessions a new one; without, one that this server does not know.
    let mut client = if local == "true" {
        reader(&servers[0]).0
    } else {
        let session = invented(0x7700_0000_0000_0002);
        let (connection, answer) = shake(&servers[0], &resumed(&session, 0, Some(true)));
        Client::over(connection, decoded(&answer.expect("an answer")))
    };
    for (what, code, body) in requests() {
        let reply = client.call(code, |frame| frame.raw(&body.done())).expect("a reply");
        let size = reply.body.len();
        said.push(format!("{what}: {} 0x{:x}, {size} bytes", reply.error, reply.zxid));
    }
    client.ping().expect("a pong");
    if local == "true" {
        said.push(format!("sessions: {}", counts(&servers[0], 3)));
        let closing = reader(&servers[0]).0;
        let closed = closing.session().clone();
        closing.close().expect("closed");
        let again = answer(&servers[0], &resumed(&closed, 0, Some(true)));
        said.push(format!("closed: {again}"));
    } else {
        let reply = client.call(op::CLOSE_SESSION, |frame| frame).expect("a reply");
        said.push(format!("closeSession: {} 0x{:x}", reply.error, reply.zxid));
        client.ping().expect("it goes on");
    }

    servers[joiner].launch().expect("a process");
    eventually("there is a leader", || ask(&servers[0], "isro") == "rw");
    assert!(client.ping().is_err(), "readers are let go");
    let mine = client.session().clone();
    let again = answer(&servers[0], &resumed(&mine, 0, Some(true)));
    said.push(format!("the reader's session: {again}"));
    let mut owner = owner.move_to(servers[0].addr()).expect("a server").expect("it has lived on");
    said.push(format!("alive {}", owner.exists("/alive", false).expect("an answer")));
    said.push(format!("set {}", owner.set("/kept", b"yes", -1).expect("a reply").error));
    owner.close().expect("closed");
    said
}

#[test]
fn readers_without_a_leader_in_local_sessions() {
    compare(|flavour| read_only_story(flavour, "true"));
}

#[test]
fn readers_without_a_leader_and_without_local_sessions() {
    compare(|flavour| read_only_story(flavour, "false"));
}

/// Zxids since the story's begin.
struct Zxids(i64);

impl Zxids {
    fn of(&self, zxid: i64) -> String {
        format!("+{}", zxid - self.0)
    }
}

fn local_story(flavour: Flavour, upgrading: &str) -> Transcript {
    let mut said = Transcript::new();
    let mut servers = three(flavour, &config("true", upgrading));
    for at in [0, 1] {
        let who = if at == 0 { "follower" } else { "leader" };
        let mut tell = |line: String| said.push(format!("{who}: {line}"));
        let server = &servers[at];
        let mut client = Client::connect(server.addr(), SESSION_MS).expect("a session");
        tell(format!("id of server {}", client.session().session >> 56));
        let base = client.delete("/nobody", -1).expect("a reply");
        assert_eq!(base.error, NO_NODE);
        let zxids = Zxids(base.zxid);

        let root = format!("/{who}");
        let made = client.create(&root, b"", 0).expect("a reply");
        tell(format!("create: {} {}", made.error, zxids.of(made.zxid)));
        let multi = |client: &mut Client, flags: i32| {
            let reply = client.call(op::MULTI, |frame| {
                let frame = frame.int(op::SET_DATA).bool(false).int(-1);
                let frame = frame.str(&root).buffer(Some(b"m")).int(-1);
                let frame = frame.int(op::CREATE).bool(false).int(-1);
                let path = format!("{root}/multi-{flags}");
                let frame = frame.create(&path, None, &Acl::open(), flags);
                frame.int(-1).bool(true).int(-1)
            });
            let reply = reply.expect("a reply");
            let results = results(&reply.body);
            format!("multi {flags}: {} {} {results:?}", reply.error, zxids.of(reply.zxid))
        };
        tell(multi(&mut client, 0));
        tell(format!("sessions: {}", counts(server, 1)));

        // On a session of its own, so that upgrades by create and by multi are both seen.
        let mut by_multi = Client::connect(server.addr(), SESSION_MS).expect("a session");
        tell(multi(&mut by_multi, EPHEMERAL));
        tell(format!("sessions: {}", counts(server, 2)));
        by_multi.close().expect("closed");

        for (what, code) in
            [("create", op::CREATE), ("create2", op::CREATE2), ("container", op::CREATE_CONTAINER)]
        {
            for round in 0..2 {
                let path = format!("{root}/{what}-{round}");
                let reply = client.call(code, |frame| frame.create(&path, None, &Acl::open(), 1));
                let reply = reply.expect("a reply");
                tell(format!("ephemeral by {what}: {} {}", reply.error, zxids.of(reply.zxid)));
            }
        }
        tell(format!("sessions: {}", counts(server, 1)));
        let mine = client.call(op::GET_EPHEMERALS, |frame| frame.str("/")).expect("a reply");
        tell(format!("ephemerals: {} in {} bytes", mine.error, mine.body.len()));

        // A session is taken up where it is, and elsewhere if it is not local.
        let session = client.session().clone();
        let other = &servers[1 - at];
        tell(format!("elsewhere: {}", answer(other, &resumed(&session, 0, Some(false)))));
        let here = client.move_to(server.addr()).expect("an answer");
        let mut client = here.expect("it lives");
        let reply = client.set(&root, b"2", -1).expect("a reply");
        tell(format!("set: {} {}", reply.error, zxids.of(reply.zxid)));

        // A close waits for what is before it.
        client.send(op::SET_DATA, |frame| frame.str(&root).buffer(None).int(-1)).expect("sent");
        client.send(op::GET_DATA, |frame| frame.str(&root).bool(false)).expect("sent");
        client.send(op::CLOSE_SESSION, |frame| frame).expect("sent");
        for _ in 0..3 {
            let (_, reply) = client.receive().expect("a reply");
            tell(format!("pipelined: {} {}", reply.error, zxids.of(reply.zxid)));
        }
        assert!(client.receive().is_err(), "closed");
        let again = answer(server, &resumed(&session, 0, Some(false)));
        tell(format!("after its close: {again}"));
        tell(format!("sessions: {}", counts(server, 0)));

        let mut silent = Client::connect(server.addr(), SHORT_MS).expect("a session");
        assert!(silent.receive().is_err(), "expired");
        // Java has another clock for connections, by which this one may end before its session.
        tell(format!("sessions: {}", counts(server, 0)));
        let expired = silent.session().clone();
        let again = answer(server, &resumed(&expired, 0, Some(false)));
        tell(format!("after its expiry: {again}"));
        let mut client = Client::connect(server.addr(), SESSION_MS).expect("a session");
        let last = client.delete("/nobody", -1).expect("a reply");
        tell(format!("in the end: {}", zxids.of(last.zxid)));
        client.close().expect("closed");
    }

    // Local sessions do not outlive an election; global ones do.
    let mut client = Client::connect(servers[0].addr(), SESSION_MS).expect("a session");
    let made = client.create("/alive", b"", EPHEMERAL).expect("a reply").error;
    said.push(format!("alive: {made}"));
    let (session, seen) = (client.session().clone(), client.last_zxid());
    // The third server has all that the first has, or the first would lead: a quorum is two of them.
    let mut third = Client::connect(servers[2].addr(), SESSION_MS).expect("a session");
    assert_eq!(third.delete("/nobody", -1).expect("a reply").error, NO_NODE);
    servers[1].kill();
    eventually("another leads", || servers[2].mode().as_deref() == Some("leader"));
    eventually("it follows", || servers[0].mode().as_deref() == Some("follower"));
    let again = answer(&servers[0], &resumed(&session, seen, Some(false)));
    said.push(format!("after an election: {again}"));
    said
}

/// The results of a multi: error codes, 0 for what was done.
fn results(body: &[u8]) -> Vec<i32> {
    let mut reader = Reader::new(body);
    let mut all = Vec::new();
    loop {
        let kind = reader.int().expect("a type");
        let done = reader.bool().expect("a flag");
        let error = reader.int().expect("an error");
        if done {
            return all;
        }
        all.push(error);
        match kind {
            op::CREATE => drop(reader.str().expect("a path")),
            op::SET_DATA => drop(reader.take(68).expect("a Stat")),
            -1 => drop(reader.int().expect("an error")),
            kind => panic!("a result of type {kind}"),
        }
    }
}

/// Sessions of a server as its own words count them, once they count `open` of them: Apache's server forgets an
/// expired or upgraded session in several steps, the last of them after the client's connection has ended.
fn counts(server: &Server, open: usize) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (sums, counted) = counted(server);
        if sums == [open; 2] || Instant::now() > deadline {
            return counted;
        }
        std::thread::sleep(POLL);
    }
}

/// How many sessions `mntr` and `dump` know, and what they say of them.
fn counted(server: &Server) -> ([usize; 2], String) {
    let mntr = ask(server, "mntr");
    let wanted = ["zk_local_sessions", "zk_global_sessions"];
    let mut lines: Vec<&str> =
        mntr.lines().filter(|line| wanted.iter().any(|name| line.starts_with(name))).collect();
    lines.sort_unstable();
    let numbers = lines.iter().filter_map(|line| line.split_once('\t')?.1.parse::<usize>().ok());
    let in_mntr = numbers.sum();
    let dump = ask(server, "dump");
    let heads = dump.lines().filter(|line| line.contains("Sessions(") || line.contains(" Sets ("));
    let heads = heads.filter(|line| !line.starts_with("Connections"));
    // Java keeps sets that have become empty for a while.
    let heads: Vec<String> = heads
        .map(|line| match line.split_once("Sets (").zip(line.split_once(")/")) {
            Some(((name, _), (_, count))) => format!("{name}Sets {count}"),
            None => line.to_owned(),
        })
        .collect();
    let number = |head: &String| {
        let head = head.trim_end_matches([')', ':']);
        head.trim_start_matches(|c: char| !c.is_ascii_digit()).parse::<usize>().ok()
    };
    let in_dump = heads.iter().filter_map(number).sum();
    ([in_mntr, in_dump], format!("{lines:?} {heads:?}"))
}

#[test]
fn local_sessions_that_are_upgraded() {
    compare(|flavour| local_story(flavour, "true"));
}

#[test]
fn local_sessions_that_stay_local() {
    compare(|flavour| local_story(flavour, "false"));
}

/// `enableEagerACLCheck` on a follower and on the leader: who may not is told so without a txn.
fn eager_story(flavour: Flavour) -> Transcript {
    let mut said = Transcript::new();
    let config = config("false", "false").property("zookeeper.enableEagerACLCheck", "true");
    let servers = three(flavour, &config);
    for at in [0, 1] {
        let mut client = Client::connect(servers[at].addr(), SESSION_MS).expect("a session");
        let base = client.delete("/nobody", -1).expect("a reply").zxid;
        let shut = format!("/shut-{at}");
        let acl = [Acl::new(1, "world", "anyone")];
        let made = client.call(op::CREATE, |frame| frame.create(&shut, None, &acl, 0));
        assert_eq!(made.expect("a reply").error, 0);
        let open = Acl::open();
        let wrong = [Acl::new(31, "none-such", "")];
        let below = format!("{shut}/below");
        let body = Frame::new;
        for (what, code, body) in [
            ("create", op::CREATE, body().create(&below, None, &open, 0)),
            ("create2", op::CREATE2, body().create(&below, None, &open, EPHEMERAL)),
            ("createContainer", op::CREATE_CONTAINER, body().create(&below, None, &open, 4)),
            ("wrong ACL", op::CREATE, body().create("/wrong", None, &wrong, 0)),
            ("empty ACL", op::CREATE, body().create("/wrong", None, &[], 0)),
            ("delete", op::DELETE, body().str(&below).int(-1)),
            ("setData", op::SET_DATA, body().str(&shut).buffer(None).int(-1)),
            ("setACL", op::SET_ACL, body().str(&shut).acl(Some(&open)).int(-1)),
            ("a path of no node", op::SET_DATA, body().str("/none").buffer(None).int(-1)),
            ("the root", op::CREATE, body().create("/", None, &open, 0)),
            ("no path", op::DELETE, body().str("no-slash").int(-1)),
            ("getData", op::GET_DATA, body().str(&shut).bool(false)),
        ] {
            let reply = client.call(code, |frame| frame.raw(&body.done())).expect("a reply");
            let zxid = if reply.zxid == 0 { "none".to_owned() } else { Zxids(base).of(reply.zxid) };
            said.push(format!("{at}: {what}: {} {zxid}", reply.error));
        }
        client.close().expect("closed");
    }
    said
}

#[test]
fn writes_refused_before_they_are_forwarded() {
    compare(eager_story);
}
