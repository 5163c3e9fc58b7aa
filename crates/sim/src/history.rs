//! What really happened: every request sent, every txn prepared, in the model's words.
//!
//! A standalone server's txn enters when it is handed to the log, and leaves again if the log loses it
//! before anybody was told. An ensemble's enters when the first server delivers it, and never leaves.
//! What a request must come to is decided here, by executing it on the model, and
//! compared with the record at once; the replies are compared when they reach the client.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use rookeeper_proto::acl::Id;
use rookeeper_proto::client::Request;
use rookeeper_proto::client::Response;
use rookeeper_proto::client::{MultiResult, RequestHeader};
use rookeeper_proto::txn::{Record, Txn};
use rookeeper_proto::{OpCode, Reader, SessionId, Zxid};
use rookeeper_zab::EnsembleConfig;

use crate::model::write::{Reply, Writer};
use crate::model::{Kind, Model, ModelOptions, TxnEntry, membership};
use crate::violation::{Check, broken};

/// A request as its client sent it.
#[derive(Debug)]
pub struct Sent {
    /// The session it was sent for.
    pub session: SessionId,
    /// Its xid.
    pub xid: i32,
    /// Its operation.
    pub op: OpCode,
    /// The frame without its length.
    pub frame: Vec<u8>,
    /// The connection's identities.
    pub ids: Rc<[Id]>,
    /// The newest txn that anybody had been shown: the reply must not be older.
    pub floor: Zxid,
    /// Whether its body is no request.
    pub is_garbage: bool,
}

impl Sent {
    /// The decoded request; `None` for garbage.
    pub fn request(&self) -> Option<Request<'_>> {
        let mut reader = Reader::new(&self.frame);
        RequestHeader::read(&mut reader).ok()?;
        if self.is_garbage {
            return None;
        }
        Request::read(self.op, &mut reader).ok()
    }
}

/// The run's history.
#[derive(Debug)]
pub struct History {
    /// The tree at every zxid.
    pub model: Model,
    sent: BTreeMap<(SessionId, i32), Rc<Sent>>,
    newest_cxid: BTreeMap<SessionId, i32>,
    /// The newest txn any client has been shown.
    pub revealed: Zxid,
    /// The request behind the newest txn, if a client sent one.
    pub proposed: Option<Rc<Sent>>,
    is_ensemble: bool,
    /// The newest members that the history knows of, and since which txn. `None` where they cannot change.
    pub members: Option<(Arc<EnsembleConfig>, Zxid)>,
    /// Sessions that began as local ones: no txn tells of them unless they are made global.
    pub local: BTreeSet<SessionId>,
    /// Writes that found their session moved or ended.
    pub session_errors: u64,
    /// Followers serve observers: they refuse what comes late.
    pub has_observer_masters: bool,
    /// Writes refused by them.
    pub refused_by_followers: u64,
}

const NAME: &str = "history";

impl History {
    /// An empty history.
    pub fn new(options: ModelOptions, is_ensemble: bool) -> Self {
        Self {
            model: Model::new(options),
            sent: BTreeMap::new(),
            newest_cxid: BTreeMap::new(),
            revealed: Zxid::ZERO,
            proposed: None,
            is_ensemble,
            members: None,
            local: BTreeSet::new(),
            session_errors: 0,
            has_observer_masters: false,
            refused_by_followers: 0,
        }
    }

    /// A client has sent a write.
    pub fn on_sent(&mut self, sent: &Rc<Sent>) {
        self.sent.insert((sent.session, sent.xid), Rc::clone(sent));
    }

    /// Whether a write that was sent has been executed, or refused.
    pub fn is_executed(&self, session: SessionId, xid: i32) -> bool {
        !self.sent.contains_key(&(session, xid))
    }

    /// Whether only one server knew this session at some time since `zxid`.
    pub fn was_local_since(&self, session: SessionId, zxid: Zxid) -> bool {
        let upgraded = self.model.session(session).map(|life| life.created);
        self.local.contains(&session) && upgraded.is_none_or(|upgraded| zxid < upgraded)
    }

    /// Whether only one server knows this session.
    pub fn is_local(&self, session: SessionId) -> bool {
        self.was_local_since(session, self.model.last())
    }

    /// Somebody was shown the state of `zxid`.
    pub fn reveal(&mut self, zxid: Zxid) -> Check {
        // A new leader names its epoch before the first txn in it.
        let is_epoch = self.is_ensemble && zxid.counter() == 0;
        if self.model.last() < zxid && !is_epoch {
            let last = self.model.last();
            return broken("durability", format!("{zxid} was shown, but the newest txn is {last}"));
        }
        self.revealed = self.revealed.max(zxid);
        Ok(())
    }

    /// The server has handed a txn to its log.
    pub fn propose(&mut self, zxid: Zxid, bytes: &[u8]) -> Check<&TxnEntry> {
        let Ok(record) = Record::read(bytes) else {
            return broken(NAME, format!("the record of {zxid} cannot be decoded"));
        };
        let last = self.model.last();
        let is_next = if self.is_ensemble { zxid.follows(last) } else { zxid == last.next() };
        if !is_next || record.header.zxid != zxid {
            let (last, named) = (self.model.last(), record.header.zxid);
            return broken(NAME, format!("{zxid} (header: {named}) was prepared behind {last}"));
        }
        let no_effect = self.without_effect(&record).filter(|_| self.is_ensemble);
        if let Some(reply) = no_effect {
            self.refuse(&record, reply)?;
            self.model.set_record(bytes);
            return self.entry(zxid);
        }
        self.execute(&record)?;
        self.model.set_record(bytes);
        let entry = self.entry(zxid)?;
        check_record(&self.model, &record, entry)?;
        Ok(entry)
    }

    /// What is answered to a write that changes nothing because its session had moved or ended. A learner
    /// may have sent its client's closeSession while the leader closed the session itself.
    fn without_effect(&self, record: &Record<'_>) -> Option<Reply> {
        let life = self.model.session(record.header.session);
        match record.txn {
            Txn::CloseSession(_) if life.is_some_and(|life| life.closed.is_some()) => {
                Some(Ok(Response::Empty))
            }
            Txn::Error(code @ REFUSED_BY_A_FOLLOWER) if self.has_observer_masters => {
                Some(Err(code))
            }
            _ => session_error(&record.txn),
        }
    }

    fn entry(&self, zxid: Zxid) -> Check<&TxnEntry> {
        match self.model.txn(zxid) {
            Some(entry) => Ok(entry),
            None => broken(NAME, format!("{zxid} is not in the model")),
        }
    }

    /// A learner's server sent this for a session that had moved on or ended: it changes nothing, and
    /// may come behind what the session sent later by another way.
    fn refuse(&mut self, record: &Record<'_>, reply: Reply) -> Check {
        self.proposed = None;
        self.session_errors += 1;
        let is_by_follower = matches!(record.txn, Txn::Error(REFUSED_BY_A_FOLLOWER));
        self.refused_by_followers += u64::from(is_by_follower);
        let header = &record.header;
        let (session, cxid, zxid) = (header.session, header.cxid, header.zxid);
        let op = match self.sent.remove(&(session, cxid)) {
            Some(sent) => sent.op,
            // The server's own closing of a session.
            None if cxid == 0 => OpCode::CloseSession,
            None => return broken(NAME, format!("{zxid}: {session} never sent cxid {cxid}")),
        };
        let is_ended = self.model.session(session).is_none_or(|life| life.closed.is_some());
        if reply == Err(EPHEMERAL_ON_LOCAL) && !self.is_local(session) {
            return broken(
                "expiry",
                format!("{zxid}: {session} is not local, but refused as such"),
            );
        }
        if reply == Err(SESSION_EXPIRED) && !is_ended {
            return broken("expiry", format!("{zxid}: session {session} lives, but is refused"));
        }
        self.model.refuse(zxid, session, cxid, op, reply);
        Ok(())
    }

    fn execute(&mut self, record: &Record<'_>) -> Check {
        self.proposed = None;
        let header = &record.header;
        let (session, cxid) = (header.session, header.cxid);
        let server = Writer { session, cxid, ids: &[], zxid: header.zxid, time_ms: header.time_ms };
        match &record.txn {
            Txn::CreateSession { timeout_ms } => {
                if self.model.session(session).is_some() {
                    return broken(NAME, format!("the id of session {session} was given twice"));
                }
                self.model.execute(server, &Request::CreateSession { timeout_ms: *timeout_ms });
                return Ok(());
            }
            Txn::CloseSession(_) if cxid == 0 => {
                self.model.execute(server, &Request::CloseSession);
                return Ok(());
            }
            _ if session == SessionId::NONE => {
                let path = match &record.txn {
                    Txn::Delete { path, is_container: true } => Some(path.clone()),
                    Txn::Error(_) => None,
                    other => return broken(NAME, format!("the server itself wrote {other:?}")),
                };
                // What failed does not say on which node; then it must at least change nothing.
                let path = path.unwrap_or_else(|| "/ /".into());
                self.model.execute(server, &Request::DeleteContainer(Some(path)));
                return Ok(());
            }
            _ => {}
        }
        let Some(sent) = self.sent.remove(&(session, cxid)) else {
            let what = format!("{}: session {session} never sent cxid {cxid}", header.zxid);
            return broken(NAME, what + ", or it was executed before");
        };
        // What fails before its session is looked at may come late by a way the session has left.
        let may_be_late = self.is_ensemble && does_nothing(&record.txn);
        let newest = self.newest_cxid.entry(session).or_insert(i32::MIN);
        if cxid <= *newest && !may_be_late {
            let what = format!("cxid {cxid} of session {session} executed behind {newest}");
            return broken("session_order", what);
        }
        *newest = cxid.max(*newest);
        match self.model.session(session) {
            Some(life) if life.closed.is_none() => {}
            None if self.local.contains(&session) => {}
            // Nor is the session looked at for what does nothing, as an empty multi.
            Some(_) if may_be_late => {}
            life => {
                let what = format!("{}: a write of session {session}, {life:?}", header.zxid);
                return broken("expiry", what);
            }
        }
        let Some(request) = sent.request() else {
            return broken(NAME, format!("garbage of session {session} became a txn"));
        };
        let writer = Writer { ids: &sent.ids, ..server };
        match (&request, self.members.take()) {
            (Request::Reconfig(wanted), Some((before, since))) => {
                let found = if let Txn::Error(code) = record.txn { code } else { 0 };
                let is_possible = since.epoch() == header.zxid.epoch();
                if found == membership::IN_PROGRESS && !is_possible {
                    let what = format!("{}: no reconfig is in progress", header.zxid);
                    return broken("membership", what);
                }
                let after = membership::changed(&before, wanted, found);
                let after = after.map(|after| Arc::new(after.with_version(header.zxid.0)));
                let text = after.as_ref().map(|after| after.to_string());
                self.model.reconfigure(writer, text.map_err(|code| *code));
                let is_done = self.model.txn(header.zxid).is_some_and(|txn| txn.reply.is_ok());
                let asked_too_much = found == 0 || found == NO_AUTH;
                self.members = Some(match after {
                    Ok(after) if is_done => (after, header.zxid),
                    // Until the turn ends the leader takes one that is refused behind its judgement for
                    // pending.
                    _ if asked_too_much => (before, header.zxid),
                    _ => (before, since),
                });
            }
            (_, members) => {
                self.members = members;
                self.model.execute(writer, &request);
            }
        }
        self.proposed = Some(Rc::clone(&sent));
        self.check_ephemerals_of_local(session, header.zxid)
    }

    /// A local session owns nothing.
    fn check_ephemerals_of_local(&self, session: SessionId, zxid: Zxid) -> Check {
        let Some(txn) = self.model.txn(zxid).filter(|_| self.is_local(session)) else {
            return Ok(());
        };
        let created = txn.changes.iter().filter(|change| change.kind == Kind::Created);
        let mut nodes = created.filter_map(|change| self.model.at(&change.path, zxid));
        match nodes.find(|node| node.stat.ephemeral_owner == session.0) {
            Some(node) => broken("ephemerals", format!("{zxid}: local {session} owns {node:?}")),
            None => Ok(()),
        }
    }

    /// The log has lost everything behind `last`, or refused it.
    pub fn truncate(&mut self, last: Zxid) -> Vec<TxnEntry> {
        self.model.truncate(last)
    }
}

/// Whether nothing is done.
fn does_nothing(txn: &Txn<'_>) -> bool {
    match txn {
        Txn::Error(_) => true,
        Txn::Multi(parts) => {
            parts.is_empty() || parts.iter().any(|part| matches!(part, Txn::Error(_)))
        }
        _ => false,
    }
}

const NO_AUTH: i32 = -102;
/// A follower that serves observers has put a request that never succeeds in the place of one that came late.
const REFUSED_BY_A_FOLLOWER: i32 = -8;
const SESSION_EXPIRED: i32 = -112;
const SESSION_MOVED: i32 = -118;
/// A local session asks for an ephemeral.
pub const EPHEMERAL_ON_LOCAL: i32 = -120;

/// What a write comes to whose session had moved or ended.
fn session_error(txn: &Txn<'_>) -> Option<Reply> {
    let is_one = |code: i32| matches!(code, SESSION_EXPIRED | SESSION_MOVED | EPHEMERAL_ON_LOCAL);
    match txn {
        Txn::Error(code) if is_one(*code) => Some(Err(*code)),
        Txn::Multi(parts)
            if parts.iter().any(|part| matches!(part, Txn::Error(code) if is_one(*code))) =>
        {
            let code = |part: &Txn<'_>| match part {
                Txn::Error(code) => MultiResult::Error(*code),
                _ => MultiResult::Error(0),
            };
            Some(Ok(Response::Multi(parts.iter().map(code).collect())))
        }
        _ => None,
    }
}

/// Compares the record the server wrote with what the model made of the same request.
fn check_record(model: &Model, record: &Record<'_>, entry: &TxnEntry) -> Check {
    let zxid = entry.zxid;
    let agrees = match (&record.txn, &entry.reply) {
        (Txn::Error(_), Err(_)) if entry.session == SessionId::NONE => true,
        (Txn::Error(code), Err(expected)) => code == expected,
        (Txn::Error(_), Ok(_)) | (_, Err(_)) => false,
        (Txn::Multi(parts), Ok(Response::Multi(results))) => multi_agrees(parts, results),
        (Txn::Create { create, .. } | Txn::CreateTtl { create, .. }, reply) => {
            path_of(reply) == Some(&*create.path)
        }
        (Txn::CreateContainer(create), reply) => path_of(reply) == Some(&*create.path),
        (Txn::SetData { data, is_reconfig: true, .. }, Ok(Response::Stat(_))) => {
            let config = model.at("/zookeeper/config", zxid);
            config.is_some_and(|config| config.data.as_deref() == *data)
        }
        (Txn::SetData { version, .. }, Ok(Response::Stat(stat))) => stat.version == *version,
        (Txn::SetAcl { version, .. }, Ok(Response::Stat(stat))) => stat.aversion == *version,
        _ => true,
    };
    if !agrees {
        let what = format!("{zxid} became {:?}, expected {:?}", record.txn, entry.reply);
        return broken("writes", what);
    }
    if let Some(digest) = record.digest
        && digest.digest != entry.digest
    {
        let what = format!(
            "{zxid}: the record says {:x}, the model {:x}, after {:?}",
            digest.digest, entry.digest, record.txn
        );
        return broken("digest", what);
    }
    Ok(())
}

fn path_of(reply: &Reply) -> Option<&str> {
    match reply {
        Ok(Response::Path(path) | Response::PathStat(path, _)) => Some(path),
        _ => None,
    }
}

fn multi_agrees(parts: &[Txn<'_>], results: &[MultiResult<'static>]) -> bool {
    let failed = results.iter().position(|r| matches!(r, MultiResult::Error(code) if *code != 0));
    let recorded = parts.iter().position(|part| matches!(part, Txn::Error(_)));
    let codes_agree = match failed.map(|at| (&results[at], parts.get(at))) {
        Some((MultiResult::Error(code), Some(Txn::Error(recorded)))) => code == recorded,
        Some(_) => false,
        None => true,
    };
    parts.len() == results.len() && failed == recorded && codes_agree
}
