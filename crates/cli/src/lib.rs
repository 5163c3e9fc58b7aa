//! `rookeeper cli`: the shell, as Apache's `zkCli.sh` behaves (`operations.md` 5.3, 5.4).
//!
//! It guarantees: results, events and nothing else on standard output; errors and `Created ...` on
//! standard error; the exit codes of Apache's shell; text is UTF-8 whatever the locale says. Where the
//! original dies with a stack trace, this prints one line and goes on. Advice that the original does
//! not give stands on further lines of standard error.
//!
//! With `--json` anywhere behind its name a command answers with one object on standard output and nothing
//! else; when it failed, the object has a field `error`.
//!
//! `--help`, which Apache's shell ignores, prints all commands. A one-shot run connects only when its command needs a server.

mod arguments;
mod commands;
mod console;
mod failure;
mod format;
mod interactive;
mod interrupt;
mod json;
pub mod nearest;
mod options;
mod path_check;
mod settings;
mod shell;
mod table;
pub mod tokens;
mod value;

use std::ffi::OsString;
use std::io::{BufRead, IsTerminal};

use arguments::Arguments;
use console::Console;
use failure::{EXIT_FAILED, EXIT_INTERRUPTED, Failure, Outcome};
use shell::{Next, Shell};

/// Runs the shell with the words behind `rookeeper cli`; answers the exit code.
pub fn run(args: impl Iterator<Item = OsString>) -> i32 {
    let console = Console::standard();
    let arguments = arguments::parse(args.map(|word| word.to_string_lossy().into_owned()));
    if arguments.wants_help {
        console.out(&table::help());
        console.out(&table::extras());
        return 0;
    }
    match start(&console, &arguments) {
        Ok(exit_code) => exit_code,
        Err(failure) => {
            console.failure(&failure.text);
            failure.exit_code
        }
    }
}

fn start(console: &Console, arguments: &Arguments) -> Outcome<i32> {
    if let Some(option) = &arguments.missing {
        console.err(&format!("Error: no argument found for option {option}"));
    }
    // Then standard output has nothing but the answer.
    let (_, as_json) = shell::without_json(&arguments.command);
    if !as_json {
        console.out(&format!("Connecting to {}", arguments.servers));
    }
    let settings = settings::load(arguments)?;
    rookeeper_client::ConnectString::parse(&arguments.servers)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("Cannot start: {error}")))?;
    let handle = runtime.handle().clone();
    let timeout = settings.session_timeout;
    let mut shell = Shell::new(console.clone(), settings, arguments.servers.clone(), handle);
    shell.set_json(as_json);
    if arguments.wait_for_connection {
        wait_for_connection(&mut shell, timeout)?;
    }
    let exit_code = if arguments.command.is_empty() {
        session(&mut shell)?
    } else {
        shell.words(&arguments.command);
        shell.exit_code()
    };
    // As with the original, a session that was not closed lives on until it expires: the client's
    // task must not get to close it, as it would when the last handle is dropped.
    runtime.shutdown_background();
    std::mem::forget(shell);
    Ok(exit_code)
}

fn wait_for_connection(shell: &mut Shell, timeout: std::time::Duration) -> Outcome {
    let client = shell.start()?;
    let connected =
        shell.wait(async { tokio::time::timeout(timeout, client.connected()).await })?;
    if matches!(connected, Ok(Ok(()))) {
        return Ok(());
    }
    shell.runtime().block_on(async {
        // Nothing to close; it says so to whoever prints events.
        let _ = client.close().await;
    });
    Err(Failure::new("KeeperErrorCode = ConnectionLoss").with_exit_code(EXIT_FAILED))
}

/// A run without a command: at a terminal, or with one command per line of standard input.
fn session(shell: &mut Shell) -> Outcome<i32> {
    shell.console.out("Welcome to ZooKeeper!");
    let stdin = std::io::stdin();
    if stdin.is_terminal() && std::io::stdout().is_terminal() {
        shell.console.out("JLine support is enabled");
        shell.set_at_terminal();
        let client = shell.client()?;
        // So that the first prompt says where it stands, not that it is trying.
        let patience = std::time::Duration::from_secs(2);
        // Who presses Ctrl-C does not want to wait.
        let _ = shell.wait(async { tokio::time::timeout(patience, client.reachable()).await });
        interactive::run(shell);
    } else {
        shell.console.out("JLine support is disabled");
        shell.client()?;
        lines(shell);
    }
    Ok(shell.exit_code())
}

/// Runs one command per line of standard input until the end, `quit` or Ctrl-C.
fn lines(shell: &mut Shell) {
    // From a thread of their own: a read cannot be interrupted.
    let (sender, mut lines) = tokio::sync::mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().split(b'\n').map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    loop {
        let line = match shell.wait(lines.recv()) {
            Ok(Some(line)) => line,
            Ok(None) => return,
            Err(failure) => return shell.fail(&failure),
        };
        let text = String::from_utf8_lossy(&line);
        let text = text.strip_suffix('\r').unwrap_or(&text);
        if shell.line(text) == Next::Quit || shell.exit_code() == EXIT_INTERRUPTED {
            return;
        }
    }
}
