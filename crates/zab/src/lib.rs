//! Leader election, discovery, synchronisation and broadcast without I/O.
