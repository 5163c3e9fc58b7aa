//! Requests repeated until the server has answered.

use std::time::Duration;

use rookeeper_client::{Client, Error, ErrorCode, ErrorKind, Result, Stat};

/// Before a request is repeated that the server refused for want of capacity.
const PAUSE: Duration = Duration::from_millis(20);

/// Whether an error says nothing about what the request met.
pub(crate) fn unanswered(error: &Error) -> bool {
    error.is_retryable() || error.kind() == ErrorKind::OutcomeUnknown
}

/// Waits until a request that was not answered is worth repeating. Fails when the session is over.
pub(crate) async fn pause(client: &Client, error: &Error) -> Result<()> {
    tracing::debug!(%error, "repeating a request");
    if error.kind() != ErrorKind::ConnectionLoss && error.kind() != ErrorKind::OutcomeUnknown {
        tokio::time::sleep(PAUSE).await;
    }
    client.connected().await
}

/// Repeats a request that may be repeated, until it is answered or the session is over.
pub(crate) async fn persist<T, F, Fut>(client: &Client, mut request: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T>>,
{
    loop {
        match request().await {
            Err(error) if unanswered(&error) => pause(client, &error).await?,
            answered => return answered,
        }
    }
}

/// As [`persist`], with `None` for a node that does not exist.
pub(crate) async fn persist_found<T, F, Fut>(client: &Client, request: F) -> Result<Option<T>>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T>>,
{
    match persist(client, request).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Deletes a node; one that is gone already will do.
pub(crate) async fn delete(client: &Client, path: &str) -> Result<()> {
    persist_found(client, || client.delete(path, None)).await.map(drop)
}

/// A node's stat as of now, not as of some earlier moment: every write this session has sent before
/// has either happened or never will.
///
/// The sync passes through the leader behind whatever was forwarded to it, and requests of a
/// connection that the session has left are refused there.
pub(crate) async fn stat_now(client: &Client, path: &str) -> Result<Option<Stat>> {
    persist(client, || client.sync(path)).await?;
    persist(client, || client.exists(path)).await
}
