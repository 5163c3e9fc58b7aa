//! The texts of the words.

use std::fmt::Write as _;

use super::{Command, Context, FourLetter};
use crate::version::VERSION_LINE;

/// The answer to an allowed word.
pub(super) fn text(
    this: &mut FourLetter,
    command: Command,
    _argument: &[u8],
    context: Context<'_>,
) -> String {
    match command {
        Command::Ruok => "imok".to_owned(),
        Command::Isro => "rw".to_owned(),
        Command::Gtmk => this.trace_mask.to_string(),
        Command::Srvr => srvr(&context),
        Command::Srst => {
            context.replica.reset_stats();
            "Server stats reset.\n".to_owned()
        }
        Command::Crst => {
            context.replica.reset_conn_stats();
            "Connection stats reset.\n".to_owned()
        }
        _ => String::new(),
    }
}

fn srvr(context: &Context<'_>) -> String {
    let replica = &context.replica;
    let stats = replica.stats();
    let mut out = String::new();
    let _ = writeln!(out, "Zookeeper version: {VERSION_LINE}");
    let latency = stats.latency_ms;
    let _ = writeln!(
        out,
        "Latency min/avg/max: {}/{}/{}",
        latency.min,
        java_decimal(latency.average()),
        latency.max
    );
    let _ = writeln!(out, "Received: {}", stats.packets_received);
    let _ = writeln!(out, "Sent: {}", stats.packets_sent);
    let _ = writeln!(out, "Connections: {}", replica.conns().len());
    let _ = writeln!(out, "Outstanding: {}", replica.outstanding());
    let _ = writeln!(out, "Zxid: {}", replica.tree().last_zxid());
    let _ = writeln!(out, "Mode: standalone");
    // Java stores the root under two names.
    let _ = writeln!(out, "Node count: {}", replica.tree().node_count() + 1);
    out
}

/// A decimal as Java prints a double rounded to four digits: `0.0`, `2.75`.
fn java_decimal(value: f64) -> String {
    let rounded = (value * 10_000.0).round() / 10_000.0;
    if rounded.fract() == 0.0 { format!("{rounded:.1}") } else { format!("{rounded}") }
}
