//! What a leader makes of a reconfig request: the text of the new configuration, or why there is none
//! (`client-protocol.md` 3.6, checks 4 to 9, in that order).
//!
//! Not here: whether reconfig is enabled, sessions and ACLs (`prep`), and what happens to a
//! configuration once it is proposed (`zab`).

use std::collections::BTreeSet;
use std::sync::Arc;

use rookeeper_proto::client::request::Reconfig;
use rookeeper_proto::{ErrorCode, Sid, Zxid};
use rookeeper_zab::{Address, EnsembleConfig, Member};

/// What a leader knows of its ensemble, as of the end of the last turn.
#[derive(Debug, Clone)]
pub(crate) struct Membership {
    /// The newest configuration seen.
    pub(crate) last_seen: Arc<EnsembleConfig>,
    /// Whether it is not in force yet.
    pub(crate) is_pending: bool,
    /// Followers in step, with this server.
    pub(crate) synced: BTreeSet<Sid>,
    /// `standaloneEnabled`: at least two voters must remain.
    pub(crate) voters_min: usize,
}

impl Membership {
    /// The new configuration's text, with the version of the txn that will carry it.
    pub(crate) fn judge(&self, request: &Reconfig<'_>, zxid: Zxid) -> Result<String, ErrorCode> {
        if self.is_pending {
            return Err(ErrorCode::ReconfigInProgress);
        }
        if request.config_id != -1 && request.config_id != self.last_seen.version {
            return Err(ErrorCode::BadVersion);
        }
        let config = match request.new_members.as_deref() {
            Some(text) => whole(text)?,
            None => self.changed(request)?,
        };
        if config.voters().count() < self.voters_min {
            return Err(ErrorCode::BadArguments);
        }
        let mut synced = self.synced.clone();
        synced.retain(|sid| config.is_voter(*sid));
        if !config.verifier().is_quorum(&synced) {
            return Err(ErrorCode::NewConfigNoQuorum);
        }
        Ok(config.with_version(zxid.0).to_string())
    }

    /// Removes and adds members one by one: majorities only.
    fn changed(&self, request: &Reconfig<'_>) -> Result<EnsembleConfig, ErrorCode> {
        let mut config = EnsembleConfig::clone(&self.last_seen);
        if config.is_hierarchical() {
            return Err(ErrorCode::BadArguments);
        }
        for sid in items(request.leaving.as_deref()) {
            let sid = sid.parse().map_err(|_| ErrorCode::MarshallingError)?;
            config.members.remove(&Sid(sid));
        }
        for line in items(request.joining.as_deref()) {
            let (sid, member) = joiner(line).ok_or(ErrorCode::BadArguments)?;
            let is_taken = |(other, it): (&Sid, &Member)| *other != sid && collide(it, &member);
            if config.members.iter().any(is_taken) {
                return Err(ErrorCode::BadArguments);
            }
            config.members.insert(sid, member);
        }
        config.check().map_err(|_| ErrorCode::BadArguments)?;
        Ok(config)
    }
}

fn items(list: Option<&str>) -> impl Iterator<Item = &str> {
    list.unwrap_or_default().split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// `server.N=host:quorum:election[:role];[host:]clientPort`; the client part is required.
fn joiner(line: &str) -> Option<(Sid, Member)> {
    let (name, value) = line.split_once('=')?;
    let sid = name.trim().strip_prefix("server.")?.parse().ok()?;
    let member = Member::parse(value.trim()).ok()?;
    let is_complete = !value.contains('=') && member.client.is_some();
    is_complete.then_some((Sid(sid), member))
}

fn whole(text: &str) -> Result<EnsembleConfig, ErrorCode> {
    let config = EnsembleConfig::parse(&text.replace(',', "\n"));
    config.ok().filter(|config| !config.members.is_empty()).ok_or(ErrorCode::BadArguments)
}

/// Whether two members claim one address. Wildcards and loopback addresses may be shared: several
/// machines have them.
fn collide(one: &Member, other: &Member) -> bool {
    let theirs = addresses(other);
    addresses(one).iter().any(|address| theirs.contains(address))
}

fn addresses(member: &Member) -> Vec<Address> {
    let mut all = member.quorum_addresses();
    all.extend(member.election_addresses());
    all.extend(member.client.clone());
    all.retain(|address| {
        let is_loopback = address.host == "localhost"
            || address.host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        !is_loopback && !address.is_wildcard()
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: &str = "server.1=a:1:2:participant\nserver.2=b:1:2:participant\n\
                         server.3=c:1:2:participant\nversion=100000000";

    fn membership(synced: &[i64]) -> Membership {
        Membership {
            last_seen: Arc::new(EnsembleConfig::parse(THREE).unwrap()),
            is_pending: false,
            synced: synced.iter().copied().map(Sid).collect(),
            voters_min: 2,
        }
    }

    fn judge(
        membership: &Membership,
        joining: Option<&str>,
        leaving: Option<&str>,
        new_members: Option<&str>,
        config_id: i64,
    ) -> Result<String, ErrorCode> {
        let request = Reconfig {
            joining: joining.map(Into::into),
            leaving: leaving.map(Into::into),
            new_members: new_members.map(Into::into),
            config_id,
        };
        membership.judge(&request, Zxid(0x1_0000_0005))
    }

    #[test]
    fn members_come_and_go() {
        let three = membership(&[1, 2, 3]);
        let with_observer =
            judge(&three, Some("server.100=0.0.0.0:7:8:observer;9"), None, None, -1);
        assert_eq!(
            with_observer.unwrap(),
            "server.1=a:1:2:participant\nserver.2=b:1:2:participant\nserver.3=c:1:2:participant\n\
             server.100=0.0.0.0:7:8:observer;0.0.0.0:9\nversion=100000005"
        );
        let fewer = judge(&three, None, Some("3, 17"), None, 0x1_0000_0000).unwrap();
        assert_eq!(
            fewer,
            "server.1=a:1:2:participant\nserver.2=b:1:2:participant\nversion=100000005"
        );
        let whole = "server.1=a:1:2;3,server.2=b:1:2;3";
        let whole = judge(&three, None, None, Some(whole), -1).unwrap();
        assert!(whole.starts_with("server.1=a:1:2:participant;0.0.0.0:3\n"), "{whole}");
    }

    #[test]
    fn what_is_refused_and_with_what() {
        let three = membership(&[1, 2, 3]);
        let of = |joining, leaving, whole, id| judge(&three, joining, leaving, whole, id).err();
        assert_eq!(of(None, None, None, 5), Some(ErrorCode::BadVersion));
        assert_eq!(of(Some("some thing"), None, None, -1), Some(ErrorCode::BadArguments));
        assert_eq!(of(Some("server.4=d:1:2"), None, None, -1), Some(ErrorCode::BadArguments));
        assert_eq!(of(Some("server.4=a:1:3;4"), None, None, -1), Some(ErrorCode::BadArguments));
        assert_eq!(of(None, Some("x"), None, -1), Some(ErrorCode::MarshallingError));
        assert_eq!(of(None, Some("2,3"), None, -1), Some(ErrorCode::BadArguments));
        assert_eq!(of(None, None, Some(""), -1), Some(ErrorCode::BadArguments));
        let alone = membership(&[1]);
        let refused = judge(&alone, Some("server.4=d:1:2;3"), None, None, -1);
        assert_eq!(refused, Err(ErrorCode::NewConfigNoQuorum));
        let pending = Membership { is_pending: true, ..membership(&[1, 2, 3]) };
        let refused = judge(&pending, None, Some("3"), None, 5);
        assert_eq!(refused, Err(ErrorCode::ReconfigInProgress));
    }
}
