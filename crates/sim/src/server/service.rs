//! What a process serves: a replica that orders alone, or a member of an ensemble.

use rookeeper_replica::Replica;

use super::member::Ensemble;

/// See the module.
#[derive(Debug)]
pub(crate) enum Service {
    /// A standalone server.
    Alone(Box<Replica>),
    /// A member of an ensemble.
    Member(Box<Ensemble>),
}

impl Service {
    /// The replica, whichever it is.
    pub(crate) fn replica(&self) -> &Replica {
        match self {
            Self::Alone(replica) => replica,
            Self::Member(ensemble) => ensemble.member.replica(),
        }
    }

    /// The replica, whichever it is.
    pub(crate) fn replica_mut(&mut self) -> &mut Replica {
        match self {
            Self::Alone(replica) => replica,
            Self::Member(ensemble) => ensemble.member.replica_mut(),
        }
    }

    /// The member of an ensemble, if it is one.
    pub(crate) fn ensemble(&self) -> Option<&Ensemble> {
        match self {
            Self::Alone(_) => None,
            Self::Member(ensemble) => Some(ensemble),
        }
    }

    /// The member of an ensemble, if it is one.
    pub(crate) fn ensemble_mut(&mut self) -> Option<&mut Ensemble> {
        match self {
            Self::Alone(_) => None,
            Self::Member(ensemble) => Some(ensemble),
        }
    }
}
