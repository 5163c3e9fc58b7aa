//! One file per promise. Each header says what its checker would catch.

pub mod digest;
pub mod durability;
pub mod ephemerals;
pub mod expiry;
pub mod liveness;
pub(crate) mod promises;
pub mod reads;
pub mod sequential;
pub mod session_order;
pub mod watch_order;
pub mod writes;
pub mod zab;
