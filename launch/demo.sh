#!/usr/bin/env bash
# Hear it in one command:  ./launch/demo.sh [my_mix.wav] [--stem=bass] [...]
# Plays along to the given file (or to the drum loop in the package) and writes
# stem.wav, mix.wav and picture.png into out/ of the folder it is called from,
# in place of the last run's.
# Further flags are those of `stemgen-jax generate`.
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
source "$root/launch/environment.sh" demo

context=$root/stemgen_jax/assets/loops/drums.flac
if [ $# -gt 0 ] && [[ $1 != -* ]]; then
  context=$1
  shift
fi
music=("--context=$context" "--mix=out/mix.wav")
overwrite=--overwrite
for flag in "$@"; do
  case $flag in
    -seconds* | --seconds*) music=() ;; # from nothing
    -out* | --out* | -mix* | --mix* | -picture* | --picture* | *flagfile*)
      overwrite=--nooverwrite ;; # not our files
  esac
done
if [ ! -d out ]; then
  mkdir out
  trap 'rmdir out 2>/dev/null || true' EXIT # where nothing came of it
fi
"$venv/bin/python" -m stemgen_jax generate "${music[@]}" \
  --out="out/stem.wav" --picture="out/picture.png" --nokeep_codes \
  $overwrite "$@"
