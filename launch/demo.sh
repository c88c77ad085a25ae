#!/usr/bin/env bash
# Generate a stem in one command:
#   ./launch/demo.sh [my_mix.wav] [--stem=bass] [...]
# The context is the given file, or the drum loop in the package. Writes
# stem.wav, mix.wav and picture.png to out/ in the current folder and replaces
# existing ones. Further flags are passed to `stemgen-jax generate`.
set -euo pipefail
case ${1-} in
  -h | --help) sed -n '2,6s/^# //p' "$0" && exit ;; # before it installs
esac
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
    -seconds* | --seconds*) music=() ;; # unconditional: no context
    -out* | --out* | -mix* | --mix* | -picture* | --picture* | *flagfile*)
      overwrite=--nooverwrite ;; # the user named the files
  esac
done
"$venv/bin/python" -m stemgen_jax generate ${music[@]+"${music[@]}"} \
  --out="out/stem.wav" --picture="out/picture.png" --nokeep_codes \
  $overwrite "$@"
