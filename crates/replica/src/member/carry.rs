//! Carries out what the peer asks for.

use rookeeper_proto::Zxid;
use rookeeper_proto::quorum::ServerState;
use rookeeper_zab::{Effect, ServingRole};

use super::{IoEffect, Member};
use crate::clock::Now;
use crate::ordering::{EpochFile, LogCommand};
use crate::outbox::Outbox;
use crate::replica::Role;

impl Member {
    /// Until nothing more follows.
    pub(super) fn carry_all(&mut self, now: Now, outbox: &mut impl Outbox) {
        self.leave_read_only(now, outbox);
        while !self.fx.is_empty() {
            let effects: Vec<Effect> = self.fx.drain().collect();
            for effect in effects {
                self.carry(now, effect, outbox);
            }
        }
    }

    fn carry(&mut self, now: Now, effect: Effect, outbox: &mut impl Outbox) {
        match effect {
            Effect::ConnectElection { sid, addresses } => {
                self.io.push(IoEffect::ConnectElection { sid, addresses });
            }
            Effect::ConnectLeader { sid, addresses } => {
                self.io.push(IoEffect::ConnectLeader { sid, addresses });
            }
            Effect::SendElection { conn, bytes } | Effect::SendQuorum { conn, bytes } => {
                self.io.push(IoEffect::Send { conn, bytes });
            }
            Effect::CloseElection { conn } | Effect::CloseQuorum { conn } => {
                self.cancel_snapshot(conn);
                self.claims.forget(conn);
                self.io.push(IoEffect::Close { conn });
            }
            Effect::WriteAcceptedEpoch { epoch } => self.write_epoch(EpochFile::Accepted, epoch),
            Effect::WriteCurrentEpoch { epoch } => self.write_epoch(EpochFile::Current, epoch),
            Effect::Append { record } => {
                if self.peer.state() == ServerState::Following {
                    self.replica.stats.quorum.proposals_received += 1;
                }
                self.replica.append(record.zxid, record.bytes);
            }
            Effect::TruncateLog { to } => self.truncate(to),
            Effect::InstallSnapshot { through, records, current_epoch } => {
                self.install(now, through, &records, current_epoch);
            }
            Effect::Quarantine { reason } => {
                self.replica.replace_state(LogCommand::SetAside { reason });
            }
            Effect::ReadHistory { conn, after, through } => {
                self.io.push(IoEffect::ReadHistory { conn, after, through });
            }
            Effect::SaveLastSeenConfig { config } => {
                self.io.push(IoEffect::SaveLastSeenConfig(config));
            }
            Effect::ActivateConfig { config } => self.io.push(IoEffect::ActivateConfig(config)),
            Effect::ReceiveSnapshot { zxid } => self.receive_snapshot(zxid),
            Effect::SnapshotBytes { bytes } => self.on_snapshot_bytes(now, &bytes),
            Effect::AbandonSnapshot => self.incoming = None,
            Effect::TakeSnapshot { conn, through } => {
                self.take_snapshot(now, conn, through, outbox);
            }
            Effect::StreamSnapshot { conn } => {
                self.replica.stats.quorum.snapshots += 1;
                self.start_streaming(conn);
            }
            Effect::CancelSnapshot { conn } => self.cancel_snapshot(conn),
            Effect::CommitUpTo { zxid } => self.replica.on_committed(now, zxid, outbox),
            Effect::StartServing { role, epoch, is_state_replaced, .. } => {
                self.start_serving(now, role, epoch, is_state_replaced, outbox);
            }
            Effect::StopServing { reason } => {
                let text = format!("no longer serving clients: {reason}");
                self.io.push(IoEffect::Note { is_warning: true, text });
                self.stop_serving(now, outbox);
                self.proposals.clear();
                self.waiting_syncs.clear();
                // What was prepared and never handed to the log was never proposed: nobody has it.
                self.replica.ordering.drop_beyond(self.peer.store().appended());
            }
            Effect::ForwardedRequest(forwarded) => self.on_forwarded(now, forwarded),
            Effect::SessionsTouched { sessions } => self.replica.on_touches(now, &sessions),
            Effect::RevalidateRequest { conn, session, timeout_ms } => {
                if self.peer.is_observer_master() {
                    return self.relay_revalidate(conn, session, timeout_ms, outbox);
                }
                let is_valid = self.replica.on_revalidate(now, conn.0, session, timeout_ms);
                self.peer.answer_revalidate(conn, session, is_valid, &mut self.fx);
            }
            Effect::RevalidateAnswer { session, is_valid } => {
                self.replica.on_revalidated(session, is_valid, outbox);
            }
            Effect::SyncAnswer => self.replica.on_synced(now, outbox),
            // Who spoke for a session through it has to be asked for anew: see `Owner`.
            Effect::LearnerGone { .. } => {}
            Effect::Note { is_warning, text } => self.io.push(IoEffect::Note { is_warning, text }),
        }
    }

    fn write_epoch(&mut self, file: EpochFile, epoch: u32) {
        self.replica.ordering.push_log(LogCommand::WriteEpoch { file, epoch });
    }

    fn truncate(&mut self, to: Zxid) {
        let reload = to < self.replica.tree.last_zxid() && !planted!(TreeNotReloaded);
        self.replica.replace_state(LogCommand::Truncate { to, reload });
    }

    fn start_serving(
        &mut self,
        now: Now,
        role: ServingRole,
        epoch: u32,
        is_state_replaced: bool,
        outbox: &mut impl Outbox,
    ) {
        let (role, word) = match role {
            ServingRole::Leading => (Role::Leading, "LEADING"),
            ServingRole::Following => (Role::Following, "FOLLOWING"),
            ServingRole::Observing => (Role::Observing, "OBSERVING"),
        };
        let text = format!("{word} in epoch {epoch}, at {}", self.replica.tree.last_zxid());
        self.io.push(IoEffect::Note { is_warning: false, text });
        let config = self.peer.config();
        let version = config.version;
        let text = config.to_string();
        self.replica.set_config(now, &text, version);
        self.serve(now, role, epoch, is_state_replaced, outbox);
    }
}
