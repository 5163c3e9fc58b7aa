//! The limit of open files, raised at the start as a JVM does (`-XX:+MaxFDLimit`, on by default): the
//! soft limit of a login is often 1024, and a connection takes a descriptor.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one and says what it comes to.
pub(crate) fn raise_limit() {
    let before = getrlimit(Resource::Nofile);
    let text = |limit: Option<u64>| limit.map_or("no limit".to_owned(), |limit| limit.to_string());
    let (soft, hard) = (text(before.current), text(before.maximum));
    if before.current == before.maximum {
        return tracing::info!("open files: at most {soft}");
    }
    match setrlimit(Resource::Nofile, Rlimit { current: before.maximum, ..before }) {
        Ok(()) => tracing::info!("open files: at most {hard}, the hard limit; it was {soft}"),
        Err(error) => tracing::warn!(
            "open files: at most {soft}; the limit could not be raised to the hard limit, {hard}: \
             {error}. Each connection takes one: raise it with ulimit -n"
        ),
    }
}
