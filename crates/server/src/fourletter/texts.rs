//! The texts of the words (`operations.md` 2.2).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use rookeeper_proto::SessionId;
use rookeeper_replica::conns::Conn;
use rookeeper_replica::{LocalSessions, Role};

use super::{Command, Context, FourLetter, environment};
use crate::config::explain::{ConfFacts, conf_lines, quorum_conf_lines};
use crate::config::shape::Mode;
use crate::metrics::{self, java_decimal};
use crate::version::VERSION_LINE;

/// The answer to an allowed word.
pub(super) fn text(
    this: &mut FourLetter,
    command: Command,
    argument: &[u8],
    context: Context<'_>,
) -> String {
    match command {
        Command::Ruok => "imok".to_owned(),
        Command::Isro if is_read_only(&context) => "ro".to_owned(),
        Command::Isro => "rw".to_owned(),
        Command::Gtmk => this.trace_mask.to_string(),
        Command::Stmk => {
            if let Ok(mask) = argument.try_into() {
                this.trace_mask = i64::from_be_bytes(mask);
            }
            this.trace_mask.to_string()
        }
        Command::Srvr => head(&context) + &server_lines(&context),
        Command::Stat => stat(&context),
        Command::Srst => {
            context.replica.reset_stats();
            context.metrics.reset();
            "Server stats reset.\n".to_owned()
        }
        Command::Crst => {
            context.replica.reset_conn_stats();
            "Connection stats reset.\n".to_owned()
        }
        Command::Cons => cons(&context),
        Command::Conf => conf(this, &context),
        Command::Dirs => format!(
            "datadir_size: {}\nlogdir_size: {}\n",
            directory_bytes(&this.snap_dir),
            directory_bytes(&this.log_dir)
        ),
        Command::Dump => dump(&context),
        Command::Envi => environment::text(),
        Command::Hash => hash(&context),
        Command::Mntr => mntr(&context),
        Command::Wchs => wchs(&context),
        Command::Wchc => wchc(&context),
        Command::Wchp => wchp(&context),
        Command::TelnetInterrupt => String::new(),
    }
}

fn is_read_only(context: &Context<'_>) -> bool {
    context.replica.role() == Role::ReadOnly
}

fn head(context: &Context<'_>) -> String {
    let note = match is_read_only(context) {
        true => "READ-ONLY mode; serving only read-only clients\n",
        false => "",
    };
    format!("Zookeeper version: {VERSION_LINE}\n{note}")
}

/// What `srvr` and `stat` share behind the version line.
fn server_lines(context: &Context<'_>) -> String {
    let replica = &context.replica;
    let stats = replica.stats();
    let latency = stats.latency_ms;
    let mut out = format!(
        "Latency min/avg/max: {}/{}/{}\nReceived: {}\nSent: {}\nConnections: {}\n\
         Outstanding: {}\nZxid: {}\nMode: {}\nNode count: {}\n",
        latency.min,
        java_decimal(latency.average()),
        latency.max,
        stats.packets_received,
        stats.packets_sent,
        replica.conns().len(),
        replica.outstanding(),
        replica.tree().last_zxid(),
        replica.role().name(),
        metrics::java_node_count(replica),
    );
    if replica.role() == Role::Leading {
        let sizes = stats.proposal_sizes;
        let _ = writeln!(
            out,
            "Proposal sizes last/min/max: {}/{}/{}",
            sizes.last, sizes.min, sizes.max
        );
    }
    out
}

fn stat(context: &Context<'_>) -> String {
    let mut out = head(context) + "Clients:\n";
    for conn in context.replica.conns().iter() {
        out += &brief_row(context, conn);
        out += ")\n";
    }
    out.push('\n');
    out + &server_lines(context)
}

fn brief_row(context: &Context<'_>, conn: &Conn) -> String {
    // The number in brackets are Java's interest ops: 1 reads, 0 for the connection that asks.
    let interest = i32::from(conn.id != context.conn);
    format!(
        " /{}[{interest}](queued={},recved={},sent={}",
        conn.peer,
        conn.pending.len(),
        conn.stats.received,
        conn.stats.sent
    )
}

fn cons(context: &Context<'_>) -> String {
    let mut out = String::new();
    for conn in context.replica.conns().iter() {
        out += &brief_row(context, conn);
        if conn.session != SessionId::NONE {
            let s = &conn.stats;
            let min = if s.latency_count == 0 { 0 } else { s.min_latency_ms };
            let average = s.latency_sum_ms.checked_div(s.latency_count).unwrap_or(0);
            let _ = write!(
                out,
                ",sid={},lop={},est={},to={}",
                conn.session, s.last_op, s.established_wall_ms, conn.timeout_ms
            );
            if 0 <= s.last_cxid {
                let _ = write!(out, ",lcxid=0x{:x}", s.last_cxid);
            }
            let _ = write!(
                out,
                ",lzxid=0x{:x},lresp={},llat={},minlat={min},avglat={average},maxlat={}",
                s.last_zxid, s.last_response_ms, s.last_latency_ms, s.max_latency_ms
            );
        }
        out += ")\n";
    }
    out.push('\n');
    out
}

fn conf(this: &FourLetter, context: &Context<'_>) -> String {
    let server_id = match this.config.mode {
        Mode::Standalone => 0,
        Mode::Quorum { my_id, .. } => my_id,
    };
    let facts = ConfFacts {
        client_port: i32::from(this.client_port),
        secure_client_port: -1,
        snap_dir: &this.snap_dir,
        snap_dir_bytes: directory_bytes(&this.snap_dir),
        log_dir: &this.log_dir,
        log_dir_bytes: directory_bytes(&this.log_dir),
        server_id,
    };
    let mut out = conf_lines(&this.config, facts);
    if let Some(member) = &context.member {
        let membership = (!is_read_only(context)).then_some(member.membership.as_str());
        out += &quorum_conf_lines(&this.config, server_id, membership);
    }
    out
}

/// Bytes of all files below a directory; what cannot be read counts nothing.
fn directory_bytes(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => directory_bytes(&entry.path()),
            Ok(found) => found.len(),
            Err(_) => 0,
        })
        .sum()
}

fn dump(context: &Context<'_>) -> String {
    let replica = &context.replica;
    let mut out = "SessionTracker dump:\n".to_owned();
    let has_local = replica.config().local_sessions != LocalSessions::Off;
    if has_local {
        out += "Local ";
        out += &sessions_dump(context, true);
    }
    if replica.role().is_learner() || is_read_only(context) {
        out += &learner_sessions_dump(context);
    } else {
        out += if has_local { "Global " } else { "" };
        out += &sessions_dump(context, false);
    }
    out += "ephemeral nodes dump:\n";
    let owners: Vec<SessionId> = replica.tree().ephemeral_owners().collect();
    let _ = writeln!(out, "Sessions with Ephemerals ({}):", owners.len());
    for owner in owners {
        let _ = writeln!(out, "{owner}:");
        for path in replica.tree().ephemerals_of(owner) {
            let _ = writeln!(out, "\t{path}");
        }
    }
    out += "Connections dump:\n";
    out += &connections_dump(context);
    out
}

/// Sessions by the moment they expire: those that this server expires.
fn sessions_dump(context: &Context<'_>, are_local: bool) -> String {
    let mut by_expiry: BTreeMap<u64, Vec<SessionId>> = BTreeMap::new();
    let mut count = 0;
    for session in context.replica.sessions().iter().filter(|s| s.is_local == are_local) {
        by_expiry.entry(session.expire_at_ms).or_default().push(session.id);
        count += 1;
    }
    let mut out = format!("Session Sets ({})/({count}):\n", by_expiry.len());
    for (at_ms, sessions) in &by_expiry {
        let _ = writeln!(out, "{} expire at {}:", sessions.len(), date(context, *at_ms));
        for session in sessions {
            let _ = writeln!(out, "\t{session}");
        }
    }
    out
}

/// A learner knows the sessions and their time-outs, not when they expire.
fn learner_sessions_dump(context: &Context<'_>) -> String {
    let sessions = context.replica.tree().sessions();
    let mut out = format!("Global Sessions({}):\n", sessions.len());
    for (session, timeout_ms) in sessions {
        let _ = writeln!(out, "{session}\t{timeout_ms}ms");
    }
    out
}

fn connections_dump(context: &Context<'_>) -> String {
    let replica = &context.replica;
    let config = replica.config();
    let mut by_expiry: BTreeMap<u64, Vec<&Conn>> = BTreeMap::new();
    for conn in replica.conns().iter() {
        let session = conn.slot.and_then(|slot| replica.sessions().at(slot));
        // Java's queue of connections has buckets of its own, as long as the time-out of connections
        // without a session.
        let bucket_ms = config.sessionless_timeout_ms.max(1);
        let at_ms = session.map_or(config.sessionless_deadline_ms(conn.accepted_ms), |session| {
            let due_ms = session.expire_at_ms.saturating_sub(config.tick_time_ms);
            (due_ms / bucket_ms + 1) * bucket_ms
        });
        by_expiry.entry(at_ms).or_default().push(conn);
    }
    let mut out = String::new();
    let _ = writeln!(out, "Connections Sets ({})/({}):", by_expiry.len(), replica.conns().len());
    for (at_ms, conns) in by_expiry {
        let _ = writeln!(out, "{} expire at {}:", conns.len(), date(context, at_ms));
        for conn in conns {
            let _ = writeln!(out, "\tip: /{} sessionId: {}", conn.peer, conn.session);
        }
    }
    out
}

/// A moment of the monotonic clock as Java prints a date: `Fri Nov 20 09:05:42 UTC 2026`.
fn date(context: &Context<'_>, mono_ms: u64) -> String {
    let ahead_ms = mono_ms as i64 - context.now.mono_ms() as i64;
    let wall_ms = context.now.wall_ms.saturating_add(ahead_ms);
    jiff::Timestamp::from_millisecond(wall_ms).map_or_else(
        |_| "unknown".to_owned(),
        |at| {
            at.to_zoned(jiff::tz::TimeZone::system())
                .strftime("%a %b %d %H:%M:%S %Z %Y")
                .to_string()
        },
    )
}

fn hash(context: &Context<'_>) -> String {
    let history = context.replica.tree().digest_history();
    history.fold(String::new(), |mut out, (zxid, digest)| {
        let _ = writeln!(out, "{:x}: {digest}", zxid.0);
        out
    })
}

fn mntr(context: &Context<'_>) -> String {
    let mut out =
        format!("zk_version\t{VERSION_LINE}\nzk_server_state\t{}\n", context.replica.role().name());
    if let Some(member) = context.member.as_ref().filter(|_| !is_read_only(context)) {
        let _ = writeln!(out, "zk_peer_state\t{}", member.peer_state());
        if let (Role::Observing, Some(master)) = (context.replica.role(), member.peer.master) {
            let _ = writeln!(out, "zk_observer_master_id\t{master}");
        }
    }
    let member = context.member.as_ref();
    for (name, value) in metrics::all(context.replica, context.metrics, member, context.now) {
        let _ = writeln!(out, "zk_{name}\t{value}");
    }
    out
}

fn wchs(context: &Context<'_>) -> String {
    let summary = context.replica.watches().summary(context.replica.tree());
    format!(
        "{} connections watching {} paths\nTotal watches:{}\n",
        summary.connections, summary.paths, summary.watches
    )
}

fn wchc(context: &Context<'_>) -> String {
    let replica = &context.replica;
    let mut by_session: BTreeMap<SessionId, Vec<String>> = BTreeMap::new();
    for (conn, paths) in replica.watches().by_connection(replica.tree()) {
        let session = replica.conns().at(conn).map_or(SessionId::NONE, |conn| conn.session);
        by_session.entry(session).or_default().extend(paths);
    }
    let mut out = String::new();
    for (session, paths) in by_session {
        let _ = writeln!(out, "{session}");
        paths.iter().for_each(|path| out += &format!("\t{path}\n"));
    }
    out.push('\n');
    out
}

fn wchp(context: &Context<'_>) -> String {
    let replica = &context.replica;
    let mut out = String::new();
    for (path, conns) in replica.watches().by_path(replica.tree()) {
        let _ = writeln!(out, "{path}");
        for conn in conns {
            let session = replica.conns().at(conn).map_or(SessionId::NONE, |conn| conn.session);
            let _ = writeln!(out, "\t{session}");
        }
    }
    out.push('\n');
    out
}
