//! Readiness loop, connections and buffers; knows no ZooKeeper.
