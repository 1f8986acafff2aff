"""How long `import ionm` takes, and what it loads.

python benchmarks/imports.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys

HEAVY = ("scipy", "mne", "matplotlib", "PySide6", "pyqtgraph", "jinja2", "rich")
CODE = (
    "import time, sys; t = time.perf_counter(); {body}; "
    "print(time.perf_counter() - t, *[m for m in {heavy} if m in sys.modules])"
)


def seconds(body: str) -> tuple[float, list[str]]:
    took, loaded = [], []
    for _ in range(9):
        out = subprocess.run(
            [sys.executable, "-c", CODE.format(body=body, heavy=HEAVY)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        took.append(float(out[0]))
        loaded = out[1:]
    return statistics.median(took), loaded


def main() -> None:
    for body in ("import ionm", "import numpy", "import ionm.session, ionm.protocol", "import scipy.signal"):
        took, loaded = seconds(body)
        print(f"{body:40s} {took * 1e3:7.1f} ms (median of 9), loads {', '.join(loaded) or 'nothing heavy'}")


if __name__ == "__main__":
    main()
