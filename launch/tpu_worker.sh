#!/usr/bin/env bash
# One worker of tpu_vm.sh: install the checkout and start a command unless it is
# running; show its log; exit with its code.
#   tpu_worker.sh COMMAND ...
#   tpu_worker.sh running    whether it is
#   tpu_worker.sh stop       send it SIGTERM
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
state=${STEMGEN_WORKER:-$HOME/.stemgen-jax-run}
lock=${LIBTPU_LOCK:-/tmp/libtpu_lockfile}
mkdir -p "$state"

pid=$(cat "$state/pid" 2>/dev/null || true)
running() { # a reboot may give the number to another process
  [ -n "$pid" ] && [[ $(ps -o args= -p "$pid" 2>/dev/null) == *stemgen-run* ]]
}
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

case $1 in
  running) running; exit ;;
  stop) if running; then kill -TERM -- "-$pid"; fi; exit ;;
esac
lines=20
if ! running; then
  holder=$(as_root find /proc/[0-9]*/fd -lname "$lock" 2>/dev/null | head -n 1 ||
    true) # some processes end meanwhile
  if [ -n "$holder" ]; then
    holder=${holder#/proc/}
    echo "process ${holder%%/*} uses the TPU; end it first" >&2
    exit 1
  fi
  as_root rm -f "$lock" # of a process that was killed
  # shellcheck source=launch/environment.sh
  source launch/environment.sh demo
  pip install -q -e '.[train]' 'jax[tpu]' -c launch/constraints.txt
  rm -f "$state/code"
  : >"$state/log" # now: `tail` may look before the run begins
  # A session of its own outlives the connection. SIGTERM is for all of it, but
  # its shell stays to note the exit code.
  # shellcheck disable=SC2016
  setsid bash -c 'trap : TERM; folder=$1; shift; "$@"; echo $? >"$folder/code"' \
    stemgen-run "$state" "$@" >"$state/log" 2>&1 </dev/null &
  pid=$!
  echo "$pid" >"$state/pid"
  lines=+1
fi
tail -n "$lines" -F --pid="$pid" "$state/log" | sed -u "s/^/$(hostname -s): /"
exit "$(cat "$state/code")"
