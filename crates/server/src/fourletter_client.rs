//! A client for four-letter words: connect, send four bytes, read until the server closes.
//!
//! Bounded in time and in memory; used by `zkServer.sh status` so that it needs no `nc`.
//! Source: operations.md 2.1, 5.1.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// No reply is longer; `dump` or `wchc` of a huge server is cut there.
const MAX_REPLY_BYTES: u64 = 64 << 20;

/// Sends `command` to `host:port` and returns the whole reply.
///
/// Every address of the host is tried in turn, each with what is left of `timeout`.
///
/// # Errors
/// When nothing answers in time, with the last error met.
pub fn four_letter_word(
    host: &str,
    port: u16,
    command: &str,
    timeout: Duration,
) -> io::Result<String> {
    let deadline = Instant::now() + timeout;
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{host}: no address"));
    // An IPv6 address may come in brackets, as in a connect string.
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    for address in (host, port).to_socket_addrs()? {
        let attempt = TcpStream::connect_timeout(&address, left(deadline)?)
            .and_then(|stream| exchange(stream, command, deadline));
        match attempt {
            Ok(reply) => return Ok(reply),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// What is left until the deadline, or the error that nothing is.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"));
    }
    Ok(left)
}

fn exchange(mut stream: TcpStream, command: &str, deadline: Instant) -> io::Result<String> {
    stream.set_write_timeout(Some(left(deadline)?))?;
    stream.write_all(command.as_bytes())?;
    let mut reply = Vec::new();
    let mut chunk = [0u8; 4096];
    while (reply.len() as u64) < MAX_REPLY_BYTES {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => reply.extend_from_slice(chunk.get(..count).unwrap_or(&chunk)),
            // A server that closes with our bytes unread resets; what it said still counts.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset && !reply.is_empty() => {
                break;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(String::from_utf8_lossy(&reply).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    /// A server that reads four bytes and answers with `reply`, once.
    fn serve(reply: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let port = listener.local_addr().expect("bound").port();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut word = [0u8; 4];
            stream.read_exact(&mut word).expect("four bytes");
            assert_eq!(&word, b"srvr");
            stream.write_all(reply.as_bytes()).expect("writes");
        });
        port
    }

    #[test]
    fn returns_the_whole_reply() {
        let port = serve("Zookeeper version: x\nMode: standalone\n");
        let reply = four_letter_word("127.0.0.1", port, "srvr", Duration::from_secs(120));
        assert_eq!(reply.expect("answers"), "Zookeeper version: x\nMode: standalone\n");
    }

    #[test]
    fn tries_every_address_of_the_host() {
        // localhost may be ::1 first, where nobody listens.
        let port = serve("Mode: leader\n");
        let reply = four_letter_word("localhost", port, "srvr", Duration::from_secs(120));
        assert_eq!(reply.expect("answers"), "Mode: leader\n");
    }

    #[test]
    fn a_silent_server_ends_in_a_timeout() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let port = listener.local_addr().expect("bound").port();
        let result = four_letter_word("127.0.0.1", port, "srvr", Duration::from_millis(50));
        let kind = result.expect_err("nobody answers").kind();
        assert!(matches!(kind, io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock), "{kind}");
    }

    #[test]
    fn nobody_listening_is_an_error() {
        // A free port might be another test's the next moment.
        assert!(four_letter_word("127.0.0.1", 1, "srvr", Duration::from_secs(5)).is_err());
    }
}
