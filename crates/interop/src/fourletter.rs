//! Four-letter words over a plain socket.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// Sends `word` and returns everything the server says until it closes.
pub fn ask(addr: SocketAddr, word: &str) -> std::io::Result<String> {
    ask_within(addr, word, PATIENCE)
}

/// As [`ask`], waiting at most `patience` for the connection and for each part of the answer.
pub fn ask_within(addr: SocketAddr, word: &str, patience: Duration) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&addr, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    stream.write_all(word.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The mode in an answer to `srvr` (`standalone`, `leader`, `follower`, `observer`, `read-only`).
pub fn mode_in(answer: &str) -> Option<&str> {
    answer.lines().find_map(|line| line.strip_prefix("Mode: ")).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::mode_in;

    #[test]
    fn the_mode_is_found() {
        assert_eq!(mode_in("Zxid: 0x0\nMode: standalone\nNode count: 5\n"), Some("standalone"));
        assert_eq!(mode_in("This ZooKeeper instance is not currently serving requests\n"), None);
    }
}
