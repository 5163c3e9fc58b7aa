//! `TxnLogToolkit`: prints a log, rewrites wrong checksums, chops a log at a zxid.
//!
//! As the original, `--recover` believes the bytes and corrects the checksum; `rookeeper log repair`
//! believes the checksum and drops the bytes. Different: the file that is written has no zeros behind
//! its end, appears only when it is whole, and a chop keeps nothing that failed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rookeeper_proto::Zxid;
use rookeeper_proto::txn::{Record, TxnHeader};
use rookeeper_proto::{JuteWrite, Reader};
use rookeeper_storage::txn_log::inspect::{Frame, LogInspector, RawRecord, file_header};
use rookeeper_storage::{Disk, Error};

use super::options::{flag, parse, value};
use super::{INVALID_INVOCATION, file_name};
use crate::log::writing::NewFile;
use crate::output::{Outcome, Output, Stop};
use crate::{FAILED, FINE, java};

const HELP: &str = "\
usage: TxnLogToolkit [-dhrvc] <txn_log_file_name> (-z <zxid>)
 -c,--chop         Chop mode. Chop txn file to a zxid.
 -d,--dump         Dump mode. Dump all entries of the log file with printing the content of a nodepath (default)
 -h,--help         Print help message
 -r,--recover      Recovery mode. Re-calculate CRC for broken entries.
 -v,--verbose      Be verbose in recovery mode: print all entries, not just fixed ones.
 -y,--yes          Non-interactive mode: repair all CRC errors without asking
 -z,--zxid <arg>   Used with chop. Zxid to which to chop.";

pub(super) fn run(disk: &dyn Disk, args: &[OsString], out: &mut Output) -> Outcome {
    let specs = [
        flag('h', "help"),
        flag('r', "recover"),
        flag('v', "verbose"),
        flag('d', "dump"),
        flag('y', "yes"),
        flag('c', "chop"),
        value('z', "zxid"),
    ];
    let given = match parse(args, &specs) {
        Ok(given) => given,
        Err(why) => {
            out.err(&format!("{why}\n"));
            out.line(HELP)?;
            return Ok(FAILED);
        }
    };
    if given.has('h') {
        out.line(HELP)?;
        return Ok(FINE);
    }
    let Some(path) = given.words.first() else {
        out.line(HELP)?;
        return Ok(FAILED);
    };
    let path = PathBuf::from(path);
    if disk.open(&path).is_err() {
        let text = format!("File doesn't exist or not readable: {}", path.display());
        return Err(Stop::new(text));
    }
    if let Some(zxid) = given.value('z').filter(|_| given.has('c')) {
        let zxid = zxid.to_string_lossy();
        let decoded = decode(&zxid);
        let zxid = decoded.ok_or_else(|| Stop::new(format!("For input string: \"{zxid}\"")))?;
        // As the original, a negative zxid is no chop.
        if 0 <= zxid {
            return chop(disk, &path, Zxid(zxid), out);
        }
    }
    let how = How { recover: given.has('r'), verbose: given.has('v'), yes: given.has('y') };
    dump(disk, &path, &how, out)
}

struct How {
    recover: bool,
    verbose: bool,
    yes: bool,
}

/// A number as Java decodes it: decimal, hexadecimal behind `0x` or `#`, octal behind `0`.
fn decode(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let hex = ["0x", "0X", "#"].iter().find_map(|prefix| digits.strip_prefix(prefix));
    let (digits, radix) = match (hex, digits.strip_prefix('0')) {
        (Some(hex), _) => (hex, 16),
        (None, Some(octal)) if !octal.is_empty() => (octal, 8),
        _ => (digits, 10),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
}

fn open(disk: &dyn Disk, path: &Path, out: &mut Output) -> Outcome<LogInspector> {
    let invalid = || {
        let text = format!("Invalid magic number for {}", file_name(path));
        Stop::with_code(text, INVALID_INVOCATION)
    };
    let log = match LogInspector::open(disk, path) {
        Ok(Some(log)) => log,
        Ok(None) | Err(Error::Corrupt { .. }) => return Err(invalid()),
        Err(error) => return Err(error.into()),
    };
    out.line(&format!(
        "ZooKeeper Transactional Log File with dbid {} txnlog format version 2",
        log.dbid()
    ))?;
    Ok(log)
}

fn dump(disk: &dyn Disk, path: &Path, how: &How, out: &mut Output) -> Outcome {
    let fixed_path = path.with_file_name(format!("{}.fixed", file_name(path)));
    let mut fixed = None;
    if how.recover {
        if disk.exists(&fixed_path).unwrap_or(true) {
            let path = fixed_path.display();
            return Err(Stop::new(format!("Recovery file {path} already exists or not writable")));
        }
        fixed = Some(NewFile::create(disk, &fixed_path)?);
    }
    let mut log = open(disk, path, out)?;
    if let Some(fixed) = &mut fixed {
        fixed.write(&file_header())?;
    }
    let (mut count, mut fixes) = (0u64, 0u64);
    loop {
        let (at, len) = (log.at(), log.len());
        out.progress(|| format!("{at} of {len} bytes"))?;
        let record = match log.next_frame()? {
            Frame::Record(record) => record,
            Frame::End => break,
            Frame::BadLength(length) => {
                let text = format!("Unreasonable length = {length} at byte {at}");
                return Err(Stop::new(text));
            }
        };
        let mut checksum = record.stored;
        if record.stored != record.computed {
            let is_fixed = match (how.recover, how.yes) {
                (false, _) => {
                    print(&record, "CRC ERROR - ", out)?;
                    false
                }
                (true, false) => {
                    print(&record, "CRC ERROR - ", out)?;
                    ask(out)?
                }
                (true, true) => {
                    print(&record, "CRC FIXED - ", out)?;
                    true
                }
            };
            if is_fixed {
                checksum = record.computed;
                fixes += 1;
            }
        }
        if !how.recover || how.verbose {
            print(&record, "", out)?;
        }
        if !record.is_ended {
            return Err(Stop::new("Last transaction was partial."));
        }
        if let Some(fixed) = &mut fixed {
            fixed.write(&framed(checksum, record.payload))?;
        }
        count += 1;
    }
    out.line(&format!("EOF reached after {count} txns."))?;
    if let Some(fixed) = fixed {
        fixed.publish()?;
        out.line(&format!(
            "Recovery file {} has been written with {fixes} fixed CRC error(s)",
            fixed_path.display()
        ))?;
    }
    Ok(FINE)
}

/// A record with a checksum that need not be its own.
fn framed(checksum: i64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.len() + 13);
    bytes.put_i64(checksum);
    bytes.put_buffer(Some(payload));
    bytes.put_byte(b'B');
    bytes
}

/// Asks whether to believe the bytes of a record.
fn ask(out: &mut Output) -> Outcome<bool> {
    loop {
        out.text("Would you like to fix it (Yes/No/Abort) ? ")?;
        let Some(line) = out.typed()? else {
            return Err(Stop::new("Recovery aborted: there is nobody to answer."));
        };
        match line.trim_start().chars().next().map(|c| c.to_ascii_uppercase()) {
            Some('Y') => return Ok(true),
            Some('N') => return Ok(false),
            Some('A') => return Err(Stop::with_code("Recovery aborted.", FINE)),
            _ => {}
        }
    }
}

fn print(record: &RawRecord<'_>, prefix: &str, out: &mut Output) -> Outcome<()> {
    let text = prefix.to_owned() + &describe(record);
    if text.ends_with('\n') { out.text(&text) } else { out.line(&text) }
}

/// A record on one line, whatever it is.
fn describe(record: &RawRecord<'_>) -> String {
    let Ok(header) = TxnHeader::read(&mut Reader::new(record.payload)) else {
        return format!("{} bytes at byte {} that are no txn", record.payload.len(), record.offset);
    };
    let txn = match Record::read(record.payload) {
        Ok(read) => java::txn(&read.txn, record.payload),
        Err(error) => format!("(not a txn at byte {}: {error})", record.offset),
    };
    format!(
        "{} session 0x{:x} cxid 0x{:x} zxid 0x{:x} {} {txn}",
        java::short_date(header.time_ms),
        header.session.0,
        i64::from(header.cxid),
        header.zxid.0,
        java::op_name(header.op)
    )
}

/// As the original, a failure is told on standard output and is none for the exit code.
fn chop(disk: &dyn Disk, path: &Path, zxid: Zxid, out: &mut Output) -> Outcome {
    let to = path.with_file_name(format!("{}.chopped{}", file_name(path), zxid.0));
    match try_chop(disk, path, &to, zxid, out) {
        Err(Stop::Said { text, .. }) => {
            out.line(&format!("Got exception: {text}"))?;
            Ok(FINE)
        }
        other => other,
    }
}

fn try_chop(disk: &dyn Disk, path: &Path, to: &Path, zxid: Zxid, out: &mut Output) -> Outcome {
    let failed = || Stop::new(format!("Failed to chop {}", file_name(path)));
    let mut log = open(disk, path, out)?;
    let mut copy = NewFile::create(disk, to)?;
    copy.write(&file_header())?;
    let (mut count, mut has_zxid, mut before) = (0u64, false, None::<Zxid>);
    loop {
        let record = match log.next_frame()? {
            Frame::Record(record) => record,
            Frame::End => {
                out.line(&format!("EOF reached after {count} txns."))?;
                return Err(failed());
            }
            Frame::BadLength(length) => {
                return Err(Stop::new(format!("Unreasonable length = {length}")));
            }
        };
        if record.stored != record.computed {
            let (stored, computed) = (record.stored, record.computed);
            return Err(Stop::new(format!("CRC doesn't match {stored} vs {computed}")));
        }
        let (true, Some(found)) = (record.is_ended, record.zxid()) else {
            out.line("Last transaction was partial.")?;
            return Err(Stop::new("Last transaction was partial."));
        };
        has_zxid |= found == zxid;
        if let Some(before) = before.filter(|before| found.0 != before.0.wrapping_add(1)) {
            let kind = if found.epoch() == before.epoch() { "intra" } else { "inter" };
            if kind == "intra" || found.counter() != 1 {
                let text =
                    format!("There is {kind}-epoch gap between {:x} and {:x}", before.0, found.0);
                out.line(&text)?;
            }
        }
        before = Some(found);
        if zxid < found {
            if count == 0 || !has_zxid {
                out.line(&format!("This log does not contain zxid {:x}", zxid.0))?;
                return Err(failed());
            }
            copy.publish()?;
            out.line(&format!("Chopping at {:x} new log has {count} records", zxid.0))?;
            return Ok(FINE);
        }
        copy.write(&framed(record.stored, record.payload))?;
        count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn numbers_are_read_as_java_reads_them() {
        for (text, number) in [
            ("39", Some(39)),
            ("0x27", Some(39)),
            ("#27", Some(39)),
            ("047", Some(39)),
            ("-0x1", Some(-1)),
            ("0", Some(0)),
            ("", None),
            ("0x", None),
            ("0x-1", None),
            ("ten", None),
        ] {
            assert_eq!(decode(text), number, "{text}");
        }
    }
}
