//! What of the configuration changes how writes are prepared. All of it must be equal on every
//! server of an ensemble (`quorum-protocol.md` 7.3 D25).

/// Settings of [`super::Prep`].
#[derive(Debug, Clone)]
pub struct PrepConfig {
    /// `zookeeper.enforceQuota`.
    pub enforce_quota: bool,
    /// `zookeeper.extendedTypesEnabled`: TTL nodes.
    pub extended_types: bool,
    /// `zookeeper.emulate353TTLNodes`.
    pub emulate_353_ttl: bool,
    /// `zookeeper.closeSessionTxn.enabled`: whether a closeSession lists what it deletes.
    pub close_session_txn: bool,
    /// `zookeeper.digest.enabled`: whether records end with the tree's digest.
    pub digest: bool,
    /// `reconfigEnabled`.
    pub reconfig: bool,
    /// No ensemble: reconfig is refused.
    pub standalone: bool,
    /// The largest record that may be proposed: `jute.maxbuffer` plus its extra size, beyond which
    /// no Java peer could read it (S31).
    pub record_max_bytes: usize,
}

impl Default for PrepConfig {
    fn default() -> Self {
        Self {
            enforce_quota: false,
            extended_types: false,
            emulate_353_ttl: false,
            close_session_txn: true,
            digest: true,
            reconfig: false,
            standalone: true,
            record_max_bytes: 2 * 0xf_ffff,
        }
    }
}
