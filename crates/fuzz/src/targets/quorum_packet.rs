//! Packets between learners and their leader, and what is in their data: LEARNERINFO, forwarded
//! requests, touched sessions, SASL.

use rookeeper_proto::quorum::{
    ForwardedBody, LearnerInfo, PacketType, QuorumAuthPacket, QuorumAuthStatus, QuorumPacket,
    Touches, TryRead,
};
use rookeeper_proto::{Id, SessionId, Sid, Zxid};

const DATA_LIMIT: usize = 1 << 20;

pub(super) fn run(data: &[u8]) {
    packet(data);
    sasl(data);
    inside(data);
}

fn packet(data: &[u8]) {
    let whole = QuorumPacket::try_read(data, DATA_LIMIT);
    if let Ok(TryRead::Done(packet, len)) = &whole {
        assert!(*len <= data.len());
        let bytes = packet.to_bytes();
        assert_eq!(
            QuorumPacket::try_read(&bytes, DATA_LIMIT),
            Ok(TryRead::Done(packet.clone(), bytes.len()))
        );
        inside(packet.data.unwrap_or_default());
    }
    // It never changes its mind: every shorter stream is incomplete or says the same.
    for cut in cuts(data.len()) {
        match (QuorumPacket::try_read(&data[..cut], DATA_LIMIT), &whole) {
            (Ok(TryRead::Incomplete), _) => {}
            (Ok(done), whole) => assert_eq!(Ok(&done), whole.as_ref()),
            (Err(_), whole) => assert!(whole.is_err(), "refused at {cut}, then accepted"),
        }
    }
}

fn sasl(data: &[u8]) {
    let whole = QuorumAuthPacket::try_read(data);
    if let Ok(Some((packet, len))) = whole {
        assert!(len <= data.len());
        assert_eq!(packet.to_bytes(), data[..len]);
    }
    for cut in cuts(data.len()) {
        match QuorumAuthPacket::try_read(&data[..cut]) {
            Ok(None) => {}
            other => assert_eq!(other.is_ok(), whole.is_ok(), "another mind at {cut}"),
        }
    }
}

fn inside(data: &[u8]) {
    if let Ok(info) = LearnerInfo::read(data) {
        assert_eq!(LearnerInfo::read(&info.to_bytes()), Ok(info));
    }
    if let Ok(request) = ForwardedBody::read(data) {
        assert_eq!(request.to_bytes(), data);
    }
    let touched = Touches::read(data);
    assert_eq!(touched.len(), data.len() / 12);
    assert_eq!(Touches::to_bytes(touched), data[..data.len() / 12 * 12]);
}

/// All of a short stream's prefixes, some of a long one's.
fn cuts(len: usize) -> impl Iterator<Item = usize> {
    (0..len).filter(move |cut| *cut < 64 || len - cut < 8 || cut % 61 == 0)
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let info = LearnerInfo { sid: Sid(2), protocol_version: 0x10000, config_version: 7 }.to_bytes();
    let request = ForwardedBody { session: SessionId(9), cxid: 3, op: 1, body: b"body" }.to_bytes();
    let touches = Touches::to_bytes([(SessionId(1), 4000), (SessionId(2), 6000)]);
    let mut seeds: Vec<Vec<u8>> =
        PacketType::ALL.iter().map(|kind| QuorumPacket::bare(*kind, Zxid(5)).to_bytes()).collect();
    for (kind, data) in [
        (PacketType::FollowerInfo, &info),
        (PacketType::Request, &request),
        (PacketType::Ping, &touches),
        (PacketType::LeaderInfo, &vec![0, 1, 0, 0]),
        (PacketType::AckEpoch, &vec![0, 0, 0, 1]),
    ] {
        seeds.push(QuorumPacket::with_data(kind, Zxid::new(1, 2), data).to_bytes());
    }
    let id = Id { scheme: "digest".to_owned(), id: "u:p".to_owned() };
    let request = QuorumPacket::with_data(PacketType::Request, Zxid(-1), &request);
    seeds.push(QuorumPacket { auth: Some(vec![id.clone(), id]), ..request }.to_bytes());
    for status in [QuorumAuthStatus::InProgress, QuorumAuthStatus::Success, QuorumAuthStatus::Error]
    {
        seeds.push(QuorumAuthPacket { status, token: Some(b"token") }.to_bytes());
    }
    seeds.extend([info, touches]);
    seeds
}
