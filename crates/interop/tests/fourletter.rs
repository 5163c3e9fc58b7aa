//! Four-letter words of Apache 3.9.5 and of Rookeeper in the same situations.
//!
//! The golden is Apache's conversation, normalised (see `words`). The hermetic test of the binary
//! compares with the same file. `ROOKEEPER_UPDATE_GOLDENS=1` writes it anew from Apache.

use std::path::Path;

use rookeeper_interop::{Flavour, Server, ServerConfig, words};

fn ask(flavour: Flavour) -> String {
    let server = Server::start(flavour, ServerConfig::new()).expect("a server");
    let all = words::transcript(&server).expect("a conversation");
    drop(server);
    let closed = ServerConfig::new().set("4lw.commands.whitelist", "");
    let server = Server::start(flavour, closed).expect("a server");
    let refused = words::refusals(&server).expect("a conversation");
    format!("{all}==== not in the whitelist\n{refused}")
}

#[test]
fn both_say_the_same() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("goldens/fourletter.txt");
    let mut apache = ask(Flavour::APACHE_395);
    if std::env::var_os("ROOKEEPER_UPDATE_GOLDENS").is_some() {
        std::fs::write(&golden, &apache).expect("written");
    }
    let kept = std::fs::read_to_string(&golden).expect("the golden");
    for _ in 0..2 {
        // Its figures lag behind its replies, on a busy machine even further.
        if apache != kept {
            apache = ask(Flavour::APACHE_395);
        }
    }
    assert_eq!(difference(&kept, &apache), None, "Apache differs from its golden");
    let ours = ask(Flavour::Rookeeper);
    assert_eq!(difference(&kept, &ours), None, "Rookeeper differs from Apache");
}

/// The first line that differs, with the title above it.
fn difference(expected: &str, found: &str) -> Option<String> {
    let mut title = "";
    for (left, right) in expected.lines().zip(found.lines()) {
        if left != right {
            return Some(format!("below {title}: expected {left:?}, found {right:?}"));
        }
        if left.starts_with("==") {
            title = left;
        }
    }
    let (left, right) = (expected.lines().count(), found.lines().count());
    (left != right).then(|| format!("expected {left} lines, found {right}"))
}
