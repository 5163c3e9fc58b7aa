//! Repeats what may be repeated, and looks where it must:
//! `cargo run -p rookeeper-client --example honest_errors [servers]`.

use std::time::Duration;

use rookeeper_client::{Client, CreateOptions, ErrorCode, ErrorKind, Result};

/// Sets a node that only this program writes, exactly once, whatever happens to connections.
async fn set_surely(client: &Client, path: &str, data: &[u8]) -> Result<()> {
    let (_, stat) = loop {
        match client.get(path).await {
            Err(error) if error.is_retryable() => client.connected().await?,
            read => break read?,
        }
    };
    loop {
        match client.set(path, data, Some(stat.version)).await {
            Ok(_) => return Ok(()),
            // Nothing has happened.
            Err(error) if error.is_retryable() => client.connected().await?,
            // It may have happened: the version makes a second attempt harmless.
            Err(error) if error.kind() == ErrorKind::OutcomeUnknown => client.connected().await?,
            // It had.
            Err(error) if error.code() == Some(ErrorCode::BadVersion) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// What the example does, with any connect string.
pub(crate) async fn run(servers: &str) -> Result<()> {
    let client = Client::builder()
        .session_timeout(Duration::from_secs(10))
        .request_timeout(Duration::from_secs(5))
        .on_event(|event| println!("{event:?}"))
        .connect(servers)
        .await?;
    client.create("/mine", b"0", &CreateOptions::ephemeral()).await?;
    set_surely(&client, "/mine", b"1").await?;

    let error = client.set("/mine", b"2", Some(0)).await.err();
    if let Some(error) = error {
        println!("{error}; may be repeated as it is: {}", error.is_retryable());
    }
    // Closing removes the ephemeral node.
    client.close().await
}

#[tokio::main]
#[allow(dead_code, reason = "the examples' test calls run")]
async fn main() -> Result<()> {
    let servers = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2181".to_owned());
    run(&servers).await
}
