//! The client against real servers: the flavour named by `ROOKEEPER_FLAVOUR` (apache395, apache380,
//! rookeeper; the first if not set).

use std::time::Duration;

use rookeeper_client::{
    AddWatchMode, Client, CreateOptions, ErrorCode, ErrorKind, EventKind, Notice, OpResult,
    ReadResult, Watch, acl,
};
use rookeeper_interop::{Flavour, Server, ServerConfig};

const PATIENCE: Duration = Duration::from_secs(180);

fn server() -> Server {
    let flavour = Flavour::from_env("ROOKEEPER_FLAVOUR", Flavour::APACHE_395).expect("a flavour");
    let config = ServerConfig::new()
        .set("extendedTypesEnabled", "true")
        .property("zookeeper.extendedTypesEnabled", "true");
    Server::start(flavour, config).expect("a server")
}

async fn connect(server: &Server) -> Client {
    let builder = Client::builder().session_timeout(Duration::from_secs(40));
    builder.connect(&server.addr().to_string()).await.expect("a session")
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("in time")
}

#[tokio::test]
async fn every_operation() {
    let server = server();
    let client = connect(&server).await;
    let persistent = CreateOptions::persistent();
    client.create("/a", b"1", &persistent).await.unwrap();
    for (path, options, created) in [
        ("/a/c", CreateOptions::container(), "/a/c"),
        ("/a/t", persistent.clone().with_ttl(Duration::from_secs(600)), "/a/t"),
        ("/a/e", CreateOptions::ephemeral(), "/a/e"),
        ("/a/s-", CreateOptions::persistent_sequential(), "/a/s-0000000003"),
        ("/a/es-", CreateOptions::ephemeral_sequential(), "/a/es-0000000004"),
        ("/a/null", persistent.clone().without_data(), "/a/null"),
    ] {
        let (path, stat) = client.create(path, b"x", &options).await.unwrap();
        assert_eq!((path.as_str(), stat.version), (created, 0));
    }
    assert_eq!(client.get_watch("/a/null", Watch::No).await.unwrap().0, None);
    assert_eq!(client.get("/a/c").await.unwrap().0, b"x");
    assert_eq!(client.all_children_number("/a").await.unwrap(), 6);
    assert_eq!(client.ephemerals("/a").await.unwrap().len(), 2);
    assert_eq!(client.set("/a", b"2", Some(0)).await.unwrap().version, 1);
    let stale = client.set("/a", b"3", Some(0)).await.unwrap_err();
    assert_eq!(stale.code(), Some(ErrorCode::BadVersion));
    client.add_auth("digest", b"bob:secret").await.unwrap();
    let mut who: Vec<_> = client.whoami().await.unwrap().into_iter().map(|id| id.scheme).collect();
    who.sort();
    assert_eq!(who, ["digest", "ip"]);
    client.set_acl("/a", &[acl::creator_all()], None).await.unwrap();
    assert_eq!(client.acl("/a").await.unwrap().0[0].id.scheme, "digest");
    let stranger = connect(&server).await;
    let refused = stranger.get("/a").await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::NoAuth));
    client.sync("/").await.unwrap();
    let error = client.reconfig(None, Some("1"), None, None).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::ReconfigDisabled));
    client.close().await.unwrap();
    assert!(stranger.exists("/a/e").await.unwrap().is_none());
}

#[tokio::test]
async fn transactions_and_reads_of_several_nodes() {
    let server = server();
    let client = connect(&server).await;
    let persistent = CreateOptions::persistent();
    let results = client
        .transaction()
        .create("/t", b"1", &persistent)
        .create("/t/s-", b"", &CreateOptions::ephemeral_sequential())
        .create("/t/c", b"", &CreateOptions::container())
        .create("/t/ttl", b"", &persistent.clone().with_ttl(Duration::from_secs(600)))
        .set("/t", b"2", Some(0))
        .check("/t", Some(1))
        .delete("/t/c", None)
        .commit()
        .await
        .unwrap();
    assert!(matches!(&results[1], OpResult::Created(path, _) if path == "/t/s-0000000000"));
    assert!(matches!(&results[4], OpResult::Set(stat) if stat.version == 1));
    let transaction = client.transaction().set("/t", b"3", None).delete("/none", None);
    let error = transaction.check("/t", None).commit().await.unwrap_err();
    assert_eq!((error.code(), error.operation()), (Some(ErrorCode::NoNode), Some(1)));
    let read = client.multi_read().get("/t").get("/none").children("/t").send().await.unwrap();
    assert!(matches!(&read[0], Ok(ReadResult::Data(Some(data), _)) if data == b"2"));
    assert_eq!(read[1].as_ref().unwrap_err().code(), Some(ErrorCode::NoNode));
    assert!(matches!(&read[2], Ok(ReadResult::Children(names)) if names.len() == 2));
}

#[tokio::test]
async fn the_session_and_its_watches_survive_a_restart_of_the_server() {
    let mut server = server();
    let client = connect(&server).await;
    client.create("/e", b"", &CreateOptions::ephemeral()).await.unwrap();
    client.add_auth("digest", b"bob:secret").await.unwrap();
    client.create("/mine", b"1", &mine()).await.unwrap();
    let (_, _, data) = client.get_and_watch("/mine").await.unwrap();
    let mut tree = client.watch("/", AddWatchMode::PersistentRecursive).await.unwrap();
    let session = client.session_id();
    server.restart().expect("a restart");
    soon(client.connected()).await.unwrap();
    assert_eq!(soon(tree.next()).await, Some(Notice::MayHaveMissed));
    assert_eq!(client.session_id(), session);
    assert!(client.exists("/e").await.unwrap().is_some(), "the ephemeral node lives on");
    client.set("/mine", b"2", None).await.unwrap();
    assert_eq!(soon(data.changed()).await.unwrap().kind, EventKind::NodeDataChanged);
    let Some(Notice::Event(event)) = soon(tree.next()).await else { panic!("no event") };
    assert_eq!((event.kind, event.path.as_str()), (EventKind::NodeDataChanged, "/mine"));
}

fn mine() -> CreateOptions {
    CreateOptions::persistent().with_acl(vec![acl::creator_all()])
}

#[tokio::test]
async fn a_session_resumed_elsewhere_and_one_that_is_gone() {
    let server = server();
    // A process that dies does not close its session; a runtime that is shut down stands for it.
    let address = server.addr().to_string();
    let credentials = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let credentials = runtime.block_on(async {
            let client = Client::connect(&address).await.expect("a session");
            client.create("/e", b"", &CreateOptions::ephemeral()).await.expect("a node");
            let credentials = client.credentials();
            std::mem::forget(client);
            credentials
        });
        runtime.shutdown_background();
        credentials
    });
    let credentials = credentials.join().expect("no panic").expect("a session has them");
    let servers = server.addr().to_string();
    let second = Client::builder().resume(credentials.clone()).connect(&servers).await.unwrap();
    assert_eq!(second.session_id(), credentials.session);
    assert_eq!(second.ephemerals("/").await.unwrap(), ["/e"]);
    second.close().await.unwrap();
    let error = Client::builder().resume(credentials).connect(&servers).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionExpired);
}

#[tokio::test]
async fn many_watches_are_armed_again() {
    let mut server = server();
    let client = connect(&server).await;
    let long = "x".repeat(180);
    let mut watchers = Vec::new();
    let paths: Vec<String> = (0..2_000).map(|n| format!("/{long}-{n}")).collect();
    for path in &paths {
        watchers.push(client.exists_and_watch(path).await.unwrap().1);
    }
    server.restart().expect("a restart");
    // The loss is noticed by a read that fails, and reads may be repeated.
    soon(async { while client.sync("/").await.is_err_and(|error| error.is_retryable()) {} }).await;
    for path in paths.iter().step_by(100) {
        client.create(path, b"", &CreateOptions::persistent()).await.unwrap();
    }
    for watcher in watchers.into_iter().step_by(100) {
        assert_eq!(soon(watcher.changed()).await.unwrap().kind, EventKind::NodeCreated);
    }
}
