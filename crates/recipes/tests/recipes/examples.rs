//! The examples run as written, and again.

#[path = "../../examples/leader.rs"]
mod leader;
#[path = "../../examples/lock.rs"]
mod lock;
#[path = "../../examples/service.rs"]
mod service;

use crate::World;
use crate::support::soon;

#[tokio::test]
async fn every_example_runs_twice() {
    let world = World::start().await;
    let servers = world.direct();
    for _ in 0..2 {
        soon(lock::run(&servers)).await.expect("lock");
        soon(leader::run(&servers)).await.expect("leader");
        soon(service::run(&servers)).await.expect("service");
    }
}
