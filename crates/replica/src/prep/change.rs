//! delete, deleteContainer, setData, setACL, check, reconfig (`client-protocol.md` 3.4 to 3.6).

use rookeeper_proto::acl::{ADMIN, DELETE, READ, WRITE};
use rookeeper_proto::client::request::{PathVersion, SetAcl, SetData, Text};
use rookeeper_proto::create_mode::OwnerKind;
use rookeeper_proto::jute::JuteWrite;
use rookeeper_proto::{ErrorCode, OpCode, path};

use super::quota::Delta;
use super::refusal::Refusal;
use super::view::TreeView;
use super::{Job, Prep, parent_of, poison};

/// Holds the ensemble's configuration.
const CONFIG_PATH: &str = "/zookeeper/config";

/// Nodes that cannot be deleted.
pub(crate) const SPECIAL: [&str; 4] = ["/", "/zookeeper", "/zookeeper/quota", CONFIG_PATH];

/// The version after a change, if the expected one is right. -1 expects any; the sum wraps.
fn next_version(current: i32, expected: i32) -> Result<i32, ErrorCode> {
    if expected == -1 || expected == current {
        Ok(current.wrapping_add(1))
    } else {
        Err(ErrorCode::BadVersion)
    }
}

/// Full validation. A null path is a bad argument here, as in Java.
fn valid_path<'p>(path: &'p Text<'_>) -> Result<&'p str, ErrorCode> {
    match path.as_deref() {
        Some(path) if path::validate(path).is_ok() => Ok(path),
        _ => Err(ErrorCode::BadArguments),
    }
}

/// The little a path to delete must be, and its parent. A null path is more than a bad argument.
fn deletable_path<'p>(path: &'p Text<'_>) -> Result<(&'p str, &'p str), Refusal> {
    let path = path.as_deref().ok_or(Refusal::Undecodable)?;
    let is_refused = path.contains('\0') || SPECIAL.contains(&path);
    if is_refused || poison::is_fatal_limits_node(path) {
        return Err(ErrorCode::BadArguments.into());
    }
    Ok((path, parent_of(path)?))
}

impl Prep {
    pub(super) fn delete<T: TreeView>(
        &mut self,
        job: &Job<'_, '_, '_, T>,
        delete: &PathVersion<'_>,
        out: &mut Vec<u8>,
    ) -> Result<OpCode, Refusal> {
        job.check_session()?;
        let (path, parent_path) = deletable_path(&delete.path)?;
        let parent = self.node(job.tree, parent_path)?;
        job.check_acl(&parent.node, DELETE)?;
        let found = self.node(job.tree, path)?;
        next_version(found.node.stat.version, delete.version)?;
        if found.node.child_count > 0 {
            return Err(ErrorCode::NotEmpty.into());
        }
        out.put_str(path);
        self.check_size(job, out)?;
        self.remove(job, path, found, parent_path, parent);
        Ok(OpCode::Delete)
    }

    /// The server's own removal of containers and TTL nodes: no session, no ACL. Plain persistent
    /// nodes pass, as in Java: the caller names only candidates.
    pub(super) fn delete_container<T: TreeView>(
        &mut self,
        job: &Job<'_, '_, '_, T>,
        path: &Text<'_>,
        out: &mut Vec<u8>,
    ) -> Result<OpCode, Refusal> {
        let (path, parent_path) = deletable_path(path)?;
        let found = self.node(job.tree, path)?;
        if found.node.child_count > 0 {
            return Err(ErrorCode::NotEmpty.into());
        }
        if self.owner_kind(&found.node) == OwnerKind::Ephemeral {
            return Err(ErrorCode::BadVersion.into());
        }
        let parent = self.node(job.tree, parent_path)?;
        out.put_str(path);
        self.check_size(job, out)?;
        self.remove(job, path, found, parent_path, parent);
        Ok(OpCode::DeleteContainer)
    }

    pub(super) fn set_data<T: TreeView>(
        &mut self,
        job: &Job<'_, '_, '_, T>,
        set: &SetData<'_>,
        out: &mut Vec<u8>,
    ) -> Result<OpCode, Refusal> {
        job.check_session()?;
        let path = valid_path(&set.path)?;
        if poison::is_fatal_stats(path, set.data) {
            return Err(ErrorCode::BadArguments.into());
        }
        let found = self.node(job.tree, path)?;
        job.check_acl(&found.node, WRITE)?;
        let data_bytes = set.data.map_or(0, <[u8]>::len);
        let delta = Delta { count: 0, bytes: data_bytes as i64 - found.node.data_bytes as i64 };
        if self.config.enforce_quota {
            self.quotas.check(job.tree, path, delta)?;
        }
        let version = next_version(found.node.stat.version, set.version)?;
        out.put_str(path);
        out.put_buffer(set.data);
        out.put_i32(version);
        self.check_size(job, out)?;
        if self.config.enforce_quota {
            self.quotas.stage(job.tree, path, delta);
        }
        self.put_data(job, path, found, set.data, version);
        Ok(OpCode::SetData)
    }

    /// New data for a node, under `version`.
    fn put_data<T: TreeView>(
        &mut self,
        job: &Job<'_, '_, '_, T>,
        path: &str,
        mut found: super::Found<T::Id>,
        data: Option<&[u8]>,
        version: i32,
    ) {
        let old = self.digest_of(job.tree, path, &found);
        let node = &mut found.node;
        node.stat.version = version;
        node.stat.mtime_ms = job.write.time_ms;
        node.stat.mzxid = job.zxid;
        node.data_bytes = data.map_or(0, <[u8]>::len);
        let new = self.fresh_digest(path, data, &node.stat);
        node.digest = Some(new);
        self.digest = self.digest.wrapping_add(new).wrapping_sub(old);
        self.overlay.put(path, found.place, job.zxid, Some(found.node));
    }

    pub(super) fn set_acl<T: TreeView>(
        &mut self,
        job: &Job<'_, '_, '_, T>,
        set: &SetAcl<'_>,
        out: &mut Vec<u8>,
    ) -> Result<OpCode, Refusal> {
        job.check_session()?;
        let path = valid_path(&set.path)?;
        let acl = job.fix_up(set.acls.as_ref())?;
        let found = self.node(job.tree, path)?;
        job.check_acl(&found.node, ADMIN)?;
        let version = next_version(found.node.stat.aversion, set.version)?;
        out.put_str(path);
        acl.write(out);
        out.put_i32(version);
        self.check_size(job, out)?;
        self.change(job, path, found, |node| {
            node.stat.aversion = version;
            node.acl = acl;
        });
        Ok(OpCode::SetAcl)
    }

    /// Only inside a multi.
    pub(super) fn check<T: TreeView>(
        &mut self,
        job: &Job<'_, '_, '_, T>,
        check: &PathVersion<'_>,
        out: &mut Vec<u8>,
    ) -> Result<OpCode, Refusal> {
        job.check_session()?;
        let path = valid_path(&check.path)?;
        let found = self.node(job.tree, path)?;
        job.check_acl(&found.node, READ)?;
        let version = next_version(found.node.stat.version, check.version)?;
        out.put_str(path);
        out.put_i32(version);
        self.check_size(job, out)?;
        Ok(OpCode::Check)
    }

    /// The checks around the configuration itself, which the caller has judged.
    pub(super) fn reconfig<T: TreeView>(
        &mut self,
        job: &Job<'_, '_, '_, T>,
        out: &mut Vec<u8>,
    ) -> Result<OpCode, Refusal> {
        if !self.config.reconfig {
            return Err(ErrorCode::ReconfigDisabled.into());
        }
        job.check_session()?;
        let judged = job.write.reconfig.filter(|_| !self.config.standalone);
        let text = judged.ok_or(ErrorCode::Unimplemented)??.as_bytes();
        let found = self.node(job.tree, CONFIG_PATH)?;
        job.check_acl(&found.node, WRITE)?;
        out.put_str(CONFIG_PATH);
        out.put_buffer(Some(text));
        out.put_i32(-1);
        self.check_size(job, out)?;
        self.put_data(job, CONFIG_PATH, found, Some(text), -1);
        Ok(OpCode::Reconfig)
    }
}
