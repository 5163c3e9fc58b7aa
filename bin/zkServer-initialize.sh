#!/bin/sh
# Makes the data directories of a new server, as Apache's zkServer-initialize.sh. Existing data is only
# removed with --force.
#
# Plain POSIX sh; works through a symbolic link and through PATH.

# The real place of this script. `sh zkServer-initialize.sh` gives a bare name: in this directory, or on PATH.
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

usage() {
  printf 'usage: %s <parameters>
  Optional parameters:
     -h                                                    Display this message
     --help                                                Display this message
     --configfile=%-40s ZooKeeper config file
     --myid=#                                              Set the myid to be used, if any (1-255)
     --force                                               Force creation of the data/txnlog dirs
' "$0" "$ZOOCFG"
  exit 1
}

# refuse_data WHAT DIR: ends when there is data already.
refuse_data() {
  if [ -n "$2" ] && [ -d "$2/version-2" ]; then
    echo "ZooKeeper $1 directory already exists at $2 (or use --force to force re-initialization)"
    exit 1
  fi
}

# fresh DIR: an empty version-2 and no myid; the directory itself and what else is in it stay.
fresh() {
  rm -rf "$1/myid" "$1/version-2" 2>/dev/null
  mkdir -p "$1/version-2" || exit 1
}

FORCE=""
MYID=""
while [ -n "$1" ]; do
  case "$1" in
    --configfile=?*) ZOOCFG="${1#*=}" ;;
    --myid=?*) MYID="${1#*=}" ;;
    --configfile | --myid)
      [ -n "$2" ] || { echo "Unknown option: $1"; usage; }
      if [ "$1" = "--myid" ]; then MYID="$2"; else ZOOCFG="$2"; fi
      shift
      ;;
    --force) FORCE=1 ;;
    -h | --help) usage ;;
    *)
      echo "Unknown option: $1"
      usage
      ;;
  esac
  shift
done

if [ ! -e "$ZOOCFG" ]; then
  echo "Unable to find config file at $ZOOCFG"
  exit 1
fi
ZOO_DATADIR="$(cfg_value dataDir "$ZOOCFG")"
ZOO_DATALOGDIR="$(cfg_value dataLogDir "$ZOOCFG")"
if [ -z "$ZOO_DATADIR" ]; then
  echo "Unable to determine dataDir from $ZOOCFG"
  exit 1
fi

if [ -n "$FORCE" ]; then
  echo "Force enabled, data/txnlog directories will be re-initialized"
else
  refuse_data data "$ZOO_DATADIR"
  refuse_data txnlog "$ZOO_DATALOGDIR"
fi
fresh "$ZOO_DATADIR"
if [ -n "$ZOO_DATALOGDIR" ]; then
  fresh "$ZOO_DATALOGDIR"
fi

if [ -n "$MYID" ]; then
  echo "Using myid of $MYID"
  echo "$MYID" >"$ZOO_DATADIR/myid"
else
  echo "No myid provided, be sure to specify it in $ZOO_DATADIR/myid if using non-standalone"
fi
true >"$ZOO_DATADIR/initialize"
