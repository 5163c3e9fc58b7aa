//! The election port: the initial message of every version, notifications of every layout.

use rookeeper_proto::quorum::{InitialMessage, Notification, ServerState};
use rookeeper_proto::{Sid, Zxid};

pub(super) fn run(data: &[u8]) {
    let whole = InitialMessage::try_read(data);
    if let Ok(Some((message, len))) = &whole {
        assert!(*len <= data.len());
        let is_short = message.addresses.len() < 2;
        let bytes = message.to_bytes(!is_short);
        if !message.addresses.is_empty() && bytes.len() <= 2048 {
            assert_eq!(InitialMessage::try_read(&bytes), Ok(Some((message.clone(), bytes.len()))));
        }
    }
    for cut in 0..data.len().min(64) {
        match (InitialMessage::try_read(&data[..cut]), &whole) {
            (Ok(None), _) => {}
            (Ok(some), whole) => assert_eq!(Ok(&some), whole.as_ref()),
            (Err(_), whole) => assert!(whole.is_err(), "refused at {cut}, then accepted"),
        }
    }
    if let Ok(vote) = Notification::read(data) {
        let mut bytes = Vec::new();
        vote.write(&mut bytes);
        let newest = Notification {
            version: 2,
            config: Some(vote.config.clone().unwrap_or_else(|| "version=0".to_owned())),
            ..vote.clone()
        };
        assert_eq!(Notification::read(&bytes), Ok(newest));
        assert_eq!(vote.to_frame()[4..], bytes);
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let two = vec![("127.0.0.1".to_owned(), 3888), ("::1".to_owned(), 3889)];
    let hello = InitialMessage { sid: Sid(3), addresses: two };
    let vote = Notification {
        state: ServerState::Looking,
        leader: Sid(2),
        zxid: Zxid::new(1, 5),
        round: 7,
        epoch: 1,
        version: 2,
        config: Some("server.1=a:1:2:participant\nversion=0".to_owned()),
    };
    let mut bytes = Vec::new();
    vote.write(&mut bytes);
    let mut seeds = vec![hello.to_bytes(false), hello.to_bytes(true), 7i64.to_be_bytes().to_vec()];
    // The older layouts are shorter.
    seeds.extend([bytes[..28].to_vec(), bytes[..40].to_vec(), bytes[..44].to_vec(), bytes]);
    seeds
}
