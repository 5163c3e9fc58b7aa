//! Transaction log, snapshots, epoch files, recovery and purge in Apache's format over a disk seam.
