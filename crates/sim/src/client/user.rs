//! What a client's program does with the core: it begins, asks, changes its mind, closes, dies.

use std::collections::BTreeSet;
use std::rc::Rc;

use rookeeper_proto::SessionId;
use rookeeper_proto::acl::RequestAcls;
use rookeeper_proto::client::Request;
use rookeeper_proto::client::request::{Create, PathKind, PathWatch};
use rookeeper_session::{Call, Config, Session, WatchChange, WatchKind, WatcherType};

use super::workload::{self, Action};
use super::{Client, NO_SCHEME, Process, SCHEME, SUPER_SECRET, credentials, now_ms};
use crate::checkers::promises::Promises;
use crate::checkers::session_order::SessionOrder;
use crate::ctx::Ctx;
use crate::violation::Check;

/// How long a user waits for a first connection.
const PATIENCE_US: u64 = 5_000_000;

impl Client {
    /// The user does something; returns the pause before the next thing.
    pub(super) fn act(&mut self, ctx: &mut Ctx, ops_left: &mut u64) -> Check<u64> {
        let Some(process) = &self.process else {
            self.start(ctx)?;
            return Ok(ctx.rng.between(1000, 50_000));
        };
        if !process.is_established && process.begun_us + PATIENCE_US < ctx.now_us {
            self.die(ctx, "no connection in time");
            return Ok(ctx.rng.spread(20_000));
        }
        // What is asked without a connection, or of a session being closed, mostly fails unsent: a
        // little of it is enough.
        let is_served = process.core.state().is_connected() && !process.is_closing;
        let is_likely = is_served || ctx.rng.chance(50);
        let is_free = is_likely && (process.core.pending() as u64) < ctx.plan.habits.window + 2;
        let timeout_us = process.core.timeout_ms().saturating_mul(1000);
        if is_free && ctx.is_healing {
            self.ask_proof(ctx)?;
        } else if is_free && *ops_left > 0 && !self.is_operator {
            *ops_left -= 1;
            ctx.counts.operations += 1;
            self.ask_random(ctx)?;
        }
        let think = ctx.plan.habits.think_us;
        Ok(ctx.rng.spread(think).min(timeout_us / 8 + 1))
    }

    /// A process begins: with a new session, or with one that another has left.
    fn start(&mut self, ctx: &mut Ctx) -> Check {
        let max_ms = ctx.plan.replica.max_session_timeout_ms as u64;
        let min_ms = ctx.plan.replica.min_session_timeout_ms as u64;
        let timeout_ms = if ctx.rng.chance(100) && !ctx.is_healing {
            ctx.rng.pick(&[0, 1, u32::MAX])
        } else {
            ctx.rng.between(min_ms, max_ms) as u32
        };
        let (resume, first_xid) = match self.left.take() {
            Some((left, xid)) => (Some(left), xid),
            None => (None, 1),
        };
        ctx.counts.taken_over += u64::from(resume.is_some());
        let share = ctx.plan.habits.read_only_per_mille;
        let known = if ctx.rng.chance(100) { vec![credentials(0)] } else { Vec::new() };
        let auths = known.iter().map(|secret| (SCHEME.to_owned(), secret.as_bytes().to_vec()));
        let config = Config {
            servers: ctx.machines.len(),
            timeout_ms,
            seed: ctx.rng.u64(),
            in_flight_max: ctx.plan.habits.window as usize,
            fail_fast: ctx.rng.chance(300),
            resume: resume.clone(),
            first_xid,
            auths: auths.collect(),
            read_only: share > 0 && ctx.rng.chance(share),
            ..Config::default()
        };
        let secrets = known.into_iter().map(String::into_bytes).collect();
        let promises = Promises::new(config.fail_fast, resume, secrets);
        ctx.note(&self.who, format_args!("begins, time-out {timeout_ms}"));
        self.process = Some(Process {
            core: Session::new(config, now_ms(ctx)),
            promises,
            order: SessionOrder::default(),
            begun_us: ctx.now_us,
            is_closing: false,
            is_established: false,
            is_refused: false,
            calls: 0,
            watchers: 0,
            garbage: BTreeSet::new(),
            xid: first_xid - 1,
            unknown: Vec::new(),
            is_super: false,
        });
        self.settle(ctx)
    }

    /// Asks what the operator wants, if it can; with the superuser's power or without.
    pub(crate) fn operate(
        &mut self,
        ctx: &mut Ctx,
        request: &Request<'_>,
        is_super: bool,
    ) -> Check {
        let Some(process) = &mut self.process else { return Ok(()) };
        if !process.core.state().is_connected() {
            return Ok(());
        }
        if is_super && !process.is_super {
            process.is_super = true;
            let (id, secret) = (process.next_call(), SUPER_SECRET.as_bytes().to_vec());
            process.promises.asked_auth(id, &secret);
            self.with_core(ctx, |core, now| core.add_auth(id, SCHEME.to_owned(), secret, now))?;
        }
        self.ask(ctx, Call::new(request), false)
    }

    fn ask_random(&mut self, ctx: &mut Ctx) -> Check {
        let users = Rc::clone(&self.users);
        let Some(process) = &mut self.process else { return Ok(()) };
        match workload::draw(&ctx.plan, &mut ctx.rng, &users, &mut process.watchers) {
            Action::Ask(calls) => {
                for (call, is_garbage) in calls {
                    self.ask(ctx, call, is_garbage)?;
                }
            }
            Action::Auth(user) => {
                let (id, is_bad) = (process.next_call(), ctx.rng.chance(30));
                let (scheme, secret) = match is_bad {
                    true => (NO_SCHEME.to_owned(), NO_SCHEME.to_owned()),
                    false => (SCHEME.to_owned(), credentials(user)),
                };
                let secret = secret.into_bytes();
                process.promises.asked_auth(id, &secret);
                self.with_core(ctx, |core, now| core.add_auth(id, scheme, secret, now))?;
            }
            Action::Close => self.close(ctx)?,
            Action::Drop if ctx.rng.chance(ctx.plan.habits.rearm_per_mille) => {
                self.lose_transport(ctx)?;
            }
            Action::Drop => {
                let known = process.core.credentials().cloned();
                self.left = known.map(|known| (known, process.xid + 1));
                self.die(ctx, "so it pleases");
                if ctx.rng.chance(100) {
                    // The next one may come too late.
                    let max_ms = ctx.plan.replica.max_session_timeout_ms as u64;
                    self.late_us = ctx.rng.between(1000, 3 * max_ms * 1000);
                }
            }
            Action::Cancel => {
                if let Some(id) = process.promises.one_pending(ctx.rng.index(100)) {
                    ctx.counts.cancelled += 1;
                    process.promises.cancelled(id);
                    self.with_core(ctx, |core, _| core.cancel(id))?;
                }
            }
            Action::Unwatch => {
                if let Some((_, kind, path)) = process.promises.one_watch(ctx.rng.index(100)) {
                    let which = match kind {
                        _ if ctx.rng.chance(300) => WatcherType::Any,
                        WatchKind::Data | WatchKind::Exist => WatcherType::Data,
                        WatchKind::Child => WatcherType::Children,
                        WatchKind::Persistent => WatcherType::Persistent,
                        WatchKind::PersistentRecursive => WatcherType::PersistentRecursive,
                    };
                    let kind = which as i32;
                    let request =
                        Request::RemoveWatches(PathKind { path: Some(path.as_str().into()), kind });
                    let call = Call::new(&request);
                    let watch = WatchChange::Remove { path, which, locally: ctx.rng.chance(300) };
                    self.ask(ctx, Call { watch, ..call }, false)?;
                }
            }
            Action::Forget => {
                if let Some((id, kind, path)) = process.promises.one_watch(ctx.rng.index(100)) {
                    ctx.counts.forgotten += 1;
                    process.promises.forgot(id, kind, &path);
                    self.with_core(ctx, |core, now| core.forget_watch(id, kind, &path, now))?;
                }
            }
        }
        Ok(())
    }

    fn ask(&mut self, ctx: &mut Ctx, call: Call, is_garbage: bool) -> Check {
        let Some(process) = &mut self.process else { return Ok(()) };
        let id = process.next_call();
        if is_garbage {
            process.garbage.insert(id);
        }
        process.promises.asked(id, &call);
        self.with_core(ctx, |core, now| core.submit(id, call, now))
    }

    /// Behind the faults: a write that must succeed, and a read.
    fn ask_proof(&mut self, ctx: &mut Ctx) -> Check {
        if self.served.0 > 0 && self.served.1 > 0 {
            return Ok(());
        }
        let create = Create {
            path: Some(self.path.as_str().into()),
            data: None,
            acls: Some(RequestAcls::Open),
            flags: 2,
            ttl_ms: -1,
        };
        let write = Call::new(&Request::Create(create));
        let read = PathWatch { path: Some("/".into()), watch: false };
        self.ask(ctx, write, false)?;
        self.ask(ctx, Call::new(&Request::GetChildren2(read)), false)
    }

    /// Closes the session properly.
    fn close(&mut self, ctx: &mut Ctx) -> Check {
        let Some(process) = &mut self.process else { return Ok(()) };
        let id = process.next_call();
        process.promises.asked_close(id);
        process.is_closing = true;
        self.with_core(ctx, |core, now| core.close(id, now))
    }

    /// The process is gone from one moment to the next. Its session lives on.
    fn die(&mut self, ctx: &mut Ctx, why: &str) {
        ctx.note(&self.who, format_args!("dies: {why}"));
        self.hang_up(ctx);
        self.end_process(ctx);
    }

    pub(super) fn end_process(&mut self, ctx: &mut Ctx) {
        let Some(process) = self.process.take() else { return };
        let executed = |write: &&(SessionId, i32)| ctx.history.is_executed(write.0, write.1);
        ctx.counts.unknown_executed += process.unknown.iter().filter(executed).count() as u64;
    }

    /// The run is over for this client: it closes its session or vanishes.
    pub(crate) fn drain(&mut self, ctx: &mut Ctx) {
        self.is_drained = true;
        self.is_leaving = true;
        self.plan(ctx);
    }

    pub(super) fn leave(&mut self, ctx: &mut Ctx) -> Check {
        let is_open = self.wire.as_ref().is_some_and(|wire| wire.is_open && !wire.is_closing);
        if is_open && ctx.rng.chance(500) {
            return self.close(ctx);
        }
        self.die(ctx, "it vanishes");
        Ok(())
    }
}
