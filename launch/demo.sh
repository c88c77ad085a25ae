#!/usr/bin/env bash
# Hear it in one command:  ./launch/demo.sh [my_mix.wav] [--stem=bass] [...]
# Plays along to the given file (or to the drum loop in the package) and writes
# out/stem.wav, out/mix.wav and out/picture.png. Further flags are those of
# `stemgen-jax generate`.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
source "$root/launch/environment.sh" demo

context=$root/stemgen_jax/assets/loops/drums.flac
if [ $# -gt 0 ] && [[ $1 != -* ]]; then
  context=$1
  shift
fi
mkdir -p "$root/out"
exec stemgen-jax generate --context="$context" --stem=bass \
  --out="$root/out/stem.wav" --mix="$root/out/mix.wav" \
  --picture="$root/out/picture.png" --overwrite "$@"
