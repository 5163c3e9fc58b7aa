//! Three servers on one machine.

use std::time::{Duration, Instant};

use rookeeper_interop::apache::Generation;
use rookeeper_interop::{Ensemble, Flavour, ServerConfig};

use crate::Options;
use crate::machine::{Run, bench};
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

struct Side {
    ensemble: Ensemble,
    repeats: usize,
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Side {
    fn start(flavour: Flavour, options: &Options) -> Result<Self, String> {
        let config = ServerConfig::new().heap_mb(Some(2048));
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

    /// Kills the leader; milliseconds until a write succeeds on one of the others.
    fn failover(&mut self) -> Result<f64, String> {
        let leader = self
            .ensemble
            .servers
            .iter()
            .position(|server| server.mode().as_deref() == Some("leader"))
            .ok_or("there is no leader")?;
        let other = self.ensemble.servers[(leader + 1) % 3].addr();
        self.ensemble.servers[leader].kill();
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(30) {
            // A new session is a write through the quorum.
            let arguments = ["ping", "-c", "1", "-w", "1"].map(str::to_owned);
            let mut all = arguments.to_vec();
            all.extend(["--servers".to_owned(), other.to_string()]);
            all.extend(["--duration-s", "0", "--warmup-s", "0"].map(str::to_owned));
            if bench(&all, &[], 0).is_ok() {
                break;
            }
        }
        let took = began.elapsed().as_secs_f64() * 1000.0;
        self.ensemble.servers[leader].launch().map_err(said)?;
        self.ensemble.servers[leader].wait_until_serving().map_err(said)?;
        Ok(took)
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
    if options.only.as_deref().is_none_or(|only| "failover".contains(only)) {
        let kills = 2 * options.samples + 1;
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for _ in 0..kills {
            a.push(ours.failover()?);
            b.push(apache.failover()?);
        }
        let name = format!("leader kill -9 to the first new session, median of {kills}");
        table.add(&name, "at most 1/2", (median(a), median(b)), "ms", false);
    }
    Ok(())
}
