//! `tree`, `find` and `du`: what a subtree looks like.

use std::collections::BTreeMap;

use super::{join, number, read_subtree, strip};
use crate::commands::Session;
use crate::commands::nodes::{path, walk};
use crate::failure::Outcome;
use crate::json;
use crate::options::Parsed;
use serde_json::json;

/// Draws the tree.
pub(in crate::commands) fn tree(session: &mut Session<'_>, parsed: &Parsed) -> Outcome {
    let root = path(parsed)?;
    let depth = number(parsed.value("d"), "d")?.unwrap_or(usize::MAX);
    let client = session.client()?;
    let paths = walk(session, &client, root)?;
    let count = paths.len();
    if session.shell.is_json() {
        session.put("paths", || json::list(&paths), || None);
        return Ok(());
    }
    let level = |path: &str| strip(path, root).matches('/').count();
    let mut paths: Vec<&String> = paths.iter().filter(|path| level(path) <= depth).collect();
    paths.sort_by(|a, b| a.split('/').cmp(b.split('/')));
    for (at, path) in paths.iter().enumerate() {
        let deep = level(path);
        if deep == 0 {
            session.out(path);
            continue;
        }
        // Whether a further node follows at a level before the tree returns above it.
        let follows = |upper: usize| {
            let later = paths[at + 1..].iter().map(|path| level(path));
            later.take_while(|level| upper <= *level).any(|level| level == upper)
        };
        let bars: String =
            (1..deep).map(|upper| if follows(upper) { "│   " } else { "    " }).collect();
        let branch = if follows(deep) { "├── " } else { "└── " };
        let name = path.rsplit('/').next().unwrap_or_default();
        session.out(&format!("{bars}{branch}{name}"));
    }
    session.out(&format!("{count} nodes"));
    Ok(())
}

/// Prints the paths whose last name matches a pattern, and whose data holds a text.
pub(in crate::commands) fn find(session: &mut Session<'_>, parsed: &Parsed) -> Outcome {
    let root = path(parsed)?;
    let client = session.client()?;
    let pattern: Option<Vec<char>> = parsed.value("name").map(|text| text.chars().collect());
    let fits = |path: &str| {
        let name: Vec<char> = path.rsplit('/').next().unwrap_or_default().chars().collect();
        pattern.as_deref().is_none_or(|pattern| matches(pattern, &name))
    };
    let mut found = match parsed.value("data") {
        None => walk(session, &client, root)?,
        Some(text) => {
            let mut nodes = read_subtree(session, &client, root, false)?;
            nodes.retain(|node| {
                let data = String::from_utf8_lossy(node.data.as_deref().unwrap_or_default());
                data.contains(text)
            });
            nodes.into_iter().map(|node| join(root, &node.below)).collect()
        }
    };
    found.retain(|path| fits(path));
    let lines = (!found.is_empty()).then(|| found.join("\n"));
    session.put("paths", || json::list(&found), || lines);
    Ok(())
}

/// Whether a name matches a pattern with `*` and `?`.
fn matches(pattern: &[char], name: &[char]) -> bool {
    // The last star, and how much of the name it has swallowed.
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => (p, n) = (p + 1, n + 1),
            _ => {
                let Some((at, from)) = star else { return false };
                (p, n, star) = (at + 1, from + 1, Some((at, from + 1)));
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Sums nodes and bytes up by subtree.
pub(in crate::commands) fn du(session: &mut Session<'_>, parsed: &Parsed) -> Outcome {
    let root = path(parsed)?;
    let depth = number(parsed.value("d"), "d")?.unwrap_or(1);
    let client = session.client()?;
    let mut sums: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for node in read_subtree(session, &client, root, false)? {
        let ends = node.below.match_indices('/').map(|(at, _)| at).chain([node.below.len()]);
        for end in ends.take(depth + 1) {
            let sum = sums.entry(node.below[..end].to_owned()).or_default();
            sum.0 += 1;
            sum.1 += node.data.as_deref().map_or(0, <[u8]>::len) as u64;
        }
    }
    let mut sorted: Vec<_> = sums.into_iter().collect();
    sorted.sort_by(|(a, _), (b, _)| a.split('/').cmp(b.split('/')));
    let value = |(below, (nodes, bytes)): &(String, (u64, u64))| json!({"path": join(root, below), "nodes": nodes, "bytes": bytes});
    let line = |(below, (nodes, bytes)): &(String, (u64, u64))| {
        format!("{bytes:>12} bytes {nodes:>8} nodes  {}", join(root, below))
    };
    session.put(
        "subtrees",
        || sorted.iter().map(value).collect(),
        || Some(sorted.iter().map(line).collect::<Vec<_>>().join("\n")),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        let fits = |pattern: &str, name: &str| {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            matches(&chars(pattern), &chars(name))
        };
        for (pattern, name, expected) in [
            ("*", "", true),
            ("lock-*", "lock-0000000001", true),
            ("lock-*", "lock", false),
            ("*a*b", "xaxxbxab", true),
            ("*a*b", "xaxxbxa", false),
            ("?猫", "小猫", true),
            ("?", "", false),
            ("a", "ab", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
