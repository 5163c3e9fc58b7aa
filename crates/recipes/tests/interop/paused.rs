//! A holder that is paused until another holds the lock, and then goes on as if nothing was.

use rookeeper_client::{CreateOptions, ErrorCode, ErrorKind};
use rookeeper_recipes::{Election, Lock};

use crate::cluster::Cluster;
use crate::support::{children, soon};

#[tokio::test(flavor = "multi_thread")]
async fn the_writes_of_a_paused_holder_are_refused() {
    let cluster = Cluster::start();
    let observer = cluster.observer().await;
    observer.create("/data", b"", &CreateOptions::persistent()).await.unwrap();
    let station = cluster.station(0).await;
    let sessions = station.sessions();
    let client = sessions.client().unwrap();
    let (lock, election) = (Lock::new(&client, "/lock"), Election::new(&client, "/election", "a"));
    let holding = station
        .spawn(async move { (lock.acquire().await.unwrap(), election.campaign().await.unwrap()) });
    let (held, leading) = soon(holding).await.unwrap();
    let tokens = [held.token(), leading.token()];
    let next = Lock::new(&observer, "/lock");
    let next = tokio::spawn(async move { next.acquire().await });
    let leader = Election::new(&observer, "/election", "b");
    let leader = tokio::spawn(async move { leader.campaign().await });
    // They wait while it is awake and holds both: asleep, its session might end before they come.
    children(&observer, "/lock", 2).await;
    children(&observer, "/election", 2).await;
    let pause = station.pause().await;
    // Its session ends while it is asleep, and the others get what it held.
    let (next, leader) = (soon(next).await.unwrap().unwrap(), soon(leader).await.unwrap().unwrap());
    next.transaction().set("/data", b"next", None).commit().await.unwrap();
    drop(pause);
    let stale = tokens.clone();
    let late = station.spawn(async move {
        // By its own session first, then by one that is alive.
        let own = held.transaction().set("/data", b"late", None).commit().await.unwrap_err();
        // Sent on a connection that was dead already: what it did not do is seen in the end.
        let unknown = own.kind() == ErrorKind::OutcomeUnknown;
        assert!(unknown || own.is_session_over() || stale[0].refused(&own), "{own}");
        held.lost().await;
        leading.lost().await;
        let alive = sessions.client().unwrap();
        for token in stale {
            let late = token.guard(alive.transaction()).set("/data", b"late", None).commit().await;
            let error = late.unwrap_err();
            assert!(token.refused(&error), "{error}");
            assert_eq!(error.code(), Some(ErrorCode::NoNode));
        }
    });
    soon(late).await.unwrap();
    observer.sync("/").await.unwrap();
    assert_eq!(observer.get("/data").await.unwrap().0, b"next");
    assert!(tokens[0].number() < next.token().number());
    assert!(tokens[1].number() < leader.token().number());
}
