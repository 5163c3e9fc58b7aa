//! The shipped binary on a disk that forgets: killed again and again under load, each time rolled back
//! to what it had forced, and after each start everything it had acknowledged must be there.
//!
//! Kills strike at a random operation on the disk (before or after it, by the layer itself, so also
//! while the server starts, rolls, snapshots and purges) or after a random number of
//! acknowledgements. In every third crash a random part of what was not forced survives, too.
//!
//! `ROOKEEPER_CRASH_KILLS` (15; a campaign is 200) and `ROOKEEPER_CRASH_SEED` change the run. The
//! same with forceSync=no, or without the forces of directories, must lose something: a test that
//! could not notice would prove nothing.
#![cfg(feature = "interop")]

use std::sync::mpsc;
use std::time::Instant;

use rookeeper_interop::crash_load::{Load, Verdict};
use rookeeper_interop::crash_server::{CrashServer, Start};
use rookeeper_interop::forgetful_disk::{Dice, ForgetfulDisk, Keep, Temper};
use rookeeper_interop::{HarnessError, Result};

const CLIENTS: usize = 4;
/// A force takes this long, so that a reply that does not wait for it gets out.
const FORCE_US: usize = 1000;
/// Points on the disk (two an operation) and acknowledgements within which a kill strikes.
const POINTS_MAX: usize = 1200;
/// A start that repairs and makes durable is over within about as many.
const POINTS_OF_A_START: usize = 60;
const ACKNOWLEDGED_MAX: usize = 1500;

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")),
        Err(_) => default,
    }
}

/// What happened, to tell a run that tried something from one that did not.
#[derive(Debug, Default)]
struct Tally {
    kills: usize,
    during_start: usize,
    checks: usize,
    acknowledged: usize,
    forgotten_files: usize,
    forgotten_names: usize,
}

struct Campaign {
    server: CrashServer,
    disk: ForgetfulDisk,
    loads: Vec<Load>,
    dice: Dice,
    /// Whether the server is made one that does not force directories, behind its first crash.
    skips_names: bool,
    tally: Tally,
}

impl Campaign {
    fn new(lines: &[(&str, &str)], seed: u64) -> Result<Self> {
        let base = [("snapCount", "150"), ("preAllocSize", "64")];
        let server = CrashServer::prepare(&[&base, lines].concat())?;
        let disk = ForgetfulDisk::new(&server.data_dir(), server.home())?;
        let mut dice = Dice::new(seed);
        let loads = (0..CLIENTS).map(|i| Load::new(i, Dice::new(dice.roll()))).collect();
        let tally = Tally::default();
        Ok(Self { server, disk, loads, dice, skips_names: false, tally })
    }

    /// From a start to a kill and what it leaves. What was lost before, if anything was.
    fn live(&mut self) -> Result<Option<String>> {
        // Half of the kills come from the disk, the others from the clients' count.
        let by_disk = self.dice.coin();
        let within = if self.dice.coin() { POINTS_MAX } else { POINTS_OF_A_START };
        let kill_at = by_disk.then(|| 1 + self.dice.below(within));
        let started = self.start(kill_at)?;
        if started == Start::Serving {
            if let Some(lost) = self.check()? {
                return Ok(Some(lost));
            }
            let limit = 1 + self.dice.below(ACKNOWLEDGED_MAX);
            self.load((!by_disk).then_some(limit))?;
        } else {
            self.tally.during_start += 1;
        }
        self.server.wait_until_killed()?;
        self.tally.kills += 1;
        let mut torn = Dice::new(self.dice.roll());
        // Some crashes leave a part of what was not forced.
        let tears = self.tally.kills.is_multiple_of(3);
        let keep = if tears { Keep::Some(&mut torn) } else { Keep::Forced };
        let forgotten = self.disk.crash(keep)?;
        self.tally.forgotten_files += forgotten.files;
        self.tally.forgotten_names += forgotten.names;
        Ok(None)
    }

    fn start(&mut self, kill_at: Option<usize>) -> Result<Start> {
        let disk = &self.disk;
        let skips_names = self.skips_names && self.tally.kills > 0;
        let temper = Temper { kill_at, force_us: FORCE_US, skips_names };
        self.server.start(|mut command| {
            disk.preload(&mut command, &temper);
            command
        })
    }

    fn check(&mut self) -> Result<Option<String>> {
        for load in &mut self.loads {
            match load.check(self.server.addr())? {
                Verdict::Kept => self.tally.checks += 1,
                Verdict::Gone => return Ok(None),
                Verdict::Lost(what) => return Ok(Some(what)),
            }
        }
        Ok(None)
    }

    /// Load until the server is dead: by its disk, or killed at that many acknowledgements.
    fn load(&mut self, limit: Option<usize>) -> Result<()> {
        let (told, heard) = mpsc::channel();
        let (server, loads) = (&mut self.server, &mut self.loads);
        let addr = server.addr();
        let mut acknowledged = 0;
        let ended: Vec<Result<()>> = std::thread::scope(|scope| {
            let clients: Vec<_> = loads
                .iter_mut()
                .map(|load| {
                    let told = told.clone();
                    scope.spawn(move || load.run(addr, &told))
                })
                .collect();
            drop(told);
            // Ends when all clients have ended.
            while heard.recv().is_ok() {
                acknowledged += 1;
                if limit == Some(acknowledged) {
                    server.kill();
                }
            }
            clients.into_iter().map(|client| client.join().expect("no panic")).collect()
        });
        self.tally.acknowledged += acknowledged;
        ended.into_iter().collect()
    }

    /// A last life without a kill: everything is there, and it stops cleanly.
    fn end(&mut self) -> Result<Option<String>> {
        if self.start(None)? != Start::Serving {
            return Err(HarnessError::Unexpected("killed without a reason".to_owned()));
        }
        let lost = self.check()?;
        let status = self.server.stop();
        assert!(status.is_some_and(|status| status.success()), "{status:?}");
        Ok(lost)
    }
}

/// Kills that often; nothing may be missing, and enough must have happened to say so.
fn survives(mut campaign: Campaign, kills: usize, seed: u64) {
    let began = Instant::now();
    while campaign.tally.kills < kills {
        let lived = campaign.live();
        let words = format!("seed {seed}, {:?}", campaign.tally);
        let lost = lived.unwrap_or_else(|error| panic!("{words}: {error}"));
        assert_eq!(lost, None, "{words}\n{}", lost.as_deref().unwrap_or_default());
    }
    let lost = campaign.end().expect("a last start");
    assert_eq!(lost, None, "seed {seed}\n{}", lost.as_deref().unwrap_or_default());
    let (tally, seconds) = (&campaign.tally, began.elapsed().as_secs());
    println!("seed {seed}, {seconds} s: {tally:?}");
    assert!(tally.acknowledged > 50 * kills, "too little load: {tally:?}");
    assert!(tally.forgotten_files > kills / 4 && tally.checks > kills, "no crash bit: {tally:?}");
}

/// A server with a fault must be found out soon.
fn is_found_out(mut campaign: Campaign) {
    const TRIES: usize = 20;
    for _ in 0..TRIES {
        match campaign.live() {
            Ok(None) => {}
            Ok(Some(lost)) => return println!("{:?}: {lost}", campaign.tally),
            // A session that was acknowledged and is not known any more.
            Err(error) if error.to_string().starts_with("LOST") => {
                return println!("{:?}: {error}", campaign.tally);
            }
            Err(error) => panic!("{:?}: {error}", campaign.tally),
        }
    }
    panic!("nothing was lost in {TRIES} crashes: {:?}", campaign.tally);
}

#[test]
fn nothing_acknowledged_is_lost() {
    let kills = number("ROOKEEPER_CRASH_KILLS", 15) as usize;
    let seed = number("ROOKEEPER_CRASH_SEED", 1);
    survives(Campaign::new(&[], seed).expect("a campaign"), kills, seed);
}

/// Without space ahead, with logs that end by size, and with packed snapshots.
#[test]
fn nothing_acknowledged_is_lost_with_other_settings() {
    let kills = number("ROOKEEPER_CRASH_KILLS", 15) as usize;
    let seed = number("ROOKEEPER_CRASH_SEED", 1);
    let lines = [
        ("preAllocSize", "0"),
        ("txnLogSizeLimitInKb", "64"),
        ("snapshot.compression.method", "gz"),
    ];
    survives(Campaign::new(&lines, seed).expect("a campaign"), kills, seed);
}

#[test]
fn a_server_that_does_not_force_is_found_out() {
    is_found_out(Campaign::new(&[("forceSync", "no")], 1).expect("a campaign"));
}

#[test]
fn a_server_that_does_not_force_directories_is_found_out() {
    let mut campaign = Campaign::new(&[], 1).expect("a campaign");
    campaign.skips_names = true;
    is_found_out(campaign);
}
