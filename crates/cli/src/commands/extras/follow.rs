//! `watch`: prints what happens to a node and below it, a line each, until Ctrl-C, the end of the session,
//! or as many events as asked for.

use rookeeper_client::{AddWatchMode, Notice};
use serde_json::json;

use super::number;
use crate::commands::Session;
use crate::commands::nodes::path;
use crate::failure::{Failure, Outcome};
use crate::json;
use crate::options::Parsed;

pub(in crate::commands) fn run(session: &mut Session<'_>, parsed: &Parsed) -> Outcome {
    let path = path(parsed)?;
    let limit = number(parsed.value("n"), "n")?.unwrap_or(usize::MAX);
    let client = session.client()?;
    let console = session.shell.console.clone();
    let is_json = session.shell.is_json();
    session.wait(async {
        let mut watcher = client.watch(path, AddWatchMode::PersistentRecursive).await?;
        console.err(&format!("Watching {path} and everything below it"));
        let mut seen = 0;
        while seen < limit {
            match watcher.next().await {
                Some(Notice::Event(event)) => {
                    seen += 1;
                    if is_json {
                        console.out(&json!({"event": json::event(&event)}).to_string());
                    } else {
                        console.out(&format!("{} {} {}", event.zxid, event.kind, event.path));
                    }
                }
                Some(Notice::MayHaveMissed) => {
                    console.err("The connection was lost for a while: events may be missing here");
                }
                None => return Err(Failure::new("The session is over")),
            }
        }
        Ok(())
    })?
}
