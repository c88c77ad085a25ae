#!/usr/bin/env bash
# Makes the virtual environment the other scripts run in, or reuses it:
#   source launch/environment.sh [demo|test|kernels]
# "demo" has what playing along needs; "test" adds the band's renderer and the
# test tools. "kernels" is another one, .venv-kernels: a newer Python and JAX,
# which the GPU kernels need, and no PyTorch. Nothing is installed again until
# setup.py or a list of versions changes, or the folder is moved. Activates the
# environment in the calling script.
set -euo pipefail

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
wanted=${1:-demo}
if [ "$wanted" = kernels ]; then
  venv=$root/.venv-kernels oldest=12
  pythons=("${KERNELS_PYTHON:-python3.13}" python3.12 python3
    "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[23]*/bin/python)
else
  venv=$root/.venv oldest=11
  pythons=("${PYTHON:-python3}" python3.11 python3.12 python3.13 python)
fi

new_enough() {
  "$1" -c "import sys; sys.exit(sys.version_info < (3, $oldest))" 2>/dev/null
}

can_take() {
  new_enough "$1" && { "$1" -m pip --version || "$1" -m ensurepip; } \
    >/dev/null 2>&1
}

find_python() {
  local python
  for python in "${pythons[@]}"; do
    if new_enough "$python"; then echo "$python"; return; fi
  done
  local variable=PYTHON
  if [ "$wanted" = kernels ]; then variable=KERNELS_PYTHON; fi
  echo "The environment $wanted needs Python 3.$oldest or newer; found only" \
    "$(python3 --version 2>&1 || echo none). Set $variable=/path/to/python." >&2
  return 1
}

make_venv() {
  local python=$1
  rm -rf "$venv"
  mkdir -p "$venv"
  echo "$root unfinished" >"$stamp"
  # Debian's Python may lack ensurepip, but has a pip outside to install with.
  "$python" -m venv "$venv" >/dev/null 2>&1 ||
    { "$python" -m venv --without-pip "$venv" &&
      "$python" -m pip --python "$venv/bin/python" install -q pip; } ||
    { echo "No virtual environment could be made in $venv with $python: it" \
      "needs the module venv and pip (Debian: python3-venv)." >&2
      return 1; }
}

# What is installed, in one line: where, the lists' checksum, what for.
lists=("$root"/setup.py "$root"/launch/constraints.txt
  "$root"/launch/requirements-nodeps.txt "$root"/launch/requirements-kernels.txt)
version="$root $(cat "${lists[@]}" | cksum | cut -d' ' -f1)"
stamp=$venv/.stemgen-jax
have=$(cat "$stamp" 2>/dev/null || true)

if ! "$venv/bin/python" -c '' 2>/dev/null ||
  { [ "$have" != "$version test" ] && [ "$have" != "$version $wanted" ]; }
then
  python=$(find_python)
  if [ -z "$have" ] && [ -e "$venv" ] && ! can_take "$venv/bin/python"; then
    echo "$venv is not of this script's making, and has no Python 3.$oldest" \
      "with pip: move it away." >&2
    return 1
  fi
  echo "Preparing $venv with $("$python" --version) (a few minutes, once) ..."
  # Another version of the lists is installed over the old, and into a venv that
  # was made by hand; one of ours that was moved or does not run is made anew.
  if [[ -n $have && $have != "$root "* ]] ||
    ! "$venv/bin/python" -m pip --version >/dev/null 2>&1
  then
    make_venv "$python"
  fi
  echo "$root unfinished" >"$stamp"
  pip=("$venv/bin/python" -m pip install -q --disable-pip-version-check)
  if [ "$wanted" = kernels ]; then
    "${pip[@]}" -r "$root/launch/requirements-kernels.txt"
    "${pip[@]}" --no-deps -e "$root"
  elif [ "$wanted" = test ]; then
    "${pip[@]}" -e "$root[test]" -c "$root/launch/constraints.txt"
    "${pip[@]}" --no-deps -r "$root/launch/requirements-nodeps.txt"
  else
    "${pip[@]}" -e "$root" -c "$root/launch/constraints.txt"
  fi
  echo "$version $wanted" > "$stamp"
fi
# shellcheck disable=SC1091
source "$venv/bin/activate"
