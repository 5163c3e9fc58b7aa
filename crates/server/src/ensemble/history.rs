//! Reads the log for learners that are behind what memory holds.
//!
//! A thread for each, as long as it needs one: it knows where the last slice ended.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use rookeeper_net::Waker;
use rookeeper_proto::Zxid;
use rookeeper_replica::durable::history::HistoryReader;
use rookeeper_storage::Disk;
use rookeeper_zab::{Conn, HistoryAnswer};

use super::Answer;
use crate::mailbox::Mailbox;

/// What threads that read need.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) log_dir: PathBuf,
    pub(super) record_bytes_max: usize,
    pub(super) answers: Arc<Mailbox<Answer>>,
    pub(super) waker: Waker,
}

/// What comes behind the first up to the second.
type Range = (Zxid, Zxid);

/// Who is read for.
pub(super) struct Histories {
    source: Source,
    readers: BTreeMap<Conn, Sender<Range>>,
}

impl Histories {
    pub(super) fn new(source: Source) -> Self {
        Self { source, readers: BTreeMap::new() }
    }

    /// Reads the next slice; its [`Answer::History`] comes later.
    pub(super) fn read(&mut self, conn: Conn, range: Range) {
        if self.readers.get(&conn).is_some_and(|reader| reader.send(range).is_ok()) {
            return;
        }
        let (sender, receiver) = channel();
        let source = self.source.clone();
        let work = move || {
            let (disk, dir) = (&*source.disk, &source.log_dir);
            let mut reader = HistoryReader::new(disk, dir, source.record_bytes_max);
            while let Ok((after, through)) = receiver.recv() {
                let answer = reader.read(after, through);
                let has_more = matches!(&answer, HistoryAnswer::Records { records, .. }
                    if records.last().is_some_and(|last| last.zxid < through));
                source.answer(conn, answer, has_more);
            }
        };
        let spawned = std::thread::Builder::new().name("rookeeper-history".to_owned()).spawn(work);
        if spawned.is_err() || sender.send(range).is_err() {
            return self.source.answer(conn, HistoryAnswer::Unavailable, false);
        }
        self.readers.insert(conn, sender);
    }

    /// Nothing more is read for it, for now.
    pub(super) fn forget(&mut self, conn: Conn) {
        self.readers.remove(&conn);
    }
}

impl Source {
    fn answer(&self, conn: Conn, answer: HistoryAnswer, has_more: bool) {
        self.answers.put(Answer::History { conn, answer, has_more });
        self.waker.wake();
    }
}
