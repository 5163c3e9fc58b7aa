//! A server's whole tree as text, as a client sees it and as a snapshot stores it.
//!
//! [`client`] walks the tree over the wire. [`stored`] decodes a plain (uncompressed) snapshot on its own,
//! independent of the project's storage code: path, data, ACL, the stored Stat, sessions and digest.
//! One line is one znode, in order of path, so that two dumps can be compared with `diff`.
//! Source of the snapshot's layout: the storage reference, section 3.1.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::describe::hex;
use crate::raw::codes::op;
use crate::raw::frame::framed;
use crate::raw::{Connected, Frame, Malformed, RawConnection, Reader};
use crate::{HarnessError, Result};

/// Password of the superuser the dumping client authenticates as.
pub const SUPER: &[u8] = b"super:test";
/// The setting that makes [`SUPER`] the superuser.
pub const SUPER_DIGEST: (&str, &str) =
    ("zookeeper.DigestAuthenticationProvider.superDigest", "super:D/InIHSb7yEEbrWz8b9l71RjZJU=");

/// The data of these depends on who looks and when: the server fills in its own configuration.
const SERVERS_OWN: &str = "/zookeeper/config";

/// How many znodes are asked about at once.
const BATCH: usize = 64;

struct Walker {
    connection: RawConnection,
    xid: i32,
}

/// Every znode of the server at `addr`: path, data, ACL and Stat, tab-separated.
///
/// The server must know [`SUPER`] as superuser, so that ACLs hide nothing.
pub fn client(addr: SocketAddr) -> Result<String> {
    let (connection, _session): (_, Connected) = RawConnection::connect(addr, 30_000)?;
    let mut walker = Walker { connection, xid: 0 };
    walker.call(&Frame::auth("digest", SUPER))?;
    let mut nodes = BTreeMap::new();
    let mut left = vec!["/".to_owned()];
    while !left.is_empty() {
        let paths = left.split_off(left.len().saturating_sub(BATCH));
        for (path, (children, line)) in paths.iter().zip(walker.nodes(&paths)?) {
            let prefix = if path == "/" { "" } else { path.as_str() };
            left.extend(children.iter().map(|child| format!("{prefix}/{child}")));
            nodes.insert(path.clone(), line);
        }
    }
    walker.connection.send(&Frame::close_session(i32::MAX))?;
    while walker.connection.receive()?.is_some() {}
    let mut text = String::from("# path\tdata\tacl\tStat as clients see it\n");
    for line in nodes.values() {
        text.push_str(line);
    }
    Ok(text)
}

impl Walker {
    fn call(&mut self, payload: &[u8]) -> Result<Vec<u8>> {
        self.connection.send(payload)?;
        self.reply()
    }

    fn reply(&mut self) -> Result<Vec<u8>> {
        let reply = self.connection.receive()?;
        let reply =
            reply.ok_or_else(|| HarnessError::Unexpected("the server closed".to_owned()))?;
        match crate::diff::run::error_of(&reply) {
            0 => Ok(reply),
            error => Err(HarnessError::Unexpected(format!("a request failed with {error}"))),
        }
    }

    /// Asks about all of them at once.
    fn nodes(&mut self, paths: &[String]) -> Result<Vec<(Vec<String>, String)>> {
        let mut requests = Vec::new();
        for path in paths {
            for code in [op::GET_DATA, op::GET_ACL, op::GET_CHILDREN] {
                self.xid += 1;
                let frame = Frame::request(self.xid, code).str(path);
                let frame = if code == op::GET_ACL { frame } else { frame.bool(false) };
                requests.extend(framed(&frame.done()));
            }
        }
        self.connection.send_bytes(&requests)?;
        paths.iter().map(|path| self.node(path)).collect()
    }

    fn node(&mut self, path: &str) -> Result<(Vec<String>, String)> {
        let undecodable = |why: Malformed| HarnessError::Undecodable {
            what: format!("a reply about {path}"),
            why: why.to_string(),
        };
        let (data, acl, children) = (self.reply()?, self.reply()?, self.reply()?);
        node_of(path, &data, &acl, &children).map_err(undecodable)
    }
}

fn node_of(
    path: &str,
    data: &[u8],
    acl: &[u8],
    children: &[u8],
) -> std::result::Result<(Vec<String>, String), Malformed> {
    const HEADER: usize = 16;
    let mut reader = Reader::new(data);
    reader.take(HEADER)?;
    let content = data_text(reader.buffer()?);
    let content = if path == SERVERS_OWN { "*".to_owned() } else { content };
    let stat = stat_text(&mut reader, path == SERVERS_OWN)?;
    let mut reader = Reader::new(acl);
    reader.take(HEADER)?;
    let acl = acl_text(&mut reader)?;
    let mut reader = Reader::new(children);
    reader.take(HEADER)?;
    let count = reader.count()?.unwrap_or(0);
    let children = (0..count)
        .map(|_| reader.str().map(str::to_owned))
        .collect::<std::result::Result<_, _>>()?;
    Ok((children, format!("{path}\t{content}\t{acl}\t{stat}\n")))
}

fn data_text(data: Option<&[u8]>) -> String {
    match data {
        None => "null".to_owned(),
        Some([]) => "empty".to_owned(),
        Some(bytes) => hex(bytes),
    }
}

fn acl_text(reader: &mut Reader<'_>) -> std::result::Result<String, Malformed> {
    let mut entries = Vec::new();
    for _ in 0..reader.count()?.unwrap_or(0) {
        let (perms, scheme) = (reader.int()?, reader.str()?);
        entries.push(format!("{perms}:{scheme}:{}", reader.str()?));
    }
    Ok(entries.join(","))
}

fn stat_text(reader: &mut Reader<'_>, no_mtime: bool) -> std::result::Result<String, Malformed> {
    let (czxid, mzxid, ctime, mtime) =
        (reader.long()?, reader.long()?, reader.long()?, reader.long()?);
    let (version, cversion, aversion) = (reader.int()?, reader.int()?, reader.int()?);
    let (owner, length, children) = (reader.long()?, reader.int()?, reader.int()?);
    let pzxid = reader.long()?;
    let (mtime, length) = if no_mtime { (0, 0) } else { (mtime, length) };
    Ok(format!(
        "czxid={czxid:#x} mzxid={mzxid:#x} pzxid={pzxid:#x} ctime={ctime} mtime={mtime} \
         version={version} cversion={cversion} aversion={aversion} ephemeralOwner={owner:#x} \
         dataLength={length} numChildren={children}"
    ))
}

/// What a plain snapshot file holds, as text.
pub fn stored(snapshot: &[u8]) -> std::result::Result<String, Malformed> {
    let mut reader = Reader::new(snapshot);
    let header = (reader.int()?, reader.int()?, reader.long()?);
    if header != (0x5a4b_534e, 2, -1) {
        return Err(Malformed(format!("a header of {header:x?}")));
    }
    let mut sessions = BTreeMap::new();
    for _ in 0..reader.int()? {
        sessions.insert(reader.long()?, reader.int()?);
    }
    let mut acls = BTreeMap::new();
    for _ in 0..reader.int()? {
        let id = reader.long()?;
        acls.insert(id, acl_text(&mut reader)?);
    }
    let mut nodes = BTreeMap::new();
    loop {
        let path = reader.str()?;
        if path == "/" {
            break;
        }
        let line = stored_node(&mut reader, &acls)?;
        nodes.insert(path.to_owned(), line);
    }
    let mut text = String::new();
    seal(&mut reader, snapshot)?;
    if reader.left() > 21 {
        let (zxid, version, digest) = (reader.long()?, reader.int()?, reader.long()?);
        let _ = writeln!(text, "# digest zxid={zxid:#x} version={version} value={digest:#x}");
        seal(&mut reader, snapshot)?;
    }
    if reader.left() > 0 {
        let _ = writeln!(text, "# last zxid={:#x}", reader.long()?);
        seal(&mut reader, snapshot)?;
    }
    reader.end()?;
    for (session, timeout_ms) in sessions {
        let _ = writeln!(text, "# session {session:#x} timeout={timeout_ms}");
    }
    text.push_str("# path\tdata\tacl\tthe Stat as it is stored\n");
    for (path, line) in nodes {
        let _ = writeln!(text, "{}\t{line}", if path.is_empty() { "/" } else { &path });
    }
    Ok(text)
}

fn stored_node(
    reader: &mut Reader<'_>,
    acls: &BTreeMap<i64, String>,
) -> std::result::Result<String, Malformed> {
    let data = data_text(reader.buffer()?);
    let acl_id = reader.long()?;
    let acl = match acl_id {
        -1 => "31:world:anyone",
        id => acls.get(&id).ok_or_else(|| Malformed(format!("an ACL id of {id}")))?,
    };
    let (czxid, mzxid, ctime, mtime) =
        (reader.long()?, reader.long()?, reader.long()?, reader.long()?);
    let (version, cversion, aversion) = (reader.int()?, reader.int()?, reader.int()?);
    let (owner, pzxid) = (reader.long()?, reader.long()?);
    Ok(format!(
        "{data}\t{acl}\tczxid={czxid:#x} mzxid={mzxid:#x} pzxid={pzxid:#x} ctime={ctime} \
         mtime={mtime} version={version} cversion={cversion} aversion={aversion} \
         ephemeralOwner={owner:#x}"
    ))
}

/// Checks the checksum of everything up to here, and the slash after it.
fn seal(reader: &mut Reader<'_>, snapshot: &[u8]) -> std::result::Result<(), Malformed> {
    let covered = snapshot.get(..reader.at()).unwrap_or_default();
    let expected = adler32(covered);
    let found = reader.long()?;
    if found != i64::from(expected) {
        return Err(Malformed(format!("a checksum of {found:#x} instead of {expected:#x}")));
    }
    match reader.str()? {
        "/" => Ok(()),
        other => Err(Malformed(format!("{other:?} after a checksum"))),
    }
}

fn adler32(bytes: &[u8]) -> u32 {
    let (low, high) = bytes.iter().fold((1_u32, 0_u32), |(low, high), &byte| {
        let low = (low + u32::from(byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    high << 16 | low
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checksum_of_a_known_text() {
        assert_eq!(super::adler32(b"Wikipedia"), 0x11e6_0398);
    }
}
