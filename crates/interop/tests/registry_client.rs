//! A Rust client from the registry (`zookeeper-client`) against a server: nodes, watches, multi, sessions,
//! its lock recipe.

use std::time::Duration;

use rookeeper_interop::{Flavour, Server, ServerConfig};
use zookeeper_client as zk;

const PATIENCE: Duration = Duration::from_secs(120);

fn server() -> Server {
    let flavour = Flavour::under_test().expect("a flavour");
    Server::start(flavour, ServerConfig::new().set("extendedTypesEnabled", "true"))
        .expect("a server")
}

async fn connect(server: &Server) -> zk::Client {
    let connecting = zk::Client::connector()
        .with_session_timeout(Duration::from_secs(40))
        .connect(&server.addr().to_string())
        .await;
    connecting.expect("a session")
}

fn open(mode: zk::CreateMode) -> zk::CreateOptions<'static> {
    mode.with_acls(zk::Acls::anyone_all())
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(PATIENCE, future).await;
    result.unwrap_or_else(|_| panic!("{what} within {PATIENCE:?}"))
}

#[tokio::test]
async fn nodes_and_watches() {
    let server = server();
    let client = connect(&server).await;
    let (stat, created) = client.check_and_watch_stat("/a").await.expect("an answer");
    assert_eq!(stat, None);
    let persistent = open(zk::CreateMode::Persistent);
    let (stat, _) = client.create("/a", b"data", &persistent).await.expect("a node");
    let event = soon("the event", created.changed()).await;
    assert_eq!((event.event_type, event.path.as_str()), (zk::EventType::NodeCreated, "/a"));
    assert_eq!(client.get_data("/a").await, Ok((b"data".to_vec(), stat)));
    let again = client.create("/a", b"", &persistent).await;
    assert_eq!(again.expect_err("it exists"), zk::Error::NodeExists);

    let mut recursive =
        client.watch("/a", zk::AddWatchMode::PersistentRecursive).await.expect("a watcher");
    let sequential = open(zk::CreateMode::PersistentSequential);
    let (_, number) = client.create("/a/n-", b"", &sequential).await.expect("a sequential node");
    assert_eq!(number.into_i64(), 0);
    let event = soon("the event", recursive.changed()).await;
    let expected = (zk::EventType::NodeCreated, "/a/n-0000000000");
    assert_eq!((event.event_type, event.path.as_str()), expected);

    let stat = client.set_data("/a", b"new", Some(0)).await.expect("the version is right");
    assert_eq!((stat.version, stat.num_children, stat.data_length), (1, 1, 3));
    let stale = client.set_data("/a", b"new", Some(0)).await;
    assert_eq!(stale.expect_err("the version is old"), zk::Error::BadVersion);
    let full = client.delete("/a", None).await;
    assert_eq!(full.expect_err("it has a child"), zk::Error::NotEmpty);
    let ttl = open(zk::CreateMode::Persistent).with_ttl(Duration::from_secs(3600));
    client.create("/a/ttl", b"", &ttl).await.expect("a node with a time to live");
    client.create("/a/c", b"", &open(zk::CreateMode::Container)).await.expect("a container");
    let (mut children, _) = client.get_children("/a").await.expect("children");
    children.sort();
    assert_eq!(children, ["c", "n-0000000000", "ttl"]);
    assert_eq!(client.count_descendants_number("/a").await, Ok(3));
    client.sync("/").await.expect("a sync");
    client.auth("digest", b"u:p").await.expect("a credential");
    let users = client.list_auth_users().await.expect("users");
    assert!(users.iter().any(|user| user.scheme() == "digest" && user.user() == "u"), "{users:?}");
}

#[tokio::test]
async fn multi_writes_all_or_nothing() {
    let server = server();
    let client = connect(&server).await;
    let persistent = open(zk::CreateMode::Persistent);
    let mut writer = client.new_multi_writer();
    writer.add_create("/m", b"1", &persistent).expect("a path");
    writer.add_create("/m/x", b"2", &persistent).expect("a path");
    writer.add_set_data("/m", b"3", Some(0)).expect("a path");
    writer.add_delete("/m/x", Some(0)).expect("a path");
    let results = writer.commit().await.expect("all succeed");
    assert_eq!(results.len(), 4, "{results:?}");
    let mut writer = client.new_multi_writer();
    writer.add_create("/m/y", b"", &persistent).expect("a path");
    writer.add_check_version("/m", 7).expect("a path");
    let failed = writer.commit().await.expect_err("the version is wrong");
    assert!(format!("{failed:?}").contains("BadVersion"), "{failed:?}");
    assert_eq!(client.check_stat("/m/y").await, Ok(None));
    let mut reader = client.new_multi_reader();
    reader.add_get_data("/m").expect("a path");
    reader.add_get_children("/none").expect("a path");
    let results = reader.commit().await.expect("an answer");
    assert_eq!(results.len(), 2, "{results:?}");
}

#[tokio::test]
async fn sessions_own_ephemerals() {
    let server = server();
    let (one, other) = (connect(&server).await, connect(&server).await);
    let ephemeral = open(zk::CreateMode::Ephemeral);
    one.create("/e", b"", &ephemeral).await.expect("an ephemeral");
    let (stat, gone) = other.check_and_watch_stat("/e").await.expect("an answer");
    assert_eq!(stat.expect("it is there").ephemeral_owner, one.session_id().0);
    assert_eq!(one.list_ephemerals("/").await, Ok(vec!["/e".to_owned()]));
    assert_eq!(other.list_ephemerals("/").await, Ok(vec![]));
    drop(one);
    let event = soon("the session to be closed", gone.changed()).await;
    assert_eq!(event.event_type, zk::EventType::NodeDeleted);
}

#[tokio::test]
async fn the_lock_recipe_hands_over() {
    let server = server();
    let (one, other) = (connect(&server).await, connect(&server).await);
    let prefix = || zk::LockPrefix::new_curator("/locks", "latch-").expect("a prefix");
    let options = || {
        zk::LockOptions::new(zk::Acls::anyone_all())
            .with_ancestor_options(open(zk::CreateMode::Persistent))
            .expect("ancestors")
    };
    let held = one.lock(prefix(), b"", options()).await.expect("the lock");
    let waiting = tokio::spawn(async move {
        let lock = other.lock(prefix(), b"", options()).await.expect("the lock in turn");
        lock.create("/guarded", b"", &open(zk::CreateMode::Persistent)).await.expect("a fence")
    });
    let guarded = one.check_stat("/guarded").await;
    assert_eq!(guarded, Ok(None), "nobody else holds the lock yet");
    drop(held);
    soon("the hand-over", waiting).await.expect("the task");
    assert!(one.check_stat("/guarded").await.expect("an answer").is_some());
}
