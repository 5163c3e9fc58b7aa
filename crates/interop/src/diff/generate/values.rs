//! Names, data, ACLs and limits that requests are made of.

use crate::diff::rng::Rng;
use crate::raw::Acl;

/// Names of children: few, so that they collide.
pub(super) const NAMES: &[&str] = &["a", "b", "c", "d", "n-", "\u{e9}\u{4e2d}", "with blank"];

/// Paths that are odd; `~` stands for a node that exists.
pub(super) const ODD_PATHS: &[&str] = &[
    "",
    "/",
    "//",
    "nonsense",
    "/zookeeper",
    "/zookeeper/config",
    "/zookeeper/quota",
    "~/",
    "~//x",
    "~/.",
    "~/..",
    "~/./x",
    "~/\u{0}",
    "~/\u{1}",
    "~/\u{7f}",
    "~/\u{e000}",
    "~/\u{fff0}",
    "~/\u{1f600}",
    "~/...",
    "~/x/",
    "/nowhere",
    "/nowhere/at/all",
];

/// Times to live, long enough to outlast a run, or wrong.
pub(super) const TTLS: &[i64] =
    &[86_400_000, 86_400_001, 100_000_000_000, 1_099_511_627_775, 1_099_511_627_776, 0, -1, -5];

/// Times to live that are right and outlast a run.
pub(super) const GOOD_TTLS: &[i64] = &[86_400_000, 86_400_001, 1_099_511_627_775];

/// Data of a node.
pub(super) fn data(rng: &mut Rng) -> Option<Vec<u8>> {
    let length = match rng.weighted(&[5, 12, 70, 10, 1]) {
        0 => return None,
        1 => 0,
        2 => 1 + rng.below(40),
        3 => 1 + rng.below(2000),
        _ => 1 + rng.below(60_000),
    };
    let byte = u8::try_from(rng.below(256)).expect("below 256");
    Some(vec![byte; length])
}

/// A limit node's data; rarely something a server cannot read.
pub(super) fn limits(rng: &mut Rng) -> String {
    let mut number = |most: usize| match rng.percent(40) {
        true => "-1".to_owned(),
        false => rng.below(most).to_string(),
    };
    let (count, bytes) = (number(30), number(3000));
    let (hard_count, hard_bytes) = (number(30), number(3000));
    match rng.weighted(&[30, 30, 15, 15, 2, 2]) {
        0 => format!(
            "count={count},bytes={bytes}=;byteHardLimit={hard_bytes};countHardLimit={hard_count}"
        ),
        1 => format!("count=-1,bytes=-1=;countHardLimit={hard_count}"),
        2 => format!("count=-1,bytes=-1=;byteHardLimit={hard_bytes}"),
        3 => format!("count={count},bytes={bytes}"),
        4 => "nonsense".to_owned(),
        _ => format!("count={count};bytes="),
    }
}

/// The digest ids of the credentials `alice:a` and `bob:b` (SHA-1).
const ALICE: &str = "alice:AIueg8ag5ALfqeEyKdLnva1Wvi0=";
const BOB: &str = "bob:LcrmCNs/wfVD+i5a5yaz89GyjIM=";

/// An ACL other than the open one that every server takes.
pub(super) fn good_acl(rng: &mut Rng) -> Option<Vec<Acl>> {
    let world = |perms| Acl::new(perms, "world", "anyone");
    let some = 1 + i32::try_from(rng.below(31)).expect("below 31");
    let list = match rng.below(6) {
        0 => vec![world(some)],
        1 => vec![world(some), Acl::new(31, "digest", ALICE)],
        2 => vec![Acl::new(31, "digest", ALICE), Acl::new(some, "digest", BOB)],
        3 => vec![Acl::new(31, "ip", "127.0.0.1")],
        4 => vec![Acl::new(some, "ip", "127.0.0.0/8")],
        _ => vec![Acl::new(31, "ip", "10.0.0.0/8"), world(some)],
    };
    Some(list)
}

/// An ACL other than the open one; `None` is null on the wire.
pub(super) fn acl(rng: &mut Rng) -> Option<Vec<Acl>> {
    let world = |perms| Acl::new(perms, "world", "anyone");
    let mut perms = || 1 + i32::try_from(rng.below(31)).expect("below 31");
    let (one, other) = (perms(), perms());
    let list = match rng.below(22) {
        0 => vec![world(1)],
        1 => vec![world(one)],
        2 => vec![world(one), Acl::new(31, "digest", ALICE)],
        3 => vec![Acl::new(31, "digest", ALICE), Acl::new(other, "digest", BOB)],
        4 => vec![Acl::new(31, "auth", "")],
        5 => vec![Acl::new(one, "auth", "ignored"), world(other)],
        6 => vec![Acl::new(31, "ip", "127.0.0.1")],
        7 => vec![Acl::new(one, "ip", "127.0.0.0/8")],
        8 => vec![Acl::new(31, "ip", "10.0.0.0/8"), world(one)],
        9 => vec![world(0)],
        10 => vec![world(one), world(other), world(one)],
        11 => vec![],
        12 => return None,
        13 => vec![Acl::new(31, "world", "nobody")],
        14 => vec![Acl::new(31, "nonsense", "x")],
        15 => vec![Acl::new(31, "digest", "no-hash")],
        16 => vec![Acl::new(31, "ip", "1.2.3.4/33"), world(31)],
        17 => vec![Acl { perms: 31, scheme: None, id: None }],
        18 => vec![Acl { perms: one, scheme: Some("auth".to_owned()), id: None }],
        19 => vec![Acl::new(31, "ip", "::1")],
        20 => vec![Acl::new(-1, "world", "anyone"), Acl::new(64, "digest", BOB)],
        _ => vec![world(31), Acl::new(31, "super", "x")],
    };
    Some(list)
}
