//! [`ExactlyOnce`], [`Counter`], [`UniqueIds`] and names.

use std::collections::BTreeSet;
use std::time::Duration;

use rookeeper_client::{CreateOptions, ErrorCode, ErrorKind, OpResult};
use rookeeper_proto::OpCode;
use rookeeper_recipes::{Committed, Counter, Error, ExactlyOnce, UniqueIds, WorkerNumber, naming};

use crate::World;
use crate::support::{Break, children, soon};

#[tokio::test]
async fn a_transaction_happens_once_whatever_is_lost() {
    let world = World::start().await;
    let client = world.behind().await;
    client.create("/log", b"", &CreateOptions::persistent()).await.unwrap();
    let once = ExactlyOnce::new(&client, "/ledgers");
    let options = CreateOptions::persistent_sequential();
    let append = || once.commit(|transaction| transaction.create("/log/e-", b"", &options));
    let Committed::Seen(results) = append().await.unwrap() else { panic!("nothing was lost") };
    assert!(matches!(&results[..], [OpResult::Created(path, _)] if path == "/log/e-0000000000"));
    world.proxy.break_next(OpCode::Multi, Break::After);
    assert_eq!(soon(append()).await.unwrap(), Committed::Unseen);
    world.proxy.break_next(OpCode::Multi, Break::Before);
    assert!(matches!(soon(append()).await.unwrap(), Committed::Seen(_)));
    children(&client, "/log", 3).await;
    // What was refused did not happen, and does not confuse the next.
    let refused = once.commit(|t| t.create("/log/e-", b"", &options).check("/none", None)).await;
    assert_eq!(refused.unwrap_err().code(), Some(ErrorCode::NoNode));
    append().await.unwrap();
    children(&client, "/log", 4).await;
}

#[tokio::test]
async fn a_dropped_commit_happens_once_or_not_and_the_next_one_once() {
    let world = World::start().await;
    let client = world.client().await;
    client.create("/log", b"", &CreateOptions::persistent()).await.unwrap();
    let once = ExactlyOnce::new(&client, "/ledgers");
    let options = CreateOptions::persistent_sequential();
    for steps in 0..30u64 {
        let before = children_now(&client).await;
        let work = once.commit(|transaction| transaction.create("/log/e-", b"", &options));
        tokio::select! {
            biased;
            done = work => drop(done.unwrap()),
            () = tokio::time::sleep(Duration::from_micros(steps * 50)) => {}
        }
        once.commit(|transaction| transaction.create("/log/e-", b"", &options)).await.unwrap();
        let made = children_now(&client).await - before;
        assert!((1..=2).contains(&made), "{made} made");
    }
}

async fn children_now(client: &rookeeper_client::Client) -> usize {
    client.children("/log").await.expect("a log").0.len()
}

#[tokio::test]
async fn an_outcome_nobody_can_know_is_said_to_be_unknown() {
    let world = World::start().await;
    let client = world.behind().await;
    let once = ExactlyOnce::new(&client, "/ledgers");
    once.commit(|transaction| transaction).await.unwrap();
    let options = CreateOptions::persistent();
    world.proxy.break_next(OpCode::Multi, Break::After);
    let commit = once.commit(|transaction| transaction.create("/x", b"", &options));
    // The network goes with the reply, and the session ends before it is back.
    let end = async {
        let watching = world.client().await;
        let (there, watcher) = watching.exists_and_watch("/x").await.unwrap();
        if there.is_none() {
            watcher.changed().await.unwrap();
        }
        world.expire(&client).await;
    };
    let cut = async {
        while !world.proxy.all_broken() {
            tokio::task::yield_now().await;
        }
        world.proxy.hold();
    };
    let (outcome, (), ()) = soon(async { tokio::join!(commit, cut, end) }).await;
    match outcome {
        Err(Error::Client(error)) => assert_eq!(error.kind(), ErrorKind::OutcomeUnknown),
        // It was back for long enough to look.
        Ok(Committed::Unseen) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn additions_are_counted_once_whatever_is_lost() {
    let world = World::start().await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let counter = Counter::new(&world.behind().await, "/app/counter");
        tasks.push(tokio::spawn(async move {
            for _ in 0..10 {
                counter.add(3).await.unwrap();
            }
        }));
    }
    for n in 0..8 {
        world.proxy.break_next(OpCode::Multi, [Break::After, Break::Before][n % 2]);
    }
    for task in tasks {
        soon(task).await.unwrap();
    }
    assert!(world.proxy.all_broken());
    let client = world.client().await;
    let counter = Counter::new(&client, "/app/counter");
    assert_eq!(counter.get().await.unwrap(), 120);
    assert_eq!(counter.add(-20).await.unwrap(), 100);
    assert!(matches!(counter.add(i64::MAX).await, Err(Error::Invalid(_))));
    client.set("/app/counter/value", b"x", None).await.unwrap();
    assert!(matches!(counter.get().await, Err(Error::Malformed { .. })));
}

#[tokio::test]
async fn a_counter_of_an_expired_session_says_so() {
    let world = World::start().await;
    let client = world.behind().await;
    let counter = Counter::new(&client, "/counter");
    assert_eq!(counter.add(1).await.unwrap(), 1);
    world.expire(&client).await;
    assert!(soon(counter.add(1)).await.unwrap_err().is_session_over());
    let again = Counter::new(&world.client().await, "/counter");
    assert_eq!(again.add(1).await.unwrap(), 2);
}

#[tokio::test]
async fn ids_and_names_are_given_once() {
    let world = World::start().await;
    let (client, other) = (world.behind().await, world.client().await);
    let mut seen = BTreeSet::new();
    for client in [&client, &other] {
        let ids = UniqueIds::new(client, "/ids", 7);
        world.proxy.break_next(OpCode::Multi, Break::After);
        for _ in 0..20 {
            assert!(seen.insert(soon(ids.next()).await.unwrap()));
        }
    }
    let first = naming::unique_name(&client, "/names", "n-").await.unwrap();
    world.proxy.break_next(OpCode::Create2, Break::After);
    let second = soon(naming::unique_name(&client, "/names", "n-")).await.unwrap();
    assert_ne!(first, second);
    children(&other, "/names", 2).await;
}

#[tokio::test]
async fn a_name_and_a_number_belong_to_one_at_a_time() {
    let world = World::start().await;
    let (client, other) = (world.behind().await, world.client().await);
    let bound = naming::bind(&client, "/app/names", "db", b"10.0.0.1").await.unwrap().unwrap();
    for client in [&client, &other] {
        assert!(naming::bind(client, "/app/names", "db", b"x").await.unwrap().is_none());
        let found = naming::resolve(client, "/app/names", "db").await.unwrap();
        assert_eq!(found.as_deref(), Some(&b"10.0.0.1"[..]));
    }
    bound.release().await.unwrap();
    assert_eq!(naming::resolve(&other, "/app/names", "db").await.unwrap(), None);
    // Dropped at any point, a name is not left behind.
    for steps in 0..20u64 {
        tokio::select! {
            biased;
            bound = naming::bind(&client, "/app/names", "db", b"") => drop(bound.unwrap()),
            () = tokio::time::sleep(Duration::from_micros(steps * 100)) => {}
        }
        // The next is answered behind what the last left to do.
        soon(async {
            while let Some(stat) = client.exists("/app/names/db").await.unwrap() {
                assert_eq!(stat.ephemeral_owner, client.session_id().0);
                client.sync("/").await.unwrap();
            }
        })
        .await;
    }
    let zero = WorkerNumber::take(&client, "/workers", 3).await.unwrap();
    world.proxy.break_next(OpCode::Create2, Break::After);
    let one = soon(WorkerNumber::take(&client, "/workers", 3)).await.unwrap();
    let two = WorkerNumber::take(&other, "/workers", 3).await.unwrap();
    assert_eq!([zero.number(), one.number(), two.number()], [0, 1, 2]);
    assert!(WorkerNumber::take(&other, "/workers", 3).await.is_err());
    one.release().await.unwrap();
    assert_eq!(WorkerNumber::take(&other, "/workers", 3).await.unwrap().number(), 1);
    let before = zero.token().number();
    world.expire(&client).await;
    let again = WorkerNumber::take(&other, "/workers", 3).await.unwrap();
    assert_eq!(again.number(), 0);
    assert!(before < again.token().number());
}
