#!/usr/bin/env bash
# Create or reuse the virtual environment of the other scripts, and activate it:
#   source launch/environment.sh [demo|test|kernels]
# "demo" installs the dependencies of generation; "test" adds the renderer of
# the band and the test tools. "kernels" is a separate environment,
# .venv-kernels, with a newer Python and JAX (required by the GPU kernels) and
# without PyTorch. Packages are installed again only if setup.py or a list of
# versions changes, or if the checkout is moved.
set -euo pipefail

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
wanted=${1:-demo}
if [ "$wanted" = kernels ]; then
  venv=$root/.venv-kernels oldest=12
  pythons=("${KERNELS_PYTHON:-python3.13}" python3.12 python3
    "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/3.1[23]*/bin/python)
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
  echo "environment $wanted: found" \
    "$(python3 --version 2>&1 || echo no Python); expected Python" \
    "3.$oldest or newer; set $variable=/path/to/python." >&2
  return 1
}

make_venv() {
  local python=$1
  rm -rf "$venv"
  mkdir -p "$venv"
  echo "$root unfinished" >"$stamp"
  # Debian's Python may lack ensurepip; the system's pip can install into it.
  "$python" -m venv "$venv" >/dev/null 2>&1 ||
    { "$python" -m venv --without-pip "$venv" &&
      "$python" -m pip --python "$venv/bin/python" install -q pip; } ||
    { echo "$venv: $python could not create a virtual environment; install" \
      "its modules venv and pip (Debian: python3-venv)." >&2
      return 1; }
}

# The stamp is one line: checkout, checksum of the lists, environment.
lists=("$root"/setup.py "$root"/launch/constraints.txt
  "$root"/launch/requirements-nodeps.txt "$root"/launch/requirements-kernels.txt)
version="$root $(cat "${lists[@]}" | cksum | cut -d' ' -f1)"
stamp=$venv/.stemgen-jax

is_ready() {
  have=$(cat "$stamp" 2>/dev/null || true)
  "$venv/bin/python" -c '' 2>/dev/null &&
    { [ "$have" = "$version test" ] || [ "$have" = "$version $wanted" ]; }
}

# A link to the number of the process that prepares the environment; macOS has
# no flock. One of a process that was killed is removed by the one process that
# makes a second link, named by it: another may have read the link long before.
take_turn() {
  local holder shown=
  until ln -s "$$" "$venv.lock" 2>/dev/null; do
    holder=$(readlink "$venv.lock") ||
      { [ -w "$root" ] || { echo "$root: cannot be written" >&2; return 1; }; }
    if [ -n "$holder" ] && ! kill -0 "$holder" 2>/dev/null; then
      if ln -s "$$" "$venv.lock.$holder" 2>/dev/null; then
        if [ "$(readlink "$venv.lock")" = "$holder" ]; then
          rm -f "$venv.lock"
        fi
        rm -f "$venv.lock.$holder"
      fi
    elif [ "$holder" != "$shown" ]; then
      echo "Waiting for process $holder, which prepares $venv ..."
      shown=$holder
    fi
    sleep 1
  done
}

prepare() {
  local python pip
  python=$(find_python)
  if [ -z "$have" ] && [ -e "$venv" ] && ! can_take "$venv/bin/python"; then
    echo "$venv: not created by this script, and has no Python 3.$oldest with" \
      "pip; move or delete it." >&2
    return 1
  fi
  echo "Preparing $venv with $("$python" --version) (a few minutes, once) ..."
  # Newer lists are installed over the old ones, also in a venv created by hand.
  # A venv of this script that was moved or does not start is created again.
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
    "${pip[@]}" -e "${root}[test]" -c "$root/launch/constraints.txt"
    "${pip[@]}" --no-deps -r "$root/launch/requirements-nodeps.txt"
  else
    "${pip[@]}" -e "$root" -c "$root/launch/constraints.txt"
  fi
  echo "$version $wanted" > "$stamp"
}

if ! is_ready; then
  take_turn
  set +e # a failure must not keep the turn
  (set -e; is_ready || prepare)
  code=$?
  set -e
  rm -f "$venv.lock"
  if [ "$code" != 0 ]; then return "$code"; fi
fi
# shellcheck disable=SC1091
source "$venv/bin/activate"
