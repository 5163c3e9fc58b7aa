#!/bin/sh
# Removes old snapshots and logs of the configured data directories, as Apache's zkCleanup.sh:
# `zkCleanup.sh -n 3` keeps the three newest snapshots and every log needed from the oldest of them.
#
# Plain POSIX sh; works through a symbolic link and through PATH.

# The real place of this script. `sh zkCleanup.sh` gives a bare name: in this directory, or on PATH.
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

if [ ! -f "$ZOOCFG" ]; then
  echo "$ZOOCFG file is missing" >&2
  exit 1
fi
ZOODATADIR="$(cfg_value dataDir "$ZOOCFG")"
ZOODATALOGDIR="$(cfg_value dataLogDir "$ZOOCFG")"

if [ -n "$ZOODATALOGDIR" ]; then
  run_tool PurgeTxnLog "$ZOODATALOGDIR" "$ZOODATADIR" "$@"
else
  run_tool PurgeTxnLog "$ZOODATADIR" "$@"
fi
