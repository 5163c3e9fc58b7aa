//! COMPAT.md's section Configuration and the table of keys say the same.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use crate::config::keys;

/// The test column by what a key does; each names a test of this crate.
fn test_column(action: keys::Action) -> &'static str {
    match action {
        keys::Action::Acts | keys::Action::Own => {
            "every_acting_key_reaches_the_typed_configuration"
        }
        keys::Action::JvmOnly => "every_jvm_key_is_named_in_the_one_warning",
        keys::Action::Silent => "every_silent_key_is_accepted_without_a_word",
        keys::Action::NotYet(_) => "every_key_that_is_not_supported_yet_says_so",
        keys::Action::Protects => "keys_that_protect_refuse_by_name",
    }
}

/// The row of a key as it should stand in COMPAT.md.
fn expected_row(key: &keys::Key) -> String {
    let default = if key.default.is_empty() { "-" } else { key.default };
    format!(
        "| `{}` | {} (default {default}) | {} | {} |",
        key.spelling(),
        key.doc,
        key.action.compat(),
        test_column(key.action)
    )
}

/// Rows of the section by key; rows whose first cell is not one quoted name describe behaviour.
fn rows_in_compat(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .skip_while(|line| *line != "## Configuration")
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
        .filter_map(|line| {
            let name = line.strip_prefix("| `")?.split_once("` |")?.0;
            (!name.contains('`')).then_some((name, line))
        })
        .collect()
}

/// On failure the message is the text to put into COMPAT.md.
#[test]
fn every_key_has_its_row_and_every_row_its_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../COMPAT.md");
    let text = std::fs::read_to_string(path).expect("COMPAT.md");
    let rows = rows_in_compat(&text);
    let mut wrong = String::new();
    for key in keys::all() {
        let expected = expected_row(key);
        if rows.get(key.spelling().as_str()).copied() != Some(expected.as_str()) {
            writeln!(wrong, "{expected}").expect("a String takes everything");
        }
    }
    assert!(wrong.is_empty(), "these rows are missing or differ in COMPAT.md:\n{wrong}");
    for name in rows.keys() {
        assert!(
            keys::all().iter().any(|key| key.spelling() == *name),
            "COMPAT.md has a row for {name}, the table has not"
        );
    }
}
