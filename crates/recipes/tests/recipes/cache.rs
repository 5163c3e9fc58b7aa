//! [`NodeCache`], [`TreeCache`] and [`Config`].

use rookeeper_client::{Client, CreateOptions};
use rookeeper_recipes::{Change, Config, Known, NodeCache, TreeCache};
use serde::{Deserialize, Serialize};

use crate::World;
use crate::support::soon;

async fn put(client: &Client, path: &str, data: &[u8]) {
    client.create(path, data, &CreateOptions::persistent()).await.expect("a new node");
}

async fn knows(cache: &NodeCache, data: Option<&[u8]>) {
    let mut known = cache.watch();
    let wanted = |known: &Known| match known {
        Known::NotYet => false,
        Known::Missing => data.is_none(),
        Known::Node(node) => Some(node.data.as_slice()) == data,
    };
    soon(known.wait_for(wanted)).await.expect("a cache");
}

#[tokio::test]
async fn a_node_is_followed_through_cuts_and_sessions() {
    let world = World::start().await;
    let (sessions, other) = (world.sessions(), world.client().await);
    let cache = NodeCache::start(&sessions, "/node");
    soon(cache.ready()).await.unwrap();
    assert_eq!(cache.get(), Known::Missing);
    put(&other, "/node", b"1").await;
    knows(&cache, Some(b"1")).await;
    world.proxy.hold();
    other.set("/node", b"2", None).await.unwrap();
    world.proxy.release();
    knows(&cache, Some(b"2")).await;
    world.expire_present(&sessions).await;
    other.set("/node", b"3", None).await.unwrap();
    knows(&cache, Some(b"3")).await;
    world.proxy.hold();
    other.delete("/node", None).await.unwrap();
    world.proxy.release();
    knows(&cache, None).await;
}

#[tokio::test]
async fn a_subtree_is_followed_through_cuts_and_sessions() {
    let world = World::start().await;
    let (sessions, other) = (world.sessions(), world.client().await);
    let cache = TreeCache::start(&sessions, "/tree");
    soon(cache.ready()).await.unwrap();
    assert!(cache.snapshot().is_empty());
    let mut events = cache.events();
    for path in ["/tree", "/tree/a", "/tree/a/b", "/tree/ab"] {
        put(&other, path, path.as_bytes()).await;
    }
    soon(cache.wait_for(|nodes| nodes.len() == 4)).await.unwrap();
    assert_eq!(cache.children("/tree").into_keys().collect::<Vec<_>>(), ["a", "ab"]);
    assert_eq!(cache.get("/tree/a/b").unwrap().data, b"/tree/a/b");
    let added = soon(events.recv()).await.unwrap();
    assert!(matches!(added, Change::Added(path, _) if path == "/tree"));
    // While it is cut off: one changed, one gone, one new.
    world.proxy.hold();
    other.set("/tree/a", b"new", None).await.unwrap();
    other.delete("/tree/a/b", None).await.unwrap();
    put(&other, "/tree/c", b"").await;
    world.proxy.release();
    soon(cache.wait_for(|nodes| nodes.contains_key("/tree/c"))).await.unwrap();
    soon(cache.wait_for(|nodes| !nodes.contains_key("/tree/a/b"))).await.unwrap();
    soon(cache.wait_for(|nodes| nodes["/tree/a"].data == b"new")).await.unwrap();
    world.expire_present(&sessions).await;
    other.delete("/tree/c", None).await.unwrap();
    put(&other, "/tree/d", b"").await;
    soon(cache.wait_for(|nodes| nodes.contains_key("/tree/d"))).await.unwrap();
    soon(cache.wait_for(|nodes| !nodes.contains_key("/tree/c"))).await.unwrap();
    let mut kept = std::collections::BTreeMap::new();
    while let Ok(event) = events.try_recv() {
        match event {
            Change::Added(path, node) | Change::Updated(path, node) => {
                kept.insert(path, node);
            }
            Change::Removed(path) => {
                kept.remove(&path);
            }
        }
    }
    kept.insert("/tree".to_owned(), cache.get("/tree").unwrap());
    assert_eq!(kept, cache.snapshot(), "the events lead to what is there");
}

#[tokio::test]
async fn a_big_subtree_is_read_whole() {
    let world = World::start().await;
    let other = world.client().await;
    put(&other, "/big", b"").await;
    let mut made = Vec::new();
    for n in 0..400 {
        let other = other.clone();
        made.push(tokio::spawn(async move {
            put(&other, &format!("/big/{n}"), b"x").await;
            put(&other, &format!("/big/{n}/leaf"), b"y").await;
        }));
    }
    for task in made {
        soon(task).await.unwrap();
    }
    let cache = TreeCache::start(&world.sessions(), "/big");
    soon(cache.ready()).await.unwrap();
    assert_eq!(cache.snapshot().len(), 801);
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Limits {
    requests: u32,
    names: Vec<String>,
}

fn limits(requests: u32) -> Limits {
    Limits { requests, names: vec!["läuft".to_owned()] }
}

#[tokio::test]
async fn a_configuration_is_reloaded_and_a_bad_one_is_not_taken() {
    let world = World::start().await;
    let (sessions, other) = (world.sessions(), world.client().await);
    let config = Config::<Limits>::start(&sessions, "/config/limits");
    soon(config.watch_problem().wait_for(Option::is_some)).await.unwrap();
    assert!(config.get().is_none() && config.problem().unwrap().contains("does not exist"));
    config.update(|none| none.unwrap_or(limits(1))).await.unwrap();
    assert_eq!(*soon(config.ready()).await.unwrap(), limits(1));
    other.set("/config/limits", b"{", None).await.unwrap();
    soon(config.watch_problem().wait_for(Option::is_some)).await.unwrap();
    assert_eq!(*config.get().unwrap(), limits(1), "the last good one");
    other.set("/config/limits", &serde_json::to_vec(&limits(2)).unwrap(), None).await.unwrap();
    becomes(&config, 2).await;
    assert_eq!(config.problem(), None);
    world.expire_present(&sessions).await;
    other.set("/config/limits", &serde_json::to_vec(&limits(3)).unwrap(), None).await.unwrap();
    becomes(&config, 3).await;
    soon(config.update(|now| Limits { requests: now.unwrap().requests * 2, ..limits(0) }))
        .await
        .unwrap();
    becomes(&config, 6).await;
}

async fn becomes(config: &Config<Limits>, requests: u32) {
    let mut value = config.watch();
    let wanted = |value: &Option<std::sync::Arc<Limits>>| {
        value.as_ref().is_some_and(|v| v.requests == requests)
    };
    soon(value.wait_for(wanted)).await.expect("a configuration");
    let mut problem = config.watch_problem();
    soon(problem.wait_for(Option::is_none)).await.expect("a configuration");
}
