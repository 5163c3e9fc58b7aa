//! The shell at a terminal: a prompt, editing, history, and completion of commands, options and
//! live paths.

use std::time::Duration;

use rookeeper_client::Client;
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, ExternalPrinter, Helper};
use tokio::runtime::Handle;

use crate::shell::{Next, Shell};
use crate::table;

/// How long completion waits for a server.
const COMPLETION_PATIENCE: Duration = Duration::from_secs(2);

struct Completion {
    runtime: Handle,
    client: Option<Client>,
}

impl Helper for Completion {}
impl Hinter for Completion {
    type Hint = String;
}
impl Highlighter for Completion {}
impl Validator for Completion {}

impl Completer for Completion {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let typed = line.get(..pos).unwrap_or(line);
        let start = typed.rfind(char::is_whitespace).map_or(0, |at| at + 1);
        let (before, word) = typed.split_at(start);
        let candidates = if before.trim().is_empty() {
            names(word)
        } else if word.starts_with('/') {
            self.paths(word)
        } else if word.starts_with('-') {
            options(before, word)
        } else {
            Vec::new()
        };
        Ok((start, candidates))
    }
}

fn pair(text: String, ends: bool) -> Pair {
    let replacement = if ends { format!("{text} ") } else { text.clone() };
    Pair { display: text, replacement }
}

fn names(word: &str) -> Vec<Pair> {
    let names = table::all().map(|command| command.name);
    names.filter(|name| name.starts_with(word)).map(|name| pair(name.to_owned(), true)).collect()
}

fn options(before: &str, word: &str) -> Vec<Pair> {
    let command = before.split_whitespace().next().and_then(table::find);
    let options = command.map_or(&[][..], |command| command.options);
    let names = options.iter().map(|option| format!("-{}", option.name));
    names.filter(|name| name.starts_with(word)).map(|name| pair(name, true)).collect()
}

impl Completion {
    fn paths(&self, word: &str) -> Vec<Pair> {
        let Some((client, at)) = self.client.as_ref().zip(word.rfind('/')) else {
            return Vec::new();
        };
        let (parent, name) = (&word[..at], &word[at + 1..]);
        let root = if parent.is_empty() { "/" } else { parent };
        let children = self.runtime.block_on(async {
            tokio::time::timeout(COMPLETION_PATIENCE, client.children(root)).await
        });
        let Ok(Ok((mut children, _))) = children else { return Vec::new() };
        children.retain(|child| child.starts_with(name));
        children.sort();
        children.into_iter().map(|child| pair(format!("{parent}/{child}"), false)).collect()
    }
}

/// Runs a shell at a terminal until it is left.
pub(crate) fn run(shell: &mut Shell) {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .max_history_size(1000)
        .map(|builder| builder.auto_add_history(true).build())
        .unwrap_or_default();
    let editor = Editor::<Completion, DefaultHistory>::with_config(config);
    let mut editor = match editor {
        Ok(editor) => editor,
        Err(error) => {
            shell.console.err(&format!("No editing on this terminal: {error}"));
            return super::lines(shell);
        }
    };
    if let Ok(mut printer) = editor.create_external_printer() {
        // An event that cannot be shown while typing is lost to the eye only.
        shell.console.set_editor(Some(Box::new(move |text| {
            let _ = printer.print(text);
        })));
    }
    loop {
        let client = shell.client().ok();
        let runtime = shell.runtime().clone();
        editor.set_helper(Some(Completion { runtime, client }));
        shell.console.set_editing(true);
        let line = editor.readline(&shell.prompt());
        shell.console.set_editing(false);
        match line {
            Ok(line) => {
                if shell.line(&line) == Next::Quit {
                    return;
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => return,
            Err(error) => {
                shell.console.err(&format!("Cannot read from the terminal: {error}"));
                return;
            }
        }
    }
}
