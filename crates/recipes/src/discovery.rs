//! Service discovery: instances announce themselves with their health, and callers pick one.
//!
//! ```no_run
//! # async fn example(sessions: rookeeper_recipes::Sessions) -> rookeeper_recipes::Result<()> {
//! use rookeeper_recipes::{Balance, Directory, Instance, announce};
//!
//! let here = announce(&sessions, "/services/web", &Instance::new("web-1", "10.0.0.7", 80))?;
//! here.joined().await?;
//!
//! let web = Directory::start(&sessions, "/services/web", Balance::LeastBusy);
//! web.ready().await?;
//! if let Some(picked) = web.pick() {
//!     println!("calling {}:{}", picked.instance().address, picked.instance().port);
//!     // Not picked again for a while:
//!     picked.failed();
//! }
//! # Ok(()) }
//! ```
//!
//! **It guarantees** what [`membership`](crate::membership) does of instances; that [`Directory::pick`]
//! needs no request, and picks only instances that were announced and healthy by what is known; that
//! it goes on with the last known ones while the servers cannot be reached.
//!
//! **It cannot** know that an instance is dead before its session has ended, nor check its health
//! itself: instances say it ([`set_health`]), and callers report failures
//! ([`Picked::failed`]), which count for that caller alone. Busyness is that of this caller's own
//! calls.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::Sessions;
use crate::error::{Error, Result};
use crate::membership::Membership;
use crate::tree_cache::TreeCache;

/// How an instance says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It takes calls.
    Up,
    /// It takes no new calls.
    Draining,
    /// It takes no calls.
    Down,
}

/// An instance of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its name, alone in its service.
    pub id: String,
    /// Host name or address.
    pub address: String,
    /// Port.
    pub port: u16,
    /// How it says it is.
    pub health: Health,
    /// Anything else: zone, version, weight.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

impl Instance {
    /// An instance that is up and has no tags.
    pub fn new(id: &str, address: &str, port: u16) -> Self {
        let (id, address) = (id.to_owned(), address.to_owned());
        Self { id, address, port, health: Health::Up, tags: BTreeMap::new() }
    }

    fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|error| Error::Unwritable(error.to_string()))
    }
}

/// Announces an instance for as long as the answer lives.
pub fn announce(sessions: &Sessions, service: &str, instance: &Instance) -> Result<Membership> {
    Ok(Membership::start(sessions, service, &instance.id, &instance.to_json()?))
}

/// Announces how an instance is from now on.
pub async fn set_health(
    announced: &Membership,
    instance: &mut Instance,
    health: Health,
) -> Result<()> {
    instance.health = health;
    announced.show(&instance.to_json()?).await
}

/// Which of the healthy instances is picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balance {
    /// One after the other.
    RoundRobin,
    /// Any.
    Random,
    /// The same until it is gone or unhealthy.
    Sticky,
    /// The one with the fewest calls of ours under way.
    LeastBusy,
}

/// How long an instance is passed over after [`Picked::failed`].
pub const PASS_OVER: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
struct Calls {
    turn: usize,
    sticky: Option<String>,
    busy: HashMap<String, usize>,
    failed: HashMap<String, Instant>,
}

/// The instances of a service; see the [module](self). It ends when dropped.
#[derive(Debug)]
pub struct Directory {
    cache: TreeCache,
    service: String,
    balance: Balance,
    pass_over: Duration,
    calls: Arc<Mutex<Calls>>,
}

/// A picked instance. It counts as busy until dropped.
#[derive(Debug)]
pub struct Picked {
    instance: Instance,
    calls: Arc<Mutex<Calls>>,
}

impl Directory {
    /// Begins to follow the instances of a service.
    pub fn start(sessions: &Sessions, service: &str, balance: Balance) -> Self {
        let cache = TreeCache::start(sessions, service);
        let (service, calls) = (service.to_owned(), Arc::default());
        Self { cache, service, balance, pass_over: PASS_OVER, calls }
    }

    /// How long an instance is passed over after a failure, instead of [`PASS_OVER`].
    #[must_use]
    pub fn pass_over(mut self, time: Duration) -> Self {
        self.pass_over = time;
        self
    }

    /// Waits until the instances are known.
    pub async fn ready(&self) -> Result<()> {
        self.cache.ready().await
    }

    /// Waits until the announced instances are as `wanted` says.
    pub async fn wait_for(&self, wanted: impl Fn(&[Instance]) -> bool) -> Result<()> {
        self.cache.wait_for(|_| true).await?;
        let mut version = self.cache.version();
        let reached = version.wait_for(|_| wanted(&self.instances())).await.map(drop);
        reached.map_err(|_| Error::Ended)
    }

    /// All announced instances, by id. What cannot be read as one is left out.
    pub fn instances(&self) -> Vec<Instance> {
        let known = self.cache.children(&self.service);
        known
            .into_iter()
            .filter_map(|(id, node)| match serde_json::from_slice(&node.data) {
                Ok(instance) => Some(instance),
                Err(error) => {
                    tracing::debug!(%error, id, "not an instance");
                    None
                }
            })
            .collect()
    }

    /// Picks a healthy instance; those that failed lately only when there is no other.
    pub fn pick(&self) -> Option<Picked> {
        let mut up = self.instances();
        up.retain(|instance| instance.health == Health::Up);
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        calls.failed.retain(|_, when| now.duration_since(*when) < self.pass_over);
        if up.iter().any(|instance| !calls.failed.contains_key(&instance.id)) {
            up.retain(|instance| !calls.failed.contains_key(&instance.id));
        }
        let at = calls.choose(self.balance, &up)?;
        let instance = up.swap_remove(at);
        *calls.busy.entry(instance.id.clone()).or_default() += 1;
        drop(calls);
        Some(Picked { instance, calls: Arc::clone(&self.calls) })
    }
}

impl Calls {
    fn choose(&mut self, balance: Balance, up: &[Instance]) -> Option<usize> {
        let count = up.len();
        if count == 0 {
            return None;
        }
        self.turn = self.turn.wrapping_add(1);
        let turn = self.turn;
        let busy = |at: &usize| up.get(*at).and_then(|i| self.busy.get(&i.id)).copied();
        Some(match balance {
            Balance::RoundRobin => turn % count,
            Balance::Random => {
                usize::try_from(uuid::Uuid::new_v4().as_u64_pair().1).unwrap_or(turn) % count
            }
            Balance::Sticky => {
                let same = up.iter().position(|i| Some(&i.id) == self.sticky.as_ref());
                let at = same.unwrap_or(turn % count);
                self.sticky = up.get(at).map(|instance| instance.id.clone());
                at
            }
            // Beginning at another each time, so that the idle ones take turns.
            Balance::LeastBusy => (0..count)
                .map(|n| (n + turn) % count)
                .min_by_key(|at| busy(at).unwrap_or(0))
                .unwrap_or(0),
        })
    }
}

impl Picked {
    /// The instance.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// The call failed for a reason that is the instance's: it is passed over for a while.
    pub fn failed(self) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.failed.insert(self.instance.id.clone(), Instant::now());
    }
}

impl Drop for Picked {
    fn drop(&mut self) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(busy) = calls.busy.get_mut(&self.instance.id) {
            *busy -= 1;
            if *busy == 0 {
                calls.busy.remove(&self.instance.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Vec<Instance> {
        ["a", "b", "c"].map(|id| Instance::new(id, "host", 1)).to_vec()
    }

    #[test]
    fn each_balance_picks_as_it_says() {
        let up = three();
        let mut calls = Calls::default();
        let turns: Vec<_> = (0..6).filter_map(|_| calls.choose(Balance::RoundRobin, &up)).collect();
        assert_eq!(turns, [1, 2, 0, 1, 2, 0]);
        let first = calls.choose(Balance::Sticky, &up);
        assert!((0..5).all(|_| calls.choose(Balance::Sticky, &up) == first));
        calls.busy.extend([("a".to_owned(), 2), ("b".to_owned(), 1), ("c".to_owned(), 2)]);
        assert!((0..5).all(|_| calls.choose(Balance::LeastBusy, &up) == Some(1)));
        let mut seen: Vec<_> =
            (0..200).filter_map(|_| calls.choose(Balance::Random, &up)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [0, 1, 2]);
        assert_eq!(calls.choose(Balance::Random, &[]), None);
    }
}
