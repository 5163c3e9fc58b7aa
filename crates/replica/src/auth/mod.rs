//! Who a connection is and what it may do: schemes, ACL evaluation, ACL fix-up. No I/O.
//!
//! Sources: `client-protocol.md` section 7, `operations.md` 6.3 to 6.5.

mod identities;
mod registry;

pub use identities::Identities;
pub use registry::{AuthConfig, AuthConfigError, AuthOutcome, AuthRegistry};
