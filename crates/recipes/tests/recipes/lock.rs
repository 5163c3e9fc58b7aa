//! [`Lock`]: order, tokens, what a release wakes, and what happens to replies, links and sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rookeeper_client::{CreateOptions, ErrorCode};
use rookeeper_proto::OpCode;
use rookeeper_recipes::{Error, Lock};

use crate::World;
use crate::support::{Break, children, soon};

#[tokio::test]
async fn one_at_a_time_and_tokens_grow() {
    let world = World::start().await;
    let inside = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let client = world.client().await;
        for _ in 0..5 {
            let (lock, inside) = (Lock::new(&client, "/app/lock"), Arc::clone(&inside));
            tasks.push(tokio::spawn(async move {
                let held = lock.acquire().await.unwrap();
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "another is inside");
                lock.contenders().await.unwrap();
                inside.fetch_sub(1, Ordering::SeqCst);
                let token = held.token();
                held.release().await.unwrap();
                token
            }));
        }
    }
    let mut tokens = Vec::new();
    for task in tasks {
        tokens.push(soon(task).await.unwrap());
    }
    // Digits at the end of a name are the order of the queue.
    tokens.sort_by(|a, b| a.path()[a.path().len() - 10..].cmp(&b.path()[b.path().len() - 10..]));
    assert!(tokens.windows(2).all(|pair| pair[0].number() < pair[1].number()), "{tokens:?}");
}

#[tokio::test]
async fn a_lock_that_is_not_free_is_not_waited_for_unless_asked() {
    let world = World::start().await;
    let client = world.client().await;
    let lock = Lock::new(&client, "/lock").named("me");
    let held = lock.try_acquire().await.unwrap().expect("free");
    assert!(lock.try_acquire().await.unwrap().is_none());
    assert!(lock.acquire_within(Duration::from_millis(50)).await.unwrap().is_none());
    // Those that did not get it leave nothing behind.
    children(&client, "/lock", 1).await;
    let contenders = lock.contenders().await.unwrap();
    assert_eq!(contenders, [(held.token(), "me".to_owned())]);
    held.release().await.unwrap();
    assert!(lock.acquire_within(Duration::from_secs(60)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_lost_reply_makes_neither_two_places_nor_none() {
    let world = World::start().await;
    let (client, other) = (world.behind().await, world.client().await);
    let lock = Lock::new(&client, "/lock");
    soon(lock.acquire()).await.unwrap().release().await.unwrap();
    for how in [Break::Before, Break::After] {
        world.proxy.break_next(OpCode::Create2, how);
        let held = soon(lock.acquire()).await.unwrap();
        assert!(world.proxy.all_broken());
        let names = children(&other, "/lock", 1).await;
        assert!(held.token().path().ends_with(&names[0]));
        assert!(other.exists(held.token().path()).await.unwrap().is_some());
        world.proxy.break_next(OpCode::Delete, how);
        soon(held.release()).await.unwrap();
        assert!(world.proxy.all_broken());
        children(&other, "/lock", 0).await;
    }
}

#[tokio::test]
async fn a_waiter_that_was_cut_off_gets_the_lock_that_became_free_meanwhile() {
    let world = World::start().await;
    let (waiting, other) = (world.behind().await, world.client().await);
    let held = Lock::new(&other, "/lock").acquire().await.unwrap();
    let lock = Lock::new(&waiting, "/lock");
    let waiter = tokio::spawn(async move { lock.acquire().await.map(|held| held.token()) });
    children(&other, "/lock", 2).await;
    world.proxy.hold();
    let before = held.token();
    held.release().await.unwrap();
    world.proxy.release();
    let after = soon(waiter).await.unwrap().unwrap();
    assert!(before.number() < after.number());
}

#[tokio::test]
async fn an_expired_session_ends_holding_and_waiting_and_its_token_is_refused() {
    let world = World::start().await;
    let (client, other) = (world.behind().await, world.client().await);
    other.create("/data", b"0", &CreateOptions::persistent()).await.unwrap();
    let held = Lock::new(&client, "/lock").acquire().await.unwrap();
    let stale = held.token();
    held.transaction().set("/data", b"1", None).commit().await.unwrap();
    let lock = Lock::new(&client, "/lock");
    let same_session = tokio::spawn(async move { lock.acquire().await });
    let lock = Lock::new(&other, "/lock");
    let next = tokio::spawn(async move { lock.acquire().await });
    children(&other, "/lock", 3).await;
    world.expire(&client).await;
    assert!(soon(held.lost()).await.is_session_over());
    let error = soon(same_session).await.unwrap().unwrap_err();
    assert!(error.is_session_over(), "{error}");
    let next = soon(next).await.unwrap().unwrap();
    assert!(stale.number() < next.token().number());
    // Somebody who still acts for the old holder, through a session that is alive.
    let late = stale.guard(other.transaction()).set("/data", b"stale", None);
    let error = late.commit().await.unwrap_err();
    assert!(stale.refused(&error), "{error}");
    next.transaction().set("/data", b"2", None).commit().await.unwrap();
    assert_eq!(other.get("/data").await.unwrap().0, b"2");
}

#[tokio::test]
async fn a_removed_node_is_a_lost_lock() {
    let world = World::start().await;
    let client = world.client().await;
    let held = Lock::new(&client, "/lock").acquire().await.unwrap();
    let lost = held.lost();
    client.delete(held.token().path(), None).await.unwrap();
    assert!(matches!(soon(lost).await, Error::Lost { path } if path == held.token().path()));
    let error = held.transaction().set("/lock", b"", None).commit().await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NoNode));
    assert!(held.token().refused(&error));
}

#[tokio::test]
async fn whoever_stops_waiting_leaves_the_queue() {
    let world = World::start().await;
    let client = world.client().await;
    let lock = Lock::new(&client, "/lock");
    let held = lock.acquire().await.unwrap();
    // Dropped at every point between the first request and the wait.
    for steps in 0..40 {
        let work = lock.acquire();
        tokio::select! {
            biased;
            _ = work => panic!("it is held"),
            () = yields(steps) => {}
        }
    }
    children(&client, "/lock", 1).await;
    drop(held);
    children(&client, "/lock", 0).await;
}

async fn yields(times: u32) {
    for _ in 0..times {
        // Long enough for some replies to arrive.
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
}

/// The figure of issue 4: lock hand-over among 200 waiters, watch events per release.
#[tokio::test]
async fn each_release_among_200_waiters_sends_one_event() {
    const WAITERS: usize = 200;
    let world = World::start().await;
    let observer = world.client().await;
    let first = Lock::new(&observer, "/lock").acquire().await.unwrap();
    let (got, mut handed) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..10 {
        let client = world.behind().await;
        for _ in 0..WAITERS / 10 {
            let (lock, got) = (Lock::new(&client, "/lock"), got.clone());
            tokio::spawn(async move { got.send(lock.acquire().await.unwrap()) });
        }
    }
    children(&observer, "/lock", WAITERS + 1).await;
    assert_eq!(world.proxy.events(), 0);
    let mut held = first;
    for n in 1..=WAITERS as u64 {
        held.release().await.unwrap();
        held = soon(handed.recv()).await.expect("a waiter");
        assert_eq!(world.proxy.events(), n, "events after {n} releases");
    }
    held.release().await.unwrap();
    observer.sync("/").await.unwrap();
    assert_eq!(world.proxy.events(), WAITERS as u64);
    children(&observer, "/lock", 0).await;
}
