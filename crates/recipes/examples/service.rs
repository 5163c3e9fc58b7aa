//! An instance that announces itself, a caller that finds it, and a configuration both follow:
//! `cargo run -p rookeeper-recipes --example service [servers]`.

use rookeeper_client::Client;
use rookeeper_recipes::{Balance, Config, Directory, Instance, Result, Sessions, announce};
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, Serialize, Deserialize)]
struct Limits {
    requests: u32,
}

/// What the example does, with any connect string.
pub(crate) async fn run(servers: &str) -> Result<()> {
    let sessions = Sessions::start(servers, Client::builder)?;

    let limits = Config::<Limits>::start(&sessions, "/example-config/limits");
    limits.update(|present| Limits { requests: present.unwrap_or_default().requests + 10 }).await?;
    println!("{:?}", limits.ready().await?);

    let instance = Instance::new("web-1", "127.0.0.1", 8080);
    let announced = announce(&sessions, "/example-services/web", &instance)?;
    announced.joined().await?;

    let web = Directory::start(&sessions, "/example-services/web", Balance::RoundRobin);
    web.wait_for(|instances| !instances.is_empty()).await?;
    if let Some(picked) = web.pick() {
        println!("calling {}:{}", picked.instance().address, picked.instance().port);
    }

    announced.leave().await;
    web.wait_for(<[Instance]>::is_empty).await?;
    println!("found after it left: {}", web.pick().is_some());
    Ok(sessions.client()?.close().await?)
}

#[tokio::main]
#[allow(dead_code, reason = "the tests call run")]
async fn main() -> Result<()> {
    let servers = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2181".to_owned());
    run(&servers).await
}
