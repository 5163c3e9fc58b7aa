//! The server's configuration: a command line, zoo.cfg, the dynamic file and myid, parted by NUL.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use rookeeper_server::config::{Files, Invocation, load};

#[derive(Debug)]
struct Memory(BTreeMap<PathBuf, Vec<u8>>);

impl Files for Memory {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

pub(super) fn run(data: &[u8]) {
    let mut parts = data.splitn(4, |byte| *byte == 0);
    let mut part = || parts.next().unwrap_or_default().to_vec();
    let line = String::from_utf8_lossy(&part()).into_owned();
    let zoo_cfg = part();
    let files = Memory(BTreeMap::from([
        ("zoo.cfg".into(), zoo_cfg.clone()),
        ("/dynamic".into(), part()),
        ("/d/myid".into(), part()),
    ]));
    let words = line.split_whitespace().map(OsString::from).chain([OsString::from("zoo.cfg")]);
    let Ok(invocation) = Invocation::parse(words) else { return };
    match load(&invocation, &files) {
        Ok(config) => {
            for notice in &config.notices {
                assert!(!notice.text.trim().is_empty());
            }
            let _ = rookeeper_server::config::explain::explain_text(&config);
        }
        Err(error) => {
            assert!(matches!(error.exit_code, 1..=3), "exit code {}", error.exit_code);
            assert!(!error.message.trim().is_empty());
            let lines = data.len() + 1;
            assert!(error.line.is_none_or(|line| (1..=lines).contains(&(line as usize))));
        }
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![
        b"\0tickTime=2000\ndataDir=/d\nclientPort=2181\n".to_vec(),
        b"-Dzookeeper.serverCnxnFactory=x\0dataDir=/d\nclientPort=2181 # trailing\nfoo=\\u0041\n"
            .to_vec(),
        b"-Xmx1g -Djute.maxbuffer=0x10\0dataDir=/d\nclientPort=1\ninitLimit=5\nsyncLimit=2\n\
          server.1=a:1:2\nserver.2=b:1:2:observer\nserver.3=c:1:2;2181\n\x00\x001"
            .to_vec(),
        b"\0dataDir=/d\ndynamicConfigFile=/dynamic\ninitLimit=5\nsyncLimit=2\n\0\
          server.1=[::1]:1:2;[::]:2181\nversion=100000001\n\x001"
            .to_vec(),
    ];
    for key in rookeeper_server::config::keys::all() {
        let name = key.name.replace('*', ".1");
        for value in ["true", "abc"] {
            seeds.push(format!("\0dataDir=/d\nclientPort=1\n{name}={value}\n").into_bytes());
        }
    }
    seeds
}
