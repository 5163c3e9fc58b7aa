//! One shell: its session, its history, and how a line becomes a command.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rookeeper_client::{Client, SessionEvent, SessionState};
use rustyline::DefaultEditor;
use serde_json::{Map, Value, json};
use tokio::runtime::Handle;

use crate::commands;
use crate::console::Console;
use crate::failure::{EXIT_UNKNOWN_COMMAND, Failure, Outcome};
use crate::interrupt::Interrupts;
use crate::json;
use crate::nearest::nearest;
use crate::options::{self, Parsed};
use crate::settings::Settings;
use crate::table::{self, Command, Id};
use crate::tokens;

/// What a line asks the shell to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Go,
    Quit,
}

/// See the module's documentation.
pub(crate) struct Shell {
    pub(crate) console: Console,
    settings: Settings,
    servers: String,
    runtime: Handle,
    client: Option<Client>,
    print_watches: Arc<AtomicBool>,
    history: Vec<String>,
    exit_code: i32,
    interrupts: Interrupts,
    /// Whether a person types; then Ctrl-C ends a command instead of the shell.
    at_terminal: bool,
    /// Whether the command at hand answers in JSON; the listener of events asks, too.
    as_json: Arc<AtomicBool>,
    /// What it has answered so far.
    answer: Map<String, Value>,
}

impl Shell {
    pub(crate) fn new(
        console: Console,
        settings: Settings,
        servers: String,
        runtime: Handle,
    ) -> Self {
        Self {
            console,
            settings,
            servers,
            interrupts: Interrupts::listen(&runtime),
            runtime,
            client: None,
            print_watches: Arc::new(AtomicBool::new(true)),
            history: Vec::new(),
            exit_code: 0,
            at_terminal: false,
            as_json: Arc::new(AtomicBool::new(false)),
            answer: Map::new(),
        }
    }

    /// Whether the command at hand answers in JSON: with one object on standard output and nothing else.
    pub(crate) fn is_json(&self) -> bool {
        self.as_json.load(Ordering::Relaxed)
    }

    /// Whether a person types and sees what comes of it.
    pub(crate) fn is_at_terminal(&self) -> bool {
        self.at_terminal
    }

    /// Asks a question that only `y` or `yes` answers with yes. Scripts and pipes are not asked.
    pub(crate) fn confirm(&self, question: &str) -> bool {
        if !self.is_at_terminal() {
            return true;
        }
        // Read by an editor, which knows Ctrl-C for a no.
        self.console.end_progress();
        let prompt = format!("{question} [y/N] ");
        let answer = DefaultEditor::new().and_then(|mut editor| editor.readline(&prompt));
        answer.is_ok_and(|answer| matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }

    /// From now on, until a command without `--json`.
    pub(crate) fn set_json(&self, as_json: bool) {
        self.as_json.store(as_json, Ordering::Relaxed);
    }

    /// A line of a result; in JSON, one of those that have no field of their own.
    pub(crate) fn out(&mut self, line: &str) {
        if self.is_json() { self.collect("text", line) } else { self.console.out(line) }
    }

    /// A notice.
    pub(crate) fn err(&mut self, line: &str) {
        if self.is_json() { self.collect("notices", line) } else { self.console.err(line) }
    }

    fn collect(&mut self, field: &str, line: &str) {
        let lines = self.answer.entry(field).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(lines) = lines {
            lines.push(line.into());
        }
    }

    /// A node's data as a field.
    pub(crate) fn put_data(&mut self, data: Option<&[u8]>) {
        json::put_data(&mut self.answer, data);
    }

    /// A part of a result: a field in JSON, else lines.
    pub(crate) fn put(
        &mut self,
        field: &str,
        value: impl FnOnce() -> Value,
        lines: impl FnOnce() -> Option<String>,
    ) {
        if self.is_json() {
            self.answer.insert(field.to_owned(), value());
        } else if let Some(lines) = lines() {
            self.console.out(&lines);
        }
    }

    /// From now on a person types, and Ctrl-C ends a command instead of the shell.
    pub(crate) fn set_at_terminal(&mut self) {
        self.at_terminal = true;
    }

    /// Waits for work to be done, or for Ctrl-C.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> Outcome<T> {
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.interrupts.next() => Err(Failure::interrupted()),
                done = work => Ok(done),
            }
        })
    }

    /// Ctrl-C until now was meant for somebody else: for the last command, or for an editor.
    pub(crate) fn forget_interrupts(&mut self) {
        self.interrupts.forget();
    }

    pub(crate) fn exit_code(&self) -> i32 {
        self.exit_code
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Begins to connect.
    pub(crate) fn start(&mut self) -> Outcome<Client> {
        let console = self.console.clone();
        let print_watches = Arc::clone(&self.print_watches);
        let as_json = Arc::clone(&self.as_json);
        let state = std::sync::Mutex::new(SessionState::Disconnected);
        let mut builder = Client::builder()
            .session_timeout(self.settings.session_timeout)
            .read_only(self.settings.read_only)
            .fail_fast(true)
            .on_event(move |event| {
                let mut state = state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                if let SessionEvent::State(now) = event {
                    *state = now;
                }
                if as_json.load(Ordering::Relaxed) {
                    if let SessionEvent::Watch(event) = &event {
                        console.out(&json!({"event": json::event(event)}).to_string());
                    }
                } else if print_watches.load(Ordering::Relaxed) {
                    console.event(&event_text(*state, &event));
                }
            });
        if let Some(limit) = self.settings.request_timeout {
            builder = builder.request_timeout(limit);
        }
        if let Some(bytes) = self.settings.reply_bytes_max {
            builder = builder.reply_bytes_max(bytes);
        }
        let _runtime = self.runtime.enter();
        let client = builder.start(&self.servers)?;
        self.client = Some(client.clone());
        Ok(client)
    }

    /// Connects to other servers with the same settings, for one command. Its events are not shown.
    pub(crate) fn another(&self, servers: &str) -> Outcome<Client> {
        let mut builder = Client::builder()
            .session_timeout(self.settings.session_timeout)
            .read_only(self.settings.read_only)
            .fail_fast(true);
        if let Some(limit) = self.settings.request_timeout {
            builder = builder.request_timeout(limit);
        }
        let _runtime = self.runtime.enter();
        Ok(builder.start(servers)?)
    }

    /// The session; connects if that was not begun yet.
    pub(crate) fn client(&mut self) -> Outcome<Client> {
        match &self.client {
            Some(client) => Ok(client.clone()),
            None => self.start(),
        }
    }

    fn is_alive(&self) -> bool {
        self.client.as_ref().is_none_or(|client| !client.state().is_final())
    }

    /// What is typed behind.
    pub(crate) fn prompt(&self) -> String {
        let state = match self.client.as_ref().map(Client::state) {
            Some(SessionState::Connected) => "CONNECTED",
            Some(SessionState::ConnectedReadOnly) => "CONNECTEDREADONLY",
            Some(SessionState::AuthFailed) => "AUTH_FAILED",
            Some(SessionState::Closed | SessionState::Expired) => "CLOSED",
            _ => "CONNECTING",
        };
        format!("[zk: {}({state}) {}] ", self.servers, self.history.len())
    }

    /// Runs a typed line.
    pub(crate) fn line(&mut self, line: &str) -> Next {
        if line.is_empty() {
            return Next::Go;
        }
        self.history.push(line.to_owned());
        let split = tokens::split(line);
        if split.open_quote {
            self.console.err("A quote is not closed; it was left out.");
        }
        self.words(&split.words)
    }

    /// Runs a command, and notes and tells how it ended.
    pub(crate) fn words(&mut self, words: &[String]) -> Next {
        let (words, as_json) = without_json(words);
        self.set_json(as_json);
        self.answer.clear();
        if self.at_terminal {
            self.forget_interrupts();
        }
        let outcome = self.run(&words);
        self.console.end_progress();
        match outcome {
            Ok(next) => {
                // Leaving hands back the code of what was done before.
                self.exit_code = if next == Next::Quit { self.exit_code } else { 0 };
                if self.is_json() {
                    let answer = Value::Object(std::mem::take(&mut self.answer));
                    self.console.out(&answer.to_string());
                }
                next
            }
            Err(failure) => {
                self.fail(&failure);
                Next::Go
            }
        }
    }

    /// Tells of a failure.
    pub(crate) fn fail(&mut self, failure: &Failure) {
        self.exit_code = failure.exit_code;
        if self.is_json() {
            let mut answer = std::mem::take(&mut self.answer);
            answer.insert("error".to_owned(), failure.text.as_str().into());
            answer.insert("exit_code".to_owned(), failure.exit_code.into());
            answer
                .extend(failure.hint.iter().map(|hint| ("hint".to_owned(), hint.as_str().into())));
            self.console.out(&Value::Object(answer).to_string());
        }
        if let Some(listing) = failure.listing.as_ref().filter(|_| !self.is_json()) {
            self.console.err(listing);
        }
        self.console.failure(&failure.text);
        if let Some(hint) = &failure.hint {
            self.console.err(hint);
        }
    }

    fn run(&mut self, words: &[String]) -> Outcome<Next> {
        let name = words.first().map_or(" ", String::as_str);
        let Some(command) = table::find(name) else {
            return Err(unknown(name));
        };
        match command.id {
            Id::Quit => {
                let client = self.client()?;
                if self.is_alive() {
                    // Whatever comes of it, the shell is left.
                    let _ = self.wait(async {
                        client.reachable().await;
                        client.close().await
                    });
                }
                return Ok(Next::Quit);
            }
            Id::Redo if words.len() > 1 => return self.redo(&words[1]),
            Id::History => self.print_history(),
            Id::PrintWatches => self.set_print_watches(words.get(1)),
            Id::Connect => self.connect(words.get(1))?,
            _ => {}
        }
        if !self.is_alive() {
            if self.is_json() {
                return Err(Failure::new("Not connected"));
            }
            self.out("Not connected");
            return Ok(Next::Go);
        }
        if matches!(command.id, Id::History | Id::PrintWatches | Id::Connect | Id::Redo) {
            return Ok(Next::Go);
        }
        let parsed = self.parse(command, words)?;
        let client = self.client.clone();
        let lazy = commands::Session { client, shell: self };
        match commands::run(lazy, command, &parsed, words) {
            Ok(()) => Ok(Next::Go),
            Err(failure)
                if failure.is_interruption() && failure.hint.is_none() && command.id.is_write() =>
            {
                Err(failure.with_hint("A write that was under way may have happened."))
            }
            Err(failure) => Err(failure),
        }
    }

    fn parse(&self, command: &Command, words: &[String]) -> Outcome<Parsed> {
        let parsed = options::parse(words, command.options, command.exclusive)?;
        let needs_kind =
            command.id == Id::SetQuota && !command.exclusive.iter().any(|kind| parsed.has(kind));
        if needs_kind {
            return Err(Failure::new(
                "org.apache.commons.cli.MissingOptionException: Missing required option: \
                 [-n num soft quota, -b bytes soft quota, -N num hard quota, -B bytes hard quota]",
            ));
        }
        // A file stands for the word of data.
        let has_file = command.id == Id::Set && parsed.has("file");
        if parsed.args.len() + usize::from(has_file) < command.words_min {
            return Err(usage(command));
        }
        Ok(parsed)
    }

    fn print_history(&mut self) {
        let last = self.history.len().saturating_sub(1);
        let known = |number| self.history.get(number).map_or("null", String::as_str);
        let lines: Vec<_> = (last.saturating_sub(10)..=last)
            .map(|number| (number, known(number).to_owned()))
            .collect();
        let value = |(number, line): &(usize, String)| json!({"number": number, "line": line});
        let text = |(number, line): &(usize, String)| format!("{number} - {line}");
        self.put(
            "history",
            || lines.iter().map(value).collect(),
            || Some(lines.iter().map(text).collect::<Vec<_>>().join("\n")),
        );
    }

    fn redo(&mut self, number: &str) -> Outcome<Next> {
        let last = self.history.len().saturating_sub(1);
        let number: i32 = parse_int(number)?;
        let line = match usize::try_from(number) {
            Ok(number) if number < last => self.history.get(number).cloned(),
            _ => None,
        };
        let Some(line) = line else { return Err(Failure::new("Command index out of range")) };
        let (words, as_json) = without_json(&tokens::split(&line).words);
        if words.first().is_some_and(|word| word == "redo") {
            return Err(Failure::new("No redoing redos"));
        }
        if let Some(present) = self.history.last_mut() {
            *present = line;
        }
        self.set_json(as_json || self.is_json());
        self.run(&words)
    }

    fn set_print_watches(&mut self, word: Option<&String>) {
        match word {
            Some(word) => self.print_watches.store(word == "on", Ordering::Relaxed),
            None => {
                let on = self.print_watches.load(Ordering::Relaxed);
                self.put(
                    "printwatches",
                    || on.into(),
                    || Some(format!("printwatches is {}", if on { "on" } else { "off" })),
                );
            }
        }
    }

    fn connect(&mut self, servers: Option<&String>) -> Outcome {
        if let Some(servers) = servers {
            // A connect string that cannot be read leaves everything as it is.
            rookeeper_client::ConnectString::parse(servers)?;
            self.servers.clone_from(servers);
        }
        if let Some(old) = self.client.take() {
            // A session that cannot be closed expires.
            self.wait(async { old.close().await.ok() })?;
        }
        let client = self.start()?;
        self.wait(client.reachable())?;
        Ok(())
    }
}

/// Takes `--json` out of a command's words; behind `--` it is a word like any other.
pub(crate) fn without_json(words: &[String]) -> (Vec<String>, bool) {
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let at = words[..end].iter().skip(1).position(|word| word == "--json");
    let mut words = words.to_vec();
    if let Some(at) = at {
        words.remove(at + 1);
    }
    (words, at.is_some())
}

/// A number as Java decodes it: decimal, or hexadecimal behind `0x`.
pub(crate) fn parse_int(text: &str) -> Outcome<i32> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => i32::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| Failure::new(format!("For input string: \"{text}\"")))
}

/// The failure of a command whose words are missing.
pub(crate) fn usage(command: &Command) -> Failure {
    if command.with_table {
        return Failure::new(format!(
            "{}\n{}",
            command.usage_line(),
            options::table(command.options)
        ));
    }
    Failure::new(command.usage_line())
}

fn unknown(name: &str) -> Failure {
    let failure = Failure::new(format!("Command not found: Command not found {name}"))
        .with_listing(table::help())
        .with_exit_code(EXIT_UNKNOWN_COMMAND);
    if name == "help" {
        return failure.with_hint(table::extras());
    }
    match nearest(name, table::all().map(|command| command.name)) {
        Some(near) => failure.with_hint(format!("Did you mean '{near}'?")),
        None => failure,
    }
}

fn event_text(state: SessionState, event: &SessionEvent) -> String {
    match event {
        SessionEvent::State(now) => {
            format!("WatchedEvent state:{} type:None path:null zxid: -1", now.name())
        }
        SessionEvent::Watch(event) => format!(
            "WatchedEvent state:{} type:{} path:{} zxid: {}",
            state.name(),
            event.kind,
            event.path,
            event.zxid.0
        ),
    }
}
