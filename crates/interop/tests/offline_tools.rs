//! Whether Apache's offline tools still say what is recorded in `goldens/offline`; that ours say the same
//! is tested with the binary, in the crate `rookeeper`. `ROOKEEPER_GOLDENS=write` records anew.

use rookeeper_interop::apache::Generation;
use rookeeper_interop::offline_tools::{CASES, golden, told};

#[test]
fn apache_says_what_is_recorded() {
    let silence = tempfile::tempdir().expect("a folder");
    let log4j = silence.path().join("log4j2.properties");
    std::fs::write(&log4j, "status = off\nrootLogger.level = off\n").expect("written");
    let is_writing = std::env::var("ROOKEEPER_GOLDENS").is_ok_and(|value| value == "write");
    for case in CASES {
        let got = told(case, |case| {
            let mut java = Generation::V395.java()?;
            java.arg(format!("-Dlog4j2.configurationFile=file:{}", log4j.display()))
                .args(["-Dfile.encoding=UTF-8", "-Duser.language=en", "-Duser.country=US"])
                .arg(format!("org.apache.zookeeper.server.{}", case.class));
            Ok(java)
        });
        let got = got.expect("a run");
        let path = golden(case);
        if is_writing {
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(&path, &got).expect("written");
        }
        let expected = std::fs::read_to_string(&path).expect("a golden");
        assert_eq!(got, expected, "{}", case.name);
    }
}
