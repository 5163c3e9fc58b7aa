//! A line typed at the shell.

use rookeeper_cli::tokens::{quoted, split};

use crate::input::Input;

pub(super) fn run(data: &[u8]) {
    let text = Input::new(data).text();
    let parsed = split(&text);
    let typed: usize = parsed.words.iter().map(String::len).sum();
    assert!(typed <= text.len());
    // Typed again with quotes where they are needed, a line has the same words; a word with both kinds
    // of quotes cannot be typed.
    if parsed.words.iter().all(|word| !(word.contains('"') && word.contains('\''))) {
        let line: Vec<String> = parsed.words.iter().map(|word| quoted(word)).collect();
        assert_eq!(split(&line.join(" ")).words, parsed.words);
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    [
        "create -e -s /a 'b c' digest:u:p:cdrwa",
        "set /a \"x 'y' z\"",
        "ls -R /",
        "''",
        "\"open",
        "a\u{a0}b \u{3000}c",
        "delquota -n /x",
        "it's",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
