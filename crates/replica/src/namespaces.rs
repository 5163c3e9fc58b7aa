//! What is read and written below each first path component: the figures behind
//! `read_per_namespace` and `write_per_namespace` (`operations.md` 4.2, keyed sets).
//!
//! Guarantees: as Java counts (path and data in bytes; reads with 68 bytes for the Stat), bounded
//! memory, and a cost on the path of a read of one comparison with the namespace last used. Clients
//! choose namespaces, so beyond [`NAMESPACES_MAX`] further ones are not counted; Java's table grows
//! without bound.
//!
//! Java: DataTree.updateReadStat and updateWriteStat, PathUtils.getTopNamespace.

use foldhash::HashMap;

use crate::stats::Summary;

/// Namespaces counted; those that come later are not.
pub const NAMESPACES_MAX: usize = 1000;

/// Bytes of a Stat as Java's figures count it.
const STAT_BYTES: u64 = 68;

/// One namespace.
#[derive(Debug, Clone)]
pub struct Namespace {
    /// Its name, without slashes.
    pub name: Box<str>,
    /// Bytes of each read, once there was one.
    pub reads: Option<Summary>,
    /// Bytes of each write, once there was one.
    pub writes: Option<Summary>,
}

/// All namespaces.
#[derive(Debug, Clone, Default)]
pub struct Namespaces {
    /// In the order of their first use.
    all: Vec<Namespace>,
    by_name: HashMap<Box<str>, usize>,
    /// The one used last.
    last: usize,
}

/// The first component of a path; `None` for the root and for what is no path.
fn namespace_of(path: &str) -> Option<&str> {
    let rest = path.strip_prefix('/')?;
    let name = rest.find('/').map_or(rest, |end| &rest[..end]);
    (!name.is_empty()).then_some(name)
}

/// Whether `name` is [`namespace_of`] that path.
fn is_in(path: &str, name: &str) -> bool {
    let rest = path.strip_prefix('/').and_then(|rest| rest.strip_prefix(name));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Namespaces {
    /// Counts a read of `path` that yielded `bytes` of data or of names of children.
    #[inline]
    pub fn read(&mut self, path: &str, bytes: usize) {
        let total = (path.len() + bytes) as u64 + STAT_BYTES;
        if let Some(entry) = self.entry(path) {
            entry.reads.get_or_insert_default().add(total);
        }
    }

    /// Counts a write of `bytes` of data to `path`.
    pub fn write(&mut self, path: &str, bytes: usize) {
        let total = (path.len() + bytes) as u64;
        if let Some(entry) = self.entry(path) {
            entry.writes.get_or_insert_default().add(total);
        }
    }

    #[inline]
    fn entry(&mut self, path: &str) -> Option<&mut Namespace> {
        if self.all.get(self.last).is_none_or(|last| !is_in(path, &last.name)) {
            self.last = self.find_or_add(namespace_of(path)?)?;
        }
        self.all.get_mut(self.last)
    }

    fn find_or_add(&mut self, name: &str) -> Option<usize> {
        if let Some(&at) = self.by_name.get(name) {
            return Some(at);
        }
        if NAMESPACES_MAX <= self.all.len() {
            return None;
        }
        self.by_name.insert(name.into(), self.all.len());
        self.all.push(Namespace { name: name.into(), reads: None, writes: None });
        Some(self.all.len() - 1)
    }

    /// Sets all figures to zero; the names stay, as in Java.
    pub fn reset(&mut self) {
        for namespace in &mut self.all {
            for summary in [&mut namespace.reads, &mut namespace.writes].into_iter().flatten() {
                *summary = Summary::default();
            }
        }
    }

    /// All of them, in the order of their first use.
    pub fn iter(&self) -> impl Iterator<Item = &Namespace> {
        self.all.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_as_apache_counts() {
        // What 3.9.5 showed after these requests.
        let mut all = Namespaces::default();
        all.write("/app", 1);
        all.write("/app/b", 1);
        (0..4).for_each(|_| all.write("/app/x0", 1));
        all.write("/app/b", 5);
        all.write("/app/b", 0);
        all.read("/app", 1);
        all.read("/", 12);
        all.read("/app/b", 0);
        all.read("/app", 9);
        all.read("/zookeeper", 0);
        all.read("/app", 8);
        let shown = |all: &Namespaces| -> Vec<_> {
            let figures = |s: Option<Summary>| s.map(|s| (s.sum, s.count));
            let row = |n: &Namespace| (n.name.to_string(), figures(n.reads), figures(n.writes));
            all.iter().map(row).collect()
        };
        let app = ("app".to_owned(), Some((308, 4)), Some((61, 8)));
        assert_eq!(shown(&all), [app, ("zookeeper".to_owned(), Some((78, 1)), None)]);
        all.reset();
        let app = ("app".to_owned(), Some((0, 0)), Some((0, 0)));
        assert_eq!(shown(&all), [app, ("zookeeper".to_owned(), Some((0, 0)), None)]);
    }

    #[test]
    fn clients_cannot_make_it_grow_without_bound() {
        let mut all = Namespaces::default();
        (0..3 * NAMESPACES_MAX).for_each(|n| all.read(&format!("/{n}/x"), 1));
        all.read("/0", 0);
        assert_eq!(all.iter().count(), NAMESPACES_MAX);
        assert_eq!(all.iter().next().and_then(|n| n.reads).map(|reads| reads.count), Some(2));
    }
}
