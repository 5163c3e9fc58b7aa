//! What people start by hand: the shell, the start script, the client library, the summary of a snapshot.
//!
//! Ours run through the scripts in `bin/`. Apache's are the `java` commands that its scripts would become, so
//! what those scripts cost is left out in Apache's favour. Clients of both kinds ask the same server, ours.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rookeeper_interop::apache::Generation;
use rookeeper_interop::{Flavour, Server, ServerConfig, oracle};

use crate::Options;
use crate::machine::{self, Run};
use crate::probe::{Probe, first_answer};
use crate::table::{Table, median};

/// Runs of what takes less than a second.
const SHORT_RUNS: usize = 9;
/// Requests in flight on the one connection.
const WINDOW: &str = "256";

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

pub(crate) fn measure(options: &Options, table: &mut Table) -> Result<(), String> {
    let wanted = |name: &str| options.only.as_deref().is_none_or(|only| name.contains(only));
    if wanted("zkCli") {
        one_shot(table)?;
    }
    if wanted("zkServer start") {
        start_script(table)?;
    }
    if wanted("client library gets") {
        pipelined_gets(options, table)?;
    }
    if wanted("snapshot summary") {
        snapshot_summary(table)?;
    }
    Ok(())
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A script of ours, around the binary under test.
fn script(name: &str) -> Result<Command, String> {
    let mut command = Command::new(workspace().join("bin").join(name));
    command.env("ROOKEEPER", oracle::rookeeper_binary().map_err(said)?);
    command.env_remove("JVMFLAGS").env_remove("ZOOCFGDIR");
    Ok(command)
}

fn apache(class: &str) -> Result<Command, String> {
    let mut command = Generation::V395.java().map_err(said)?;
    command.arg("-Xmx2g").arg(format!("org.apache.zookeeper.{class}"));
    Ok(command)
}

/// Milliseconds and the largest resident memory of a run that must succeed.
fn timed(mut command: Command) -> Result<(f64, f64), String> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let began = Instant::now();
    let spawned = command.spawn();
    let failed = |why: &dyn std::fmt::Display| format!("{command:?}: {why}");
    let mut child = spawned.map_err(|error| failed(&error))?;
    let (mut peak, mut pause) = (0.0, Duration::from_micros(200));
    loop {
        peak = f64::max(peak, machine::peak_resident_bytes(child.id()));
        match child.try_wait() {
            Ok(Some(status)) if status.success() => break,
            Ok(Some(status)) => return Err(failed(&status)),
            Ok(None) => std::thread::sleep(pause),
            Err(error) => return Err(failed(&error)),
        }
        // Looking more often than a hundredth of the run would cost more than it tells.
        pause = (began.elapsed() / 100).clamp(pause, Duration::from_millis(10));
    }
    Ok((began.elapsed().as_secs_f64() * 1000.0, peak))
}

fn medians(
    runs: usize,
    mut ours: impl FnMut() -> Result<f64, String>,
    mut apache: impl FnMut() -> Result<f64, String>,
) -> Result<(f64, f64), String> {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        a.push(ours()?);
        b.push(apache()?);
    }
    Ok((median(a), median(b)))
}

fn one_shot(table: &mut Table) -> Result<(), String> {
    let server = Server::start(Flavour::Rookeeper, ServerConfig::new()).map_err(said)?;
    let addr = server.addr().to_string();
    let mut create = script("zkCli.sh")?;
    create.args(["-server", &addr, "create", "/x", "value"]);
    timed(create)?;
    let get = |mut command: Command| {
        command.args(["-server", &addr, "get", "/x"]);
        timed(command).map(|(ms, _)| ms)
    };
    let values =
        medians(SHORT_RUNS, || get(script("zkCli.sh")?), || get(apache("ZooKeeperMain")?))?;
    table.add("zkCli.sh -server ... get /x, wall time", "at most 1/20", values, "ms", false);
    Ok(())
}

/// From the start of the script to the first answered read. Both data directories are empty.
fn start_script(table: &mut Table) -> Result<(), String> {
    let ours = || {
        let mut server = Server::start(Flavour::Rookeeper, ServerConfig::new()).map_err(said)?;
        server.stop();
        let zk_server = |word: &str| {
            let mut command = script("zkServer.sh")?;
            command.arg(word).arg(server.zoo_cfg()).env("ZOO_LOG_DIR", server.home());
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().map_err(|error| format!("zkServer.sh: {error}"))
        };
        let began = Instant::now();
        let mut start: Child = zk_server("start")?;
        let answered = first_answer(&[server.addr()], Probe::Read, began);
        // It stays for a moment to see whether the server lives.
        let started = start.wait().map_err(said)?;
        let stopped = zk_server("stop")?.wait().map_err(said)?;
        if !started.success() || !stopped.success() {
            return Err(format!("zkServer.sh: start ended with {started}, stop with {stopped}"));
        }
        answered
    };
    let apache = || {
        let flavour = Flavour::Apache(Generation::V395);
        let mut server = Server::start(flavour, ServerConfig::new()).map_err(said)?;
        server.stop();
        let began = Instant::now();
        server.launch().map_err(said)?;
        first_answer(&[server.addr()], Probe::Read, began)
    };
    let values = medians(5, ours, apache)?;
    let name = "zkServer.sh start to the first answered read";
    table.add(name, "at most 1/5", values, "ms", false);
    Ok(())
}

fn pipelined_gets(options: &Options, table: &mut Table) -> Result<(), String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .current_dir(workspace())
        .args(["build", "--quiet", "--release", "-p", "rookeeper-client"])
        .args(["--example", "pipelined_gets"])
        .status()
        .map_err(|error| format!("cargo: {error}"))?;
    let program = std::env::current_exe().map_err(said)?.with_file_name("pipelined_gets");
    if !built.success() || !program.is_file() {
        return Err(format!("{} was not built: run this with --release", program.display()));
    }
    let server = Server::start(Flavour::Rookeeper, ServerConfig::new()).map_err(said)?;
    let mut set = script("zkCli.sh")?;
    set.args(["-server", &server.addr().to_string(), "create", "/x", &"x".repeat(100)]);
    timed(set)?;
    let pids: Vec<u32> = server.pid().into_iter().collect();
    let gets = |mut command: Command, warmup_s: u64| -> Result<Run, String> {
        command.arg(server.addr().to_string()).args(["/x", WINDOW]);
        command.args([warmup_s.to_string(), options.seconds.to_string()]);
        machine::run(&mut command, &pids, options.repeats)
    };
    let (mut figures, mut disturbed) = ([const { Vec::new() }; 4], false);
    for _ in 0..options.samples {
        let ours = gets(Command::new(&program), 1)?;
        let mut java = Generation::V395.java().map_err(said)?;
        // Java compiles the source itself; that needs the module jdk.compiler, which Debian's JRE has.
        java.arg("-Xmx2g")
            .arg(workspace().join("crates/interop/examples/compare/PipelinedGets.java"));
        // Long enough for the just-in-time compiler.
        let theirs = gets(java, options.warmup_s)?;
        disturbed |= ours.is_disturbed || theirs.is_disturbed;
        for (at, name) in ["ops_per_cpu_second", "ops_per_second"].into_iter().enumerate() {
            figures[2 * at].push(ours.get(name)?);
            figures[2 * at + 1].push(theirs.get(name)?);
        }
    }
    let [cpu, apache_cpu, wall, apache_wall] = figures.map(median);
    let name = "client library, gets pipelined on one connection: ops per second of client CPU";
    table.add(name, "at least 5x", (cpu, apache_cpu), "/s", disturbed);
    table.add("the same: ops/s", "", (wall, apache_wall), "/s", disturbed);
    Ok(())
}

/// A snapshot of nearly a million znodes, summed up by both.
fn snapshot_summary(table: &mut Table) -> Result<(), String> {
    let mut server = Server::start(Flavour::Rookeeper, ServerConfig::new()).map_err(said)?;
    let fill = ["fill", "-n", "1000000", "-c", "16", "-w", "32", "--servers"];
    let mut fill: Vec<String> = fill.map(str::to_owned).into();
    fill.push(server.addr().to_string());
    machine::bench(&fill, &Vec::from_iter(server.pid()), 0)?;
    server.stop();
    let snapshot = largest_snapshot(&server.data_dir().join("version-2"))?;
    let summary = |mut command: Command| {
        command.arg(&snapshot).args(["/", "1"]);
        timed(command)
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        ours.push(summary(script("zkSnapshotRecursiveSummaryToolkit.sh")?)?);
        theirs.push(summary(apache("server.SnapshotRecursiveSummary")?)?);
    }
    let times = |runs: &[(f64, f64)]| median(runs.iter().map(|run| run.0).collect());
    let peaks = |runs: &[(f64, f64)]| median(runs.iter().map(|run| run.1 / 1e6).collect());
    let name = "summary of a snapshot of 1 M znodes, wall time";
    table.add(name, "at most 1/5", (times(&ours), times(&theirs)), "ms", false);
    let target = "constant in the file's size";
    table.add("the same: resident memory", target, (peaks(&ours), peaks(&theirs)), "MB", false);
    Ok(())
}

fn largest_snapshot(folder: &Path) -> Result<PathBuf, String> {
    let entries = std::fs::read_dir(folder).map_err(said)?.filter_map(Result::ok);
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("snapshot."))
        .max_by_key(|entry| entry.metadata().map_or(0, |data| data.len()))
        .map(|entry| entry.path())
        .ok_or_else(|| format!("{} has no snapshot", folder.display()))
}
