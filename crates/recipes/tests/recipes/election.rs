//! [`Election`] and [`LeaderLatch`].

use std::time::Duration;

use rookeeper_recipes::{Election, LeaderLatch, Leading, Sessions, election};

use crate::World;
use crate::support::{children, soon};

#[tokio::test]
async fn candidates_lead_in_their_order() {
    let world = World::start().await;
    let (a, b) = (world.client().await, world.client().await);
    let first = Election::new(&a, "/election", "a").campaign().await.unwrap();
    let second = Election::new(&b, "/election", "b");
    let campaign = {
        let second = second.clone();
        tokio::spawn(async move { second.campaign().await })
    };
    children(&a, "/election", 2).await;
    let ids: Vec<_> = second.candidates().await.unwrap().into_iter().map(|c| c.id).collect();
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(second.leader().await.unwrap().map(|c| c.token), Some(first.token()));
    first.release().await.unwrap();
    let second = soon(campaign).await.unwrap().unwrap();
    let leader = soon(election::await_leader(&a, "/election")).await.unwrap();
    assert_eq!((leader.id.as_str(), leader.token), ("b", second.token()));
}

async fn becomes(latch: &LeaderLatch, wanted: impl Fn(&Leading) -> bool) -> Leading {
    let mut leading = latch.watch();
    soon(leading.wait_for(wanted)).await.expect("a latch").clone()
}

#[tokio::test]
async fn a_latch_doubts_when_cut_off_and_leads_on_when_it_was_in_time() {
    let world = World::start().await;
    let sessions = world.sessions();
    let latch = LeaderLatch::start(&sessions, "/latch", "a");
    let token = soon(latch.wait()).await.unwrap();
    world.proxy.hold();
    assert_eq!(becomes(&latch, |now| !matches!(now, Leading::Yes(_))).await, Leading::Suspended);
    world.proxy.release();
    let again = becomes(&latch, |now| matches!(now, Leading::Yes(_))).await;
    assert_eq!(again, Leading::Yes(token));
}

#[tokio::test]
async fn a_latch_doubts_when_nothing_arrives_any_more() {
    let world = World::start().await;
    let short = || rookeeper_client::Client::builder().session_timeout(Duration::from_secs(4));
    let sessions = Sessions::start(&world.proxy.servers(), short).unwrap();
    let latch = LeaderLatch::start(&sessions, "/latch", "a");
    soon(latch.wait()).await.unwrap();
    // Nothing is closed: it is the silence that tells.
    world.proxy.stall(true);
    becomes(&latch, |now| !matches!(now, Leading::Yes(_))).await;
    world.proxy.stall(false);
    // With the same token or, if that took too long, with another.
    soon(latch.wait()).await.unwrap();
}

#[tokio::test]
async fn a_latch_whose_session_expires_hands_over_and_stands_again() {
    let world = World::start().await;
    let sessions = world.sessions();
    let latch = LeaderLatch::start(&sessions, "/latch", "a");
    let first = soon(latch.wait()).await.unwrap();
    let other = world.client().await;
    let rival = LeaderLatch::start(&Sessions::from(other.clone()), "/latch", "b");
    children(&other, "/latch", 2).await;
    world.expire_present(&sessions).await;
    let second = soon(rival.wait()).await.unwrap();
    assert!(first.number() < second.number());
    becomes(&latch, |now| *now == Leading::No).await;
    // It queues up again in a new session, behind the rival.
    children(&other, "/latch", 2).await;
    assert_eq!(latch.leading(), Leading::No);
    soon(rival.close()).await;
    let third = soon(latch.wait()).await.unwrap();
    assert!(second.number() < third.number());
}

#[tokio::test]
async fn a_removed_node_ends_the_leadership_and_a_dropped_latch_resigns() {
    let world = World::start().await;
    let client = world.client().await;
    let latch = LeaderLatch::start(&Sessions::from(client.clone()), "/latch", "a");
    let first = soon(latch.wait()).await.unwrap();
    client.delete(first.path(), None).await.unwrap();
    becomes(&latch, |now| matches!(now, Leading::Yes(token) if *token != first)).await;
    drop(latch);
    children(&client, "/latch", 0).await;
}
