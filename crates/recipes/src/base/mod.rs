//! What the recipes share: requests repeated until answered, nodes made exactly once, and queues of
//! ordered children in which everybody watches one predecessor.

pub(crate) mod held;
pub(crate) mod nodes;
pub(crate) mod ordered;
pub(crate) mod persist;
pub(crate) mod task;
