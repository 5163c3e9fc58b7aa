//! How nodes are created, and who may do what with them.

use std::time::Duration;

use rookeeper_proto::acl::{self, RequestAcl, RequestAcls};
use rookeeper_proto::{Acl, CreateMode, Id};

/// Options of a create.
///
/// ```
/// use std::time::Duration;
/// use rookeeper_client::{CreateOptions, acl};
///
/// let lock = CreateOptions::ephemeral_sequential();
/// let cache = CreateOptions::persistent().with_ttl(Duration::from_secs(60));
/// let secret = CreateOptions::persistent().with_acl(vec![acl::creator_all()]);
/// # let _ = (lock, cache, secret);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateOptions {
    pub(crate) mode: CreateMode,
    pub(crate) ttl_ms: i64,
    /// `None` is the client's default.
    pub(crate) acl: Option<Vec<Acl>>,
    pub(crate) null_data: bool,
}

impl CreateOptions {
    /// Any mode.
    pub fn new(mode: CreateMode) -> Self {
        Self { mode, ttl_ms: -1, acl: None, null_data: false }
    }

    /// Stays until deleted.
    pub fn persistent() -> Self {
        Self::new(CreateMode::Persistent)
    }

    /// Stays until deleted; ten digits are appended to the name.
    pub fn persistent_sequential() -> Self {
        Self::new(CreateMode::PersistentSequential)
    }

    /// Goes with the session.
    pub fn ephemeral() -> Self {
        Self::new(CreateMode::Ephemeral)
    }

    /// Goes with the session; ten digits are appended to the name.
    pub fn ephemeral_sequential() -> Self {
        Self::new(CreateMode::EphemeralSequential)
    }

    /// Removed some time after its last child has gone.
    pub fn container() -> Self {
        Self::new(CreateMode::Container)
    }

    /// Removed when not changed for this long and without children. Only persistent modes can have
    /// a time to live; a create with any other fails without being sent.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl_ms = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
        self.mode = match self.mode {
            CreateMode::Persistent => CreateMode::PersistentWithTtl,
            CreateMode::PersistentSequential => CreateMode::PersistentSequentialWithTtl,
            other => other,
        };
        self
    }

    /// The node's ACL instead of the client's default
    /// ([`Builder::default_acl`](crate::Builder::default_acl)).
    #[must_use]
    pub fn with_acl(mut self, acl: Vec<Acl>) -> Self {
        self.acl = Some(acl);
        self
    }

    /// The node holds null instead of data; readers see the difference to empty data.
    #[must_use]
    pub fn without_data(mut self) -> Self {
        self.null_data = true;
        self
    }
}

/// `world:anyone` with all permissions.
pub fn open() -> Acl {
    entry(acl::ALL, "world", "anyone")
}

/// `world:anyone` may read.
pub fn read_only() -> Acl {
    entry(acl::READ, "world", "anyone")
}

/// The identities of the creating connection have all permissions.
pub fn creator_all() -> Acl {
    entry(acl::ALL, "auth", "")
}

/// Any entry.
pub fn entry(perms: i32, scheme: &str, id: &str) -> Acl {
    Acl { perms, id: Id { scheme: scheme.to_owned(), id: id.to_owned() } }
}

pub(crate) fn to_request(acl: Option<&[Acl]>) -> RequestAcls<'_> {
    match acl {
        None => RequestAcls::Open,
        Some(list) => RequestAcls::List(
            list.iter()
                .map(|acl| RequestAcl {
                    perms: acl.perms,
                    scheme: Some(acl.id.scheme.as_str().into()),
                    id: Some(acl.id.id.as_str().into()),
                })
                .collect(),
        ),
    }
}
