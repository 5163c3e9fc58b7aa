//! A snapshot: the file as it is (plain, gzip or snappy by its first bytes), or a body of any content
//! fed in pieces of any size, as it also comes from a leader.

use std::path::Path;

use rookeeper_proto::Zxid;
use rookeeper_storage::snapshot::body::BodyError;
use rookeeper_storage::{BodyParser, DataDirs, MemDisk, RecoverOptions, recover};

use super::goldens;
use super::tree_sink::TreeSink;
use crate::input::Input;

const ITEM_BYTES_MAX: usize = 1 << 20;

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 4 {
        0 => file("snapshot.27", input.rest()),
        1 => file("snapshot.27.gz", input.rest()),
        2 => file("snapshot.27.snappy", input.rest()),
        _ => {
            let step = usize::from(input.byte()).max(1);
            let whole = body(input.rest(), usize::MAX);
            let pieces = body(input.rest(), step);
            assert_eq!(whole, pieces, "in pieces of {step}");
        }
    }
}

fn file(name: &str, bytes: &[u8]) {
    let disk = MemDisk::new();
    let dirs = DataDirs::new(Path::new("/data"), None);
    disk.put(&dirs.snap_dir.join(name), bytes);
    let mut sink = TreeSink::new();
    match recover(&disk, &dirs, &RecoverOptions::default(), &mut sink) {
        Ok(recovered) => assert_eq!(recovered.last_zxid, sink.tree.last_zxid()),
        Err(error) => assert!(error.to_string().contains("snapshot"), "no file is named: {error}"),
    }
}

/// What becomes of a body.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    is_done: bool,
    at: u64,
    /// Nodes and digest, if it is a tree.
    tree: Option<(usize, i64)>,
}

/// The outcome, or the place of the error.
fn body(bytes: &[u8], step: usize) -> Result<Outcome, String> {
    let mut sink = TreeSink::new();
    let mut parser = BodyParser::new(ITEM_BYTES_MAX);
    let (mut from, mut to) = (0, 0);
    while to < bytes.len() && !parser.is_done() {
        to = to.saturating_add(step).min(bytes.len());
        let fed = parser.feed(&bytes[from..to], &mut sink);
        from += fed.map_err(|error: BodyError| error.to_string())?;
    }
    let is_tree = parser.is_done() && sink.finish(Zxid(1)).is_ok();
    let tree = is_tree.then(|| (sink.tree.node_count(), sink.tree.digest()));
    Ok(Outcome { is_done: parser.is_done(), at: parser.at(), tree })
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (name, bytes) in goldens::SNAPSHOTS {
        let how = if name.ends_with(".gz") { 1 } else { u8::from(name.ends_with(".snappy")) * 2 };
        seeds.push([&[how], bytes].concat());
        if how == 0 {
            seeds.push([&[3, 7], &bytes[16..]].concat());
            seeds.push([&[2], &xerial(bytes)[..]].concat());
            seeds.push([&[1], &gzip(bytes)[..]].concat());
        }
    }
    seeds
}

/// The container of snappy with blocks that are not compressed, so that mutations reach the inside.
fn xerial(bytes: &[u8]) -> Vec<u8> {
    let mut out = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
    for block in bytes.chunks(60) {
        // A varint of the length, then one literal.
        let mut inner = vec![block.len() as u8, ((block.len() - 1) << 2) as u8];
        inner.extend_from_slice(block);
        out.extend_from_slice(&(inner.len() as u32).to_be_bytes());
        out.extend_from_slice(&inner);
    }
    out
}

/// Stored, not deflated, for the same reason.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seeds are snapshots, also those in containers made here.
    #[test]
    fn most_seeds_are_sound() {
        let is_sound = |seed: &Vec<u8>| match seed[0] {
            3 => body(&seed[2..], usize::MAX).is_ok_and(|outcome| outcome.tree.is_some()),
            how => {
                let disk = MemDisk::new();
                let dirs = DataDirs::new(Path::new("/data"), None);
                let name =
                    ["snapshot.27", "snapshot.27.gz", "snapshot.27.snappy"][usize::from(how)];
                disk.put(&dirs.snap_dir.join(name), &seed[1..]);
                recover(&disk, &dirs, &RecoverOptions::default(), &mut TreeSink::new()).is_ok()
            }
        };
        let seeds = seeds();
        for (at, seed) in seeds.iter().enumerate() {
            assert!(is_sound(seed), "seed {at} of {}", seeds.len());
        }
    }
}
