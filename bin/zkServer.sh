#!/bin/sh
# Starts, stops and asks a server: the commands, lines and exit codes of Apache's zkServer.sh.
#
# Plain POSIX sh; works through a symbolic link and through PATH. Better than the original in five
# points: `start` ends as soon as the server listens, `stop` waits for the process to be gone, a pid file
# left by a crash does not stop a start, a failed start shows why, and `status` needs no nc.

# The real place of this script. `sh zkServer.sh` gives a bare name: in this directory, or on PATH.
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

usage() {
  echo "Usage: $0 [--config <conf-dir>] {start|start-foreground|stop|version|restart|status|print-cmd}" >&2
}

if [ "$1" = "--config" ]; then
  ZOOCFGDIR="$2"
  if [ $# -lt 2 ] || [ ! -d "$ZOOCFGDIR" ]; then
    echo "--config: $2 is not a directory" >&2
    usage
    exit 1
  fi
  shift 2
fi

. "$ZOOBINDIR/zkEnv.sh"

# People and programs look for these lines, although there is no JMX here.
if [ -z "$JMXDISABLE" ] || [ "$JMXDISABLE" = "false" ]; then
  echo "ZooKeeper JMX enabled by default" >&2
  if [ -n "$JMXPORT" ]; then
    echo "ZooKeeper remote JMX Port set to $JMXPORT" >&2
    echo "ZooKeeper remote JMX authenticate set to ${JMXAUTH:-false}" >&2
    echo "ZooKeeper remote JMX ssl set to ${JMXSSL:-false}" >&2
    echo "ZooKeeper remote JMX log4j set to ${JMXLOG4J:-true}" >&2
    if [ -n "$JMXHOSTNAME" ]; then
      echo "ZooKeeper remote JMX Hostname set to $JMXHOSTNAME" >&2
    fi
  fi
else
  echo "JMX disabled by user request" >&2
fi

# A second argument replaces zoo.cfg: a path as it is, a bare name from the configuration directory.
if [ -n "$2" ]; then
  case "$2" in
    */*) ZOOCFG="$2" ;;
    *)
      ZOOCFG="$ZOOCFGDIR/$2"
      if [ ! -f "$ZOOCFG" ] && [ -f "./$2" ]; then
        ZOOCFG="$(pwd)/$2"
      fi
      ;;
  esac
fi
echo "Using config: $ZOOCFG" >&2

ZOO_DATADIR="$(cfg_value dataDir "$ZOOCFG")"
ZOO_DATALOGDIR="$(cfg_value dataLogDir "$ZOOCFG")"
if [ -z "$ZOOPIDFILE" ] && [ -n "$ZOO_DATADIR" ]; then
  ZOOPIDFILE="$ZOO_DATADIR/zookeeper_server.pid"
fi
ZOO_DAEMON_OUT="$ZOO_LOG_DIR/zookeeper-$ZOO_USER-server-$ZOO_HOST.out"
ZOOMAIN="org.apache.zookeeper.server.quorum.QuorumPeerMain"
ZOO_DATADIR_AUTOCREATE=""
if [ -n "$ZOO_DATADIR_AUTOCREATE_DISABLE" ]; then
  ZOO_DATADIR_AUTOCREATE="-Dzookeeper.datadir.autocreate=false"
fi

# saved_pid: the number in the pid file, if it is one.
saved_pid() {
  [ -n "$ZOOPIDFILE" ] && [ -f "$ZOOPIDFILE" ] || return 0
  pid="$(head -n 1 "$ZOOPIDFILE" 2>/dev/null | tr -d '[:space:]')"
  case "$pid" in
    '' | *[!0-9]*) ;;
    *) echo "$pid" ;;
  esac
}

# alive PID: the process exists and is not a zombie nobody collects.
alive() {
  if [ -r "/proc/$1/status" ]; then
    case "$(sed -n 's/^State:[[:space:]]*//p' "/proc/$1/status" 2>/dev/null)" in
      Z* | X* | '') return 1 ;;
      *) return 0 ;;
    esac
  fi
  kill -0 "$1" 2>/dev/null
}

# is_server PID: alive, and not a stranger that got the number after a crash or a reboot.
is_server() {
  alive "$1" || return 1
  if [ -r "/proc/$1/cmdline" ]; then
    command_line="$(tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null)"
  else
    command_line="$(ps -p "$1" -o args= 2>/dev/null)"
  fi
  case "$command_line" in
    '' | *QuorumPeerMain* | *ZooKeeperServerMain*) return 0 ;;
    *) return 1 ;;
  esac
}

# A tenth of a second where sleep can do that, else a whole one.
short_sleep() {
  sleep 0.1 2>/dev/null || sleep 1
}

# with_command PROGRAM...: runs PROGRAM with the server's full command line.
# The flags are split at blanks as Apache's script does, but never expanded as file names.
with_command() {
  set -f
  # shellcheck disable=SC2086
  set -- "$@" "$ROOKEEPER" server $ZOO_DATADIR_AUTOCREATE \
    "-Dzookeeper.log.dir=$ZOO_LOG_DIR" "-Dzookeeper.log.file=$ZOO_LOG_FILE" \
    $SERVER_JVMFLAGS $JVMFLAGS "-Dzookeeper.main=$ZOOMAIN" "$ZOOCFG"
  set +f
  "$@"
}

quoted() {
  for word in "$@"; do
    printf '"%s" ' "$word"
  done
}

check_directories() {
  [ -n "$ZOO_DATADIR_AUTOCREATE_DISABLE" ] || return 0
  if [ ! -d "$ZOO_DATADIR/version-2" ]; then
    echo "ZooKeeper data directory is missing at $ZOO_DATADIR fix the path or run initialize"
    return 1
  fi
  if [ -n "$ZOO_DATALOGDIR" ] && [ ! -d "$ZOO_DATALOGDIR/version-2" ]; then
    echo "ZooKeeper txnlog directory is missing at $ZOO_DATALOGDIR fix the path or run initialize"
    return 1
  fi
}

failed_to_start() {
  echo FAILED TO START
  for reason in "$@"; do
    echo "$reason" >&2
  done
  return 1
}

do_start() {
  printf 'Starting zookeeper ... '
  pid="$(saved_pid)"
  if [ -n "$pid" ] && is_server "$pid"; then
    echo "already running as process $pid."
    return 1
  fi
  if [ ! -f "$ZOOCFG" ]; then
    failed_to_start "$ZOOCFG file is missing" \
      "  remedy: cp '$ZOOCFGDIR/zoo_sample.cfg' '$ZOOCFGDIR/zoo.cfg', or name a file: $0 start <file>"
    return 1
  fi
  if [ -z "$ZOOPIDFILE" ]; then
    failed_to_start "$ZOOCFG: dataDir is not set" "  remedy: add a line dataDir=/path"
    return 1
  fi
  check_directories || return 1
  require_rookeeper || { failed_to_start; return 1; }
  if ! mkdir -p "$ZOO_LOG_DIR" || ! true >"$ZOO_DAEMON_OUT"; then
    failed_to_start "$ZOO_DAEMON_OUT cannot be written" "  remedy: set ZOO_LOG_DIR to a directory of yours"
    return 1
  fi
  mkdir -p "$(dirname "$ZOOPIDFILE")" 2>/dev/null
  # exec, so that the number saved is the server's and not a shell's.
  with_command exec nohup >"$ZOO_DAEMON_OUT" 2>&1 </dev/null &
  pid=$!
  if ! printf '%s' "$pid" 2>/dev/null >"$ZOOPIDFILE"; then
    kill "$pid" 2>/dev/null
    echo FAILED TO WRITE PID
    return 1
  fi
  # A server that cannot run is gone within a second; one that runs says so, unless its log is turned down.
  tries=10
  while [ "$tries" -gt 0 ] && alive "$pid"; do
    if grep -q ', started in [0-9]* ms' "$ZOO_DAEMON_OUT" 2>/dev/null; then
      break
    fi
    short_sleep
    tries=$((tries - 1))
  done
  if alive "$pid"; then
    echo STARTED
    return 0
  fi
  rm -f "$ZOOPIDFILE"
  echo FAILED TO START
  echo "the last lines of $ZOO_DAEMON_OUT:" >&2
  tail -n 20 "$ZOO_DAEMON_OUT" >&2
  return 1
}

do_stop() {
  printf 'Stopping zookeeper ... '
  if [ -z "$ZOOPIDFILE" ] || [ ! -f "$ZOOPIDFILE" ]; then
    echo "no zookeeper to stop (could not find file $ZOOPIDFILE)"
    return 0
  fi
  pid="$(saved_pid)"
  if [ -z "$pid" ] || ! is_server "$pid"; then
    echo "process ${pid:-(none)} of $ZOOPIDFILE was not running" >&2
  elif ! kill "$pid"; then
    echo "NOT STOPPED"
    return 1
  else
    limit="${ZOO_STOP_TIMEOUT:-30}"
    deadline=$(($(date +%s) + limit))
    while alive "$pid"; do
      if [ "$(date +%s)" -ge "$deadline" ]; then
        echo "NOT STOPPED"
        echo "process $pid is still running after $limit s; kill -9 $pid ends it without harm to the data" >&2
        return 1
      fi
      short_sleep
    done
  fi
  rm -f "$ZOOPIDFILE"
  echo STOPPED
}

# from_server_line FILE: what stands behind the semicolon in this server's own line.
from_server_line() {
  cfg_value "server\\.$myid" "$1" | sed -n 's/^[^;]*;[[:space:]]*//p'
}

# find_client_port: sets port and address, saying on the way where it looks.
find_client_port() {
  address="$(cfg_value clientPortAddress "$ZOOCFG")"
  port="$(cfg_value clientPort "$ZOOCFG")"
  [ -z "$port" ] || return 0
  myid="$(head -n 1 "$ZOO_DATADIR/myid" 2>/dev/null | tr -d '[:space:]')"
  if [ -z "$myid" ]; then
    echo "myid could not be determined, will not able to locate clientPort in the server configs."
    return 1
  fi
  client="$(from_server_line "$ZOOCFG")"
  if [ -z "$client" ]; then
    echo "Client port not found in static config file. Looking in dynamic config file."
    client="$(from_server_line "$(cfg_value dynamicConfigFile "$ZOOCFG")")"
  fi
  if [ -z "$client" ]; then
    echo "Client port not found in the server configs"
    return 1
  fi
  port="${client##*:}"
  case "$client" in
    *:*) address="${client%:*}" ;;
  esac
}

do_status() {
  secure=false
  if ! find_client_port; then
    echo "Client port not found. Looking for secureClientPort in the static config."
    port="$(cfg_value secureClientPort "$ZOOCFG")"
    address="$(cfg_value secureClientPortAddress "$ZOOCFG")"
    if [ -z "$port" ]; then
      echo "Unable to find either secure or unsecure client port in any configs. Terminating."
      return 1
    fi
    secure=true
  fi
  address="${address:-localhost}"
  echo "Client port found: $port. Client address: $address. Client SSL: $secure."
  require_rookeeper || return 1
  mode=""
  if [ "$secure" = false ]; then
    mode="$("$ROOKEEPER" 4lw "$address" "$port" srvr 2>/dev/null | grep '^Mode: ')"
  fi
  if [ -n "$mode" ]; then
    echo "$mode"
    return 0
  fi
  if [ "$secure" = true ]; then
    echo "Note: We used secureClientPort ($port) to establish connection, but we failed."
    echo "Asking over TLS is not supported yet; add a clientPort to ask over."
  fi
  echo "Error contacting service. It is probably not running."
  return 1
}

case "$1" in
  start)
    do_start
    ;;
  start-foreground)
    require_rookeeper || exit 1
    check_directories || exit 1
    if [ -n "$ZOO_NOEXEC" ]; then
      with_command command
    else
      with_command exec
    fi
    ;;
  stop)
    do_stop
    ;;
  restart)
    do_stop && do_start
    ;;
  status)
    do_status
    ;;
  version)
    require_rookeeper || exit 1
    name_and_number="$("$ROOKEEPER" --version 2>/dev/null | head -n 1 | cut -d ' ' -f 1,2)"
    echo "Apache ZooKeeper, version 3.9.5 (${name_and_number:-rookeeper})"
    ;;
  print-cmd)
    require_rookeeper || exit 1
    with_command quoted
    echo "> \"$ZOO_DAEMON_OUT\" 2>&1 < /dev/null"
    ;;
  *)
    usage
    ;;
esac
