//! The quorum port's only frame: `int type; long zxid; buffer data; vector<Id> authinfo`.
//!
//! There is no frame length, so a packet is read field by field from whatever has arrived
//! ([`QuorumPacket::try_read`]). Unused data and authinfo are null, not empty.

use crate::acl::Id;
use crate::ids::Zxid;
use crate::jute::{DecodeError, JuteWrite, Reader, Result};

macro_rules! packets {
    ($($(#[$doc:meta])* $name:ident = $value:literal),* $(,)?) => {
        /// What a packet is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i32)]
        pub enum PacketType { $($(#[$doc])* $name = $value),* }

        impl PacketType {
            /// Every type.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The type with this number.
            pub fn from_i32(n: i32) -> Option<Self> {
                match n { $($value => Some(Self::$name),)* _ => None }
            }
        }
    };
}

packets! {
    /// A learner forwards a client's write.
    Request = 1,
    /// The leader proposes a txn.
    Proposal = 2,
    /// A learner has logged a txn, or accepted the new leader.
    Ack = 3,
    /// A txn is committed.
    Commit = 4,
    /// Are you there; the answer carries touched sessions.
    Ping = 5,
    /// A client moved to this learner: is its session alive?
    Revalidate = 6,
    /// Answer to a forwarded sync.
    Sync = 7,
    /// A committed txn, for observers.
    Inform = 8,
    /// A reconfig is committed: activate it.
    CommitAndActivate = 9,
    /// End of the synchronisation packets: accept this leader.
    NewLeader = 10,
    /// First packet of a voting learner.
    FollowerInfo = 11,
    /// The leader has its quorum: serve.
    UpToDate = 12,
    /// What you miss follows.
    Diff = 13,
    /// Cut your log, then what you miss follows.
    Trunc = 14,
    /// A snapshot follows.
    Snap = 15,
    /// First packet of an observer.
    ObserverInfo = 16,
    /// The new epoch.
    LeaderInfo = 17,
    /// A learner accepts the new epoch.
    AckEpoch = 18,
    /// A committed reconfig, for observers.
    InformAndActivate = 19,
}

/// One packet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QuorumPacket<'a> {
    /// The type's number; unknown ones are read and skipped, as Java does.
    pub kind: i32,
    /// Meaning depends on the type.
    pub zxid: Zxid,
    /// Meaning depends on the type; `None` is null.
    pub data: Option<&'a [u8]>,
    /// A client's identities, in REQUEST; `None` is null.
    pub auth: Option<Vec<Id>>,
}

/// What an unfinished stream of bytes begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TryRead<'a> {
    /// More bytes are needed.
    Incomplete,
    /// A whole packet, and how many bytes it took.
    Done(QuorumPacket<'a>, usize),
}

/// Identities in one packet; more is an attack, not a client.
const IDS_MAX: i32 = 1024;
/// Longest scheme or id.
const ID_BYTES_MAX: usize = 64 << 10;

impl<'a> QuorumPacket<'a> {
    /// A packet without data.
    pub fn bare(kind: PacketType, zxid: Zxid) -> Self {
        Self { kind: kind as i32, zxid, data: None, auth: None }
    }

    /// A packet with data.
    pub fn with_data(kind: PacketType, zxid: Zxid, data: &'a [u8]) -> Self {
        Self { kind: kind as i32, zxid, data: Some(data), auth: None }
    }

    /// The type, if known.
    pub fn packet_type(&self) -> Option<PacketType> {
        PacketType::from_i32(self.kind)
    }

    /// Reads a packet from the start of a stream. `data_limit` is the longest data field accepted.
    ///
    /// # Errors
    /// When no continuation of these bytes can be a packet. Called again with more bytes of the same
    /// stream it never changes its mind.
    pub fn try_read(bytes: &'a [u8], data_limit: usize) -> Result<TryRead<'a>> {
        let mut r = Reader::new(bytes);
        // The fixed part up to the length of data.
        if r.remaining() < 16 {
            return Ok(TryRead::Incomplete);
        }
        let kind = r.i32()?;
        let zxid = Zxid(r.i64()?);
        let Some(data) = limited_buffer(&mut r, data_limit, "packet data")? else {
            return Ok(TryRead::Incomplete);
        };
        if r.remaining() < 4 {
            return Ok(TryRead::Incomplete);
        }
        let count = r.i32()?;
        if count > IDS_MAX {
            return Err(r.error("authinfo count"));
        }
        let mut auth = (count != -1).then(Vec::new);
        if let Some(auth) = &mut auth {
            for _ in 0..count {
                let Some(scheme) = limited_string(&mut r)? else {
                    return Ok(TryRead::Incomplete);
                };
                let Some(id) = limited_string(&mut r)? else {
                    return Ok(TryRead::Incomplete);
                };
                auth.push(Id { scheme, id });
            }
        }
        Ok(TryRead::Done(Self { kind, zxid, data, auth }, r.at()))
    }

    /// Appends the packet.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.put_i32(self.kind);
        out.put_i64(self.zxid.0);
        out.put_buffer(self.data);
        match &self.auth {
            None => out.put_i32(-1),
            Some(ids) => {
                out.put_len(ids.len());
                for id in ids {
                    out.put_str(&id.scheme);
                    out.put_str(&id.id);
                }
            }
        }
    }

    /// The packet's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(20 + self.data.map_or(0, <[u8]>::len));
        self.write(&mut out);
        out
    }
}

/// `None`: not all there. `Some(None)`: null.
fn limited_buffer<'a>(
    r: &mut Reader<'a>,
    limit: usize,
    what: &'static str,
) -> std::result::Result<Option<Option<&'a [u8]>>, DecodeError> {
    if r.remaining() < 4 {
        return Ok(None);
    }
    let start = r.clone();
    let len = r.i32()?;
    if len == -1 {
        return Ok(Some(None));
    }
    match usize::try_from(len) {
        Ok(len) if len <= limit => {
            if r.remaining() < len {
                return Ok(None);
            }
            r.bytes(len, what).map(|data| Some(Some(data)))
        }
        _ => Err(start.error(what)),
    }
}

fn limited_string(r: &mut Reader<'_>) -> std::result::Result<Option<String>, DecodeError> {
    let text = limited_buffer(r, ID_BYTES_MAX, "authinfo")?;
    Ok(text.map(|text| String::from_utf8_lossy(text.unwrap_or_default()).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::{LearnerInfo, unhex};
    use super::*;

    fn done(bytes: &[u8]) -> QuorumPacket<'_> {
        match QuorumPacket::try_read(bytes, 1 << 20) {
            Ok(TryRead::Done(packet, used)) if used == bytes.len() => packet,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn golden_packets() {
        let ack = unhex("00000003 0000000200000000 ffffffff ffffffff");
        assert_eq!(done(&ack), QuorumPacket::bare(PacketType::Ack, Zxid::new(2, 0)));
        let info = unhex(
            "0000000b 0000000100000000 00000014 0000000000000003 00010000 0000000000000000 ffffffff",
        );
        let packet = done(&info);
        assert_eq!(packet.packet_type(), Some(PacketType::FollowerInfo));
        let learner = LearnerInfo::read(packet.data.unwrap()).unwrap();
        assert_eq!(
            (learner.sid.0, learner.protocol_version, learner.config_version),
            (3, 65536, 0)
        );
        let leader = unhex("00000011 0000000200000000 00000004 00010000 ffffffff");
        assert_eq!(done(&leader).data, Some(&[0, 1, 0, 0][..]));
        for golden in [ack, info, leader] {
            assert_eq!(done(&golden).to_bytes(), golden);
        }
    }

    #[test]
    fn all_nineteen_types() {
        assert_eq!(PacketType::ALL.len(), 19);
        for (i, kind) in PacketType::ALL.iter().enumerate() {
            assert_eq!(*kind as i32, i as i32 + 1);
            assert_eq!(PacketType::from_i32(i as i32 + 1), Some(*kind));
        }
    }

    #[test]
    fn every_prefix_is_incomplete_and_the_next_packet_is_left_alone() {
        let id = Id { scheme: "ip".to_owned(), id: "10.0.0.1".to_owned() };
        let packet = QuorumPacket {
            kind: 1,
            zxid: Zxid(-1),
            data: Some(b"payload"),
            auth: Some(vec![id.clone(), id]),
        };
        let mut bytes = packet.to_bytes();
        let len = bytes.len();
        bytes.extend_from_slice(&[0, 0, 0, 5]);
        for cut in 0..len {
            assert_eq!(
                QuorumPacket::try_read(&bytes[..cut], 7),
                Ok(TryRead::Incomplete),
                "cut at {cut}"
            );
        }
        assert_eq!(QuorumPacket::try_read(&bytes, 7), Ok(TryRead::Done(packet, len)));
        assert!(QuorumPacket::try_read(&bytes, 6).is_err());
    }

    #[test]
    fn lying_lengths_are_refused_at_once() {
        for bad in ["fffffffe", "80000000", "7fffffff"] {
            let bytes = unhex(&format!("00000002 0000000100000001 {bad}"));
            assert!(QuorumPacket::try_read(&bytes, 1 << 20).is_err(), "{bad}");
        }
        let many = unhex("00000001 ffffffffffffffff ffffffff 7fffffff");
        assert!(QuorumPacket::try_read(&many, 1 << 20).is_err());
        // A count below -1 is an empty vector, as Java reads it.
        let negative = unhex("00000001 ffffffffffffffff ffffffff fffffff0");
        assert_eq!(done(&negative).auth, Some(vec![]));
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic_and_never_change_their_mind(bytes: Vec<u8>, cut in 0usize..64) {
            let whole = QuorumPacket::try_read(&bytes, 4096);
            let part = QuorumPacket::try_read(&bytes[..cut.min(bytes.len())], 4096);
            match part {
                Ok(TryRead::Incomplete) => {}
                decided => proptest::prop_assert_eq!(decided, whole),
            }
        }
    }
}
