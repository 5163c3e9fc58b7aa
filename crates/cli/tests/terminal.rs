//! A person at a terminal: prompt, completion, history, interruption, events while typing.

#[path = "../../client/tests/support/mod.rs"]
mod fake;
mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use fake::FakeServer;
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use support::{command, interrupt};

const PATIENCE: Duration = Duration::from_secs(120);

struct Person {
    screen: Receiver<Vec<u8>>,
    keyboard: File,
    shell: Child,
    seen: String,
    _runtime: tokio::runtime::Runtime,
    fake: FakeServer,
    server: String,
}

fn sit_down() -> Person {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let fake = runtime.block_on(FakeServer::start());
    let server = fake.servers();
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&master).expect("granted");
    unlockpt(&master).expect("unlocked");
    let name = ptsname(&master, Vec::new()).expect("its name");
    let size = rustix::termios::Winsize { ws_row: 40, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&master, size).expect("a size");
    let open = || {
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        Stdio::from(rustix::fs::open(name.as_c_str(), flags, Mode::empty()).expect("its other end"))
    };
    let shell = command(&server)
        .env("TERM", "xterm")
        .stdin(open())
        .stdout(open())
        .stderr(open())
        .spawn()
        .expect("it runs");
    let keyboard = File::from(master);
    let mut screen = keyboard.try_clone().expect("a copy");
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(n @ 1..) = screen.read(&mut bytes) {
            if sender.send(bytes[..n].to_vec()).is_err() {
                return;
            }
        }
    });
    let seen = String::new();
    Person { screen: receiver, keyboard, shell, seen, _runtime: runtime, fake, server }
}

impl Person {
    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("a terminal");
    }

    /// Waits for text on the screen and forgets everything up to it.
    fn see(&mut self, text: &str) {
        let start = Instant::now();
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            let left = PATIENCE.saturating_sub(start.elapsed());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.seen.push_str(&without_escapes(&bytes)),
                Err(_) => panic!("no {text:?} on the screen, but {:?}", self.seen),
            }
        }
    }

    fn see_prompt(&mut self, number: usize) {
        let prompt = format!("[zk: {}(CONNECTED) {number}] ", self.server);
        self.see(&prompt);
    }

    fn leave(mut self) -> Option<i32> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.shell.try_wait().expect("our child") {
                return status.code();
            }
            assert!(start.elapsed() < PATIENCE, "the shell does not end: {:?}", self.seen);
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// Text without the sequences that move the cursor.
fn without_escapes(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            if chars.next() == Some('[') {
                chars.by_ref().find(|c| c.is_ascii_alphabetic());
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[test]
fn completes_edits_watches_interrupts_and_quits() {
    let mut person = sit_down();
    person.see("Welcome to ZooKeeper!");
    person.see("JLine support is enabled");
    person.see_prompt(0);
    person.press("cre\t/动物 \"喵 喵\"\r");
    person.see("Created /动物");
    person.see_prompt(1);
    person.press("get -w /动\t\r");
    person.see("\n喵 喵");
    person.see_prompt(2);
    person.press("ls /zoo\t/con\t\r");
    person.see("[]");
    person.see_prompt(3);
    // Half a line survives an event.
    person.press("get /zookeeper/con");
    person.see("get /zookeeper/con");
    person.fake.set_data("/动物", b"x");
    person.see("WatchedEvent state:SyncConnected type:NodeDataChanged path:/动物");
    person.press("fig\r");
    person.see_prompt(4);
    // Ctrl-C gives the line up, not the shell.
    person.press("delete /动物\u{3}");
    person.see_prompt(4);
    // Up, up, up: the third command before.
    person.press("\u{1b}[A\u{1b}[A\u{1b}[A\r");
    person.see("\nx");
    person.see_prompt(5);
    person.press("get /none\r");
    person.see("Node does not exist: /none");
    person.see_prompt(6);
    person.press("quit\r");
    person.see("WatchedEvent state:Closed type:None path:null");
    assert_eq!(person.leave(), Some(1));
}

#[test]
fn ctrl_c_ends_a_command_that_waits() {
    let mut person = sit_down();
    person.see_prompt(0);
    person.fake.break_next(rookeeper_proto::OpCode::GetData, fake::Break::Ignore);
    person.press("get /\r");
    let start = Instant::now();
    while person.fake.received(rookeeper_proto::OpCode::GetData) == 0 {
        assert!(start.elapsed() < PATIENCE, "the request does not arrive");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    interrupt(&person.shell);
    person.see("Interrupted");
    person.see_prompt(1);
    person.press("printwatches\r");
    person.see("printwatches is on");
    // Only at its prompt does the shell read keys; before, the terminal swallows an end of input.
    person.see_prompt(2);
    person.press("\u{4}");
    assert_eq!(person.leave(), Some(0));
}

/// Creates `/many` and a hundred nodes below it.
fn create_many(server: &str) {
    let mut script = String::from("create /many\n");
    (0..100).for_each(|n| script.push_str(&format!("create /many/{n}\n")));
    let mut pipe = command(server)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs");
    pipe.stdin.take().expect("piped").write_all(script.as_bytes()).expect("it reads");
    assert!(pipe.wait().expect("it ends").success());
}

#[test]
fn exporting_and_importing_show_how_far_they_are() {
    let mut person = sit_down();
    person.see_prompt(0);
    create_many(&person.server);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("many.json").display().to_string();
    person.press(&format!("export /many {file}\r"));
    person.see("found 1 nodes");
    person.see("read 64 of 101 nodes");
    person.see("Exported 101 nodes");
    person.see_prompt(1);
    person.press(&format!("import {file} /copy\r"));
    person.see("imported 100 of 101 nodes");
    person.see("Imported 101 nodes below /copy");
    person.see_prompt(2);
    person.press("diff /many /copy\r");
    person.see_prompt(3);
    person.press("\u{4}");
    assert_eq!(person.leave(), Some(0));
}

#[test]
fn deleting_many_nodes_is_asked_about() {
    let mut person = sit_down();
    person.see_prompt(0);
    create_many(&person.server);
    person.press("deleteall /many\r");
    person.see("Delete 101 nodes? [y/N] ");
    person.press("\r");
    person.see("Nothing was deleted");
    person.see_prompt(1);
    person.press("deleteall /many\r");
    person.see("Delete 101 nodes? [y/N] ");
    person.press("\u{3}");
    person.see("Nothing was deleted");
    person.see_prompt(2);
    // Few nodes are not worth a question.
    person.press("deleteall /many/7\r");
    person.see_prompt(3);
    person.press("create /many/7\r");
    person.see_prompt(4);
    person.press("deleteall /many\r");
    person.see("Delete 101 nodes? [y/N] ");
    person.press("yes\r");
    person.see_prompt(5);
    person.press("ls /many\r");
    person.see("Node does not exist: /many");
    person.see_prompt(6);
    person.press("\u{4}");
    assert_eq!(person.leave(), Some(1));
}

#[test]
fn values_are_shown_by_what_they_are() {
    let mut person = sit_down();
    person.see_prompt(0);
    person.press("set / /wA= -b\r");
    person.see_prompt(1);
    person.press("get /\r");
    person.see("|00000000| ff 00 ");
    person.see("This is not text");
    person.see_prompt(2);
    // Colours that somebody stored are not for this terminal.
    person.press("set / G1szMW1yZWQ= -b\r");
    person.see_prompt(3);
    person.press("get /\r");
    person.see("|00000000| 1b 5b 33 31 6d 72 65 64 ");
    person.see_prompt(4);
    person.press("set / '{\"port\":2181}'\r");
    person.see_prompt(5);
    person.press("get /\r");
    person.see("\n{\r\n  \"port\": 2181\r\n}\r\n");
    person.see_prompt(6);
    person.press("\u{4}");
    assert_eq!(person.leave(), Some(0));
}

#[test]
fn the_prompt_tells_the_state_and_ctrl_d_leaves() {
    let mut person = sit_down();
    person.see_prompt(0);
    person.press("close\r");
    let closed = format!("[zk: {}(CLOSED) 1] ", person.server);
    person.see(&closed);
    person.press("\u{4}");
    assert_eq!(person.leave(), Some(0));
}
