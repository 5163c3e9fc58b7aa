//! `diff`: how two subtrees differ, also of two ensembles. Differences are found by path, data, ACL and
//! kind, not by versions and times, which no copy shares. The exit code is 1 if there are any.

use std::collections::BTreeMap;

use rookeeper_client::Client;
use serde_json::json;

use super::{Node, join, read_subtree};
use crate::commands::Session;
use crate::commands::nodes::path;
use crate::console::Colour;
use crate::failure::{Failure, Outcome};
use crate::options::Parsed;
use crate::path_check::check;

pub(in crate::commands) fn run(session: &mut Session<'_>, parsed: &Parsed) -> Outcome {
    let (left, right) = (path(parsed)?, parsed.arg(2).unwrap_or_default());
    check(right)?;
    let client = session.client()?;
    let other = match parsed.value("server") {
        Some(servers) => Some(session.shell.another(servers)?),
        None => None,
    };
    let left_nodes = read_subtree(session, &client, left, true)?;
    let right_nodes = read_subtree(session, other.as_ref().unwrap_or(&client), right, true)
        .map_err(|failure| match parsed.value("server") {
            Some(servers) => Failure { text: format!("{servers}: {}", failure.text), ..failure },
            None => failure,
        });
    if let Some(other) = other {
        close(session, &other)?;
    }
    let (left_nodes, right_nodes) = (by_path(left_nodes), by_path(right_nodes?));
    let mut paths: Vec<&String> = left_nodes.keys().chain(right_nodes.keys()).collect();
    paths.sort_by(|a, b| a.split('/').cmp(b.split('/')));
    paths.dedup();
    let mut differences = Vec::new();
    for below in paths {
        let (colour, line, what) = match (left_nodes.get(below), right_nodes.get(below)) {
            (Some(_), None) => {
                (Colour::Red, format!("- {}", join(left, below)), vec!["only in the left"])
            }
            (None, _) => {
                (Colour::Green, format!("+ {}", join(right, below)), vec!["only in the right"])
            }
            (Some(a), Some(b)) => {
                let what = differing(a, b);
                if what.is_empty() {
                    continue;
                }
                let line = format!("~ {} ({})", join(left, below), what.join(", "));
                (Colour::Yellow, line, what)
            }
        };
        let line = session.shell.console.coloured(colour, &line);
        differences.push((json!({"path": below, "what": what}), line));
    }
    let lines: Vec<&str> = differences.iter().map(|(_, line)| line.as_str()).collect();
    let lines = (!lines.is_empty()).then(|| lines.join("\n"));
    let values = || differences.iter().map(|(value, _)| value.clone()).collect();
    session.put("differences", values, || lines);
    match differences.len() {
        0 => Ok(()),
        1 => Err(Failure::new("1 difference")),
        n => Err(Failure::new(format!("{n} differences"))),
    }
}

fn close(session: &Session<'_>, other: &Client) -> Outcome {
    session.wait(async {
        // What was wanted of it is there; a session that cannot be closed expires.
        let _ = other.close().await;
    })
}

fn by_path(nodes: Vec<Node>) -> BTreeMap<String, Node> {
    nodes.into_iter().map(|node| (node.below.clone(), node)).collect()
}

fn differing(a: &Node, b: &Node) -> Vec<&'static str> {
    let mut what = Vec::new();
    if a.data != b.data {
        what.push("data");
    }
    if a.acl != b.acl {
        what.push("acl");
    }
    if a.kind() != b.kind() {
        what.push("kind");
    }
    what
}
