//! Runs a command under strace, and reads what strace wrote: each system call's beginning and end, in
//! the order in which strace saw them.
//!
//! That order is sound for what a check needs: strace holds a thread at the end of a call until it has
//! written it down, so whatever that thread causes afterwards stands behind it.
//!
//! Deliberately not done: decoding of calls that [`CALLS`] does not name.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use crate::{HarnessError, Result};

/// The traced calls: all that change files, names or sockets.
pub const CALLS: &str = "open,openat,creat,mkdir,mkdirat,pwrite64,pwritev,pwritev2,write,writev,\
    fdatasync,fsync,ftruncate,rename,renameat,renameat2,unlink,unlinkat,sendto,sendmsg,sendmmsg,\
    accept4,close,dup,dup2,dup3,sync_file_range,fallocate,sendfile,splice,io_uring_setup";
/// The longest string that is traced whole.
const STRING_BYTES: usize = 48 << 10;

/// `command` under strace, which writes to `trace`. The process that is started is the command's own:
/// its id and its end are what they would be without.
pub fn traced(command: &Command, trace: &Path) -> Result<Command> {
    let found = Command::new("strace").arg("-V").output().is_ok();
    if !found {
        let what = "strace is missing; run: apt-get install strace".to_owned();
        return Err(HarnessError::Unexpected(what));
    }
    let mut strace = Command::new("strace");
    strace
        .args(["-D", "-f", "-ttt", "-xx", "-s", &STRING_BYTES.to_string()])
        .args(["-e", &format!("trace={CALLS}"), "-e", "signal=none", "-o"])
        .arg(trace)
        .arg("--")
        .arg(command.get_program())
        .args(command.get_args());
    Ok(strace)
}

/// One argument that is a string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Its bytes, up to where strace cut it.
    pub bytes: Vec<u8>,
    /// Whether it was cut.
    pub is_cut: bool,
}

/// A call with what went into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its name.
    pub name: String,
    /// The text between the brackets, strings in hexadecimal.
    pub args: String,
}

impl Call {
    /// The first argument as a number: most often a descriptor.
    pub fn fd(&self) -> Option<i32> {
        let end = self.args.find(|c: char| c != '-' && !c.is_ascii_digit());
        self.args[..end.unwrap_or(self.args.len())].parse().ok()
    }

    /// The last argument as a number.
    pub fn last_number(&self) -> Option<u64> {
        self.args.rsplit(", ").next()?.parse().ok()
    }

    /// All string arguments.
    pub fn texts(&self) -> Vec<Text> {
        let mut texts = Vec::new();
        let mut rest = self.args.as_str();
        while let Some((_, behind)) = rest.split_once('"') {
            let Some((hex, behind)) = behind.split_once('"') else { break };
            let digits: Vec<u8> = hex.bytes().filter(|c| !b"\\x".contains(c)).collect();
            let digit = |c: u8| (c as char).to_digit(16).unwrap_or(0) as u8;
            let bytes = digits.chunks(2).map(|pair| pair.iter().fold(0, |n, c| n << 4 | digit(*c)));
            texts.push(Text { bytes: bytes.collect(), is_cut: behind.starts_with("...") });
            rest = behind;
        }
        texts
    }

    /// The string arguments as paths.
    pub fn paths(&self) -> Vec<String> {
        let text = |text: &Text| String::from_utf8_lossy(&text.bytes).into_owned();
        self.texts().iter().map(text).collect()
    }
}

/// The beginning or the end of a call. `line` is the line in the trace, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A thread entered a call.
    Enter {
        /// In the trace.
        line: usize,
        /// The thread.
        thread: u32,
        /// What it called.
        call: Call,
    },
    /// The call the thread is in ended.
    Exit {
        /// In the trace.
        line: usize,
        /// The thread.
        thread: u32,
        /// What it returned; `None` if the process ended within it.
        result: Option<i64>,
    },
}

/// All steps of a trace.
pub fn steps(trace: &str) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let mut open: HashMap<u32, usize> = HashMap::new();
    for (i, text) in trace.lines().enumerate() {
        let line = i + 1;
        let bad = |why: &str| HarnessError::Undecodable {
            what: format!("line {line} of the trace"),
            why: format!("{why}: {}", text.chars().take(200).collect::<String>()),
        };
        let mut words = text.splitn(2, ' ');
        let thread = words.next().and_then(|id| id.parse().ok()).ok_or_else(|| bad("no thread"))?;
        let rest = words.next().unwrap_or_default().trim_start();
        let (_time, rest) = rest.split_once(' ').ok_or_else(|| bad("no time"))?;
        if rest.starts_with("+++") || rest.starts_with("---") {
            continue;
        }
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let begun = open.remove(&thread).ok_or_else(|| bad("resumes nothing"))?;
            // Where the arguments were not known yet (none of ours that go in are), the rest follows.
            let (_, more) = resumed.split_once("resumed>").ok_or_else(|| bad("no resumption"))?;
            let (more, result) = ended(more).ok_or_else(|| bad("no result"))?;
            if let Some(Step::Enter { call, .. }) = steps.get_mut(begun) {
                call.args.push_str(more);
            }
            steps.push(Step::Exit { line, thread, result });
            continue;
        }
        let (name, rest) = rest.split_once('(').ok_or_else(|| bad("no call"))?;
        let name = name.to_owned();
        if let Some(args) = rest.strip_suffix("<unfinished ...>") {
            open.insert(thread, steps.len());
            let call = Call { name, args: args.trim_end().to_owned() };
            steps.push(Step::Enter { line, thread, call });
        } else {
            let (args, result) = ended(rest).ok_or_else(|| bad("no result"))?;
            let call = Call { name, args: args.to_owned() };
            steps.push(Step::Enter { line, thread, call });
            steps.push(Step::Exit { line, thread, result });
        }
    }
    Ok(steps)
}

/// The rest of the arguments, and what the call returned.
fn ended(text: &str) -> Option<(&str, Option<i64>)> {
    let (args, result) = text.rsplit_once(" = ")?;
    let args = args.trim_end().strip_suffix(')')?;
    let word = result.split(' ').next()?;
    if word == "?" {
        return Some((args, None));
    }
    Some((args, Some(word.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_whole_and_in_halves() {
        let trace = "7  1.5 pwrite64(11, \"\\x5a\\x4b\"..., 262144, 16) = 262144\n\
             7     1.6 fdatasync(11 <unfinished ...>\n\
             8  1.7 rename(\"\\x2f\\x61\", \"\\x2f\\x62\") = -1 ENOENT (No such file or directory)\n\
             7  1.8 <... fdatasync resumed>)            = 0\n\
             8  1.9 +++ exited with 0 +++\n\
             7  2.0 close(3)                                = ?\n";
        let steps = steps(trace).unwrap();
        let call = |name: &str, args: &str| Call { name: name.into(), args: args.into() };
        let enter = |line, thread, call| Step::Enter { line, thread, call };
        let exit = |line, thread, result| Step::Exit { line, thread, result };
        let write = call("pwrite64", "11, \"\\x5a\\x4b\"..., 262144, 16");
        assert_eq!((write.fd(), write.last_number()), (Some(11), Some(16)));
        assert_eq!(write.texts(), [Text { bytes: b"ZK".to_vec(), is_cut: true }]);
        let rename = call("rename", "\"\\x2f\\x61\", \"\\x2f\\x62\"");
        assert_eq!(rename.paths(), ["/a", "/b"]);
        let expected = [
            enter(1, 7, write),
            exit(1, 7, Some(262_144)),
            enter(2, 7, call("fdatasync", "11")),
            enter(3, 8, rename),
            exit(3, 8, Some(-1)),
            exit(4, 7, Some(0)),
            enter(6, 7, call("close", "3")),
            exit(6, 7, None),
        ];
        assert_eq!(steps, expected);
    }

    #[test]
    fn what_is_not_a_trace_is_refused() {
        for text in ["x", "7 1.0", "7  1.0 close(3", "7  1.0 <... close resumed>) = 0"] {
            assert!(steps(text).is_err(), "{text}");
        }
    }
}
