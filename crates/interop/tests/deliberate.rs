//! Where our server answers otherwise than Apache 3.9.5 on purpose; each is a row of COMPAT.md. The goldens
//! and the differential scripts hold none of these: there every difference is a failure.
//!
//! Apache is not asked: most of these would kill it for good.

use rookeeper_interop::diff::run::error_of;
use rookeeper_interop::raw::codes::op;
use rookeeper_interop::raw::frame::framed;
use rookeeper_interop::raw::{Acl, Frame, RawConnection};
use rookeeper_interop::{Flavour, Server, ServerConfig, dump};

const BAD_ARGUMENTS: i32 = -8;

struct Client {
    connection: RawConnection,
    xid: i32,
}

impl Client {
    fn new(server: &Server) -> Self {
        let (connection, _) = RawConnection::connect(server.addr(), 30_000).expect("a session");
        Self { connection, xid: 0 }
    }

    fn send(&mut self, code: i32, body: impl FnOnce(Frame) -> Frame) -> Vec<u8> {
        self.xid += 1;
        let request = body(Frame::request(self.xid, code)).done();
        self.connection.call(&request).expect("an exchange").expect("an answer")
    }

    fn call(&mut self, code: i32, body: impl FnOnce(Frame) -> Frame) -> i32 {
        error_of(&self.send(code, body))
    }

    fn create(&mut self, path: &str, data: &[u8]) -> i32 {
        self.call(op::CREATE, |f| f.create(path, Some(data), &Acl::open(), 0))
    }

    fn set(&mut self, path: &str, data: Option<&[u8]>) -> i32 {
        self.call(op::SET_DATA, |f| f.str(path).buffer(data).int(-1))
    }
}

fn server() -> Server {
    let config = ServerConfig::new()
        .set("extendedTypesEnabled", "true")
        .property(dump::SUPER_DIGEST.0, dump::SUPER_DIGEST.1);
    Server::start(Flavour::Rookeeper, config).expect("our server")
}

/// Apache answers createSession of a client with a second ConnectResponse, and deletes any empty znode by
/// deleteContainer without looking at ACLs.
#[test]
fn what_only_servers_send_is_unknown_from_clients() {
    let server = server();
    assert_eq!(Client::new(&server).create("/empty", b""), 0);
    for code in [op::CREATE_SESSION, op::DELETE_CONTAINER] {
        let mut client = Client::new(&server);
        let reply = client.send(code, |frame| match code {
            op::CREATE_SESSION => frame.int(30_000),
            _ => frame.str("/empty"),
        });
        let unknown = Frame::new().int(1).long(-1).int(-6).done();
        assert_eq!(reply, unknown, "xid, zxid -1, UNIMPLEMENTED");
        client.connection.expect_close().expect("the end");
    }
    let found = Client::new(&server).call(op::EXISTS, |f| f.str("/empty").bool(false));
    assert_eq!(found, 0, "nothing was deleted");
}

/// Every one of these ends Apache's process, and again at each start, because it is in the log.
#[test]
fn what_kills_apache_for_good_is_refused() {
    let mut server = server();
    let mut client = Client::new(&server);
    for flags in 0..5 {
        let code = client
            .call(op::CREATE_TTL, |f| f.create("/ttl", Some(b"t"), &Acl::open(), flags).long(-1));
        assert_eq!(code, BAD_ARGUMENTS, "createTTL with flags {flags}");
    }
    assert_eq!(client.create("/zookeeper/quota/zookeeper_limits", b"x"), BAD_ARGUMENTS);
    assert_eq!(client.create("/zookeeper/zookeeper_limits", b"x"), BAD_ARGUMENTS);
    assert_eq!(client.create("/zookeeper/x", b""), 0);
    assert_eq!(client.create("/zookeeper/x/zookeeper_limits", b"x"), BAD_ARGUMENTS);
    assert_eq!(client.create("/f", b""), 0);
    assert_eq!(client.create("/zookeeper/quota/f", b""), 0);
    assert_eq!(client.create("/zookeeper/quota/f/zookeeper_limits", b"count=9,bytes=-1"), 0);
    assert_eq!(client.create("/zookeeper/quota/f/zookeeper_stats", b"count=0,bytes=0"), 0);
    for data in [Some(&b"not figures"[..]), None] {
        assert_eq!(client.set("/zookeeper/quota/f/zookeeper_stats", data), BAD_ARGUMENTS);
    }
    assert_eq!(client.create("/f/child", b"x"), 0);
    let before = dump::client(server.addr()).expect("a dump");
    server.kill();
    server.restart().expect("it starts again");
    assert_eq!(dump::client(server.addr()).expect("a dump"), before);
}

/// Apache's connection dies without a word. Any other token is answered the same, as Apache does where no
/// JAAS section is configured.
#[test]
fn a_null_sasl_token_is_answered() {
    let server = server();
    let mut client = Client::new(&server);
    for token in [Some(&b"token"[..]), None] {
        let reply = client.send(op::SASL, |f| f.buffer(token));
        let expected = Frame::new().int(client.xid).long(0).int(0).buffer(None).done();
        assert_eq!(reply, expected, "{token:?}");
    }
}

/// Apache keeps a watch for the null path, which nothing can fire; ours keeps none.
#[test]
fn a_watch_on_a_null_path_is_accepted_and_forgotten() {
    let server = server();
    let mut client = Client::new(&server);
    assert_eq!(client.call(op::ADD_WATCH, |f| f.opt_str(None).int(0)), 0);
    assert_eq!(client.call(op::CHECK_WATCHES, |f| f.opt_str(None).int(3)), -121);
}

/// Apache writes a character beyond U+FFFF as two surrogates of three bytes each, which is not UTF-8.
#[test]
fn echoes_are_utf8() {
    let server = server();
    let mut client = Client::new(&server);
    let reply = client.send(op::SYNC, |f| f.str("/\u{1f600}"));
    let echo = Frame::new().str("/\u{1f600}").done();
    assert_eq!(reply.get(16..), Some(echo.as_slice()), "sync");
    let lists = |f: Frame| f.long(0).strs(&["/\u{1f600}"]).strs(&[] as &[&str]);
    let event = client.send(op::SET_WATCHES, |f| lists(f).strs(&[] as &[&str]));
    assert_eq!(event.get(24..), Some(echo.as_slice()), "NodeDeleted, a missed event");
}

/// Apache does not execute it either, but sometimes still answers it with -112.
#[test]
fn nothing_behind_a_close_is_executed() {
    let server = server();
    let mut client = Client::new(&server);
    let create = Frame::request(2, op::CREATE).create("/behind", None, &Acl::open(), 0).done();
    let both = [framed(&Frame::close_session(1)), framed(&create)].concat();
    client.connection.send_bytes(&both).expect("two requests in one go");
    let reply = client.connection.receive().expect("a reply").expect("to the close");
    assert_eq!((error_of(&reply), reply.len()), (0, 16));
    client.connection.expect_close().expect("no answer to the create");
    let found = Client::new(&server).call(op::EXISTS, |f| f.str("/behind").bool(false));
    assert_eq!(found, -101, "the create was not executed");
}
