//! What a reconfig must come to (`client-protocol.md` 3.6), as far as the history tells: whether another
//! one was pending, and who was in step, only the leader knew.

use rookeeper_proto::Sid;
use rookeeper_proto::client::request::Reconfig;
use rookeeper_zab::{EnsembleConfig, Member};

const BAD_ARGUMENTS: i32 = -8;
const MARSHALLING: i32 = -5;
const BAD_VERSION: i32 = -103;
/// No quorum of the new members is in step.
pub const NO_QUORUM: i32 = -13;
/// Another one is pending.
pub const IN_PROGRESS: i32 = -14;

/// The members that `request` makes of `before`. `found` is what the leader made of it, an error code or
/// 0: where it had to judge by what only it knew, it is believed.
pub fn changed(
    before: &EnsembleConfig,
    request: &Reconfig<'_>,
    found: i32,
) -> Result<EnsembleConfig, i32> {
    if found == IN_PROGRESS {
        return Err(found);
    }
    if request.config_id != -1 && request.config_id != before.version {
        return Err(BAD_VERSION);
    }
    let after = match request.new_members.as_deref() {
        Some(text) => EnsembleConfig::parse(&text.replace(',', "\n")).map_err(|_| BAD_ARGUMENTS)?,
        None => incremental(before, request)?,
    };
    if after.voters().count() < 2 {
        return Err(BAD_ARGUMENTS);
    }
    if found == NO_QUORUM { Err(found) } else { Ok(after) }
}

fn incremental(before: &EnsembleConfig, request: &Reconfig<'_>) -> Result<EnsembleConfig, i32> {
    if !before.groups.is_empty() || !before.weights.is_empty() {
        return Err(BAD_ARGUMENTS);
    }
    let mut after = before.clone();
    let leaving = request.leaving.as_deref().unwrap_or("");
    for sid in leaving.split(',').filter(|sid| !sid.is_empty()) {
        after.members.remove(&Sid(sid.parse().map_err(|_| MARSHALLING)?));
    }
    let joining = request.joining.as_deref().unwrap_or("");
    for line in joining.split(',').filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once('=').ok_or(BAD_ARGUMENTS)?;
        let sid = name.strip_prefix("server.").and_then(|sid| sid.parse().ok());
        let member = Member::parse(value).map_err(|_| BAD_ARGUMENTS)?;
        if member.client.is_none() {
            return Err(BAD_ARGUMENTS);
        }
        after.members.insert(Sid(sid.ok_or(BAD_ARGUMENTS)?), member);
    }
    Ok(after)
}
