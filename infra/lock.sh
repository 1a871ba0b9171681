#!/usr/bin/env bash
# Pins every dependency anew. The lock file keeps names, versions and hashes, and no address: the files come from
# whatever index the installing machine is configured to use, and their hashes say that they are the right ones.
set -euo pipefail
cd "$(dirname "$0")/.."
rm -f uv.lock
uv lock "$@"
python3 - <<'PY'
import pathlib
import re

path = pathlib.Path("uv.lock")
text = path.read_text()
text = re.sub(r'url = "[^"]*/([^"/]+)"', r'path = "\1"', text)
text = re.sub(r'registry = "[^"]*"', 'registry = "registry"', text)
path.write_text(text)
PY
