//! One server.

use std::time::Instant;

use rookeeper_interop::apache::Generation;
use rookeeper_interop::{Flavour, Server, ServerConfig};

use crate::Options;
use crate::machine::{self, Run, bench};
use crate::probe::{Probe, first_answer};
use crate::table::{Table, median};

/// One kind of load and what is read off it.
struct Load {
    name: &'static str,
    target: &'static str,
    args: &'static [&'static str],
    figure: &'static str,
    unit: &'static str,
}

const CPU: &str = "server.cpu_us_per_op";

const LOADS: &[Load] = &[
    Load {
        name: "get 100 B, 64 x 16: server CPU per op",
        target: "at most 1/10",
        args: &["get", "-c", "64", "-w", "16"],
        figure: CPU,
        unit: "us",
    },
    Load {
        name: "get 100 B, 64 x 16: ops/s",
        target: "",
        args: &["get", "-c", "64", "-w", "16"],
        figure: "ops_per_second",
        unit: "/s",
    },
    Load {
        name: "get 100 B, 16 x 1: ops/s",
        target: "at least 2.5x",
        args: &["get", "-c", "16", "-w", "1"],
        figure: "ops_per_second",
        unit: "/s",
    },
    Load {
        name: "set 100 B, 64 x 16: server CPU per op",
        target: "at most 1/8",
        args: &["set", "-c", "64", "-w", "16"],
        figure: CPU,
        unit: "us",
    },
    Load {
        name: "set 100 B, 64 x 16: ops/s",
        target: "",
        args: &["set", "-c", "64", "-w", "16"],
        figure: "ops_per_second",
        unit: "/s",
    },
    Load {
        name: "create 100 B, 64 x 16: server CPU per op",
        target: "at most 1/8",
        args: &["create", "-c", "64", "-w", "16"],
        figure: CPU,
        unit: "us",
    },
    Load {
        name: "multi of 10, 64 x 16: server CPU per multi",
        target: "at most 1/8",
        args: &["multi", "-c", "64", "-w", "16"],
        figure: CPU,
        unit: "us",
    },
    Load {
        name: "mixed 90/10, 64 x 16: ops/s",
        target: "at least 5x",
        args: &["mixed", "-c", "64", "-w", "16"],
        figure: "ops_per_second",
        unit: "/s",
    },
    Load {
        name: "set 100 B, 1 x 1: p50",
        target: "at most 0.8x",
        args: &["set", "-c", "1", "-w", "1"],
        figure: "latency_us.p50",
        unit: "us",
    },
    Load {
        name: "set 100 B, 1 x 1: p99",
        target: "at most 0.8x",
        args: &["set", "-c", "1", "-w", "1"],
        figure: "latency_us.p99",
        unit: "us",
    },
    Load {
        name: "session churn, 16 connections: server CPU per session",
        target: "at most 1/2",
        args: &["churn", "-c", "16", "-w", "1"],
        figure: CPU,
        unit: "us",
    },
    Load {
        name: "1,000 watchers of one znode: server CPU per notification",
        target: "at most 1/4",
        args: &["watch", "-c", "1000", "-w", "1"],
        figure: CPU,
        unit: "us",
    },
    Load {
        name: "1,000 watchers of one znode: set to last notification, p50",
        target: "",
        args: &["watch", "-c", "1000", "-w", "1"],
        figure: "latency_us.p50",
        unit: "us",
    },
];

/// One side of the comparison.
struct Side {
    server: Server,
    repeats: usize,
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn config() -> ServerConfig {
    ServerConfig::new().measured().heap_mb(Some(2048))
}

impl Side {
    fn start(flavour: Flavour, config: ServerConfig, options: &Options) -> Result<Self, String> {
        let server = Server::start(flavour, config).map_err(said)?;
        Ok(Self { server, repeats: options.repeats })
    }

    fn pid(&self) -> Result<u32, String> {
        self.server.pid().ok_or_else(|| "the server is gone".to_owned())
    }

    fn bench(&self, args: &[&str], seconds: u64, warmup_s: u64) -> Result<Run, String> {
        let mut all: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        all.extend([
            "--servers".to_owned(),
            self.server.addr().to_string(),
            "--duration-s".to_owned(),
            seconds.to_string(),
            "--warmup-s".to_owned(),
            warmup_s.to_string(),
        ]);
        bench(&all, &[self.pid()?], self.repeats)
    }
}

pub(crate) fn measure(options: &Options, table: &mut Table) -> Result<(), String> {
    loads(options, table)?;
    if options.only.as_deref().is_none_or(|only| "memory restart snapshot".contains(only)) {
        memory_and_restart(options, table)?;
        snapshot_beside_writes(options, table)?;
        idle(options, table)?;
    }
    Ok(())
}

fn loads(options: &Options, table: &mut Table) -> Result<(), String> {
    let wanted = |load: &&Load| options.only.as_deref().is_none_or(|only| load.name.contains(only));
    let loads: Vec<&Load> = LOADS.iter().filter(wanted).collect();
    if loads.is_empty() {
        return Ok(());
    }
    let ours = Side::start(Flavour::Rookeeper, config(), options)?;
    let apache = Side::start(Flavour::Apache(Generation::V395), config(), options)?;
    eprintln!("warming Apache up for {} s", options.warmup_s);
    for op in ["mixed", "create", "churn", "multi"] {
        apache.bench(&[op, "-c", "64", "-w", "16"], options.warmup_s.div_ceil(4), 0)?;
    }
    for load in loads {
        let (mut a, mut b, mut disturbed) = (Vec::new(), Vec::new(), false);
        for _ in 0..options.samples {
            for (side, values) in [(&ours, &mut a), (&apache, &mut b)] {
                let run = side.bench(load.args, options.seconds, 1)?;
                disturbed |= run.is_disturbed;
                values.push(run.get(load.figure)?);
            }
        }
        table.add(load.name, load.target, (median(a), median(b)), load.unit, disturbed);
    }
    Ok(())
}

const MILLION: u64 = 1_000_000;

/// Fills both with a million znodes, then restarts them.
fn memory_and_restart(options: &Options, table: &mut Table) -> Result<(), String> {
    let mut ours = Side::start(Flavour::Rookeeper, config(), options)?;
    let mut apache = Side::start(Flavour::Apache(Generation::V395), config(), options)?;
    let before = machine::resident_bytes(ours.pid()?);
    let heap_before = machine::live_heap_bytes(apache.pid()?)?;
    for side in [&ours, &apache] {
        side.bench(&["fill", "-n", "1000000", "-c", "16", "-w", "32"], 0, 0)?;
    }
    let growth = (machine::resident_bytes(ours.pid()?) - before) / MILLION as f64;
    let heap = (machine::live_heap_bytes(apache.pid()?)? - heap_before) / MILLION as f64;
    table.add(
        "1 M znodes of 100 B: resident growth per znode (Apache: live heap after a full collection)",
        "at most 290 B and 0.6x",
        (growth, heap),
        "B",
        false,
    );
    let a = restart(&mut ours.server)?;
    let b = restart(&mut apache.server)?;
    table.add(
        "restart with 1 M znodes to the first answered read",
        "at most 1/4",
        (a, b),
        "ms",
        false,
    );
    Ok(())
}

/// Milliseconds from the launch to the first answered read.
fn restart(server: &mut Server) -> Result<f64, String> {
    server.stop();
    let began = Instant::now();
    server.launch().map_err(said)?;
    first_answer(&[server.addr()], Probe::Read, began)
}

/// Open-loop writes at half of saturation, with and without a snapshot of a million znodes beside them.
fn snapshot_beside_writes(options: &Options, table: &mut Table) -> Result<(), String> {
    let mut figures = Vec::new();
    for flavour in [Flavour::Rookeeper, Flavour::Apache(Generation::V395)] {
        let quiet = config().set("snapCount", 50_000_000);
        let mut side = Side::start(flavour, quiet, options)?;
        side.bench(&["fill", "-n", "1000000", "-c", "16", "-w", "32"], 0, 0)?;
        let full = side.bench(&["set", "-c", "64", "-w", "16"], options.seconds, 2)?;
        let rate = full.get("ops_per_second")? / 2.0;
        let rate_text = format!("{rate:.0}");
        let load = ["set", "-c", "64", "-w", "16", "--rate", &rate_text];
        let without = side.bench(&load, 10, 2)?;
        // One snapshot some seconds into the run: between half of snapCount and all of it.
        let count = rate * 8.0;
        side.server
            .reconfigure(|config| config.set("snapCount", format!("{count:.0}")))
            .map_err(said)?;
        let with = side.bench(&load, 10, 2)?;
        for name in ["latency_us.p999", "longest_gap_us"] {
            figures.push(with.get(name)? / without.get(name)?.max(1.0));
        }
    }
    let target = "at most 2x without a snapshot";
    table.add(
        "snapshot of 1 M znodes beside open-loop sets: p99.9, times that without",
        target,
        (figures[0], figures[2]),
        "x",
        false,
    );
    table.add(
        "the same: longest gap, times that without",
        target,
        (figures[1], figures[3]),
        "x",
        false,
    );
    Ok(())
}

fn idle(options: &Options, table: &mut Table) -> Result<(), String> {
    let mut memory = Vec::new();
    let mut start = Vec::new();
    for flavour in [Flavour::Rookeeper, Flavour::Apache(Generation::V395)] {
        let mut side = Side::start(flavour, config(), options)?;
        memory.push(machine::resident_bytes(side.pid()?) / 1e6);
        let times: Result<Vec<f64>, String> = (0..5).map(|_| restart(&mut side.server)).collect();
        start.push(median(times?));
    }
    table.add("idle resident memory", "at most 20 MB", (memory[0], memory[1]), "MB", false);
    table.add(
        "start to the first answered read",
        "at most 50 ms",
        (start[0], start[1]),
        "ms",
        false,
    );
    Ok(())
}
