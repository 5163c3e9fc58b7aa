//! A network that can be cut: a loopback proxy that knows where frames begin and end.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rookeeper_proto::OpCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What to do with the next request of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// Cut the connection without passing it on.
    Before,
    /// Pass it on, and cut the connection when the reply has come, without the reply.
    After,
}

struct State {
    upstream: SocketAddr,
    breaks: Mutex<Vec<(i32, Break)>>,
    cuts: watch::Sender<u64>,
    held: watch::Sender<bool>,
    stalled: watch::Sender<bool>,
    events: AtomicU64,
}

/// One server behind a network of its own.
#[derive(Clone)]
pub struct Proxy {
    addr: SocketAddr,
    state: Arc<State>,
}

const NOTIFICATION: i32 = -1;

impl Proxy {
    pub async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let state = Arc::new(State {
            upstream,
            breaks: Mutex::default(),
            cuts: watch::Sender::new(0),
            held: watch::Sender::new(false),
            stalled: watch::Sender::new(false),
            events: AtomicU64::new(0),
        });
        let serving = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(Arc::clone(&serving), stream));
            }
        });
        Self { addr, state }
    }

    pub fn servers(&self) -> String {
        self.addr.to_string()
    }

    /// Breaks the next request of an operation that any connection sends.
    pub fn break_next(&self, op: OpCode, how: Break) {
        self.state.breaks.lock().expect("no panic").push((op.as_i32(), how));
    }

    /// Whether every break has happened.
    pub fn all_broken(&self) -> bool {
        self.state.breaks.lock().expect("no panic").is_empty()
    }

    /// Cuts every connection; new ones are made at once.
    pub fn cut(&self) {
        self.state.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Cuts every connection and makes none until released.
    pub fn hold(&self) {
        self.state.held.send_replace(true);
        self.cut();
    }

    pub fn release(&self) {
        self.state.held.send_replace(false);
    }

    /// Delivers nothing more, in neither direction, and closes nothing: as if the client was asleep.
    pub fn stall(&self, stalled: bool) {
        self.state.stalled.send_replace(stalled);
    }

    /// Watch events delivered to clients.
    pub fn events(&self) -> u64 {
        self.state.events.load(Ordering::SeqCst)
    }
}

async fn serve(state: Arc<State>, client: TcpStream) {
    let mut cuts = state.cuts.subscribe();
    let mut held = state.held.subscribe();
    if held.wait_for(|held| !held).await.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect(state.upstream).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // The request whose reply is the last thing this connection sees.
    let fatal = Mutex::new(None);
    tokio::select! {
        () = requests(&state, from_client, to_server, &fatal) => {}
        () = replies(&state, from_server, to_client, &fatal) => {}
        _ = cuts.changed() => {}
    }
}

async fn requests(
    state: &State,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    fatal: &Mutex<Option<i32>>,
) {
    let mut is_first = true;
    let mut stalled = state.stalled.subscribe();
    while let Some(frame) = frame(&mut from).await {
        if !is_first {
            let (xid, op) = (number(&frame, 4), number(&frame, 8));
            let mut breaks = state.breaks.lock().expect("no panic");
            let at = breaks.iter().position(|(known, _)| *known == op);
            match at.map(|at| breaks.remove(at).1) {
                Some(Break::Before) => return,
                Some(Break::After) => *fatal.lock().expect("no panic") = Some(xid),
                None => {}
            }
        }
        is_first = false;
        if stalled.wait_for(|stalled| !stalled).await.is_err()
            || to.write_all(&frame).await.is_err()
        {
            return;
        }
    }
}

async fn replies(
    state: &State,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    fatal: &Mutex<Option<i32>>,
) {
    let mut is_first = true;
    let mut stalled = state.stalled.subscribe();
    while let Some(frame) = frame(&mut from).await {
        if !is_first {
            let xid = number(&frame, 4);
            if *fatal.lock().expect("no panic") == Some(xid) {
                return;
            }
            if xid == NOTIFICATION {
                state.events.fetch_add(1, Ordering::SeqCst);
            }
        }
        is_first = false;
        if stalled.wait_for(|stalled| !stalled).await.is_err()
            || to.write_all(&frame).await.is_err()
        {
            return;
        }
    }
}

/// A frame with its length before it.
async fn frame(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut frame = vec![0; 4];
    from.read_exact(&mut frame).await.ok()?;
    let len = usize::try_from(number(&frame, 0)).ok()?;
    frame.resize(4 + len, 0);
    from.read_exact(&mut frame[4..]).await.ok()?;
    Some(frame)
}

fn number(frame: &[u8], at: usize) -> i32 {
    let bytes = frame.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, i32::from_be_bytes)
}
