#!/usr/bin/env bash
# Run the whole test suite:  ./launch/test.sh [pytest arguments]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
source "$root/launch/environment.sh" test
cd "$root"
if ! command -v chromium chromium-browser google-chrome >/dev/null; then
  echo "chromium not found: skipping the tests that open pages in a browser" >&2
  set -- -m "not browser" "$@"
fi
exec python -m pytest "$@"
