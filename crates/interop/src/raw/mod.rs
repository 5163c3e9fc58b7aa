//! ZooKeeper's client protocol byte by byte, independent of the rest of the workspace.
//!
//! Requests are built field by field, so that wrong ones can be built too; replies are handed out as the
//! bytes that came. Source: the client protocol reference, sections 1 to 3.

pub mod codes;
pub mod connection;
pub mod frame;
pub mod reader;

pub use connection::{Connected, RawConnection};
pub use frame::{Acl, Frame};
pub use reader::{Malformed, Reader};
