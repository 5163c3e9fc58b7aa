//! What each station does with each recipe, again and again, and what must hold meanwhile.
//!
//! A step that fails because the session is over, or whose outcome nobody can know, is part of the
//! game; any other failure is a violation.

use std::sync::Arc;
use std::time::Duration;

use rookeeper_client::{Client, CreateOptions, ErrorCode, ErrorKind};
use rookeeper_recipes::{
    Barrier, Counter, DoubleBarrier, Error, ExactlyOnce, FencingToken, LeaderLatch, Lock, Queue,
    ReadWriteLock, Result, ScheduledJob, Semaphore, Sessions, UniqueIds, WorkerNumber, naming,
};

use crate::checks::Shared;
use crate::cluster::Station;

/// Where everything is; persistent, as are the nodes the work writes to.
pub const ROOT: &str = "/trouble";
pub const REGISTERS: [&str; 5] = ["lock", "latch", "write-a", "write-b", "job"];
const LEASES: usize = 2;
/// Items that may wait: every consumer lists them all.
const BACKLOG: usize = 30;
const PERIOD: Duration = Duration::from_millis(200);

/// A station's view of the work.
#[derive(Clone)]
pub struct Work {
    shared: Arc<Shared>,
    station: usize,
    stations: usize,
    /// What the recipes run on.
    sessions: Sessions,
    /// What guarded writes are made through: it may live on when a lock's session is over.
    writers: Sessions,
}

fn path(name: &str) -> String {
    format!("{ROOT}/{name}")
}

/// Whether a step may fail with this.
fn is_trouble(error: &Error) -> bool {
    match error {
        Error::Client(error) => {
            error.is_session_over()
                || error.is_retryable()
                || error.kind() == ErrorKind::OutcomeUnknown
        }
        _ => false,
    }
}

impl Work {
    pub fn new(shared: &Arc<Shared>, station: &Station, stations: usize) -> Self {
        let (sessions, writers) = (station.sessions(), station.sessions());
        let (shared, station) = (Arc::clone(shared), station.number);
        Self { shared, station, stations, sessions, writers }
    }

    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// All work of a station; runs until aborted.
    pub async fn run(self) {
        let id = self.station.to_string();
        let latch = Arc::new(LeaderLatch::start(&self.sessions, &path("latch"), &id));
        let _job = self.job();
        tokio::join!(
            self.again("lock", |work, client| async move { work.lock(&client).await }),
            self.again("read/write lock", |work, client| async move {
                work.read_and_write(&client).await
            }),
            self.again("semaphore", |work, client| async move { work.semaphore(&client).await }),
            self.again("latch", |work, _| {
                let latch = Arc::clone(&latch);
                async move { work.latch(&latch).await }
            }),
            self.again("barrier", |work, client| async move { work.barrier(&client).await }),
            self.again("double barrier", |work, client| async move {
                work.double_barrier(&client).await
            }),
            self.again("producer", |work, client| async move { work.produce(&client).await }),
            self.again("consumer", |work, client| async move { work.consume(&client).await }),
            self.again("counter", |work, client| async move { work.count(&client).await }),
            self.again("names", |work, client| async move { work.names(&client).await }),
            self.again("transaction", |work, client| async move { work.append(&client).await }),
        );
    }

    /// Steps of one work, each in a present session.
    async fn again<F, Fut>(&self, work: &'static str, step: F)
    where
        F: Fn(Self, Client) -> Fut,
        Fut: Future<Output = Result<()>> + Send,
    {
        loop {
            let client = self.sessions.client().expect("a connect string");
            match step(self.clone(), client).await {
                Ok(()) => self.shared.step(work, self.station),
                Err(error) if is_trouble(&error) => tokio::task::yield_now().await,
                Err(error) => {
                    self.shared.wrong(format!("{work} at station {}: {error}", self.station));
                    return;
                }
            }
        }
    }

    /// A write that only the holder of a token may make. `Ok(false)`: refused.
    async fn fenced(&self, what: &'static str, token: &FencingToken) -> Result<bool> {
        let (register, text) = (path(what), token.number().to_string());
        let client = self.writers.client().expect("a connect string");
        client.sync(&register).await?;
        let (_, stat) = client.get(&register).await?;
        let write = token.guard(client.transaction());
        match write.set(&register, text.as_bytes(), Some(stat.version)).commit().await {
            Ok(_) => {
                self.shared.wrote(what, stat.version + 1, token.number());
                Ok(true)
            }
            Err(error) if token.refused(&error) => Ok(false),
            // Between a holder's read and its write nobody else may write.
            Err(error) if error.code() == Some(ErrorCode::BadVersion) => {
                if token.guard(client.transaction()).commit().await.is_ok() {
                    self.shared.wrong(format!("{what}: another wrote while {token:?} held it"));
                }
                Ok(false)
            }
            // Whether it happened: then the next look shows another version.
            Err(error) => Err(error.into()),
        }
    }

    async fn lock(&self, client: &Client) -> Result<()> {
        let held = Lock::new(client, &path("locks/one")).acquire().await?;
        let token = held.token();
        for _ in 0..3 {
            if !self.fenced("lock", &token).await? {
                // Then it is certain soon that it was lost.
                return Err(held.lost().await);
            }
        }
        held.release().await
    }

    async fn latch(&self, latch: &LeaderLatch) -> Result<()> {
        // Not to lead for ever: the others shall have something to do, too. A step of a station that
        // does not lead is to look.
        if let rookeeper_recipes::Leading::Yes(token) = latch.leading() {
            self.fenced("latch", &token).await?;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(())
    }

    /// A writer writes two registers one after the other; a reader finds both equal, unless the
    /// writer was gone before it came to the second.
    async fn read_and_write(&self, client: &Client) -> Result<()> {
        let lock = ReadWriteLock::new(client, &path("locks/shared"));
        let writing = lock.write().await?;
        let token = writing.token();
        let mark = token.path();
        for register in ["write-a", "write-b"] {
            let guarded = writing.transaction().set(&path(register), mark.as_bytes(), None);
            match guarded.commit().await {
                Ok(_) => {}
                Err(error) if token.refused(&error) => return Err(writing.lost().await),
                Err(error) => return Err(error.into()),
            }
        }
        writing.release().await?;
        let reading = lock.read().await?;
        let a = client.get(&path("write-a")).await?.0;
        let b = client.get(&path("write-b")).await?.0;
        if a != b {
            client.sync(&path("write-a")).await?;
            let writer = String::from_utf8_lossy(&a).into_owned();
            let both =
                client.transaction().check(&writer, None).check(reading.token().path(), None);
            if both.commit().await.is_ok() {
                self.shared.wrong(format!("read/write lock: {writer} writes while others read"));
            }
        }
        reading.release().await
    }

    /// Whoever holds a lease says so in the tree; of those that say so, as many as there are leases
    /// may really hold one.
    async fn semaphore(&self, client: &Client) -> Result<()> {
        let lease = Semaphore::new(client, &path("semaphore"), LEASES).acquire().await?;
        let token = lease.token();
        let name = token.path().rsplit('/').next().unwrap_or_default().to_owned();
        let mark = path(&format!("holding/{name}"));
        let enter = lease.transaction().create(&mark, b"", &CreateOptions::persistent());
        if let Err(error) = enter.commit().await {
            return if token.refused(&error) { Err(lease.lost().await) } else { Err(error.into()) };
        }
        let (said, _) = client.children(&path("holding")).await?;
        let mut holding = Vec::new();
        for name in said {
            // Those that still hold one now held it when the list was made.
            if client.exists(&path(&format!("semaphore/leases/{name}"))).await?.is_some() {
                holding.push(name);
            } else {
                let _ = client.delete(&path(&format!("holding/{name}")), None).await;
            }
        }
        if LEASES < holding.len() {
            self.shared.wrong(format!("semaphore: {holding:?} hold {LEASES} leases"));
        }
        match client.delete(&mark, None).await {
            // Another may have tidied up after a session that was thought to be over.
            Err(error) if error.code() != Some(ErrorCode::NoNode) => return Err(error.into()),
            _ => {}
        }
        lease.release().await
    }

    async fn barrier(&self, client: &Client) -> Result<()> {
        let barrier = Barrier::new(client, &path(&format!("barriers/{}", self.station)));
        barrier.raise().await?;
        let lowered = std::sync::atomic::AtomicBool::new(false);
        let pass = async {
            barrier.wait().await?;
            if !lowered.load(std::sync::atomic::Ordering::SeqCst) {
                self.shared.wrong("barrier: passed while it was raised");
            }
            Ok::<_, Error>(())
        };
        let lower = async {
            client.sync(ROOT).await?;
            lowered.store(true, std::sync::atomic::Ordering::SeqCst);
            barrier.lower().await
        };
        tokio::try_join!(pass, lower).map(drop)
    }

    async fn double_barrier(&self, client: &Client) -> Result<()> {
        let barrier = DoubleBarrier::new(client, &path("both"), self.stations);
        let inside = barrier.enter().await?;
        inside.leave().await
    }

    async fn produce(&self, client: &Client) -> Result<()> {
        let queue = Queue::new(client, &path("queue"));
        for _ in 0..5 {
            if BACKLOG < queue.len().await? {
                tokio::time::sleep(Duration::from_millis(20)).await;
                return Ok(());
            }
            let item = uuid(self.station);
            self.shared.trying("queue: put", &item);
            let priority = if item.ends_with('0') { 0 } else { 100 };
            queue.put_with_priority(item.as_bytes(), priority).await?;
            self.shared.happened("queue: put", &item);
        }
        Ok(())
    }

    async fn consume(&self, client: &Client) -> Result<()> {
        let queue = Queue::new(client, &path("queue"));
        for _ in 0..5 {
            let item = queue.take().await?;
            let name = String::from_utf8_lossy(item.data()).into_owned();
            self.shared.trying("queue: ack", &name);
            item.ack().await?;
            self.shared.sees_once("queue: ack", name.clone());
            self.shared.happened("queue: ack", &name);
        }
        Ok(())
    }

    async fn count(&self, client: &Client) -> Result<()> {
        let counter = Counter::new(client, &path("counter"));
        for _ in 0..3 {
            let name = uuid(self.station);
            self.shared.trying("counter", &name);
            let sum = counter.add(1).await?;
            self.shared.sees_once("counter", sum.to_string());
            self.shared.happened("counter", &name);
        }
        Ok(())
    }

    async fn names(&self, client: &Client) -> Result<()> {
        let ids = UniqueIds::new(client, &path("ids"), 3);
        for _ in 0..4 {
            self.shared.sees_once("ids", ids.next().await?.to_string());
        }
        let name = naming::unique_name(client, &path("names"), "n-").await?;
        self.shared.sees_once("names", name);
        let number = WorkerNumber::take(client, &path("workers"), 100).await?;
        // The node of a number is made anew for each that has it.
        let token = number.token().number();
        self.shared.sees_once("worker numbers", format!("{} {token}", number.number()));
        number.release().await
    }

    async fn append(&self, client: &Client) -> Result<()> {
        let once = ExactlyOnce::new(client, &path("ledgers"));
        for _ in 0..3 {
            let name = uuid(self.station);
            self.shared.trying("transaction", &name);
            let prefix = path("log/entry-");
            let options = CreateOptions::persistent_sequential();
            once.commit(|t| t.create(&prefix, name.as_bytes(), &options)).await?;
            self.shared.happened("transaction", &name);
        }
        Ok(())
    }

    fn job(&self) -> ScheduledJob {
        let (work, name) = (self.clone(), self.station.to_string());
        ScheduledJob::start(&self.sessions, &path("jobs"), &name, PERIOD, move |run| {
            let work = work.clone();
            async move {
                work.shared.sees_once("job", run.slot.to_string());
                // Trouble is met by the next run.
                let _ = work.fenced("job", &run.token).await;
                // Whoever runs it, all stations count: one at a time leads.
                (0..work.stations).for_each(|station| work.shared.step("job", station));
            }
        })
        .expect("a period")
    }
}

fn uuid(station: usize) -> String {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    format!("{station}-{}", NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
}
