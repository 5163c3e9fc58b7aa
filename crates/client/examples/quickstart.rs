//! Connects, writes, reads, and closes: `cargo run -p rookeeper-client --example quickstart [servers]`.

use rookeeper_client::{Client, CreateOptions, ErrorCode, Result};

/// What the example does, with any connect string.
pub(crate) async fn run(servers: &str) -> Result<()> {
    let client = Client::connect(servers).await?;

    match client.create("/greeting", b"hello", &CreateOptions::persistent()).await {
        Ok((path, _)) => println!("created {path}"),
        Err(error) if error.code() == Some(ErrorCode::NodeExists) => {
            println!("it is there already")
        }
        Err(error) => return Err(error),
    }

    // A version makes a write depend on what was read.
    let (data, stat) = client.get("/greeting").await?;
    println!("{} (version {})", String::from_utf8_lossy(&data), stat.version);
    client.set("/greeting", "早上好".as_bytes(), Some(stat.version)).await?;

    // Requests of several futures travel together on one connection, in this order.
    let (greeting, children, config) = tokio::join!(
        client.get("/greeting"),
        client.children("/"),
        client.exists("/zookeeper/config"),
    );
    println!("{}", String::from_utf8_lossy(&greeting?.0));
    println!("children of the root: {:?}", children?.0);
    println!("the configuration node exists: {}", config?.is_some());

    client.delete("/greeting", None).await?;
    client.close().await
}

#[tokio::main]
#[allow(dead_code, reason = "the examples' test calls run")]
async fn main() -> Result<()> {
    let servers = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2181".to_owned());
    run(&servers).await
}
