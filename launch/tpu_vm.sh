#!/usr/bin/env bash
# Train on a Cloud TPU VM, a single host or a pod:
#   ./launch/tpu_vm.sh NAME ZONE --type=v5litepod-16 --spot --config=... \
#     --data=... --out=...
# Creates the TPU as a queued resource unless it exists, installs this checkout
# on every worker, runs the same command on all, shows their logs and exits with
# its code. A preempted TPU is created again, and the run resumes. If this script
# is interrupted, the run continues; the same command follows it. Other flags are
# of `stemgen-jax train`, with --data and --out as every worker sees them.
#   --type=TYPE      what to create; without it the TPU must exist
#   --version=NAME   its software; default: that of the type
#   --spot           cheaper, may be preempted
#   --setup=COMMAND  run on every worker first, such as mounting a bucket
#   --stop           end the run, which saves a checkpoint, and nothing else
#   --dry-run        print the commands for a new TPU, the first of which removes
#                    one that was preempted, instead of running them
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
run=() flags=() spot=() type='' image='' setup=true stop='' code=0 new=READY
for flag in "$@"; do
  case $flag in
    --dry-run) run=(show) ;;
    --type=*) type=${flag#*=} new=MISSING ;;
    --version=*) image=${flag#*=} ;;
    --spot) spot=(--spot) ;;
    --setup=*) setup=${flag#*=} ;;
    --stop) stop=yes ;;
    --config=[!/]*) flags+=("$flag") config=${flag#*=} # FILE or FILE:ARGUMENT
      git -C "$root" cat-file -e "HEAD:${config%%:*}" 2>/dev/null ||
        { echo "$flag: expected a file of the last commit" >&2; exit 1; } ;;
    *) flags+=("$flag") ;;
  esac
done
if [[ ${#flags[@]} -lt 3 && -z $stop || ${flags[0]-}${flags[1]---} == *--* ]]; then
  echo "usage: $0 NAME ZONE [--type=...] [--dry-run] --config=... --data=... --out=..." >&2
  exit 1
fi
name=${flags[0]} zone=${flags[1]} worker=stemgen-jax/launch/tpu_worker.sh
case ${image:-$type} in v5lite*) image=v2-alpha-tpuv5-lite ;;
  v5p*) image=v2-alpha-tpuv5 ;; v6e*) image=v2-alpha-tpuv6e ;; esac

show() { printf '%q ' "$@" && echo; }
tpus() { ${run[@]+"${run[@]}"} gcloud compute tpus "$@" --zone="$zone"; }
on_all() { tpus tpu-vm ssh "$name" --worker=all --command="$1"; }
look() { # at the state of a kind of resource: its field $2; $3 in a dry run
  if [ ${#run[@]} -gt 0 ]; then now=$3 && return; fi
  now=$(gcloud compute tpus "$1" describe "$name" --zone="$zone" \
    --format="value($2)" 2>&1) && return
  case $now in *NOT_FOUND* | *"not found"*) now=MISSING ;;
    *) echo "$now" >&2; exit 1 ;; esac
}
make_ready() {
  while look tpu-vm state $new; do
    case $now in READY) return ;; MISSING | PREEMPTED | TERMINATED) break ;; esac
    echo "TPU $name is $now: waiting" >&2 && sleep "${TPU_WAIT:-30}"
  done
  [ -n "$type" ] ||
    { echo "TPU $name in $zone is $now: give --type= to create it" >&2; exit 1; }
  look queued-resources state.state SUSPENDED
  [ "$now" = MISSING ] || tpus queued-resources delete "$name" --force --quiet
  tpus queued-resources create "$name" --node-id="$name" \
    ${spot[@]+"${spot[@]}"} --accelerator-type="$type" \
    --runtime-version="${image:-tpu-ubuntu2204-base}"
  until look queued-resources state.state ACTIVE; [ "$now" = ACTIVE ]; do
    case $now in FAILED | SUSPENDED) echo "TPU $name: $now" >&2; exit 1 ;; esac
    sleep "${TPU_WAIT:-30}"
  done
}

if [ -n "$stop" ]; then on_all "$worker stop"; exit; fi
archive=$(mktemp)
trap 'rm -f "$archive"' EXIT
git -C "$root" archive --prefix=stemgen-jax/ -o "$archive" HEAD
while :; do
  make_ready
  tpus tpu-vm scp "$archive" "$name:stemgen-jax.tar" --worker=all &&
    on_all "$worker running 2>/dev/null || { $setup && tar xf stemgen-jax.tar; } && $worker \
stemgen-jax train --coordinator=auto $(printf '%q ' "${flags[@]:2}")" &&
    exit || code=$?
  sleep "${TPU_WAIT:-30}" # a preemption is stated a little later
  look tpu-vm state READY
  # 255: the connection broke off, and the run may continue.
  [[ $now != READY || $code = 255 ]] || exit "$code"
done
