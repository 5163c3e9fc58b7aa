//! One at a time, with a write that is refused when the lock was lost:
//! `cargo run -p rookeeper-recipes --example lock [servers]`.

use rookeeper_client::{Client, CreateOptions};
use rookeeper_recipes::{Lock, Result};

/// What the example does, with any connect string.
pub(crate) async fn run(servers: &str) -> Result<()> {
    let client = Client::connect(servers).await?;
    client.create("/example-lock", b"", &CreateOptions::persistent()).await?;
    client.create("/example-lock/data", b"0", &CreateOptions::persistent()).await?;

    let held = Lock::new(&client, "/example-lock/lock").named("example").acquire().await?;
    println!("token {}", held.token().number());
    held.transaction().set("/example-lock/data", b"1", None).commit().await?;

    // What happens to somebody who still believes that he holds it:
    let stale = held.token();
    held.release().await?;
    let late = stale.guard(client.transaction()).set("/example-lock/data", b"2", None);
    match late.commit().await {
        Err(error) if stale.refused(&error) => println!("refused: the lock is not held any more"),
        other => println!("{other:?}"),
    }

    client.delete("/example-lock/data", None).await?;
    // The lock's own node is a container: the servers remove it in their time.
    client.delete("/example-lock/lock", None).await?;
    client.delete("/example-lock", None).await?;
    Ok(client.close().await?)
}

#[tokio::main]
#[allow(dead_code, reason = "the tests call run")]
async fn main() -> Result<()> {
    let servers = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2181".to_owned());
    run(&servers).await
}
