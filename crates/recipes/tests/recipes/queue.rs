//! [`Queue`]: order, and that items are neither lost nor doubled.

use std::collections::BTreeMap;

use rookeeper_proto::OpCode;
use rookeeper_recipes::{Error, Queue};

use crate::World;
use crate::support::{Break, children, soon};

async fn pop(queue: &Queue) -> String {
    let item = soon(queue.take()).await.expect("an item");
    let data = soon(item.ack()).await.expect("an acknowledgement");
    String::from_utf8(data).expect("a text")
}

#[tokio::test]
async fn items_come_in_order_of_priority_then_of_puts() {
    let world = World::start().await;
    let queue = Queue::new(&world.client().await, "/app/queue");
    assert!(queue.try_take().await.unwrap().is_none());
    for (data, priority) in [("c", 100), ("d", 100), ("a", 0), ("e", 999), ("b", 7)] {
        queue.put_with_priority(data.as_bytes(), priority).await.unwrap();
    }
    assert!(matches!(queue.put_with_priority(b"", 1000).await, Err(Error::Invalid(_))));
    assert_eq!(queue.len().await.unwrap(), 5);
    for data in ["a", "b", "c", "d", "e"] {
        assert_eq!(pop(&queue).await, data);
    }
    assert!(queue.is_empty().await.unwrap());
}

#[tokio::test]
async fn an_item_is_one_consumers_until_given_back() {
    let world = World::start().await;
    let client = world.client().await;
    let queue = Queue::new(&client, "/queue");
    queue.put(b"1").await.unwrap();
    let item = queue.take().await.unwrap();
    assert_eq!(item.data(), b"1");
    assert!(queue.try_take().await.unwrap().is_none());
    let waiting = Queue::new(&client, "/queue");
    let waiter = tokio::spawn(async move { waiting.take().await.map(|item| item.data().to_vec()) });
    children(&client, "/queue/waiting", 1).await;
    item.give_back().await.unwrap();
    assert_eq!(soon(waiter).await.unwrap().unwrap(), b"1");
    // The waiter dropped it.
    children(&client, "/queue/taken", 0).await;
    drop(queue.take().await.unwrap());
    children(&client, "/queue/taken", 0).await;
    assert_eq!(pop(&queue).await, "1");
}

#[tokio::test]
async fn lost_replies_neither_lose_nor_double_an_item() {
    let world = World::start().await;
    let queue = Queue::new(&world.behind().await, "/queue");
    queue.put(b"first").await.unwrap();
    assert_eq!(pop(&queue).await, "first");
    let mut n = 0;
    for op in [OpCode::Multi, OpCode::Create2] {
        for how in [Break::Before, Break::After] {
            n += 1;
            if op == OpCode::Multi {
                world.proxy.break_next(op, how);
            }
            soon(queue.put(format!("{n}").as_bytes())).await.unwrap();
            assert!(world.proxy.all_broken());
            assert_eq!(queue.len().await.unwrap(), 1, "{op:?} {how:?}");
            world.proxy.break_next(op, how);
            assert_eq!(pop(&queue).await, n.to_string());
            assert!(world.proxy.all_broken());
            assert!(queue.is_empty().await.unwrap(), "{op:?} {how:?}");
        }
    }
}

#[tokio::test]
async fn the_item_of_a_consumer_whose_session_expires_goes_to_another() {
    let world = World::start().await;
    let (client, other) = (world.behind().await, world.client().await);
    let (theirs, ours) = (Queue::new(&client, "/queue"), Queue::new(&other, "/queue"));
    theirs.put(b"1").await.unwrap();
    let item = theirs.take().await.unwrap();
    let waiter = tokio::spawn(async move { pop(&ours).await });
    children(&other, "/queue/waiting", 1).await;
    world.expire(&client).await;
    assert_eq!(soon(waiter).await.unwrap(), "1");
    assert!(soon(item.ack()).await.unwrap_err().is_session_over());
    assert!(soon(theirs.put(b"2")).await.unwrap_err().is_session_over());
}

#[tokio::test]
async fn many_producers_and_consumers_over_a_bad_link() {
    const PRODUCERS: usize = 4;
    const ITEMS: usize = 25;
    let world = World::start().await;
    let mut producers = Vec::new();
    for p in 0..PRODUCERS {
        let queue = Queue::new(&world.behind().await, "/queue");
        producers.push(tokio::spawn(async move {
            for n in 0..ITEMS {
                queue.put(format!("{p}-{n}").as_bytes()).await.unwrap();
            }
        }));
    }
    let mut consumers = Vec::new();
    for _ in 0..3 {
        let queue = Queue::new(&world.behind().await, "/queue");
        consumers.push(tokio::spawn(async move {
            let mut done = Vec::new();
            loop {
                let item = queue.take().await.unwrap();
                let data = String::from_utf8(item.ack().await.unwrap()).unwrap();
                if data == "end" {
                    return done;
                }
                done.push(data);
            }
        }));
    }
    for n in 0..12 {
        let op = [OpCode::Multi, OpCode::Create2, OpCode::Delete][n % 3];
        world.proxy.break_next(op, [Break::After, Break::Before][n % 2]);
    }
    for producer in producers {
        soon(producer).await.unwrap();
    }
    let queue = Queue::new(&world.client().await, "/queue");
    for _ in 0..consumers.len() {
        queue.put_with_priority(b"end", 999).await.unwrap();
    }
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for consumer in consumers {
        for data in soon(consumer).await.unwrap() {
            *seen.entry(data).or_default() += 1;
        }
    }
    assert_eq!(seen.len(), PRODUCERS * ITEMS, "no item is lost");
    assert!(seen.values().all(|&times| times == 1), "no item is doubled: {seen:?}");
}
