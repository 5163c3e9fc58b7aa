//! What the tests of the recipes stand on: a server, a network that can be cut, sessions that end.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(unreachable_pub, missing_debug_implementations, reason = "a module of test binaries")]

pub mod proxy;
pub mod server;

use std::time::Duration;

use rookeeper_client::{Client, SessionState};

#[allow(unused_imports, reason = "each test binary uses a part")]
pub use proxy::{Break, Proxy};

/// Far longer than anything takes: it only turns a hang into a failure.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Long, so that no session ends because a machine is slow.
pub const SESSION: Duration = Duration::from_secs(40);

pub async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("in time")
}

pub async fn connect(servers: &str) -> Client {
    Client::builder()
        .session_timeout(SESSION)
        .connect_timeout(PATIENCE)
        .connect(servers)
        .await
        .expect("a session")
}

/// Ends a session as if the servers had not heard from it: closed by another connection, while
/// the network of its own is cut.
pub async fn expire(client: &Client, direct: &str, proxy: &Proxy) {
    let credentials = client.credentials().expect("a session");
    proxy.hold();
    soon(client.state_changed(SessionState::Connected)).await;
    let other = Client::builder()
        .session_timeout(SESSION)
        .connect_timeout(PATIENCE)
        .resume(credentials)
        .connect(direct)
        .await
        .expect("the same session");
    other.close().await.expect("an end of it");
    proxy.release();
}

/// Waits until a node has this many children.
pub async fn children(client: &Client, path: &str, count: usize) -> Vec<String> {
    soon(async {
        loop {
            match client.children_and_watch(path).await {
                Ok((names, _, _)) if names.len() == count => return names,
                Ok((.., watcher)) => drop(watcher.changed().await.expect("a session")),
                Err(error) if error.code() == Some(rookeeper_client::ErrorCode::NoNode) => {
                    if count == 0 {
                        return Vec::new();
                    }
                    if let (None, watcher) = client.exists_and_watch(path).await.expect("a session")
                    {
                        watcher.changed().await.expect("a session");
                    }
                }
                Err(error) if error.is_retryable() => client.connected().await.expect("a session"),
                Err(error) => panic!("{error}"),
            }
        }
    })
    .await
}
