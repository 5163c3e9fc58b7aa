//! Who a connection is and what it may do: schemes, ACL evaluation, ACL fix-up. No I/O.
//!
//! Sources: `client-protocol.md` section 7, `operations.md` 6.3 to 6.5. What differs from Java on
//! purpose: a null id in an ACL entry is an invalid ACL (-114) for every scheme but `auth`, where
//! Java fails with -5; and an ACL that `auth` entries would blow up beyond a limit is refused
//! instead of being logged where no server could read it again.

mod config;
mod fix_up;
mod hash;
mod identities;
mod ip;
mod registry;
mod x500;

pub use config::{AuthConfig, AuthConfigError, AuthOutcome};
pub use identities::Identities;
pub use registry::AuthRegistry;
