//! The machine: what it is, how busy it is with other things, and runs of the load generator on it.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use rookeeper_interop::oracle;

/// Hundredths of a second of CPU.
type Ticks = u64;

/// The figures of one run of a program that prints them as JSON.
pub(crate) struct Run {
    fields: BTreeMap<String, f64>,
    /// Whether other processes used more than a tenth of the machine meanwhile.
    pub(crate) is_disturbed: bool,
}

impl Run {
    /// A figure by its name in the JSON, for nested ones `latency_us.p99`.
    pub(crate) fn get(&self, name: &str) -> Result<f64, String> {
        self.fields.get(name).copied().ok_or_else(|| format!("the generator gave no {name}"))
    }
}

fn busy_ticks() -> (Ticks, Ticks) {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields: Vec<u64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    let all: u64 = fields.iter().take(8).sum();
    let idle: u64 = fields.iter().skip(3).take(2).sum();
    (all - idle, all)
}

fn ticks_of(pid: &str, from: usize) -> Ticks {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = stat.rsplit(')').next().unwrap_or_default();
    rest.split_whitespace().skip(from).take(2).filter_map(|f| f.parse::<u64>().ok()).sum()
}

/// Ticks of the servers and of the generator's finished runs.
fn own_ticks(pids: &[u32]) -> Ticks {
    // Fields 14, 15 of a process; 16, 17 are its finished children.
    pids.iter().map(|pid| ticks_of(&pid.to_string(), 11)).sum::<u64>() + ticks_of("self", 13)
}

/// Runs the generator. A disturbed run is repeated, at most `repeats` times.
pub(crate) fn bench(args: &[String], pids: &[u32], repeats: usize) -> Result<Run, String> {
    let binary = oracle::rookeeper_binary().map_err(|error| error.to_string())?;
    let pid_list: Vec<String> = pids.iter().map(u32::to_string).collect();
    let mut command = Command::new(binary);
    command.arg("bench").args(args).args(["--json", "--pid", &pid_list.join(",")]);
    run(&mut command, pids, repeats)
}

/// Runs a program that prints its figures as JSON. A disturbed run is repeated, at most `repeats` times.
pub(crate) fn run(command: &mut Command, pids: &[u32], repeats: usize) -> Result<Run, String> {
    let mut run = run_once(command, pids)?;
    for _ in 0..repeats {
        if !run.is_disturbed {
            break;
        }
        run = run_once(command, pids)?;
    }
    Ok(run)
}

fn run_once(command: &mut Command, pids: &[u32]) -> Result<Run, String> {
    let (busy_before, all_before) = busy_ticks();
    let own_before = own_ticks(pids);
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?} failed: {said}"));
    }
    let (busy_after, all_after) = busy_ticks();
    let own = own_ticks(pids).saturating_sub(own_before);
    let others = (busy_after - busy_before).saturating_sub(own);
    let is_disturbed = (all_after - all_before) < others * 10;
    Ok(Run { fields: numbers(&String::from_utf8_lossy(&output.stdout)), is_disturbed })
}

/// The numbers of a flat JSON object with one level of nesting, which is all the generator prints.
fn numbers(json: &str) -> BTreeMap<String, f64> {
    let mut fields = BTreeMap::new();
    let mut outer = String::new();
    for part in json.split([',', '{']) {
        let closes = part.contains('}');
        let text = part.trim_end_matches(['}', '\n', ' ']);
        if let Some((name, value)) = text.split_once(':') {
            let name = name.trim().trim_matches('"');
            if value.trim().is_empty() {
                outer = format!("{name}.");
            } else if let Ok(value) = value.trim().parse() {
                fields.insert(format!("{outer}{name}"), value);
            }
        }
        if closes {
            outer.clear();
        }
    }
    fields
}

/// Resident bytes of a process.
pub(crate) fn resident_bytes(pid: u32) -> f64 {
    memory(pid, "VmRSS:")
}

/// The most that a process has had resident; 0 once it is gone.
pub(crate) fn peak_resident_bytes(pid: u32) -> f64 {
    memory(pid, "VmHWM:")
}

fn memory(pid: u32, field: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field));
    let kb = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kb.unwrap_or(0.0) * 1024.0
}

/// Live bytes of a JVM's heap after a full collection.
pub(crate) fn live_heap_bytes(pid: u32) -> Result<f64, String> {
    let jcmd = |what: &[&str]| {
        Command::new("jcmd")
            .arg(pid.to_string())
            .args(what)
            .output()
            .map_err(|error| format!("jcmd: {error}"))
    };
    jcmd(&["GC.run"])?;
    let histogram = jcmd(&["GC.class_histogram"])?;
    let text = String::from_utf8_lossy(&histogram.stdout).into_owned();
    let total = text.lines().rev().find(|line| line.trim_start().starts_with("Total"));
    total
        .and_then(|line| line.split_whitespace().nth(2)?.parse().ok())
        .ok_or_else(|| "jcmd printed no histogram".to_owned())
}

/// What the figures were made on.
pub(crate) fn describe() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    format!(
        "# Benchmarks\n\nRookeeper against Apache ZooKeeper 3.9.5, one run on one machine ({cores} cores, {model}), by\n\n\
         ```\nscripts/fetch-oracles apache395\ncargo build --release --bin rookeeper\n\
         ROOKEEPER_BIN=target/release/rookeeper cargo run --release -p rookeeper-interop --example compare -- \
         --markdown BENCHMARKS.md\n```\n\n\
         Both durable, the same zoo.cfg, the same generator; Apache with `-Xmx2g`, logging at INFO to a file, \
         after 28 s of load.\nThe two alternate; each figure is the median of three samples; a sample taken \
         while other processes used more than a\ntenth of the machine is repeated (a row marked * kept one \
         such sample all the same). CPU is the servers' alone.\n"
    )
}
