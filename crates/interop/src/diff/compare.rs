//! The first difference between two transcripts of one script, in words.

use std::fmt::Write as _;

use super::run::{Entry, Message, Transcript};
use super::script::{Action, Script};
use crate::describe;
use crate::normalise::Kind;

/// Describes the first difference, or `None` when the transcripts are equal.
pub fn first_difference(
    script: &Script,
    left: &Transcript,
    right: &Transcript,
    names: [&str; 2],
) -> Option<String> {
    if left == right {
        return None;
    }
    let mut text = String::new();
    for (a, b) in left.entries.iter().zip(&right.entries) {
        if a != b {
            describe_entry(&mut text, script, a, b, names);
            return Some(text);
        }
    }
    let _ = write!(
        text,
        "{} has {} entries, {} has {}",
        names[0],
        left.entries.len(),
        names[1],
        right.entries.len()
    );
    Some(text)
}

fn describe_entry(text: &mut String, script: &Script, a: &Entry, b: &Entry, names: [&str; 2]) {
    let _ = writeln!(text, "step {}, received by session {}", a.step, a.session);
    let step = script.steps.get(a.step);
    if (a.step, a.session) != (b.step, b.session) {
        let _ = writeln!(text, "  {}: an entry of step {} session {}", names[1], b.step, b.session);
    }
    let mut place = 0;
    let longest = a.messages.len().max(b.messages.len());
    for index in 0..longest {
        let (one, other) = (a.messages.get(index), b.messages.get(index));
        if one == other {
            continue;
        }
        for message in [one, other].into_iter().flatten() {
            if let Message::Reply(at, _, _) = message {
                place = *at;
            }
        }
        if let Some(step) = step {
            match &step.action {
                Action::Batch(ops) => {
                    let op = ops.get(place).map(|numbered| &numbered.op);
                    let _ = writeln!(
                        text,
                        "  session {} sent ({place} in its batch): {op:?}",
                        step.session
                    );
                }
                other => {
                    let _ = writeln!(text, "  session {}: {other:?}", step.session);
                }
            }
        }
        let _ = writeln!(text, "  {}: {}", names[0], one.map_or("nothing".to_owned(), in_words));
        let _ = write!(text, "  {}: {}", names[1], other.map_or("nothing".to_owned(), in_words));
        return;
    }
}

/// A message in words.
pub fn in_words(message: &Message) -> String {
    match message {
        Message::Connected(payload) => format!("connected {}", describe::hex(payload)),
        Message::Reply(_, code, payload) => describe::message(Kind::Reply(*code), payload),
        Message::Event(payload) => describe::message(Kind::Event, payload),
        Message::Barrier(payload) => {
            format!("barrier {}", describe::message(Kind::Reply(11), payload))
        }
        Message::Eof => "the server closes".to_owned(),
        Message::Trouble(why) => format!("TROUBLE: {why}"),
    }
}

/// The whole script with the answers of one server, one line each.
pub fn listing(script: &Script, transcript: &Transcript) -> String {
    let mut text = String::new();
    for (index, step) in script.steps.iter().enumerate() {
        match &step.action {
            Action::Batch(ops) => {
                for numbered in ops {
                    let _ = writeln!(text, "{index:4} s{} {:?}", step.session, numbered.op);
                }
            }
            other => {
                let _ = writeln!(text, "{index:4} s{} {other:?}", step.session);
            }
        }
        for entry in transcript.entries.iter().filter(|entry| entry.step == index) {
            for message in &entry.messages {
                let _ = writeln!(text, "        s{} <- {}", entry.session, in_words(message));
            }
        }
    }
    text
}
