//! Four-letter words of the binary against what Apache 3.9.5 said in the same situations
//! (`crates/interop/goldens/fourletter.txt`; the interop test of that name captures it).

use std::path::Path;

use rookeeper_interop::{Flavour, Server, ServerConfig, words};

#[test]
fn every_word_as_apache_says_it() {
    let server = Server::start(Flavour::Rookeeper, ServerConfig::new()).expect("a server");
    let all = words::transcript(&server).expect("a conversation");
    drop(server);
    let closed = ServerConfig::new().set("4lw.commands.whitelist", "");
    let server = Server::start(Flavour::Rookeeper, closed).expect("a server");
    let refused = words::refusals(&server).expect("a conversation");
    let ours = format!("{all}==== not in the whitelist\n{refused}");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../interop/goldens/fourletter.txt");
    let apache = std::fs::read_to_string(golden).expect("the golden");
    let mut title = "";
    for (number, (expected, found)) in apache.lines().zip(ours.lines()).enumerate() {
        if expected.starts_with("==") {
            title = expected;
        }
        assert_eq!(found, expected, "line {} of the golden, below {title}", number + 1);
    }
    assert_eq!(ours.lines().count(), apache.lines().count());
}
