#!/usr/bin/env bash
# Makes the virtual environment that uv.lock describes: infra/env.sh FOLDER [dev]
# With uv where it is installed, else with venv and pip (which then fetch uv, to read the lock file with). Either takes
# the files from the index it is configured to use, and accepts them for the lock file's hashes only.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1 group=${2:-}
python=${PYTHON:-python3}

command -v "$python" >/dev/null || {
  echo "Overt needs Python 3.11 or newer; there is no $python here. Name one with PYTHON=python3.12." >&2
  exit 2
}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "Overt needs Python 3.11 or newer; $python is $("$python" --version 2>&1). Name another with PYTHON=python3.12." >&2
  exit 2
}
requirements=$(mktemp)
ended() {
  local code=$?
  rm -f "$requirements"
  [ "$code" -eq 0 ] && return
  echo "The environment $venv could not be made; the reason stands above. Where the package index cannot be reached, name" >&2
  echo "your mirror or proxy (UV_DEFAULT_INDEX for uv, PIP_INDEX_URL for pip, HTTPS_PROXY for both), and where your network" >&2
  echo "has certificates of its own, their file (SSL_CERT_FILE for uv, PIP_CERT for pip). Then call make again." >&2
  exit "$code"
}
trap ended EXIT

wanted=(--frozen --quiet --no-emit-project --extra registry --extra evaluation --extra statistics --extra tracing
  --format requirements-txt --output-file "$requirements")
if command -v c++ >/dev/null; then
  wanted+=(--extra hnsw)
else
  echo "There is no C++ compiler here, so hnswlib is left out: long watchlists will be searched exactly, which is slower." >&2
fi
[ "$group" = dev ] || wanted+=(--no-dev)
if command -v uv >/dev/null; then
  [ -x "$venv/bin/python" ] || uv venv --quiet --python "$python" "$venv"
  uv export "${wanted[@]}" >/dev/null
  install=(uv pip install --python "$venv/bin/python")
  # `overt models pull` obtains files with pip.
  "$venv/bin/python" -m pip --version >/dev/null 2>&1 || "${install[@]}" --quiet pip
else
  "$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$python" -m venv "$venv" || {
    echo "Python's venv is not complete. On Debian: apt-get install python3-venv" >&2
    exit 2
  }
  export PIP_DISABLE_PIP_VERSION_CHECK=1
  "$venv/bin/python" -m pip install --quiet 'uv>=0.9'
  "$venv/bin/uv" export "${wanted[@]}" >/dev/null
  # uv is several times faster, but knows nothing of what pip was told of mirrors, proxies and certificates.
  # (Not a pipe: grep leaves at the first line it finds, and pip's complaint about that would count as a failure.)
  if grep -qE 'index|find-links|proxy|trusted-host|cert' <<<"$("$venv/bin/python" -m pip config list)"; then
    install=("$venv/bin/python" -m pip install)
  else
    install=("$venv/bin/uv" pip install --python "$venv/bin/python")
  fi
fi
[ -t 2 ] || install+=(--quiet) # on a terminal they show how far they are
echo "installing $(grep -c == "$requirements") packages into $venv" >&2
"${install[@]}" --require-hashes --requirement "$requirements"
"${install[@]}" --no-deps --editable .
echo "environment ready: $venv" >&2
