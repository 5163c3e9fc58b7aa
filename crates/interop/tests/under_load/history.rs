//! What sessions saw, what is there in the end, and everything wrong between the two.

use std::collections::{BTreeMap, BTreeSet};

/// What one session did and saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// Names of acknowledged sequential znodes, `<session>:<attempt>:<number>`.
    pub(crate) named: Vec<String>,
    /// Zxids of acknowledged writes.
    pub(crate) zxids: Vec<i64>,
    /// The last acknowledged and the last attempted value of the register.
    pub(crate) register: u64,
    pub(crate) attempted: u64,
    /// Ephemerals whose create was acknowledged and which nobody deleted.
    pub(crate) ephemerals: BTreeSet<String>,
    /// Ephemerals that may be there: the answer to their create or delete was lost.
    pub(crate) unsure: BTreeSet<String>,
    /// It closed its session in the end, and that was acknowledged.
    pub(crate) is_closed: bool,
    pub(crate) reconnects: u64,
    /// Changes by others that a watch told of.
    pub(crate) events: u64,
    pub(crate) violations: Vec<String>,
}

/// What one server shows in the end.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Final {
    /// Names of sequential znodes.
    pub(crate) sequential: BTreeSet<String>,
    /// Registers by session.
    pub(crate) registers: Vec<u64>,
    /// Names of ephemerals.
    pub(crate) ephemerals: BTreeSet<String>,
}

/// Everything wrong with the histories.
pub(crate) fn check(histories: &[History], end: &Final) -> Vec<String> {
    let mut wrong: Vec<String> = Vec::new();
    let mut zxids: BTreeSet<i64> = BTreeSet::new();
    let mut may_be: BTreeSet<&String> = BTreeSet::new();
    for (at, history) in histories.iter().enumerate() {
        wrong.extend(history.violations.iter().map(|text| format!("session {at}: {text}")));
        for zxid in &history.zxids {
            if !zxids.insert(*zxid) {
                wrong.push(format!("two acknowledged writes have the zxid 0x{zxid:x}"));
            }
        }
        let lost = history.named.iter().filter(|name| !end.sequential.contains(*name));
        wrong.extend(lost.map(|name| format!("{name} was acknowledged and is lost")));
        let found = end.registers.get(at).copied().unwrap_or(0);
        if found < history.register || history.attempted < found {
            let (low, high) = (history.register, history.attempted);
            wrong.push(format!("register {at} is {found}, not between {low} and {high}"));
        }
        if !history.is_closed {
            let lost = history.ephemerals.difference(&end.ephemerals);
            wrong.extend(lost.map(|name| format!("session {at} lives and its {name} is gone")));
            may_be.extend(history.ephemerals.iter().chain(&history.unsure));
        }
    }
    let left = end.ephemerals.iter().filter(|name| !may_be.contains(name));
    wrong.extend(left.map(|name| format!("the ephemeral {name} should be gone")));
    wrong.extend(doubled(&end.sequential));
    wrong
}

/// Sequential znodes made twice, and numbers given out twice.
fn doubled(names: &BTreeSet<String>) -> Vec<String> {
    let mut wrong = Vec::new();
    let (mut attempts, mut numbers) = (BTreeMap::new(), BTreeMap::new());
    for name in names {
        let Some((attempt, number)) = name.rsplit_once(':') else {
            wrong.push(format!("nobody made {name}"));
            continue;
        };
        if let Some(other) = attempts.insert(attempt, name) {
            wrong.push(format!("attempt {attempt} made both {other} and {name}"));
        }
        if let Some(other) = numbers.insert(number, name) {
            wrong.push(format!("{other} and {name} have one number"));
        }
    }
    wrong
}

/// A history in which nothing is wrong, and the state that belongs to it.
fn sound() -> (Vec<History>, Final) {
    let name = |at: u64, n: u64| format!("{at}:{n}:{:010}", 2 * n + at);
    let ephemeral = |at: u64| BTreeSet::from([format!("{at}-3")]);
    let histories: Vec<History> = (0..3)
        .map(|at| History {
            named: (1..4).map(|n| name(3 * at, n)).collect(),
            zxids: (1..7).map(|n| (10 * at + n) as i64).collect(),
            register: 3,
            attempted: 4,
            ephemerals: ephemeral(at),
            unsure: BTreeSet::from([format!("{at}-2")]),
            is_closed: at == 2,
            ..History::default()
        })
        .collect();
    let sequential = histories.iter().flat_map(|history| history.named.clone()).collect();
    let ephemerals = BTreeSet::from(["0-3", "1-3", "1-2"].map(str::to_owned));
    (histories, Final { sequential, registers: vec![3, 4, 3], ephemerals })
}

#[test]
fn the_checker_is_silent_about_a_sound_history() {
    let (histories, end) = sound();
    assert_eq!(check(&histories, &end), Vec::<String>::new());
}

/// Among these is what an acknowledgement before the commit leaves behind: a lost write, or one whose
/// number and zxid a later leader gave out again.
#[test]
fn the_checker_finds_each_mistake() {
    let found = |doctor: &dyn Fn(&mut Vec<History>, &mut Final)| {
        let (mut histories, mut end) = sound();
        doctor(&mut histories, &mut end);
        check(&histories, &end).join("\n")
    };
    let lost = found(&|_, end| {
        end.sequential.pop_last();
    });
    assert!(lost.contains("was acknowledged and is lost"), "{lost}");
    let reused = found(&|histories, end| {
        end.sequential.insert("7:1:0000000002".to_owned());
        histories[1].zxids[0] = histories[0].zxids[0];
    });
    assert!(reused.contains("have one number"), "{reused}");
    assert!(reused.contains("two acknowledged writes have the zxid 0x1"), "{reused}");
    let doubled = found(&|_, end| {
        end.sequential.insert("0:1:0000000099".to_owned());
    });
    assert!(doubled.contains("made both"), "{doubled}");
    let back = found(&|_, end| end.registers[0] = 2);
    assert!(back.contains("register 0 is 2"), "{back}");
    let never = found(&|_, end| end.registers[0] = 9);
    assert!(never.contains("register 0 is 9"), "{never}");
    let dead = found(&|_, end| {
        end.ephemerals.remove("1-3");
    });
    assert!(dead.contains("session 1 lives and its 1-3 is gone"), "{dead}");
    let left = found(&|_, end| {
        end.ephemerals.insert("2-3".to_owned());
    });
    assert!(left.contains("the ephemeral 2-3 should be gone"), "{left}");
}
