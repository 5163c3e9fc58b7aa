//! Follows a subtree: `cargo run -p rookeeper-client --example watch [servers]`.
//!
//! A one-time watch reports one change; a persistent one is a stream of all of them, and says when
//! some may have been missed.

use rookeeper_client::{AddWatchMode, Client, CreateOptions, Notice, Result};

/// What the example does, with any connect string.
pub(crate) async fn run(servers: &str) -> Result<()> {
    let client = Client::connect(servers).await?;
    let options = CreateOptions::persistent();

    let (there, watcher) = client.exists_and_watch("/watched").await?;
    if there.is_none() {
        client.create("/watched", b"", &options).await?;
        println!("once: {:?}", watcher.changed().await?.kind);
    }

    let mut events = client.watch("/watched", AddWatchMode::PersistentRecursive).await?;
    client.create("/watched/a", b"1", &options).await?;
    client.set("/watched/a", b"2", None).await?;
    client.delete("/watched/a", None).await?;
    for _ in 0..3 {
        match events.next().await {
            Some(Notice::Event(event)) => println!("{} {}", event.kind, event.path),
            // After a lost connection: read again what matters.
            Some(Notice::MayHaveMissed) => println!("look again"),
            None => break,
        }
    }

    client.delete("/watched", None).await?;
    client.close().await
}

#[tokio::main]
#[allow(dead_code, reason = "the examples' test calls run")]
async fn main() -> Result<()> {
    let servers = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2181".to_owned());
    run(&servers).await
}
