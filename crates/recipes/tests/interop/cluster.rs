//! Three servers, and stations: clients with a thread and a network of their own, so that each can be
//! paused and cut off alone.

use std::sync::mpsc;
use std::time::Duration;

use rookeeper_client::Client;
use rookeeper_interop::{Ensemble, Flavour, ServerConfig};
use rookeeper_recipes::Sessions;
use tokio::runtime::{Builder, Handle};
use tokio::task::block_in_place;

use crate::support::{Proxy, connect};

/// Short, so that a pause does not have to be long to end it, but longer than a busy machine stands still.
const SESSION: Duration = Duration::from_secs(8);

pub struct Cluster {
    ensemble: Ensemble,
}

impl Cluster {
    pub fn start() -> Self {
        let flavour =
            Flavour::from_env("ROOKEEPER_FLAVOUR", Flavour::Rookeeper).expect("a flavour");
        let config = ServerConfig::new().set("tickTime", "500").set("initLimit", "40");
        let config = config.set("syncLimit", "20").set("minSessionTimeout", "1000");
        let config = config.set("maxSessionTimeout", "600000");
        let ensemble = block_in_place(|| Ensemble::of(flavour, 3, &config)).expect("servers");
        Self { ensemble }
    }

    pub fn servers(&self) -> String {
        self.ensemble.connect_string()
    }

    /// A client that is in no trouble but the servers'.
    pub async fn observer(&self) -> Client {
        connect(&self.servers()).await
    }

    /// Kills the leader, waits for another, and starts the old one again.
    pub fn kill_leader(&mut self) {
        block_in_place(|| {
            let leader = self.ensemble.wait_for_leader().expect("a leader");
            self.ensemble.servers[leader].kill();
            self.ensemble.wait_for_leader().expect("another leader");
            self.ensemble.servers[leader].restart().expect("the old leader again");
        });
    }

    /// A station; its tasks run on a thread of its own.
    pub async fn station(&self, number: usize) -> Station {
        let mut proxies = Vec::new();
        for server in &self.ensemble.servers {
            proxies.push(Proxy::start(server.addr()).await);
        }
        let (told, runtime) = mpsc::channel();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            told.send(runtime.handle().clone()).expect("the test");
            // An error means that the test is over.
            let _ = runtime.block_on(ended);
        });
        let runtime = block_in_place(|| runtime.recv()).expect("a runtime");
        Station { number, proxies, runtime, _end: end }
    }
}

pub struct Station {
    pub number: usize,
    proxies: Vec<Proxy>,
    runtime: Handle,
    /// Dropped, the thread ends.
    _end: tokio::sync::oneshot::Sender<()>,
}

/// A pause that ends when dropped.
pub struct Pause {
    _resume: mpsc::Sender<()>,
}

impl Station {
    /// Sessions over the station's network; its clients run on its thread.
    pub fn sessions(&self) -> Sessions {
        let servers: Vec<_> = self.proxies.iter().map(Proxy::servers).collect();
        let _inside = self.runtime.enter();
        Sessions::start(&servers.join(","), || Client::builder().session_timeout(SESSION))
            .expect("a connect string")
    }

    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.runtime.spawn(work)
    }

    pub fn cut(&self) {
        self.proxies.iter().for_each(Proxy::cut);
    }

    /// Nothing runs on the station's thread until the answer is dropped: neither its work nor its
    /// clients, as when a process is stopped.
    pub async fn pause(&self) -> Pause {
        let (resume, resumed) = mpsc::channel();
        let (asleep, is_asleep) = tokio::sync::oneshot::channel();
        self.runtime.spawn(async move {
            asleep.send(()).expect("the test");
            // Blocking the thread is the purpose; the error is the end of the pause.
            let _ = resumed.recv();
        });
        is_asleep.await.expect("asleep");
        Pause { _resume: resume }
    }
}
