//! Threads, ports, configuration, real disk, four-letter words, metrics.
