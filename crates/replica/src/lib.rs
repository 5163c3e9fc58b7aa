//! One server without I/O: frontend, prep, ordering, applier, sessions, snapshotter.
