//! The command somebody meant.

/// Commands of other versions and of habit, and what does their work.
const KNOWN_AS: &[(&str, &str)] = &[
    ("ls2", "ls -s"),
    ("rmr", "deleteall"),
    ("rm", "delete"),
    ("dir", "ls"),
    ("cat", "get"),
    ("mkdir", "create"),
    ("touch", "create"),
    ("exit", "quit"),
    ("logout", "quit"),
    ("getchildren", "ls"),
    ("auth", "addauth"),
];

/// The known command nearest to `word`, if any is near.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    if let Some((_, instead)) = KNOWN_AS.iter().find(|(name, _)| *name == lower) {
        return Some(instead);
    }
    near(word, known)
}

/// The same by the letters alone.
pub fn near<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let limit = if lower.chars().count() <= 3 { 1 } else { 2 };
    known
        .map(|name| (distance(&lower, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, name)| name)
}

/// Changes, insertions, deletions and swaps of neighbours between two words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_and_far() {
        let known = ["create", "delete", "deleteall", "get", "getAcl", "ls", "set", "stat"];
        let near = |word| nearest(word, known.iter().copied());
        assert_eq!(near("crate"), Some("create"));
        assert_eq!(near("getacl"), Some("getAcl"));
        assert_eq!(near("sl"), Some("ls"));
        assert_eq!(near("ls2"), Some("ls -s"));
        assert_eq!(near("rmr"), Some("deleteall"));
        assert_eq!(near("frobnicate"), None);
        assert_eq!(near(""), None);
    }
}
