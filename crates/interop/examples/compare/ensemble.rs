//! Three servers on one machine.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rookeeper_interop::apache::Generation;
use rookeeper_interop::{Ensemble, Flavour, ServerConfig};

use crate::Options;
use crate::machine::{Run, bench};
use crate::probe::{IdleConnection, Probe, first_answer};
use crate::table::{Table, median};

/// Name, target, generator arguments, figure, unit.
type Load = (&'static str, &'static str, &'static [&'static str], &'static str, &'static str);

const CPU: &str = "server.cpu_us_per_op";
const OPS: &str = "ops_per_second";

const LOADS: &[Load] = &[
    ("set 100 B, 64 x 16: CPU per op, all servers", "at most 1/6", &["set"], CPU, "us"),
    ("set 100 B, 64 x 16: ops/s", "at least 3x", &["set"], OPS, "/s"),
    ("create 100 B, 64 x 16: ops/s", "at least 3x", &["create"], OPS, "/s"),
    ("get 100 B, 64 x 16: CPU per op, all servers", "at most 1/10", &["get"], CPU, "us"),
    ("set, 1 x 1: p50", "at most 0.7x", &["set", "-c", "1", "-w", "1"], "latency_us.p50", "us"),
    ("set, 1 x 1: p99", "at most 0.7x", &["set", "-c", "1", "-w", "1"], "latency_us.p99", "us"),
    (
        "session churn, 16 connections: CPU per session, all servers",
        "at most 1/4",
        &["churn", "-c", "16", "-w", "1"],
        CPU,
        "us",
    ),
];

const CONNECTIONS: usize = 100;

struct Side {
    ensemble: Ensemble,
    repeats: usize,
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Side {
    fn start(flavour: Flavour, options: &Options) -> Result<Self, String> {
        let config = ServerConfig::new().measured().heap_mb(Some(2048));
        let ensemble = Ensemble::of(flavour, 3, &config).map_err(said)?;
        Ok(Self { ensemble, repeats: options.repeats })
    }

    fn bench(&self, args: &[&str], seconds: u64, warmup_s: u64) -> Result<Run, String> {
        let servers: Vec<String> =
            self.ensemble.servers.iter().map(|server| server.addr().to_string()).collect();
        let pids: Vec<u32> =
            self.ensemble.servers.iter().filter_map(|server| server.pid()).collect();
        let mut all: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        all.extend([
            "--servers".to_owned(),
            servers.join(","),
            "--duration-s".to_owned(),
            seconds.to_string(),
            "--warmup-s".to_owned(),
            warmup_s.to_string(),
        ]);
        bench(&all, &pids, self.repeats)
    }

    fn pid_of(&self, at: usize) -> Result<u32, String> {
        self.ensemble.servers[at].pid().ok_or_else(|| format!("server {at} is gone"))
    }

    fn addrs_without(&self, absent: usize) -> Vec<SocketAddr> {
        let servers = self.ensemble.servers.iter().enumerate();
        servers.filter(|(at, _)| *at != absent).map(|(_, server)| server.addr()).collect()
    }

    /// Kills the leader; milliseconds until a write succeeds on one of the others.
    fn failover(&mut self) -> Result<f64, String> {
        let leader = self.ensemble.wait_for_leader().map_err(said)?;
        self.ensemble.servers[leader].kill();
        let took = first_answer(&self.addrs_without(leader), Probe::Write, Instant::now())?;
        self.ensemble.servers[leader].launch().map_err(said)?;
        self.ensemble.servers[leader].wait_until_serving().map_err(said)?;
        Ok(took)
    }

    /// Kills the leader; how many of a hundred connections to the others, which wait for nothing, it costs.
    fn dropped_connections(&mut self) -> Result<f64, String> {
        let leader = self.ensemble.wait_for_leader().map_err(said)?;
        let survivors = self.addrs_without(leader);
        let connect = |addr: &SocketAddr| IdleConnection::open(*addr);
        let mut idle: Vec<_> =
            survivors.iter().cycle().take(CONNECTIONS).map(connect).collect::<Result<_, _>>()?;
        self.failover()?;
        let dropped = idle.iter_mut().map(IdleConnection::is_dropped).filter(|is| *is);
        Ok(dropped.count() as f64)
    }

    /// Stops the leader without ending it; milliseconds until a write succeeds on one of the others.
    fn frozen_leader(&mut self) -> Result<f64, String> {
        let leader = self.ensemble.wait_for_leader().map_err(said)?;
        self.ensemble.servers[leader].pause();
        let took = first_answer(&self.addrs_without(leader), Probe::Write, Instant::now());
        self.ensemble.servers[leader].resume();
        // Awake again it must find out that it leads no longer, and follow.
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.ensemble.servers[leader].mode().as_deref() != Some("follower") {
            if deadline < Instant::now() {
                return Err("a leader that slept does not follow".to_owned());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        took
    }

    /// Starts a follower that missed `writes`; milliseconds until it answers a read.
    fn late_follower(&mut self, writes: u64) -> Result<f64, String> {
        let leader = self.ensemble.wait_for_leader().map_err(said)?;
        let follower = (leader + 1) % self.ensemble.servers.len();
        self.ensemble.servers[follower].stop();
        let addrs: Vec<String> =
            self.addrs_without(follower).iter().map(ToString::to_string).collect();
        let args = ["fill", "-n", &writes.to_string(), "-c", "16", "-w", "32", "--servers"];
        let mut args: Vec<String> = args.map(str::to_owned).to_vec();
        args.push(addrs.join(","));
        bench(&args, &[self.pid_of(leader)?], 0)?;
        let server = &mut self.ensemble.servers[follower];
        let began = Instant::now();
        server.launch().map_err(said)?;
        first_answer(&[server.addr()], Probe::Read, began)
    }
}

pub(crate) fn measure(options: &Options, table: &mut Table) -> Result<(), String> {
    let wanted = |load: &&Load| options.only.as_deref().is_none_or(|only| load.0.contains(only));
    let loads: Vec<&Load> = LOADS.iter().filter(wanted).collect();
    let mut ours = Side::start(Flavour::Rookeeper, options)?;
    let mut apache = Side::start(Flavour::Apache(Generation::V395), options)?;
    eprintln!("warming Apache up for {} s", options.warmup_s);
    for op in ["set", "get", "create", "churn"] {
        apache.bench(&[op], options.warmup_s.div_ceil(4), 0)?;
    }
    for &&(name, target, args, figure, unit) in &loads {
        let (mut a, mut b, mut disturbed) = (Vec::new(), Vec::new(), false);
        for _ in 0..options.samples {
            for (side, values) in [(&ours, &mut a), (&apache, &mut b)] {
                let run = side.bench(args, options.seconds, 1)?;
                disturbed |= run.is_disturbed;
                values.push(run.get(figure)?);
            }
        }
        table.add(name, target, (median(a), median(b)), unit, disturbed);
    }
    let is_wanted = |part: &str| options.only.as_deref().is_none_or(|only| part.contains(only));
    if is_wanted("failover") {
        failovers(&mut ours, &mut apache, options, table)?;
    }
    if is_wanted("dropped connections") {
        dropped_connections(&mut ours, &mut apache, table)?;
    }
    if is_wanted("failover") || is_wanted("late follower") {
        for side in [&ours, &apache] {
            side.bench(&["fill", "-n", "1000000", "-c", "16", "-w", "32"], 0, 0)?;
        }
    }
    if is_wanted("failover") {
        large_failovers(&mut ours, &mut apache, options, table)?;
    }
    if is_wanted("late follower") {
        late_followers(&mut ours, &mut apache, table)?;
    }
    Ok(())
}

/// The same for each side, one after the other, so many times; the medians.
fn medians(
    (ours, apache): (&mut Side, &mut Side),
    times: usize,
    mut measure: impl FnMut(&mut Side) -> Result<f64, String>,
) -> Result<(f64, f64), String> {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for _ in 0..times {
        a.push(measure(ours)?);
        b.push(measure(apache)?);
    }
    Ok((median(a), median(b)))
}

fn failovers(
    ours: &mut Side,
    apache: &mut Side,
    options: &Options,
    table: &mut Table,
) -> Result<(), String> {
    let kills = options.kills;
    let name = format!("leader kill -9 to the first new write, median of {kills}");
    let figures = medians((ours, apache), kills, Side::failover)?;
    table.add(&name, "at most 1/2", figures, "ms", false);
    let figures = medians((ours, apache), 3, Side::frozen_leader)?;
    let target = "at most 10,500 ms (syncLimit x tickTime + 0.5 s)";
    table.add("leader stopped (SIGSTOP) to the first new write", target, figures, "ms", false);
    Ok(())
}

fn dropped_connections(
    ours: &mut Side,
    apache: &mut Side,
    table: &mut Table,
) -> Result<(), String> {
    let figures = medians((ours, apache), 3, Side::dropped_connections)?;
    let name =
        format!("leader kill -9: connections dropped, of {CONNECTIONS} that wait for nothing");
    table.add(&name, "0", figures, "connections", false);
    Ok(())
}

fn large_failovers(
    ours: &mut Side,
    apache: &mut Side,
    options: &Options,
    table: &mut Table,
) -> Result<(), String> {
    let kills = options.kills.div_ceil(4);
    let name = format!("with 1 M znodes: leader kill -9 to the first new write, median of {kills}");
    let figures = medians((ours, apache), kills, Side::failover)?;
    table.add(&name, "at most 1/2", figures, "ms", false);
    Ok(())
}

fn late_followers(ours: &mut Side, apache: &mut Side, table: &mut Table) -> Result<(), String> {
    let figures = medians((ours, apache), 3, |side| side.late_follower(100_000))?;
    let name = "with 1 M znodes: start of a follower that missed 100,000 writes, to its first read";
    table.add(name, "at most 1/4", figures, "ms", false);
    Ok(())
}
