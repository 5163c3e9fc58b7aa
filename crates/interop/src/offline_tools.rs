//! What Apache's offline tools print and write over data directories that Apache wrote: the cases, and
//! how a run is told. Recorded in `goldens/offline`; played against our scripts without Java, and
//! against Apache's classes to see that they still say so.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{HarnessError, Result};

/// One call of a tool in a copy of `goldens/disk`.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The golden's name.
    pub name: &'static str,
    /// The script in `bin/`; `None` for a class that is called with directories.
    pub script: Option<&'static str>,
    /// Apache's class, below `org.apache.zookeeper.server`.
    pub class: &'static str,
    /// Its arguments, separated by blanks.
    pub args: &'static str,
    /// What is typed.
    pub input: &'static str,
}

const LOG: (Option<&str>, &str) = (Some("zkTxnLogToolkit.sh"), "persistence.TxnLogToolkit");
const FORMAT: (Option<&str>, &str) = (Some("zkSnapShotToolkit.sh"), "SnapshotFormatter");
const COMPARE: (Option<&str>, &str) = (Some("zkSnapshotComparer.sh"), "SnapshotComparer");
const SUM: (Option<&str>, &str) =
    (Some("zkSnapshotRecursiveSummaryToolkit.sh"), "SnapshotRecursiveSummary");
const PURGE: (Option<&str>, &str) = (None, "PurgeTxnLog");

const fn case(
    name: &'static str,
    tool: (Option<&'static str>, &'static str),
    args: &'static str,
) -> Case {
    Case { name, script: tool.0, class: tool.1, args, input: "" }
}

const fn typing(input: &'static str, case: Case) -> Case {
    Case { input, ..case }
}

/// All cases.
pub const CASES: &[Case] = &[
    case("log-first", LOG, "plain/version-2/log.1"),
    case("log-second", LOG, "-d plain/version-2/log.28"),
    case("log-quorum", LOG, "quorum/version-2/LAST-LOG"),
    case("log-380", LOG, "v380/version-2/log.1"),
    case("log-no-digest", LOG, "no-digest/version-2/log.1"),
    case("log-none", LOG, ""),
    case("log-help", LOG, "-h"),
    case("log-missing", LOG, "nowhere/log.1"),
    case("log-unknown-option", LOG, "-q log.1"),
    case("log-missing-argument", LOG, "-z"),
    case("log-not-a-log", LOG, "plain/version-2/snapshot.0"),
    case("log-damaged", LOG, "damaged/log.28"),
    case("log-cut", LOG, "damaged/log.cut"),
    case("log-recover-yes", LOG, "-ry damaged/log.28"),
    case("log-recover-verbose", LOG, "--recover --yes --verbose damaged/log.28"),
    typing("what\nyes\n", case("log-recover-ask", LOG, "-r damaged/log.28")),
    typing("n\n", case("log-recover-no", LOG, "-r damaged/log.28")),
    typing("abort\n", case("log-recover-abort", LOG, "-r damaged/log.28")),
    case("log-chop", LOG, "-c -z 0x10 plain/version-2/log.1"),
    case("log-chop-decimal", LOG, "--chop --zxid=20 plain/version-2/log.1"),
    case("log-chop-beyond", LOG, "-c -z 0x50 plain/version-2/log.1"),
    case("log-chop-before", LOG, "-c -z 1 plain/version-2/log.28"),
    case("log-chop-damaged", LOG, "-c -z 0x30 damaged/log.28"),
    case("snapshot-plain", FORMAT, "plain/version-2/snapshot.27"),
    case("snapshot-data", FORMAT, "-d plain/version-2/snapshot.27"),
    case("snapshot-gz", FORMAT, "gz/version-2/LAST-SNAPSHOT"),
    case("snapshot-snappy", FORMAT, "-d snappy/version-2/LAST-SNAPSHOT"),
    case("snapshot-380", FORMAT, "v380/version-2/LAST-SNAPSHOT"),
    case("snapshot-quorum", FORMAT, "quorum/version-2/LAST-SNAPSHOT"),
    case("snapshot-json", FORMAT, "-json plain/version-2/snapshot.0"),
    case("snapshot-none", FORMAT, ""),
    case("snapshot-two", FORMAT, "plain/version-2/snapshot.0 plain/version-2/snapshot.27"),
    case("snapshot-missing", FORMAT, "nowhere/snapshot.0"),
    case("snapshot-directory", FORMAT, "plain/version-2"),
    case("snapshot-both", FORMAT, "-d -json plain/version-2/snapshot.0"),
    case(
        "compare",
        COMPARE,
        "-l plain/version-2/snapshot.0 -r plain/version-2/snapshot.27 -b 2 -n 1",
    ),
    case(
        "compare-debug",
        COMPARE,
        "--left plain/version-2/snapshot.27 --right=plain-types/version-2/LAST-SNAPSHOT --bytes 0 -n 0 -d",
    ),
    typing(
        "\n/zookeeper\n9\nx\n/none\n2\n\n\n\n",
        case(
            "compare-interactive",
            COMPARE,
            "-l plain/version-2/snapshot.0 -r plain/version-2/snapshot.27 -b 0 -n 0 -i",
        ),
    ),
    case("compare-none", COMPARE, ""),
    case("compare-one-missing", COMPARE, "-l a -r b -b 1"),
    case("compare-cut-option", COMPARE, "-l a -r"),
    case("summary", SUM, "plain/version-2/snapshot.27 / 1"),
    case("summary-all", SUM, "plain/version-2/snapshot.27 / 0"),
    case("summary-below", SUM, "gz/version-2/LAST-SNAPSHOT /zookeeper 2"),
    case("summary-leaf", SUM, "plain/version-2/snapshot.27 /big 1"),
    case("summary-negative", SUM, "plain/version-2/snapshot.27 / -1"),
    case("summary-none", SUM, ""),
    case("summary-no-number", SUM, "plain/version-2/snapshot.27 / x"),
    case("purge", PURGE, "purge -n 3"),
    case("purge-apart", PURGE, "purge purge -n 4"),
    case("purge-nothing", PURGE, "plain -n 3"),
    case("purge-none", PURGE, ""),
    case("purge-missing", PURGE, "nowhere -n 3"),
    case("purge-two", PURGE, "purge -n 2"),
    case("purge-no-number", PURGE, "purge -n x"),
    case("purge-other-option", PURGE, "purge -k 3"),
];

/// The committed data directories.
pub fn disks() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("goldens/disk")
}

/// The committed text of a case.
pub fn golden(case: &Case) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("goldens/offline/{}.txt", case.name))
}

fn io<T>(what: &str, result: std::io::Result<T>) -> Result<T> {
    result.map_err(HarnessError::io(what.to_owned()))
}

/// Copies the data directories to `to`, and makes a damaged, a cut and a purgeable one of them.
fn prepare(to: &Path) -> Result<()> {
    for capture in crate::disk::CAPTURES {
        crate::disk::copy(&disks().join(capture.name), &to.join(capture.name))?;
    }
    let plain = to.join("plain/version-2");
    let log = io("reading a log", std::fs::read(plain.join("log.28")))?;
    let damaged = to.join("damaged");
    io("making a folder", std::fs::create_dir_all(&damaged))?;
    let mut bytes = log.clone();
    // In the path of the third record: it decodes, but its checksum is wrong.
    let Some(byte) = bytes.get_mut(250) else {
        return Err(HarnessError::Unexpected("the log is too short to be damaged".to_owned()));
    };
    *byte ^= 1;
    io("damaging a log", std::fs::write(damaged.join("log.28"), bytes))?;
    io("cutting a log", std::fs::write(damaged.join("log.cut"), &log[..400]))?;
    let purge = to.join("purge/version-2");
    io("making a folder", std::fs::create_dir_all(&purge))?;
    let snapshot = io("reading a snapshot", std::fs::read(plain.join("snapshot.27")))?;
    for zxid in ["10", "20", "27", "30", "31"] {
        io("copying", std::fs::write(purge.join(format!("snapshot.{zxid}")), &snapshot))?;
    }
    for zxid in ["1", "11", "21", "29", "32"] {
        io("copying", std::fs::write(purge.join(format!("log.{zxid}")), &log))?;
    }
    Ok(())
}

/// The newest file of a kind in a directory, whose zxid differs between recordings.
fn last(dir: &Path, prefix: &str) -> Option<String> {
    let names = std::fs::read_dir(dir).ok()?.flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let zxid = |name: &String| {
        let digits = name.strip_prefix(prefix)?.split('.').next()?;
        i64::from_str_radix(digits, 16).ok()
    };
    names.filter_map(|name| Some((zxid(&name)?, name))).max().map(|(_, name)| name)
}

fn arguments(case: &Case, dir: &Path) -> Vec<String> {
    let named = |word: &str| {
        for (mark, prefix) in [("LAST-LOG", "log."), ("LAST-SNAPSHOT", "snapshot.")] {
            if let Some(before) = word.strip_suffix(mark) {
                let place = before.rsplit('=').next().unwrap_or(before);
                return before.to_owned() + &last(&dir.join(place), prefix).unwrap_or_default();
            }
        }
        word.to_owned()
    };
    case.args.split_whitespace().map(named).collect()
}

/// Runs a case in a fresh copy of the data and tells what came of it, made comparable.
pub fn told(case: &Case, tool: impl FnOnce(&Case) -> Result<Command>) -> Result<String> {
    let scratch = io("making a folder", tempfile::tempdir())?;
    let dir = io("finding a folder", scratch.path().canonicalize())?;
    prepare(&dir)?;
    let before = listing(&dir)?;
    let mut command = tool(case)?;
    command.args(arguments(case, &dir)).current_dir(&dir);
    command.env("TZ", "UTC").env("LANG", "C.UTF-8").env("LC_ALL", "C.UTF-8");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = io("starting a tool", command.spawn())?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that asks nothing may be gone already.
        let _ = stdin.write_all(case.input.as_bytes());
    }
    let output = io("running a tool", child.wait_with_output())?;
    let text = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).replace(&dir.display().to_string(), "DIR");
        comparable(case, &text)
    };
    let mut told = format!("rc={}\n", output.status.code().unwrap_or(-1));
    let _ = write!(told, "--- out\n{}--- err\n{}", text(&output.stdout), text(&output.stderr));
    // Of a run that failed Apache leaves an unfinished file, we do not.
    if ["Got exception", "aborted", "Invalid magic"].iter().any(|sign| told.contains(sign)) {
        return Ok(told);
    }
    let after = listing(&dir)?;
    for line in after.iter().filter(|line| !before.contains(line)) {
        let _ = writeln!(told, "+ {line}");
    }
    for line in before.iter().filter(|line| !after.contains(line)) {
        let _ = writeln!(told, "- {line}");
    }
    Ok(told)
}

/// Every file with the size and a checksum of what is in front of its final zeros.
fn listing(dir: &Path) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in io("listing", std::fs::read_dir(&folder))?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = io("reading", std::fs::read(&path))?;
            let len = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
            let sum = bytes[..len].iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
                (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            });
            let name = path.strip_prefix(dir).unwrap_or(&path).display();
            lines.push(format!("{name} {len} {sum:016x}"));
        }
    }
    lines.sort();
    Ok(lines)
}

/// Without what differs from run to run, and in one order where Apache's is that of a hash.
fn comparable(case: &Case, text: &str) -> String {
    let line = |line: &str| {
        if let Some(at) = line.find(" in ").filter(|_| line.ends_with(" seconds")) {
            let end = line.rfind(" in ").unwrap_or(at);
            return format!("{} in ... seconds\n", &line[..end]);
        }
        if let Some((before, rest)) = line.split_once("\"timestamp\":") {
            let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            return format!("{before}\"timestamp\":...{rest}\n");
        }
        match line.strip_prefix("Removing file: ").and_then(|rest| rest.split_once('\t')) {
            Some((_, path)) => format!("Removing file: ...\t{path}\n"),
            None => format!("{line}\n"),
        }
    };
    let lines: String = text.lines().map(line).collect();
    match case.class {
        "SnapshotFormatter" => sorted_blocks(&lines, |line| line == "----"),
        "SnapshotRecursiveSummary" => {
            sorted_blocks(&lines, |line| !line.contains("  ") && line.contains(" /"))
        }
        "PurgeTxnLog" => sorted_blocks(&lines, |line| line.starts_with("Removing")),
        _ => lines,
    }
}

/// Sorts what begins with certain lines; what is before the first of them stays first.
fn sorted_blocks(text: &str, begins: impl Fn(&str) -> bool) -> String {
    let mut blocks = vec![String::new()];
    for line in text.lines() {
        if begins(line) || line.is_empty() {
            blocks.push(String::new());
        }
        if let Some(block) = blocks.last_mut() {
            block.push_str(line);
            block.push('\n');
        }
    }
    blocks[1..].sort();
    blocks.concat()
}
