//! The client's connect string and its chroot; paths.

use rookeeper_client::{Chroot, ConnectString};
use rookeeper_proto::path;

use crate::input::Input;

pub(super) fn run(data: &[u8]) {
    let text = Input::new(data).text();
    if let Ok(parsed) = ConnectString::parse(&text) {
        assert!(!parsed.servers.is_empty());
        assert!(parsed.servers.iter().all(|server| !server.host.is_empty()));
        let there = parsed.chroot.to_server("/a/b");
        assert_eq!(parsed.chroot.to_client(&there), "/a/b");
    }
    if let Ok(chroot) = Chroot::new(&text) {
        assert_eq!(chroot.to_client(&chroot.to_server("/")), "/");
    }
    if path::validate(&text).is_ok() {
        assert!(text.starts_with('/') && !text.contains("//"));
        if let Some(parent) = path::parent(&text) {
            let parent = if parent.is_empty() { "/" } else { parent };
            assert_eq!(path::validate(parent), Ok(()));
            assert!(text.ends_with(path::name(&text)) && !path::name(&text).contains('/'));
        }
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    [
        "127.0.0.1:2181",
        "a:1,b:2,c/app/x",
        "[::1]:2181,[fe80::1]/",
        "::1",
        " a , b ",
        "a:99999",
        "/a/b",
        "/",
        "/a/./b",
        "/a\u{1}",
        "/a/",
        "host:2181/\u{fffd}",
        "[::1",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
