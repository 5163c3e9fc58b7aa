//! `rookeeper sim`: runs seeds, counts, and on a violation says how to see it again.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::time::Instant;

use crate::counts::Counts;
use crate::plan::Plan;
use crate::trace::Trace;
use crate::violation::Violation;
use crate::world;

const USAGE: &str = "\
Usage: rookeeper sim [options]

  --seed N        run one seed
  --seeds A..B    run the seeds from A to B-1 (default 0..200)
  --ensemble      several servers instead of one
  --ops N         client operations per run (default 600)
  --trace         print every event of the run
  --json          print one line of JSON instead of the summary
  --help          print this
";

/// Lines of trace printed for a violation.
const TRACE_LINES: usize = 120;

struct Options {
    seeds: std::ops::Range<u64>,
    ops: u64,
    is_traced: bool,
    is_json: bool,
    is_ensemble: bool,
}

impl Options {
    fn plan(&self, seed: u64) -> Plan {
        match self.is_ensemble {
            true => Plan::ensemble(seed, self.ops),
            false => Plan::new(seed, self.ops, None),
        }
    }
}

/// Runs the command; returns its exit code: 0 all well, 1 a violation, 2 wrong arguments.
pub fn run(args: impl Iterator<Item = OsString>) -> i32 {
    let args: Vec<String> = args.map(|arg| arg.to_string_lossy().into_owned()).collect();
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        print!("{USAGE}");
        return 0;
    }
    match parse(&args) {
        Ok(options) => simulate(&options),
        Err(why) => {
            eprint!("{why}\n{USAGE}");
            2
        }
    }
}

fn parse(args: &[String]) -> Result<Options, String> {
    let mut options =
        Options { seeds: 0..200, ops: 600, is_traced: false, is_json: false, is_ensemble: false };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--seed" => {
                let seed = number(value()?)?;
                options.seeds = seed..seed.saturating_add(1);
            }
            "--seeds" => {
                let text = value()?;
                let (from, to) = text.split_once("..").ok_or(format!("{text} is not A..B"))?;
                options.seeds = number(from)?..number(to)?;
            }
            "--ops" => options.ops = number(value()?)?,
            "--ensemble" => options.is_ensemble = true,
            "--trace" => options.is_traced = true,
            "--json" => options.is_json = true,
            _ => return Err(format!("unknown argument {arg}")),
        }
    }
    Ok(options)
}

/// The least that any run did.
#[derive(Default)]
struct Least(Option<[u64; 3]>);

impl Least {
    fn see(&mut self, counts: &Counts) {
        let run = [counts.virtual_ms, counts.operations, counts.faults];
        let least = self.0.get_or_insert(run);
        least.iter_mut().zip(run).for_each(|(least, new)| *least = new.min(*least));
    }
}

impl std::fmt::Display for Least {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [ms, operations, faults] = self.0.unwrap_or_default();
        let seconds = ms as f64 / 1000.0;
        write!(f, "each at least {seconds:.1} virtual s, {operations} operations, {faults} faults")
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text} is not a number"))
}

fn simulate(options: &Options) -> i32 {
    let started = Instant::now();
    let (mut counts, mut runs) = (Counts::default(), 0u64);
    let mut shown = 0;
    let mut least = Least::default();
    for seed in options.seeds.clone() {
        let trace = if options.is_traced { Trace::printed() } else { Trace::new(0) };
        let outcome = world::run_traced(options.plan(seed), trace);
        runs += 1;
        counts.add(&outcome.counts);
        least.see(&outcome.counts);
        if let Some(violation) = outcome.violation {
            report(seed, options, &violation);
            return 1;
        }
        let seconds = started.elapsed().as_secs();
        if shown + 10 <= seconds && !options.is_json {
            shown = seconds;
            eprintln!("{runs} runs, up to seed {seed}, {seconds} s");
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    if options.is_json {
        println!("{}", json(options, &counts, runs, seconds));
    } else {
        summary(options, &counts, runs, seconds);
        println!("{least}");
    }
    0
}

/// Runs the seed once more, with its trace.
fn report(seed: u64, options: &Options, violation: &Violation) {
    if !options.is_traced {
        let outcome = world::run(options.plan(seed), TRACE_LINES);
        outcome.trace.lines().for_each(|line| eprintln!("{line}"));
    }
    eprintln!("seed {seed}: {violation}");
    let kind = if options.is_ensemble { " --ensemble" } else { "" };
    let ops = options.ops;
    eprintln!("to see it again: rookeeper sim{kind} --seed {seed} --ops {ops} --trace");
}

fn summary(options: &Options, counts: &Counts, runs: u64, seconds: f64) {
    for (name, count) in counts.of(options.is_ensemble) {
        println!("{count:>12} {name}");
    }
    let per_second = runs as f64 / seconds.max(0.001);
    let hours = counts.virtual_ms as f64 / 3_600_000.0;
    println!(
        "{runs} runs, no violation, {seconds:.1} s, {per_second:.1} runs/s, {hours:.1} virtual hours"
    );
}

fn json(options: &Options, counts: &Counts, runs: u64, seconds: f64) -> String {
    let mut out = format!("{{\"runs\":{runs},\"violations\":0,\"seconds\":{seconds:.3}");
    for (name, count) in counts.of(options.is_ensemble) {
        let _ = write!(out, ",\"{}\":{count}", name.replace(' ', "_"));
    }
    out + "}"
}
