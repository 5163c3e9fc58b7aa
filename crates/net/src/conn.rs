//! One connection: its socket, what was read and not consumed, what is to be written.
//!
//! This file moves bytes; when to move them is decided in `reactor.rs` (reading) and `output.rs`
//! (writing and closing). Nothing here calls the handler.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Instant;

use mio::net::TcpStream;

use crate::CloseReason;
use crate::buffer::{Pool, Queue};
use crate::transport::{Choice, Layer, Layered, MAX_SNIFFED_BYTES, Status, Transport};

/// Kept input up to this size is put in front of the next read instead of the read behind it, so
/// that the usual cut frame at the end of a batch is delivered in one piece from the shared buffer
/// and the connection's own vector never grows. Above it the copy would cost more than it saves.
const FRONT_BYTES: usize = 4 * 1024;

/// Most bytes offered to the kernel at once. A write of more than 2 GiB is cut short even by a
/// socket with room, and a short write must mean that there is none.
const WRITE_BYTES: usize = 1 << 30;

/// Where a connection is in its life. What is not here is gone from the slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Outgoing, without an answer so far.
    Connecting,
    /// Both directions work.
    Open,
    /// Queued output is still written; input is ignored.
    Closing,
    /// Output is shut down and `on_closed` was called; input is swallowed until the peer closes.
    Lingering,
}

/// What a read brought.
#[derive(Debug)]
pub(crate) enum Input {
    /// Nothing to deliver.
    Nothing,
    /// The first n bytes of the scratch buffer.
    Scratch(usize),
    /// Everything in the vector of plain bytes.
    Plain,
    /// Everything in the connection's own queue.
    Kept,
    /// The connection is over.
    Ended(CloseReason),
}

/// The reactor's buffers, lent for one read.
#[derive(Debug)]
pub(crate) struct Scratch {
    /// Bytes as they come from the socket.
    pub(crate) raw: Vec<u8>,
    /// What a layer makes of them.
    pub(crate) plain: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Conn {
    /// Absent only in an outgoing connection that failed at once.
    pub(crate) stream: Option<TcpStream>,
    pub(crate) transport: Transport,
    pub(crate) input: Queue,
    pub(crate) output: Queue,
    pub(crate) peer: SocketAddr,
    /// Of the listener, or of the request to connect.
    pub(crate) tag: u32,
    pub(crate) state: State,
    /// The kernel may hold input we have not read (edge-triggered: nobody tells us again).
    pub(crate) readable: bool,
    /// The peer closed its direction or the socket failed: read on until that shows.
    pub(crate) hup: bool,
    /// The socket failed: of interest when it is not being read.
    pub(crate) failed: bool,
    /// The layer has seen its end of the peer's bytes.
    pub(crate) ended: bool,
    /// The kernel takes no more output until it says so.
    pub(crate) blocked: bool,
    /// The handler wants no input.
    pub(crate) paused: bool,
    /// Input is held back until the output has drained.
    pub(crate) throttled: bool,
    /// Neither held back nor closed for its queued output: its user bounds it.
    pub(crate) exempt: bool,
    /// Kept input is to be delivered although nothing new has come.
    pub(crate) redeliver: bool,
    /// In the reactor's list of connections to be served.
    pub(crate) in_ready: bool,
    /// In the reactor's list of connections to be flushed.
    pub(crate) in_dirty: bool,
    /// The handler is not called before that many bytes are there.
    pub(crate) want: usize,
    /// Queued output after the last flush.
    pub(crate) settled: usize,
    /// How much of the queue's end counts against `max_queued_behind_bytes`.
    pub(crate) behind: usize,
    /// When the state Closing or Lingering ends by force.
    pub(crate) deadline: Option<Instant>,
}

impl Conn {
    pub(crate) fn new(
        stream: Option<TcpStream>,
        transport: Transport,
        peer: SocketAddr,
        tag: u32,
        state: State,
    ) -> Conn {
        Conn {
            stream,
            transport,
            input: Queue::default(),
            output: Queue::default(),
            peer,
            tag,
            state,
            readable: false,
            hup: false,
            failed: false,
            ended: false,
            blocked: false,
            paused: false,
            throttled: false,
            exempt: false,
            redeliver: false,
            in_ready: false,
            in_dirty: false,
            want: 0,
            settled: 0,
            behind: 0,
            deadline: None,
        }
    }

    /// Output the kernel has not taken.
    #[inline]
    pub(crate) fn queued(&self) -> usize {
        let wire =
            if let Transport::Layered(layered) = &self.transport { layered.wire.len() } else { 0 };
        self.output.len() + wire
    }

    /// True when the handler is to be shown what is in the queue of kept input.
    pub(crate) fn has_enough_input(&self) -> bool {
        self.input.len() >= self.want.max(1)
    }

    /// Gives all memory back.
    pub(crate) fn release(&mut self, pool: &mut Pool) {
        self.input.release(pool);
        self.output.release(pool);
        if let Transport::Layered(layered) = &mut self.transport {
            layered.wire.release(pool);
        }
    }

    /// Reads once. `readable` tells afterwards whether there may be more.
    pub(crate) fn read(&mut self, scratch: &mut Scratch, pool: &mut Pool) -> Input {
        if self.ended {
            return Input::Ended(CloseReason::PeerClosed);
        }
        let prefix = self.put_in_front(&mut scratch.raw);
        let Some(room) = scratch.raw.get_mut(prefix..) else { return Input::Nothing };
        let room_len = room.len();
        let count = match receive(self.stream.as_ref(), room) {
            Ok(0) => return Input::Ended(CloseReason::PeerClosed),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                return Input::Nothing;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => return Input::Nothing,
            Err(error) => return Input::Ended(CloseReason::Socket(error)),
        };
        // A short read has emptied the socket: what comes later raises a new event. But the event
        // of an end that was already announced will not come again, so read on until it shows.
        self.readable = self.hup || count == room_len;
        self.arrived(scratch, prefix, prefix + count, pool)
    }

    /// Reads once and throws it away; false when the peer is gone.
    pub(crate) fn swallow(&mut self, scratch: &mut Scratch) -> bool {
        match receive(self.stream.as_ref(), &mut scratch.raw) {
            Ok(0) => false,
            Ok(count) => {
                self.readable = self.hup || count == scratch.raw.len();
                true
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                true
            }
            Err(error) => error.kind() == ErrorKind::Interrupted,
        }
    }

    /// Copies kept input to the front of the shared buffer where that pays; says how much. The
    /// queue keeps its bytes until the read has succeeded.
    fn put_in_front(&self, raw: &mut [u8]) -> usize {
        let kept = self.input.bytes();
        let pays = match self.transport {
            Transport::Plain => self.want <= raw.len() && kept.len() <= FRONT_BYTES,
            Transport::Undecided(_) => true,
            Transport::Layered(_) => false,
        };
        match raw.get_mut(..kept.len()) {
            Some(front) if pays => {
                front.copy_from_slice(kept);
                kept.len()
            }
            _ => 0,
        }
    }

    /// Bytes `prefix..end` of the scratch buffer are new; those before are also in the queue.
    fn arrived(
        &mut self,
        scratch: &mut Scratch,
        prefix: usize,
        end: usize,
        pool: &mut Pool,
    ) -> Input {
        let Scratch { raw, plain } = scratch;
        let (all, new) = (&raw[..end], &raw[prefix..end]);
        match &mut self.transport {
            Transport::Plain => self.keep_or_offer(all, new, Input::Scratch(end), pool),
            Transport::Layered(_) => self.open(new, plain, pool),
            Transport::Undecided(chooser) => match chooser.choose(all) {
                Choice::More if end >= MAX_SNIFFED_BYTES => {
                    Input::Ended(CloseReason::Transport("no verdict on the first bytes".into()))
                }
                Choice::More => {
                    self.input.append(new, pool);
                    Input::Nothing
                }
                Choice::Plain => {
                    self.transport = Transport::Plain;
                    self.keep_or_offer(all, new, Input::Scratch(end), pool)
                }
                Choice::Layer(layer) => {
                    self.input.release(pool);
                    match self.put_on(layer, pool) {
                        Ok(()) => self.open(all, plain, pool),
                        Err(why) => Input::Ended(why),
                    }
                }
                Choice::Refuse(error) => Input::Ended(CloseReason::Transport(error)),
            },
        }
    }

    /// Offers application bytes if there are enough of them, or keeps them. `all` ends with `new`
    /// and starts with the kept ones, unless those are too many, when it is just `new`.
    fn keep_or_offer(&mut self, all: &[u8], new: &[u8], offer: Input, pool: &mut Pool) -> Input {
        let in_front = all.len() - new.len();
        if self.input.len() > in_front || all.len() < self.want.max(1) {
            self.input.append(new, pool);
            return if self.has_enough_input() { Input::Kept } else { Input::Nothing };
        }
        self.input.release(pool);
        offer
    }

    /// Starts a layer.
    pub(crate) fn put_on(
        &mut self,
        layer: Box<dyn Layer>,
        pool: &mut Pool,
    ) -> Result<(), CloseReason> {
        let layered = Layered::start(layer, pool).map_err(CloseReason::Transport)?;
        self.transport = Transport::Layered(Box::new(layered));
        Ok(())
    }

    fn open(&mut self, raw: &[u8], plain: &mut Vec<u8>, pool: &mut Pool) -> Input {
        let Transport::Layered(layered) = &mut self.transport else { return Input::Nothing };
        plain.clear();
        match layered.open(raw, plain, pool) {
            Ok(Status::Open) => {}
            Ok(Status::PeerClosed) => {
                self.ended = true;
                // Have the end seen in the next turn, after these bytes.
                self.readable = true;
            }
            Err(error) => {
                // The layer may have left an alert; the peer should learn what was wrong.
                if let Err(error) = send(self.stream.as_ref(), &mut layered.wire, pool) {
                    tracing::debug!(%error, "cannot send an alert");
                }
                return Input::Ended(CloseReason::Transport(error));
            }
        }
        self.keep_or_offer(plain, plain, Input::Plain, pool)
    }

    /// Writes what the kernel takes; sets `blocked`. With `last`, nothing will follow.
    pub(crate) fn write(&mut self, last: bool, pool: &mut Pool) -> Result<(), CloseReason> {
        let queue = match &mut self.transport {
            Transport::Layered(layered) => {
                layered.seal(&mut self.output, pool).map_err(CloseReason::Transport)?;
                if last && self.output.is_empty() {
                    layered.close(pool);
                }
                &mut layered.wire
            }
            Transport::Plain => &mut self.output,
            // Whether it may go out in the clear is not known yet.
            Transport::Undecided(_) => return Ok(()),
        };
        self.blocked = send(self.stream.as_ref(), queue, pool).map_err(CloseReason::Socket)?;
        Ok(())
    }
}

fn receive(stream: Option<&TcpStream>, room: &mut [u8]) -> io::Result<usize> {
    match stream {
        Some(mut stream) => stream.read(room),
        None => Err(ErrorKind::NotConnected.into()),
    }
}

/// Writes the queue; true when the kernel did not take all of it.
fn send(stream: Option<&TcpStream>, queue: &mut Queue, pool: &mut Pool) -> io::Result<bool> {
    let Some(mut stream) = stream else { return Err(ErrorKind::NotConnected.into()) };
    while !queue.is_empty() {
        let bytes = queue.bytes();
        let bytes = bytes.get(..WRITE_BYTES).unwrap_or(bytes);
        let offered = bytes.len();
        match stream.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => {
                queue.remove(count, pool);
                if count < offered {
                    return Ok(true);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    queue.release(pool);
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_is_small() {
        let slot = size_of::<Option<Conn>>() + size_of::<u64>();
        assert!(slot <= 256, "{slot} bytes per connection");
    }
}
