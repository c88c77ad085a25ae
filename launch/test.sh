#!/usr/bin/env bash
# Runs the whole test suite:  ./launch/test.sh [pytest arguments]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
source "$root/launch/environment.sh" test
cd "$root"
exec python -m pytest "$@"
