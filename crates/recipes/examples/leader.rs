//! Leads for as long as it may, in one session after the other:
//! `cargo run -p rookeeper-recipes --example leader [servers]`.

use std::time::Duration;

use rookeeper_client::Client;
use rookeeper_recipes::{LeaderLatch, Leading, Result, Sessions};

/// What the example does, with any connect string.
pub(crate) async fn run(servers: &str) -> Result<()> {
    let sessions =
        Sessions::start(servers, || Client::builder().session_timeout(Duration::from_secs(10)))?;
    let latch = LeaderLatch::start(&sessions, "/example-election", "example");
    let token = latch.wait().await?;
    println!("leading with token {}", token.number());

    // A leader's loop: it works while it leads, and stops at once when it is in doubt.
    let mut leading = latch.watch();
    for step in 0..3 {
        match &*leading.borrow_and_update() {
            Leading::Yes(_) => println!("step {step}"),
            Leading::Suspended => println!("in doubt: doing nothing"),
            Leading::No => println!("another leads"),
        }
    }

    latch.close().await;
    Ok(sessions.client()?.close().await?)
}

#[tokio::main]
#[allow(dead_code, reason = "the tests call run")]
async fn main() -> Result<()> {
    let servers = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2181".to_owned());
    run(&servers).await
}
