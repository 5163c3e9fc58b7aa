//! The core against a scripted server, in virtual time.

use rookeeper_proto::Reader;
use rookeeper_proto::client::reply::EventType;
use rookeeper_proto::client::request::{Create, PathVersion, PathWatch};
use rookeeper_proto::client::{ReplyHeader, WatchedEvent};

use super::*;

const SESSION: SessionId = SessionId(0x0100_0000_0000_0007);
const PASSWORD: [u8; 16] = [7; 16];

struct Bench {
    session: Session,
    now: Millis,
    calls: u64,
}

impl Bench {
    fn new(config: Config) -> Self {
        Self { session: Session::new(config, 0), now: 0, calls: 0 }
    }

    fn connected() -> Self {
        let mut bench = Self::new(Config { timeout_ms: 9_000, ..Config::default() });
        bench.establish();
        bench.outputs();
        bench
    }

    /// Lets a server accept the session; answers the handshake that was sent.
    fn establish(&mut self) -> Vec<u8> {
        self.reach_connect();
        self.session.connected(self.now);
        let hello = std::mem::take(self.session.outgoing());
        self.accept(SESSION, 9_000);
        hello
    }

    /// Lets time pass until the core asks for a connection.
    fn reach_connect(&mut self) {
        for _ in 0..100 {
            if matches!(self.session.phase, Phase::Connecting { .. }) {
                return;
            }
            self.now = self.session.deadline().expect("not over").max(self.now);
            self.session.tick(self.now);
        }
        panic!("no attempt to connect: {:?}", self.session.phase);
    }

    fn accept(&mut self, session: SessionId, timeout_ms: i32) {
        let response = rookeeper_proto::client::ConnectResponse {
            timeout_ms,
            session,
            password: PASSWORD,
            read_only: Some(false),
        };
        self.frame(|out| response.write(out));
    }

    fn frame(&mut self, body: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = Vec::new();
        frame(&mut bytes, body);
        self.session.received(&bytes, self.now);
    }

    fn reply(&mut self, xid: i32, zxid: i64, err: i32) {
        self.frame(|out| ReplyHeader { xid: Xid(xid), zxid: Zxid(zxid), err }.write(out));
    }

    fn event(&mut self, event: EventType, path: &str) {
        self.frame(|out| {
            ReplyHeader { xid: Xid::NOTIFICATION, zxid: Zxid(5), err: 0 }.write(out);
            WatchedEvent { event, path: path.into() }.write(out);
        });
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.session.poll()).collect()
    }

    fn submit(&mut self, request: &Request<'_>, watch: WatchChange) -> CallId {
        self.calls += 1;
        let id = CallId(self.calls);
        self.session.submit(id, Call { watch, ..Call::new(request) }, self.now);
        id
    }

    fn read(&mut self) -> CallId {
        self.submit(&Request::GetData(path_watch("/a")), WatchChange::None)
    }

    fn write(&mut self) -> CallId {
        let delete = PathVersion { path: Some("/a".into()), version: -1 };
        self.submit(&Request::Delete(delete), WatchChange::None)
    }

    fn watch(&mut self, id: u64, kind: WatchKind, path: &str) -> CallId {
        let request = match kind {
            WatchKind::Exist => Request::Exists(path_watch(path)),
            WatchKind::Child => Request::GetChildren2(path_watch(path)),
            WatchKind::Persistent | WatchKind::PersistentRecursive => {
                Request::AddWatch(PathKind { path: Some(path.to_owned().into()), kind: 0 })
            }
            WatchKind::Data => Request::GetData(path_watch(path)),
        };
        self.submit(&request, WatchChange::Add(WatchId(id), kind, path.to_owned()))
    }

    /// The requests in the bytes sent, decoded.
    fn sent(&mut self) -> Vec<(i32, OpCode)> {
        let bytes = std::mem::take(self.session.outgoing());
        requests(&bytes).into_iter().map(|(xid, op, _)| (xid, op)).collect()
    }
}

fn path_watch(path: &str) -> PathWatch<'static> {
    PathWatch { path: Some(path.to_owned().into()), watch: true }
}

fn requests(bytes: &[u8]) -> Vec<(i32, OpCode, Vec<u8>)> {
    let mut frames = input::Frames::new(usize::MAX);
    frames.push(bytes);
    let mut found = Vec::new();
    while let Some(payload) = frames.next().expect("our own frames") {
        let mut r = Reader::new(payload);
        let header = RequestHeader::read(&mut r).expect("our own header");
        let op = OpCode::from_i32(header.op).expect("our own operation");
        found.push((header.xid.0, op, r.rest().to_vec()));
    }
    found
}

fn done(outputs: &[Output], id: CallId) -> Option<Result<Reply, Failure>> {
    outputs.iter().find_map(|output| match output {
        Output::Done { call, result } if *call == id => Some(result.clone()),
        _ => None,
    })
}

fn states(outputs: &[Output]) -> Vec<SessionState> {
    let state = |output: &Output| match output {
        Output::State { state, .. } => Some(*state),
        _ => None,
    };
    outputs.iter().filter_map(state).collect()
}

fn events(outputs: &[Output]) -> Vec<(EventKind, Vec<u64>)> {
    let event = |output: &Output| match output {
        Output::Event { kind, watchers, .. } => {
            Some((*kind, watchers.iter().map(|id| id.0).collect()))
        }
        _ => None,
    };
    outputs.iter().filter_map(event).collect()
}

#[test]
fn requests_are_pipelined_and_complete_in_order() {
    let mut bench = Bench::connected();
    let (first, second) = (bench.read(), bench.write());
    assert_eq!(bench.sent(), [(1, OpCode::GetData), (2, OpCode::Delete)]);
    bench.reply(1, 10, -101);
    bench.reply(2, 11, 0);
    let outputs = bench.outputs();
    assert_eq!(done(&outputs, first), Some(Err(Failure::Code(-101))));
    assert_eq!(done(&outputs, second), Some(Ok(Reply { zxid: Zxid(11), body: vec![] })));
    assert_eq!(bench.session.last_zxid(), Zxid(11));
    assert_eq!(bench.session.pending(), 0);
}

#[test]
fn a_reply_out_of_order_ends_the_connection() {
    let mut bench = Bench::connected();
    let id = bench.write();
    bench.reply(2, 10, 0);
    let outputs = bench.outputs();
    assert!(outputs.contains(&Output::Disconnect));
    assert_eq!(done(&outputs, id), Some(Err(Failure::ConnectionLoss { sent: true })));
    assert_eq!(states(&outputs), [SessionState::Disconnected]);
}

#[test]
fn the_window_holds_requests_back() {
    let config = Config { in_flight_max: 2, ..Config::default() };
    let mut bench = Bench::new(config);
    bench.establish();
    for _ in 0..3 {
        bench.read();
    }
    assert_eq!(bench.sent().len(), 2);
    bench.reply(1, 1, 0);
    assert_eq!(bench.sent(), [(3, OpCode::GetData)]);
}

#[test]
fn pings_after_a_third_and_gives_up_after_two() {
    let mut bench = Bench::connected();
    assert_eq!(bench.session.deadline(), Some(3_000));
    bench.now = 2_999;
    bench.session.tick(bench.now);
    assert!(bench.session.outgoing().is_empty());
    bench.now = 3_000;
    bench.session.tick(bench.now);
    assert_eq!(bench.sent(), [(-2, OpCode::Ping)]);
    bench.reply(-2, 10, 0);
    bench.now = 8_999;
    bench.session.tick(bench.now);
    assert_eq!(bench.session.state(), SessionState::Connected);
    bench.now = 9_000;
    bench.session.tick(bench.now);
    assert_eq!(bench.session.state(), SessionState::Disconnected);
    assert!(bench.outputs().contains(&Output::Disconnect));
}

#[test]
fn a_lost_connection_resumes_the_session_with_credentials_and_watches() {
    let mut bench = Bench::connected();
    bench.session.add_auth(CallId(100), "digest".into(), b"u:p".to_vec(), 0);
    bench.reply(-4, 0, 0);
    let data = bench.watch(1, WatchKind::Data, "/data");
    let missing = bench.watch(2, WatchKind::Exist, "/missing");
    bench.watch(3, WatchKind::Child, "/parent");
    bench.watch(4, WatchKind::PersistentRecursive, "/tree");
    bench.reply(1, 20, 0);
    bench.reply(2, 21, -101);
    bench.reply(3, 22, 0);
    bench.reply(4, 23, 0);
    let outputs = bench.outputs();
    assert!(done(&outputs, CallId(100)).unwrap().is_ok());
    assert!(done(&outputs, data).unwrap().is_ok());
    assert_eq!(done(&outputs, missing), Some(Err(Failure::Code(-101))));
    bench.session.disconnected(bench.now);
    let late = bench.write();
    let hello = bench.establish();
    let hello = ConnectRequest::read(&mut Reader::new(&hello[4..]));
    let hello = hello.unwrap();
    assert_eq!((hello.session, hello.last_zxid_seen), (SESSION, Zxid(23)));
    assert_eq!(hello.password, Some(&PASSWORD[..]));
    let bytes = std::mem::take(bench.session.outgoing());
    let sent = requests(&bytes);
    let ops: Vec<_> = sent.iter().map(|(_, op, _)| *op).collect();
    assert_eq!(ops, [OpCode::Auth, OpCode::SetWatches2, OpCode::Delete]);
    let Ok(Request::SetWatches2(set)) =
        Request::read(OpCode::SetWatches2, &mut Reader::new(&sent[1].2))
    else {
        panic!("not a setWatches2")
    };
    let list = |list: &Option<Vec<Option<std::borrow::Cow<'_, str>>>>| {
        list.iter().flatten().flatten().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(set.relative_zxid, Zxid(23));
    assert_eq!(list(&set.data), ["/data"]);
    assert_eq!(list(&set.exist), ["/missing"]);
    assert_eq!(list(&set.child), ["/parent"]);
    assert_eq!(list(&set.persistent_recursive), ["/tree"]);
    let outputs = bench.outputs();
    assert!(
        outputs.contains(&Output::State {
            state: SessionState::Connected,
            watchers: vec![WatchId(4)]
        })
    );
    bench.reply(sent[1].0, 24, 0);
    bench.reply(sent[2].0, 25, 0);
    assert!(done(&bench.outputs(), late).unwrap().is_ok(), "it waited and was sent once");
}

#[test]
fn loss_tells_what_was_sent_and_keeps_what_was_not() {
    let config = Config { in_flight_max: 1, servers: 2, ..Config::default() };
    let mut bench = Bench::new(config.clone());
    bench.establish();
    let (sent, waiting) = (bench.write(), bench.write());
    bench.session.disconnected(bench.now);
    let outputs = bench.outputs();
    assert_eq!(done(&outputs, sent), Some(Err(Failure::ConnectionLoss { sent: true })));
    assert_eq!(done(&outputs, waiting), None);

    let mut bench = Bench::new(Config { fail_fast: true, ..config });
    let id = bench.read();
    bench.session.connect_failed(bench.now);
    assert_eq!(done(&bench.outputs(), id), None, "the second server was not tried yet");
    bench.session.connect_failed(bench.now);
    let outputs = bench.outputs();
    assert_eq!(done(&outputs, id), Some(Err(Failure::ConnectionLoss { sent: false })));
}

#[test]
fn the_servers_end_the_session_or_time_does() {
    let mut bench = Bench::connected();
    let lost = bench.write();
    bench.session.disconnected(bench.now);
    let waiting = bench.read();
    bench.reach_connect();
    bench.session.connected(bench.now);
    bench.session.outgoing().clear();
    bench.accept(SessionId::NONE, 0);
    let outputs = bench.outputs();
    assert_eq!(done(&outputs, lost), Some(Err(Failure::ConnectionLoss { sent: true })));
    let over = Failure::Over(SessionState::Expired);
    assert_eq!(done(&outputs, waiting), Some(Err(over)));
    assert_eq!(states(&outputs), [SessionState::Disconnected, SessionState::Expired]);
    assert_eq!(bench.session.deadline(), None);
    let later = bench.read();
    assert_eq!(done(&bench.outputs(), later), Some(Err(over)));

    let mut bench = Bench::connected();
    bench.session.disconnected(0);
    while let Some(deadline) = bench.session.deadline() {
        assert!(deadline <= 12_000);
        bench.now = deadline.max(bench.now);
        bench.session.tick(bench.now);
        bench.session.connect_failed(bench.now);
    }
    assert_eq!((bench.session.state(), bench.now), (SessionState::Expired, 12_000));
}

#[test]
fn another_session_than_ours_is_an_expired_one() {
    let mut bench = Bench::connected();
    bench.session.disconnected(0);
    bench.reach_connect();
    bench.session.connected(bench.now);
    bench.accept(SessionId(99), 9_000);
    assert_eq!(bench.session.state(), SessionState::Expired);
}

#[test]
fn watches_fire_once_or_always_and_nobody_twice() {
    let mut bench = Bench::connected();
    bench.watch(1, WatchKind::Data, "/a");
    bench.watch(1, WatchKind::Persistent, "/a");
    bench.watch(2, WatchKind::Exist, "/b");
    bench.watch(3, WatchKind::Data, "/none");
    bench.reply(1, 1, 0);
    bench.reply(2, 2, 0);
    bench.reply(3, 3, -101);
    bench.reply(4, 4, -101);
    bench.outputs();
    bench.event(EventType::NodeDataChanged, "/a");
    bench.event(EventType::NodeChildrenChanged, "/a");
    bench.event(EventType::NodeCreated, "/b");
    bench.event(EventType::NodeDeleted, "/b");
    bench.event(EventType::NodeDataChanged, "/none");
    assert_eq!(
        events(&bench.outputs()),
        [
            (EventKind::NodeDataChanged, vec![1]),
            (EventKind::NodeChildrenChanged, vec![1]),
            (EventKind::NodeCreated, vec![2]),
        ]
    );
}

#[test]
fn removing_watches_tells_their_holders_and_needs_some() {
    let mut bench = Bench::connected();
    let remove = |which, locally| {
        let request =
            Request::RemoveWatches(PathKind { path: Some("/a".into()), kind: which as i32 });
        (request, WatchChange::Remove { path: "/a".into(), which, locally })
    };
    let (request, change) = remove(WatcherType::Any, false);
    let none = bench.submit(&request, change);
    assert_eq!(done(&bench.outputs(), none), Some(Err(Failure::Code(-121))));
    bench.watch(1, WatchKind::Child, "/a");
    bench.reply(1, 1, 0);
    let (request, change) = remove(WatcherType::Any, false);
    bench.submit(&request, change);
    bench.reply(2, 1, 0);
    let outputs = bench.outputs();
    assert_eq!(events(&outputs), [(EventKind::ChildWatchRemoved, vec![1])]);

    bench.watch(1, WatchKind::Persistent, "/a");
    bench.reply(3, 1, 0);
    bench.session.disconnected(0);
    let (request, change) = remove(WatcherType::Persistent, true);
    let local = bench.submit(&request, change);
    let outputs = bench.outputs();
    assert!(done(&outputs, local).unwrap().is_ok());
    assert_eq!(events(&outputs), [(EventKind::PersistentWatchRemoved, vec![1])]);
}

#[test]
fn a_dropped_persistent_watcher_takes_the_last_watch_away() {
    let mut bench = Bench::connected();
    bench.watch(1, WatchKind::Persistent, "/a");
    bench.watch(2, WatchKind::Persistent, "/a");
    bench.reply(1, 1, 0);
    bench.reply(2, 1, 0);
    bench.sent();
    bench.session.forget_watch(WatchId(1), WatchKind::Persistent, "/a", 0);
    assert!(bench.sent().is_empty());
    bench.session.forget_watch(WatchId(2), WatchKind::Persistent, "/a", 0);
    assert_eq!(bench.sent(), [(3, OpCode::RemoveWatches)]);
    bench.reply(3, 1, 0);
    assert_eq!(bench.session.state(), SessionState::Connected);
}

#[test]
fn refused_credentials_end_the_session() {
    let mut bench = Bench::connected();
    let pending = bench.read();
    bench.session.add_auth(CallId(9), "foo".into(), b"x".to_vec(), 0);
    bench.reply(-4, 0, -115);
    let outputs = bench.outputs();
    assert_eq!(done(&outputs, CallId(9)), Some(Err(Failure::Code(-115))));
    let over = Failure::Over(SessionState::AuthFailed);
    assert_eq!(done(&outputs, pending), Some(Err(over)));
    assert_eq!(states(&outputs), [SessionState::AuthFailed]);
}

#[test]
fn cancelled_requests_are_not_sent_or_not_told() {
    let mut bench = Bench::new(Config { in_flight_max: 1, ..Config::default() });
    bench.establish();
    let sent = bench.watch(1, WatchKind::Data, "/a");
    let waiting = bench.write();
    bench.session.cancel(sent);
    bench.session.cancel(waiting);
    bench.sent();
    bench.reply(1, 1, 0);
    assert!(bench.sent().is_empty());
    let outputs = bench.outputs();
    assert!(done(&outputs, sent).is_none() && done(&outputs, waiting).is_none());
    bench.event(EventType::NodeDataChanged, "/a");
    assert!(events(&bench.outputs()).is_empty(), "its watch went with it");
}

#[test]
fn closing_waits_for_what_was_submitted() {
    let mut bench = Bench::connected();
    let id = bench.write();
    bench.session.close(CallId(50), 0);
    let late = bench.read();
    assert_eq!(bench.sent(), [(1, OpCode::Delete), (2, OpCode::CloseSession)]);
    bench.reply(1, 1, 0);
    bench.reply(2, 2, 0);
    let outputs = bench.outputs();
    assert!(done(&outputs, id).unwrap().is_ok());
    assert!(done(&outputs, CallId(50)).unwrap().is_ok());
    assert_eq!(done(&outputs, late), Some(Err(Failure::Over(SessionState::Closed))));
    assert_eq!(states(&outputs), [SessionState::Closed]);
}

#[test]
fn closing_without_a_connection_or_without_a_reply_still_closes() {
    let mut bench = Bench::new(Config::default());
    bench.session.close(CallId(1), 0);
    assert!(done(&bench.outputs(), CallId(1)).unwrap().is_ok());

    let mut bench = Bench::connected();
    let id = bench.write();
    bench.session.close(CallId(50), 0);
    bench.session.disconnected(0);
    let outputs = bench.outputs();
    assert!(done(&outputs, CallId(50)).unwrap().is_ok());
    assert_eq!(done(&outputs, id), Some(Err(Failure::ConnectionLoss { sent: true })));
    assert_eq!(bench.session.state(), SessionState::Closed);
}

#[test]
fn a_read_only_server_is_told_apart_and_its_session_forgotten() {
    let mut bench = Bench::new(Config { read_only: true, ..Config::default() });
    bench.reach_connect();
    bench.session.connected(0);
    let read_only = rookeeper_proto::client::ConnectResponse {
        timeout_ms: 9_000,
        session: SessionId(5),
        password: PASSWORD,
        read_only: Some(true),
    };
    bench.frame(|out| read_only.write(out));
    assert_eq!(bench.session.state(), SessionState::ConnectedReadOnly);
    bench.session.disconnected(0);
    bench.reach_connect();
    bench.session.connected(bench.now);
    let hello = std::mem::take(bench.session.outgoing());
    let hello = ConnectRequest::read(&mut Reader::new(&hello[4..]));
    assert_eq!(hello.unwrap().session, SessionId::NONE);
    bench.accept(SESSION, 9_000);
    assert_eq!(bench.session.state(), SessionState::Connected);
    assert_eq!(bench.session.credentials().unwrap().session, SESSION);
}

#[test]
fn a_server_that_takes_writes_is_looked_for_while_another_only_reads() {
    let config = Config { servers: 3, read_only: true, timeout_ms: 300_000, ..Config::default() };
    let mut bench = Bench::new(config);
    bench.establish();
    assert_eq!(bench.session.whom_to_ask(), None, "this one takes them");
    bench.session.disconnected(bench.now);
    bench.reach_connect();
    bench.session.connected(bench.now);
    let read_only = rookeeper_proto::client::ConnectResponse {
        timeout_ms: 300_000,
        session: SESSION,
        password: PASSWORD,
        read_only: Some(true),
    };
    bench.frame(|out| read_only.write(out));
    assert_eq!(bench.session.state(), SessionState::ConnectedReadOnly);
    bench.outputs();
    let (mut asked, mut times) = (Vec::new(), vec![bench.now]);
    while asked.len() < 12 {
        bench.now = bench.session.deadline().expect("not over");
        bench.session.tick(bench.now);
        if let Some(server) = bench.session.whom_to_ask() {
            asked.push(server);
            times.push(bench.now);
        }
        // The server keeps the connection alive.
        bench.frame(|out| ReplyHeader { xid: Xid::PING, zxid: Zxid(-2), err: 0 }.write(out));
    }
    let waits: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(waits[..5], [100, 200, 400, 800, 1600]);
    assert_eq!(waits[11], 60_000);
    assert_eq!(asked[..3], asked[3..6], "in turn");
    let mut all = asked[..3].to_vec();
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2]);
    // Whoever says yes is next, and the session is kept.
    bench.session.found_writable(asked[1], bench.now);
    assert_eq!(bench.session.state(), SessionState::Disconnected);
    bench.reach_connect();
    assert!(bench.outputs().contains(&Output::Connect { server: asked[1] }));
    bench.session.connected(bench.now);
    let hello = std::mem::take(bench.session.outgoing());
    let hello = ConnectRequest::read(&mut Reader::new(&hello[4..]));
    assert_eq!(hello.unwrap().session, SESSION);
    bench.accept(SESSION, 9_000);
    assert_eq!(bench.session.state(), SessionState::Connected);
    // An answer that comes late changes nothing.
    bench.session.found_writable(asked[0], bench.now);
    assert_eq!(bench.session.state(), SessionState::Connected);
}

#[test]
fn the_same_inputs_give_the_same_outputs() {
    let run = || {
        let mut bench = Bench::new(Config { servers: 5, seed: 11, ..Config::default() });
        let mut trace = Vec::new();
        for _ in 0..40 {
            bench.now = bench.session.deadline().unwrap_or(bench.now).max(bench.now);
            bench.session.tick(bench.now);
            bench.session.connect_failed(bench.now);
            trace.push((bench.now, bench.outputs()));
        }
        trace
    };
    assert_eq!(run(), run());
}

mod hostile {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Bytes(Vec<u8>),
        Reply { xid_offset: i32, zxid: i64, err: i32, body: Vec<u8> },
        Event { kind: i32, path: String },
        Lose,
        Reconnect,
        Wait(u64),
        Read,
        Write,
        Watch(u8),
        Auth,
        CancelLast,
        Close,
    }

    fn step() -> impl Strategy<Value = Step> {
        let bytes = proptest::collection::vec(any::<u8>(), 0..40);
        prop_oneof![
            bytes.clone().prop_map(Step::Bytes),
            (-6i32..3, any::<i64>(), prop_oneof![Just(0), -130i32..1], bytes).prop_map(
                |(xid_offset, zxid, err, body)| Step::Reply { xid_offset, zxid, err, body }
            ),
            (0i32..8, "/[ab]{0,2}").prop_map(|(kind, path)| Step::Event { kind, path }),
            Just(Step::Lose),
            Just(Step::Reconnect),
            (0u64..20_000).prop_map(Step::Wait),
            Just(Step::Read),
            Just(Step::Write),
            (0u8..5).prop_map(Step::Watch),
            Just(Step::Auth),
            Just(Step::CancelLast),
            Just(Step::Close),
        ]
    }

    fn take(
        bench: &mut Bench,
        step: Step,
        completed: &mut Vec<CallId>,
        cancelled: &mut Vec<CallId>,
    ) {
        match step {
            Step::Bytes(bytes) => bench.session.received(&bytes, bench.now),
            Step::Reply { xid_offset, zxid, err, body } => {
                // 0 is what the core waits for, so that replies get beyond the check of the xid.
                let expected = bench.session.in_flight.front().map_or(1, |first| first.xid.0);
                let xid = expected.wrapping_add(xid_offset);
                bench.frame(|out| {
                    ReplyHeader { xid: Xid(xid), zxid: Zxid(zxid), err }.write(out);
                    out.extend_from_slice(&body);
                });
            }
            Step::Event { kind, path } => bench.frame(|out| {
                ReplyHeader { xid: Xid::NOTIFICATION, zxid: Zxid(1), err: 0 }.write(out);
                out.put_i32(kind);
                out.put_i32(3);
                out.put_str(&path);
            }),
            Step::Lose => bench.session.disconnected(bench.now),
            Step::Reconnect => {
                if bench.session.deadline().is_some() && !bench.session.has_transport() {
                    bench.now += 3_000;
                    bench.session.tick(bench.now);
                    bench.session.connected(bench.now);
                    bench.accept(SESSION, 9_000);
                }
            }
            Step::Wait(ms) => {
                bench.now += ms;
                bench.session.tick(bench.now);
            }
            Step::Read => {
                bench.read();
            }
            Step::Write => {
                bench.write();
            }
            Step::Watch(kind) => {
                let kind = [
                    WatchKind::Data,
                    WatchKind::Exist,
                    WatchKind::Child,
                    WatchKind::Persistent,
                    WatchKind::PersistentRecursive,
                ][usize::from(kind)];
                bench.watch(bench.now, kind, "/a");
            }
            Step::Auth => {
                bench.calls += 1;
                let id = CallId(bench.calls);
                bench.session.add_auth(id, "digest".into(), vec![1], bench.now);
            }
            Step::CancelLast => {
                let id = CallId(bench.calls);
                bench.session.cancel(id);
                cancelled.push(id);
            }
            Step::Close => {
                bench.calls += 1;
                bench.session.close(CallId(bench.calls), bench.now);
            }
        }
        completed.extend(bench.outputs().iter().filter_map(|output| match output {
            Output::Done { call, .. } => Some(*call),
            _ => None,
        }));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        /// Whatever a server and its client do: no panic, and every request completes exactly once.
        #[test]
        fn every_request_completes_once(steps in proptest::collection::vec(step(), 0..60)) {
            let mut bench = Bench::new(Config { timeout_ms: 9_000, ..Config::default() });
            let (mut completed, mut cancelled) = (Vec::new(), Vec::new());
            bench.establish();
            for step in steps {
                take(&mut bench, step, &mut completed, &mut cancelled);
            }
            // The end: nothing may be left hanging.
            bench.session.end(SessionState::Expired);
            take(&mut bench, Step::Wait(0), &mut completed, &mut cancelled);
            completed.sort();
            let all = completed.len();
            completed.dedup();
            prop_assert_eq!(all, completed.len(), "completed twice");
            for id in (1..=bench.calls).map(CallId) {
                prop_assert!(completed.contains(&id) || cancelled.contains(&id), "{:?} hangs", id);
            }
        }

        #[test]
        fn arbitrary_bytes_in_any_cut_never_panic(
            chunks: Vec<Vec<u8>>,
            handshake: bool,
        ) {
            let mut bench = Bench::new(Config::default());
            if handshake { bench.establish(); } else { bench.session.connected(0); }
            chunks.iter().for_each(|chunk| bench.session.received(chunk, 0));
        }
    }
}

#[test]
fn a_call_is_the_request_s_body() {
    let request = Request::Create2(Create {
        path: Some("/a".into()),
        data: Some(b"x"),
        acls: None,
        flags: 0,
        ttl_ms: -1,
    });
    let call = Call::new(&request);
    assert_eq!(call.op, OpCode::Create2);
    assert_eq!(call.body, b"\0\0\0\x02/a\0\0\0\x01x\xff\xff\xff\xff\0\0\0\0");
}

/// Found by the simulator: a server that was behind what the user had been told would have been welcome.
#[test]
fn an_event_s_zxid_counts_as_seen() {
    let mut bench = Bench::connected();
    bench.watch(1, WatchKind::Persistent, "/a");
    bench.reply(1, 3, 0);
    bench.event(EventType::NodeDataChanged, "/a");
    assert_eq!(bench.session.last_zxid(), Zxid(5));
    bench.session.disconnected(bench.now);
    let hello = bench.establish();
    let hello = ConnectRequest::read(&mut Reader::new(&hello[4..])).unwrap();
    assert_eq!(hello.last_zxid_seen, Zxid(5));
}

/// Found by the simulator: the removal took the watch with it that was just being left.
#[test]
fn a_dropped_watcher_does_not_take_away_the_watch_another_is_leaving() {
    let mut bench = Bench::connected();
    bench.watch(1, WatchKind::Persistent, "/a");
    bench.reply(1, 1, 0);
    bench.watch(2, WatchKind::Persistent, "/a");
    bench.sent();
    bench.session.forget_watch(WatchId(1), WatchKind::Persistent, "/a", 0);
    assert!(bench.sent().is_empty());
    bench.reply(2, 2, 0);
    bench.event(EventType::NodeDataChanged, "/a");
    assert_eq!(events(&bench.outputs()), [(EventKind::NodeDataChanged, vec![2])]);
}

/// Found by the simulator: the server had removed the watches, but their holders went on waiting.
#[test]
fn a_removal_taken_back_too_late_still_removes() {
    let mut bench = Bench::connected();
    bench.watch(1, WatchKind::Persistent, "/a");
    bench.reply(1, 1, 0);
    let (path, which) = ("/a".to_owned(), WatcherType::Persistent);
    let request = Request::RemoveWatches(PathKind { path: Some("/a".into()), kind: which as i32 });
    let id = bench.submit(&request, WatchChange::Remove { path, which, locally: false });
    bench.session.cancel(id);
    bench.reply(2, 1, 0);
    let outputs = bench.outputs();
    assert_eq!(done(&outputs, id), None);
    assert_eq!(events(&outputs), [(EventKind::PersistentWatchRemoved, vec![1])]);
}

#[test]
fn a_persistent_watch_taken_back_too_late_is_removed() {
    let mut bench = Bench::connected();
    let id = bench.watch(1, WatchKind::Persistent, "/a");
    bench.session.cancel(id);
    bench.sent();
    bench.reply(1, 1, 0);
    assert_eq!(bench.sent(), [(2, OpCode::RemoveWatches)]);
    bench.reply(2, 1, 0);
    // Unless somebody else wants it.
    let id = bench.watch(2, WatchKind::Persistent, "/a");
    bench.watch(3, WatchKind::Persistent, "/a");
    bench.session.cancel(id);
    bench.sent();
    bench.reply(3, 1, 0);
    assert!(bench.sent().is_empty());
}

/// Found by the simulator: every new connection would have been shown them twice.
#[test]
fn credentials_added_twice_are_kept_once() {
    let mut bench = Bench::connected();
    for id in [1, 2] {
        bench.session.add_auth(CallId(id), "digest".into(), b"u:p".to_vec(), 0);
    }
    assert_eq!(bench.sent().len(), 2);
    bench.reply(-4, 0, 0);
    bench.reply(-4, 0, 0);
    let outputs = bench.outputs();
    assert!([1, 2].into_iter().all(|id| done(&outputs, CallId(id)).unwrap().is_ok()));
    bench.session.disconnected(bench.now);
    bench.establish();
    assert_eq!(bench.sent(), [(-4, OpCode::Auth)]);
}

/// Found by the simulator: closeSession was sent once for every caller.
#[test]
fn a_session_closed_twice_is_closed_once() {
    let mut bench = Bench::connected();
    bench.session.close(CallId(1), 0);
    bench.session.close(CallId(2), 0);
    assert_eq!(bench.sent(), [(1, OpCode::CloseSession)]);
    bench.reply(1, 5, 0);
    let outputs = bench.outputs();
    assert!([1, 2].into_iter().all(|id| done(&outputs, CallId(id)).unwrap().is_ok()));
}
