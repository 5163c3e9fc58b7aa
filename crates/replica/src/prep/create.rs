//! create, create2, createContainer, createTTL (`client-protocol.md` 3.3).

use std::fmt::Write;

use rookeeper_proto::acl::CREATE;
use rookeeper_proto::client::request::Create;
use rookeeper_proto::create_mode::{CONTAINER_OWNER, OwnerKind, TTL_MS_MAX, ttl_owner};
use rookeeper_proto::jute::JuteWrite;
use rookeeper_proto::{AclList, CreateMode, ErrorCode, OpCode, StatPersisted, path};

use super::overlay::Node;
use super::quota::Delta;
use super::refusal::Refusal;
use super::view::TreeView;
use super::{Job, Prep, parent_of, poison};

impl Prep {
    /// Prepares a create as a txn of type `op`, one of the four creating types.
    pub(super) fn create<T: TreeView>(
        &mut self,
        job: &Job<'_, '_, '_, T>,
        create: &Create<'_>,
        op: OpCode,
        out: &mut Vec<u8>,
    ) -> Result<OpCode, Refusal> {
        let mode = CreateMode::from_flags(create.flags).ok_or(ErrorCode::BadArguments)?;
        self.check_mode(mode, create.ttl_ms, op)?;
        if mode.is_ephemeral() {
            job.check_global_session()?
        } else {
            job.check_session()?
        }
        let prefix = create.path.as_deref().ok_or(Refusal::Undecodable)?;
        if prefix.as_bytes().contains(&0) {
            return Err(ErrorCode::BadArguments.into());
        }
        let parent_path = parent_of(prefix)?;
        let acl = job.fix_up(create.acls.as_ref())?;
        let parent = self.node(job.tree, parent_path)?;
        job.check_acl(&parent.node, CREATE)?;

        if mode.is_sequential() {
            let mut name = std::mem::take(&mut self.name);
            name.clear();
            name.push_str(prefix);
            // Ten places, the sign included, as Java formats it.
            let _ = write!(name, "{:010}", parent.node.stat.cversion);
            let prepared = self.create_at(job, &name, parent_path, parent, acl, create, op, out);
            self.name = name;
            prepared
        } else {
            self.create_at(job, prefix, parent_path, parent, acl, create, op, out)
        }
    }

    /// The checks of mode and time to live. Type 21 with another mode passes Java's checks when its
    /// time is negative and then kills whoever applies it.
    fn check_mode(&self, mode: CreateMode, ttl_ms: i64, op: OpCode) -> Result<(), ErrorCode> {
        if mode.is_ttl() && !self.config.extended_types {
            return Err(ErrorCode::Unimplemented);
        }
        let is_valid = if mode.is_ttl() {
            op == OpCode::CreateTtl && (1..=TTL_MS_MAX).contains(&ttl_ms)
        } else {
            op != OpCode::CreateTtl
        };
        if is_valid { Ok(()) } else { Err(ErrorCode::BadArguments) }
    }

    #[allow(clippy::too_many_arguments, reason = "the rest of one function, behind the name")]
    fn create_at<T: TreeView>(
        &mut self,
        job: &Job<'_, '_, '_, T>,
        path: &str,
        parent_path: &str,
        parent: super::Found<T::Id>,
        acl: AclList,
        create: &Create<'_>,
        op: OpCode,
        out: &mut Vec<u8>,
    ) -> Result<OpCode, Refusal> {
        if path::validate(path).is_err() || poison::is_fatal_limits_node(path) {
            return Err(ErrorCode::BadArguments.into());
        }
        let (place, existing) = self.overlay.find(job.tree, path);
        if existing.is_some() {
            return Err(ErrorCode::NodeExists.into());
        }
        if self.owner_kind(&parent.node) == OwnerKind::Ephemeral {
            return Err(ErrorCode::NoChildrenForEphemerals.into());
        }
        let data_bytes = create.data.map_or(0, <[u8]>::len);
        let delta = Delta { count: 1, bytes: data_bytes as i64 };
        if self.config.enforce_quota {
            self.quotas.check(job.tree, path, delta)?;
        }

        let is_ephemeral = CreateMode::from_flags(create.flags).is_some_and(|m| m.is_ephemeral());
        let cversion = parent.node.stat.cversion.wrapping_add(1);
        out.put_str(path);
        out.put_buffer(create.data);
        acl.write(out);
        let owner = match op {
            OpCode::CreateContainer => {
                out.put_i32(cversion);
                CONTAINER_OWNER
            }
            OpCode::CreateTtl => {
                out.put_i32(cversion);
                out.put_i64(create.ttl_ms);
                ttl_owner(create.ttl_ms)
            }
            _ => {
                out.put_bool(is_ephemeral);
                out.put_i32(cversion);
                if is_ephemeral { job.write.session.0 } else { 0 }
            }
        };
        self.check_size(job, out)?;

        self.change(job, parent_path, parent, |parent| {
            parent.child_count = parent.child_count.saturating_add(1);
            // The applier only ever raises it: at the maximum it sticks (6.3).
            if cversion > parent.stat.cversion {
                parent.stat.cversion = cversion;
                parent.stat.pzxid = job.zxid;
            }
        });
        let stat = StatPersisted {
            czxid: job.zxid,
            mzxid: job.zxid,
            ctime_ms: job.write.time_ms,
            mtime_ms: job.write.time_ms,
            ephemeral_owner: owner,
            pzxid: job.zxid,
            ..StatPersisted::default()
        };
        let digest = self.fresh_digest(path, create.data, &stat);
        self.digest = self.digest.wrapping_add(digest);
        let node = Node { stat, child_count: 0, acl, data_bytes, digest: Some(digest) };
        self.overlay.put(path, place, job.zxid, Some(node));
        if self.config.enforce_quota {
            self.quotas.stage(job.tree, path, delta);
        }
        Ok(op)
    }

    /// What a node's stored owner says under this configuration.
    pub(super) fn owner_kind(&self, node: &Node) -> OwnerKind {
        let (extended, emulate) = (self.config.extended_types, self.config.emulate_353_ttl);
        OwnerKind::of(node.stat.ephemeral_owner, extended, emulate)
    }
}
