//! Four-letter words asked of a server in known situations, with what may differ overwritten.
//!
//! [`transcript`] plays one scenario: a fresh server, words with bytes behind them, half-closed
//! clients, a session with ephemerals and watches, a second one, events, `crst` and `srst`. Lines of
//! one answer are sorted, because Java prints tables in hash order. What stays is compared byte for
//! byte; what is overwritten: ports, session ids, dates, times, sizes of directories, the version's
//! build. `mntr` and `envi` are shown by their keys, and by the values that the scenario determines.
//!
//! Source of the formats: `operations.md` section 2.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::raw::codes::op;
use crate::raw::connection::PATIENCE;
use crate::raw::{Frame, RawConnection, frame::Acl};
use crate::{HarnessError, Result, Server};

/// Figures of `mntr` that the scenario determines.
const FIGURES: &[&str] = &[
    "zk_server_state",
    "zk_packets_received",
    "zk_packets_sent",
    "zk_num_alive_connections",
    "zk_outstanding_requests",
    "zk_znode_count",
    "zk_watch_count",
    "zk_ephemerals_count",
    "zk_approximate_data_size",
    "zk_global_sessions",
    "zk_local_sessions",
    "zk_bytes_received_count",
    "zk_response_bytes",
    "zk_watch_bytes",
    "zk_min_client_response_size",
    "zk_max_client_response_size",
    "zk_connection_request_count",
    "zk_connection_rejected",
    "zk_connection_revalidate_count",
    "zk_connection_drop_probability",
    "zk_cnt_readlatency",
    "zk_cnt_updatelatency",
    "zk_cnt_propagation_latency",
    "zk_cnt_connection_token_deficit",
    "zk_sum_connection_token_deficit",
    "zk_cnt_node_created_watch_count",
    "zk_sum_node_changed_watch_count",
    "zk_cnt_node_children_watch_count",
    "zk_prep_processor_request_queued",
    "zk_sync_processor_request_queued",
    "zk_digest_mismatches_count",
    "zk_commit_count",
    "zk_proposal_count",
];

/// Java counts a reply and takes up reading again a moment after the reply is sent, and nothing shows
/// when it has. What is compared does not wait for this with a server whose figures are exact.
const SETTLING: Duration = Duration::from_millis(20);

/// Asks one server everything; two servers that behave alike give the same text.
#[derive(Debug)]
struct Play {
    addr: SocketAddr,
    home: String,
    sessions: Vec<String>,
    out: String,
}

/// Plays the scenario and returns the whole conversation.
pub fn transcript(server: &Server) -> Result<String> {
    let home = server.home().display().to_string();
    let mut play = Play { addr: server.addr(), home, sessions: Vec::new(), out: String::new() };
    // However often the server was asked whether it is up.
    play.ask("srst", b"srst")?;
    play.fresh()?;
    play.odd()?;
    let (mut first, id) = RawConnection::connect(play.addr, 40_000)?;
    play.sessions.push(format!("{:#x}", id.session));
    play.words("a session", &["cons", "stat", "dump"])?;
    play.first_session(&mut first)?;
    let (mut second, id) = RawConnection::connect(play.addr, 30_000)?;
    play.sessions.push(format!("{:#x}", id.session));
    play.second_session(&mut first, &mut second)?;
    play.resets()?;
    play.resumed(second, id.session, &id.password)?;
    Ok(play.out)
}

/// Asks every word of a server that allows only what it allows by default.
pub fn refusals(server: &Server) -> Result<String> {
    let home = server.home().display().to_string();
    let mut play = Play { addr: server.addr(), home, sessions: Vec::new(), out: String::new() };
    for word in [
        "conf", "cons", "crst", "dirs", "dump", "envi", "gtmk", "hash", "isro", "mntr", "ruok",
        "srst", "stat", "stmk", "wchc", "wchp", "wchs",
    ] {
        play.ask(word, word.as_bytes())?;
    }
    play.ask("telnet's interrupt", b"\xff\xf4\xff\xfd")?;
    Ok(play.out)
}

impl Play {
    fn fresh(&mut self) -> Result<()> {
        let words = [
            "conf", "cons", "dirs", "dump", "envi", "gtmk", "hash", "isro", "mntr", "ruok", "srvr",
            "stat", "wchc", "wchp", "wchs",
        ];
        self.words("fresh", &words)
    }

    /// Bytes behind words, half-closed clients, what is no word, trace masks.
    fn odd(&mut self) -> Result<()> {
        self.ask("a line's end behind", b"ruok\r\n")?;
        self.ask("a line's end behind a long answer", b"stat\r\n")?;
        let mut long = b"ruok".to_vec();
        long.resize(100_000, b'x');
        self.ask("much behind", &long)?;
        self.half_closed("half-closed", b"srvr")?;
        self.ask("no word", b"blah")?;
        self.ask("upper case", b"RUOK")?;
        self.half_closed("half a word", b"ru")?;
        self.half_closed("nothing", b"")?;
        self.ask("telnet's interrupt", b"\xff\xf4\xff\xfd")?;
        self.ask("set a mask", b"stmk\0\0\0\0\0\0\0\x07")?;
        self.ask("the mask", b"gtmk")?;
        self.ask("set a negative mask", b"stmk\xff\xff\xff\xff\xff\xff\xff\xfe")?;
        self.ask("set the first mask", b"stmk\0\0\0\0\0\0\x01\x32\n")?;
        self.words("afterwards", &["srvr"])
    }

    fn first_session(&mut self, session: &mut RawConnection) -> Result<()> {
        let open = Acl::open();
        for (xid, path, flags) in [(1, "/a", 0), (2, "/e", 1), (3, "/a/e2", 1)] {
            let create = Frame::request(xid, op::CREATE).create(path, Some(b"x"), &open, flags);
            call(session, &create.done())?;
        }
        self.words("nodes", &["cons", "dump", "srvr"])?;
        for (xid, code, path, watch) in [
            (4, op::GET_DATA, "/a", true),
            (5, op::EXISTS, "/nope", true),
            (6, op::GET_CHILDREN, "/a", true),
            (9, op::GET_DATA, "/a", false),
            (10, op::GET_DATA, "/nix", false),
        ] {
            call(session, &Frame::request(xid, code).str(path).bool(watch).done())?;
        }
        for (xid, path, mode) in [(7, "/p", 0), (8, "/r", 1)] {
            call(session, &Frame::request(xid, op::ADD_WATCH).str(path).int(mode).done())?;
        }
        self.words("watches", &["wchs", "wchc", "wchp", "cons", "stat", "srvr"])
    }

    fn second_session(
        &mut self,
        first: &mut RawConnection,
        second: &mut RawConnection,
    ) -> Result<()> {
        for (xid, code, path) in
            [(1, op::GET_DATA, "/a"), (2, op::GET_DATA, "/e"), (3, op::GET_CHILDREN, "/")]
        {
            call(second, &Frame::request(xid, code).str(path).bool(true).done())?;
        }
        self.words("two sessions", &["wchs", "wchc", "wchp", "dump", "cons"])?;
        call(first, &Frame::ping())?;
        self.words("a ping", &["cons"])?;
        let set = Frame::request(11, op::SET_DATA).str("/a").buffer(Some(b"yy")).int(-1);
        // The event comes before the reply; both sessions watch.
        call(first, &set.done())?;
        receive(first)?;
        receive(second)?;
        self.words("events", &["wchs", "wchc", "wchp", "cons", "srvr", "mntr"])
    }

    fn resets(&mut self) -> Result<()> {
        self.words("reset connections", &["crst", "cons", "srvr"])?;
        self.words("reset the server", &["srst", "srvr", "mntr", "cons"])
    }

    /// The second session moves to a new connection.
    fn resumed(&mut self, old: RawConnection, session: i64, password: &[u8]) -> Result<()> {
        let mut fresh = RawConnection::open(self.addr)?;
        let connect = Frame::connect(0, 30_000, session, Some(password), Some(false));
        fresh.handshake(&connect)?;
        drop(old);
        self.words("resumed", &["cons", "wchs"])
    }

    fn words(&mut self, situation: &str, words: &[&str]) -> Result<()> {
        std::thread::sleep(SETTLING);
        words.iter().try_for_each(|word| self.ask(&format!("{situation}: {word}"), word.as_bytes()))
    }

    fn ask(&mut self, title: &str, bytes: &[u8]) -> Result<()> {
        self.exchange(title, bytes, false)
    }

    fn half_closed(&mut self, title: &str, bytes: &[u8]) -> Result<()> {
        self.exchange(title, bytes, true)
    }

    fn exchange(&mut self, title: &str, bytes: &[u8], half_close: bool) -> Result<()> {
        let io = || HarnessError::io(format!("asking for {title}"));
        let mut stream = TcpStream::connect_timeout(&self.addr, PATIENCE).map_err(io())?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(io())?;
        // The server may close before it has read everything.
        let _ = stream.write_all(bytes);
        if half_close {
            let _ = stream.shutdown(Shutdown::Write);
        }
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => {
                return Err(io()(error));
            }
            _ => {}
        }
        let shown = self.normalised(title, &String::from_utf8_lossy(&answer));
        let _ = writeln!(self.out, "== {title}\n{shown}");
        Ok(())
    }

    fn normalised(&self, title: &str, answer: &str) -> String {
        let ends_in_a_line = if answer.ends_with('\n') { "\n" } else { "(no newline)" };
        let is_table = answer.starts_with("zk_version");
        let is_environment = answer.starts_with("Environment:");
        let mut lines: Vec<String> = Vec::new();
        for line in answer.lines() {
            if is_table {
                let (key, value) = line.split_once('\t').unwrap_or((line, "?"));
                let shown = if FIGURES.contains(&key) { value } else { "" };
                lines.push(format!("{key} {shown}"));
            } else if is_environment {
                lines.push(line.split_once('=').map_or(line, |(key, _)| key).to_owned());
            } else {
                lines.push(self.line(line));
            }
        }
        if !title.contains("envi") {
            lines.sort();
        }
        lines.dedup_by(|next, line| next == line && line.starts_with("SOME expire at"));
        lines.join("\n") + ends_in_a_line
    }

    fn line(&self, line: &str) -> String {
        let mut line = line.replace(&self.home, "HOME");
        for (number, session) in self.sessions.iter().enumerate() {
            line = line.replace(session, &format!("SESSION{number}"));
        }
        for (start, shown) in [
            ("Zookeeper version: 3.9.5-", "Zookeeper version: 3.9.5-BUILD"),
            ("Latency min/avg/max: ", "Latency min/avg/max: TIMES"),
            ("clientPort=", "clientPort=PORT"),
            ("dataDirSize=", "dataDirSize=BYTES"),
            ("dataLogSize=", "dataLogSize=BYTES"),
            ("datadir_size: ", "datadir_size: BYTES"),
            ("logdir_size: ", "logdir_size: BYTES"),
        ] {
            if line.starts_with(start) {
                return shown.to_owned();
            }
        }
        // Into how many buckets sessions and connections fall depends on the time of day, and Java
        // keeps empty buckets for a while.
        if line.contains(" expire at ") {
            return "SOME expire at DATE:".to_owned();
        }
        if let Some((head, tail)) = line.split_once(" Sets (")
            && let Some((_, members)) = tail.split_once(")/(")
        {
            return format!("{head} Sets (SOME)/({members}");
        }
        for key in ["/127.0.0.1:", "est=", "lresp=", "llat=", "minlat=", "avglat=", "maxlat="] {
            line = without_number_behind(&line, key);
        }
        line
    }
}

/// Overwrites the digits behind `key`.
fn without_number_behind(line: &str, key: &str) -> String {
    let Some((head, tail)) = line.split_once(key) else { return line.to_owned() };
    let rest = tail.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{head}{key}N{rest}")
}

fn receive(connection: &mut RawConnection) -> Result<Vec<u8>> {
    connection.receive()?.ok_or_else(|| {
        HarnessError::Unexpected("the server closed instead of answering".to_owned())
    })
}

fn call(connection: &mut RawConnection, payload: &[u8]) -> Result<Vec<u8>> {
    connection.send(payload)?;
    receive(connection)
}

#[cfg(test)]
mod tests {
    use super::without_number_behind;

    #[test]
    fn numbers_are_overwritten_to_their_end() {
        assert_eq!(without_number_behind("a,est=123,to=4", "est="), "a,est=N,to=4");
        assert_eq!(without_number_behind("nothing", "est="), "nothing");
    }
}
