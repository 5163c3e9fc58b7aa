//! Load generator for any ZooKeeper-compatible server.
