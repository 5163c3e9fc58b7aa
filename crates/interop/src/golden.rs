//! Exchanges captured from Apache, as text, and their replay against any server.
//!
//! One line is one exchange on one connection:
//!
//! ```text
//! # for people
//! % set tickTime 2000                      how the server must be configured, before the first scenario
//! % property a.b c
//! == name                                  a new scenario: all connections closed, zxids count from here
//! a < 0000…  > 0000…                       payloads sent at once, then the payloads that must come
//! a < 0000…  > eof                         the server must close
//! a > ffffffff…                            nothing sent, an event must come
//! a ! 00000000 > eof                       bytes sent as they are, without a length in front
//! a drop                                   this side closes the TCP connection
//! ```
//!
//! In sent bytes `{sid:a}` and `{pw:a}` stand for the session of connection `a`, `{zxid}`, `{zxid+3}` for
//! zxids counted from the scenario's start. The first payload on a connection is its ConnectRequest.
//! Received payloads are as [`crate::normalise`] leaves them. At the end of a scenario every session that is
//! still open is closed and the server waited for, so that nothing leaks into the next one.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::describe::{self, hex};
use crate::normalise::{Kind, Normaliser};
use crate::raw::codes::op;
use crate::raw::{Connected, Frame, RawConnection, Reader};
use crate::{HarnessError, Result, ServerConfig, fourletter};

/// The end of a connection, where a payload could have come.
const EOF: &str = "eof";

/// One connection of a scenario.
#[derive(Debug)]
struct Line {
    connection: RawConnection,
    session: Option<Connected>,
    /// Operation codes of requests not answered yet; `None` is the ConnectRequest.
    pending: VecDeque<Option<i32>>,
    over: bool,
}

/// A run of scenarios against one server, either capturing or comparing.
#[derive(Debug)]
pub struct Player {
    addr: SocketAddr,
    first_zxid: i64,
    names: Normaliser,
    lines: BTreeMap<String, Line>,
    /// The session each connection opened last, for the tokens.
    sessions: BTreeMap<String, Connected>,
    /// Sessions to be closed at the end of the scenario.
    open: BTreeMap<i64, Connected>,
}

impl Player {
    /// Plays against the server at `addr`.
    pub fn new(addr: SocketAddr) -> Result<Self> {
        let first_zxid = last_zxid(addr)?;
        let names = Normaliser::new(first_zxid, first_zxid);
        let (lines, sessions, open) = Default::default();
        Ok(Self { addr, first_zxid, names, lines, sessions, open })
    }

    /// Starts a scenario.
    pub fn begin(&mut self) -> Result<()> {
        self.finish()?;
        self.names = Normaliser::new(self.first_zxid, last_zxid(self.addr)?);
        Ok(())
    }

    /// Closes every session of the scenario, resuming those whose connection is gone.
    pub fn finish(&mut self) -> Result<()> {
        self.lines.clear();
        self.sessions.clear();
        for session in std::mem::take(&mut self.open).into_values() {
            close_session(self.addr, &session)?;
        }
        Ok(())
    }

    /// Sends bytes as they are on the connection called `name`, opening it if need be.
    pub fn send_bytes(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.line(name)?.connection.send_bytes(bytes)
    }

    /// Sends payloads on the connection called `name` in one go; its first one opens the session.
    pub fn send(&mut self, name: &str, payloads: &[Vec<u8>]) -> Result<()> {
        let line = self.line(name)?;
        let mut bytes = Vec::new();
        for payload in payloads {
            let handshake = line.session.is_none() && line.pending.is_empty();
            line.pending.push_back(if handshake { None } else { Some(op_of(payload)) });
            bytes.extend_from_slice(&crate::raw::frame::framed(payload));
        }
        line.connection.send_bytes(&bytes)
    }

    /// Receives one payload and normalises it; `None` is the end of the connection.
    pub fn receive(&mut self, name: &str) -> Result<Option<(String, Vec<u8>)>> {
        self.line(name)?;
        let line = self.lines.get_mut(name).expect("the line was just looked up or made");
        let Some(mut payload) = line.connection.receive()? else {
            line.over = true;
            return Ok(None);
        };
        let undecodable = |payload: &[u8], why: crate::raw::Malformed| HarnessError::Undecodable {
            what: format!("{} on connection {name}", hex(payload)),
            why: why.to_string(),
        };
        if line.pending.front() == Some(&None) {
            line.pending.pop_front();
            let connected = connected(&payload).map_err(|why| undecodable(&payload, why))?;
            self.names.add_session(connected.session);
            self.names.connected(&mut payload).map_err(|why| undecodable(&payload, why))?;
            let text = format!("session, timeout {} ms", connected.timeout_ms);
            if connected.session != 0 {
                self.sessions.insert(name.to_owned(), connected.clone());
                self.open.insert(connected.session, connected.clone());
            }
            line.session = Some(connected);
            return Ok(Some((text, payload)));
        }
        let next = line.pending.front().copied().flatten().unwrap_or(0);
        let kind = Kind::of(&payload, next);
        if kind != Kind::Event {
            line.pending.pop_front();
            if let (op::CLOSE_SESSION, Some(session)) = (next, &line.session) {
                self.open.remove(&session.session);
            }
        }
        let raw = payload.clone();
        self.names.message(kind, &mut payload).map_err(|why| undecodable(&raw, why))?;
        Ok(Some((describe::message(kind, &payload), payload)))
    }

    /// Closes the TCP connection called `name`; its session lives on.
    pub fn drop_connection(&mut self, name: &str) {
        self.lines.remove(name);
    }

    /// How many replies are still owed on a connection.
    pub fn owed(&self, name: &str) -> usize {
        self.lines.get(name).map_or(0, |line| line.pending.len())
    }

    fn line(&mut self, name: &str) -> Result<&mut Line> {
        if self.lines.get(name).is_none_or(|line| line.over) {
            let connection = RawConnection::open(self.addr)?;
            let line = Line { connection, session: None, pending: VecDeque::new(), over: false };
            self.lines.insert(name.to_owned(), line);
        }
        Ok(self.lines.get_mut(name).expect("it was just inserted"))
    }

    /// Replaces the tokens in a sent payload's text and decodes it.
    pub fn expand(&self, text: &str) -> Result<Vec<u8>> {
        let mut hexadecimal = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, token)) = rest.split_once('{') {
            let (token, after) = token.split_once('}').ok_or_else(|| bad_text(text))?;
            hexadecimal.push_str(before);
            hexadecimal.push_str(&self.token(token).ok_or_else(|| bad_text(text))?);
            rest = after;
        }
        hexadecimal.push_str(rest);
        unhex(&hexadecimal).ok_or_else(|| bad_text(text))
    }

    fn token(&self, token: &str) -> Option<String> {
        if let Some(name) = token.strip_prefix("sid:") {
            return Some(hex(&self.sessions.get(name)?.session.to_be_bytes()));
        }
        if let Some(name) = token.strip_prefix("pw:") {
            return Some(hex(&self.sessions.get(name)?.password));
        }
        let offset = token.strip_prefix("zxid")?;
        let offset = if offset.is_empty() { 0 } else { offset.parse::<i64>().ok()? };
        Some(hex(&(self.names.base_zxid() + offset).to_be_bytes()))
    }
}

/// Writes scenarios down while playing them against an oracle.
#[derive(Debug)]
pub struct Recorder {
    player: Player,
    text: String,
}

impl Recorder {
    /// Records from the server at `addr`, which was started with the settings in `head`.
    pub fn new(addr: SocketAddr, head: &str) -> Result<Self> {
        Ok(Self { player: Player::new(addr)?, text: head.to_owned() })
    }

    /// Starts a scenario.
    pub fn scenario(&mut self, name: &str) -> Result<()> {
        self.player.begin()?;
        let _ = write!(self.text, "\n== {name}\n");
        Ok(())
    }

    /// A remark for people.
    pub fn note(&mut self, text: &str) {
        let _ = writeln!(self.text, "# {text}");
    }

    /// Sends payloads (hex with tokens) in one go and records what comes until each is answered.
    pub fn exchange(&mut self, name: &str, what: &str, sent: &[String]) -> Result<()> {
        let payloads =
            sent.iter().map(|text| self.player.expand(text)).collect::<Result<Vec<_>>>()?;
        self.player.send(name, &payloads)?;
        let mut received = Vec::new();
        while self.player.owed(name) > 0 {
            match self.player.receive(name)? {
                Some(message) => received.push(message),
                None => break,
            }
        }
        let closed = self.player.owed(name) > 0;
        self.write(name, what, &format!("< {}", sent.join(" ")), &received, closed);
        Ok(())
    }

    /// As [`Self::exchange`], and the server closes afterwards.
    pub fn exchange_then_close(&mut self, name: &str, what: &str, sent: &[String]) -> Result<()> {
        self.exchange(name, what, sent)?;
        if !self.text.ends_with(" eof\n") {
            self.expect_close(name)?;
        }
        Ok(())
    }

    /// Records that the server closes a connection by itself.
    pub fn expect_close(&mut self, name: &str) -> Result<()> {
        if let Some((text, _)) = self.player.receive(name)? {
            return Err(HarnessError::Unexpected(format!("{text} came instead of the end")));
        }
        self.write(name, "the server closes", "", &[], true);
        Ok(())
    }

    /// Records one event that comes by itself.
    pub fn event(&mut self, name: &str) -> Result<()> {
        let event = self.player.receive(name)?;
        let event = event.ok_or_else(|| {
            HarnessError::Unexpected(format!("connection {name} was closed, an event expected"))
        })?;
        self.write(name, "", "", &[event], false);
        Ok(())
    }

    /// Sends bytes that are no frame and records that the server closes.
    pub fn bytes_then_close(&mut self, name: &str, what: &str, bytes: &[u8]) -> Result<()> {
        self.player.send_bytes(name, bytes)?;
        let mut received = Vec::new();
        while let Some(message) = self.player.receive(name)? {
            received.push(message);
        }
        self.write(name, what, &format!("! {}", hex(bytes)), &received, true);
        Ok(())
    }

    /// Closes the TCP connection, keeping the session.
    pub fn drop_connection(&mut self, name: &str) {
        self.player.drop_connection(name);
        let _ = writeln!(self.text, "{name} drop");
    }

    /// What has been written so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Ends the last scenario and hands out the text.
    pub fn finish(mut self) -> Result<String> {
        self.player.finish()?;
        Ok(self.text)
    }

    fn write(
        &mut self,
        name: &str,
        what: &str,
        sent: &str,
        got: &[(String, Vec<u8>)],
        closed: bool,
    ) {
        if !what.is_empty() {
            let _ = writeln!(self.text, "# {what}");
        }
        for (words, _) in got {
            let _ = writeln!(self.text, "#   {words}");
        }
        let mut parts: Vec<String> = got.iter().map(|(_, payload)| hex(payload)).collect();
        if closed {
            parts.push(EOF.to_owned());
        }
        let sent = if sent.is_empty() { String::new() } else { format!("{sent} ") };
        let _ = writeln!(self.text, "{name} {sent}> {}", parts.join(" "));
    }
}

/// The settings a golden file asks for.
pub fn config_of(text: &str) -> Result<ServerConfig> {
    text.lines().filter_map(|line| line.strip_prefix("% ")).try_fold(
        ServerConfig::new(),
        |config, line| {
            let mut words = line.splitn(3, ' ');
            match (words.next(), words.next(), words.next()) {
                (Some("set"), Some(key), Some(value)) => Ok(config.set(key, value)),
                (Some("property"), Some(name), Some(value)) => Ok(config.property(name, value)),
                _ => Err(bad_text(line)),
            }
        },
    )
}

/// A place where a server does not answer as recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The line's number in the file.
    pub line: usize,
    /// The scenario's name.
    pub scenario: String,
    /// The remark before the line.
    pub what: String,
    /// What was recorded.
    pub expected: String,
    /// What the server said, in hex and in words.
    pub got: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { line, scenario, what, expected, got } = self;
        write!(f, "line {line}, {scenario}: {what}\n  recorded: {expected}\n  got:      {got}")
    }
}

/// Replays a golden file; returns every difference (a scenario is left at its first one) and how many
/// exchanges were compared.
pub fn replay(text: &str, addr: SocketAddr) -> Result<(Vec<Difference>, usize)> {
    let mut player = Player::new(addr)?;
    let (mut differences, mut compared) = (Vec::new(), 0);
    let (mut scenario, mut what, mut skip) = (String::new(), String::new(), false);
    for (number, line) in text.lines().enumerate() {
        if let Some(name) = line.strip_prefix("== ") {
            player.begin()?;
            (scenario, skip) = (name.to_owned(), false);
        } else if let Some(remark) = line.strip_prefix("# ") {
            if !remark.starts_with("  ") {
                remark.clone_into(&mut what);
            }
        } else if !line.is_empty() && !line.starts_with('%') && !skip {
            compared += 1;
            if let Some((expected, got)) = play_line(&mut player, line)? {
                let (scenario, what) = (scenario.clone(), what.clone());
                differences.push(Difference { line: number + 1, scenario, what, expected, got });
                skip = true;
            }
        }
    }
    player.finish()?;
    Ok((differences, compared))
}

/// Plays one line; the recorded and the actual answer when they differ.
fn play_line(player: &mut Player, line: &str) -> Result<Option<(String, String)>> {
    let (name, rest) = line.split_once(' ').ok_or_else(|| bad_text(line))?;
    if rest == "drop" {
        player.drop_connection(name);
        return Ok(None);
    }
    let (sent, expected) = rest.split_once('>').ok_or_else(|| bad_text(line))?;
    if let Some(bytes) = sent.trim().strip_prefix("! ") {
        let bytes = player.expand(bytes)?;
        player.send_bytes(name, &bytes)?;
    } else if let Some(payloads) = sent.trim().strip_prefix("< ") {
        let payloads =
            payloads.split(' ').map(|text| player.expand(text)).collect::<Result<Vec<_>>>()?;
        player.send(name, &payloads)?;
    }
    for expected in expected.split_whitespace() {
        let got = match player.receive(name) {
            Ok(None) => (EOF.to_owned(), String::new()),
            Ok(Some((words, payload))) => (hex(&payload), words),
            Err(error) => (error.to_string(), String::new()),
        };
        if got.0 != expected {
            return Ok(Some((expected.to_owned(), format!("{}  {}", got.0, got.1))));
        }
    }
    Ok(None)
}

/// The last zxid a server has processed, as its `srvr` says.
pub fn last_zxid(addr: SocketAddr) -> Result<i64> {
    let answer =
        fourletter::ask(addr, "srvr").map_err(HarnessError::io(format!("asking {addr} srvr")))?;
    let zxid = answer.lines().find_map(|line| line.strip_prefix("Zxid: 0x"));
    zxid.and_then(|text| u64::from_str_radix(text.trim(), 16).ok())
        .map(u64::cast_signed)
        .ok_or_else(|| HarnessError::Unexpected(format!("no Zxid in the answer to srvr: {answer}")))
}

/// Resumes a session and closes it; one that is gone already is fine.
pub fn close_session(addr: SocketAddr, session: &Connected) -> Result<()> {
    let mut connection = RawConnection::open(addr)?;
    let request = Frame::connect(
        0,
        session.timeout_ms,
        session.session,
        Some(&session.password),
        Some(false),
    );
    match connection.handshake(&request)? {
        Some(resumed) if resumed.session == session.session => {
            connection.send(&Frame::close_session(1))?;
            while connection.receive()?.is_some() {}
            Ok(())
        }
        _ => Ok(()),
    }
}

fn connected(payload: &[u8]) -> std::result::Result<Connected, crate::raw::Malformed> {
    let mut reader = Reader::new(payload);
    reader.int()?;
    let (timeout_ms, session) = (reader.int()?, reader.long()?);
    let password = reader.buffer()?.unwrap_or_default().to_vec();
    Ok(Connected { timeout_ms, session, password, payload: payload.to_vec() })
}

fn op_of(payload: &[u8]) -> i32 {
    let mut reader = Reader::new(payload);
    reader.int().and_then(|_xid| reader.int()).unwrap_or(0)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

fn bad_text(line: &str) -> HarnessError {
    HarnessError::Undecodable { what: "a golden line".to_owned(), why: line.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_goes_both_ways() {
        assert_eq!(unhex(&hex(&[0, 1, 0xff])), Some(vec![0, 1, 0xff]));
        assert_eq!(unhex("0"), None);
        assert_eq!(unhex("0g"), None);
    }

    #[test]
    fn settings_are_read() {
        let config = config_of("% set a b c\n% property p 1\n== x\n").expect("two settings");
        assert!(format!("{config:?}").contains("b c"));
        assert!(config_of("% nonsense\n").is_err());
    }
}
