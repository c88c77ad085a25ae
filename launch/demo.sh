#!/usr/bin/env bash
# Hear it in one command:  ./launch/demo.sh [my_mix.wav] [--stem=bass] [...]
# Plays along to the given file (or to the drum loop in the package) and writes
# out/stem.wav, out/mix.wav and out/picture.png, in place of the last run's.
# Further flags are those of `stemgen-jax generate`.
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
source "$root/launch/environment.sh" demo

context=$root/stemgen_jax/assets/loops/drums.flac
if [ $# -gt 0 ] && [[ $1 != -* ]]; then
  context=$1
  shift
fi
music=("--context=$context" "--mix=$root/out/mix.wav")
overwrite=--overwrite
for flag in "$@"; do
  case $flag in
    --seconds*) music=() ;; # from nothing
    --out* | --mix* | --picture*) overwrite=--nooverwrite ;; # not our files
  esac
done
mkdir -p "$root/out"
exec "$venv/bin/python" -m stemgen_jax generate "${music[@]}" \
  --out="$root/out/stem.wav" --picture="$root/out/picture.png" \
  $overwrite "$@"
