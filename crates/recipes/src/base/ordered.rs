//! Queues of ordered children: everybody makes an ephemeral sequential node, and waits for the one
//! predecessor that stands in the way. A node that goes wakes exactly one waiter.
//!
//! A name is `<guid><marker><digits>`, as kazoo writes it, so that its locks and elections can share
//! a path with these. Any name that ends in ten digits counts, whoever made it.

use rookeeper_client::{Client, CreateOptions, Zxid};

use super::held::FencingToken;
use super::nodes::{self, Above};
use super::persist::{pause, persist, persist_found, unanswered};
use super::task::{after_drop, delete_after_drop};
use crate::error::{Error, Result};

/// What stands between guid and digits of who excludes everybody.
pub(crate) const EXCLUSIVE: &str = "__lock__";
/// What stands there for those who share.
pub(crate) const SHARED: &str = "__rlock__";

/// A child of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Child {
    pub(crate) name: String,
    sequence: i64,
}

impl Child {
    fn new(name: String) -> Option<Self> {
        let at = name.len().checked_sub(10)?;
        let digits = name.get(at..).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
        let sequence = digits.parse().ok()?;
        Some(Self { name, sequence })
    }

    pub(crate) fn is_shared(&self) -> bool {
        self.name.contains(SHARED)
    }
}

/// Children in the order of their creation.
pub(crate) fn ordered(names: Vec<String>) -> Vec<Child> {
    let mut children: Vec<Child> = names.into_iter().filter_map(Child::new).collect();
    children.sort_by(|a, b| (a.sequence, &a.name).cmp(&(b.sequence, &b.name)));
    children
}

/// Removes what a create may have made when its future was dropped.
#[derive(Debug)]
struct Sweeper<'a> {
    client: &'a Client,
    parent: &'a str,
    guid: &'a str,
    armed: bool,
}

impl Drop for Sweeper<'_> {
    fn drop(&mut self) {
        if self.armed {
            let (client, parent) = (self.client.clone(), self.parent.to_owned());
            let guid = self.guid.to_owned();
            after_drop(async move {
                if let Err(error) = nodes::sweep(&client, &parent, &guid).await {
                    tracing::debug!(%error, parent, "not swept: the session takes the node along");
                }
            });
        }
    }
}

/// A place in a queue; given up when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    client: Client,
    parent: String,
    name: String,
    czxid: Zxid,
    left: bool,
}

impl Place {
    /// Queues up.
    pub(crate) async fn take(
        client: &Client,
        parent: &str,
        marker: &str,
        data: &[u8],
    ) -> Result<Self> {
        let guid = nodes::guid();
        let mut sweeper = Sweeper { client, parent, guid: &guid, armed: true };
        let name = format!("{guid}{marker}");
        let options = CreateOptions::ephemeral_sequential();
        let place = (parent, name.as_str(), guid.as_str());
        let made = nodes::create_protected(client, place, data, &options, Above::Container).await;
        // An error is an answer: then nothing was made, or the session is over and takes it along.
        sweeper.armed = false;
        let (path, stat) = made?;
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        let (client, parent) = (client.clone(), parent.to_owned());
        Ok(Self { client, parent, name, czxid: stat.czxid, left: false })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn path(&self) -> String {
        nodes::child(&self.parent, &self.name)
    }

    pub(crate) fn czxid(&self) -> Zxid {
        self.czxid
    }

    /// Those before this place, in order. A server that lags behind shows those that have left, but
    /// never leaves one out.
    pub(crate) async fn before(&self) -> Result<Vec<Child>> {
        let client = &self.client;
        let (names, _) = match persist(client, || client.children(&self.parent)).await {
            Err(error) if error.code() == Some(rookeeper_client::ErrorCode::NoNode) => {
                return Err(self.lost());
            }
            listed => listed?,
        };
        let mut children = ordered(names);
        let own = children.iter().position(|child| child.name == self.name);
        children.truncate(own.ok_or_else(|| self.lost())?);
        Ok(children)
    }

    fn lost(&self) -> Error {
        Error::Lost { path: self.path() }
    }

    /// Waits until nobody before stands in the way, watching the last who does.
    pub(crate) async fn turn(&self, blocks: impl Fn(&Child) -> bool) -> Result<()> {
        loop {
            let before = self.before().await?;
            match before.iter().rev().find(|child| blocks(child)) {
                None => return Ok(()),
                Some(blocking) => self.gone(&blocking.name).await?,
            }
        }
    }

    /// Waits until a sibling is gone or changed.
    async fn gone(&self, name: &str) -> Result<()> {
        let path = nodes::child(&self.parent, name);
        loop {
            // Not exists: on a node that is gone, it would leave a watch for a name that never returns.
            match self.client.get_and_watch(&path).await {
                Ok((.., watcher)) => {
                    watcher.changed().await?;
                    return Ok(());
                }
                Err(error) if error.code() == Some(rookeeper_client::ErrorCode::NoNode) => {
                    return Ok(());
                }
                Err(error) if unanswered(&error) => pause(&self.client, &error).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Gives the place up; the successor goes on when this returns.
    pub(crate) async fn leave(mut self) -> Result<()> {
        let path = self.path();
        super::persist::delete(&self.client, &path).await?;
        self.left = true;
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.left {
            delete_after_drop(&self.client, self.path());
        }
    }
}

/// Everybody in a queue, in order: the tokens and what was written into the nodes.
pub(crate) async fn contenders(
    client: &Client,
    parent: &str,
) -> Result<Vec<(FencingToken, String)>> {
    let listed = persist_found(client, || client.children(parent)).await?;
    let mut contenders = Vec::new();
    for Child { name, .. } in ordered(listed.unwrap_or_default().0) {
        let path = nodes::child(parent, &name);
        if let Some((data, stat)) = persist_found(client, || client.get(&path)).await? {
            let holder = String::from_utf8_lossy(&data).into_owned();
            contenders.push((FencingToken::new(path, stat.czxid), holder));
        }
    }
    Ok(contenders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_digits_whatever_stands_before_them() {
        let names =
            ["b__lock__0000000002", "a__rlock__0000000010", "x", "z-0000000001", "0000000003"];
        let children = ordered(names.map(str::to_owned).to_vec());
        let names: Vec<_> = children.iter().map(|child| child.name.as_str()).collect();
        let expected =
            ["z-0000000001", "b__lock__0000000002", "0000000003", "a__rlock__0000000010"];
        assert_eq!(names, expected);
        assert!(children[3].is_shared() && !children[1].is_shared());
    }

    #[test]
    fn names_that_are_not_ours_are_no_contenders() {
        for name in ["", "short", "not-digits-at-all", "é000000001", "lock-000000001x"] {
            assert_eq!(Child::new(name.to_owned()), None, "{name}");
        }
    }
}
