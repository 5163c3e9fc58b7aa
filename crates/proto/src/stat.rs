//! A node's figures: as sent to clients (`Stat`, 68 bytes) and as kept on disk (`StatPersisted`, 60).

use crate::ids::Zxid;
use crate::jute::{Reader, Result};

/// What clients see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stat {
    /// The transaction that created the node.
    pub czxid: Zxid,
    /// The transaction that last changed its data.
    pub mzxid: Zxid,
    /// Creation time, milliseconds since 1970, of the leader's clock.
    pub ctime_ms: i64,
    /// Time of the last change of data.
    pub mtime_ms: i64,
    /// Number of changes of data.
    pub version: i32,
    /// Number of children created and deleted.
    pub cversion: i32,
    /// Number of changes of the ACL.
    pub aversion: i32,
    /// The owning session, 0 unless an ephemeral.
    pub ephemeral_owner: i64,
    /// Bytes of data.
    pub data_length: i32,
    /// Number of children.
    pub num_children: i32,
    /// The transaction that last created or deleted a child.
    pub pzxid: Zxid,
}

impl Stat {
    /// Encoded size in bytes.
    pub const ENCODED_BYTES: usize = 68;

    /// Appends the wire form.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut b = [0u8; Self::ENCODED_BYTES];
        b[0..8].copy_from_slice(&self.czxid.0.to_be_bytes());
        b[8..16].copy_from_slice(&self.mzxid.0.to_be_bytes());
        b[16..24].copy_from_slice(&self.ctime_ms.to_be_bytes());
        b[24..32].copy_from_slice(&self.mtime_ms.to_be_bytes());
        b[32..36].copy_from_slice(&self.version.to_be_bytes());
        b[36..40].copy_from_slice(&self.cversion.to_be_bytes());
        b[40..44].copy_from_slice(&self.aversion.to_be_bytes());
        b[44..52].copy_from_slice(&self.ephemeral_owner.to_be_bytes());
        b[52..56].copy_from_slice(&self.data_length.to_be_bytes());
        b[56..60].copy_from_slice(&self.num_children.to_be_bytes());
        b[60..68].copy_from_slice(&self.pzxid.0.to_be_bytes());
        out.extend_from_slice(&b);
    }

    /// Reads the wire form.
    pub fn read(r: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            czxid: Zxid(r.i64()?),
            mzxid: Zxid(r.i64()?),
            ctime_ms: r.i64()?,
            mtime_ms: r.i64()?,
            version: r.i32()?,
            cversion: r.i32()?,
            aversion: r.i32()?,
            ephemeral_owner: r.i64()?,
            data_length: r.i32()?,
            num_children: r.i32()?,
            pzxid: Zxid(r.i64()?),
        })
    }
}

/// What snapshots hold and digests cover. `cversion` counts creates only and `ephemeral_owner` is
/// the encoded form; clients see neither directly (`client-protocol.md` 6.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StatPersisted {
    /// See [`Stat::czxid`].
    pub czxid: Zxid,
    /// See [`Stat::mzxid`].
    pub mzxid: Zxid,
    /// See [`Stat::ctime_ms`].
    pub ctime_ms: i64,
    /// See [`Stat::mtime_ms`].
    pub mtime_ms: i64,
    /// See [`Stat::version`].
    pub version: i32,
    /// Number of children ever created.
    pub cversion: i32,
    /// See [`Stat::aversion`].
    pub aversion: i32,
    /// Encoded owner: session, container or TTL mark.
    pub ephemeral_owner: i64,
    /// See [`Stat::pzxid`].
    pub pzxid: Zxid,
}

impl StatPersisted {
    /// Encoded size in bytes.
    pub const ENCODED_BYTES: usize = 60;

    /// Appends the snapshot form.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut b = [0u8; Self::ENCODED_BYTES];
        b[0..8].copy_from_slice(&self.czxid.0.to_be_bytes());
        b[8..16].copy_from_slice(&self.mzxid.0.to_be_bytes());
        b[16..24].copy_from_slice(&self.ctime_ms.to_be_bytes());
        b[24..32].copy_from_slice(&self.mtime_ms.to_be_bytes());
        b[32..36].copy_from_slice(&self.version.to_be_bytes());
        b[36..40].copy_from_slice(&self.cversion.to_be_bytes());
        b[40..44].copy_from_slice(&self.aversion.to_be_bytes());
        b[44..52].copy_from_slice(&self.ephemeral_owner.to_be_bytes());
        b[52..60].copy_from_slice(&self.pzxid.0.to_be_bytes());
        out.extend_from_slice(&b);
    }

    /// Reads the snapshot form.
    pub fn read(r: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            czxid: Zxid(r.i64()?),
            mzxid: Zxid(r.i64()?),
            ctime_ms: r.i64()?,
            mtime_ms: r.i64()?,
            version: r.i32()?,
            cversion: r.i32()?,
            aversion: r.i32()?,
            ephemeral_owner: r.i64()?,
            pzxid: Zxid(r.i64()?),
        })
    }
}
