//! What the work of the stations did, and what is wrong with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

/// Attempts that may have happened, and those that are known to have.
#[derive(Debug, Default, Clone)]
pub struct Attempts {
    pub made: BTreeSet<String>,
    pub known: BTreeSet<String>,
}

impl Attempts {
    /// Everything wrong with what is there in the end: `found` may hold each attempt once, holds what
    /// is known to have happened, and nothing else.
    pub fn check(&self, what: &str, found: &[String]) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut times: BTreeMap<&String, usize> = BTreeMap::new();
        for name in found {
            *times.entry(name).or_default() += 1;
            if !self.made.contains(name) {
                wrong.push(format!("{what}: {name} is there and was never tried"));
            }
        }
        for (name, times) in &times {
            if 1 < *times {
                wrong.push(format!("{what}: {name} happened {times} times"));
            }
        }
        let lost = self.known.iter().filter(|name| !times.contains_key(name));
        wrong.extend(lost.map(|name| format!("{what}: {name} happened and is lost")));
        wrong
    }
}

/// Writes that only a holder may make: the version each made, and the holder's token.
#[derive(Debug, Default, Clone)]
pub struct Fenced {
    pub writes: Vec<(i32, i64)>,
}

impl Fenced {
    /// In the order of the versions, the tokens never go back: no two held it at a time, and no
    /// write of an old holder happened after one of a new holder.
    pub fn check(&self, what: &str) -> Vec<String> {
        let mut writes = self.writes.clone();
        writes.sort_unstable();
        let mut wrong = Vec::new();
        for pair in writes.windows(2) {
            let [(version, token), (next_version, next_token)] = [pair[0], pair[1]];
            if version == next_version {
                wrong.push(format!("{what}: two writes made version {version}"));
            }
            if next_token < token {
                wrong.push(format!(
                    "{what}: {next_token:#x} wrote version {next_version} after {token:#x} had it"
                ));
            }
        }
        wrong
    }
}

/// What all stations share.
#[derive(Debug, Default)]
pub struct Shared {
    pub violations: Mutex<Vec<String>>,
    /// Steps done, by work and station.
    steps: Mutex<BTreeMap<(&'static str, usize), u64>>,
    attempts: Mutex<BTreeMap<&'static str, Attempts>>,
    fenced: Mutex<BTreeMap<&'static str, Fenced>>,
    once: Mutex<BTreeSet<(&'static str, String)>>,
}

fn locked<T, R>(mutex: &Mutex<T>, f: impl FnOnce(&mut T) -> R) -> R {
    f(&mut mutex.lock().expect("no panic with it"))
}

impl Shared {
    pub fn wrong(&self, text: impl Into<String>) {
        locked(&self.violations, |all| all.push(text.into()));
    }

    pub fn step(&self, work: &'static str, station: usize) {
        locked(&self.steps, |steps| *steps.entry((work, station)).or_default() += 1);
    }

    pub fn steps(&self) -> BTreeMap<(&'static str, usize), u64> {
        locked(&self.steps, |steps| steps.clone())
    }

    pub fn trying(&self, what: &'static str, name: &str) {
        locked(&self.attempts, |all| all.entry(what).or_default().made.insert(name.to_owned()));
    }

    pub fn happened(&self, what: &'static str, name: &str) {
        locked(&self.attempts, |all| all.entry(what).or_default().known.insert(name.to_owned()));
    }

    pub fn attempts(&self, what: &'static str) -> Attempts {
        locked(&self.attempts, |all| all.get(what).cloned().unwrap_or_default())
    }

    pub fn wrote(&self, what: &'static str, version: i32, token: i64) {
        locked(&self.fenced, |all| all.entry(what).or_default().writes.push((version, token)));
    }

    /// What may be seen by one alone, and once.
    pub fn sees_once(&self, what: &'static str, name: String) {
        if !locked(&self.once, |seen| seen.insert((what, name.clone()))) {
            self.wrong(format!("{what}: {name} was given twice"));
        }
    }

    /// Everything wrong so far, the fenced writes included.
    pub fn verdict(&self) -> Vec<String> {
        let mut wrong = locked(&self.violations, |all| all.clone());
        locked(&self.fenced, |all| {
            wrong.extend(all.iter().flat_map(|(what, fenced)| fenced.check(what)));
        });
        wrong
    }
}

/// The checker finds what it is for.
#[test]
fn doctored_histories_are_refused() {
    let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let shared = Shared::default();
    for name in ["a", "b", "c"] {
        shared.trying("queue", name);
    }
    shared.happened("queue", "a");
    let attempts = shared.attempts("queue");
    assert!(attempts.check("queue", &names(&["a", "c"])).is_empty());
    assert!(attempts.check("queue", &names(&["b"]))[0].contains("a happened and is lost"));
    assert!(attempts.check("queue", &names(&["a", "a"]))[0].contains("2 times"));
    assert!(attempts.check("queue", &names(&["a", "x"]))[0].contains("never tried"));
    for (version, token) in [(2, 7), (1, 7), (3, 9)] {
        shared.wrote("lock", version, token);
    }
    assert!(shared.verdict().is_empty());
    shared.wrote("lock", 4, 7);
    assert_eq!(shared.verdict(), ["lock: 0x7 wrote version 4 after 0x9 had it"]);
    shared.sees_once("ids", "1".to_owned());
    shared.sees_once("ids", "1".to_owned());
    assert!(shared.verdict().contains(&"ids: 1 was given twice".to_owned()));
}
