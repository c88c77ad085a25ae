#!/usr/bin/env bash
# Check the package on one NVIDIA GPU in at most 8 minutes:
#   ./launch/device_check.sh [--out=device_check.json] [--tiny]
# Needs the repository, jax, flax, optax, numpy, safetensors and torch; encodec
# (pip install --no-deps encodec einops) for the part of the codec. PYTHON
# selects the interpreter; otherwise that of .venv, or python3.
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
python=$root/.venv/bin/python
if [ ! -x "$python" ]; then python=python3; fi
exec "${PYTHON:-$python}" "$root/launch/device_check.py" "$@"
