//! [`ReadWriteLock`] and [`Semaphore`].

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rookeeper_proto::OpCode;
use rookeeper_recipes::{ReadWriteLock, Semaphore};

use crate::World;
use crate::support::{Break, children, soon};

#[tokio::test]
async fn readers_share_and_wait_only_for_writers_before_them() {
    let world = World::start().await;
    let client = world.client().await;
    let lock = ReadWriteLock::new(&client, "/lock");
    let first = lock.read().await.unwrap();
    let second = lock.try_read().await.unwrap().expect("shared");
    assert!(lock.try_write().await.unwrap().is_none());
    let writing = lock.clone();
    let writer = tokio::spawn(async move { writing.write().await });
    children(&client, "/lock", 3).await;
    assert!(lock.try_read().await.unwrap().is_none(), "a writer is before");
    let reading = lock.clone();
    let reader = tokio::spawn(async move { reading.read().await });
    children(&client, "/lock", 4).await;
    first.release().await.unwrap();
    assert!(!writer.is_finished() && !reader.is_finished());
    let last_of_readers = second.token();
    second.release().await.unwrap();
    let writer = soon(writer).await.unwrap().unwrap();
    assert!(last_of_readers.number() < writer.token().number());
    assert!(!reader.is_finished());
    writer.release().await.unwrap();
    let reader = soon(reader).await.unwrap().unwrap();
    // A writer that comes later does not concern it.
    let writing = lock.clone();
    let later = tokio::spawn(async move { writing.write().await });
    children(&client, "/lock", 2).await;
    reader.transaction().set("/lock", b"x", None).commit().await.unwrap();
    drop(reader);
    soon(later).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_reader_is_not_woken_by_other_readers() {
    let world = World::start().await;
    let (client, observer) = (world.behind().await, world.client().await);
    let readers = ReadWriteLock::new(&observer, "/lock");
    let (a, b) = (readers.read().await.unwrap(), readers.read().await.unwrap());
    let lock = ReadWriteLock::new(&client, "/lock");
    let writer = tokio::spawn(async move { lock.write().await });
    children(&observer, "/lock", 3).await;
    // The writer watches only the last of them.
    a.release().await.unwrap();
    client.sync("/").await.unwrap();
    assert_eq!(world.proxy.events(), 0);
    b.release().await.unwrap();
    soon(writer).await.unwrap().unwrap();
    assert_eq!(world.proxy.events(), 1);
}

#[tokio::test]
async fn a_reader_whose_session_expires_lets_the_writer_in() {
    let world = World::start().await;
    let (client, other) = (world.behind().await, world.client().await);
    world.proxy.break_next(OpCode::Create2, Break::After);
    let reader = soon(ReadWriteLock::new(&client, "/lock").read()).await.unwrap();
    children(&other, "/lock", 1).await;
    let writing = ReadWriteLock::new(&other, "/lock");
    let writer = tokio::spawn(async move { writing.write().await });
    children(&other, "/lock", 2).await;
    world.expire(&client).await;
    soon(writer).await.unwrap().unwrap();
    assert!(soon(reader.lost()).await.is_session_over());
}

#[tokio::test]
async fn no_more_than_n_hold_a_lease() {
    const N: usize = 3;
    let world = World::start().await;
    let client = world.client().await;
    let semaphore = Semaphore::new(&client, "/semaphore", N);
    let mut leases = Vec::new();
    for _ in 0..N {
        leases.push(semaphore.acquire().await.unwrap());
    }
    assert!(semaphore.try_acquire().await.unwrap().is_none());
    let inside = Arc::new(AtomicUsize::new(N));
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let client = world.client().await;
        for _ in 0..5 {
            let semaphore = Semaphore::new(&client, "/semaphore", N);
            let inside = Arc::clone(&inside);
            let client = client.clone();
            tasks.push(tokio::spawn(async move {
                let lease = semaphore.acquire().await.unwrap();
                assert!(inside.fetch_add(1, Ordering::SeqCst) < N);
                client.sync("/").await.unwrap();
                inside.fetch_sub(1, Ordering::SeqCst);
                lease.release().await.unwrap();
            }));
        }
    }
    for lease in leases {
        inside.fetch_sub(1, Ordering::SeqCst);
        lease.release().await.unwrap();
    }
    for task in tasks {
        soon(task).await.unwrap();
    }
}

#[tokio::test]
async fn a_lease_comes_back_when_its_session_expires_whatever_was_lost() {
    let world = World::start().await;
    let (client, other) = (world.behind().await, world.client().await);
    let theirs = Semaphore::new(&client, "/semaphore", 1);
    for how in [Break::Before, Break::After] {
        world.proxy.break_next(OpCode::Create2, how);
        world.proxy.break_next(OpCode::Delete, how);
        soon(soon(theirs.acquire()).await.unwrap().release()).await.unwrap();
        children(&other, "/semaphore/leases", 0).await;
        children(&other, "/semaphore/queue", 0).await;
    }
    let lease = soon(theirs.acquire()).await.unwrap();
    let ours = Semaphore::new(&other, "/semaphore", 1);
    assert!(ours.try_acquire().await.unwrap().is_none());
    let waiter = tokio::spawn(async move { ours.acquire().await });
    children(&other, "/semaphore/queue", 1).await;
    world.expire(&client).await;
    let next = soon(waiter).await.unwrap().unwrap();
    assert!(lease.token().number() < next.token().number());
    let error = lease.token().guard(other.transaction()).commit().await.unwrap_err();
    assert!(lease.token().refused(&error));
}
