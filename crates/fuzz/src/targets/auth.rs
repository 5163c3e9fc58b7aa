//! Identities and ACL texts: digest, ip with prefix, x509, sasl, ensemble.

use std::net::{IpAddr, Ipv6Addr};

use rookeeper_proto::acl::{ALL, RequestAcl, RequestAcls};
use rookeeper_replica::auth::{AuthConfig, AuthRegistry, Identities};

use crate::input::{Input, put_piece};

const SCHEMES: [&str; 8] = ["ip", "digest", "sasl", "x509", "world", "auth", "super", "ensemble"];
const ALGORITHMS: [&str; 3] = ["SHA1", "SHA-256", "SHA3-512"];

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let config = AuthConfig {
        digest_algorithm: (*input.pick(&ALGORITHMS)).to_owned(),
        tls: input.byte() & 1 == 0,
        ensemble_auth_name: Some("a,b".to_owned()),
        ..AuthConfig::default()
    };
    let Ok(registry) = AuthRegistry::new(config) else { unreachable!("a good configuration") };
    let peer = match input.byte() {
        n if n % 2 == 0 => IpAddr::from([127, 0, 0, n]),
        n => IpAddr::V6(Ipv6Addr::from([n; 16])),
    };
    let mut ids = Identities::of_address(peer);
    let mut entries = Vec::new();
    while !input.is_empty() && entries.len() < 64 {
        let scheme = *input.pick(&SCHEMES);
        let piece = input.piece();
        let text = String::from_utf8_lossy(piece);
        let _ = registry.authenticate(Some(scheme), Some(piece), peer, &mut ids);
        let is_valid = registry.is_valid(scheme, &text);
        let entry = RequestAcl { perms: ALL, scheme: Some(scheme.into()), id: Some(text) };
        let alone = registry.fix_up(Some(&RequestAcls::List(vec![entry.clone()])), &ids);
        // What may be stored can be evaluated.
        if let Ok(acl) = &alone {
            let _ = registry.check(Some(acl), ALL, &ids);
            let _ = registry.mask_for_get_acl(acl, &ids);
        }
        assert!(!is_valid || alone.is_ok(), "{scheme}: valid, but refused");
        entries.push(entry);
    }
    let _ = registry.who_am_i(&ids);
    let _ = registry.fix_up(Some(&RequestAcls::List(entries)), &ids);
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        (0, "127.0.0.1"),
        (0, "127.0.0.0/8"),
        (0, "::1"),
        (0, "fe80::/10"),
        (0, "1:2:3:4:5:6:7:8/128"),
        (1, "user:password"),
        (1, "user:XX1sMQ5a8Ou5nVB4hZRK0vyoDYo="),
        (2, "zk/host@REALM"),
        (3, "CN=a,OU=b+O=c,C=\\2C\"x\""),
        (4, "anyone"),
        (5, ""),
        (6, ""),
        (7, "a"),
    ];
    let mut all = vec![0, 0, 2];
    let mut seeds = Vec::new();
    for (scheme, text) in texts {
        let mut one = vec![1, 0, 3, scheme];
        put_piece(&mut one, text.as_bytes());
        all.extend_from_slice(&one[3..]);
        seeds.push(one);
    }
    seeds.push(all);
    seeds
}
