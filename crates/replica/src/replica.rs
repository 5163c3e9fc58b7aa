//! The replica itself: all of its state, and the inputs that are neither a client's frame nor a
//! committed txn (those are in [`crate::frontend`] and [`crate::applier`]).

use std::collections::VecDeque;

use rookeeper_proto::client::Request;
use rookeeper_proto::{ErrorCode, OpCode, SessionId, Zxid};
use rookeeper_tree::{DataTree, WatchTable};

use crate::auth::{AuthRegistry, Identities};
use crate::clock::Now;
use crate::config::ReplicaConfig;
use crate::conns::Conns;
use crate::frontend::quiet::Quiet;
use crate::limits;
use crate::membership::Membership;
use crate::notice::Notice;
use crate::ordering::{LogCommand, Ordering, Origin};
use crate::outbox::{ConnId, Outbox};
use crate::prep::{Prep, PrepConfig, SessionState, WriteRequest};
use crate::sessions::{Owner, SessionTracker};
use crate::snapshotter::Snapshotter;
use crate::stats::Stats;
use crate::throttle::{ConnectionTokens, LargeRequests};

/// One server without I/O.
///
/// Methods are of four kinds: `on_*` are inputs, `take_*` hand out work for other stages, `tick`
/// does what time demands, the rest are queries.
#[derive(Debug)]
pub struct Replica {
    pub(crate) config: ReplicaConfig,
    pub(crate) tree: DataTree,
    pub(crate) watches: WatchTable<ConnId>,
    pub(crate) auth: AuthRegistry,
    pub(crate) prep: Prep,
    pub(crate) sessions: SessionTracker,
    pub(crate) conns: Conns,
    pub(crate) ordering: Ordering,
    pub(crate) snapshotter: Snapshotter,
    pub(crate) stats: Stats,
    pub(crate) connection_tokens: ConnectionTokens,
    pub(crate) large_requests: LargeRequests,
    pub(crate) notices: Vec<Notice>,
    /// Connections told to wait, in the order of being told.
    pub(crate) paused: Vec<ConnId>,
    /// Connections by the moment at which they must have a session.
    pub(crate) sessionless: VecDeque<(u64, ConnId)>,
    pub(crate) catch_up_events: Vec<u8>,
    pub(crate) log_state: LogState,
    pub(crate) role: Role,
    /// Leader with `reconfigEnabled`: what a reconfig is judged by.
    pub(crate) membership: Option<Membership>,
    /// Learner: what is to be sent to the leader.
    pub(crate) forwards: Vec<Forward>,
    /// Learner: syncs on their way, in order; answers carry no name.
    pub(crate) syncs: VecDeque<ConnId>,
    /// Without a leader: connections that were kept.
    pub(crate) quiet: Option<Quiet>,
    pub(crate) next_container_check_ms: u64,
    started_ms: u64,
}

/// Whether the log takes records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogState {
    /// It does.
    Open,
    /// Its disk is full: reads go on, writes close their connection.
    Full,
}

/// What a replica does with writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Orders them alone.
    Standalone,
    /// Has no leader: serves nobody.
    Looking,
    /// Prepares and proposes them.
    Leading,
    /// Sends them to the leader and applies what comes back.
    Following,
    /// The same, without a vote.
    Observing,
    /// Has had no leader for a while: refuses them, and serves readers.
    ReadOnly,
}

impl Role {
    /// Whether writes are sent to a leader.
    pub fn is_learner(self) -> bool {
        matches!(self, Self::Following | Self::Observing)
    }

    /// As `srvr` and `mntr` name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Looking => "looking",
            Self::Leading => "leader",
            Self::Following => "follower",
            Self::Observing => "observer",
            Self::ReadOnly => "read-only",
        }
    }
}

/// Learner: something for the leader.
#[derive(Debug)]
pub enum Forward {
    /// A client's write, or its sync.
    Request {
        /// The session.
        session: SessionId,
        /// The request's xid.
        cxid: i32,
        /// The request's operation.
        op: OpCode,
        /// The request's body, which was decoded here: a Java leader does not survive others.
        body: Vec<u8>,
        /// The client's identities.
        ids: Identities,
    },
    /// Does this session live?
    Revalidate {
        /// The session.
        session: SessionId,
        /// The time-out its client negotiated.
        timeout_ms: i32,
    },
}

/// What a replica is made of besides its configuration.
#[derive(Debug)]
pub struct Parts {
    /// The recovered tree.
    pub tree: DataTree,
    /// The authentication schemes.
    pub auth: AuthRegistry,
    /// Settings of preparation.
    pub prep: PrepConfig,
    /// How it begins: alone, or in an ensemble and so without a leader.
    pub role: Role,
    /// Draws the distance to the next snapshot.
    pub seed: u64,
}

impl Replica {
    /// A replica over a recovered tree. Sessions of the tree start with a full time-out.
    pub fn new(now: Now, config: ReplicaConfig, parts: Parts) -> Self {
        let seed_ms = u64::try_from(now.wall_ms).unwrap_or(0);
        let mut sessions = SessionTracker::new(config.tick_time_ms, config.server_id, seed_ms);
        for (&id, &timeout_ms) in parts.tree.sessions() {
            sessions.track(now.mono_ms(), id, timeout_ms);
        }
        let prep = Prep::new(parts.prep, parts.tree.last_zxid(), parts.tree.digest());
        let snapshotter = Snapshotter::new(&config, parts.seed);
        Self {
            next_container_check_ms: now.mono_ms() + config.container_check_interval_ms,
            auth: parts.auth,
            tree: parts.tree,
            watches: WatchTable::new(parts.seed),
            prep,
            sessions,
            conns: Conns::default(),
            ordering: Ordering::default(),
            snapshotter,
            stats: Stats::new(),
            connection_tokens: ConnectionTokens::new(
                config.connection_tokens,
                now.mono_ms(),
                parts.seed,
            ),
            large_requests: LargeRequests::new(config.large_requests),
            notices: Vec::new(),
            paused: Vec::new(),
            sessionless: VecDeque::new(),
            catch_up_events: Vec::new(),
            log_state: LogState::Open,
            role: parts.role,
            membership: None,
            forwards: Vec::new(),
            syncs: VecDeque::new(),
            quiet: None,
            started_ms: now.mono_ms(),
            config,
        }
    }

    /// Proposes to close sessions that own ephemerals but are not in the session table: what a
    /// crash of a Java server may leave (`quorum-protocol.md` 3.13). To be called once, first.
    pub fn close_orphaned_sessions(&mut self, now: Now) {
        let orphans: Vec<SessionId> = self
            .tree
            .ephemeral_owners()
            .filter(|owner| !self.tree.sessions().contains_key(owner))
            .collect();
        for session in orphans {
            self.sessions.track(now.mono_ms(), session, 0);
            self.sessions.set_closing(session);
            self.order(now, &Request::CloseSession, session, None);
        }
    }

    /// Prepares a write, gives it its zxid, and queues its record for the log.
    pub(crate) fn order(
        &mut self,
        now: Now,
        request: &Request<'_>,
        session: SessionId,
        origin: Option<Origin>,
    ) -> Zxid {
        if origin.is_some() {
            self.claim(session, Owner::Here);
        }
        let server = Identities::default();
        let ids = match origin.and_then(|origin| self.conns.at(origin.conn)) {
            Some(conn) => &conn.ids,
            None => &server,
        };
        let reconfig = judge_reconfig(&mut self.membership, request, self.prep.next_zxid());
        let mut scratch = self.ordering.take_scratch();
        let write = WriteRequest {
            session,
            session_state: self.session_state(session, Owner::Here, request),
            cxid: origin.map_or(0, |origin| origin.xid.0),
            time_ms: now.wall_ms,
            request,
            ids,
            reconfig: reconfig.as_ref().map(|text| text.as_deref().map_err(|code| *code)),
        };
        let zxid = self.prep.prepare(&self.tree, &self.auth, &write, &mut scratch).zxid;
        self.stats.on_proposal(scratch.len());
        if self.snapshotter.on_append(scratch.len()) {
            self.ordering.roll();
        }
        self.ordering.push(zxid, scratch, origin, self.role == Role::Leading);
        zxid
    }

    /// Leader: as of now.
    pub(crate) fn set_membership(&mut self, membership: Option<Membership>) {
        self.membership = membership;
    }

    /// Something of a session came by way of `from`. The first way under a leader counts, until another server
    /// asks whether the session lives (Java: `SessionTrackerImpl.checkSession`): who was kept while there was no
    /// leader is not asked for, and might have been left.
    pub(crate) fn claim(&mut self, session: SessionId, from: Owner) {
        if let Some(slot) = self.sessions.find(session)
            && let Some(session) = self.sessions.at_mut(slot)
            && session.owner == Owner::Nobody
            && !session.is_local
        {
            session.owner = from;
        }
    }

    /// What is known of the session of a write that came by way of `from`.
    pub(crate) fn session_state(
        &self,
        session: SessionId,
        from: Owner,
        request: &Request<'_>,
    ) -> SessionState {
        match self.sessions.session(session) {
            Some(session) if session.is_closing => SessionState::Expired,
            Some(session) if session.is_local && from == Owner::Here => {
                self.local_session_state(request)
            }
            Some(session) if session.owner == from || session.owner == Owner::Nobody => {
                SessionState::Live
            }
            Some(_) if planted!(SessionMoveIgnored) => SessionState::Live,
            Some(session)
                if planted!(OwnerForgotten)
                    && session.owner == Owner::Here
                    && session.conn.is_none() =>
            {
                SessionState::Live
            }
            Some(_) => SessionState::Moved,
            None if from != Owner::Here && self.may_be_local_elsewhere(session) => {
                SessionState::Foreign
            }
            None => SessionState::Expired,
        }
    }

    /// Does what time demands: expires sessions, removes expired containers and TTL nodes, closes
    /// connections that never opened a session.
    pub fn tick(&mut self, now: Now, outbox: &mut impl Outbox) {
        self.close_sessionless(now, outbox);
        if self.role.is_learner() || self.role == Role::ReadOnly {
            // The others are expired by the leader.
            return self.expire_local_sessions(now, outbox);
        }
        if !self.accepts_writes() {
            return;
        }
        for session in self.sessions.expire(now.mono_ms()) {
            self.note_expired(session);
            if self.sessions.is_local(session) {
                self.end_local_session(session, outbox);
            } else {
                self.order(now, &Request::CloseSession, session, None);
            }
        }
        if self.next_container_check_ms <= now.mono_ms() {
            self.next_container_check_ms =
                now.mono_ms() + self.config.container_check_interval_ms.max(1);
            self.remove_expired_nodes(now);
        }
    }

    /// Java spaces the deletes evenly (`znode.container.maxPerMinute`); here at most as many as
    /// belong to one interval are ordered at once, and the log's batching absorbs them.
    fn remove_expired_nodes(&mut self, now: Now) {
        let per_interval = self
            .config
            .container_max_per_minute
            .saturating_mul(self.config.container_check_interval_ms)
            / 60_000;
        let limit = usize::try_from(per_interval.max(1)).unwrap_or(usize::MAX);
        let candidates: Vec<String> = self
            .tree
            .expiry_candidates(
                now.wall_ms,
                self.config.container_max_never_used_ms,
                limit.min(limits::EXPIRY_CANDIDATES_MAX),
            )
            .into_iter()
            .map(str::to_owned)
            .collect();
        for path in candidates {
            let request = Request::DeleteContainer(Some(path.into()));
            self.order(now, &request, SessionId::NONE, None);
        }
    }

    fn close_sessionless(&mut self, now: Now, outbox: &mut impl Outbox) {
        while let Some(&(deadline_ms, id)) = self.sessionless.front() {
            if now.mono_ms() < deadline_ms {
                break;
            }
            self.sessionless.pop_front();
            if self.conns.at(id).is_some_and(|conn| conn.slot.is_none()) {
                self.stats.sessionless_expired += 1;
                self.close_conn(id, outbox);
            }
        }
    }

    /// When [`Replica::tick`] has something to do next, in milliseconds of the monotonic clock.
    pub fn next_deadline_ms(&self) -> u64 {
        let sessions = self.sessions.next_deadline_ms().unwrap_or(u64::MAX);
        let sessionless = self.sessionless.front().map_or(u64::MAX, |&(at, _)| at);
        let due = match self.role {
            Role::Looking => self.quiet_deadline_ms().unwrap_or(u64::MAX),
            Role::Following | Role::Observing | Role::ReadOnly => sessions,
            _ if !self.accepts_writes() => u64::MAX,
            Role::Standalone | Role::Leading => sessions.min(self.next_container_check_ms),
        };
        due.min(sessionless)
    }

    /// Whether a write may be prepared now.
    pub fn accepts_writes(&self) -> bool {
        self.log_state == LogState::Open && !matches!(self.role, Role::Looking | Role::ReadOnly)
    }

    /// Whether clients are taken, and words about the server answered.
    pub fn serves_clients(&self) -> bool {
        match self.role {
            Role::Looking => false,
            Role::Leading => self.config.leader_serves,
            Role::Standalone | Role::Following | Role::Observing | Role::ReadOnly => true,
        }
    }

    /// What it does with writes.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The log's disk is full. What is prepared but not logged is dropped, and the connections that
    /// wait for it are closed: their outcome is unknown to their clients, as after any lost reply.
    /// `logged` is the last txn the log holds.
    pub fn on_log_full(&mut self, logged: Zxid, outbox: &mut impl Outbox) {
        self.log_state = LogState::Full;
        self.notices.push(Notice::WritesStopped);
        for txn in self.ordering.drop_all() {
            let Some(origin) = txn.origin else { continue };
            if origin.op == OpCode::CreateSession {
                self.sessions.remove(origin.session);
            }
            self.close_conn(origin.conn, outbox);
        }
        self.large_requests.clear();
        self.prep.restart(logged, self.tree.digest());
        self.snapshotter.on_log_dropped();
        // Sessions whose closing was dropped are closed when writes go on. Their requests were
        // dropped silently meanwhile, so their connections end: later ones must not be answered.
        let closing = self.sessions.iter().filter(|session| session.is_closing);
        let conns: Vec<ConnId> = closing.filter_map(|session| session.conn).collect();
        conns.into_iter().for_each(|conn| self.close_conn(conn, outbox));
        self.sessions.reopen_closing();
        // Whoever is left waits for nothing any more.
        self.resume_paused(outbox);
    }

    /// The log takes records again.
    pub fn on_log_room(&mut self) {
        if self.log_state == LogState::Full {
            self.log_state = LogState::Open;
            self.notices.push(Notice::WritesResumed);
        }
    }

    /// Whether the log takes records.
    pub fn log_state(&self) -> LogState {
        self.log_state
    }

    /// Moves the log's work to `work`, which must be empty. Returns whether there is any.
    pub fn take_log_work(&mut self, work: &mut Vec<LogCommand>) -> bool {
        self.ordering.take_log_work(work)
    }

    /// What an operator should read since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// The tree.
    pub fn tree(&self) -> &DataTree {
        &self.tree
    }

    /// The watches.
    pub fn watches(&self) -> &WatchTable<ConnId> {
        &self.watches
    }

    /// The sessions.
    pub fn sessions(&self) -> &SessionTracker {
        &self.sessions
    }

    /// The connections.
    pub fn conns(&self) -> &Conns {
        &self.conns
    }

    /// The figures.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Resets the server's figures (`srst`).
    pub fn reset_stats(&mut self) {
        self.stats.reset();
    }

    /// Resets the figures of every connection (`crst`).
    pub fn reset_conn_stats(&mut self) {
        self.conns.iter_mut().for_each(|conn| conn.stats.reset());
    }

    /// A four-letter word arrived: a packet of four bytes in Java's figures.
    pub fn on_four_letter_word(&mut self, id: ConnId) {
        self.stats.packets_received += 1;
        self.stats.bytes_received += 4;
        if let Some(conn) = self.conns.at_mut(id) {
            conn.stats.received += 1;
        }
    }

    /// It was answered. Java counts every full buffer of its writer as a packet, and no empty one.
    pub fn on_four_letter_answer(&mut self, bytes: usize) {
        self.stats.packets_sent += bytes.div_ceil(limits::FOUR_LETTER_PACKET_BYTES) as u64;
    }

    /// A client closed its connection on its own.
    pub fn on_peer_closed(&mut self) {
        self.stats.closed_by_peer += 1;
    }

    /// Whether a request of this size may be read now (`largeRequestMaxBytes`); counts a refusal.
    pub fn admits_request_of(&mut self, bytes: usize) -> bool {
        let admits = self.large_requests.admits(bytes);
        self.stats.large_requests_rejected += u64::from(!admits);
        admits
    }

    /// The connect throttle.
    pub fn connection_tokens(&self) -> &ConnectionTokens {
        &self.connection_tokens
    }

    /// Requests in the pipeline: prepared writes not applied yet.
    pub fn outstanding(&self) -> usize {
        self.ordering.in_flight()
    }

    /// The configuration.
    pub fn config(&self) -> &ReplicaConfig {
        &self.config
    }

    /// Milliseconds since the replica was made.
    pub fn uptime_ms(&self, now: Now) -> u64 {
        now.mono_ms().saturating_sub(self.started_ms)
    }
}

/// The configuration that a reconfig asks for; `None` for other requests, and where there is no
/// ensemble. At most one is let through until the peer has taken note of it.
pub(crate) fn judge_reconfig(
    membership: &mut Option<Membership>,
    request: &Request<'_>,
    zxid: Zxid,
) -> Option<Result<String, ErrorCode>> {
    let (Request::Reconfig(request), Some(membership)) = (request, membership) else { return None };
    let judged = membership.judge(request, zxid);
    membership.is_pending |= judged.is_ok();
    Some(judged)
}
