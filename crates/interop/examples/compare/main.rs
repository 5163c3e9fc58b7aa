//! Compares Rookeeper with Apache ZooKeeper 3.9.5 on this machine, in one run, and prints the ratios.
//!
//! ```text
//! scripts/fetch-oracles apache395
//! cargo build --release --bin rookeeper
//! ROOKEEPER_BIN=target/release/rookeeper cargo run --release -p rookeeper-interop --example compare -- \
//!     --markdown BENCHMARKS.md
//! ```
//!
//! Both servers are durable, get the same zoo.cfg and the same generator (`rookeeper bench`). Apache runs
//! with `-Xmx2g`, logs at INFO to a file, and is loaded for 28 seconds before anything is measured. The
//! two alternate, each figure is the median of three samples, and a sample during which other
//! processes used more than a tenth of the machine is taken again (at most three times; then it is kept
//! and the row is marked).

mod ensemble;
mod machine;
mod probe;
mod standalone;
mod table;
mod tools;

use std::path::PathBuf;
use std::process::ExitCode;

use table::Table;

/// What was asked for.
struct Options {
    seconds: u64,
    samples: usize,
    /// How often the leader is killed.
    kills: usize,
    warmup_s: u64,
    /// How often a disturbed sample is taken again.
    repeats: usize,
    markdown: Option<PathBuf>,
    only: Option<String>,
    parts: Vec<String>,
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        seconds: 5,
        samples: 3,
        kills: 20,
        warmup_s: 28,
        repeats: 3,
        markdown: None,
        only: None,
        parts: Vec::new(),
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} wants a value"));
        let number = |text: String| text.parse().map_err(|_| format!("{text} is not a number"));
        match arg.as_str() {
            "--seconds" => options.seconds = number(value()?)?,
            "--samples" => options.samples = number(value()?)? as usize,
            "--kills" => options.kills = number(value()?)? as usize,
            "--repeats" => options.repeats = number(value()?)? as usize,
            "--warmup" => options.warmup_s = number(value()?)?,
            "--markdown" => options.markdown = Some(value()?.into()),
            "--only" => options.only = Some(value()?),
            "standalone" | "ensemble" | "tools" => options.parts.push(arg),
            _ => {
                return Err(format!(
                    "unknown argument {arg}; usage: compare [standalone] [ensemble] [tools] [--seconds N] \
                     [--samples N] [--kills N] [--warmup N] [--repeats N] [--only WORD] [--markdown FILE]"
                ));
            }
        }
    }
    if options.parts.is_empty() {
        options.parts = ["standalone", "ensemble", "tools"].map(str::to_owned).into();
    }
    Ok(options)
}

fn run() -> Result<(), String> {
    let options = options()?;
    let mut tables = Vec::new();
    for part in &options.parts {
        let mut table = Table::new(part);
        match part.as_str() {
            "ensemble" => ensemble::measure(&options, &mut table)?,
            "tools" => tools::measure(&options, &mut table)?,
            _ => standalone::measure(&options, &mut table)?,
        }
        println!("{}", table.markdown());
        tables.push(table);
    }
    if let Some(file) = &options.markdown {
        let text: Vec<String> = tables.iter().map(Table::markdown).collect();
        let text = format!("{}\n{}", machine::describe(), text.join("\n"));
        std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("compare: {why}");
            ExitCode::FAILURE
        }
    }
}
