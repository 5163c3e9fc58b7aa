//! Writes that would kill a Java peer for good, and that are therefore never proposed
//! (`client-protocol.md` 6.7, `[POISON]`).
//!
//! Java keeps quota roots by cutting a fixed number of characters off paths and parses stats nodes
//! while it applies: what these functions refuse makes it throw there, on every replica and again
//! at every restart. None of it has a use.

use rookeeper_proto::CreateMode;
use rookeeper_proto::client::request::{Create, SetData, Text};
use rookeeper_proto::client::{MultiOp, Request};

const LIMITS: &str = "/zookeeper_limits";
const STATS: &str = "/zookeeper_stats";
const SYSTEM: &str = "/zookeeper";
const QUOTA: &str = "/zookeeper/quota";

/// Whether a Java leader would propose what Java cannot apply: asked by learners, which do not prepare.
pub(crate) fn is_fatal(request: &Request<'_>) -> bool {
    match request {
        Request::Create(c) | Request::Create2(c) | Request::CreateContainer(c) => {
            names_fatal_limits_node(&c.path)
        }
        Request::CreateTtl(c) => is_timeless(c) || names_fatal_limits_node(&c.path),
        Request::Delete(d) => names_fatal_limits_node(&d.path),
        Request::SetData(s) => sets_fatal_stats(s),
        Request::Multi(ops) => ops.iter().any(|op| match op {
            MultiOp::Create(c)
            | MultiOp::Create2(c)
            | MultiOp::CreateContainer(c)
            | MultiOp::CreateTtl(c) => names_fatal_limits_node(&c.path),
            MultiOp::Delete(d) => names_fatal_limits_node(&d.path),
            MultiOp::SetData(s) => sets_fatal_stats(s),
            MultiOp::Check(_) | MultiOp::GetData(_) | MultiOp::GetChildren(_) => false,
        }),
        _ => false,
    }
}

/// A createTTL of a mode without a time to live passes Java's checks if its time is negative; outside a
/// multi it keeps its type, which is then applied as that of a TTL node.
fn is_timeless(create: &Create<'_>) -> bool {
    let mode = CreateMode::from_flags(create.flags);
    mode.is_some_and(|mode| !mode.is_ttl()) && create.ttl_ms < 0
}

fn names_fatal_limits_node(path: &Text<'_>) -> bool {
    path.as_deref().is_some_and(is_fatal_limits_node)
}

fn sets_fatal_stats(set: &SetData<'_>) -> bool {
    set.path.as_deref().is_some_and(|path| is_fatal_stats(path, set.data))
}

/// A limits node whose creation or deletion Java cannot apply: directly below a node whose path
/// begins like the system's own and is too short to have the quota prefix cut off.
pub(super) fn is_fatal_limits_node(path: &str) -> bool {
    match path.strip_suffix(LIMITS) {
        Some(parent) => parent.starts_with(SYSTEM) && parent.encode_utf16().count() <= QUOTA.len(),
        None => false,
    }
}

/// Data of a stats node that Java would fail to parse at the next change below the quota.
pub(super) fn is_fatal_stats(path: &str, data: Option<&[u8]>) -> bool {
    path.ends_with(STATS)
        && path.strip_prefix(QUOTA).is_some_and(|rest| rest.starts_with('/'))
        && !data.is_some_and(java_parses)
}

/// Java's parser: pieces between runs of `,` and `;`, each split at every `=` with empty parts at
/// the end dropped, of which two must be left; an empty second part means -1.
fn java_parses(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let text = text.trim_end_matches([',', ';']);
    if text.is_empty() {
        return true;
    }
    // Only in front does a separator leave an empty piece, which then fails.
    !text.starts_with([',', ';'])
        && text.split([',', ';']).filter(|piece| !piece.is_empty()).all(|piece| {
            let mut parts = piece.trim_end_matches('=').split('=').skip(1);
            parts.next().is_some_and(|value| value.is_empty() || value.parse::<i64>().is_ok())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_nodes() {
        for fatal in [
            "/zookeeper/quota/zookeeper_limits",
            "/zookeeper/zookeeper_limits",
            "/zookeeper/x/zookeeper_limits",
            "/zookeeperA/zookeeper_limits",
            "/zookeeper/\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}/zookeeper_limits",
        ] {
            assert!(is_fatal_limits_node(fatal), "{fatal}");
        }
        for harmless in [
            "/zookeeper/quota/a/zookeeper_limits",
            "/zookeeper/quotaX/zookeeper_limits",
            "/a/zookeeper_limits",
            "/zookeeper_limits",
            "/zookeeper/quota/zookeeper_stats",
            "/zookeeper/quota/zookeeper_limitsX",
        ] {
            assert!(!is_fatal_limits_node(harmless), "{harmless}");
        }
    }

    #[test]
    fn requests() {
        let create = |flags, ttl_ms| Create {
            path: Some("/zookeeper/zookeeper_limits".into()),
            data: None,
            acls: None,
            flags,
            ttl_ms,
        };
        let harmless = |flags, ttl_ms| Create { path: Some("/a".into()), ..create(flags, ttl_ms) };
        let set = |data| SetData {
            path: Some("/zookeeper/quota/f/zookeeper_stats".into()),
            data: Some(data),
            version: -1,
        };
        assert!(is_fatal(&Request::Create(create(0, -1))));
        assert!(is_fatal(&Request::SetData(set(b"count"))));
        assert!(!is_fatal(&Request::SetData(set(b"count=1"))));
        for (flags, ttl_ms, expected) in
            [(0, -1, true), (0, 1, false), (5, -1, false), (9, -1, false)]
        {
            let create = harmless(flags, ttl_ms);
            assert_eq!(is_fatal(&Request::CreateTtl(create.clone())), expected, "{flags} {ttl_ms}");
            assert!(!is_fatal(&Request::Multi(vec![MultiOp::CreateTtl(create)])));
        }
        let multi = |op| Request::Multi(vec![MultiOp::Create(harmless(0, -1)), op]);
        assert!(is_fatal(&multi(MultiOp::Create2(create(0, -1)))));
        assert!(is_fatal(&multi(MultiOp::SetData(set(b"x")))));
    }

    #[test]
    fn stats_data() {
        let path = "/zookeeper/quota/f/zookeeper_stats";
        for good in [
            "",
            ",;",
            "count=1,bytes=5",
            "count=4,bytes=9=;byteHardLimit=15;countHardLimit=4",
            "count==7",
            "=5",
            "x=-1,;,",
            "count=+1",
        ] {
            assert!(!is_fatal_stats(path, Some(good.as_bytes())), "{good}");
        }
        for bad in ["x", "count", "count=", "count==", ",count=1", "=", "count=a", "count= 1"] {
            assert!(is_fatal_stats(path, Some(bad.as_bytes())), "{bad}");
        }
        assert!(is_fatal_stats(path, None));
        assert!(is_fatal_stats(path, Some(&[0xff])));
        for elsewhere in
            ["/f/zookeeper_stats", "/zookeeper/quotaX/zookeeper_stats", "/zookeeper/quota/f"]
        {
            assert!(!is_fatal_stats(elsewhere, None), "{elsewhere}");
        }
    }
}
