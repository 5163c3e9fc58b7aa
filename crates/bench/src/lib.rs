//! A load generator for any server that speaks ZooKeeper's client protocol.
//!
//! It drives many connections from few threads on `net`'s reactor, so that the generator is not the
//! bottleneck; keeps a window of requests in flight per connection, or offers a fixed rate (open
//! loop) where latency counts from the moment a request was *due*, not from when it could be sent
//! (no coordinated omission); and reads CPU time and resident memory of given processes from the
//! kernel before and after.
//!
//! It deliberately knows nothing of servers' internals, restarts nothing and compares nothing: the
//! comparison with Apache lives with the oracles' launcher, in `interop`.

mod args;
mod driver;
mod process;
mod report;
mod session;
mod workload;

use std::ffi::OsString;
use std::time::Duration;

use clap::Parser;

use args::Args;

/// Runs `rookeeper bench` with the arguments behind that word; returns the exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> i32 {
    let args = std::iter::once(OsString::from("rookeeper bench")).chain(args);
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            // Help goes to standard output, mistakes to standard error; clap knows which.
            let _ = error.print();
            return error.exit_code();
        }
    };
    match measure(&args) {
        Ok(report) => {
            if args.json {
                println!("{}", report.json());
            } else {
                print!("{}", report.text());
            }
            0
        }
        Err(why) => {
            eprintln!("rookeeper bench: {why}");
            1
        }
    }
}

fn measure(args: &Args) -> Result<report::Report, String> {
    let addresses = args.addresses()?;
    driver::prepare(args, &addresses)?;
    let pids = &args.pids;
    if args.op.is_timed() && 0 < args.warmup_s {
        driver::drive(args, &addresses, Duration::from_secs(args.warmup_s))?;
    }
    let before = process::sample(pids)?;
    let outcome = driver::drive(args, &addresses, Duration::from_secs(args.duration_s))?;
    let after = process::sample(pids)?;
    Ok(report::Report::new(args, outcome, &before, &after))
}
