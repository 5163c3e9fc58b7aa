#!/bin/sh
# The shell: connects to servers and runs commands, as Apache's zkCli.sh.
#
# Plain POSIX sh; works through a symbolic link and through PATH. Of CLIENT_JVMFLAGS and JVMFLAGS the
# -D flags are passed on; what is meant for a JVM is left out.

# The real place of this script. `sh zkCli.sh` gives a bare name: in this directory, or on PATH.
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
require_rookeeper || exit 1

# Flags go in front of the words given, one by one and from the last, so that the order stays. They
# are split at blanks, as Apache's script splits them, and never expanded as file names.
set -f
flags=""
# shellcheck disable=SC2086 # splitting is the point
for flag in $CLIENT_JVMFLAGS $JVMFLAGS; do
  case "$flag" in
    -D?*) flags="$flag $flags" ;;
  esac
done
for flag in $flags; do
  set -- "$flag" "$@"
done
set +f

exec "$ROOKEEPER" cli "$@"
