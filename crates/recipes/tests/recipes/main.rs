//! The recipes against one server over a network that can be cut, one module each: what they do, and
//! that they survive lost replies, lost connections and expired sessions as their pages say.

#[path = "../support/mod.rs"]
mod support;

mod barrier;
mod cache;
mod counting;
mod election;
mod examples;
mod group;
mod job;
mod lock;
mod queue;
mod sharing;

use rookeeper_client::{Builder, Client};
use rookeeper_recipes::Sessions;
use support::server::TestServer;
use support::{Proxy, SESSION, connect};

/// Not a test: other tests start this program with this name to be a server.
#[test]
fn the_server_of_the_other_tests() {
    support::server::become_server_if_asked();
}

/// A server, and a network between it and those that are put behind it.
struct World {
    server: TestServer,
    proxy: Proxy,
}

impl World {
    async fn start() -> Self {
        let server = TestServer::start();
        let proxy = Proxy::start(server.addr).await;
        Self { server, proxy }
    }

    fn direct(&self) -> String {
        self.server.addr.to_string()
    }

    /// A client that the cuts do not concern.
    async fn client(&self) -> Client {
        connect(&self.direct()).await
    }

    /// A client behind the network.
    async fn behind(&self) -> Client {
        connect(&self.proxy.servers()).await
    }

    /// Sessions behind the network.
    fn sessions(&self) -> Sessions {
        Sessions::start(&self.proxy.servers(), builder).expect("a connect string")
    }

    async fn expire(&self, client: &Client) {
        support::expire(client, &self.direct(), &self.proxy).await;
    }

    /// Ends the present session of `sessions`.
    async fn expire_present(&self, sessions: &Sessions) {
        let client = sessions.client().expect("a client");
        client.connected().await.expect("a session");
        self.expire(&client).await;
    }
}

fn builder() -> Builder {
    Client::builder().session_timeout(SESSION)
}
