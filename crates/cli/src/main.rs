//! The shell alone, as a program: what `rookeeper cli` runs. The tests start it as a process.

fn main() {
    std::process::exit(rookeeper_cli::run(std::env::args_os().skip(1)));
}
