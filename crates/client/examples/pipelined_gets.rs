//! Reads one znode over and over on one connection, with a window of requests in flight, and prints what
//! that cost this process:
//!
//! ```text
//! cargo run --release -p rookeeper-client --example pipelined_gets -- [servers [path [window [warmup_s [seconds]]]]]
//! ```
//!
//! The comparison with Apache's Java client runs it beside `PipelinedGets.java` of the interop crate's
//! comparison, which does the same: keep the two alike.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rookeeper_client::{Client, Result};
use rustix::time::{ClockId, clock_gettime};
use tokio::task::LocalSet;

/// Seconds of CPU this process has used.
fn cpu_seconds() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as f64 + used.tv_nsec as f64 / 1e9
}

async fn measure(servers: &str, path: &str, window: u64, warmup: u64, seconds: u64) -> Result<()> {
    let client = Client::connect(servers).await?;
    // Says which server or path is wrong before a thousand tasks do.
    client.get(path).await?;
    let answered = Rc::new(Cell::new(0_u64));
    for _ in 0..window {
        let (client, path, answered) = (client.clone(), path.to_owned(), Rc::clone(&answered));
        tokio::task::spawn_local(async move {
            while client.get(&path).await.is_ok() {
                answered.set(answered.get() + 1);
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(warmup)).await;
    let (cpu, began, before) = (cpu_seconds(), Instant::now(), answered.get());
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let ops = answered.get() - before;
    let (wall, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    println!(
        "{{\"ops\": {ops}, \"ops_per_second\": {:.0}, \"ops_per_cpu_second\": {:.0}}}",
        ops as f64 / wall,
        ops as f64 / cpu
    );
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let text = |at: usize, default: &str| args.get(at).map_or(default, String::as_str).to_owned();
    let number =
        |at: usize, default: u64| args.get(at).and_then(|arg| arg.parse().ok()).unwrap_or(default);
    let (servers, path) = (text(0, "127.0.0.1:2181"), text(1, "/zookeeper"));
    let work = measure(&servers, &path, number(2, 256), number(3, 1), number(4, 5));
    LocalSet::new().run_until(work).await
}
