#!/usr/bin/env bash
# Runs the whole test suite:  ./launch/test.sh [pytest arguments]
# Files of tests run beside each other, each on cores of its own; -n0 takes one
# after another.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
source "$root/launch/environment.sh" test
cd "$root"
if ! command -v chromium chromium-browser google-chrome >/dev/null; then
  echo "no chromium here: tests that open pages in a browser are left out" >&2
  set -- -m "not browser" "$@"
fi
exec python -m pytest --numprocesses=logical --maxprocesses=4 --dist=loadfile \
  "$@"
