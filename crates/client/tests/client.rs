//! The whole client over real sockets, against the small server of `support`.

mod support;

use std::time::Duration;

use rookeeper_client::{
    AddWatchMode, Client, CreateOptions, ErrorCode, ErrorKind, EventKind, Notice, OpResult,
    PersistentWatcher, ReadResult, SessionEvent, SessionState, Watch, WatcherType, acl,
};
use rookeeper_proto::OpCode;
use support::{Break, FakeServer};
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(120);

async fn pair() -> (FakeServer, Client) {
    let server = FakeServer::start().await;
    let client = Client::builder()
        .session_timeout(PATIENCE)
        .connect(&server.servers())
        .await
        .expect("a session");
    (server, client)
}

async fn next(watcher: &mut PersistentWatcher) -> (EventKind, String) {
    match soon(watcher.next()).await {
        Some(Notice::Event(event)) => (event.kind, event.path),
        other => panic!("{other:?} instead of an event"),
    }
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("in time")
}

#[tokio::test]
async fn every_operation() {
    let (_server, client) = pair().await;
    let persistent = CreateOptions::persistent();
    let (path, stat) = client.create("/a", b"1", &persistent).await.unwrap();
    assert_eq!((path.as_str(), stat.data_length), ("/a", 1));
    let sequential = CreateOptions::persistent_sequential();
    let (path, _) = client.create("/a/s-", b"", &sequential).await.unwrap();
    assert_eq!(path, "/a/s-0000000000");
    for options in [
        CreateOptions::container(),
        persistent.clone().with_ttl(Duration::from_secs(1)),
        CreateOptions::ephemeral().without_data(),
    ] {
        client.create("/b", b"", &options).await.unwrap();
        if options != CreateOptions::ephemeral().without_data() {
            client.delete("/b", None).await.unwrap();
        }
    }
    assert_eq!(client.get_watch("/b", Watch::No).await.unwrap().0, None);
    assert_eq!(client.get("/a").await.unwrap().0, b"1");
    assert_eq!(client.set("/a", b"22", Some(0)).await.unwrap().version, 1);
    let error = client.set("/a", b"3", Some(0)).await.unwrap_err();
    assert_eq!((error.code(), error.path()), (Some(ErrorCode::BadVersion), Some("/a")));
    assert!(client.exists("/none").await.unwrap().is_none());
    assert!(client.exists("/a").await.unwrap().is_some());
    assert_eq!(client.children("/a").await.unwrap().0, ["s-0000000000"]);
    assert_eq!(client.all_children_number("/a").await.unwrap(), 1);
    assert_eq!(client.ephemerals("/").await.unwrap(), ["/b"]);
    let list = vec![acl::entry(acl::READ, "ip", "127.0.0.1")];
    assert_eq!(client.set_acl("/a", &list, None).await.unwrap().aversion, 1);
    assert_eq!(client.acl("/a").await.unwrap().0, list);
    client.sync("/").await.unwrap();
    client.add_auth("digest", b"bob:x").await.unwrap();
    assert_eq!(client.whoami().await.unwrap()[1].id, "bob");
    assert!(client.config(Watch::No).await.unwrap().0.unwrap().is_empty());
    let error = client.reconfig(None, Some("1"), None, None).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::ReconfigDisabled));
    let error = client.get("no-slash").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    client.close().await.unwrap();
    assert_eq!(client.state(), SessionState::Closed);
    assert_eq!(client.get("/a").await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn transactions_and_reads_of_several_nodes() {
    let (_server, client) = pair().await;
    let persistent = CreateOptions::persistent();
    let results = client
        .transaction()
        .create("/t", b"1", &persistent)
        .create("/t/s-", b"", &CreateOptions::persistent_sequential())
        .set("/t", b"2", Some(0))
        .check("/t", Some(1))
        .delete("/t/s-0000000000", None)
        .commit()
        .await
        .unwrap();
    assert!(matches!(&results[1], OpResult::Created(path, _) if path == "/t/s-0000000000"));
    assert!(matches!(&results[2], OpResult::Set(stat) if stat.version == 1));
    let error = client
        .transaction()
        .set("/t", b"3", None)
        .check("/none", None)
        .delete("/t", None)
        .commit()
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NoNode));
    assert_eq!((error.operation(), error.path()), (Some(1), Some("/none")));
    assert_eq!(client.get("/t").await.unwrap().0, b"2", "nothing of it happened");
    let error = client.transaction().delete("bad", None).commit().await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::InvalidArgument, Some(0)));
    let read = client.multi_read().get("/t").get("/none").children("/").send().await.unwrap();
    assert!(matches!(&read[0], Ok(ReadResult::Data(Some(data), _)) if data == b"2"));
    assert_eq!(read[1].as_ref().unwrap_err().code(), Some(ErrorCode::NoNode));
    assert!(matches!(&read[2], Ok(ReadResult::Children(names)) if names.contains(&"t".into())));
}

#[tokio::test]
async fn a_chroot_is_invisible() {
    let (server, client) = pair().await;
    client.create("/app", b"", &CreateOptions::persistent()).await.unwrap();
    let below = Client::connect(&format!("{}/app", server.servers())).await.unwrap();
    let (_, _, watcher) = below.children_and_watch("/").await.unwrap();
    let (path, _) = below.create("/x", b"", &CreateOptions::ephemeral()).await.unwrap();
    assert_eq!(path, "/x");
    assert_eq!(soon(watcher.changed()).await.unwrap().path, "/");
    assert_eq!(below.ephemerals("/").await.unwrap(), ["/x"]);
    assert!(client.exists("/app/x").await.unwrap().is_some());
    let sub = client.below("/app").unwrap();
    assert!(sub.exists("/x").await.unwrap().is_some());
    let error = below.get("/none").await.unwrap_err();
    assert_eq!(error.path(), Some("/none"));
}

#[tokio::test]
async fn watches_fire_and_survive_a_lost_connection() {
    let (server, client) = pair().await;
    client.create("/w", b"1", &CreateOptions::persistent()).await.unwrap();
    let (_, _, data) = client.get_and_watch("/w").await.unwrap();
    let (_, created) = client.exists_and_watch("/later").await.unwrap();
    let mut tree = client.watch("/", AddWatchMode::PersistentRecursive).await.unwrap();
    let session = client.session_id();
    server.hold();
    soon(client.state_changed(SessionState::Connected)).await.unwrap();
    server.set_data("/w", b"2");
    server.release();
    soon(client.connected()).await.unwrap();
    assert_eq!(client.session_id(), session, "the same session");
    assert_eq!(soon(data.changed()).await.unwrap().kind, EventKind::NodeDataChanged);
    assert_eq!(soon(tree.next()).await, Some(Notice::MayHaveMissed));
    // What the server reports for the data watch is news to this one too.
    assert_eq!(next(&mut tree).await, (EventKind::NodeDataChanged, "/w".to_owned()));
    client.create("/later", b"", &CreateOptions::persistent()).await.unwrap();
    let event = soon(created.changed()).await.unwrap();
    assert_eq!((event.kind, event.path.as_str()), (EventKind::NodeCreated, "/later"));
    assert_eq!(next(&mut tree).await, (EventKind::NodeCreated, "/later".to_owned()));
    client.remove_watches("/", WatcherType::PersistentRecursive, false).await.unwrap();
    assert_eq!(next(&mut tree).await.0, EventKind::PersistentWatchRemoved);
    assert_eq!(soon(tree.next()).await, None);
}

#[tokio::test]
async fn a_dropped_watcher_takes_its_watch_from_the_server() {
    let (server, client) = pair().await;
    let watcher = client.watch("/", AddWatchMode::Persistent).await.unwrap();
    drop(watcher);
    soon(async {
        while server.received(OpCode::RemoveWatches) == 0 {
            client.sync("/").await.unwrap();
        }
    })
    .await;
    let error = client.remove_watches("/", WatcherType::Any, false).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NoWatcher));
}

#[tokio::test]
async fn a_lost_reply_to_a_write_is_an_unknown_outcome() {
    let (server, client) = pair().await;
    for (how, happened) in [(Break::Before, false), (Break::After, true)] {
        server.break_next(OpCode::Create2, how);
        let error = client.create("/x", b"", &CreateOptions::persistent()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
        assert!(!error.is_retryable());
        assert_eq!(client.exists("/x").await.unwrap().is_some(), happened);
    }
    server.break_next(OpCode::GetData, Break::Before);
    let error = client.get("/x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionLoss);
    assert!(error.is_retryable());
    assert!(client.get("/x").await.is_ok());
}

#[tokio::test]
async fn requests_have_time_outs() {
    let server = FakeServer::start().await;
    let client = Client::builder()
        .request_timeout(Duration::from_millis(200))
        .connect(&server.servers())
        .await
        .unwrap();
    server.break_next(OpCode::GetData, Break::Ignore);
    let error = soon(client.get("/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    // A server that left a request out now answers out of order: the connection is given up.
    server.break_next(OpCode::SetData, Break::Ignore);
    let error = soon(client.set("/", b"", None)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
}

#[tokio::test]
async fn handles_of_a_session_have_time_outs_of_their_own() {
    let (server, client) = pair().await;
    let hasty = client.with_request_timeout(Some(Duration::from_millis(50)));
    server.break_next(OpCode::GetData, Break::Ignore);
    let error = soon(hasty.get("/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let patient = hasty.with_request_timeout(None);
    // On a slow machine the first was not even sent.
    let before = server.received(OpCode::GetData);
    server.break_next(OpCode::GetData, Break::Ignore);
    let waiting = tokio::spawn(async move { patient.get("/").await });
    while server.received(OpCode::GetData) == before {
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished());
    server.kick();
    // Not its patience but the connection ended.
    let error = soon(waiting).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionLoss);
    assert_eq!(hasty.session_id(), client.session_id());
}

#[tokio::test]
async fn an_expired_session_says_so_and_ends_its_watches() {
    let (events, mut told) = mpsc::unbounded_channel();
    let server = FakeServer::start().await;
    let client = Client::builder()
        .on_event(move |event| {
            let _ = events.send(event);
        })
        .connect(&server.servers())
        .await
        .unwrap();
    let (_, _, watcher) = client.get_and_watch("/").await.unwrap();
    server.expire_all();
    server.kick();
    let error = soon(watcher.changed()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionExpired);
    let error = soon(client.get("/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionExpired);
    assert!(error.is_session_over());
    for state in [SessionState::Connected, SessionState::Disconnected, SessionState::Expired] {
        assert_eq!(soon(told.recv()).await, Some(SessionEvent::State(state)));
    }
}

#[tokio::test]
async fn refused_credentials_are_final() {
    let (_server, client) = pair().await;
    let error = client.add_auth("nonsense", b"x").await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::AuthFailed));
    assert_eq!(client.get("/").await.unwrap_err().kind(), ErrorKind::AuthFailed);
    assert_eq!(client.state(), SessionState::AuthFailed);
}

#[tokio::test]
async fn credentials_of_the_builder_are_there_from_the_start_and_after_a_cut() {
    let server = FakeServer::start().await;
    let builder = Client::builder().auth("digest", b"bob:x");
    let client = builder.connect(&server.servers()).await.unwrap();
    for _ in 0..2 {
        // A read that a cut made fail may be repeated.
        let identities = soon(async {
            loop {
                match client.whoami().await {
                    Err(error) if error.is_retryable() => client.connected().await.unwrap(),
                    answered => return answered.unwrap(),
                }
            }
        });
        assert!(identities.await.iter().any(|id| id.id == "bob"));
        server.kick();
    }
    let refused = Client::builder().auth("nonsense", b"x").connect(&server.servers()).await;
    match refused {
        // The session was there before the refusal.
        Ok(client) => {
            let error = soon(client.get("/")).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AuthFailed);
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::AuthFailed),
    }
}

#[tokio::test]
async fn nodes_that_name_no_acl_get_the_client_s() {
    let server = FakeServer::start().await;
    let mine = vec![acl::entry(acl::ALL, "digest", "bob:x")];
    let builder = Client::builder().default_acl(mine.clone());
    let client = builder.connect(&server.servers()).await.unwrap();
    let options = CreateOptions::persistent();
    client.create("/a", b"", &options).await.unwrap();
    client.transaction().create("/b", b"", &options).commit().await.unwrap();
    for path in ["/a", "/b"] {
        assert_eq!(client.acl(path).await.unwrap().0, mine);
    }
    client.create("/c", b"", &options.with_acl(vec![acl::open()])).await.unwrap();
    assert_eq!(client.acl("/c").await.unwrap().0, [acl::open()]);
}

#[tokio::test]
async fn a_persistent_watch_is_a_stream() {
    use futures_core::Stream;
    let (_server, client) = pair().await;
    let watcher = client.watch("/", AddWatchMode::PersistentRecursive).await.unwrap();
    let mut stream = std::pin::pin!(watcher);
    let polling = tokio::spawn({
        let client = client.clone();
        async move { client.create("/s", b"", &CreateOptions::persistent()).await }
    });
    let notice = soon(std::future::poll_fn(|context| stream.as_mut().poll_next(context))).await;
    assert!(matches!(notice, Some(Notice::Event(event)) if event.path == "/s"));
    polling.await.unwrap().unwrap();
    client.close().await.unwrap();
    let end = soon(std::future::poll_fn(|context| stream.as_mut().poll_next(context))).await;
    assert_eq!(end, None);
}

#[tokio::test]
async fn a_dead_server_is_passed_over_and_nobody_at_all_is_an_error() {
    let server = FakeServer::start().await;
    // Nobody listens there; a free port might be another test's the next moment.
    let dead = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    for seed in 0..4 {
        let servers = format!("{dead},{}", server.servers());
        let client = Client::builder().seed(seed).connect(&servers).await.unwrap();
        client.sync("/").await.unwrap();
    }
    let builder = Client::builder().connect_timeout(Duration::from_secs(2));
    let error = builder.connect(&dead.to_string()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionLoss);
    assert!(error.to_string().contains("refused"), "{error}");
    let client = Client::builder().fail_fast(true).start(&dead.to_string()).unwrap();
    assert_eq!(soon(client.get("/")).await.unwrap_err().kind(), ErrorKind::ConnectionLoss);
}

#[tokio::test]
async fn futures_may_be_dropped_at_any_time() {
    let (server, client) = pair().await;
    let persistent = CreateOptions::persistent();
    for n in 0..200u32 {
        let path = format!("/d{n}");
        let work = client.create(&path, b"x", &persistent);
        tokio::select! {
            biased;
            result = work => drop(result),
            () = yields(n % 7) => {}
        }
    }
    client.sync("/").await.unwrap();
    assert_eq!(client.state(), SessionState::Connected);
    assert!(server.received(OpCode::Create2) <= 200);
}

async fn yields(times: u32) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn many_tasks_share_one_connection_in_order() {
    let (server, client) = pair().await;
    client.create("/n", b"", &CreateOptions::persistent()).await.unwrap();
    let tasks: Vec<_> = (0..3_000)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.set("/n", b"x", None).await.unwrap().version })
        })
        .collect();
    let mut versions = Vec::new();
    for task in tasks {
        versions.push(soon(task).await.unwrap());
    }
    versions.sort_unstable();
    assert_eq!(versions, (1..=3_000).collect::<Vec<_>>());
    assert_eq!(server.received(OpCode::SetData), 3_000);
}

#[tokio::test]
async fn the_last_handle_closes_the_session() {
    let (server, client) = pair().await;
    let other = Client::connect(&server.servers()).await.unwrap();
    client.create("/e", b"", &CreateOptions::ephemeral()).await.unwrap();
    let (_, watcher) = other.exists_and_watch("/e").await.unwrap();
    let copy = client.clone();
    drop(client);
    copy.sync("/").await.unwrap();
    drop(copy);
    assert_eq!(soon(watcher.changed()).await.unwrap().kind, EventKind::NodeDeleted);
}

#[tokio::test]
async fn garbage_from_a_server_is_not_fatal() {
    use tokio::io::AsyncWriteExt;
    let good = FakeServer::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bad = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut n = 0u8;
        while let Ok((mut stream, _)) = listener.accept().await {
            n = n.wrapping_add(1);
            let _ = stream.write_all(&[n, 0xff, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]).await;
        }
    });
    let servers = format!("{bad},{}", good.servers());
    for seed in 0..6 {
        let client = Client::builder().seed(seed).connect(&servers).await.unwrap();
        assert!(client.get("/").await.is_ok());
    }
}

#[tokio::test]
async fn a_client_leaves_a_server_that_only_reads_for_one_that_takes_writes() {
    let (one, other) = (FakeServer::start().await, FakeServer::start().await);
    one.say_that_it_only_reads(true);
    other.say_that_it_only_reads(true);
    let servers = format!("{},{}", one.servers(), other.servers());
    let client = Client::builder().read_only(true).connect(&servers).await.expect("a session");
    assert_eq!(client.state(), SessionState::ConnectedReadOnly);
    other.say_that_it_only_reads(false);
    let connected = async {
        let mut state = client.state();
        while state != SessionState::Connected {
            state = client.state_changed(state).await.expect("the session lives");
        }
    };
    soon(connected).await;
    client.create("/there", b"", &CreateOptions::persistent()).await.expect("it takes writes");
    assert_eq!(other.received(OpCode::Create2), 1);
    assert_eq!(one.received(OpCode::Create2), 0);
}
