//! Judges a trace of our server: nothing is acknowledged before it is durable.
//!
//! The rules, each by the order of the trace:
//!
//! * Before a reply with a zxid (or a new session's ConnectResponse) is sent, an fdatasync of the log
//!   file with that txn's record has returned 0 that began after the record's write had returned; the
//!   same for every earlier txn; and the directory was forced after the file got its name.
//! * A made directory is forced in its parent before anything is acknowledged.
//! * A file is forced before it is renamed.
//! * No log or snapshot is removed while the name of a newer snapshot is not forced.
//! * When the server has stopped, no name is left unforced.
//!
//! A trace that hides what has to be judged (cut strings, short writes, calls that go around) is an
//! objection, too. Source: `storage-format.md` 1.1, 1.2, 3.6; the client protocol's reply header.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::Result;
use crate::strace::{Call, Step, Text, steps};

const LOG_HEADER: &[u8] = b"ZKLG";
const CREATE_SESSION: i32 = -10;
const PREFIX: usize = 12;
/// Longer frames than the server ever sends: text of a four-letter word.
const FRAME_MAX: usize = 64 << 20;

/// What was looked at, so that a test can tell that it was not nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Replies with a zxid above 0.
    pub replies: usize,
    /// ConnectResponses with a session.
    pub sessions: usize,
    /// Records in the log.
    pub records: usize,
    /// Log files that took records.
    pub logs: usize,
    /// fdatasyncs that made records durable.
    pub forces: usize,
    /// The most records one of them covered.
    pub largest_group: usize,
    /// Snapshots that got their name.
    pub snapshots: usize,
    /// Directories forced.
    pub dir_forces: usize,
    /// Logs and snapshots removed.
    pub removed: usize,
}

/// The verdict: what was seen, and every objection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What was looked at.
    pub seen: Seen,
    /// Lines of the trace and what is wrong there.
    pub objections: Vec<String>,
}

/// Judges the whole trace of a server that began with an empty directory below `data` and was stopped.
pub fn judge(trace: &str, data: &str) -> Result<Verdict> {
    let mut judge = Judge { data: data.to_owned(), ..Judge::default() };
    for step in steps(trace)? {
        match step {
            Step::Enter { line, thread, call } => {
                judge.line = line;
                let held = judge.enter(&call);
                judge.calls.insert(thread, (call, held));
            }
            Step::Exit { line, thread, result } => {
                judge.line = line;
                if let Some((call, held)) = judge.calls.remove(&thread) {
                    judge.exit(&call, held, result);
                }
            }
        }
    }
    let left: Vec<String> = judge.unforced_names.iter().cloned().collect();
    for path in left {
        judge.object(format!("{path} was never forced into its directory"));
    }
    Ok(judge.verdict)
}

/// A file by what it is, whatever its name is at the moment.
#[derive(Debug, Default)]
struct File {
    path: String,
    is_log: bool,
    /// Writes that began, that have returned, and of those the ones a force covers.
    begun: usize,
    written: usize,
    forced: usize,
    /// Zxids whose write has returned and that no force covers yet.
    unforced: Vec<i64>,
}

/// What a call that began will do when it ends well.
#[derive(Debug)]
enum Held {
    Nothing,
    Write { file: usize, len: usize, records: Vec<Record> },
    Force { file: usize, writes: usize, covers: Vec<i64> },
    ForceDir { covers: Vec<String> },
    Send { fd: i32, bytes: Vec<u8> },
}

#[derive(Debug, Clone, Copy)]
struct Record {
    session: i64,
    zxid: i64,
    op: i32,
}

/// What has been said on a socket.
#[derive(Debug, Default)]
struct Said {
    /// Bytes that are not a whole frame yet.
    rest: Vec<u8>,
    frames: usize,
    is_text: bool,
}

#[derive(Debug)]
enum Open {
    File(usize),
    Dir(String),
    Socket(Said),
}

#[derive(Debug, Default)]
struct Judge {
    data: String,
    line: usize,
    calls: HashMap<u32, (Call, Held)>,
    files: Vec<File>,
    fds: HashMap<i32, Open>,
    by_path: HashMap<String, usize>,
    /// Files and directories whose names are not forced.
    unforced_names: BTreeSet<String>,
    made_dirs: HashSet<String>,
    /// Each record's file, and whether it is forced.
    records: BTreeMap<i64, (usize, bool)>,
    /// The zxid that made a session.
    sessions: HashMap<i64, i64>,
    verdict: Verdict,
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A name that others rely on; temporary files and the lock are worth nothing after a crash.
fn is_final(path: &str) -> bool {
    !path.ends_with(".tmp") && name(path) != "rookeeper.lock"
}

fn is_log_or_snapshot(path: &str) -> bool {
    name(path).starts_with("log.") || name(path).starts_with("snapshot.")
}

impl Judge {
    fn object(&mut self, what: String) {
        self.verdict.objections.push(format!("line {}: {what}", self.line));
    }

    fn is_ours(&self, path: &str) -> bool {
        path.strip_prefix(&self.data).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn enter(&mut self, call: &Call) -> Held {
        let open = call.fd().and_then(|fd| self.fds.get(&fd));
        match (call.name.as_str(), open) {
            // The descriptor may belong to another thread before the call has returned.
            ("close", Some(_)) => {
                self.fds.remove(&call.fd().unwrap_or(-1));
                Held::Nothing
            }
            ("pwrite64" | "write" | "writev" | "pwritev", Some(Open::File(file))) => {
                let file = *file;
                self.begin_write(file, call)
            }
            ("fdatasync" | "fsync", Some(Open::File(file))) => {
                let file = *file;
                let File { written, unforced, .. } = &self.files[file];
                Held::Force { file, writes: *written, covers: unforced.clone() }
            }
            ("fsync", Some(Open::Dir(dir))) => {
                let covers = self.unforced_names.iter().filter(|path| parent(path) == dir);
                Held::ForceDir { covers: covers.cloned().collect() }
            }
            ("sendto" | "sendmsg" | "write" | "writev", Some(Open::Socket(_))) => {
                let fd = call.fd().unwrap_or(-1);
                self.begin_send(fd, call)
            }
            ("rename" | "renameat" | "renameat2", _) => {
                self.before_rename(call);
                Held::Nothing
            }
            ("unlink" | "unlinkat", _) => {
                self.before_removal(call);
                Held::Nothing
            }
            ("fsync" | "fdatasync" | "pwrite64" | "open" | "openat" | "creat" | "mkdir", _)
            | ("mkdirat" | "write" | "writev" | "sendto" | "accept4" | "ftruncate" | "close", _) => {
                Held::Nothing
            }
            (other, Some(_)) => {
                self.object(format!("{other} on a file or socket cannot be judged"));
                Held::Nothing
            }
            ("io_uring_setup", None) => {
                self.object("io_uring cannot be judged".to_owned());
                Held::Nothing
            }
            _ => Held::Nothing,
        }
    }

    fn begin_write(&mut self, file: usize, call: &Call) -> Held {
        self.files[file].begun += 1;
        let texts = call.texts();
        let (bytes, is_cut) = joined(&texts);
        if bytes.starts_with(LOG_HEADER) {
            self.files[file].is_log = true;
            return Held::Write { file, len: bytes.len(), records: Vec::new() };
        }
        let mut records = Vec::new();
        if self.files[file].is_log && bytes.iter().any(|byte| *byte != 0) {
            records = parse_records(&bytes);
            if is_cut {
                self.object("the trace does not show the whole write to the log".to_owned());
            }
        }
        for record in &records {
            self.records.insert(record.zxid, (file, false));
            if record.op == CREATE_SESSION {
                self.sessions.insert(record.session, record.zxid);
            }
        }
        Held::Write { file, len: if is_cut { 0 } else { bytes.len() }, records }
    }

    fn begin_send(&mut self, fd: i32, call: &Call) -> Held {
        let (bytes, is_cut) = joined(&call.texts());
        if is_cut {
            self.object("the trace does not show all that was sent".to_owned());
        }
        let Some(Open::Socket(said)) = self.fds.get(&fd) else { return Held::Nothing };
        let (frames, is_text) = (said.frames, said.is_text);
        let stream = [said.rest.as_slice(), &bytes].concat();
        if !is_text {
            for (i, frame) in split(&stream).0.iter().enumerate() {
                self.judge_frame(frames + i == 0, frame);
            }
        }
        Held::Send { fd, bytes }
    }

    /// A frame that is about to be sent, as far as it is there.
    fn judge_frame(&mut self, is_first: bool, frame: &[u8]) {
        let long =
            |at: usize| frame.get(at..)?.first_chunk().map(|bytes| i64::from_be_bytes(*bytes));
        if is_first {
            let Some(session) = long(8).filter(|session| *session != 0) else { return };
            match self.sessions.get(&session) {
                Some(zxid) => self.judge_zxid(*zxid, &format!("session {session:#x}")),
                None => self.object(format!("session {session:#x} is answered and not logged")),
            }
        } else if let Some(zxid) = long(4).filter(|zxid| *zxid > 0) {
            self.judge_zxid(zxid, &format!("the reply to zxid {zxid:#x}"));
        }
    }

    fn judge_zxid(&mut self, zxid: i64, what: &str) {
        let mut why = Vec::new();
        if !self.records.contains_key(&zxid) {
            why.push(format!("{what} is sent, but no record of it was written"));
        }
        let open = self.records.range(..=zxid).find(|(_, (_, is_forced))| !is_forced);
        if let Some((open, (file, _))) = open {
            let path = &self.files[*file].path;
            why.push(format!(
                "{what} is sent while the record of {open:#x} in {path} is not forced"
            ));
        }
        if let Some((file, _)) = self.records.get(&zxid) {
            let path = &self.files[*file].path;
            if self.unforced_names.contains(path) {
                why.push(format!("{what} is sent while the name {path} is not forced"));
            }
        }
        if let Some(dir) = self.made_dirs.iter().find(|dir| self.unforced_names.contains(*dir)) {
            why.push(format!("{what} is sent while the directory {dir} is not forced"));
        }
        why.into_iter().for_each(|why| self.object(why));
    }

    fn before_rename(&mut self, call: &Call) {
        let paths = call.paths();
        let Some(file) = paths.first().and_then(|from| self.by_path.get(from)) else { return };
        if self.files[*file].forced < self.files[*file].begun {
            self.object(format!("{} is renamed before it is forced", paths[0]));
        }
    }

    fn before_removal(&mut self, call: &Call) {
        let paths = call.paths();
        let Some(path) = paths.first().filter(|path| is_log_or_snapshot(path)) else { return };
        let dir = parent(path);
        // A new log may get its name meanwhile: nothing that is removed has to do with it.
        let replaces = |open: &str| parent(open) == dir && name(open).starts_with("snapshot.");
        let open = self.unforced_names.iter().find(|open| replaces(open) && *open != path);
        if let Some(open) = open.cloned() {
            self.object(format!("{path} is removed while the name {open} is not forced"));
        }
    }

    fn exit(&mut self, call: &Call, held: Held, result: Option<i64>) {
        let Some(result) = result.filter(|result| *result >= 0) else { return };
        match held {
            Held::Write { file, len, records } => {
                if !records.is_empty() && usize::try_from(result) != Ok(len) {
                    self.object("a short write to the log cannot be judged".to_owned());
                }
                let seen = &mut self.verdict.seen;
                seen.records += records.len();
                self.files[file].written += 1;
                self.files[file].unforced.extend(records.iter().map(|record| record.zxid));
            }
            Held::Force { file, writes, covers } => {
                self.files[file].forced = self.files[file].forced.max(writes);
                self.end_force(file, &covers);
            }
            Held::ForceDir { covers } => {
                self.verdict.seen.dir_forces += 1;
                for path in covers {
                    self.unforced_names.remove(&path);
                }
            }
            Held::Send { fd, bytes } => self.end_send(fd, &bytes, result as usize),
            Held::Nothing => self.exit_plain(call, result as i32),
        }
    }

    fn end_force(&mut self, file: usize, covers: &[i64]) {
        let is_first = !self.records.values().any(|(of, is_forced)| *of == file && *is_forced);
        for zxid in covers {
            if let Some((_, is_forced)) = self.records.get_mut(zxid) {
                *is_forced = true;
            }
        }
        self.files[file].unforced.retain(|zxid| !covers.contains(zxid));
        let seen = &mut self.verdict.seen;
        if !covers.is_empty() {
            seen.forces += 1;
            seen.logs += usize::from(is_first);
            seen.largest_group = seen.largest_group.max(covers.len());
        }
    }

    fn end_send(&mut self, fd: i32, bytes: &[u8], sent: usize) {
        let Some(Open::Socket(said)) = self.fds.get_mut(&fd) else { return };
        said.rest.extend_from_slice(&bytes[..sent.min(bytes.len())]);
        let (frames, rest) = split(&said.rest);
        said.is_text |= said.frames == 0 && frames.is_empty() && rest.len() >= 4 && {
            let len = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]);
            len as usize > FRAME_MAX
        };
        if said.is_text {
            said.rest.clear();
            return;
        }
        let seen = &mut self.verdict.seen;
        let mut whole = 0;
        for frame in &frames {
            // The last may be there in part only.
            let Some(len) = frame_len(&said.rest[whole..]).filter(|len| frame.len() == *len) else {
                break;
            };
            whole += 4 + len;
            let has_number = |at: usize| frame.get(at..at + 8).is_some_and(|n| n != [0; 8]);
            match said.frames {
                0 => seen.sessions += usize::from(has_number(8)),
                // A zxid of -1 is an event's.
                _ => seen.replies += usize::from(has_number(4) && frame[4] < 0x80),
            }
            said.frames += 1;
        }
        said.rest.drain(..whole);
    }

    fn exit_plain(&mut self, call: &Call, result: i32) {
        let paths = call.paths();
        match call.name.as_str() {
            "accept4" => drop(self.fds.insert(result, Open::Socket(Said::default()))),
            "open" | "openat" | "creat" => {
                let Some(path) = paths.first().filter(|path| self.is_ours(path)) else { return };
                self.opened(result, path, &call.args);
            }
            "mkdir" | "mkdirat" => {
                let Some(path) = paths.first().filter(|path| self.is_ours(path)) else { return };
                self.made_dirs.insert(path.clone());
                self.unforced_names.insert(path.clone());
            }
            "rename" | "renameat" | "renameat2" => {
                let [from, to] = paths.as_slice() else { return };
                self.renamed(from, to);
            }
            "unlink" | "unlinkat" => {
                let Some(path) = paths.first() else { return };
                self.by_path.remove(path);
                self.unforced_names.remove(path);
                self.verdict.seen.removed += usize::from(is_log_or_snapshot(path));
            }
            _ => {}
        }
    }

    fn opened(&mut self, fd: i32, path: &str, args: &str) {
        if path == self.data || self.made_dirs.contains(path) {
            self.fds.insert(fd, Open::Dir(path.to_owned()));
            return;
        }
        let is_new = !self.by_path.contains_key(path);
        let file = *self.by_path.entry(path.to_owned()).or_insert_with(|| {
            self.files.push(File { path: path.to_owned(), ..File::default() });
            self.files.len() - 1
        });
        if is_new && args.contains("O_CREAT") && is_final(path) {
            self.unforced_names.insert(path.to_owned());
        }
        self.fds.insert(fd, Open::File(file));
    }

    fn renamed(&mut self, from: &str, to: &str) {
        if !self.is_ours(to) {
            return;
        }
        if let Some(file) = self.by_path.remove(from) {
            to.clone_into(&mut self.files[file].path);
            self.by_path.insert(to.to_owned(), file);
        }
        self.unforced_names.remove(from);
        self.unforced_names.insert(to.to_owned());
        self.verdict.seen.snapshots += usize::from(name(to).starts_with("snapshot."));
    }
}

fn joined(texts: &[Text]) -> (Vec<u8>, bool) {
    let bytes = texts.iter().flat_map(|text| text.bytes.iter().copied()).collect();
    (bytes, texts.iter().any(|text| text.is_cut))
}

fn frame_len(bytes: &[u8]) -> Option<usize> {
    Some(u32::from_be_bytes(*bytes.first_chunk()?) as usize)
}

/// The frames, the last as far as it is there, and what is behind the last whole one.
fn split(stream: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let (mut frames, mut rest) = (Vec::new(), stream);
    while let Some(len) = frame_len(rest).filter(|len| *len <= FRAME_MAX) {
        let frame = &rest[4..];
        if frame.len() < len {
            frames.push(frame);
            break;
        }
        frames.push(&frame[..len]);
        rest = &frame[len..];
    }
    (frames, rest)
}

/// The records at the beginning of a write to a log.
fn parse_records(bytes: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    let mut rest = bytes;
    while let Some(len) = rest.get(8..).and_then(frame_len).filter(|len| *len > 0) {
        let Some(payload) = rest.get(PREFIX..PREFIX + len) else { break };
        // Session, cxid, zxid, time, type.
        let long = |at: usize| payload.get(at..)?.first_chunk().map(|b| i64::from_be_bytes(*b));
        let op = payload.get(28..).and_then(|at| at.first_chunk()).map(|b| i32::from_be_bytes(*b));
        let (Some(session), Some(zxid), Some(op)) = (long(0), long(12), op) else { break };
        records.push(Record { session, zxid, op });
        rest = rest.get(PREFIX + len + 1..).unwrap_or_default();
    }
    records
}

#[cfg(test)]
#[path = "strace_check_tests.rs"]
mod tests;
