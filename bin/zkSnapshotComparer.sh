#!/bin/sh
# Compares two snapshots, as Apache's zkSnapshotComparer.sh.
#
# Plain POSIX sh; works through a symbolic link and through PATH.

# The real place of this script. `sh zkSnapshotComparer.sh` gives a bare name: in this directory, or on PATH.
script="$0"
case "$script" in
  */*) ;;
  *) [ -e "./$script" ] || script="$(command -v -- "$script" || echo "$script")" ;;
esac
while [ -h "$script" ]; do
  link="$(readlink "$script")"
  case "$link" in
    /*) script="$link" ;;
    *) script="$(dirname "$script")/$link" ;;
  esac
done
ZOOBINDIR="$(cd "$(dirname "$script")" && pwd -P)" || exit 1

. "$ZOOBINDIR/zkEnv.sh"
run_tool SnapshotComparer "$@"
