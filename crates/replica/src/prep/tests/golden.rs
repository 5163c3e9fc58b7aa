//! Byte for byte what Apache ZooKeeper 3.9.5 logged for the same requests: types, bodies, error txns,
//! failed multis and the digest of the tree behind every one.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use rookeeper_proto::OpCode;
use rookeeper_proto::client::request::Request;
use rookeeper_proto::jute::Reader;
use rookeeper_proto::txn::{Record, Txn};

use super::*;
use crate::auth::AuthOutcome;

const RECORDED: &str = include_str!("apache-3.9.5.txt");

fn unhex(text: &str) -> Vec<u8> {
    let text = if text == "-" { "" } else { text };
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

/// Java lists the ephemerals of a session in hash order.
fn with_sorted_list(mut record: Record<'_>) -> Record<'_> {
    if let Txn::CloseSession(Some(paths)) = &mut record.txn {
        *paths = std::mem::take(paths).into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    }
    record
}

/// Where type and flags disagree about being a container, Java's preparation takes the flags' word
/// and its applier the type's: the digest it logs is not that of its own tree.
fn is_misjudged(request: &Request<'_>) -> bool {
    match request {
        Request::Create(create) | Request::Create2(create) => create.flags == 4,
        Request::CreateContainer(create) => create.flags != 4,
        Request::Multi(ops) => {
            ops.iter().any(|op| matches!(op, MultiOp::CreateContainer(create) if create.flags != 4))
        }
        _ => false,
    }
}

#[test]
fn the_same_records_as_apache() {
    let config =
        PrepConfig { enforce_quota: true, extended_types: true, reconfig: true, ..config() };
    let mut tree = DataTree::new(OPTIONS);
    let mut prep = Prep::new(config, tree.last_zxid(), tree.digest());
    let auth = AuthRegistry::new(AuthConfig::default()).unwrap();
    let peer = Ipv4Addr::LOCALHOST.into();
    let plain = Identities::of_address(peer);
    let mut user = plain.clone();
    assert_eq!(auth.authenticate(Some("digest"), Some(b"u:p"), peer, &mut user), AuthOutcome::Ok);

    let mut first_session = None;
    let lines = RECORDED.lines().filter(|line| !line.starts_with('#'));
    for line in lines {
        let fields: Vec<_> = line.split(' ').collect();
        let (body, expected) = (unhex(fields[1]), unhex(fields[2]));
        let op = OpCode::from_i32(fields[0].parse().unwrap()).unwrap();
        let request = Request::read(op, &mut Reader::new(&body)).unwrap();
        let mut expected = with_sorted_list(Record::read(&expected).unwrap());
        let header = expected.header;
        let is_first = *first_session.get_or_insert(header.session) == header.session;
        let write = WriteRequest {
            session: header.session,
            session_state: SessionState::Live,
            cxid: header.cxid,
            time_ms: header.time_ms,
            request: &request,
            ids: if is_first { &user } else { &plain },
            reconfig: None,
        };
        let mut out = Vec::new();
        prep.prepare(&tree, &auth, &write, &mut out);
        let ours = Record::read(&out).unwrap();
        if is_misjudged(&request) {
            assert_ne!(ours.digest, expected.digest, "{request:?}");
            expected.digest = ours.digest;
        }
        assert_eq!(ours, expected, "{request:?}");
        let (_, mismatch) = tree.apply_record(&ours, &mut ());
        assert_eq!(mismatch, None);
        prep.applied(header.zxid);
    }
}
