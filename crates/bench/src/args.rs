//! The command line.

use std::net::{SocketAddr, ToSocketAddrs};

use clap::{Parser, ValueEnum};

/// Loads a ZooKeeper-compatible server and says what it did.
#[derive(Debug, Clone, Parser)]
#[command(name = "rookeeper bench", version)]
pub(crate) struct Args {
    /// What to do.
    #[arg(value_enum)]
    pub(crate) op: Op,
    /// Servers, `host:port` separated by commas; connections are spread over them.
    #[arg(long, default_value = "127.0.0.1:2181")]
    pub(crate) servers: String,
    /// Connections.
    #[arg(long, short = 'c', default_value_t = 64)]
    pub(crate) connections: usize,
    /// Requests in flight per connection.
    #[arg(long, short = 'w', default_value_t = 16)]
    pub(crate) window: usize,
    /// Bytes of a value.
    #[arg(long, short = 's', default_value_t = 100)]
    pub(crate) size: usize,
    /// Seconds measured.
    #[arg(long, short = 'd', default_value_t = 10)]
    pub(crate) duration_s: u64,
    /// Seconds of the same load before measuring.
    #[arg(long, default_value_t = 2)]
    pub(crate) warmup_s: u64,
    /// Requests per second in all, on a fixed schedule; latency counts from the moment a request
    /// was due. 0 sends as fast as answers come.
    #[arg(long, default_value_t = 0)]
    pub(crate) rate: u64,
    /// Znodes that get, set and mixed work on.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) keys: u64,
    /// Percentage of reads in mixed.
    #[arg(long, default_value_t = 90)]
    pub(crate) reads: u32,
    /// Znodes that fill creates; operations of one multi; children listed by children.
    #[arg(long, short = 'n', default_value_t = 0)]
    pub(crate) count: u64,
    /// Generator threads.
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
    /// Process ids of the servers, for CPU time and memory.
    #[arg(long = "pid", value_delimiter = ',')]
    pub(crate) pids: Vec<u32>,
    /// Everything happens below this znode.
    #[arg(long, default_value = "/bench")]
    pub(crate) root: String,
    /// Session time-out in milliseconds.
    #[arg(long, default_value_t = 30_000)]
    pub(crate) session_timeout_ms: i32,
    /// One JSON object instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The kinds of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Op {
    /// getData of random keys.
    Get,
    /// setData of random keys.
    Set,
    /// create of new znodes, 1000 to a parent.
    Create,
    /// getData and setData mixed (`--reads`).
    Mixed,
    /// multi of creates and sets (`--count`, default 10 operations).
    Multi,
    /// getChildren of a znode (`--count` children, default 100).
    Children,
    /// Connect, open a session, close it, again.
    Churn,
    /// `--connections` watchers of one znode, re-armed at every event.
    Watch,
    /// Creates `--count` znodes (default 1 000 000) and stops.
    Fill,
    /// Pings: the cost of a request that does nothing.
    Ping,
}

impl Op {
    /// Whether it runs for a time rather than for a number of requests.
    pub(crate) fn is_timed(self) -> bool {
        self != Self::Fill
    }

    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Set => "set",
            Self::Create => "create",
            Self::Mixed => "mixed",
            Self::Multi => "multi",
            Self::Children => "children",
            Self::Churn => "churn",
            Self::Watch => "watch",
            Self::Fill => "fill",
            Self::Ping => "ping",
        }
    }
}

impl Args {
    /// The servers' addresses, resolved.
    pub(crate) fn addresses(&self) -> Result<Vec<SocketAddr>, String> {
        let mut all = Vec::new();
        for server in self.servers.split(',').map(str::trim).filter(|server| !server.is_empty()) {
            let mut found = server
                .to_socket_addrs()
                .map_err(|error| format!("--servers {server}: {error} (write host:port)"))?;
            all.push(found.next().ok_or_else(|| format!("--servers {server}: no address"))?);
        }
        if all.is_empty() {
            return Err("--servers names no server".to_owned());
        }
        if self.connections == 0 || self.window == 0 || self.threads == 0 || self.keys == 0 {
            return Err("connections, window, threads and keys must not be 0".to_owned());
        }
        Ok(all)
    }
}
