//! Every corpus and every seed once more: what was found stays fixed.

use rookeeper_fuzz::{TARGETS, check, corpus};

/// One test, so that no two runs overlap: memory is measured for the whole process.
#[test]
fn every_corpus_and_every_seed() {
    for target in TARGETS {
        let inputs = corpus::read(target).expect("a readable corpus");
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        for input in inputs.iter().chain(&seeds) {
            let outcome = std::panic::catch_unwind(|| check(target, input));
            assert!(
                outcome.is_ok(),
                "{} does not stand b\"{}\"",
                target.name,
                input.escape_ascii()
            );
        }
    }
}
