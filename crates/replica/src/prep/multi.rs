//! multi: several writes under one zxid, all or none (`client-protocol.md` 3.8).

use rookeeper_proto::client::request::{Create, MultiOp};
use rookeeper_proto::jute::JuteWrite;
use rookeeper_proto::{CreateMode, ErrorCode, OpCode};

use super::refusal::Refusal;
use super::view::TreeView;
use super::write::Outcome;
use super::{Job, Prep, set_i32};

impl Prep {
    /// Prepares the operations in order, each seeing the ones before it. A refused operation undoes
    /// all; the record still says which and why.
    pub(super) fn multi<T: TreeView>(
        &mut self,
        job: &Job<'_, '_, '_, T>,
        ops: &[MultiOp<'_>],
        out: &mut Vec<u8>,
    ) -> Result<(OpCode, Outcome), Refusal> {
        check_shape(ops)?;
        let digest = self.digest;
        self.overlay.begin_multi();
        out.put_len(ops.len());
        let failed = self.parts(job, ops, out);
        let Some((index, refusal)) = failed else {
            self.overlay.end_multi();
            return Ok((OpCode::Multi, Outcome::Txn));
        };
        self.overlay.roll_back();
        self.quotas.drop_staged();
        self.digest = digest;
        let Refusal::Code(code) = refusal else { return Err(refusal) };
        put_error(out, code);
        ops[index + 1..].iter().for_each(|_| put_error(out, ErrorCode::RuntimeInconsistency));
        self.check_size(job, out)?;
        Ok((OpCode::Multi, Outcome::MultiFailed { index, code }))
    }

    /// Appends the parts up to the first refused one, which is returned.
    fn parts<T: TreeView>(
        &mut self,
        job: &Job<'_, '_, '_, T>,
        ops: &[MultiOp<'_>],
        out: &mut Vec<u8>,
    ) -> Option<(usize, Refusal)> {
        for (index, op) in ops.iter().enumerate() {
            let start = out.len();
            out.put_i64(0);
            match self.part(job, op, out) {
                Ok(op) => {
                    let len = i32::try_from(out.len() - start - 8).unwrap_or(i32::MAX);
                    set_i32(out, start, op.as_i32());
                    set_i32(out, start + 4, len);
                }
                Err(refusal) => {
                    out.truncate(start);
                    return Some((index, refusal));
                }
            }
        }
        None
    }

    fn part<T: TreeView>(
        &mut self,
        job: &Job<'_, '_, '_, T>,
        op: &MultiOp<'_>,
        out: &mut Vec<u8>,
    ) -> Result<OpCode, Refusal> {
        match op {
            MultiOp::Create(create)
            | MultiOp::Create2(create)
            | MultiOp::CreateContainer(create)
            | MultiOp::CreateTtl(create) => self.create(job, create, creating_op(op, create), out),
            MultiOp::Delete(delete) => self.delete(job, delete, out),
            MultiOp::SetData(set) => self.set_data(job, set, out),
            MultiOp::Check(check) => self.check(job, check, out),
            MultiOp::GetData(_) | MultiOp::GetChildren(_) => Err(Refusal::Undecodable),
        }
    }
}

/// What kind of txn a create inside a multi becomes: here the flags have a say.
fn creating_op(op: &MultiOp<'_>, create: &Create<'_>) -> OpCode {
    match (op, CreateMode::from_flags(create.flags)) {
        (_, Some(CreateMode::Container)) => OpCode::CreateContainer,
        (MultiOp::CreateTtl(_), Some(mode)) if !mode.is_ttl() => OpCode::Create,
        _ => op.op(),
    }
}

/// What costs the whole multi -5, whatever the state: reads, null paths, and in the creates without
/// a time to live flags that do not fit and null ACLs. Verified against 3.9.5.
fn check_shape(ops: &[MultiOp<'_>]) -> Result<(), Refusal> {
    let is_fine = |op: &MultiOp<'_>| match op {
        MultiOp::Create(c) | MultiOp::Create2(c) | MultiOp::CreateContainer(c) => {
            let mode = CreateMode::from_flags(c.flags);
            c.path.is_some() && c.acls.is_some() && mode.is_some_and(|mode| !mode.is_ttl())
        }
        MultiOp::CreateTtl(c) => c.path.is_some(),
        MultiOp::Delete(d) | MultiOp::Check(d) => d.path.is_some(),
        MultiOp::SetData(s) => s.path.is_some(),
        MultiOp::GetData(_) | MultiOp::GetChildren(_) => false,
    };
    if ops.iter().all(is_fine) { Ok(()) } else { Err(Refusal::Undecodable) }
}

/// A part of type error.
fn put_error(out: &mut Vec<u8>, code: ErrorCode) {
    out.put_i32(OpCode::Error.as_i32());
    out.put_i32(4);
    out.put_i32(code.as_i32());
}
