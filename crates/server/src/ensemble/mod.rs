//! The shell around a member of an ensemble: its two further ports, its dials, its history reads.
//!
//! What a packet means and what is to be sent is decided in `zab` and `replica::member`; here bytes
//! and names of connections are passed on. Both ports share the clients' reactor.

pub(crate) mod config_files;
mod dial;
mod history;
mod oracle;
pub(crate) mod start;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rookeeper_net::{ConnId, Io, ListenOptions, ListenerTag, Waker};
use rookeeper_proto::Sid;
use rookeeper_proto::quorum::ServerState;
use rookeeper_replica::{IoEffect, Member, Now, Outbox};
use rookeeper_storage::Disk;
use rookeeper_zab::{Conn, EnsembleConfig, HistoryAnswer};

use crate::mailbox::Mailbox;
use config_files::ConfigFiles;
use dial::{Dials, Target};
use history::{Histories, Source};
use oracle::OracleFile;

/// Connections accepted on the election port.
pub(crate) const ELECTION_PORT: ListenerTag = ListenerTag(2);
/// Connections accepted on the quorum port.
pub(crate) const QUORUM_PORT: ListenerTag = ListenerTag(3);
/// Connections accepted on the port on which a follower serves observers.
pub(crate) const OBSERVER_PORT: ListenerTag = ListenerTag(4);

/// Which port's protocol a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    Election,
    Quorum,
}

/// What other threads did for this one.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A name was resolved (or not).
    Resolved { tag: u32, addresses: Vec<SocketAddr> },
    /// The log was read, or `has_more` of what was wanted.
    History { conn: Conn, answer: HistoryAnswer, has_more: bool },
}

/// This server's place in the ensemble.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// This server.
    pub(crate) me: Sid,
    /// Where the quorum port listens while this server leads.
    pub(crate) quorum: Vec<SocketAddr>,
    /// `observerMasterPort`: on the hosts of the quorum port, while this server serves observers; 0 = never.
    pub(crate) observer_master_port: u16,
    /// Where the election port listens.
    pub(crate) election: Vec<SocketAddr>,
    /// `quorumListenOnAllIPs`.
    pub(crate) is_anywhere: bool,
    /// Where a membership that changes is kept.
    pub(crate) files: ConfigFiles,
    /// How long a dial may take (`cnxTimeout`).
    pub(crate) dial_timeout: Duration,
    /// `tcpKeepAlive`: keepalive on election connections.
    pub(crate) keeps_alive: bool,
    /// `oraclePath`.
    pub(crate) oracle: Option<PathBuf>,
    /// Where the log is, for learners that are behind.
    pub(crate) log_dir: PathBuf,
    /// Longest record of the log.
    pub(crate) record_bytes_max: usize,
}

/// The shell's side of a member.
pub(crate) struct Ensemble {
    pub(crate) member: Box<Member>,
    place: Place,
    answers: Arc<Mailbox<Answer>>,
    histories: Histories,
    waker: Waker,
    dials: Dials,
    ports: BTreeMap<Conn, Port>,
    /// Sent to, and not reported as drained.
    undrained: Vec<Conn>,
    /// When to look whether what was sent has left: at once behind this turn's flush, then every
    /// millisecond while a connection is blocked.
    look_again: Option<Instant>,
    listens: bool,
    listens_for_observers: bool,
    oracle: Option<OracleFile>,
    inbox: Vec<Answer>,
}

impl Ensemble {
    pub(crate) fn new(member: Member, place: Place, disk: Arc<dyn Disk>, waker: Waker) -> Self {
        let answers: Arc<Mailbox<Answer>> = Arc::default();
        let source = Source {
            disk,
            log_dir: place.log_dir.clone(),
            record_bytes_max: place.record_bytes_max,
            answers: Arc::clone(&answers),
            waker: waker.clone(),
        };
        Self {
            member: Box::new(member),
            dials: Dials::new(place.dial_timeout),
            oracle: place.oracle.clone().map(|path| OracleFile::new(path, Instant::now())),
            place,
            answers,
            histories: Histories::new(source),
            waker,
            ports: BTreeMap::new(),
            undrained: Vec::new(),
            look_again: None,
            listens: false,
            listens_for_observers: false,
            inbox: Vec::new(),
        }
    }

    /// The port a connection belongs to; `None` for a client's.
    pub(crate) fn port_of(&self, conn: ConnId) -> Option<Port> {
        self.ports.get(&Conn(conn.as_u64())).copied()
    }

    pub(crate) fn on_accept(&mut self, now: Now, conn: ConnId, listener: ListenerTag, io: &mut Io) {
        io.exempt(conn);
        if self.place.keeps_alive && listener == ELECTION_PORT {
            io.keep_alive(conn);
        }
        let conn = Conn(conn.as_u64());
        if listener == ELECTION_PORT {
            self.ports.insert(conn, Port::Election);
            self.member.on_election_accepted(now, conn);
        } else {
            self.ports.insert(conn, Port::Quorum);
            self.member.on_learner_accepted(now, conn);
        }
    }

    pub(crate) fn on_bytes(
        &mut self,
        now: Now,
        port: Port,
        conn: ConnId,
        bytes: &[u8],
        outbox: &mut impl Outbox,
    ) {
        let conn = Conn(conn.as_u64());
        match port {
            Port::Election => self.member.on_election_bytes(now, conn, bytes),
            Port::Quorum => self.member.on_quorum_bytes(now, conn, bytes, outbox),
        }
    }

    /// True if it was a connection of the ensemble.
    pub(crate) fn on_closed(&mut self, now: Now, id: ConnId, io: &mut Io) -> bool {
        let conn = Conn(id.as_u64());
        if let Some(dial) = self.dials.take_by_conn(id) {
            self.dial_failed(now, dial, io);
            return true;
        }
        self.histories.forget(conn);
        match self.ports.remove(&conn) {
            Some(Port::Election) => self.member.on_election_closed(now, conn),
            Some(Port::Quorum) => self.member.on_quorum_closed(now, conn),
            None => return false,
        }
        true
    }

    pub(crate) fn on_connected(&mut self, now: Now, id: ConnId, tag: u32, io: &mut Io) {
        io.exempt(id);
        let conn = Conn(id.as_u64());
        match self.dials.take(tag).map(|dial| dial.target) {
            Some(Target::Election(sid)) => {
                if self.place.keeps_alive {
                    io.keep_alive(id);
                }
                self.ports.insert(conn, Port::Election);
                self.member.on_election_connected(now, sid, conn);
            }
            Some(Target::Leader) => {
                self.ports.insert(conn, Port::Quorum);
                self.member.on_leader_connected(now, conn);
            }
            None => {}
        }
    }

    pub(crate) fn on_connect_failed(&mut self, now: Now, tag: u32, io: &mut Io) {
        if let Some(dial) = self.dials.take(tag) {
            self.dial_failed(now, dial, io);
        }
    }

    /// Tries the next address, or gives up.
    fn dial_failed(&mut self, now: Now, dial: dial::Dial, io: &mut Io) {
        let target = dial.target;
        if self.dials.next_address(dial, io) {
            return;
        }
        match target {
            Target::Election(sid) => self.member.on_election_connect_failed(now, sid),
            Target::Leader => self.member.on_leader_connect_failed(now),
        }
    }

    /// Answers of other threads.
    pub(crate) fn on_wake(&mut self, now: Now, io: &mut Io) {
        let mut inbox = std::mem::take(&mut self.inbox);
        self.answers.take_all(&mut inbox);
        for answer in inbox.drain(..) {
            match answer {
                Answer::Resolved { tag, addresses } => {
                    if let Some(dial) = self.dials.resolved(tag, addresses) {
                        self.dial_failed(now, dial, io);
                    }
                }
                Answer::History { conn, answer, has_more } => {
                    if !has_more {
                        self.histories.forget(conn);
                    }
                    self.member.on_history(now, conn, answer);
                }
            }
        }
        self.inbox = inbox;
    }

    /// Tells the peer which connections have taken everything.
    pub(crate) fn report_drained(&mut self, now: Now, io: &mut Io) {
        let mut still = Vec::new();
        for conn in std::mem::take(&mut self.undrained) {
            if io.queued(ConnId::from_u64(conn.0)) != 0 {
                still.push(conn);
                continue;
            }
            match self.ports.get(&conn) {
                Some(Port::Election) => self.member.on_election_drained(now, conn),
                Some(Port::Quorum) => self.member.on_quorum_drained(now, conn),
                None => {}
            }
        }
        if !still.is_empty() && self.look_again.is_none() {
            self.look_again = Some(io.now() + Duration::from_millis(1));
        }
        self.undrained.append(&mut still);
    }

    /// Carries out what the member asked for.
    pub(crate) fn carry_out(&mut self, io: &mut Io) {
        for effect in self.member.take_io() {
            match effect {
                IoEffect::ConnectElection { sid, addresses } => {
                    self.dial(Target::Election(sid), addresses, io);
                }
                IoEffect::ConnectLeader { addresses, .. } => {
                    self.dial(Target::Leader, addresses, io);
                }
                IoEffect::Send { conn, bytes } => self.send(conn, &bytes, io),
                IoEffect::Close { conn } => {
                    self.ports.remove(&conn);
                    self.histories.forget(conn);
                    io.close_after_flush(ConnId::from_u64(conn.0));
                }
                IoEffect::ReadHistory { conn, after, through } => {
                    self.histories.read(conn, (after, through));
                }
                // The log is handed this turn's records behind these: the file is there first.
                IoEffect::SaveLastSeenConfig(config) => self.place.files.save_last_seen(&config),
                IoEffect::ActivateConfig(config) => self.activate(&config, io),
                IoEffect::Note { is_warning: true, text } => tracing::warn!("{text}"),
                IoEffect::Note { is_warning: false, text } => tracing::info!("{text}"),
            }
        }
        self.listen_for_learners(io);
    }

    /// Other members are in force; this server's own ports may be others, too.
    fn activate(&mut self, config: &EnsembleConfig, io: &mut Io) {
        tracing::info!("the members are now, as of version {:x}:\n{config}", config.version);
        self.place.files.activate(config);
        let Some(own) = config.members.get(&self.place.me) else { return };
        match start::addresses_of(own, self.place.is_anywhere) {
            Ok((quorum, election)) => {
                if self.place.quorum != quorum {
                    self.place.quorum = quorum;
                    (self.listens, self.listens_for_observers) = (false, false);
                    io.unlisten(QUORUM_PORT);
                    io.unlisten(OBSERVER_PORT);
                }
                if self.place.election != election {
                    io.unlisten(ELECTION_PORT);
                    self.place.election = election;
                    if let Err(error) = start::listen_for_elections(&self.place.election, io) {
                        tracing::error!("{error}");
                    }
                }
            }
            Err(error) => tracing::error!("{error}; this server keeps its present ports"),
        }
    }

    fn send(&mut self, conn: Conn, bytes: &[u8], io: &mut Io) {
        let now = io.now();
        if let Some(out) = io.out(ConnId::from_u64(conn.0)) {
            out.extend_from_slice(bytes);
            self.look_again = Some(now);
            if !self.undrained.contains(&conn) {
                self.undrained.push(conn);
            }
        }
    }

    fn dial(&mut self, target: Target, addresses: Vec<rookeeper_zab::Address>, io: &mut Io) {
        let answers = Arc::clone(&self.answers);
        let waker = self.waker.clone();
        self.dials.start(target, addresses, io, move |tag, addresses| {
            answers.put(Answer::Resolved { tag, addresses });
            waker.wake();
        });
    }

    /// The quorum port is open exactly while this server leads, and that for observers while it serves as a
    /// follower: a learner that is refused tries again, one that is accepted and dropped begins a new
    /// election.
    fn listen_for_learners(&mut self, io: &mut Io) {
        let leads = self.member.peer().state() == ServerState::Leading;
        if leads != self.listens {
            self.listens = leads;
            switch(leads, QUORUM_PORT, &self.place.quorum, io);
        }
        let hosts = self.member.peer().is_observer_master();
        if hosts != self.listens_for_observers {
            self.listens_for_observers = hosts;
            let port = self.place.observer_master_port;
            let mut addresses = self.place.quorum.clone();
            addresses.iter_mut().for_each(|address| address.set_port(port));
            addresses.dedup();
            switch(hosts, OBSERVER_PORT, &addresses, io);
        }
    }

    /// When the shell itself has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let oracle = self.oracle.as_ref().map(OracleFile::due);
        self.look_again.into_iter().chain(self.dials.next_deadline()).chain(oracle).min()
    }

    /// Time has passed.
    pub(crate) fn on_timer(&mut self, now: Instant, replica_now: Now, io: &mut Io) {
        if self.look_again.is_some_and(|at| at <= now) {
            self.look_again = None;
        }
        if let Some(said) = self.oracle.as_mut().and_then(|oracle| oracle.look(now)) {
            self.member.set_oracle(said);
        }
        for dial in self.dials.expire(now, io) {
            self.dial_failed(replica_now, dial, io);
        }
    }
}

/// Opens a port for learners, or closes it.
fn switch(is_open: bool, port: ListenerTag, addresses: &[SocketAddr], io: &mut Io) {
    if !is_open {
        return io.unlisten(port);
    }
    let mut options = ListenOptions::new(port);
    options.v6_only = true;
    for &address in addresses {
        if let Err(error) = io.listen(address, options.clone()) {
            tracing::error!("cannot listen for learners on {address}: {error}");
        }
    }
}
