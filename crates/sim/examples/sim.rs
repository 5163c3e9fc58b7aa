//! `rookeeper sim` without the rest of the program: quick to build while working on the replica.

fn main() -> std::process::ExitCode {
    let code = rookeeper_sim::run(std::env::args_os().skip(1));
    std::process::ExitCode::from(u8::try_from(code).unwrap_or(1))
}
