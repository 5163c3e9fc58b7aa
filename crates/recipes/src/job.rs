//! A job that runs at fixed times on exactly one member of a group.
//!
//! Time is cut into slots of the job's period since 1970. The leader of the members claims each slot
//! when it begins, by a transaction that its leadership guards, and then runs the job.
//!
//! **It guarantees** that a slot is run at most once, by one member, whatever happens to leaders,
//! replies, connections and sessions: the claim is written before the job begins. The job gets the
//! leader's [`FencingToken`] and can guard its own writes with it.
//!
//! **It cannot** guarantee that a slot is run to its end: a member that dies after the claim has taken the
//! slot with it, and slots in which nobody led are left out. A job that takes longer than its period
//! leaves out the slots it covers on that member; another member that becomes the leader meanwhile
//! begins the next slot while the old job may still run, so writes are to be guarded. Slots follow
//! the clocks of the members; a clock that goes wrong moves them, but never runs one twice.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rookeeper_client::{Client, ErrorCode};
use tokio::task::JoinSet;

use crate::base::nodes::{self, Above, child, guid};
use crate::base::persist::{pause, persist, persist_found, stat_now, unanswered};
use crate::base::task::Task;
use crate::election::LeaderLatch;
use crate::error::{Error, Result};
use crate::{FencingToken, Sessions};

/// One run of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The number of the slot: periods since 1970.
    pub slot: u64,
    /// The leader's token.
    pub token: FencingToken,
}

/// A member that runs a job when it is its turn; see the [module](self). It ends when dropped.
#[derive(Debug)]
pub struct ScheduledJob {
    _task: Task,
}

impl ScheduledJob {
    /// Becomes one of the members that run `job` every `period`.
    pub fn start<F, Fut>(
        sessions: &Sessions,
        path: &str,
        member: &str,
        period: Duration,
        job: F,
    ) -> Result<Self>
    where
        F: Fn(Run) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let period_ms = u64::try_from(period.as_millis()).unwrap_or(u64::MAX);
        if period_ms == 0 {
            return Err(Error::Invalid("a job's period is at least a millisecond".to_owned()));
        }
        let latch = LeaderLatch::start(sessions, &child(path, "leader"), member);
        let state = State { path: child(path, "last-slot") };
        let sessions = sessions.clone();
        let work = Work { latch, sessions, state, period_ms, job: Arc::new(job) };
        Ok(Self { _task: Task::spawn(work.run()) })
    }
}

struct Work<F> {
    latch: LeaderLatch,
    sessions: Sessions,
    state: State,
    period_ms: u64,
    job: Arc<F>,
}

impl<F, Fut> Work<F>
where
    F: Fn(Run) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    async fn run(self) {
        while let Ok(token) = self.latch.wait().await {
            let now_ms = since_1970_ms();
            let slot = now_ms / self.period_ms;
            match self.state.claim(&self.sessions, slot, &token).await {
                Ok(true) => run_to_its_end((self.job)(Run { slot, token })).await,
                Ok(false) => {}
                Err(error) => tracing::debug!(%error, slot, "not claimed"),
            }
            // From the claim on: a slot that passed while the job ran is left out.
            let now_ms = since_1970_ms();
            let wait_ms = self.period_ms - now_ms % self.period_ms;
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        }
    }
}

/// A job that panics ends its run, not the member.
async fn run_to_its_end(job: impl Future<Output = ()> + Send + 'static) {
    let mut running = JoinSet::new();
    running.spawn(job);
    if let Some(Err(error)) = running.join_next().await {
        tracing::error!(%error, "the job failed");
    }
}

fn since_1970_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The node that holds the last slot claimed, and a mark of who claimed it.
#[derive(Debug)]
struct State {
    path: String,
}

impl State {
    /// Claims a slot; false when it or a later one was claimed before.
    async fn claim(&self, sessions: &Sessions, slot: u64, token: &FencingToken) -> Result<bool> {
        let client = sessions.client()?;
        let mark = guid();
        let claim = format!("{slot} {mark}");
        loop {
            let Some((last, version)) = self.last(&client).await? else {
                nodes::make(&client, &self.path, b"0 nobody", Above::Persistent).await?;
                continue;
            };
            if slot <= last.0 {
                return Ok(last.1 == mark);
            }
            let transaction = token.guard(client.transaction());
            match transaction.set(&self.path, claim.as_bytes(), Some(version)).commit().await {
                Ok(_) => return Ok(true),
                Err(error) if unanswered(&error) => {
                    pause(&client, &error).await?;
                    // So that the next look shows whether it happened.
                    stat_now(&client, &self.path).await?;
                }
                Err(error) if error.code() == Some(ErrorCode::BadVersion) => {
                    persist(&client, || client.sync(&self.path)).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn last(&self, client: &Client) -> Result<Option<((u64, String), i32)>> {
        let found = persist_found(client, || client.get(&self.path)).await?;
        let Some((data, stat)) = found else { return Ok(None) };
        let text = String::from_utf8_lossy(&data).into_owned();
        let parsed = text
            .split_once(' ')
            .and_then(|(slot, mark)| Some((slot.parse().ok()?, mark.to_owned())));
        let last = parsed.ok_or_else(|| Error::Malformed {
            path: self.path.clone(),
            reason: format!("'{text}' is not a slot and a mark"),
        })?;
        Ok(Some((last, stat.version)))
    }
}
