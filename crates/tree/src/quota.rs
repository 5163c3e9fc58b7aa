//! Quota nodes below `/zookeeper/quota` (`client-protocol.md` 6.7): which paths have a quota, and the
//! usage each server counts into the stats nodes by itself.
//!
//! Whether an operation is refused is decided elsewhere, from [`Quota`]. The four ways to kill a Java
//! server through quota nodes are harmless here: a limits node not strictly below `/zookeeper/quota/`
//! is an ordinary node, and stats that cannot be parsed count as "nothing set".

use std::collections::BTreeMap;

use rookeeper_proto::path;

use crate::tree::DataTree;

const QUOTA: &str = "/zookeeper/quota";
const LIMITS: &str = "zookeeper_limits";
const STATS: &str = "zookeeper_stats";

/// The figures of a limits or stats node; -1 is "not set".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaFigures {
    /// Nodes: soft limit, or usage.
    pub count: i64,
    /// Bytes of data: soft limit, or usage.
    pub bytes: i64,
    /// Hard limit of nodes.
    pub count_hard: i64,
    /// Hard limit of bytes.
    pub bytes_hard: i64,
}

/// Data of a quota node that Java's parser refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MalformedQuota;

/// What is needed to enforce a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// The limits node, parsed.
    pub limits: Result<QuotaFigures, MalformedQuota>,
    /// The stats node, parsed.
    pub usage: Result<QuotaFigures, MalformedQuota>,
}

impl QuotaFigures {
    /// Parses the data of a limits or stats node; null is malformed, empty is "nothing set".
    pub fn parse(data: Option<&[u8]>) -> Result<Self, MalformedQuota> {
        let track = Track::parse(data)?;
        Ok(Self {
            count: track.get("count"),
            bytes: track.get("bytes"),
            count_hard: track.get("countHardLimit"),
            bytes_hard: track.get("byteHardLimit"),
        })
    }
}

/// The keys and values of a quota node, unknown keys included: rewriting keeps them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Track(BTreeMap<String, i64>);

impl Track {
    fn parse(data: Option<&[u8]>) -> Result<Self, MalformedQuota> {
        let text = std::str::from_utf8(data.ok_or(MalformedQuota)?).map_err(|_| MalformedQuota)?;
        let mut track = Self::default();
        // Runs of separators count as one, and one at the end is allowed.
        let text = text.trim_end_matches([',', ';']);
        if text.is_empty() {
            return Ok(track);
        }
        let mut pieces = text.split([',', ';']);
        let first = pieces.next();
        for piece in first.into_iter().chain(pieces.filter(|piece| !piece.is_empty())) {
            // Java splits at every `=` and drops empty parts at the end: `bytes=` has no value.
            let piece = piece.trim_end_matches('=');
            let (key, rest) = piece.split_once('=').ok_or(MalformedQuota)?;
            let value = rest.split('=').next().unwrap_or_default();
            let value = if value.is_empty() { Ok(-1) } else { value.parse() };
            track.0.insert(key.to_owned(), value.map_err(|_| MalformedQuota)?);
        }
        Ok(track)
    }

    fn usage(count: i64, bytes: i64) -> Self {
        Self(BTreeMap::from([("count".to_owned(), count), ("bytes".to_owned(), bytes)]))
    }

    fn get(&self, key: &str) -> i64 {
        self.0.get(key).copied().unwrap_or(-1)
    }

    fn add(&mut self, key: &str, delta: i64) {
        let sum = self.get(key).wrapping_add(delta);
        match self.0.get_mut(key) {
            Some(value) => *value = sum,
            None => {
                self.0.insert(key.to_owned(), sum);
            }
        }
    }

    /// The odd `=` in front of further keys keeps the parser of 3.4 working.
    fn render(&self) -> String {
        let mut text = format!("count={},bytes={}", self.get("count"), self.get("bytes"));
        let further =
            || self.0.iter().filter(|(key, _)| !matches!(key.as_str(), "count" | "bytes"));
        if further().next().is_some() {
            text.push('=');
        }
        for (key, value) in further() {
            text.push_str(&format!(";{key}={value}"));
        }
        text
    }
}

/// If `path` is the quota node called `name` of some path, that path.
fn quota_node_of<'p>(path: &'p str, name: &str) -> Option<&'p str> {
    let root = path.strip_suffix(name)?.strip_suffix('/')?.strip_prefix(QUOTA)?;
    (root.len() > 1 && root.starts_with('/')).then_some(root)
}

fn limits_path(root: &str) -> String {
    format!("{QUOTA}{root}/{LIMITS}")
}

fn stats_path(root: &str) -> String {
    format!("{QUOTA}{root}/{STATS}")
}

impl DataTree {
    /// The deepest quota at or above `path`, by components.
    pub fn quota_root(&self, path: &str) -> Option<&str> {
        if self.quota_roots.is_empty() {
            return None;
        }
        let mut at = path;
        while !at.is_empty() {
            if let Some(root) = self.quota_roots.get(at) {
                return Some(root);
            }
            at = path::parent(at)?;
        }
        None
    }

    /// The limits of the quota on `root`, also where it has no stats node.
    pub fn quota_limits(&self, root: &str) -> Option<Result<QuotaFigures, MalformedQuota>> {
        Some(QuotaFigures::parse(self.get(&limits_path(root))?.data()))
    }

    /// Limits and usage of the quota on `root`; `None` if either node is missing.
    pub fn quota_of(&self, root: &str) -> Option<Quota> {
        let limits = self.get(&limits_path(root))?;
        let usage = self.get(&stats_path(root))?;
        Some(Quota {
            limits: QuotaFigures::parse(limits.data()),
            usage: QuotaFigures::parse(usage.data()),
        })
    }

    /// A node was created.
    pub(crate) fn quota_created(&mut self, path: &str, bytes: i64) {
        if path.starts_with(QUOTA) {
            if let Some(root) = quota_node_of(path, LIMITS) {
                self.quota_roots.insert(root.to_owned());
            }
            if let Some(root) = quota_node_of(path, STATS) {
                self.recompute_usage(root);
            }
        }
        self.quota_changed(path, 1, bytes);
    }

    /// A node was deleted.
    pub(crate) fn quota_deleted(&mut self, path: &str, bytes: i64) {
        if let Some(root) = quota_node_of(path, LIMITS) {
            self.quota_roots.remove(root);
        }
        self.quota_changed(path, -1, -bytes);
    }

    /// Books a change into the deepest quota, if it has a stats node.
    pub(crate) fn quota_changed(&mut self, path: &str, count: i64, bytes: i64) {
        let Some(root) = self.quota_root(path) else { return };
        let Some(stats) = self.store.find(&stats_path(root)) else { return };
        let mut track = Track::parse(self.store.node(stats).data()).unwrap_or_default();
        track.add("count", count);
        track.add("bytes", bytes);
        self.overwrite_data(stats, track.render().as_bytes());
    }

    /// Counts the subtree of `root` anew; the root itself counts.
    fn recompute_usage(&mut self, root: &str) {
        let Some(stats) = self.store.find(&stats_path(root)) else { return };
        let (mut count, mut bytes) = (0, 0);
        if let Some(top) = self.store.find(root) {
            for id in self.store.walk(top) {
                count += 1;
                bytes += self.store.node(id).data_len() as i64;
            }
        }
        self.overwrite_data(stats, Track::usage(count, bytes).render().as_bytes());
    }

    /// After loading: finds all quotas and counts their usage anew.
    pub(crate) fn rebuild_quotas(&mut self) {
        let Some(top) = self.store.find(QUOTA) else { return };
        let root_of = |id| quota_node_of(self.store.node(id).path(), LIMITS).map(str::to_owned);
        self.quota_roots = self.store.walk(top).filter_map(root_of).collect();
        for root in self.quota_roots.clone() {
            self.recompute_usage(&root);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(text: &str) -> Result<(i64, i64, i64, i64), MalformedQuota> {
        QuotaFigures::parse(Some(text.as_bytes()))
            .map(|f| (f.count, f.bytes, f.count_hard, f.bytes_hard))
    }

    #[test]
    fn parsing() {
        assert_eq!(
            figures("count=4,bytes=9=;byteHardLimit=15;countHardLimit=4"),
            Ok((4, 9, 4, 15))
        );
        assert_eq!(figures("count=4,bytes=9"), Ok((4, 9, -1, -1)));
        assert_eq!(figures(""), Ok((-1, -1, -1, -1)));
        assert_eq!(figures("bytes=7==,;,count==1"), Ok((-1, 7, -1, -1)));
        for bad in
            ["x", "count=a", ",count=1", "count", "count=99999999999999999999", "bytes=", "count=="]
        {
            assert_eq!(figures(bad), Err(MalformedQuota), "{bad}");
        }
        assert_eq!(QuotaFigures::parse(None), Err(MalformedQuota));
        assert_eq!(QuotaFigures::parse(Some(&[0xff])), Err(MalformedQuota));
    }

    #[test]
    fn rendering_keeps_further_keys() {
        for text in
            ["count=4,bytes=9", "count=4,bytes=9=;byteHardLimit=15;countHardLimit=4;zebra=1"]
        {
            assert_eq!(Track::parse(Some(text.as_bytes())).unwrap().render(), text);
        }
    }

    #[test]
    fn quota_nodes_are_strictly_below() {
        assert_eq!(quota_node_of("/zookeeper/quota/a/b/zookeeper_limits", LIMITS), Some("/a/b"));
        for not in [
            "/zookeeper/quota/zookeeper_limits",
            "/zookeeper/quotaX/zookeeper_limits",
            "/zookeeper/x/zookeeper_limits",
            "/zookeeper/zookeeper_limits",
            "/zookeeper/quota/a/xzookeeper_limits",
            "/zookeeper/quota//zookeeper_limits",
        ] {
            assert_eq!(quota_node_of(not, LIMITS), None, "{not}");
        }
    }
}
