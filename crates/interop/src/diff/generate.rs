//! Makes a script from a seed.
//!
//! A rough model of the tree (it ignores ACLs and most errors) keeps the paths interesting: most requests
//! hit nodes that exist, versions that are near, names that collide. Left out on purpose: what kills
//! Apache's server for good (the reference marks it POISON), deleteContainer and createSession from a
//! client, and changes to the nodes all scripts share.
//!
//! Three races of Apache's with itself shape the batches, all found by running Apache against Apache. A
//! write is checked against the ACL and the quota usage that have been *applied*, so a setACL ends its
//! batch, and in scripts that enforce quotas a batch has at most one write. A createContainer with the
//! flags of an ephemeral counts as ephemeral until it is applied, so it ends its batch too.

mod model;
mod requests;
mod values;

use super::profile::Profile;
use super::rng::Rng;
use super::script::{Action, Numbered, Op, Script, Step};
use crate::raw::Acl;
use crate::raw::codes::op;
use requests::Requests;

const BATCH_MOST: usize = 40;
const SESSIONS_MOST: usize = 4;
/// Operation codes no server knows.
const UNKNOWN_CODES: [i32; 6] = [0, -1, 10, 13, 42, 888];

/// What the generator keeps in mind of one session.
#[derive(Clone, Copy, Debug, Default)]
struct Session {
    exists: bool,
    connected: bool,
    authenticated: bool,
}

struct Generator {
    rng: Rng,
    profile: Profile,
    sessions: Vec<Session>,
    requests: Requests,
    one_write: bool,
    steps: Vec<Step>,
    numbers: usize,
    made: usize,
}

/// The script of a seed, with about `ops` requests, under `root`, for servers of that profile.
pub fn script(seed: u64, profile: Profile, ops: usize, root: &str) -> Script {
    let mut rng = Rng::new(seed);
    let sessions = vec![Session::default(); 1 + rng.below(SESSIONS_MOST)];
    // Unenforced quotas race with nothing.
    let quotas = profile != Profile::Extended || rng.percent(30);
    let mut generator = Generator {
        profile,
        requests: Requests::new(root, profile, quotas),
        one_write: profile == Profile::Extended && quotas,
        rng,
        sessions,
        steps: Vec::new(),
        numbers: 0,
        made: 0,
    };
    generator.begin(root);
    while generator.made < ops {
        generator.step();
    }
    Script {
        root: root.to_owned(),
        sessions: generator.sessions.len(),
        steps: generator.steps,
        numbers: generator.numbers,
    }
}

impl Generator {
    fn number(&mut self) -> usize {
        self.numbers += 1;
        self.numbers
    }

    fn push(&mut self, session: usize, action: Action) {
        let number = self.number();
        self.steps.push(Step { number, session, action });
        self.made += 1;
    }

    fn batch(&mut self, session: usize, ops: Vec<Op>) {
        self.made += ops.len();
        let ops = ops.into_iter().map(|op| Numbered { number: self.number(), op }).collect();
        self.push(session, Action::Batch(ops));
        self.made -= 1;
    }

    fn begin(&mut self, root: &str) {
        self.open(0);
        self.authenticate(0, true);
        let acl = Some(Acl::open());
        let (path, data) = (root.to_owned(), Some(b"root".to_vec()));
        let create = Op::Create { code: op::CREATE, path, data, acl, flags: 0, ttl: None };
        self.batch(0, vec![create]);
    }

    fn open(&mut self, session: usize) {
        let timeout_ms = *self.rng.pick(&[300_000, 600_000, 10_000_000]);
        let read_only = *self.rng.pick(&[Some(false), Some(false), Some(true), None]);
        self.push(session, Action::Open { timeout_ms, read_only });
        self.sessions[session] = Session { exists: true, connected: true, authenticated: false };
    }

    fn resume(&mut self, session: usize) {
        self.push(session, Action::Resume { steal: false, wrong_password: false, ahead: false });
        self.sessions[session].connected = true;
        self.sessions[session].authenticated = false;
    }

    fn authenticate(&mut self, session: usize, surely: bool) {
        let (scheme, credentials) = self.requests.credentials(&mut self.rng, surely);
        let accepted = scheme == "digest" && credentials.is_some() || scheme == "ip";
        let counts = scheme == "digest";
        self.batch(session, vec![Op::Auth { scheme, credentials }]);
        self.sessions[session].connected = accepted;
        self.sessions[session].authenticated |= accepted && counts;
    }

    fn step(&mut self) {
        let session = self.rng.below(self.sessions.len());
        let state = self.sessions[session];
        if !state.exists {
            self.open(session);
        } else if !state.connected {
            self.resume(session);
        } else if self.profile == Profile::EnforceAuth && !state.authenticated {
            if self.rng.percent(85) {
                let surely = self.rng.percent(95);
                self.authenticate(session, surely);
            } else {
                let op = self.requests.any(&mut self.rng, session);
                self.batch(session, vec![op]);
                self.sessions[session].connected = false;
            }
        } else {
            self.act(session);
        }
    }

    /// At most `size` requests that may go out together.
    fn some(&mut self, session: usize, size: usize) -> Vec<Op> {
        let mut ops = Vec::with_capacity(size);
        while ops.len() < size {
            let op = self.requests.any(&mut self.rng, session);
            let last = races_with_followers(&op) || self.one_write && op.may_write();
            ops.push(op);
            if last {
                break;
            }
        }
        ops
    }

    fn act(&mut self, session: usize) {
        match self.rng.weighted(&[880, 40, 30, 12, 8, 6, 10, 10, 4]) {
            0 => {
                let size = 1 + self.rng.below(BATCH_MOST);
                let ops = self.some(session, size);
                self.batch(session, ops);
            }
            1 => self.authenticate(session, false),
            2 => {
                self.push(session, Action::Drop);
                self.sessions[session].connected = false;
            }
            choice @ 3..=5 => {
                let (wrong_password, ahead) = (choice == 4, choice == 5);
                let steal = self.rng.percent(50);
                self.push(session, Action::Resume { steal, wrong_password, ahead });
                self.sessions[session].connected = choice == 3;
                self.sessions[session].authenticated = false;
            }
            6 => {
                let code = *self.rng.pick(&UNKNOWN_CODES);
                self.batch(session, vec![Op::Malformed { code, body: vec![0; 8] }]);
                self.sessions[session].connected = false;
            }
            7 => {
                let size = self.rng.below(6);
                let mut ops = self.some(session, size);
                if self.one_write {
                    ops.clear();
                }
                ops.push(Op::CloseSession);
                self.batch(session, ops);
                self.sessions[session] = Session::default();
                self.requests.closed(session);
            }
            _ => self.batch(session, vec![Op::Sasl { token: b"token".to_vec() }]),
        }
    }
}

/// Whether Apache answers writes behind this one differently before and after it is applied.
fn races_with_followers(op: &Op) -> bool {
    match op {
        Op::SetAcl { .. } => true,
        Op::Create { code: op::CREATE_CONTAINER, flags, .. } => matches!(flags, 1 | 3),
        Op::Multi { ops, .. } => ops.iter().any(races_with_followers),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_script() {
        assert_eq!(
            script(7, Profile::Extended, 300, "/r"),
            script(7, Profile::Extended, 300, "/r")
        );
        assert_ne!(
            script(7, Profile::Extended, 300, "/r"),
            script(8, Profile::Extended, 300, "/r")
        );
    }

    #[test]
    fn nothing_that_kills_apache_is_generated() {
        for seed in 0..300 {
            for step in script(seed, Profile::of(seed), 300, "/r").steps {
                let Action::Batch(ops) = step.action else { continue };
                for Numbered { op, .. } in ops {
                    assert!(!matches!(op.code(), op::DELETE_CONTAINER | op::CREATE_SESSION));
                    if let Op::Create { code: op::CREATE_TTL, flags, ttl, .. } = &op {
                        assert!(
                            *flags >= 5 || *flags < 0 || ttl.is_some_and(|ttl| ttl >= 0),
                            "{op:?}"
                        );
                    }
                    if let Op::SetData { path, .. } = &op {
                        assert!(!path.ends_with("zookeeper_stats"), "{op:?}");
                    }
                }
            }
        }
    }
}
