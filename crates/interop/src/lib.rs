//! Interop tests against Apache ZooKeeper, kazoo and the C client; the oracles' launcher.
