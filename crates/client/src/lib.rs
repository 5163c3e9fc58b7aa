//! A ZooKeeper client: protocol core without I/O, async shell on tokio.
