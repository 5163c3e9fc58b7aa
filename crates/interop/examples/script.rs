//! Prints the differential script of a seed: `cargo run --example script -- SEED [OPS]`.

use rookeeper_interop::diff::profile::Profile;
use rookeeper_interop::diff::{compare, generate, run};

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let seed = arguments.next().and_then(Result::ok).unwrap_or(0);
    let ops = arguments.next().and_then(Result::ok).unwrap_or(500);
    let ops = usize::try_from(ops).unwrap_or(500);
    let script = generate::script(seed, Profile::of(seed), ops, &format!("/d{seed:08}"));
    print!("{}", compare::listing(&script, &run::Transcript::default()));
}
