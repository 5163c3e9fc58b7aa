//! Several writes, all or none: `cargo run -p rookeeper-client --example transaction [servers]`.

use rookeeper_client::{Client, CreateOptions, OpResult, Result};

/// What the example does, with any connect string.
pub(crate) async fn run(servers: &str) -> Result<()> {
    let client = Client::connect(servers).await?;
    let options = CreateOptions::persistent();
    let results = client
        .transaction()
        .create("/account", b"", &options)
        .create("/account/alice", b"10", &options)
        .create("/account/bob", b"0", &options)
        .commit()
        .await?;
    for result in &results {
        if let OpResult::Created(path, _) = result {
            println!("created {path}");
        }
    }

    let transfer = client.transaction().set("/account/alice", b"3", Some(0)).set(
        "/account/bob",
        b"7",
        Some(0),
    );
    println!("{} writes at once", transfer.commit().await?.len());

    // The second operation fails, so the first does not happen either.
    let refused =
        client.transaction().set("/account/alice", b"0", None).check("/account/carol", None);
    if let Err(error) = refused.commit().await {
        println!("operation {:?} of the transaction: {error}", error.operation());
    }
    println!("alice has {}", String::from_utf8_lossy(&client.get("/account/alice").await?.0));

    let clean = client.transaction().delete("/account/alice", None).delete("/account/bob", None);
    clean.delete("/account", None).commit().await?;
    client.close().await
}

#[tokio::main]
#[allow(dead_code, reason = "the examples' test calls run")]
async fn main() -> Result<()> {
    let servers = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2181".to_owned());
    run(&servers).await
}
