//! [`Membership`] and service discovery.

use std::time::Duration;

use rookeeper_proto::OpCode;
use rookeeper_recipes::{
    Balance, Directory, Health, Instance, Membership, Sessions, announce, discovery, membership,
};

use crate::World;
use crate::support::{Break, children, soon};

#[tokio::test]
async fn members_come_and_go_and_come_back_in_a_new_session() {
    let world = World::start().await;
    let (sessions, other) = (world.sessions(), world.client().await);
    world.proxy.break_next(OpCode::Create2, Break::After);
    let a = Membership::start(&sessions, "/app/group", "a", b"1");
    soon(a.joined()).await.unwrap();
    let b = Membership::start(&Sessions::from(other.clone()), "/app/group", "b", b"2");
    soon(b.joined()).await.unwrap();
    let members = membership::members(&other, "/app/group").await.unwrap();
    let shown: Vec<_> = members.iter().map(|(id, data)| (id.as_str(), data.as_slice())).collect();
    assert_eq!(shown, [("a", &b"1"[..]), ("b", b"2")]);
    soon(a.show(b"3")).await.unwrap();
    assert_eq!(other.get("/app/group/a").await.unwrap().0, b"3");
    let before = other.get("/app/group/a").await.unwrap().1.ephemeral_owner;
    world.expire_present(&sessions).await;
    let group = membership::follow(&Sessions::from(other.clone()), "/app/group");
    let back = |nodes: &std::collections::BTreeMap<String, rookeeper_recipes::Node>| {
        let node = nodes.get("/app/group/a");
        node.is_some_and(|node| node.data == b"3" && node.stat.ephemeral_owner != before)
    };
    soon(group.wait_for(back)).await.unwrap();
    // Somebody removes it: it is still a member.
    other.delete("/app/group/a", None).await.unwrap();
    soon(group.wait_for(|nodes| nodes.contains_key("/app/group/a"))).await.unwrap();
    soon(a.leave()).await;
    children(&other, "/app/group", 1).await;
    drop(b);
    children(&other, "/app/group", 0).await;
}

#[tokio::test]
async fn an_id_belongs_to_one_session_at_a_time() {
    let world = World::start().await;
    let (client, other) = (world.client().await, world.client().await);
    let first = Membership::start(&Sessions::from(client), "/group", "x", b"first");
    soon(first.joined()).await.unwrap();
    let second = Membership::start(&Sessions::from(other.clone()), "/group", "x", b"second");
    other.sync("/").await.unwrap();
    assert_eq!(other.get("/group/x").await.unwrap().0, b"first");
    soon(first.leave()).await;
    soon(second.joined()).await.unwrap();
    assert_eq!(other.get("/group/x").await.unwrap().0, b"second");
}

#[tokio::test]
async fn callers_find_healthy_instances() {
    let world = World::start().await;
    let (client, sessions) = (world.client().await, world.sessions());
    let here = Sessions::from(client.clone());
    let mut one = Instance::new("one", "10.0.0.1", 80);
    let two = Instance::new("two", "10.0.0.2", 80);
    let first = announce(&here, "/services/web", &one).unwrap();
    let second = announce(&sessions, "/services/web", &two).unwrap();
    soon(first.joined()).await.unwrap();
    soon(second.joined()).await.unwrap();
    client
        .create("/services/web/odd", b"?", &rookeeper_client::CreateOptions::persistent())
        .await
        .unwrap();
    let web = Directory::start(&here, "/services/web", Balance::RoundRobin);
    soon(web.ready()).await.unwrap();
    assert_eq!(web.instances(), [one.clone(), two.clone()]);
    let mut turns: Vec<_> = (0..4).filter_map(|_| web.pick()).map(|p| p.instance().port).collect();
    turns.sort_unstable();
    assert_eq!(turns, [80; 4]);
    // One that failed is passed over, but is better than nothing.
    let failed = web.pick().unwrap();
    let failed_id = failed.instance().id.clone();
    failed.failed();
    assert!((0..6).all(|_| web.pick().unwrap().instance().id != failed_id));
    let forgiving =
        Directory::start(&here, "/services/web", Balance::LeastBusy).pass_over(Duration::ZERO);
    soon(forgiving.ready()).await.unwrap();
    forgiving.pick().unwrap().failed();
    let (a, b) = (forgiving.pick().unwrap(), forgiving.pick().unwrap());
    assert_ne!(a.instance().id, b.instance().id, "the idle one first");
    soon(discovery::set_health(&first, &mut one, Health::Draining)).await.unwrap();
    soon(web.wait_for(|all| all.iter().any(|i| i.health == Health::Draining))).await.unwrap();
    assert!((0..4).all(|_| web.pick().unwrap().instance().id == "two"));
    // An instance that dies leaves when its session does, and comes back with a new one.
    let before = client.get("/services/web/two").await.unwrap().1.ephemeral_owner;
    world.expire_present(&sessions).await;
    soon(second.joined()).await.unwrap();
    soon(async {
        loop {
            let (there, watcher) = client.exists_and_watch("/services/web/two").await.unwrap();
            if there.is_some_and(|stat| stat.ephemeral_owner != before) {
                return;
            }
            watcher.changed().await.unwrap();
        }
    })
    .await;
    soon(first.leave()).await;
    soon(second.leave()).await;
    soon(web.wait_for(<[Instance]>::is_empty)).await.unwrap();
    assert!(web.pick().is_none());
}
