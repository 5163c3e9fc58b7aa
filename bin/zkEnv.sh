#!/bin/sh
# Sourced by the other scripts: finds the configuration directory, the log directory and the binary.
#
# The caller sets ZOOBINDIR (the real directory of the scripts) and, for `--config DIR`, ZOOCFGDIR.
# Every variable Apache's scripts know keeps its meaning; those of the JVM are accepted.

ZOOKEEPER_PREFIX="${ZOOKEEPER_PREFIX:-${ZOOBINDIR}/..}"

if [ -z "$ZOOCFGDIR" ]; then
  if [ -d "${ZOOBINDIR}/../conf" ]; then
    ZOOCFGDIR="${ZOOBINDIR}/../conf"
  else
    ZOOCFGDIR="${ZOOBINDIR}/../etc/zookeeper"
  fi
fi

if [ -f "${ZOOCFGDIR}/zookeeper-env.sh" ]; then
  . "${ZOOCFGDIR}/zookeeper-env.sh"
fi

if [ -z "$ZOOCFG" ]; then
  ZOOCFG="zoo.cfg"
fi
ZOOCFG="$ZOOCFGDIR/$ZOOCFG"

if [ -f "$ZOOCFGDIR/java.env" ]; then
  . "$ZOOCFGDIR/java.env"
fi

if [ -z "$ZOO_LOG_DIR" ]; then
  ZOO_LOG_DIR="$ZOOKEEPER_PREFIX/logs"
fi

# dash sets neither of these two.
ZOO_USER="${USER:-$(id -un 2>/dev/null || echo unknown)}"
ZOO_HOST="${HOSTNAME:-$(hostname 2>/dev/null || uname -n)}"

if [ -z "$ZOO_LOG_FILE" ]; then
  ZOO_LOG_FILE="zookeeper-$ZOO_USER-server-$ZOO_HOST.log"
fi

# The binary: named, beside the scripts, built in this tree, or on PATH.
if [ -z "$ROOKEEPER" ]; then
  for candidate in \
    "$ZOOBINDIR/rookeeper" \
    "$ZOOBINDIR/../target/release/rookeeper" \
    "$ZOOBINDIR/../target/debug/rookeeper"; do
    if [ -f "$candidate" ] && [ -x "$candidate" ]; then
      ROOKEEPER="$candidate"
      break
    fi
  done
fi
if [ -z "$ROOKEEPER" ]; then
  ROOKEEPER="$(command -v rookeeper 2>/dev/null)"
fi

# Fails with a remedy when there is no binary.
require_rookeeper() {
  if [ -n "$ROOKEEPER" ] && command -v "$ROOKEEPER" >/dev/null 2>&1; then
    return 0
  fi
  if [ -n "$ROOKEEPER" ]; then
    echo "ROOKEEPER=$ROOKEEPER is not a program" >&2
  else
    echo "rookeeper was not found: run 'cargo build --release', or set ROOKEEPER to its path" >&2
  fi
  return 1
}

# run_tool CLASS WORDS...: becomes the offline tool that Apache's class of this name is.
run_tool() {
  require_rookeeper || exit 1
  exec "$ROOKEEPER" tool "$@"
}

# cfg_value KEY FILE: the last value of a key, without blanks around it and a comment behind it.
cfg_value() {
  [ -f "$2" ] || return 0
  tr '\r' '\n' <"$2" | sed -n \
    -e "s/^[[:space:]]*$1[[:space:]]*[=:][[:space:]]*//p" -e t \
    -e "s/^[[:space:]]*$1[[:space:]][[:space:]]*//p" |
    sed -e 's/[[:space:]]#.*$//' -e 's/[[:space:]]*$//' | tail -n 1
}
