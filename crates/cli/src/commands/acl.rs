//! Commands on ACLs and identities.

use rookeeper_client::{Acl, ErrorCode, acl};

use super::Session;
use super::nodes::{path, version, walk};
use crate::failure::{Failure, Outcome};
use crate::options::Parsed;
use crate::shell::usage;
use crate::table::Command;
use crate::{format, json};

/// Reads `scheme:id:perm,scheme:id:perm`. Everything wrong is told, in the words of Apache's shell;
/// unlike there, nothing is sent then: half an ACL could lock everybody out.
pub(super) fn parse(session: &mut Session<'_>, text: &str) -> Option<Vec<Acl>> {
    let mut good = true;
    let mut complain = |text: String| {
        session.err(&text);
        good = false;
    };
    let mut list = Vec::new();
    for part in text.split(',') {
        match split(part) {
            Some((scheme, id, letters)) => {
                let perms = letters.chars().fold(0, |perms, letter| match letter {
                    'r' => perms | acl::READ,
                    'w' => perms | acl::WRITE,
                    'c' => perms | acl::CREATE,
                    'd' => perms | acl::DELETE,
                    'a' => perms | acl::ADMIN,
                    other => {
                        complain(format!("Unknown perm type: {other}"));
                        perms
                    }
                });
                list.push(acl::entry(perms, scheme, id));
            }
            None => complain(format!("{part} does not have the form scheme:id:perm")),
        }
    }
    good.then_some(list)
}

/// Scheme up to the first colon, permissions behind the last one, the id between them.
fn split(part: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = part.split_once(':')?;
    let (id, letters) = rest.rsplit_once(':')?;
    Some((scheme, id, letters))
}

pub(super) fn add_auth(session: &mut Session<'_>, command: &Command, parsed: &Parsed) -> Outcome {
    let (Some(scheme), Some(auth)) = (parsed.arg(1), parsed.arg(2)) else {
        return Err(usage(command));
    };
    let client = session.client()?;
    match session.wait(client.add_auth(scheme, auth.as_bytes()))? {
        // The event that follows says it; the command itself is silent.
        Err(error) if error.code() == Some(ErrorCode::AuthFailed) => Ok(()),
        result => Ok(result?),
    }
}

pub(super) fn get(session: &mut Session<'_>, parsed: &Parsed) -> Outcome {
    let path = path(parsed)?;
    let client = session.client()?;
    let (list, stat) = session.wait(client.acl(path))??;
    let line = |entry: &Acl| {
        format!("'{},'{}\n: {}", entry.id.scheme, entry.id.id, format::perms(entry.perms))
    };
    let lines: Vec<String> = list.iter().map(line).collect();
    let lines = (!lines.is_empty()).then(|| lines.join("\n"));
    session.put("acl", || list.iter().map(json::acl).collect(), || lines);
    session.put_stat(&stat, parsed.has("s"));
    Ok(())
}

pub(super) fn set(session: &mut Session<'_>, parsed: &Parsed) -> Outcome {
    let list = parse(session, parsed.arg(2).unwrap_or_default());
    let path = path(parsed)?;
    let version = version(parsed)?;
    let Some(list) = list else { return Err(Failure::new("Acl is not valid : null")) };
    let client = session.client()?;
    if !parsed.has("R") {
        let stat = session.wait(client.set_acl(path, &list, version))??;
        session.put_stat(&stat, parsed.has("s"));
        return Ok(());
    }
    let paths = walk(session, &client, path)?;
    let mut failed = None;
    for (at, path) in paths.iter().enumerate() {
        let only = format!("Came only through {at} of {} nodes", paths.len());
        let interrupted = |failure: Failure| failure.after(&only);
        match session.wait(client.set_acl(path, &list, version)).map_err(interrupted)? {
            Ok(stat) if parsed.has("s") => session.out(&format::stat(&stat)),
            Ok(_) => {}
            Err(error) if error.code() == Some(ErrorCode::NoNode) => {}
            Err(error) if error.kind() == rookeeper_client::ErrorKind::Server => {
                failed = failed.or(Some(Failure::from(error)));
            }
            Err(error) => return Err(interrupted(error.into())),
        }
        session.shell.console.progress(|| format!("{at} of {} nodes", paths.len()));
    }
    failed.map_or(Ok(()), Err)
}

pub(super) fn whoami(session: &mut Session<'_>) -> Outcome {
    let client = session.client()?;
    let identities = session.wait(client.whoami())??;
    let lines = identities.iter().map(|id| format!("\n{}: {}", id.scheme, id.id));
    let lines = format!("Auth scheme: User{}", lines.collect::<String>());
    let value = |id: &rookeeper_client::Id| serde_json::json!({"scheme": id.scheme, "id": id.id});
    session.put("identities", || identities.iter().map(value).collect(), || Some(lines));
    Ok(())
}
