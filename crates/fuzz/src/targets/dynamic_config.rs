//! The text of an ensemble's membership, as files, notifications, NEWLEADER and reconfig carry it.

use rookeeper_zab::{Address, EnsembleConfig, Member};

use crate::input::Input;

pub(super) fn run(data: &[u8]) {
    let text = Input::new(data).text();
    if let Ok(config) = EnsembleConfig::parse(&text) {
        // What is written is read again: by us after a restart, by every other server.
        assert_eq!(EnsembleConfig::parse(&config.to_string()).as_ref(), Ok(&config));
        let voters = config.voters().collect();
        let is_simple = !config.is_hierarchical() && !config.members.is_empty();
        assert!(!is_simple || config.verifier().is_quorum(&voters), "all voters are no quorum");
    }
    if let Ok(member) = Member::parse(&text) {
        assert_eq!(Member::parse(&member.to_string()).as_ref(), Ok(&member));
    }
    if let Some(address) = Address::parse(&text) {
        assert_eq!(Address::parse(&address.to_string()), Some(address));
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    [
        "server.1=127.0.0.1:2888:3888:participant;0.0.0.0:2181\nversion=100000003",
        "server.1=[::1]:2888:3888\nserver.2=b:1:2|c:3:4:observer;[::]:2181\nserver.3=d:1:2;2181",
        "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\ngroup.1=1:2\ngroup.2=3\nweight.1=0\nweight.3=2",
        "# comment\n! comment\nserver.1 = a\\:1\\:\\\n 2 : participant\nversion : ff",
        "server.1:h\\u0041:1:2",
        "host:2888:3888:observer;2181",
        "[::1]:2181",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
