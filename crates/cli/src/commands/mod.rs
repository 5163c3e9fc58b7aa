//! The commands that need a session.

mod acl;
mod ensemble;
mod extras;
mod nodes;
mod quota;
mod watches;

use rookeeper_client::{Client, Stat, Watch};
use serde_json::Value;

use crate::failure::Outcome;
use crate::options::Parsed;
use crate::shell::Shell;
use crate::table::{Command, Id};
use crate::{format, json};

/// The shell a command runs in, and its session once it needs one.
pub(crate) struct Session<'s> {
    pub(crate) client: Option<Client>,
    pub(crate) shell: &'s mut Shell,
}

impl Session<'_> {
    /// The session. Arguments are checked before: a wrong one must not wait for a server.
    fn client(&mut self) -> Outcome<Client> {
        let client = self.shell.client()?;
        self.client = Some(client.clone());
        Ok(client)
    }

    /// Waits for the session's work; at a terminal, Ctrl-C ends the waiting.
    fn wait<T>(&self, work: impl Future<Output = T>) -> Outcome<T> {
        self.shell.wait(work)
    }

    fn out(&mut self, line: &str) {
        self.shell.out(line);
    }

    fn err(&mut self, line: &str) {
        self.shell.err(line);
    }

    /// Asks a person at a terminal; whoever reads no questions has none.
    fn confirm(&self, question: &str) -> bool {
        self.shell.confirm(question)
    }

    /// A part of a result: a field in JSON, else lines.
    fn put(
        &mut self,
        field: &str,
        value: impl FnOnce() -> Value,
        lines: impl FnOnce() -> Option<String>,
    ) {
        self.shell.put(field, value, lines);
    }

    /// A stat: printed if it was asked for, in JSON always.
    fn put_stat(&mut self, stat: &Stat, is_wanted: bool) {
        self.put("stat", || json::stat(stat), || is_wanted.then(|| format::stat(stat)));
    }
}

fn watch(parsed: &Parsed) -> Watch {
    if parsed.has("w") { Watch::Session } else { Watch::No }
}

/// Runs a command whose words are complete. `words` are the words as typed.
pub(crate) fn run(
    mut session: Session<'_>,
    command: &Command,
    parsed: &Parsed,
    words: &[String],
) -> Outcome {
    let session = &mut session;
    match command.id {
        Id::Create => nodes::create(session, parsed, words),
        Id::Delete => nodes::delete(session, parsed),
        Id::DeleteAll => nodes::delete_all(session, parsed),
        Id::Get => nodes::get(session, parsed),
        Id::Set => nodes::set(session, parsed, words),
        Id::Ls => nodes::ls(session, parsed),
        Id::Stat => nodes::stat(session, parsed),
        Id::Sync => nodes::sync(session, parsed),
        Id::GetAllChildrenNumber => nodes::all_children_number(session, parsed),
        Id::GetEphemerals => nodes::ephemerals(session, parsed),
        Id::AddAuth => acl::add_auth(session, command, parsed),
        Id::GetAcl => acl::get(session, parsed),
        Id::SetAcl => acl::set(session, parsed),
        Id::WhoAmI => acl::whoami(session),
        Id::AddWatch => watches::add(session, command, parsed),
        Id::RemoveWatches => watches::remove(session, parsed),
        Id::Config => ensemble::config(session, parsed),
        Id::Reconfig => ensemble::reconfig(session, command, parsed),
        Id::Close => ensemble::close(session),
        Id::Version => {
            ensemble::version(session);
            Ok(())
        }
        Id::ListQuota => quota::list(session, parsed),
        Id::SetQuota => quota::set(session, parsed),
        Id::DelQuota => quota::delete(session, parsed),
        Id::Diff => extras::diff::run(session, parsed),
        Id::Du => extras::view::du(session, parsed),
        Id::Edit => extras::edit::run(session, parsed),
        Id::Export => extras::transfer::export(session, parsed),
        Id::Find => extras::view::find(session, parsed),
        Id::Import => extras::transfer::import(session, parsed),
        Id::Tree => extras::view::tree(session, parsed),
        Id::Watch => extras::follow::run(session, parsed),
        Id::Quit | Id::Redo | Id::History | Id::PrintWatches | Id::Connect => Ok(()),
    }
}
