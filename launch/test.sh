#!/usr/bin/env bash
# Runs the whole test suite:  ./launch/test.sh [pytest arguments]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
source "$root/launch/environment.sh" test
cd "$root"
if ! command -v chromium chromium-browser google-chrome >/dev/null; then
  echo "no chromium here: tests that open pages in a browser are left out" >&2
  set -- -m "not browser" "$@"
fi
exec python -m pytest "$@"
