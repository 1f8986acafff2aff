#!/bin/sh
# Every benchmark in turn; takes about an hour and wants the machine to itself.
set -eu
cd "$(dirname "$0")/.."
PY=.venv/bin/python
$PY benchmarks/imports.py
$PY benchmarks/latency.py
$PY benchmarks/throughput.py
sh benchmarks/setup_peers.sh
benchmarks/.venv/bin/python benchmarks/kernel.py --rounds 21
benchmarks/.venv/bin/python benchmarks/line_noise.py
$PY benchmarks/memory.py
$PY benchmarks/detection.py --processes 2
