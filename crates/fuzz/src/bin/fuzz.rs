//! The search: libFuzzer calls the target named by `ROOKEEPER_FUZZ_TARGET`. Started by `scripts/fuzz`.
#![no_main]

use std::sync::OnceLock;

use rookeeper_fuzz::{TARGETS, Target, check};

fn target() -> &'static Target {
    static TARGET: OnceLock<&'static Target> = OnceLock::new();
    TARGET.get_or_init(|| {
        let name = std::env::var("ROOKEEPER_FUZZ_TARGET").unwrap_or_default();
        Target::named(&name).unwrap_or_else(|| {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            eprintln!("ROOKEEPER_FUZZ_TARGET must be one of {}", names.join(", "));
            std::process::exit(2)
        })
    })
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| check(target(), data));
