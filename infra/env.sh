#!/usr/bin/env bash
# Makes the virtual environment that uv.lock describes: infra/env.sh FOLDER [dev]
# Works with uv where it is installed, else with venv and pip (which then fetch uv to read the lock file).
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1 group=${2:-}
python=${PYTHON:-python3}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "Overt needs Python 3.11 or newer; $python is $("$python" --version). Name another with PYTHON=python3.12." >&2
  exit 2
}
if command -v uv >/dev/null; then
  uv=uv
  [ -x "$venv/bin/python" ] || uv venv --quiet --seed --python "$python" "$venv"
else
  [ -x "$venv/bin/python" ] || "$python" -m venv "$venv" || {
    echo "No virtual environment could be made. On Debian: apt-get install python3-venv" >&2
    exit 2
  }
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check 'uv>=0.9'
  uv=$venv/bin/uv
fi
wanted=(--frozen --quiet --no-emit-project --extra registry --format requirements-txt)
[ "$group" = dev ] || wanted+=(--no-dev)
requirements=$(mktemp)
trap 'rm -f "$requirements"' EXIT
"$uv" export "${wanted[@]}" --output-file "$requirements" >/dev/null
"$uv" pip install --quiet --python "$venv/bin/python" --require-hashes --requirement "$requirements"
"$uv" pip install --quiet --python "$venv/bin/python" --no-deps --editable .
echo "environment ready: $venv" >&2
