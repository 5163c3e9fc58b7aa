//! [`ScheduledJob`]: each slot is run once, whatever happens to the leader.

use std::collections::BTreeSet;
use std::time::Duration;

use rookeeper_client::CreateOptions;
use rookeeper_proto::OpCode;
use rookeeper_recipes::{Run, ScheduledJob, Sessions};
use tokio::sync::mpsc;

use crate::World;
use crate::support::{Break, soon};

const PERIOD: Duration = Duration::from_millis(50);

fn member(
    sessions: &Sessions,
    name: &'static str,
    told: &mpsc::UnboundedSender<(&'static str, Run)>,
) -> ScheduledJob {
    let told = told.clone();
    ScheduledJob::start(sessions, "/app/job", name, PERIOD, move |run| {
        let told = told.clone();
        async move {
            // The test may have seen enough.
            let _ = told.send((name, run));
        }
    })
    .expect("a period")
}

#[tokio::test]
async fn each_slot_is_run_once_by_one_member() {
    let world = World::start().await;
    let (told, mut runs) = mpsc::unbounded_channel();
    let (first, second) = (world.sessions(), Sessions::from(world.client().await));
    let _a = member(&first, "a", &told);
    let mut seen = BTreeSet::new();
    let mut tokens = Vec::new();
    let mut next = async |wanted: &'static str| loop {
        let (name, run) = soon(runs.recv()).await.expect("a run");
        assert!(seen.insert(run.slot), "slot {} was run twice", run.slot);
        tokens.push(run.token.number());
        if name == wanted {
            return run;
        }
    };
    next("a").await;
    let _b = member(&second, "b", &told);
    world.proxy.break_next(OpCode::Multi, Break::After);
    world.proxy.break_next(OpCode::Multi, Break::Before);
    let old = next("a").await;
    world.expire_present(&first).await;
    let new = next("b").await;
    assert!(old.token.number() < new.token.number());
    // The writes of a run that goes on too long are refused.
    let client = world.client().await;
    client.create("/result", b"", &CreateOptions::persistent()).await.unwrap();
    let late = old.token.guard(client.transaction()).set("/result", b"old", None).commit().await;
    assert!(old.token.refused(&late.unwrap_err()));
    new.token.guard(client.transaction()).set("/result", b"new", None).commit().await.unwrap();
    next("b").await;
    assert!(tokens.is_sorted());
}

#[tokio::test]
async fn a_run_that_panics_is_not_the_last() {
    let world = World::start().await;
    let (told, mut runs) = mpsc::unbounded_channel();
    let sessions = world.sessions();
    let _job = ScheduledJob::start(&sessions, "/job", "a", PERIOD, move |run| {
        let told = told.clone();
        async move {
            // The test may have seen enough.
            let _ = told.send(run.slot);
            panic!("every time");
        }
    })
    .unwrap();
    let first = soon(runs.recv()).await.expect("a run");
    assert!(first < soon(runs.recv()).await.expect("another"));
}

#[tokio::test]
async fn a_period_of_nothing_is_refused() {
    let world = World::start().await;
    let sessions = world.sessions();
    let job = ScheduledJob::start(&sessions, "/job", "a", Duration::ZERO, |_| async {});
    assert!(job.is_err());
}
