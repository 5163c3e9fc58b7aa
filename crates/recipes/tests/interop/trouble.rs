//! Every recipe at once, against three servers while leaders are killed, links cut and clients paused.
//!
//! What must hold all the time is checked by the work itself ([`crate::work`]); that nothing was lost,
//! doubled or given out twice, by [`crate::checks`] in the end; that no hand-over was missed, by every
//! work of every station making progress after each trouble.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rookeeper_client::{Client, CreateOptions, ErrorCode};
use rookeeper_recipes::{
    Balance, Config, Counter, Directory, Instance, Known, Membership, NodeCache, Queue, Sessions,
    TreeCache, announce, membership,
};

use crate::checks::Shared;
use crate::cluster::{Cluster, Station};
use crate::support::soon;
use crate::work::{REGISTERS, ROOT, Work};

const STATIONS: usize = 3;
/// Steps that every work of every station must make to show that it goes on.
const PROGRESS: u64 = 2;
const POLL: Duration = Duration::from_millis(20);
/// Everything at once on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// What runs for as long as a station does, beside its work.
struct Standing {
    member: Membership,
    announced: Membership,
    directory: Directory,
    node: NodeCache,
    tree: TreeCache,
    config: Config<u64>,
    group: TreeCache,
}

impl Standing {
    fn start(sessions: &Sessions, station: usize) -> Self {
        let id = format!("station-{station}");
        let instance = Instance::new(&id, "127.0.0.1", 1);
        Self {
            member: Membership::start(sessions, &path("group"), &id, b"here"),
            announced: announce(sessions, &path("service"), &instance).expect("JSON"),
            directory: Directory::start(sessions, &path("service"), Balance::RoundRobin),
            node: NodeCache::start(sessions, &path("node")),
            tree: TreeCache::start(sessions, &path("tree")),
            config: Config::start(sessions, &path("config")),
            group: membership::follow(sessions, &path("group")),
        }
    }

    /// Waits until it shows what is there now.
    async fn agrees(&self, value: u64, tree: &BTreeMap<String, Vec<u8>>) {
        self.member.joined().await.expect("a member");
        self.announced.joined().await.expect("an instance");
        self.directory.wait_for(|all| all.len() == STATIONS).await.expect("a directory");
        self.group.wait_for(|nodes| nodes.len() == STATIONS + 1).await.expect("a group");
        let text = value.to_string();
        let has = |known: &Known| matches!(known, Known::Node(n) if n.data == text.as_bytes());
        self.node.watch().wait_for(has).await.expect("a node");
        let same = |value_now: &Option<Arc<u64>>| value_now.as_deref() == Some(&value);
        self.config.watch().wait_for(same).await.expect("a configuration");
        let shows = |nodes: &BTreeMap<String, rookeeper_recipes::Node>| {
            nodes.len() == tree.len()
                && nodes.iter().all(|(path, node)| tree.get(path) == Some(&node.data))
        };
        self.tree.wait_for(shows).await.expect("a subtree");
    }
}

fn path(name: &str) -> String {
    format!("{ROOT}/{name}")
}

/// A node's data, `None` when it does not exist.
async fn read(client: &Client, path: &str) -> Option<Vec<u8>> {
    loop {
        match client.get(path).await {
            Ok((data, _)) => return Some(data),
            Err(error) if error.code() == Some(ErrorCode::NoNode) => return None,
            Err(error) if error.is_retryable() => client.connected().await.expect("a session"),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Makes a node be as wanted, whatever happens to replies.
async fn make(client: &Client, path: &str, wanted: Option<&[u8]>) {
    loop {
        let there = read(client, path).await;
        if there.as_deref() == wanted {
            return;
        }
        // How it ended is seen by the next look.
        let _ = match (there, wanted) {
            (_, None) => client.delete(path, None).await,
            (Some(_), Some(data)) => client.set(path, data, None).await.map(drop),
            (None, Some(data)) => {
                client.create(path, data, &CreateOptions::persistent()).await.map(drop)
            }
        };
        client.connected().await.expect("a session");
    }
}

/// Changes what the caches show; answers the subtree as it is then.
async fn change(client: &Client, value: u64) -> BTreeMap<String, Vec<u8>> {
    let text = value.to_string().into_bytes();
    let mut tree = BTreeMap::from([(path("tree"), Vec::new())]);
    for n in 0..7 {
        let node = path(&format!("tree/{n}"));
        // Two of seven are missing, others each time.
        let wanted = (1 < (value + n) % 7).then_some(text.as_slice());
        make(client, &node, wanted).await;
        tree.extend(wanted.map(|data| (node, data.to_vec())));
    }
    for node in [path("node"), path("config")] {
        make(client, &node, Some(&text)).await;
    }
    tree
}

/// Waits until every work of every station has gone on.
async fn progress(shared: &Shared, after: &str) {
    let before = shared.steps();
    let behind = || {
        let now = shared.steps();
        let mut behind = Vec::new();
        for (key, steps) in now {
            if steps < before.get(&key).copied().unwrap_or(0) + PROGRESS {
                behind.push(key);
            }
        }
        behind
    };
    let works = 12 * STATIONS;
    let all_go_on = async {
        while shared.steps().len() < works || !behind().is_empty() {
            if !shared.verdict().is_empty() {
                return;
            }
            tokio::time::sleep(POLL).await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, all_go_on).await.is_ok();
    assert_eq!(shared.verdict(), [""; 0], "after {after}");
    let known = shared.steps().len();
    assert!(in_time, "after {after} these do not go on: {:?} ({known} works known)", behind());
}

/// What [`Standing`] shows is what is there.
async fn agree(observer: &Client, standing: &Arc<Vec<Standing>>, value: u64, after: &str) {
    let tree = change(observer, value).await;
    for (station, standing) in standing.iter().enumerate() {
        let agreed = tokio::time::timeout(PATIENCE, standing.agrees(value, &tree)).await;
        assert!(agreed.is_ok(), "after {after} station {station} does not show what is there");
    }
}

/// Pauses a station until its sessions have ended and the others have noticed.
async fn pause(observer: &Client, station: &Station) {
    let node = path(&format!("group/station-{}", station.number));
    let pause = station.pause().await;
    soon(async {
        loop {
            match observer.exists_and_watch(&node).await {
                Ok((None, _)) => return,
                Ok((Some(_), watcher)) => drop(watcher.changed().await.expect("a session")),
                Err(error) if error.is_retryable() => {
                    observer.connected().await.expect("a session");
                }
                Err(error) => panic!("{error}"),
            }
        }
    })
    .await;
    drop(pause);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recipe_in_trouble() {
    let rounds = std::env::var("ROOKEEPER_RECIPES_ROUNDS").ok();
    let rounds: u64 = rounds.and_then(|text| text.parse().ok()).unwrap_or(1);
    let mut cluster = Cluster::start();
    let observer = cluster.observer().await;
    make(&observer, ROOT, Some(b"")).await;
    for name in REGISTERS.iter().chain(&["locks", "holding", "log", "barriers", "tree"]) {
        make(&observer, &path(name), Some(b"")).await;
    }
    let shared = Arc::<Shared>::default();
    let (mut stations, mut works, mut standing) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..STATIONS {
        let station = cluster.station(number).await;
        let work = Work::new(&shared, &station, STATIONS);
        let sessions = work.sessions().clone();
        let started = station.spawn(async move { Standing::start(&sessions, number) });
        standing.push(soon(started).await.expect("no panic"));
        works.push(station.spawn(work.run()));
        stations.push(station);
    }
    let standing = Arc::new(standing);
    let calm = |what: &'static str, value| {
        let (shared, standing, observer) = (&shared, &standing, &observer);
        async move {
            progress(shared, what).await;
            agree(observer, standing, value, what).await;
        }
    };
    calm("the start", 1).await;
    for round in 0..rounds {
        let station = &stations[usize::try_from(round).unwrap_or(0) % STATIONS];
        cluster.kill_leader();
        calm("the death of a leader", round * 10 + 2).await;
        for _ in 0..5 {
            stations.iter().for_each(Station::cut);
            tokio::time::sleep(POLL).await;
        }
        calm("cut links", round * 10 + 3).await;
        pause(&observer, station).await;
        calm("a pause", round * 10 + 4).await;
    }
    for work in works {
        work.abort();
        // It was aborted, or it has said what was wrong.
        let _ = work.await;
    }
    drop(standing);
    drop(stations);
    verdict(&observer, &shared).await;
}

/// What is there in the end, held against what was done.
async fn verdict(observer: &Client, shared: &Shared) {
    observer.sync("/").await.expect("a server");
    let mut wrong = shared.verdict();
    // The queue: what was acknowledged and what is left are together what was put.
    let queue = Queue::new(observer, &path("queue"));
    let acks = shared.attempts("queue: ack");
    let mut found: Vec<String> = acks.known.iter().cloned().collect();
    while !queue.is_empty().await.expect("a queue") {
        let item = soon(queue.take()).await.expect("an item");
        let data = item.ack().await.expect("an acknowledgement");
        found.push(String::from_utf8_lossy(&data).into_owned());
    }
    let mut puts = shared.attempts("queue: put");
    // An acknowledgement whose outcome nobody knows may have taken the item away.
    puts.known.retain(|item| !acks.made.contains(item) || acks.known.contains(item));
    wrong.extend(puts.check("queue", &found));
    // The log.
    let (names, _) = observer.children(&path("log")).await.expect("a log");
    let mut log = Vec::new();
    for name in names {
        let entry = observer.get(&path(&format!("log/{name}"))).await.expect("an entry").0;
        log.push(String::from_utf8_lossy(&entry).into_owned());
    }
    wrong.extend(shared.attempts("transaction").check("log", &log));
    // The counter.
    let additions = shared.attempts("counter");
    let counter = Counter::new(observer, &path("counter")).get().await.expect("a counter");
    let sum = usize::try_from(counter).unwrap_or(0);
    if !(additions.known.len()..=additions.made.len()).contains(&sum) {
        let (low, high) = (additions.known.len(), additions.made.len());
        wrong.push(format!("counter: {sum} is not between {low} and {high}"));
    }
    assert_eq!(wrong, [""; 0]);
    eprintln!("{:?}", shared.steps());
}
