//! What holders of watches receive: one event for a one-time watch, a queue for a persistent one.
//!
//! A queue is bounded. Whoever does not keep up loses the queued events and is told so by
//! [`Notice::MayHaveMissed`], as after a reconnection.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use rookeeper_proto::Zxid;
use tokio::sync::{mpsc, oneshot, watch};

use crate::connect_string::Chroot;
use crate::driver::{Control, Standing};
use crate::error::{Result, over};
use crate::event::{EventKind, WatchedEvent};
use crate::session::{WatchId, WatchKind};

/// Events a persistent watcher may leave waiting.
const QUEUE_MAX: usize = 4096;

/// What a [`PersistentWatcher`] is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Something happened.
    Event(WatchedEvent),
    /// Events may have been missed: there was no connection for a while, or this watcher did not
    /// take its events in time. Look at the nodes again.
    MayHaveMissed,
}

#[derive(Debug)]
struct Raw {
    kind: EventKind,
    path: String,
    zxid: Zxid,
}

impl Raw {
    fn for_client(self, chroot: &Chroot) -> WatchedEvent {
        let path = chroot.to_client(&self.path).to_owned();
        WatchedEvent { kind: self.kind, path, zxid: self.zxid }
    }
}

/// The driver's end of a watcher.
#[derive(Debug)]
pub(crate) struct Sink(End);

#[derive(Debug)]
enum End {
    Once(Option<oneshot::Sender<Raw>>),
    Many(Arc<Queue>),
}

impl Sink {
    /// Tells the holder; true when it has no more use for this sink.
    pub(crate) fn event(&mut self, kind: EventKind, path: &str, zxid: Zxid) -> bool {
        let raw = Raw { kind, path: path.to_owned(), zxid };
        match &mut self.0 {
            End::Once(sender) => {
                // A dropped holder is no error.
                let _ = sender.take().map(|sender| sender.send(raw));
                true
            }
            End::Many(queue) => {
                let last = kind == EventKind::PersistentWatchRemoved;
                queue.push(Some(raw));
                last
            }
        }
    }

    pub(crate) fn reconnected(&mut self) {
        if let End::Many(queue) = &self.0 {
            queue.push(None);
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let End::Many(queue) = &self.0 {
            queue.end();
        }
    }
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<QueueState>,
}

#[derive(Debug, Default)]
struct QueueState {
    /// `None` stands for [`Notice::MayHaveMissed`].
    notices: VecDeque<Option<Raw>>,
    ended: bool,
    /// Whoever waits; there is one watcher and so at most one.
    waker: Option<Waker>,
}

impl Queue {
    fn with<T>(&self, f: impl FnOnce(&mut QueueState) -> T) -> T {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, notice: Option<Raw>) {
        let waker = self.with(|state| {
            if state.notices.len() >= QUEUE_MAX {
                state.notices.clear();
                state.notices.push_back(None);
            }
            let repeated = notice.is_none() && matches!(state.notices.back(), Some(None));
            if !repeated {
                state.notices.push_back(notice);
            }
            state.waker.take()
        });
        waker.into_iter().for_each(Waker::wake);
    }

    fn end(&self) {
        let waker = self.with(|state| {
            state.ended = true;
            state.waker.take()
        });
        waker.into_iter().for_each(Waker::wake);
    }

    /// The next notice; `Ready(None)` when there will be none.
    fn poll(&self, context: &Context<'_>) -> Poll<Option<Option<Raw>>> {
        self.with(|state| match state.notices.pop_front() {
            Some(notice) => Poll::Ready(Some(notice)),
            None if state.ended => Poll::Ready(None),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        })
    }
}

/// Takes a watch away when its holder is dropped.
#[derive(Debug)]
struct Lease {
    id: WatchId,
    kinds: Vec<WatchKind>,
    path: String,
    control: mpsc::UnboundedSender<Control>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Without a driver there is no watch either.
        let kinds = std::mem::take(&mut self.kinds);
        let path = std::mem::take(&mut self.path);
        let _ = self.control.send(Control::Forget(self.id, kinds, path));
    }
}

/// A watch that fires once.
#[derive(Debug)]
pub struct OneshotWatcher {
    receiver: oneshot::Receiver<Raw>,
    standing: watch::Receiver<Standing>,
    chroot: Chroot,
    _lease: Lease,
}

impl OneshotWatcher {
    /// Waits for the event. The watch survives reconnections: a change in between is reported
    /// afterwards. Fails when the session ends first.
    pub async fn changed(self) -> Result<WatchedEvent> {
        match self.receiver.await {
            Ok(raw) => Ok(raw.for_client(&self.chroot)),
            Err(_) => Err(over(self.standing.borrow().state)
                .with_message("the session ended before the watch fired")),
        }
    }
}

/// A watch that stays until dropped or removed; also a [`Stream`] of its notices.
#[derive(Debug)]
pub struct PersistentWatcher {
    queue: Arc<Queue>,
    chroot: Chroot,
    _lease: Lease,
}

impl PersistentWatcher {
    /// Waits for the next notice; `None` when the session ended or the watch was removed. May be
    /// dropped while waiting without losing anything.
    pub async fn next(&mut self) -> Option<Notice> {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    fn poll(&self, context: &Context<'_>) -> Poll<Option<Notice>> {
        let notice = |raw: Option<Raw>| match raw {
            Some(raw) => Notice::Event(raw.for_client(&self.chroot)),
            None => Notice::MayHaveMissed,
        };
        self.queue.poll(context).map(|taken| taken.map(notice))
    }
}

impl Stream for PersistentWatcher {
    type Item = Notice;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Notice>> {
        self.poll(context)
    }
}

pub(crate) type ControlSender = mpsc::UnboundedSender<Control>;

pub(crate) fn once(
    id: WatchId,
    kinds: Vec<WatchKind>,
    path: String,
    chroot: Chroot,
    (control, standing): (ControlSender, watch::Receiver<Standing>),
) -> (Sink, OneshotWatcher) {
    let (sender, receiver) = oneshot::channel();
    let lease = Lease { id, kinds, path, control };
    (Sink(End::Once(Some(sender))), OneshotWatcher { receiver, standing, chroot, _lease: lease })
}

pub(crate) fn many(
    id: WatchId,
    kind: WatchKind,
    path: String,
    chroot: Chroot,
    control: ControlSender,
) -> (Sink, PersistentWatcher) {
    let queue = Arc::new(Queue::default());
    let lease = Lease { id, kinds: vec![kind], path, control };
    (Sink(End::Many(Arc::clone(&queue))), PersistentWatcher { queue, chroot, _lease: lease })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_is_replaced_by_one_notice_of_the_loss() {
        let queue = Queue::default();
        let context = Context::from_waker(Waker::noop());
        let take = || queue.poll(&context);
        let raw = || Raw { kind: EventKind::NodeCreated, path: "/a".into(), zxid: Zxid(1) };
        (0..=QUEUE_MAX).for_each(|_| queue.push(Some(raw())));
        assert!(matches!(take(), Poll::Ready(Some(None))));
        assert!(matches!(take(), Poll::Ready(Some(Some(_)))));
        assert!(take().is_pending());
        queue.push(None);
        queue.push(None);
        queue.end();
        assert!(matches!(take(), Poll::Ready(Some(None))));
        assert!(matches!(take(), Poll::Ready(None)));
    }
}
