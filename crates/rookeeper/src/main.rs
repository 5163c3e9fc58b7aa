//! The `rookeeper` binary: one program, a subcommand for each thing one does with an ensemble.

use std::ffi::OsString;
use std::process::ExitCode;

use rookeeper_server::real_disk::RealDisk;

#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const USAGE: &str = "\
Rookeeper, a server for ZooKeeper's clients, data and ensembles

Usage: rookeeper <command> [arguments]

Commands:
  server [-Dname=value ...] [zoo.cfg | <port> <dataDir> [tickTime] [maxClientCnxns]]
                                 run a server; without arguments one for this machine only
  cli [zkCli.sh's arguments]     the shell, interactive or one command
  bench [...]                    load a server and measure it; see bench --help
  sim [...]                      simulate a server or an ensemble, its disks and clients; see sim --help
  log <command> [...]            print, verify, compare, sum up, convert and repair transaction logs
  snapshot <command> [...]       the same for snapshots
  tool <class> [...]             an offline tool of Apache's by its name, with its arguments
  4lw <host> <port> <word>       send a four-letter word and print the answer
  version                        print the version
  help                           print this
";

const COMMANDS: [&str; 9] =
    ["server", "cli", "bench", "sim", "log", "snapshot", "tool", "4lw", "version"];

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let command = args.next().unwrap_or_default();
    let code = match command.to_str() {
        Some("server") => rookeeper_server::run(args),
        Some("cli") => rookeeper_cli::run(args),
        Some("sim") => rookeeper_sim::run(args),
        Some("bench") => rookeeper_bench::run(args),
        Some("log") => rookeeper_offline::log(RealDisk, args),
        Some("snapshot") => rookeeper_offline::snapshot(RealDisk, args),
        Some("tool") => rookeeper_offline::tool(RealDisk, args),
        Some("4lw") => four_letter_word(args),
        Some("version" | "--version" | "-V") => {
            println!(
                "rookeeper {} (as ZooKeeper {})",
                env!("CARGO_PKG_VERSION"),
                rookeeper_server::version::ZOOKEEPER_VERSION
            );
            0
        }
        Some("help" | "--help" | "-h") => {
            print!("{USAGE}");
            0
        }
        _ => {
            eprint!("{USAGE}");
            let word = command.to_string_lossy();
            if let Some(near) = rookeeper_cli::nearest::near(&word, COMMANDS.into_iter()) {
                eprintln!("\nThere is no command {word}; did you mean {near}?");
            } else if !word.is_empty() {
                eprintln!("\nThere is no command {word}");
            }
            2
        }
    };
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// What `zkServer.sh status` asks with, so that it needs no `nc`.
fn four_letter_word(args: impl Iterator<Item = OsString>) -> i32 {
    let args: Vec<String> = args.map(|arg| arg.to_string_lossy().into_owned()).collect();
    let [host, port, word] = args.as_slice() else {
        eprintln!("Usage: rookeeper 4lw <host> <port> <word>");
        return 2;
    };
    let Ok(port) = port.parse::<u16>() else {
        eprintln!("{port} is not a port: a number from 1 to 65535 is");
        return 2;
    };
    let timeout = std::time::Duration::from_secs(5);
    match rookeeper_server::fourletter_client::four_letter_word(host, port, word, timeout) {
        Ok(answer) => {
            print!("{answer}");
            0
        }
        Err(error) => {
            eprintln!("no answer from {host}:{port}: {error}");
            1
        }
    }
}
