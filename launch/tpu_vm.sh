#!/usr/bin/env bash
# Train on a Cloud TPU VM, a single host or a pod:
#   ./launch/tpu_vm.sh NAME ZONE --config=configs/slakh.py --data=... --out=...
# Copies this checkout to every worker, installs it and runs the same command on
# all of them; further flags are passed to `stemgen-jax train`. --data and --out
# are paths visible to every worker, such as a mounted bucket. The same command
# resumes the run. --dry-run prints the commands instead of running them.
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
run=()
flags=()
for flag in "$@"; do
  case $flag in
    --dry-run) run=(printf '%q ') ;;
    *) flags+=("$flag") ;;
  esac
done
if [ ${#flags[@]} -lt 3 ] || [[ ${flags[0]}${flags[1]} == *--* ]]; then
  echo "usage: $0 NAME ZONE [--dry-run] --config=... --data=... --out=..." >&2
  exit 1
fi
name=${flags[0]} zone=${flags[1]}

on_all() {
  ${run[@]+"${run[@]}"} gcloud compute tpus tpu-vm "$1" --worker=all --zone="$zone" \
    "${@:2}"
  if [ ${#run[@]} -gt 0 ]; then echo; fi
}

archive=$(mktemp)
trap 'rm -f "$archive"' EXIT
git -C "$root" archive --prefix=stemgen-jax/ -o "$archive" HEAD
on_all scp "$archive" "$name:stemgen-jax.tar"
on_all ssh "$name" --command="tar xf stemgen-jax.tar && cd stemgen-jax \
&& source launch/environment.sh demo \
&& pip install -q -e '.[train]' 'jax[tpu]' -c launch/constraints.txt \
&& stemgen-jax train --coordinator=auto $(printf '%q ' "${flags[@]:2}")"
