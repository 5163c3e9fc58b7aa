//! Ctrl-C: ends the command at hand; without a person at a terminal, the shell with it.

use std::future::pending;

use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Counts what came; nothing that comes between two waits is lost.
pub(crate) struct Interrupts {
    count: watch::Receiver<u64>,
    forgotten: u64,
}

impl Interrupts {
    /// From now on Ctrl-C no longer ends the process by itself.
    pub(crate) fn listen(runtime: &Handle) -> Self {
        let (sender, count) = watch::channel(0);
        let _runtime = runtime.enter();
        // Where it cannot be listened for, it ends the process as before.
        if let Ok(mut signals) = signal(SignalKind::interrupt()) {
            runtime.spawn(async move {
                while signals.recv().await.is_some() {
                    sender.send_modify(|count| *count += 1);
                }
            });
        }
        Self { count, forgotten: 0 }
    }

    /// What came until now was not meant for what follows.
    pub(crate) fn forget(&mut self) {
        self.forgotten = *self.count.borrow();
    }

    /// Waits for one that is not forgotten.
    pub(crate) async fn next(&self) {
        let mut count = self.count.clone();
        if count.wait_for(|count| *count != self.forgotten).await.is_err() {
            pending().await
        }
    }
}
