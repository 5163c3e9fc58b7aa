//! CPU time and resident memory of processes, from /proc.

use std::fs;

/// What the processes have used so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sample {
    /// User and system time of all of them, in microseconds.
    pub(crate) cpu_us: u64,
    /// Resident memory of all of them, in bytes.
    pub(crate) resident_bytes: u64,
}

/// The kernel counts CPU time in hundredths of a second on every Linux this runs on.
const US_PER_TICK: u64 = 10_000;

/// Adds up the processes.
pub(crate) fn sample(pids: &[u32]) -> Result<Sample, String> {
    let mut sum = Sample::default();
    for pid in pids {
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))
        };
        let stat = read("stat")?;
        // The command's name is in parentheses and may hold anything; the rest is counted from it.
        let rest = stat.rsplit(')').next().unwrap_or_default();
        let field = |n: usize| rest.split_whitespace().nth(n).and_then(|t| t.parse::<u64>().ok());
        let (Some(user), Some(system)) = (field(11), field(12)) else {
            return Err(format!("/proc/{pid}/stat cannot be read: {stat}"));
        };
        sum.cpu_us += (user + system) * US_PER_TICK;
        let status = read("status")?;
        let resident = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kb = resident.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        sum.resident_bytes += kb.unwrap_or(0) * 1024;
    }
    Ok(sum)
}
