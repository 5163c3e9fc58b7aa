//! What the core thread serves: a replica that orders alone, or a member of an ensemble.

use rookeeper_replica::Replica;

use crate::ensemble::Ensemble;

/// See the module.
pub(crate) enum Service {
    /// A standalone server.
    Alone(Box<Replica>),
    /// A member of an ensemble.
    Member(Box<Ensemble>),
}

impl Service {
    /// The replica, whichever it is.
    #[inline]
    pub(crate) fn replica(&self) -> &Replica {
        match self {
            Self::Alone(replica) => replica,
            Self::Member(ensemble) => ensemble.member.replica(),
        }
    }

    /// The replica, whichever it is.
    #[inline]
    pub(crate) fn replica_mut(&mut self) -> &mut Replica {
        match self {
            Self::Alone(replica) => replica,
            Self::Member(ensemble) => ensemble.member.replica_mut(),
        }
    }

    /// The member of an ensemble, if it is one.
    pub(crate) fn ensemble(&mut self) -> Option<&mut Ensemble> {
        match self {
            Self::Alone(_) => None,
            Self::Member(ensemble) => Some(ensemble),
        }
    }
}
