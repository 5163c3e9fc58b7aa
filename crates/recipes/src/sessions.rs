//! A client that is replaced when its session is over.
//!
//! A session ends when the servers have not heard from it for its time-out, and a [`Client`] ends
//! with it. What runs for as long as its process (a latch, a membership, a cache) goes on in a new
//! session then. It **cannot** bring back what the old session held: each recipe says what it does.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rookeeper_client::{Builder, Client, Result, SessionState};

type Make = dyn Fn() -> Result<Client> + Send + Sync;

/// One session after the other. Clones share them.
///
/// ```no_run
/// use std::time::Duration;
/// use rookeeper_client::Client;
/// use rookeeper_recipes::Sessions;
///
/// # async fn example() -> rookeeper_recipes::Result<()> {
/// let sessions = Sessions::start("a:2181,b:2181,c:2181/app", || {
///     Client::builder().session_timeout(Duration::from_secs(10)).auth("digest", b"bob:secret")
/// })?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Sessions {
    present: Arc<Mutex<Client>>,
    /// `None` for a client that cannot be replaced.
    make: Option<Arc<Make>>,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("present", &self.present).finish_non_exhaustive()
    }
}

impl Sessions {
    /// Starts a first session, and as many as needed after it, each set up by `builder`. Must be
    /// called within a tokio runtime; does not wait for a connection.
    pub fn start(
        servers: &str,
        builder: impl Fn() -> Builder + Send + Sync + 'static,
    ) -> Result<Self> {
        let servers = servers.to_owned();
        let make = move || builder().start(&servers);
        let present = Arc::new(Mutex::new(make()?));
        Ok(Self { present, make: Some(Arc::new(make)) })
    }

    /// The client of the present session; a new one if the last has expired.
    pub fn client(&self) -> Result<Client> {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        if let (SessionState::Expired, Some(make)) = (present.state(), &self.make) {
            tracing::info!(session = %present.session_id(), "expired; starting a new session");
            *present = make()?;
        }
        Ok(present.clone())
    }
}

impl From<Client> for Sessions {
    /// Of this one session: what runs on it ends with it.
    fn from(client: Client) -> Self {
        Self { present: Arc::new(Mutex::new(client)), make: None }
    }
}

/// Does something in one session after the other, until it ends by itself or there is none any more.
pub(crate) async fn in_each_session<F, Fut>(sessions: &Sessions, mut work: F)
where
    F: FnMut(Client) -> Fut,
    Fut: Future<Output = crate::Result<()>>,
{
    loop {
        let client = match sessions.client() {
            Ok(client) if !client.state().is_final() => client,
            Ok(client) => {
                tracing::debug!(state = client.state().name(), "no further session");
                return;
            }
            Err(error) => {
                tracing::error!(%error, "cannot start a session");
                return;
            }
        };
        match work(client.clone()).await {
            Ok(()) => return,
            // The state follows the error.
            Err(error) if error.is_session_over() => {
                tracing::debug!(%error, "the session is over");
                ended(&client).await;
            }
            Err(error) => {
                tracing::warn!(%error, "beginning anew");
                tokio::time::sleep(ANEW).await;
            }
        }
    }
}

/// Before something that failed for a reason that may pass is begun anew.
const ANEW: std::time::Duration = std::time::Duration::from_millis(500);

async fn ended(client: &Client) {
    let mut state = client.state();
    while !state.is_final() {
        match client.state_changed(state).await {
            Some(next) => state = next,
            None => return,
        }
    }
}
