//! The judge is given a trace that is right, and the same one doctored in every way it must notice.

use std::fmt::Write as _;

use super::{Seen, judge};

const DIR: &str = "/d/version-2";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "\\x{byte:02x}");
        text
    })
}

fn path(name: &str) -> String {
    hex(format!("{DIR}/{name}").as_bytes())
}

/// A record of `op` by session 7.
fn record(zxid: i64, op: i32) -> Vec<u8> {
    let mut payload = 7_i64.to_be_bytes().to_vec();
    payload.extend(1_i32.to_be_bytes());
    payload.extend(zxid.to_be_bytes());
    payload.extend(5_i64.to_be_bytes());
    payload.extend(op.to_be_bytes());
    let mut bytes = vec![0, 0, 0, 0, 1, 2, 3, 4];
    bytes.extend((payload.len() as u32).to_be_bytes());
    bytes.extend(payload);
    bytes.push(b'B');
    bytes
}

fn framed(payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes().to_vec();
    bytes.extend(payload);
    bytes
}

fn connected() -> String {
    let mut payload = vec![0, 0, 0, 0, 0, 0, 0x9c, 0x40];
    payload.extend(7_i64.to_be_bytes());
    hex(&framed(&payload))
}

fn reply(zxid: i64) -> String {
    let mut payload = 1_i32.to_be_bytes().to_vec();
    payload.extend(zxid.to_be_bytes());
    payload.extend([0; 4]);
    hex(&framed(&payload))
}

/// A server's whole life: a session, a group of two, a roll, a snapshot, a purge.
fn life() -> Vec<String> {
    let write = |fd: i32, bytes: &[u8], at: usize| {
        format!(
            "1  1.0 pwrite64({fd}, \"{}\", {}, {at}) = {}",
            hex(bytes),
            bytes.len(),
            bytes.len()
        )
    };
    let open = |name: &str, fd: i32, flags: &str| {
        format!("1  1.0 openat(AT_FDCWD, \"{}\", O_RDWR{flags}) = {fd}", path(name))
    };
    let send = |text: &str| {
        let len = text.len() / 4;
        format!("2  1.0 sendto(20, \"{text}\", {len}, MSG_NOSIGNAL, NULL, 0) = {len}")
    };
    let force_dir = || {
        let dir = hex(DIR.as_bytes());
        vec![
            format!("1  1.0 openat(AT_FDCWD, \"{dir}\", O_RDONLY|O_CLOEXEC) = 9"),
            "1  1.0 fsync(9) = 0".to_owned(),
            "1  1.0 close(9) = 0".to_owned(),
        ]
    };
    let rename =
        |from: &str, to: &str| format!("1  1.0 rename(\"{}\", \"{}\") = 0", path(from), path(to));
    let data = hex(b"/d");
    let mut lines = vec![
        format!("1  1.0 mkdir(\"{}\", 0777) = 0", hex(DIR.as_bytes())),
        format!("1  1.0 openat(AT_FDCWD, \"{data}\", O_RDONLY|O_CLOEXEC) = 4"),
        "1  1.0 fsync(4) = 0".to_owned(),
        "1  1.0 close(4) = 0".to_owned(),
        open("next.tmp", 5, "|O_CREAT|O_TRUNC"),
        write(5, b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0", 0),
        write(5, &[0; 600], 16),
        "1  1.0 fdatasync(5) = 0".to_owned(),
        "2  1.0 accept4(3, {sa_family=AF_INET}, [128 => 16], SOCK_CLOEXEC) = 20".to_owned(),
        rename("next.tmp", "log.1"),
    ];
    lines.extend(force_dir());
    lines.extend([
        write(5, &record(1, -10), 16),
        "1  1.0 fdatasync(5) = 0".to_owned(),
        send(&connected()),
        write(5, &[record(2, 1), record(3, 5)].concat(), 100),
        "1  1.0 fdatasync(5 <unfinished ...>".to_owned(),
        send(&reply(1)),
        "1  1.0 <... fdatasync resumed>) = 0".to_owned(),
        send(&[reply(2), reply(3)].concat()),
        "1  1.0 close(5) = 0".to_owned(),
        open("log.4", 5, "|O_CREAT|O_EXCL"),
        write(5, b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0", 0),
        write(5, &record(4, 5), 16),
        "1  1.0 fdatasync(5) = 0".to_owned(),
    ]);
    lines.extend(force_dir());
    lines.extend([
        send(&reply(4)),
        open("s.tmp", 6, "|O_CREAT|O_TRUNC"),
        write(6, b"ZKSN", 0),
        "1  1.0 fdatasync(6) = 0".to_owned(),
        rename("s.tmp", "snapshot.3"),
    ]);
    lines.extend(force_dir());
    lines.push(format!("1  1.0 unlink(\"{}\") = 0", path("log.1")));
    lines
}

fn objections(lines: &[String]) -> Vec<String> {
    judge(&lines.join("\n"), "/d").unwrap().objections
}

#[test]
fn a_right_trace_is_accepted_and_counted() {
    let verdict = judge(&life().join("\n"), "/d").unwrap();
    assert_eq!(verdict.objections, Vec::<String>::new());
    let seen = Seen {
        replies: 4,
        sessions: 1,
        records: 4,
        logs: 2,
        forces: 3,
        largest_group: 2,
        snapshots: 1,
        dir_forces: 4,
        removed: 1,
    };
    assert_eq!(verdict.seen, seen);
}

/// Every force in it is needed.
#[test]
fn no_force_can_be_left_out() {
    let life = life();
    let mut left_out = 0;
    for (i, line) in life.iter().enumerate() {
        if line.contains("sync(") && !line.contains("unfinished") {
            let mut doctored = life.clone();
            doctored.remove(i);
            assert_ne!(objections(&doctored), Vec::<String>::new(), "without {line}");
            left_out += 1;
        }
    }
    assert_eq!(left_out, 8);
}

/// No force helps that failed.
#[test]
fn no_force_may_fail() {
    let life = life();
    for (i, line) in life.iter().enumerate() {
        if line.contains("sync") && line.ends_with("= 0") {
            let mut doctored = life.clone();
            doctored[i] = line.replace("= 0", "= -1 EIO (Input/output error)");
            assert_ne!(objections(&doctored), Vec::<String>::new(), "with {}", doctored[i]);
        }
    }
}

/// No reply can be sent one force earlier.
#[test]
fn no_reply_can_be_sent_earlier() {
    let life = life();
    let mut moved = 0;
    for (i, line) in life.iter().enumerate().filter(|(_, line)| line.contains("sendto")) {
        // Already sent while the next force runs: where it belongs.
        let Some(force) = life[..i].iter().rposition(|line| line.contains("sync")) else {
            continue;
        };
        if life[force].contains("unfinished") {
            continue;
        }
        let mut doctored = life.clone();
        let line = line.clone();
        doctored.remove(i);
        doctored.insert(force, line);
        assert_ne!(objections(&doctored), Vec::<String>::new(), "{}", life[i]);
        moved += 1;
    }
    assert_eq!(moved, 3);
}

/// A force that began before the write had returned need not cover it.
#[test]
fn a_force_must_begin_behind_the_write() {
    let mut lines = life();
    let write = lines.iter().position(|line| line.contains(&hex(&record(2, 1)))).unwrap();
    let (begun, result) = lines[write].rsplit_once(" = ").unwrap();
    let begun = format!("3{} <unfinished ...>", &begun[1..begun.len() - 1]);
    let result = format!("3  1.0 <... pwrite64 resumed>) = {result}");
    lines[write] = begun;
    // Behind the beginning of the force, before its end.
    lines.insert(write + 2, result);
    let found = objections(&lines);
    assert!(found[0].contains("the record of 0x2"), "{found:?}");
}

#[test]
fn what_cannot_be_seen_is_an_objection() {
    let mut cut = life();
    let write = cut.iter().position(|line| line.contains(&hex(&record(2, 1)))).unwrap();
    cut[write] = cut[write].replace("\", ", "\"..., ");
    assert!(objections(&cut)[0].contains("does not show the whole write"));
    let mut around = life();
    around.insert(write, "1  1.0 sendfile(20, 5, NULL, 100) = 100".to_owned());
    assert!(objections(&around)[0].contains("sendfile"));
    let unknown = life().into_iter().map(|line| line.replace(&reply(4), &reply(5)));
    assert!(objections(&unknown.collect::<Vec<_>>())[0].contains("no record"));
}
