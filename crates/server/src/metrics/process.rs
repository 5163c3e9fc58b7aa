//! What the kernel knows about this process.

/// Open file descriptors; -1 where it cannot be told.
pub(super) fn open_descriptors() -> i64 {
    std::fs::read_dir("/proc/self/fd").map_or(-1, |dir| dir.count() as i64 - 1)
}

/// The limit of open file descriptors.
pub(super) fn max_descriptors() -> i64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current.and_then(|n| i64::try_from(n).ok()).unwrap_or(i64::MAX)
}
