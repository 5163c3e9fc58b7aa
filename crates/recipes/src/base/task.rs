//! Tasks bound to the life of what they serve.

use rookeeper_client::Client;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::persist;

/// A task that ends with its owner.
#[derive(Debug)]
pub(crate) struct Task(JoinHandle<()>);

impl Task {
    pub(crate) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Does something to its end, also when the answer's future is dropped: then what it made is dropped
/// when it is there, and not forgotten halfway.
pub(crate) async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    match tokio::spawn(work).await {
        Ok(done) => done,
        // Nobody aborts it, so it panicked, or the runtime ends and this future with it.
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => std::future::pending().await,
        },
    }
}

/// Does what a dropped value leaves behind. Without a runtime there is no session to clean up in.
pub(crate) fn after_drop(work: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(work);
    }
}

/// Deletes a node of a dropped value; else it goes with the session.
pub(crate) fn delete_after_drop(client: &Client, path: String) {
    if client.state().is_final() {
        return;
    }
    let client = client.clone();
    after_drop(async move {
        if let Err(error) = persist::delete(&client, &path).await {
            tracing::debug!(%error, path, "not deleted: the session takes it along");
        }
    });
}

/// Waits until a flag is set; for ever when nobody can set it any more.
pub(crate) async fn set(flag: &mut watch::Receiver<bool>) {
    if flag.wait_for(|set| *set).await.is_err() {
        std::future::pending::<()>().await;
    }
}
