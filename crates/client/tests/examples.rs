//! The examples run as written.

mod support;

#[path = "../examples/honest_errors.rs"]
mod honest_errors;
#[path = "../examples/quickstart.rs"]
mod quickstart;
#[path = "../examples/transaction.rs"]
mod transaction;
#[path = "../examples/watch.rs"]
mod watch;

use support::FakeServer;

#[tokio::test]
async fn every_example_runs_and_leaves_nothing_behind() {
    let server = FakeServer::start().await;
    let servers = server.servers();
    // Twice: an example does not depend on being the first.
    for _ in 0..2 {
        quickstart::run(&servers).await.expect("quickstart");
        watch::run(&servers).await.expect("watch");
        honest_errors::run(&servers).await.expect("honest_errors");
        transaction::run(&servers).await.expect("transaction");
    }
    let client = rookeeper_client::Client::connect(&servers).await.expect("a session");
    assert_eq!(client.children("/").await.expect("children").0, ["zookeeper"]);
}
