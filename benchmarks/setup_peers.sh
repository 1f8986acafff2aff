#!/bin/sh
# Builds benchmarks/.venv from peers.lock, in which ionm's own tree is importable too, so that all are measured in
# one process. Does nothing when nothing has changed. Needs uv, or Python >= 3.11 with venv and pip.
# "setup_peers.sh lock" renews peers.lock from peers.in instead (needs uv).
set -eu
cd "$(dirname "$0")/.."
PY=${PYTHON:-.venv/bin/python}
STAMP=benchmarks/.venv/ionm-stamp
UV=$(command -v uv || true)
if [ -z "$UV" ] && [ -x .tools/bin/uv ]; then UV=.tools/bin/uv; fi

if [ "${1:-}" = lock ]; then
  exec "$UV" pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --no-emit-find-links --custom-compile-command "sh benchmarks/setup_peers.sh lock" \
    --output-file benchmarks/peers.lock benchmarks/peers.in
fi

"$PY" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
  { echo "benchmarks: needs ionm's own environment first: sh tools/setup.sh" >&2; exit 1; }
KEY="$("$PY" -c 'import sys; print(sys.version)') $(cksum benchmarks/peers.lock) $PWD"
[ -f "$STAMP" ] && [ "$(cat "$STAMP")" = "$KEY" ] && exit 0
rm -rf benchmarks/.venv
if [ -n "$UV" ]; then
  "$UV" venv --quiet --python "$PY" benchmarks/.venv
  "$UV" pip sync --quiet --python benchmarks/.venv/bin/python --require-hashes benchmarks/peers.lock
else
  "$PY" -m venv benchmarks/.venv
  benchmarks/.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
    --requirement benchmarks/peers.lock
fi
SITE=$(benchmarks/.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
pwd >"$SITE/ionm.pth"
printf %s "$KEY" >"$STAMP"
