//! [`Barrier`] and [`DoubleBarrier`].

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rookeeper_proto::OpCode;
use rookeeper_recipes::{Barrier, DoubleBarrier};

use crate::World;
use crate::support::{Break, children, soon};

#[tokio::test]
async fn a_barrier_holds_until_lowered_whatever_is_lost() {
    let world = World::start().await;
    let (client, other) = (world.behind().await, world.client().await);
    let barrier = Barrier::new(&client, "/gates/one");
    soon(barrier.wait()).await.unwrap();
    for how in [Break::Before, Break::After] {
        world.proxy.break_next(OpCode::Create2, how);
        soon(barrier.raise()).await.unwrap();
        soon(barrier.raise()).await.unwrap();
        let waiting = barrier.clone();
        let waiter = tokio::spawn(async move { waiting.wait().await });
        client.sync("/").await.unwrap();
        assert!(!waiter.is_finished());
        world.proxy.hold();
        Barrier::new(&other, "/gates/one").lower().await.unwrap();
        world.proxy.release();
        soon(waiter).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_waiter_of_an_expired_session_is_told() {
    let world = World::start().await;
    let (client, other) = (world.behind().await, world.client().await);
    Barrier::new(&other, "/gate").raise().await.unwrap();
    let barrier = Barrier::new(&client, "/gate");
    let waiter = tokio::spawn(async move { barrier.wait().await });
    world.expire(&client).await;
    assert!(soon(waiter).await.unwrap().unwrap_err().is_session_over());
    assert!(other.exists("/gate").await.unwrap().is_some(), "it stays raised");
}

#[tokio::test]
async fn all_begin_together_and_end_together_again_and_again() {
    const N: usize = 5;
    const ROUNDS: usize = 6;
    let world = World::start().await;
    let inside = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::new();
    for n in 0..N {
        let client = if n % 2 == 0 { world.behind().await } else { world.client().await };
        let (barrier, inside) = (DoubleBarrier::new(&client, "/both", N), Arc::clone(&inside));
        tasks.push(tokio::spawn(async move {
            for round in 0..ROUNDS {
                inside.fetch_add(1, Ordering::SeqCst);
                let place = barrier.enter().await.unwrap();
                let entered = inside.load(Ordering::SeqCst);
                assert!(N * (round + 1) <= entered, "round {round}: {entered} entered");
                place.leave().await.unwrap();
            }
        }));
    }
    world.proxy.break_next(OpCode::Create2, Break::After);
    world.proxy.break_next(OpCode::Delete, Break::After);
    for task in tasks {
        soon(task).await.unwrap();
    }
    children(&world.client().await, "/both/members", 0).await;
    children(&world.client().await, "/both/ready", 0).await;
}

#[tokio::test]
async fn nobody_waits_to_leave_for_one_that_has_died() {
    let world = World::start().await;
    let (client, other) = (world.behind().await, world.client().await);
    let theirs = DoubleBarrier::new(&client, "/both", 2);
    let entering = tokio::spawn(async move { theirs.enter().await });
    let ours = DoubleBarrier::new(&other, "/both", 2);
    let mine = soon(ours.enter()).await.unwrap();
    let theirs = soon(entering).await.unwrap().unwrap();
    let leaving = tokio::spawn(mine.leave());
    other.sync("/").await.unwrap();
    assert!(!leaving.is_finished());
    world.expire(&client).await;
    soon(leaving).await.unwrap().unwrap();
    assert!(soon(theirs.leave()).await.unwrap_err().is_session_over());
    // The next time is not taken for the last.
    let one = DoubleBarrier::new(&other, "/both", 2);
    let early = tokio::spawn(async move { one.enter().await });
    children(&other, "/both/members", 1).await;
    other.sync("/").await.unwrap();
    assert!(!early.is_finished());
    let second = soon(DoubleBarrier::new(&other, "/both", 2).enter()).await.unwrap();
    let first = soon(early).await.unwrap().unwrap();
    let (a, b) = tokio::join!(soon(first.leave()), soon(second.leave()));
    a.and(b).unwrap();
}
