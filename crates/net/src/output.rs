//! Flushing, back-pressure and the ways a connection ends on this side.
//!
//! A connection that is closed after a flush goes Open, Closing (output is written), Lingering
//! (output is shut down, input is thrown away), gone. The handler hears of the end when Lingering
//! starts. Lingering exists because a socket closed with unread input, or that gets input later,
//! makes the kernel send a reset, on which the peer may throw away the very answer that was flushed.

use std::cmp::Reverse;
use std::net::Shutdown;
use std::time::Duration;

use crate::conn::State;
use crate::transport::Transport;
use crate::{CloseReason, ConnId, Io};

impl Io {
    /// Writes what was queued since the last call.
    pub(crate) fn flush_dirty(&mut self) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for conn in dirty.drain(..) {
            self.flush(conn);
        }
        // Keep the larger vector: nothing is marked while flushing, or little.
        if self.dirty.is_empty() {
            self.dirty = dirty;
        }
    }

    fn flush(&mut self, conn: ConnId) {
        let Some(c) = self.conns.get_mut(conn) else { return };
        c.in_dirty = false;
        if !matches!(c.state, State::Open | State::Closing) {
            return;
        }
        // What was appended while more than the high-water mark was stuck counts as "behind": the
        // peer got no input through in that time, so none of it answers anything new.
        if c.blocked && !c.exempt && c.settled > self.limits.high_water_bytes {
            c.behind += c.queued().saturating_sub(c.settled);
            if c.behind > self.limits.max_queued_behind_bytes {
                return self.kill(conn, CloseReason::SlowConsumer);
            }
        }
        let closing = c.state == State::Closing;
        if !c.blocked
            && let Err(why) = c.write(closing, &mut self.pool)
        {
            return self.kill(conn, why);
        }
        c.settled = c.queued();
        c.behind = c.behind.min(c.settled);
        let drained = !c.blocked || c.settled <= self.limits.low_water_bytes();
        if c.throttled && drained && !closing {
            c.throttled = false;
            c.redeliver = true;
            self.serve_next_turn(conn);
        } else if closing && c.settled == 0 {
            self.finish_closing(conn);
        } else if closing && c.deadline.is_none() {
            self.set_deadline(conn, self.limits.close_flush);
        }
    }

    pub(crate) fn start_closing(&mut self, conn: ConnId) {
        let Some(c) = self.conns.get_mut(conn) else { return };
        c.state = State::Closing;
        if !matches!(c.transport, Transport::Undecided(_)) {
            c.input.release(&mut self.pool);
        }
        self.flush_this_turn(conn);
        // In case output waits for a handshake.
        self.serve_next_turn(conn);
    }

    /// Everything is written.
    fn finish_closing(&mut self, conn: ConnId) {
        if self.stopping {
            return self.kill(conn, CloseReason::Stopped);
        }
        let Some(c) = self.conns.get_mut(conn) else { return };
        let shut = c.stream.as_ref().is_some_and(|s| s.shutdown(Shutdown::Write).is_ok());
        if !shut {
            return self.kill(conn, CloseReason::Local);
        }
        c.state = State::Lingering;
        c.release(&mut self.pool);
        self.alive -= 1;
        self.closed.push_back((conn, CloseReason::Local));
        self.set_deadline(conn, self.limits.linger);
        // Input may have been left unread.
        self.serve_next_turn(conn);
    }

    fn set_deadline(&mut self, conn: ConnId, after: Duration) {
        let at = self.now + after;
        if let Some(c) = self.conns.get_mut(conn) {
            c.deadline = Some(at);
            self.deadlines.push(Reverse((at, conn)));
        }
    }

    /// Ends connections that took too long to close.
    pub(crate) fn expire(&mut self) {
        while let Some(&Reverse((at, conn))) = self.deadlines.peek()
            && at <= self.now
        {
            self.deadlines.pop();
            let state = match self.conns.get(conn) {
                Some(c) if c.deadline == Some(at) => c.state,
                _ => continue,
            };
            if state == State::Lingering {
                self.forget(conn);
            } else {
                self.kill(conn, CloseReason::SlowConsumer);
            }
        }
    }
}
