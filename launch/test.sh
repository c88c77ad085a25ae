#!/usr/bin/env bash
# Run the whole test suite:  ./launch/test.sh [pytest arguments]
# Without arguments, tests that start processes run at the same time as the rest.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
source "$root/launch/environment.sh" test
cd "$root"
# Even where it is set: hundreds of processes import the package.
export PYTHONDONTWRITEBYTECODE=
left_out=()
if ! command -v chromium chromium-browser google-chrome >/dev/null; then
  echo "chromium not found: skipping the tests that open pages in a browser" >&2
  left_out=(-m "not browser")
fi
if [ $# -gt 0 ]; then
  exec python -m pytest ${left_out[@]+"${left_out[@]}"} "$@"
fi
without=${left_out[1]:+ and ${left_out[1]}}
log=$(mktemp)
set -m # a background job would ignore SIGINT, and so would its children
python -m pytest -m "processes$without" >"$log" 2>&1 &
processes=$!
trap 'kill -INT -- "-$processes" 2>/dev/null || true; rm -f "$log"' EXIT
code=0
python -m pytest -m "not processes$without" || code=$?
if [ "$code" = 2 ]; then exit 2; fi # interrupted
echo "tests that start processes:"
wait "$processes" || code=$?
cat "$log"
exit "$code"
