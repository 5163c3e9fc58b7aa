//! Commands on watches.

use rookeeper_client::{AddWatchMode, WatcherType};

use super::Session;
use super::nodes::path;
use crate::failure::Outcome;
use crate::options::Parsed;
use crate::shell::usage;
use crate::table::Command;

pub(super) fn add(session: &mut Session<'_>, command: &Command, parsed: &Parsed) -> Outcome {
    let mode = match parsed.value("m").map(str::to_uppercase).as_deref() {
        None | Some("PERSISTENT_RECURSIVE") => AddWatchMode::PersistentRecursive,
        Some("PERSISTENT") => AddWatchMode::Persistent,
        Some(_) => return Err(usage(command)),
    };
    if parsed.args.len() != 2 {
        return Err(usage(command));
    }
    let path = path(parsed)?;
    let client = session.client()?;
    session.wait(client.add_watch(path, mode))??;
    Ok(())
}

pub(super) fn remove(session: &mut Session<'_>, parsed: &Parsed) -> Outcome {
    let which = match () {
        () if parsed.has("c") => WatcherType::Children,
        () if parsed.has("d") => WatcherType::Data,
        () if parsed.has("p") => WatcherType::Persistent,
        () if parsed.has("r") => WatcherType::PersistentRecursive,
        () => WatcherType::Any,
    };
    let path = path(parsed)?;
    let client = session.client()?;
    session.wait(client.remove_watches(path, which, parsed.has("l")))??;
    Ok(())
}
