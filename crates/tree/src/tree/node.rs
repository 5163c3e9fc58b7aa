//! One znode as it is kept: 104 bytes and one blob that holds digest, path and data (`house.md` 11.2, E).

use std::hint::black_box;

use rookeeper_proto::{StatPersisted, Zxid};

use super::slab::{NONE, Slot};
use crate::digest;

/// Marks a vacant slot in `parent`.
const VACANT: u32 = NONE - 1;
/// Set in `path_len` when the data is null, which is not the same as empty.
const NULL_DATA: u32 = 1 << 31;
/// The blob begins with the node's share of the tree's digest, a CRC-32: whoever changes the node needs
/// the old one, and to compute it again takes as long as to compute the new one. (Java keeps it, too.)
const DIGEST_BYTES: usize = 4;

/// A node. Children are a list through `next`/`prev`, newest first: what is created while a walk is
/// under way never lies ahead of it. The order of the fields is kept: what a lookup compares comes
/// first and shares a cache line.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Node {
    blob: Box<[u8]>,
    path_len: u32,
    /// [`NONE`] for the root.
    pub(crate) parent: u32,
    pub(crate) first_child: u32,
    pub(crate) next: u32,
    pub(crate) prev: u32,
    pub(crate) child_count: u32,
    /// Slot in the ACL map.
    pub(crate) acl: u32,
    pub(crate) version: i32,
    pub(crate) cversion: i32,
    pub(crate) aversion: i32,
    pub(crate) czxid: Zxid,
    pub(crate) mzxid: Zxid,
    pub(crate) pzxid: Zxid,
    pub(crate) ctime_ms: i64,
    pub(crate) mtime_ms: i64,
    pub(crate) owner: i64,
}

const _: () = assert!(size_of::<Node>() == 104, "a node must not grow: there are millions");

fn join(path: &[u8], data: Option<&[u8]>) -> Box<[u8]> {
    let data = data.unwrap_or_default();
    let mut blob = Vec::with_capacity(DIGEST_BYTES + path.len() + data.len());
    blob.extend_from_slice(&[0; DIGEST_BYTES]);
    blob.extend_from_slice(path);
    blob.extend_from_slice(data);
    blob.into_boxed_slice()
}

fn marked_len(path_len: usize, data: Option<&[u8]>) -> u32 {
    let len = u32::try_from(path_len).unwrap_or(NULL_DATA);
    assert!(len < NULL_DATA, "a path comes from a frame and is far below 2 GiB");
    if data.is_none() { len | NULL_DATA } else { len }
}

impl Node {
    /// An unlinked node. `path` of the root is empty.
    pub(crate) fn new(path: &str, data: Option<&[u8]>, acl: u32, stat: &StatPersisted) -> Self {
        let blob = join(path.as_bytes(), data);
        Self::of_blob(blob, marked_len(path.len(), data), acl, stat)
    }

    fn of_blob(blob: Box<[u8]>, path_len: u32, acl: u32, stat: &StatPersisted) -> Self {
        Self {
            blob,
            path_len,
            parent: NONE,
            first_child: NONE,
            next: NONE,
            prev: NONE,
            child_count: 0,
            acl,
            version: stat.version,
            cversion: stat.cversion,
            aversion: stat.aversion,
            czxid: stat.czxid,
            mzxid: stat.mzxid,
            pzxid: stat.pzxid,
            ctime_ms: stat.ctime_ms,
            mtime_ms: stat.mtime_ms,
            owner: stat.ephemeral_owner,
        }
    }

    fn path_end(&self) -> usize {
        DIGEST_BYTES + (self.path_len & !NULL_DATA) as usize
    }

    /// Has the node read from memory.
    pub(crate) fn touch(&self) {
        black_box(self.path_len);
    }

    /// Has its path read from memory.
    pub(crate) fn touch_path(&self) {
        black_box(self.path_bytes().first().copied());
    }

    pub(crate) fn path_bytes(&self) -> &[u8] {
        &self.blob[DIGEST_BYTES..self.path_end()]
    }

    /// The stored path; empty for the root.
    pub(crate) fn path(&self) -> &str {
        std::str::from_utf8(self.path_bytes()).expect("a path is stored from a str")
    }

    pub(crate) fn data(&self) -> Option<&[u8]> {
        (self.path_len & NULL_DATA == 0).then(|| &self.blob[self.path_end()..])
    }

    pub(crate) fn data_len(&self) -> usize {
        self.blob.len() - self.path_end()
    }

    /// Its share of the tree's digest as it was last set; at first 0.
    pub(crate) fn digest(&self) -> i64 {
        let kept = self.blob.first_chunk().copied().unwrap_or_default();
        i64::from(u32::from_ne_bytes(kept))
    }

    pub(crate) fn set_digest(&mut self, digest: i64) {
        // A CRC-32 or 0.
        self.blob[..DIGEST_BYTES].copy_from_slice(&(digest as u32).to_ne_bytes());
    }

    /// Its share of the tree's digest as it should be: 0 where the digest does not cover it.
    pub(crate) fn computed_digest(&self) -> i64 {
        match digest::is_covered(self.path_bytes()) {
            true => digest::digest_of(&[&self.blob[DIGEST_BYTES..]], &self.persisted()),
            false => 0,
        }
    }

    /// Bytes of path and data.
    pub(crate) fn size(&self) -> i64 {
        (self.blob.len() - DIGEST_BYTES) as i64
    }

    pub(crate) fn set_data(&mut self, data: Option<&[u8]>) {
        let end = self.path_end();
        let bytes = data.unwrap_or_default();
        if bytes.len() == self.data_len() {
            self.blob[end..].copy_from_slice(bytes);
        } else {
            self.blob = join(self.path_bytes(), data);
        }
        self.path_len = marked_len(end - DIGEST_BYTES, data);
    }

    pub(crate) fn persisted(&self) -> StatPersisted {
        StatPersisted {
            czxid: self.czxid,
            mzxid: self.mzxid,
            ctime_ms: self.ctime_ms,
            mtime_ms: self.mtime_ms,
            version: self.version,
            cversion: self.cversion,
            aversion: self.aversion,
            ephemeral_owner: self.owner,
            pzxid: self.pzxid,
        }
    }

    pub(crate) fn set_persisted(&mut self, stat: &StatPersisted) {
        self.version = stat.version;
        self.cversion = stat.cversion;
        self.aversion = stat.aversion;
        self.czxid = stat.czxid;
        self.mzxid = stat.mzxid;
        self.pzxid = stat.pzxid;
        self.ctime_ms = stat.ctime_ms;
        self.mtime_ms = stat.mtime_ms;
        self.owner = stat.ephemeral_owner;
    }
}

impl Slot for Node {
    fn vacant(next: u32) -> Self {
        let mut node = Self::of_blob(Box::default(), 0, 0, &StatPersisted::default());
        node.parent = VACANT;
        node.next = next;
        node
    }

    fn next_vacant(&self) -> Option<u32> {
        (self.parent == VACANT).then_some(self.next)
    }
}
